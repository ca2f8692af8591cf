/** What is looked for, as it stands in the URL. */
import { searchText } from "../search-text";

export const WITHIN = { "15m": 900, "1h": 3_600, "24h": 86_400, "7d": 604_800 } as const;
export type Within = keyof typeof WITHIN;

export const STATES = ["pending", "delivered", "failed", "expired", "cancelled", "skipped"] as const;
export type DeliveryState = (typeof STATES)[number];

/** Of the last attempt: classes of answers, and why there was none. */
export const ANSWERS = ["2xx", "3xx", "4xx", "5xx", "1xx"] as const;
export const FAILURES = ["timeout", "name", "connect", "tls", "reset", "protocol", "address_refused", "request", "internal"] as const;
export const CLASSES = [...ANSWERS, ...FAILURES, "none"] as const;
export type StatusClass = (typeof CLASSES)[number];

export interface DeliveriesSearch {
  q?: string;
  status?: DeliveryState;
  statusClass?: StatusClass;
  subscriptionId?: string;
  eventType?: string;
  eventId?: string;
  tenant?: string;
  within?: Within;
  since?: string;
  until?: string;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
export const isId = (text: string) => UUID.test(text);

export function deliveriesSearch(search: Record<string, unknown>): DeliveriesSearch {
  const found: DeliveriesSearch = {};
  for (const name of ["q", "eventType", "tenant"] as const) {
    const text = searchText(search[name]);
    if (text) found[name] = text;
  }
  for (const name of ["subscriptionId", "eventId"] as const) {
    const value = search[name];
    if (typeof value === "string" && isId(value)) found[name] = value.toLowerCase();
  }
  const status = STATES.find((one) => one === search["status"]);
  if (status) found.status = status;
  const statusClass = CLASSES.find((one) => one === search["statusClass"]);
  if (statusClass) found.statusClass = statusClass;
  for (const name of ["since", "until"] as const) {
    const value = search[name];
    if (typeof value === "string" && Number.isFinite(Date.parse(value))) found[name] = new Date(value).toISOString();
  }
  const { within } = search;
  // A begin that is named is more exact than one that moves.
  if (typeof within === "string" && within in WITHIN && found.since === undefined) found.within = within as Within;
  return found;
}

/** Without what is not there. */
export function cleaned(search: { [Name in keyof DeliveriesSearch]?: string | undefined }): DeliveriesSearch {
  return deliveriesSearch(Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined && value !== "")));
}

/**
 * Whether the newest page may be asked for again and again. A search looks at rows one by one; those
 * that are looked for by hand, are looked for again by hand.
 */
export function canTail(search: DeliveriesSearch): boolean {
  return search.q === undefined && search.statusClass === undefined && search.until === undefined;
}
