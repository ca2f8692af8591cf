/**
 * What the stream told of late, kept for pages that tell it on: attempts by the moment, and what became
 * of subscriptions as lines of a story. Bounded; gone with the page, and with the session.
 *
 * A line grows where the same goes on (an outage with its probes, a receiver that fails now and then),
 * so that a hundred facts are one line.
 */
import type { Fact, RecordedAttempt } from "./facts";

/** One bar of the picture, in milliseconds, and how many there are: two minutes. */
export const STEP = 2_000;
export const STEPS = 60;
/** Subscriptions whose attempts are counted apart; the one that was quiet for longest makes room. */
const MOST_COUNTED = 200;
/** Lines that are kept. */
const MOST_LINES = 40;
/** What happens again within this long goes on with its line … */
const GOES_ON = 60_000;
/** … unless that began longer ago than this: a line that never ends would sink out of sight. */
const LONGEST_LINE = 300_000;
/** Failures that began so shortly before a breaker opened are not told apart from it. */
const LED_TO = 10_000;
/** So long after the stream came back, what it tells first happened while it was away. */
const CATCHING_UP = 2_000;
/** Who looks is told at most this often, and of time that passes too. */
const BEAT = 1_000;

export type OutcomeGroup = "2xx" | "other" | "4xx" | "5xx" | "none";
export const OUTCOME_GROUPS: readonly OutcomeGroup[] = ["2xx", "other", "4xx", "5xx", "none"];

const NO_ANSWER = new Set(["timeout", "name", "connect", "tls", "reset", "protocol"]);

export function groupOf(attempt: Pick<RecordedAttempt, "status" | "errorKind">): OutcomeGroup {
  const { status, errorKind } = attempt;
  if (errorKind && NO_ANSWER.has(errorKind)) return "none";
  if (status === null) return "other";
  return status >= 200 && status < 300 ? "2xx" : status >= 500 && status < 600 ? "5xx" : status >= 400 && status < 500 ? "4xx" : "other";
}

export type Counts = Readonly<Record<OutcomeGroup, number>>;

/** The begin of a step, and its attempts; null where the page was not told of them. */
export interface Beat {
  at: number;
  counts: Counts | null;
}

export type What = "cut" | "recovered" | "retried" | "refused" | "lost" | "passed" | "blocked" | "state";

export interface Line {
  key: number;
  what: What;
  subscriptionId: string;
  /** When it began, and when it last went on. */
  at: number;
  last: number;
  /** Attempts, probes or deliveries, whichever the line counts. */
  times: number;
  /** Of `retried`: how many arrived at a later attempt since. */
  arrived: number;
  /** The last answer, or what failed: "500", "connect". */
  answer: string | null;
  /** Of `cut`: a probe is under way; it is over. Of `recovered`: how long it took. Of `state`, `passed`: which. */
  probing: boolean;
  over: boolean;
  tookMs: number | null;
  state: string | null;
}

const NOTHING: Counts = { "2xx": 0, other: 0, "4xx": 0, "5xx": 0, none: 0 };

export class Lately {
  readonly #now: () => number;
  /** By subscription, and of all of them under the empty name: counts by the number of the step. */
  #counts = new Map<string, Map<number, Record<OutcomeGroup, number>>>();
  #lines: readonly Line[] = [];
  #key = 0;
  /** From when on the picture is whole. */
  #since: number | undefined;
  #awayUntil = 0;
  /** The relay's clock, and its way here, behind ours: the least that was seen. */
  #behind: number | undefined;
  #latest = 0;
  #watchers = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #seen = { lines: this.#lines, beats: new Map<string, readonly Beat[]>() };

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The stream runs again after it was away; what it shows now is told from where it ended. */
  resumed = () => {
    this.#awayUntil = this.#now() + CATCHING_UP;
  };

  note = (fact: Fact) => {
    switch (fact.event) {
      case "reset":
        this.#counts.clear();
        this.#since = this.#now();
        return;
      case "attempt.recorded":
        this.#attempt(fact.data);
        return;
      case "breaker.changed":
        this.#breaker(fact.data);
        return;
      case "subscription.held":
        this.#goOn("refused", fact.data.subscriptionId, { times: 0 });
        return;
      case "delivery.settled":
        if (fact.data.status === "failed" || fact.data.status === "expired") this.#goOn("lost", fact.data.subscriptionId, {});
        return;
      case "deliveries.skipped":
      case "deliveries.expired":
      case "deliveries.cancelled":
        this.#begin("passed", fact.data.subscriptionId, { times: fact.data.count, state: fact.event.slice("deliveries.".length) });
        return;
      case "line.blocked":
        this.#begin("blocked", fact.data.subscriptionId, {});
        return;
      case "subscription.changed":
        this.#begin("state", fact.data.subscriptionId, { state: fact.data.state });
        return;
    }
  };

  /** Told of what is new, and of each second. */
  watch = (tell: () => void): (() => void) => {
    this.#watchers.add(tell);
    this.#timer ??= setInterval(this.#tell, BEAT);
    this.#look();
    return () => {
      this.#watchers.delete(tell);
      if (this.#watchers.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  };

  /** Newest first; the same object until somebody was told. */
  lines = (): readonly Line[] => this.#seen.lines;

  /** The last two minutes of a subscription, or of all, the oldest first. */
  beats = (subscription = ""): readonly Beat[] => {
    const known = this.#seen.beats.get(subscription);
    if (known) return known;
    const counts = this.#counts.get(subscription);
    const last = Math.floor(this.#now() / STEP);
    const made = Array.from({ length: STEPS }, (_, index): Beat => {
      const step = last - STEPS + 1 + index;
      const isKnown = this.#since !== undefined && (step + 1) * STEP > this.#since;
      return { at: step * STEP, counts: isKnown ? { ...(counts?.get(step) ?? NOTHING) } : null };
    });
    this.#seen.beats.set(subscription, made);
    return made;
  };

  #look() {
    this.#seen = { lines: this.#lines, beats: new Map() };
  }

  #tell = () => {
    this.#look();
    this.#watchers.forEach((tell) => tell());
  };

  /** When what is told now happened, by our clock. */
  #moment(): number {
    const now = this.#now();
    return now < this.#awayUntil ? Math.max(this.#latest, this.#since ?? 0) || now : now;
  }

  #attempt(attempt: RecordedAttempt) {
    const ended = Date.parse(attempt.startedAt) + attempt.durationMs;
    const behind = this.#now() - ended;
    this.#behind = Math.min(this.#behind ?? behind, behind);
    this.#latest = ended + this.#behind;
    const group = groupOf(attempt);
    this.#count("", group);
    this.#count(attempt.subscriptionId, group);
    if (attempt.stale) return;
    const { subscriptionId } = attempt;
    if (group === "2xx") {
      const line = this.#open("retried", subscriptionId);
      if (line && attempt.number > 1) this.#change(line, { arrived: line.arrived + 1 });
      return;
    }
    const answer = attempt.status === null ? attempt.errorKind : String(attempt.status);
    const cut = this.#lines.find((line) => line.what === "cut" && line.subscriptionId === subscriptionId && !line.over);
    // What a probe came to, the breaker tells; what was under way when it opened is part of that.
    if (cut) this.#change(cut, { answer });
    else if (attempt.status === 429) this.#goOn("refused", subscriptionId, { answer });
    else if (attempt.deliveryStatus === "pending") this.#goOn("retried", subscriptionId, { answer });
  }

  #breaker({ subscriptionId, from, to }: { subscriptionId: string; from: string; to: string }) {
    const cut = this.#lines.find((line) => line.what === "cut" && line.subscriptionId === subscriptionId && !line.over);
    const now = this.#moment();
    if (to === "open") {
      if (cut) this.#change(cut, { times: cut.times + (from === "half_open" ? 1 : 0), probing: false, last: now });
      else this.#cut(subscriptionId, from);
    } else if (to === "half_open") {
      if (cut) this.#change(cut, { probing: true, last: now });
    } else if (to === "closed") {
      if (cut) this.#change(cut, { over: true, probing: false, last: now });
      this.#begin("recovered", subscriptionId, { tookMs: cut ? now - cut.at : null });
    }
  }

  /** The failures that led to it are part of it. */
  #cut(subscriptionId: string, from: string) {
    const led = this.#open("retried", subscriptionId);
    if (led && this.#moment() - led.at < LED_TO) this.#lines = this.#lines.filter((line) => line !== led);
    this.#begin("cut", subscriptionId, { times: from === "half_open" ? 1 : 0, answer: led?.answer ?? null });
  }

  #count(subscription: string, group: OutcomeGroup) {
    const steps = this.#counts.get(subscription) ?? new Map<number, Record<OutcomeGroup, number>>();
    // The one that was told of last stands last.
    this.#counts.delete(subscription);
    this.#counts.set(subscription, steps);
    const step = Math.floor(this.#latest / STEP);
    const counts = steps.get(step) ?? { ...NOTHING };
    counts[group] += 1;
    steps.set(step, counts);
    for (const old of steps.keys()) if (old <= step - STEPS) steps.delete(old);
    const quiet = this.#counts.size > MOST_COUNTED ? [...this.#counts.keys()].find((one) => one !== "") : undefined;
    if (quiet !== undefined) this.#counts.delete(quiet);
  }

  /** The line of that kind that still goes on. */
  #open(what: What, subscriptionId: string): Line | undefined {
    const now = this.#moment();
    const line = this.#lines.find((one) => one.subscriptionId === subscriptionId && (one.what === what || one.what === "recovered" || one.what === "cut"));
    return line?.what === what && now - line.last <= GOES_ON && now - line.at <= LONGEST_LINE ? line : undefined;
  }

  #goOn(what: What, subscriptionId: string, { times = 1, answer }: { times?: number; answer?: string | null }) {
    const line = this.#open(what, subscriptionId);
    if (!line) this.#begin(what, subscriptionId, { times, answer: answer ?? null });
    else this.#change(line, { times: line.times + times, last: this.#moment(), ...(answer === undefined ? {} : { answer }) });
  }

  #begin(what: What, subscriptionId: string, fields: Partial<Line>) {
    const at = this.#moment();
    const line: Line = { times: 1, arrived: 0, answer: null, probing: false, over: false, tookMs: null, state: null, ...fields, key: ++this.#key, what, subscriptionId, at, last: at };
    this.#lines = [line, ...this.#lines].slice(0, MOST_LINES);
  }

  #change(line: Line, fields: Partial<Line>) {
    this.#lines = this.#lines.map((one) => (one === line ? { ...line, ...fields } : one));
  }
}
