const TABS = ["nodes", "metrics", "settings"] as const;
export type SystemTab = (typeof TABS)[number];

/** What of the system is looked at, as it stands in the URL. */
export interface SystemSearch {
  /** What is looked at; what runs in the process that answers, where it is not there. */
  tab?: SystemTab;
  /** What settings or metrics are looked for. */
  q?: string;
  /** Only settings that are not as they come. */
  changed?: true;
}

export function systemSearch(search: Record<string, unknown>): SystemSearch {
  const found: SystemSearch = {};
  const tab = TABS.find((one) => one === search["tab"]);
  if (tab) found.tab = tab;
  const q = typeof search["q"] === "number" ? String(search["q"]) : search["q"];
  if (typeof q === "string" && q.trim() !== "") found.q = q.slice(0, 255);
  if (search["changed"] === true) found.changed = true;
  return found;
}
