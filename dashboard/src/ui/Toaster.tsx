/**
 * Toasts, in a corner over everything. Not Radix's: those are layers, so that one that is shown takes the
 * Escape which was meant for the dialog below. These take no key but F8, which leads to them.
 */
import { useEffect, useRef, useState } from "react";
import { Button } from "./Button";
import { cx } from "./class-names";
import { Icon } from "./Icon";
import { TONES } from "./states";
import { dismiss, shownFor, useToasts, type Toast } from "./toasts";

/** What marks them for dialogs, which a click elsewhere closes (Dialog.tsx). */
export const TOASTS = "data-toasts";

export function Toaster() {
  const toasts = useToasts();
  const list = useRef<HTMLOListElement>(null);
  const [isLooked, setLooked] = useState({ pointer: false, focus: false, away: false });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "F8") list.current?.querySelector("button")?.focus();
    };
    const look = () => setLooked((now) => ({ ...now, away: document.visibilityState === "hidden" }));
    document.addEventListener("keydown", onKey);
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("visibilitychange", look);
    };
  }, []);
  // Nobody is told when a toast that has the pointer or the focus goes.
  const isHeld = toasts.length > 0 && (isLooked.pointer || isLooked.focus || isLooked.away);
  return (
    <section aria-label="Notifications (F8)" {...{ [TOASTS]: "" }}>
      {/* Said when they come: a list that is there before is what screen readers listen to. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions */}
      <ol
        ref={list} aria-live="polite" aria-relevant="additions"
        onPointerEnter={() => setLooked((now) => ({ ...now, pointer: true }))} onPointerLeave={() => setLooked((now) => ({ ...now, pointer: false }))}
        onFocus={() => setLooked((now) => ({ ...now, focus: true }))} onBlur={() => setLooked((now) => ({ ...now, focus: false }))}
        className="pointer-events-none fixed bottom-16 right-3 z-50 flex w-88 max-w-[calc(100vw-1.5rem)] flex-col gap-2 md:bottom-4 md:right-4"
      >
        {toasts.map((one) => <One key={one.id} shown={one} isHeld={isHeld} onGone={() => setLooked((now) => ({ ...now, pointer: false, focus: false }))} />)}
      </ol>
    </section>
  );
}

function One({ shown, isHeld, onGone }: { shown: Toast; isHeld: boolean; onGone: () => void }) {
  const left = useRef(shownFor(shown));
  useEffect(() => {
    if (isHeld) return;
    const begun = Date.now();
    const timer = setTimeout(() => dismiss(shown.id), left.current);
    return () => {
      clearTimeout(timer);
      left.current -= Date.now() - begun;
    };
  }, [isHeld, shown.id]);
  const go = () => {
    dismiss(shown.id);
    onGone();
  };
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <li {...(shown.tone === "bad" ? { role: "alert" } : {})} className="appear pointer-events-auto flex items-start gap-2.5 rounded-md border bg-raised p-2.5 pl-3 shadow-pop" onKeyDown={(event) => event.key === "Escape" && go()}>
      <Icon name={shown.tone === "bad" ? "warning" : "check"} className={cx("mt-0.5", TONES[shown.tone].text)} />
      <div className="min-w-0 flex-1">
        <p className="break-words font-medium">{shown.text}</p>
        {shown.detail && <p className="break-words text-sm text-muted">{shown.detail}</p>}
      </div>
      {shown.undo && (
        <Button
          onClick={() => {
            go();
            shown.undo?.();
          }}
        >
          Undo
        </Button>
      )}
      <Button kind="quiet" icon="cross" bare unhinted className="-my-0.5 size-6" onClick={go}>Dismiss</Button>
    </li>
  );
}
