/**
 * The live tail: events that came after the list was asked for, newest first, without duplicates.
 * It is bounded: past `MOST` what waits is only counted, and the list is to be asked for anew.
 */
export const MOST = 500;

export interface Tail<T> {
  shown: readonly T[];
  waiting: readonly T[];
  /** More came than is kept. */
  passed: boolean;
}

export function emptyTail<T>(): Tail<T> {
  return { shown: [], waiting: [], passed: false };
}

/** `batch` is oldest first, as it came. */
export function arrived<T>(tail: Tail<T>, batch: readonly T[], paused: boolean): Tail<T> {
  if (batch.length === 0) return tail;
  const fresh = [...batch].reverse();
  const next = paused ? { ...tail, waiting: [...fresh, ...tail.waiting] } : { ...tail, shown: [...fresh, ...tail.shown] };
  if (next.shown.length + next.waiting.length <= MOST) return next;
  return { shown: tail.shown.slice(0, MOST), waiting: [], passed: true };
}

/** What waited is shown. */
export function resumed<T>(tail: Tail<T>): Tail<T> {
  return { ...tail, shown: [...tail.waiting, ...tail.shown], waiting: [] };
}

/** The tail over the list that was asked for; what is in both stands once. */
export function merged<T>(shown: readonly T[], listed: readonly T[], id: (row: T) => string): readonly T[] {
  if (shown.length === 0) return listed;
  const known = new Set(listed.map(id));
  const fresh = shown.filter((row) => {
    const isNew = !known.has(id(row));
    known.add(id(row));
    return isNew;
  });
  return fresh.length === 0 ? listed : [...fresh, ...listed];
}
