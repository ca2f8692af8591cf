import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { isOnePage, MOST_ROWS } from "../../api/pages";
import type { Event } from "../../api/types";
import { serverNow } from "../../ui/clock";
import { rawField } from "../../ui/json";
import { WITHIN, type EventsSearch } from "./search";

/** A row of the list. Payloads stay out of it: they may be large, and nobody sees them there. */
export interface EventRow {
  id: string;
  eventType: string;
  eventName: string | null;
  source: string | null;
  tenant: string | null;
  receivedAt: string;
}

const PAGE = 100;

export function eventsQuery(search: EventsSearch) {
  return infiniteQueryOptions({
    queryKey: ["events", search],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const { within, ...filters } = search;
      const since = within && new Date(serverNow() - WITHIN[within] * 1_000).toISOString();
      // A cursor of a search holds for the very same parameters only, so `since` goes with it.
      const [cursor, from = since] = pageParam === undefined ? [] : (JSON.parse(pageParam) as [string, string?]);
      const query = { ...filters, limit: PAGE, ...(cursor ? { cursor } : {}), ...(from ? { since: from } : {}) };
      const page = await data(api.GET("/api/v1/events", { params: { query }, signal }));
      const rows = page.data.map((event): EventRow => ({
        id: event.id, eventType: event.eventType, eventName: event.eventName ?? null, source: event.source ?? null,
        tenant: event.tenant ?? null, receivedAt: event.receivedAt,
      }));
      return { rows, partial: page.partial, next: page.nextCursor ? JSON.stringify([page.nextCursor, ...(from ? [from] : [])]) : undefined };
    },
    refetchOnWindowFocus: isOnePage,
    getNextPageParam: (last, pages) => (pages.length * PAGE >= MOST_ROWS ? undefined : last.next),
  });
}

/** One event with its payload byte for byte: what JavaScript makes of numbers is not what came. */
export function eventQuery(id: string) {
  return queryOptions({
    queryKey: ["event", id],
    queryFn: async ({ signal }) => {
      const asked = { params: { path: { id }, query: { explain: true, limit: 100 } }, signal, parseAs: "text" } as const;
      const text = await data(api.GET("/api/v1/events/{id}", asked));
      return { event: JSON.parse(text) as Event, payload: rawField(text, "payload") ?? "null" };
    },
  });
}

/** The types that events had lately, and those of the catalogue, for suggestions. */
export const eventTypesQuery = queryOptions({
  queryKey: ["event-types", "names"],
  staleTime: 60_000,
  queryFn: async ({ signal }) => {
    const [seen, catalogue] = await Promise.all([
      data(api.GET("/api/v1/events/stats/summary", { signal })),
      data(api.GET("/api/v1/event-types", { params: { query: { limit: 100 } }, signal })),
    ]);
    const counted = new Map(seen.byType.map((type) => [type.eventType, type.count]));
    const names = [...new Set([...counted.keys(), ...catalogue.data.map((type) => type.name)])];
    const withExample = new Set(catalogue.data.flatMap((type) => (type.example === null || type.example === undefined ? [] : [type.name])));
    return names.map((name) => ({ name, count: counted.get(name) ?? 0, hasExample: withExample.has(name) }));
  },
});
