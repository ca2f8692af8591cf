/**
 * What the living card computes of a runtime before it draws: each gauge as a share, and in one
 * sentence what the subscription is doing. The most lasting reason comes first, as in the relay.
 */
import type { Runtime, Subscription } from "../../api/types";
import { brief, count, duration, rate } from "../../ui/format";
import type { Tone } from "../../ui/states";

export type Gate = "flowing" | "idle" | "waiting" | "held" | "probing" | "cut" | "stopped";

export interface Verdict {
  gate: Gate;
  tone: Tone;
  word: string;
  detail: string;
}

const REASONS: Record<string, string> = {
  gone: "the receiver answered 410: gone for good",
  exhausted: "too many deliveries in a row used up their attempts",
  failing: "attempts failed for too long without one success",
  backlog_full: "as much waited as its tenant may have",
  crashing: "its actor kept crashing",
};

/** Why a rule holds it, in words. */
export function reasonWords(reason: string | null | undefined): string {
  return reason ? (REASONS[reason] ?? reason.replaceAll("_", " ")) : "no reason was given";
}

const isAhead = (moment: string | null | undefined, now: number) => moment !== null && moment !== undefined && Date.parse(moment) > now;

export function verdictOf(runtime: Runtime, now: number): Verdict {
  const { state, breaker, backlog, inFlight } = runtime;
  const waits = backlog.count === 0 ? "nothing waits" : `${backlog.atLeast ? "more than " : ""}${count(backlog.count)} ${backlog.count === 1 ? "waits" : "wait"}`;
  if (state === "paused") return { gate: "stopped", tone: "held", word: "Paused", detail: `${waits}; all of it is kept` };
  if (state === "deactivated" || state === "suspended") return { gate: "stopped", tone: "bad", word: state === "deactivated" ? "Deactivated" : "Suspended", detail: backlog.count === 0 ? "what comes for it is held" : `${waits}, held until it is reactivated` };
  if (breaker.state === "open") {
    return { gate: "cut", tone: "bad", word: "Cut", detail: isAhead(breaker.nextProbeAt, now) ? `the breaker is open after too many failures: nothing is sent; ${waits}` : `the breaker is about to probe; ${waits}` };
  }
  if (breaker.state === "half_open") return { gate: "probing", tone: "probing", word: "Probing", detail: `one attempt at a time tries the receiver; ${waits}` };
  if (isAhead(runtime.holdUntil, now)) return { gate: "held", tone: "held", word: "Held", detail: `the receiver asked to be left alone; ${waits}` };
  if (backlog.blocked) return { gate: "waiting", tone: "busy", word: "Line blocked", detail: `a line waits behind a failed delivery; ${waits}` };
  if (runtime.tokensLeft === 0 && backlog.count > 0) return { gate: "waiting", tone: "busy", word: "Paced", detail: `its rate is used up for the moment; ${waits}` };
  const perSecond = runtime.drain.perSecond ?? 0;
  if (perSecond > 0 || (inFlight.count ?? 0) > 0) return { gate: "flowing", tone: "good", word: "Flowing", detail: `${rate(perSecond)} a second of late; ${waits}` };
  return backlog.count > 0
    ? { gate: "waiting", tone: "busy", word: "Waiting", detail: `${waits} for ${backlog.count === 1 ? "its" : "their"} next attempt` }
    : { gate: "idle", tone: "good", word: "Idle", detail: "ready for the next event" };
}

/** 0 to 1: how full the picture of a backlog is. Each tenfold is a step; what is counted ends at 10,000. */
export function backlogLevel(pending: number): number {
  return pending <= 0 ? 0 : Math.min(1, (Math.log10(pending) + 0.6) / 4.6);
}

export interface Slots {
  /** Marks that are drawn; one stands for `each` slots. */
  marks: number;
  each: number;
  busy: number;
  /** Marks that the ramp after a recovery allows. */
  open: number;
}

const MOST_MARKS = 64;

export function slotsOf(inFlight: Runtime["inFlight"]): Slots {
  const each = Math.ceil(inFlight.most / MOST_MARKS);
  const marksFor = (slots: number) => Math.ceil(slots / each);
  const marks = marksFor(inFlight.most);
  return {
    marks, each,
    busy: Math.min(marks, marksFor(inFlight.count ?? 0)),
    open: inFlight.ramp === null || inFlight.ramp === undefined ? marks : Math.min(marks, marksFor(inFlight.ramp)),
  };
}

/** Columns that marks stand in: near to a square, and full rows where there is such a number. */
export function columnsFor(marks: number): number {
  const least = Math.max(1, Math.ceil(Math.sqrt(marks)));
  for (let across = least; across <= least * 2; across += 1) if (marks % across === 0) return across;
  return least;
}

export interface Tokens {
  left: number;
  most: number;
  perSecond: number;
  /** "10 a second", "600 a minute". */
  words: string;
}

const PERIODS: Record<number, string> = { 1_000: "a second", 60_000: "a minute", 3_600_000: "an hour", 86_400_000: "a day" };

/** The bucket of the rate limit; nothing where there is none. */
export function tokensOf(runtime: Runtime, limit: Subscription["rateLimit"]): Tokens | undefined {
  if (!limit) return undefined;
  const period = limit.periodMs ?? 1_000;
  const perSecond = (limit.limit * 1_000) / period;
  const most = limit.burst ?? Math.min(100_000, Math.max(1, Math.ceil(perSecond)));
  return { left: Math.min(most, runtime.tokensLeft ?? most), most, perSecond, words: `${count(limit.limit)} ${PERIODS[period] ?? `in ${duration(period)}`}` };
}

/** 1 to 0 while a breaker's cool-down passes. Its spread makes it up to a fifth shorter than planned. */
export function coolDownLeft(until: string, openedInARow: number, first: number, longest: number, now: number): number {
  const whole = Math.min(longest, first * 2 ** Math.max(0, openedInARow - 1));
  return Math.max(0, Math.min(1, (Date.parse(until) - now) / whole));
}

/** "oldest 12s", and how long the rest will take. */
export function backlogWords(runtime: Runtime): string {
  const { backlog, drain } = runtime;
  if (backlog.count === 0) return "nothing waits";
  const oldest = backlog.oldestAgeMs === null || backlog.oldestAgeMs === undefined ? "" : `oldest ${brief(backlog.oldestAgeMs)}`;
  if (drain.estimateMs === null || drain.estimateMs === undefined) return oldest;
  return `${oldest}, gone in ${drain.estimateMs < 1_000 ? "1 s" : duration(drain.estimateMs)}`;
}
