/** What is looked for, as it stands in the URL. */
import { searchText } from "../search-text";

export const WITHIN = { "15m": 900, "1h": 3_600, "24h": 86_400, "7d": 604_800 } as const;
export type Within = keyof typeof WITHIN;

export interface EventsSearch {
  q?: string;
  eventType?: string;
  source?: string;
  tenant?: string;
  within?: Within;
  /** Only those before; set where a long list is gone on with. */
  until?: string;
}

export function eventsSearch(search: Record<string, unknown>): EventsSearch {
  const found: EventsSearch = {};
  for (const name of ["q", "eventType", "source", "tenant"] as const) {
    const text = searchText(search[name]);
    if (text) found[name] = text;
  }
  const { within, until } = search;
  if (typeof within === "string" && Object.hasOwn(WITHIN, within)) found.within = within as Within;
  if (typeof until === "string" && Number.isFinite(Date.parse(until))) found.until = until;
  return found;
}

/** Whether an event that just came belongs to the list. What only the relay can decide, does not. */
export function matches(search: EventsSearch, event: { eventType: string; source: string | null; tenant: string | null }): boolean {
  return search.q === undefined && search.until === undefined
    && (search.eventType === undefined || search.eventType === event.eventType)
    && (search.source === undefined || search.source === event.source)
    && (search.tenant === undefined || search.tenant === event.tenant);
}
