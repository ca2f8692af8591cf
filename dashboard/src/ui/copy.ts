/** Puts text on the clipboard; false where the browser does not let us (no HTTPS, no permission). */
export async function copyText(text: string): Promise<boolean> {
  try {
    // Not there on pages without HTTPS, whatever the types say.
    const clipboard = navigator.clipboard as Clipboard | undefined;
    if (!clipboard) return copyBySelection(text);
    await clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("aria-hidden", "true");
  area.className = "fixed left-0 top-0 opacity-0";
  const focused = document.activeElement;
  // A dialog keeps the focus within itself, and the selection with it.
  (focused?.closest('[role="dialog"]') ?? document.body).append(area);
  area.select();
  // The only way on plain HTTP.
  const done = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return done;
}
