import { useEffect, useState } from "react";

/**
 * Gives the focus back to where it was, once what calls this is gone. Radix does so only for dialogs
 * that have a trigger of theirs; ours are opened by a state.
 */
export function useReturnedFocus(): void {
  const [before] = useState(opener);
  useEffect(() => () => {
    // After Radix has let go of it.
    setTimeout(() => {
      if (document.activeElement !== document.body) return;
      const to = before?.isConnected ? before : document.getElementById("page-title");
      to?.focus({ preventScroll: true });
    });
  }, [before]);
}

/** What has the focus; of a menu, which goes when something opens, its button. */
function opener(): HTMLElement | null {
  const active = document.activeElement;
  const menu = active?.closest("[role=menu]");
  const button = menu && document.getElementById(menu.getAttribute("aria-labelledby") ?? "");
  const found = button ?? active;
  return found instanceof HTMLElement && found !== document.body ? found : null;
}
