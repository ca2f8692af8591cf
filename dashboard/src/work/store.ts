/**
 * What was set going on many deliveries and is to be watched to its end, wherever one goes meanwhile.
 * Jobs are the relay's and go on without us; runs are ours, and end with the page.
 */
import { useSyncExternalStore } from "react";
import { begun, runAll, type Count } from "./run";

export interface Run {
  kind: "run";
  id: number;
  /** "Cancel 12 deliveries". */
  title: string;
  /** "cancelled", as in "12 cancelled". */
  verb: string;
  count: Count;
  state: "running" | "ended" | "stopped";
  stop: () => void;
}

export interface WatchedJob {
  kind: "job";
  id: number;
  jobId: string;
  /** Of the subscription. */
  name: string;
}

export type Work = Run | WatchedJob;

const MOST = 20;
let works: readonly Work[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(changed: readonly Work[]) {
  works = changed;
  listeners.forEach((tell) => tell());
}

const isRunning = (one: Work) => one.kind === "run" && one.state === "running";

function add(work: Work) {
  // The oldest is forgotten first; but runs of ours that go on would lose who could stop them.
  const oldest = works.length < MOST ? undefined : works.find((one) => one.kind === "job" || one.state !== "running");
  set([...works.filter((one) => one !== oldest), work]);
}

/** A run ends with its page: whoever closes it is asked. */
function askBeforeLeaving(event: BeforeUnloadEvent) {
  event.preventDefault();
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Calls for each item, a few at a time; told when it is over. */
export function startRun<T>({ title, verb, items, call, onEnd }: { title: string; verb: string; items: readonly T[]; call: (item: T) => Promise<void>; onEnd?: (count: Count) => void }) {
  const id = next++;
  const stopper = new AbortController();
  const change = (changed: Partial<Run>) => set(works.map((one) => (one.kind === "run" && one.id === id ? { ...one, ...changed } : one)));
  if (!works.some(isRunning)) window.addEventListener("beforeunload", askBeforeLeaving);
  add({ kind: "run", id, title, verb, count: begun(items.length), state: "running", stop: () => stopper.abort() });
  void runAll(items, call, (count) => change({ count }), stopper.signal, wait).then((count) => {
    change({ count, state: stopper.signal.aborted && count.done + count.refused < count.total ? "stopped" : "ended" });
    if (!works.some(isRunning)) window.removeEventListener("beforeunload", askBeforeLeaving);
    onEnd?.(count);
  });
}

export function watchJob(jobId: string, name: string) {
  if (!works.some((one) => one.kind === "job" && one.jobId === jobId)) add({ kind: "job", id: next++, jobId, name });
}

export function forget(id: number) {
  set(works.filter((one) => one.id !== id));
}

/** When somebody else may sign in. */
export function forgetAll() {
  works.forEach((one) => one.kind === "run" && one.stop());
  set([]);
}

export function useWorks(): readonly Work[] {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell);
      return () => listeners.delete(tell);
    },
    () => works,
  );
}
