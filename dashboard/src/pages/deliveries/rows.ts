/**
 * The list's rows, kept true while they are shown. Facts change rows where they stand; the newest
 * page, asked for again, brings new rows and takes away those that match no more. Memory stays
 * bounded: what has become too long begins anew with the newest page.
 */
import type { InfiniteData } from "@tanstack/react-query";
import type { Delivery } from "../../api/types";
import type { RecordedAttempt } from "../../live/facts";

/** What a row shows. Answers' bodies stay out of memory. */
export interface DeliveryRow {
  id: string;
  eventId: string;
  eventType: string;
  subscriptionId: string;
  status: string;
  attemptCount: number;
  httpStatus: number | null;
  errorKind: string | null;
  error: string | null;
  nextRetryAt: string | null;
  lastAttemptAt: string | null;
  finishedAt: string | null;
  createdAt: string;
}

export interface RowsPage {
  rows: readonly DeliveryRow[];
  /** The walk ended at its bound before the page was full. */
  partial: boolean;
  next: string | undefined;
}

export type Rows = InfiniteData<RowsPage, string | undefined>;

/** Rows of a list that is only watched. */
export const MOST_TAILED = 1_000;
const LONGEST_ERROR = 200;

export function rowOf(delivery: Delivery): DeliveryRow {
  return {
    id: delivery.id, eventId: delivery.eventId, eventType: delivery.eventType, subscriptionId: delivery.subscriptionId, status: delivery.status,
    attemptCount: delivery.attemptCount, httpStatus: delivery.httpStatus ?? null, errorKind: delivery.errorKind ?? null,
    error: delivery.error?.slice(0, LONGEST_ERROR) ?? null, nextRetryAt: delivery.nextRetryAt ?? null,
    lastAttemptAt: delivery.lastAttemptAt ?? null, finishedAt: delivery.finishedAt ?? null, createdAt: delivery.createdAt,
  };
}

/** The row after that attempt. One that is stale, or that an older fact is about, moves nothing. */
export function after(row: DeliveryRow, attempt: RecordedAttempt): DeliveryRow {
  if (attempt.stale || attempt.deliveryStatus === null || attempt.number < row.attemptCount) return row;
  const isFinal = attempt.deliveryStatus !== "pending";
  return {
    ...row, status: attempt.deliveryStatus, attemptCount: attempt.number, httpStatus: attempt.status, errorKind: attempt.errorKind,
    error: attempt.error?.slice(0, LONGEST_ERROR) ?? null, nextRetryAt: attempt.nextRetryAt, lastAttemptAt: attempt.startedAt,
    finishedAt: isFinal ? new Date(Date.parse(attempt.startedAt) + attempt.durationMs).toISOString() : null,
  };
}

/** `change` of those rows that it is about; the same object where there was none. */
export function changed(rows: Rows, ids: ReadonlySet<string>, change: (row: DeliveryRow) => DeliveryRow): Rows {
  let some = false;
  const pages = rows.pages.map((page) => {
    if (!page.rows.some((row) => ids.has(row.id))) return page;
    const next = page.rows.map((row) => (ids.has(row.id) ? change(row) : row));
    if (next.every((row, index) => row === page.rows[index])) return page;
    some = true;
    return { ...page, rows: next };
  });
  return some ? { ...rows, pages } : rows;
}

/** With the newest page as it is now, and what was read before behind it. */
export function renewed(rows: Rows | undefined, head: RowsPage): Rows {
  const anew: Rows = { pages: [head], pageParams: [undefined] };
  const end = head.rows.at(-1);
  // All there is stands on that page.
  if (!rows || end === undefined || head.next === undefined) return anew;
  const inHead = new Set(head.rows.map((row) => row.id));
  const oldest = Date.parse(end.createdAt);
  // Newer ones that are not on the newest page match no more.
  const pages = rows.pages.map((page) => ({ ...page, rows: page.rows.filter((row) => !inHead.has(row.id) && Date.parse(row.createdAt) <= oldest) }));
  const newest = rows.pages[0]?.rows[0];
  const touches = newest !== undefined && Date.parse(newest.createdAt) >= oldest;
  const size = pages.reduce((sum, page) => sum + page.rows.length, head.rows.length);
  // Between them there may be rows that nobody read.
  if (!touches || size > MOST_TAILED) return anew;
  const [first, ...others] = pages;
  return first ? { pages: [{ ...first, rows: [...head.rows, ...first.rows] }, ...others], pageParams: rows.pageParams } : anew;
}
