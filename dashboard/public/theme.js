// Runs before the page is drawn. src/ui/theme.ts writes what is read here.
(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem("posthaste.theme");
  } catch {
    // Storage may be forbidden; the system decides then.
  }
  var dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
