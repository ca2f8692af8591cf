/** What of the system is looked at, as it stands in the URL. */
export interface SystemSearch {
  /** What runs, where it is not there. */
  tab?: "settings";
  /** What settings are looked for. */
  q?: string;
  /** Only settings that are not as they come. */
  changed?: true;
}

export function systemSearch(search: Record<string, unknown>): SystemSearch {
  const found: SystemSearch = {};
  if (search["tab"] === "settings") found.tab = "settings";
  const q = typeof search["q"] === "number" ? String(search["q"]) : search["q"];
  if (typeof q === "string" && q.trim() !== "") found.q = q.slice(0, 255);
  if (search["changed"] === true) found.changed = true;
  return found;
}
