/** When attempts are made: what domain/retry.rs plans, for drawings. */
import type { RetryPolicy } from "../../api/types";

export interface Planned {
  /** From 1. */
  attempt: number;
  /** Milliseconds between it and the attempt before. */
  delay: number;
  /** Milliseconds since the first attempt, without jitter. */
  at: number;
}

/** Attempts of one round; none where the policy is not complete. Age ends it where it comes first. */
export function planned(policy: RetryPolicy): Planned[] {
  const delays = delaysOf(policy);
  if (!delays) return [];
  const plan: Planned[] = [{ attempt: 1, delay: 0, at: 0 }];
  let at = 0;
  for (const delay of delays) {
    at += delay;
    if (policy.maxAgeMs !== null && policy.maxAgeMs !== undefined && at > policy.maxAgeMs) break;
    plan.push({ attempt: plan.length + 1, delay, at });
  }
  return plan;
}

function delaysOf(policy: RetryPolicy): readonly number[] | undefined {
  if (policy.delaysMs) return policy.delaysMs;
  const { attempts, baseMs, factor, capMs } = policy;
  if (!attempts || !baseMs || !factor || !capMs) return undefined;
  return Array.from({ length: attempts - 1 }, (_, index) => Math.min(baseMs * factor ** index, capMs));
}

/** Where a moment stands on an axis from 0 to 1 that gives short delays room: seconds beside days. */
export function place(at: number, last: number): number {
  if (last <= 0) return 0;
  // From a tenth of a second on; what is shorter cannot be told apart.
  return Math.log10(1 + at / 100) / Math.log10(1 + last / 100);
}

/** Ticks that people know, which lie within. */
const KNOWN = [1_000, 10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000] as const;
const NAMES = ["1 s", "10 s", "1 min", "10 min", "1 h", "6 h", "1 d", "7 d"] as const;

export function ticks(last: number): { at: number; name: string }[] {
  return KNOWN.flatMap((at, index) => (at < last ? [{ at, name: NAMES[index] ?? "" }] : []));
}

/** Cool-downs as the breaker opens again and again, up to the longest. */
export function coolDowns(first: number, longest: number): number[] {
  const all: number[] = [];
  for (let wait = first; all.length < 12; wait *= 2) {
    all.push(Math.min(wait, longest));
    if (wait >= longest) break;
  }
  return all;
}
