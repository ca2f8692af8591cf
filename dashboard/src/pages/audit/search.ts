/** What is looked for in the audit log, as it stands in the URL. */
import { searchText } from "../search-text";

export const WITHIN = { "1h": 3_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000 } as const;
export type Within = keyof typeof WITHIN;

export interface AuditSearch {
  action?: string;
  thing?: string;
  thingId?: string;
  caller?: string;
  within?: Within;
}

export function auditSearch(search: Record<string, unknown>): AuditSearch {
  const found: AuditSearch = {};
  for (const name of ["action", "thing", "thingId", "caller"] as const) {
    const text = searchText(search[name]);
    if (text) found[name] = text;
  }
  const { within } = search;
  if (typeof within === "string" && Object.hasOwn(WITHIN, within)) found.within = within as Within;
  return found;
}

/** "event_type.show_secret" as people say it. */
export function inWords(word: string): string {
  return word.replaceAll("_", " ");
}
