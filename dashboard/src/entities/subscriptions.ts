/** The names of subscriptions, for lists that know ids alone and for choosing one by its name. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { api, data } from "../api/client";
import { allows, useSession } from "../api/session";

export interface SubscriptionHead {
  id: string;
  name: string;
  state: string;
  tenant: string | null;
}

const PAGE = 100;
/** Pages that are read at most; whatever is not among them is shown by its id. */
const MOST_PAGES = 10;

/** Kept apart from "subscriptions": a breaker that flaps changes no name. */
export const subscriptionHeadsQuery = queryOptions({
  queryKey: ["subscription-heads"],
  staleTime: 60_000,
  queryFn: async ({ signal }) => {
    const heads: SubscriptionHead[] = [];
    let cursor: string | null | undefined;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const found = await data(api.GET("/api/v1/subscriptions", { params: { query: { limit: PAGE, ...(cursor ? { cursor } : {}) } }, signal }));
      for (const one of found.data) heads.push({ id: one.id, name: one.name, state: one.state, tenant: one.clientId ?? null });
      cursor = found.nextCursor;
      if (!cursor) break;
    }
    return heads;
  },
});

/** By id; empty for those who may not see subscriptions. */
export function useSubscriptions(): ReadonlyMap<string, SubscriptionHead> {
  const enabled = allows(useSession(), "subscriptions:read");
  const { data: heads } = useQuery({ ...subscriptionHeadsQuery, enabled });
  return useMemo(() => new Map((heads ?? []).map((one) => [one.id, one])), [heads]);
}
