/**
 * Whether the relay answers, and whether it is well: it is asked every few seconds while somebody
 * looks, and at once where a request got no answer. A request that is merely slow says nothing. One
 * question that is not answered in time while nothing else is heard, or two that are refused one
 * after the other, say that the relay is away.
 */

/** One part of the relay, as it says itself. */
export interface Part {
  ok: boolean;
  detail?: string | undefined;
}

export interface Health {
  parts: Readonly<Record<string, Part>>;
}

export interface Reach {
  /** Since when the relay has not answered, in milliseconds since 1970; undefined where it answers. */
  awaySince: number | undefined;
  /** What it said last; undefined before it said anything. */
  health: Health | undefined;
  /** The browser itself says that it has no network. */
  offline: boolean;
}

/** Time between two questions. */
export const PACE = 5_000;
/** The same while it is away, or not well: what is over is not shown for long. */
export const PACE_TROUBLED = 1_500;
/** How long an answer may take; the relay asks its database for 2 s at most. */
export const PATIENCE = 4_000;

/** "late": nothing came in time. "heard": the same, but of others something did. "refused": it is not the relay that answers. */
type Answer = Health | "late" | "heard" | "refused";

export class Reachable {
  #seen: Reach = { awaySince: undefined, health: undefined, offline: false };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: AbortController | undefined;
  #started = 0;
  /** Since when questions were refused, one after the other. */
  #refused: number | undefined;
  /** When anything was heard of the relay last. */
  #heard = 0;
  #watchers = new Set<() => void>();
  #returns = new Set<() => void>();
  #away = new AbortController();

  get seen(): Reach {
    return this.#seen;
  }

  /** Aborted as soon as the relay is away: whoever waits for an answer of it waits in vain. */
  get lost(): AbortSignal {
    return this.#away.signal;
  }

  /** Told of each change. */
  watch = (tell: () => void): (() => void) => {
    this.#watchers.add(tell);
    return () => this.#watchers.delete(tell);
  };

  /** Told when the relay answers again. */
  onReturn = (tell: () => void): (() => void) => {
    this.#returns.add(tell);
    return () => this.#returns.delete(tell);
  };

  /** Begins to ask; what is returned ends it. */
  start = (): (() => void) => {
    this.#started += 1;
    const look = () => {
      if (document.visibilityState === "hidden") this.#rest();
      else this.#ask();
    };
    document.addEventListener("visibilitychange", look);
    window.addEventListener("online", look);
    window.addEventListener("offline", look);
    look();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#started -= 1;
      document.removeEventListener("visibilitychange", look);
      window.removeEventListener("online", look);
      window.removeEventListener("offline", look);
      if (this.#started === 0) this.#rest();
    };
  };

  /** Something came from the relay. */
  heard = (): void => {
    this.#heard = Date.now();
  };

  /** A request got no answer of the relay's: looks whether it is away, now. */
  doubt = (): void => {
    if (this.#started > 0 && document.visibilityState !== "hidden") this.#ask();
  };

  #rest() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#asking?.abort();
    this.#asking = undefined;
    this.#refused = undefined;
  }

  #ask() {
    if (this.#asking) return;
    clearTimeout(this.#timer);
    const asking = new AbortController();
    this.#asking = asking;
    void this.#answer(asking.signal).then((answer) => {
      if (this.#asking !== asking) return;
      this.#asking = undefined;
      this.#note(answer);
      const isWell = typeof answer === "object" && Object.values(answer.parts).every((part) => part.ok);
      this.#timer = setTimeout(() => this.#ask(), isWell ? PACE : PACE_TROUBLED);
    });
  }

  async #answer(outer: AbortSignal): Promise<Answer> {
    const begun = Date.now();
    const late = AbortSignal.timeout(PATIENCE);
    try {
      // Below /api, which every proxy passes on that lets the pages work.
      const response = await fetch("/api/v1/dashboard/health", { cache: "no-store", signal: AbortSignal.any([outer, late]) });
      return healthOf(await response.json()) ?? "refused";
    } catch {
      // A browser opens few connections to one host: others that wait may have kept this one back.
      if (late.aborted) return this.#heard > begun ? "heard" : "late";
      return "refused";
    }
  }

  #note(answer: Answer) {
    if (answer === "heard") return;
    const offline = !navigator.onLine;
    const now = Date.now();
    if (typeof answer === "object") {
      const wasAway = this.#seen.awaySince !== undefined;
      this.#refused = undefined;
      this.#set({ awaySince: undefined, health: answer, offline: false });
      if (wasAway) {
        this.#away = new AbortController();
        this.#returns.forEach((tell) => tell());
      }
      return;
    }
    const isFirst = this.#refused === undefined;
    this.#refused ??= now;
    if (this.#seen.awaySince === undefined && isFirst && answer === "refused" && !offline) return;
    const since = this.#seen.awaySince ?? (answer === "late" ? this.#refused - PATIENCE : this.#refused);
    const isNews = this.#seen.awaySince === undefined;
    this.#set({ ...this.#seen, awaySince: since, offline });
    if (isNews) this.#away.abort();
  }

  #set(seen: Reach) {
    if (JSON.stringify(seen) === JSON.stringify(this.#seen)) return;
    this.#seen = seen;
    this.#watchers.forEach((tell) => tell());
  }
}

/** Nothing where it is not what the relay says of itself. */
export function healthOf(answer: unknown): Health | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const { components } = answer as { components?: unknown };
  if (typeof components !== "object" || components === null) return undefined;
  return { parts: components as Record<string, Part> };
}

/** Of the relay that this page came from. */
export const reach = new Reachable();
