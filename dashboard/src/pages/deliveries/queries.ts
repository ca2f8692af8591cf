import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { MOST_ROWS } from "../../api/pages";
import { Problem } from "../../api/problem";
import { serverNow } from "../../ui/clock";
import { rowOf, type RowsPage } from "./rows";
import { WITHIN, type DeliveriesSearch } from "./search";

/** What failed for the relay's sake, and shows nothing yet, is asked for again: so the advice beside it says. */
function whileBroken({ state: { data: seen, error } }: { state: { data: unknown; error: unknown } }): number | false {
  return seen === undefined && error !== null && !(error instanceof Problem && error.status < 500) ? 5_000 : false;
}

const PAGE = 100;
/** The newest page is asked for again and again: a short one. */
const HEAD = 50;

/** A page; `from` is a cursor together with the `since` that it was made with: it holds for the very same parameters only. */
export async function readRows(search: DeliveriesSearch, from: string | undefined, limit: number, signal?: AbortSignal): Promise<RowsPage> {
  const { within, ...filters } = search;
  const begin = within && new Date(serverNow() - WITHIN[within] * 1_000).toISOString();
  const [cursor, since = filters.since ?? begin] = from === undefined ? [] : (JSON.parse(from) as [string, string?]);
  const query = { ...filters, answers: false, limit, ...(cursor ? { cursor } : {}), ...(since ? { since } : {}) };
  const page = await data(api.GET("/api/v1/deliveries", { params: { query }, ...(signal ? { signal } : {}) }));
  return { rows: page.data.map(rowOf), partial: page.partial, next: page.nextCursor ? JSON.stringify([page.nextCursor, ...(since ? [since] : [])]) : undefined };
}

export const readHead = (search: DeliveriesSearch) => readRows(search, undefined, HEAD);

/** Not under "deliveries": every attempt makes those stale, and this list brings itself up to date (rows.ts). */
export function deliveriesQuery(search: DeliveriesSearch) {
  return infiniteQueryOptions({
    queryKey: ["delivery-list", search],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => readRows(search, pageParam, PAGE, signal),
    getNextPageParam: (last, pages) => (pages.reduce((sum, page) => sum + page.rows.length, 0) >= MOST_ROWS ? undefined : last.next),
    refetchOnWindowFocus: false,
    refetchInterval: whileBroken,
  });
}

export function deliveryQuery(id: string) {
  return queryOptions({
    queryKey: ["delivery", id],
    queryFn: ({ signal }) => data(api.GET("/api/v1/deliveries/{id}", { params: { path: { id } }, signal })),
  });
}

/** The body as it is sent, byte for byte. */
export function bodyQuery(id: string) {
  return queryOptions({
    // Not under "delivery": attempts make that stale, and change no body.
    queryKey: ["delivery-body", id],
    // An event's payload does not change, and its erasure is told by the event.
    staleTime: 60_000,
    queryFn: ({ signal }) => data(api.GET("/api/v1/deliveries/{id}/body", { params: { path: { id } }, signal, parseAs: "text" })),
  });
}

/** The event of a delivery, with what holds the delivery where it is pending. */
export function explanationQuery(id: string, eventId: string, subscriptionId: string) {
  return queryOptions({
    queryKey: ["delivery", id, "explanation"],
    queryFn: async ({ signal }) => {
      const event = await data(api.GET("/api/v1/events/{id}", { params: { path: { id: eventId }, query: { subscription: subscriptionId } }, signal }));
      return {
        eventName: event.eventName ?? null, source: event.source ?? null, orderingKey: event.orderingKey ?? null, receivedAt: event.receivedAt,
        payloadErasedAt: event.payloadErasedAt ?? null, explanation: event.explanations?.data[0],
      };
    },
  });
}

/** Whether this delivery keeps its line from going on. Lines are read to the page that holds it, a few at most. */
export function blockingQuery(id: string, subscriptionId: string) {
  return queryOptions({
    queryKey: ["delivery", id, "blocking"],
    queryFn: async ({ signal }) => {
      let cursor: string | null | undefined;
      for (let page = 0; page < 10; page += 1) {
        const lines = await data(api.GET("/api/v1/subscriptions/{id}/blocked-keys", { params: { path: { id: subscriptionId }, query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal }));
        const line = lines.data.find((one) => one.deliveryId === id);
        if (line) return line;
        cursor = lines.nextCursor;
        if (!cursor) break;
      }
      return null;
    },
  });
}
