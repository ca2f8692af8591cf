import { infiniteQueryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { jobRow } from "../../work/jobs";
import type { JobsSearch } from "./search";

const PAGE = 50;
/** Jobs are forgotten after a while, so that lists of them end. */
const MOST_PAGES = 40;

export function jobsQuery({ status, subscriptionId }: JobsSearch) {
  return infiniteQueryOptions({
    queryKey: ["jobs", "list", { status, subscriptionId }],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const query = { limit: PAGE, ...(status ? { status } : {}), ...(subscriptionId ? { subscriptionId } : {}), ...(pageParam ? { cursor: pageParam } : {}) };
      const page = await data(api.GET("/api/v1/jobs", { params: { query }, signal }));
      return { rows: page.data.map(jobRow), next: page.nextCursor ?? undefined };
    },
    getNextPageParam: (last, pages) => (pages.length >= MOST_PAGES ? undefined : last.next),
  });
}
