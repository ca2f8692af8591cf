import { useState } from "react";

/**
 * Where menus and hints are drawn: into the page's main part. What stands outside of all landmarks
 * is passed over by those who go from one to the next. Tell it when they open.
 */
export function useHome(): readonly [HTMLElement | null, (open: boolean) => void] {
  const [home, setHome] = useState<HTMLElement | null>(null);
  return [home, (open) => open && setHome(document.getElementById("main"))];
}
