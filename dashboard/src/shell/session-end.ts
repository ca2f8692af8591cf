/**
 * What becomes of a page whose session has ended. Where nothing was typed, it gives way to the sign-in
 * page and is come back to. Where something was, it stays, and asks for the password over it.
 */
import { useSyncExternalStore } from "react";

let typed = false;
let asking = false;
const listeners = new Set<() => void>();

function set(next: boolean) {
  asking = next;
  listeners.forEach((tell) => tell());
}

/** Notes what is typed, until one goes to another page. What is looked for stands in the address, and is not lost. */
export function watchTyping(router: { subscribe: (event: "onResolved", tell: (change: { pathChanged: boolean }) => void) => () => void }): () => void {
  const onInput = (event: Event) => {
    if (event.target instanceof HTMLInputElement && event.target.type === "search") return;
    typed = true;
  };
  document.addEventListener("input", onInput, true);
  const unheard = router.subscribe("onResolved", ({ pathChanged }) => {
    if (pathChanged) typed = false;
  });
  return () => {
    document.removeEventListener("input", onInput, true);
    unheard();
    typed = false;
  };
}

/** Whether the page stays, and asks. Called when its session has ended. */
export function askToSignInAgain(): boolean {
  if (typed) set(true);
  return typed;
}

/** Somebody is signed in again, or goes to the sign-in page. */
export function doneAsking() {
  set(false);
}

export function useAsking(): boolean {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell);
      return () => listeners.delete(tell);
    },
    () => asking,
  );
}
