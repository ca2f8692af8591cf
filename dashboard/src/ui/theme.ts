/** Dark, light or as the system has it. `public/theme.js` reads what is stored before the first paint. */
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const KEY = "posthaste.theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

function stored(): Theme {
  try {
    const chosen = localStorage.getItem(KEY);
    return chosen === "dark" || chosen === "light" ? chosen : "system";
  } catch {
    return "system";
  }
}

let current = stored();

function apply() {
  const dark = current === "dark" || (current === "system" && system.matches);
  document.documentElement.dataset["theme"] = dark ? "dark" : "light";
  listeners.forEach((tell) => tell());
}

system.addEventListener("change", apply);

export function chooseTheme(theme: Theme) {
  current = theme;
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // It holds for this page then.
  }
  apply();
}

function subscribe(tell: () => void) {
  listeners.add(tell);
  return () => listeners.delete(tell);
}

/** What was chosen, and what is shown. */
export function useTheme(): { chosen: Theme; shown: "light" | "dark" } {
  const chosen = useSyncExternalStore(subscribe, () => current);
  const shown = useSyncExternalStore(subscribe, () => document.documentElement.dataset["theme"] ?? "light");
  return { chosen, shown: shown === "dark" ? "dark" : "light" };
}
