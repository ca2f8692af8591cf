/** Many calls, a few at a time, and exactly what came of them. */
import { Problem, adviceFor } from "../api/problem";

/** Calls at the same time. */
export const AT_ONCE = 4;
/** Waits for a relay that is at its bounds, before a call counts as refused. */
const MOST_WAITS = 5;
/** Reasons that are told apart; the rest is told together. */
const MOST_REASONS = 12;

export interface Count {
  total: number;
  done: number;
  refused: number;
  /** Why, and how often. */
  reasons: ReadonlyMap<string, number>;
}

export const begun = (total: number): Count => ({ total, done: 0, refused: 0, reasons: new Map() });

function refused(count: Count, reason: string): Count {
  const reasons = new Map(count.reasons);
  const key = reasons.has(reason) || reasons.size < MOST_REASONS ? reason : "other reasons";
  return { ...count, refused: count.refused + 1, reasons: reasons.set(key, (reasons.get(key) ?? 0) + 1) };
}

/** Told of each step. Ends early where `signal` says so: what has begun is brought to its end. */
export async function runAll<T>(items: readonly T[], call: (item: T) => Promise<void>, onStep: (count: Count) => void, signal: AbortSignal, wait: (ms: number) => Promise<void>): Promise<Count> {
  let count = begun(items.length);
  let next = 0;
  const one = async () => {
    while (next < items.length && !signal.aborted) {
      const item = items[next++] as T;
      for (let waits = 0; ; waits += 1) {
        try {
          await call(item);
          count = { ...count, done: count.done + 1 };
        } catch (failure) {
          // Asked again where it certainly was not done; without an answer nobody knows.
          if (failure instanceof Problem && (failure.status === 429 || failure.status === 503) && waits < MOST_WAITS && !signal.aborted) {
            await wait(failure.retryAfterSeconds ? Math.min(failure.retryAfterSeconds * 1_000, 10_000) : 500 * 2 ** waits);
            continue;
          }
          count = refused(count, adviceFor(failure).title);
        }
        break;
      }
      onStep(count);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, one));
  return count;
}
