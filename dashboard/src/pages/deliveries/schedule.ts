/**
 * The attempts of the current round that were, and those that will come if each one fails: the same
 * arithmetic as the relay's (src/domain/retry.rs), without its chance.
 */
import type { Attempt } from "../../api/types";

export interface Policy {
  attempts?: number | null | undefined;
  baseMs?: number | null | undefined;
  factor?: number | null | undefined;
  capMs?: number | null | undefined;
  delaysMs?: readonly number[] | null | undefined;
  jitter?: number | null | undefined;
  maxAgeMs?: number | null | undefined;
}

export interface Coming {
  /** Of the delivery, over all rounds. */
  number: number;
  /** Milliseconds since 1970; `by` is exact for the next one, and a guess for those behind it. */
  at: number;
  /** After the one before. */
  delayMs: number;
}

export interface Drawn {
  past: readonly Attempt[];
  /** Attempts of this round that are not among those at hand. */
  missing: number;
  coming: readonly Coming[];
  /** What ends it, if nothing arrives. */
  end: "attempts" | "age" | undefined;
  /** Of all that this round may have. */
  most: number | undefined;
}

/** Attempts in all. */
export function attemptsOf(policy: Policy): number | undefined {
  return policy.delaysMs ? policy.delaysMs.length + 1 : policy.attempts ?? undefined;
}

/** After so many failed attempts; nothing where there is no further one. */
export function delayAfter(policy: Policy, failed: number): number | undefined {
  const most = attemptsOf(policy);
  if (most === undefined || failed >= most || failed < 1) return undefined;
  if (policy.delaysMs) return policy.delaysMs[failed - 1];
  if (policy.baseMs == null) return undefined;
  return Math.min(policy.baseMs * (policy.factor ?? 1) ** (failed - 1), policy.capMs ?? Infinity);
}

/** The attempts of the round that is under way. Old ones do not say theirs: then a round but the first begins with an attempt by hand. */
export function ofRound(attempts: readonly Attempt[], round: number): readonly Attempt[] {
  const moved = attempts.filter((one) => !one.stale);
  if (moved.every((one) => one.round !== null)) return moved.filter((one) => one.round === round);
  const begins = moved.flatMap((one, index) => (one.trigger === "manual" ? [index] : []));
  // Rounds that began by hand, and the first one where it had attempts.
  const seen = begins.length + 1;
  // The newest round has no attempt yet.
  if (round > 1 && seen < round && attempts[0]?.number === 1) return [];
  return moved.slice(begins.at(-1) ?? 0);
}

export function drawnSchedule(delivery: { status: string; round: number; attemptCount: number; nextRetryAt?: string | null | undefined; attempts?: readonly Attempt[] | null | undefined }, policy: Policy | undefined, now: number): Drawn {
  const at = delivery.attempts ?? [];
  const past = ofRound(at, delivery.round);
  const missing = delivery.round === 1 ? Math.max(0, delivery.attemptCount - at.filter((one) => !one.stale).length) : 0;
  const most = policy && attemptsOf(policy);
  if (delivery.status !== "pending" || !policy || most === undefined) return { past, missing, coming: [], end: undefined, most };
  const coming: Coming[] = [];
  let failed = missing + past.length;
  let aged = past.reduce((sum, one) => sum + one.durationMs, 0);
  for (let index = 1; index < failed; index += 1) aged += delayAfter(policy, index) ?? 0;
  let from = now;
  let end: Drawn["end"] = "attempts";
  for (let number = delivery.attemptCount + 1; failed < most; number += 1) {
    const planned = failed === 0 ? 0 : delayAfter(policy, failed) ?? 0;
    const isNext = coming.length === 0;
    // What is planned was granted; those behind it are held against the age.
    if (!isNext && policy.maxAgeMs != null && aged + planned > policy.maxAgeMs) {
      end = "age";
      break;
    }
    const next = isNext && delivery.nextRetryAt ? Date.parse(delivery.nextRetryAt) : Math.max(from, now) + (isNext ? 0 : planned);
    coming.push({ number, at: next, delayMs: planned });
    aged += planned;
    from = next;
    failed += 1;
  }
  return { past, missing, coming, end, most };
}
