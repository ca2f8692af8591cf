/**
 * The stream of one page, kept up: it comes back after a loss with the last id, so that nothing is
 * missed, and rests while nobody looks. Where it is away for longer than `PATIENCE`, pages poll.
 */
import { request } from "../api/client";
import { Problem } from "../api/problem";
import { reach } from "../api/reach";
import { factOf, type Fact } from "./facts";
import { MessageParser } from "./sse";

/** `live`: the stream runs. `polling`: it does not, and pages ask by themselves. `resting`: nobody looks. */
export type Standing = "connecting" | "live" | "polling" | "resting" | "refused";

/** How long a page waits for the stream before it polls. */
const PATIENCE = 4_000;
/** Heartbeats come more often than this (`stream.heartbeat_ms`, 15 s). */
const SILENCE = 40_000;
const LONGEST_WAIT = 15_000;

export class Connection {
  #standing: Standing = "connecting";
  #lastId: string | undefined;
  #stop: AbortController | undefined;
  #patience: ReturnType<typeof setTimeout> | undefined;
  /** Ends the wait before the next try. */
  #wake = () => {};
  #readers = new Set<(fact: Fact) => void>();
  #watchers = new Set<() => void>();

  get standing(): Standing {
    return this.#standing;
  }

  /** Told of each change of the standing. */
  watch = (tell: () => void): (() => void) => {
    this.#watchers.add(tell);
    return () => this.#watchers.delete(tell);
  };

  /** Told of each fact. */
  read = (tell: (fact: Fact) => void): (() => void) => {
    this.#readers.add(tell);
    return () => this.#readers.delete(tell);
  };

  /** Begins; what is returned ends it. */
  start(): () => void {
    const look = () => {
      if (document.visibilityState === "hidden") this.#rest();
      else if (!this.#stop) this.#begin();
    };
    document.addEventListener("visibilitychange", look);
    look();
    return () => {
      document.removeEventListener("visibilitychange", look);
      this.#rest();
    };
  }

  /** There is reason to think that the stream can be had now: also where it was refused. */
  again = (): void => {
    if (this.#standing === "resting") return;
    if (this.#standing === "refused") {
      this.#standing = "connecting";
      this.#begin();
    }
    this.#wake();
  };

  #set(standing: Standing) {
    if (standing === this.#standing) return;
    this.#standing = standing;
    this.#watchers.forEach((tell) => tell());
  }

  #rest() {
    clearTimeout(this.#patience);
    this.#stop?.abort();
    this.#stop = undefined;
    this.#set("resting");
  }

  #begin() {
    const stop = new AbortController();
    this.#stop = stop;
    this.#lose();
    void this.#keep(stop.signal);
  }

  /** The stream is away: after a while pages poll. */
  #lose() {
    if (this.#standing === "polling" || this.#standing === "refused") return;
    this.#set("connecting");
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#set("polling"), PATIENCE);
  }

  async #keep(signal: AbortSignal) {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#run(signal, () => (failures = 0));
      } catch (failure) {
        if (signal.aborted) return;
        if (failure instanceof Problem && (failure.status === 401 || failure.status === 403)) {
          clearTimeout(this.#patience);
          this.#set("refused");
          return;
        }
      }
      if (signal.aborted) return;
      this.#lose();
      failures += 1;
      const wait = Math.min(LONGEST_WAIT, 400 * 2 ** Math.min(failures, 6));
      await this.#pause(wait * (0.5 + Math.random() / 2), signal);
    }
  }

  /** One stream, to its end. */
  async #run(outer: AbortSignal, onOpen: () => void) {
    const silent = new AbortController();
    let alarm = setTimeout(() => silent.abort(), SILENCE);
    const headers = new Headers({ accept: "text/event-stream" });
    if (this.#lastId) headers.set("Last-Event-ID", this.#lastId);
    try {
      const signal = AbortSignal.any([outer, silent.signal]);
      const response = await request(new Request(new URL("/api/v1/stream", window.location.origin), { headers, signal }));
      if (!response.body) throw new Error("the stream has no body");
      const reader = response.body.getReader();
      const text = new TextDecoder();
      const parser = new MessageParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        reach.heard();
        clearTimeout(alarm);
        alarm = setTimeout(() => silent.abort(), SILENCE);
        for (const message of parser.push(text.decode(value, { stream: true }))) {
          if (message.event === "hello") {
            onOpen();
            clearTimeout(this.#patience);
            // What happened before the first stream is in what pages asked for meanwhile or ask now.
            if (this.#lastId === undefined) this.#tell({ event: "reset", data: { reason: "begun" } });
            this.#set("live");
          }
          if (message.event === "dropped" || message.event === "closed") {
            if (message.event === "dropped") this.#tell({ event: "reset", data: { reason: "behind" } });
            return;
          }
          const fact = factOf(message.event, message.data);
          if (fact) this.#tell(fact);
        }
        this.#lastId = parser.lastId ?? this.#lastId;
      }
    } finally {
      clearTimeout(alarm);
    }
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener("abort", end);
      this.#wake = end;
    });
  }

  #tell(fact: Fact) {
    this.#readers.forEach((tell) => tell(fact));
  }
}
