/** The list of deliveries as it is watched: what is read, kept up to date by facts, and its newest page while one looks at it. */
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { MOST_ROWS } from "../../api/pages";
import type { RecordedAttempt } from "../../live/facts";
import { useFacts, useInterval } from "../../live/Live";
import { serverNow } from "../../ui/clock";
import { deliveriesQuery, readHead } from "./queries";
import { after, changed, renewed, type Rows } from "./rows";
import { canTail, type DeliveriesSearch } from "./search";

/** Facts are drawn together this often. */
const BEAT = 250;
/** The newest page is asked for at most this often. */
const PACE = 1_000;
/** Changes of rows that wait for a page to be read; a list has no more rows. */
const MOST_WAITING = MOST_ROWS;
/** Rows are new for so long. */
const NEW_FOR = 2_000;

/** `follow`: new rows may come in now. */
export function useDeliveryList(search: DeliveriesSearch, follow: boolean) {
  const client = useQueryClient();
  // The router keeps it the same object while it says the same.
  const options = useMemo(() => deliveriesQuery(search), [search]);
  const list = useInfiniteQuery(options);
  const key = options.queryKey;
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  /** Something came that the list does not show. */
  const dirty = useRef(false);
  const attempts = useRef(new Map<string, RecordedAttempt>());
  // A page that is being read is joined to the rows as they were when it was asked for: whatever is put into the
  // list meanwhile would be lost, and waits.
  const isReading = useCallback(() => client.getQueryState(key)?.fetchStatus === "fetching", [client, key]);
  const waiting = useRef<((rows: Rows) => Rows)[]>([]);
  const change = useCallback((make: (rows: Rows) => Rows) => {
    waiting.current = [...waiting.current, make].slice(-MOST_WAITING);
    if (isReading()) return;
    const makes = waiting.current;
    waiting.current = [];
    client.setQueryData<Rows>(key, (rows) => rows && makes.reduce((now, one) => one(now), rows));
  }, [client, key, isReading]);

  useFacts((fact) => {
    if (fact.event === "attempt.recorded") {
      attempts.current.set(fact.data.deliveryId, fact.data);
      // Those that are not in the list, as most, are of no use; nobody knows which before it is looked at.
      if (attempts.current.size > MOST_ROWS) attempts.current.delete(attempts.current.keys().next().value ?? "");
      dirty.current = true;
    } else if (fact.event === "event.accepted" || fact.event.startsWith("deliveries.") || fact.event === "line.blocked") dirty.current = true;
  });
  useEffect(() => {
    const timer = setInterval(() => {
      const came = attempts.current;
      if ((came.size === 0 && waiting.current.length === 0) || isReading()) return;
      attempts.current = new Map();
      change((rows) => changed(rows, new Set(came.keys()), (row) => {
        const attempt = came.get(row.id);
        return attempt ? after(row, attempt) : row;
      }));
    }, BEAT);
    return () => clearInterval(timer);
  }, [change, isReading]);

  const tails = canTail(search) && follow;
  const polling = useInterval(false);
  const isRead = list.isSuccess;
  useEffect(() => {
    if (!tails || !isRead) return;
    let over = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = async () => {
      if ((dirty.current || polling !== false) && !isReading()) {
        dirty.current = false;
        // What fails now is asked for again with the next fact; the list itself tells of errors.
        const head = await readHead(search).catch(() => undefined);
        if (over) return;
        // It is asked for again behind the page that is being read.
        if (head && isReading()) dirty.current = true;
        else if (head) {
          const known = new Set(client.getQueryData<Rows>(key)?.pages.flatMap((page) => page.rows.map((row) => row.id)));
          change((rows) => renewed(rows, head));
          const since = serverNow() - NEW_FOR;
          setFresh(new Set(head.rows.filter((row) => !known.has(row.id) && Date.parse(row.createdAt) > since).map((row) => row.id)));
        }
      }
      timer = setTimeout(() => void look(), polling === false ? PACE : polling);
    };
    timer = setTimeout(() => void look(), PACE);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [tails, isRead, polling, search, client, key, change, isReading]);

  return { list, fresh, change };
}
