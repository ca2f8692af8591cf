import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { isOnePage } from "../../api/pages";
import type { Window } from "../../api/types";
import { jobRow } from "../../work/jobs";

/** A row of the list: what is shown of a subscription, and nothing else. */
export interface SubscriptionRow {
  id: string;
  name: string;
  url: string;
  eventTypes: readonly string[];
  tenant: string | null;
  state: string;
  stateReason: string | null;
  stateChangedAt: string;
}

const PAGE = 100;
/** Rows that a list holds at most; past it the filters say that not all were looked at. */
export const MOST_ROWS = 2_000;

export function subscriptionsQuery(tenant: string | undefined) {
  return infiniteQueryOptions({
    queryKey: ["subscriptions", { tenant }],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const query = { limit: PAGE, ...(tenant ? { tenant } : {}), ...(pageParam ? { cursor: pageParam } : {}) };
      const page = await data(api.GET("/api/v1/subscriptions", { params: { query }, signal }));
      const rows = page.data.map((one): SubscriptionRow => ({
        id: one.id, name: one.name, url: one.url, eventTypes: one.eventTypes, tenant: one.clientId ?? null,
        state: one.state, stateReason: one.stateReason ?? null, stateChangedAt: one.stateChangedAt,
      }));
      return { rows, next: page.nextCursor ?? undefined };
    },
    refetchOnWindowFocus: isOnePage,
    getNextPageParam: (last, pages) => (pages.length * PAGE >= MOST_ROWS ? undefined : last.next),
  });
}

/** The last day of up to a hundred of them. */
export function sparklinesQuery(ids: readonly string[]) {
  return queryOptions({
    queryKey: ["sparklines", ids],
    enabled: ids.length > 0,
    queryFn: async ({ signal }) => {
      const seen = await data(api.GET("/api/v1/subscriptions/stats", { params: { query: { ids: ids.join(",") } }, signal }));
      return new Map(seen.data.map((one) => [one.id, one]));
    },
  });
}

/** As many as the overview names. */
const MOST_IN_TROUBLE = 10;

/** Breakers that are not closed, by id, as the overview has them. Where it names as many as it may, there may be more: `all` is false. */
export const troubleQuery = queryOptions({
  queryKey: ["breakers"],
  queryFn: async ({ signal }) => {
    const { trouble } = await data(api.GET("/api/v1/dashboard/overview", { signal }));
    return { all: trouble.length < MOST_IN_TROUBLE, breakers: new Map(trouble.map((one) => [one.id, { state: one.breaker, openUntil: one.openUntil ?? null }])) };
  },
});

export function subscriptionQuery(id: string) {
  return queryOptions({
    queryKey: ["subscription", id],
    queryFn: ({ signal }) => data(api.GET("/api/v1/subscriptions/{id}", { params: { path: { id } }, signal })),
  });
}

export function runtimeQuery(id: string) {
  return queryOptions({
    queryKey: ["subscription", id, "runtime"],
    queryFn: ({ signal }) => data(api.GET("/api/v1/subscriptions/{id}/runtime", { params: { path: { id } }, signal })),
    staleTime: 0,
  });
}

/** Pending ones that are looked at for the next retry. */
const MOST_PENDING = 50;

/** When the next of them is tried again, of the newest that wait. Apart from "runtime": it reads more, so facts do not ask for it. */
export function nextRetryQuery(id: string) {
  return queryOptions({
    queryKey: ["subscription", id, "next"],
    queryFn: async ({ signal }) => {
      const page = await data(api.GET("/api/v1/subscriptions/{id}/deliveries", { params: { path: { id }, query: { status: "pending", limit: MOST_PENDING } }, signal }));
      const waiting = page.data.flatMap((one) => (one.nextRetryAt && one.attemptCount > 0 ? [{ at: one.nextRetryAt, delivery: one.id, attempt: one.attemptCount + 1 }] : []));
      waiting.sort((a, b) => a.at.localeCompare(b.at));
      return { next: waiting[0] ?? null, waiting: waiting.length, all: !page.nextCursor };
    },
  });
}

export function statsQuery(id: string, window: Window) {
  return queryOptions({
    queryKey: ["stats", id, window],
    queryFn: ({ signal }) => data(api.GET("/api/v1/subscriptions/{id}/stats", { params: { path: { id }, query: { window } }, signal })),
  });
}

export function historyQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: ["subscription", id, "history"],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => data(api.GET("/api/v1/subscriptions/{id}/history", { params: { path: { id }, query: { limit: 20, ...(pageParam ? { cursor: pageParam } : {}) } }, signal })),
    getNextPageParam: (last) => last.nextCursor ?? undefined,
  });
}

export function blockedQuery(id: string) {
  return queryOptions({
    queryKey: ["subscription", id, "blocked"],
    queryFn: ({ signal }) => data(api.GET("/api/v1/subscriptions/{id}/blocked-keys", { params: { path: { id }, query: { limit: 50 } }, signal })),
  });
}

/** The newest deliveries of it. Payloads and answers stay out of memory. */
export function recentQuery(id: string) {
  return queryOptions({
    queryKey: ["deliveries", "of", id],
    queryFn: async ({ signal }) => {
      const page = await data(api.GET("/api/v1/subscriptions/{id}/deliveries", { params: { path: { id }, query: { limit: 15 } }, signal }));
      return page.data.map((one) => ({
        id: one.id, eventId: one.eventId, eventType: one.eventType, status: one.status, attemptCount: one.attemptCount, httpStatus: one.httpStatus ?? null,
        errorKind: one.errorKind ?? null, createdAt: one.createdAt, finishedAt: one.finishedAt ?? null, nextRetryAt: one.nextRetryAt ?? null,
      }));
    },
  });
}

/** Jobs of it that go on, and the newest that ended. */
export function jobsQuery(id: string) {
  return queryOptions({
    queryKey: ["jobs", "of", id],
    queryFn: async ({ signal }) => (await data(api.GET("/api/v1/jobs", { params: { query: { subscriptionId: id, limit: 5 } }, signal }))).data.map(jobRow),
  });
}
