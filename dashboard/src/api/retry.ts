/** Which questions are asked once more by themselves, and when. Changes never are: nobody knows whether they were made. */
import { Problem } from "./problem";

const MOST = 2;
/** Nobody waits longer than this before an empty page; what is asked for regularly comes again anyway. */
const LONGEST_WAIT = 30_000;

/** A refusal will be the same again, but for one that says when to come back; no answer, or one of 5xx, may not. */
export function isWorthRetrying(failures: number, error: unknown): boolean {
  return failures < MOST && !(error instanceof Problem && error.status < 500 && error.status !== 429);
}

/** Milliseconds. */
export function retryDelay(attempt: number, error: unknown): number {
  const said = error instanceof Problem ? error.retryAfterSeconds : undefined;
  return said === undefined ? Math.min(1_000 * 2 ** attempt, 5_000) : Math.min(said * 1_000, LONGEST_WAIT);
}
