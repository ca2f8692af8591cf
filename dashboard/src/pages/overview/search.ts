import type { Window } from "../../api/types";

export interface OverviewSearch {
  /** The last hour where it is not there. */
  window?: Exclude<Window, "30d">;
}

export function overviewSearch(search: Record<string, unknown>): OverviewSearch {
  const window = search["window"];
  return window === "24h" || window === "7d" ? { window } : {};
}
