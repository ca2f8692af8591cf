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

export function useToasts(): readonly Toast[] {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell);
      return () => listeners.delete(tell);
    },
    () => toasts,
  );
}
