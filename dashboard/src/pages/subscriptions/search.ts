/** What is looked for, as it stands in the URL. */
import type { Window } from "../../api/types";
import { searchText } from "../search-text";

export const STATES = ["active", "paused", "deactivated", "suspended"] as const;
export type StateFilter = (typeof STATES)[number];

export interface SubscriptionsSearch {
  q?: string;
  state?: StateFilter;
  tenant?: string;
}

export function subscriptionsSearch(search: Record<string, unknown>): SubscriptionsSearch {
  const found: SubscriptionsSearch = {};
  for (const name of ["q", "tenant"] as const) {
    const text = searchText(search[name]);
    if (text) found[name] = text;
  }
  const { state } = search;
  if (STATES.some((one) => one === state)) found.state = state as StateFilter;
  return found;
}

export interface SubscriptionSearch {
  /** Where it is not there: the last 24 hours, of one that is young the last one. */
  window?: Window;
}

export function subscriptionSearch(search: Record<string, unknown>): SubscriptionSearch {
  const { window } = search;
  return window === "1h" || window === "24h" || window === "7d" || window === "30d" ? { window } : {};
}

/** The parts of a row that the filters judge. */
export interface Judged {
  id: string;
  name: string;
  url: string;
  eventTypes: readonly string[];
  state: string;
}

/** Every word has to be part of the name, the URL, a pattern or the id. */
export function matches(search: SubscriptionsSearch, row: Judged): boolean {
  if (search.state !== undefined && row.state !== search.state) return false;
  const text = `${row.name}\n${row.url}\n${row.eventTypes.join("\n")}\n${row.id}`.toLowerCase();
  return (search.q ?? "").toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
