/** What was just done, and how to undo it. A few at a time; each goes by itself, not while it is looked at. */
import { useSyncExternalStore } from "react";
import type { Tone } from "./states";

export interface Toast {
  id: number;
  tone: Tone;
  text: string;
  detail?: string | undefined;
  undo?: (() => void) | undefined;
}

const MOST = 4;
let toasts: readonly Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(changed: readonly Toast[]) {
  toasts = changed;
  listeners.forEach((tell) => tell());
}

export function toast(shown: Omit<Toast, "id" | "tone"> & { tone?: Tone }) {
  set([...toasts, { tone: "good" as const, ...shown, id: next++ }].slice(-MOST));
}

export function dismiss(id: number) {
  set(toasts.filter((one) => one.id !== id));
}

/** The next one to sign in is perhaps somebody else, who undoes nothing of this one. */
export function dismissAll() {
  set([]);
}

/** For how long one is shown, in milliseconds: longer where there is more to do about it. */
export function shownFor({ tone, undo }: Pick<Toast, "tone" | "undo">): number {
  return tone === "bad" ? 12_000 : undo ? 8_000 : 4_000;
}

export function useToasts(): readonly Toast[] {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell);
      return () => listeners.delete(tell);
    },
    () => toasts,
  );
}
