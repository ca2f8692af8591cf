/** Endless lists: page after page by cursor, up to as many rows as one list holds. */
import { infiniteQueryOptions, type QueryKey } from "@tanstack/react-query";
import { useInterval } from "../live/Live";

export interface Page<T> {
  rows: readonly T[];
  next: string | undefined;
}

const PAGE = 100;
/** Rows that a list holds at most. */
export const MOST_ROWS = 5_000;

export function endless<A extends { data: readonly unknown[]; nextCursor?: string | null }, T = A["data"][number]>(
  queryKey: QueryKey,
  ask: (page: { limit: number; cursor?: string }, signal: AbortSignal) => Promise<A>,
  /** What of a row is kept; all where it is not said. */
  kept: (row: A["data"][number]) => T = (row) => row as T,
) {
  return infiniteQueryOptions({
    queryKey,
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }): Promise<Page<T>> => {
      const page = await ask({ limit: PAGE, ...(pageParam === undefined ? {} : { cursor: pageParam }) }, signal);
      return { rows: page.data.map(kept), next: page.nextCursor ?? undefined };
    },
    // All pages that were scrolled through are too much to ask for at each coming back.
    refetchOnWindowFocus: isOnePage,
    getNextPageParam: (last, pages) => (pages.length * PAGE >= MOST_ROWS ? undefined : last.next),
  });
}

type Asked = { state: { data?: { pages: unknown[] } | undefined } };

export const isOnePage = ({ state }: Asked) => (state.data?.pages.length ?? 0) <= 1;

/** For `refetchInterval`: no fact of the stream tells of these. Asks for the newest page only, never for all that was scrolled through. */
export function usePageInterval(every: number | false) {
  const interval = useInterval(every);
  return (query: Asked) => isOnePage(query) && interval;
}
