/**
 * The live tail: events that came after the list was asked for, newest first, without duplicates.
 * It is bounded: past `MOST` only the newest are kept, and the list is to be asked for anew.
 */
export const MOST = 500;

export interface Tail<T> {
  shown: readonly T[];
  waiting: readonly T[];
  /** More came than is kept: between the tail and the list some are missing. */
  passed: boolean;
}

export function emptyTail<T>(): Tail<T> {
  return { shown: [], waiting: [], passed: false };
}

/** `batch` is oldest first, as it came. */
export function arrived<T>(tail: Tail<T>, batch: readonly T[], paused: boolean): Tail<T> {
  if (batch.length === 0) return tail;
  const waiting = [...[...batch].reverse(), ...tail.waiting];
  if (!paused) return resumed({ ...tail, waiting });
  return { ...tail, waiting: waiting.slice(0, MOST), passed: tail.passed || waiting.length > MOST };
}

/** What waited is shown. */
export function resumed<T>(tail: Tail<T>): Tail<T> {
  if (tail.waiting.length === 0) return tail;
  const shown = [...tail.waiting, ...tail.shown];
  return { shown: shown.slice(0, MOST), waiting: [], passed: tail.passed || shown.length > MOST };
}

/** After the list was asked for anew: what came meanwhile stays, since it may be newer than the answer. */
export function caughtUp<T>(tail: Tail<T>, listed: readonly T[], id: (row: T) => string): Tail<T> {
  const known = new Set(listed.map(id));
  return { shown: tail.shown.filter((row) => !known.has(id(row))), waiting: tail.waiting, passed: false };
}

/** What waits is not seen either where the list, asked for meanwhile, has it. */
export function without<T>(listed: readonly T[], waiting: readonly T[], id: (row: T) => string): readonly T[] {
  if (waiting.length === 0) return listed;
  const kept = new Set(waiting.map(id));
  return listed.filter((row) => !kept.has(id(row)));
}

/**
 * The tail and the list as one; what is in both stands once. Both have the newest first, by ids, which grow.
 * A list that was asked for meanwhile may begin above rows of the tail that are not on its pages yet.
 */
export function merged<T>(shown: readonly T[], listed: readonly T[], id: (row: T) => string): readonly T[] {
  if (shown.length === 0) return listed;
  const known = new Set(listed.map(id));
  const fresh = shown.filter((row) => {
    const isNew = !known.has(id(row));
    known.add(id(row));
    return isNew;
  });
  if (fresh.length === 0) return listed;
  const rows: T[] = [];
  let at = 0;
  for (const row of listed) {
    for (let next = fresh[at]; next !== undefined && id(next) > id(row); next = fresh[at]) {
      rows.push(next);
      at += 1;
    }
    rows.push(row);
  }
  return [...rows, ...fresh.slice(at)];
}
