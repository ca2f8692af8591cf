/** Shortcuts of the whole page: single keys, and `g` followed by another. Never while one types. */
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useSession } from "../api/session";
import { keyPair } from "./key-pair";
import { maySee, PLACES } from "./places";

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export function useKeys({ onPalette, onHelp }: { onPalette: () => void; onHelp: () => void }) {
  const navigate = useNavigate();
  const session = useSession();
  // Outlives a session that is read anew between two keys.
  const [step] = useState(() => keyPair("g"));
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        onPalette();
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
      // Behind an open dialog nothing is done, and a menu's keys are its own.
      if (document.querySelector('[role="dialog"], [role="menu"]')) return;
      const now = step(event.key, event.timeStamp);
      if (now === "second") {
        const place = PLACES.find((one) => one.key === event.key && maySee(session, one));
        if (place) {
          event.preventDefault();
          void navigate({ to: place.to });
        }
      } else if (event.key === "?") onHelp();
      else if (event.key === "/") {
        const search = document.querySelector<HTMLInputElement>('input[type="search"]');
        event.preventDefault();
        if (search) search.focus();
        else onPalette();
      }
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [navigate, onHelp, onPalette, session, step]);
}
