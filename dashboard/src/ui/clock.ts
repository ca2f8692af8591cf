/**
 * One clock for all times on the page: a hundred relative times cost one timer, and change together.
 * It goes by the relay, whose moments it is compared with: the viewer's own may be minutes wrong.
 */
import { useSyncExternalStore } from "react";

/** Milliseconds that the relay's clock is ahead of ours. */
let ahead = 0;
const listeners = new Set<() => void>();
let now = Date.now();

/**
 * An answer was dated so (to the second, as HTTP has it), between two moments of our own clock. Corrects
 * by no more than is certain: clocks that agree within what the way takes are left alone.
 */
export function noteServerTime(dated: number, asked: number, got: number) {
  if (!Number.isFinite(dated)) return;
  ahead = Math.min(Math.max(ahead, dated - got), dated + 1_000 - asked);
}

/** Now, by the relay's clock; in milliseconds since 1970. */
export function serverNow(): number {
  return Date.now() + ahead;
}
let timer: ReturnType<typeof setInterval> | undefined;

function tick() {
  now = serverNow();
  listeners.forEach((tell) => tell());
}

function subscribe(tell: () => void) {
  listeners.add(tell);
  if (timer === undefined) {
    now = serverNow();
    timer = setInterval(tick, 1_000);
  }
  return () => {
    listeners.delete(tell);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** By the relay's clock, to the second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}
