/** Whether the relay has another dashboard by now than the one that runs here. */
import { useEffect, useRef, useState } from "react";
import { PATIENCE } from "../api/reach";
import { useStanding } from "../live/Live";

/** Looked at most once in this time: where a proxy cuts streams, they are opened again all the time. */
const LOOKS_APART = 60_000;

/** The files that the page names; each has the hash of its content in its name. */
function filesOf(page: ParentNode): string[] {
  const named = page.querySelectorAll("head script[src], body script[src], head link[href]");
  return [...named].map((one) => one.getAttribute("src") ?? one.getAttribute("href") ?? "").filter((name) => name.startsWith("/ui/assets/"));
}

/** Whether `page`, as the relay sends it now, leads to other files than these. */
export function isOther(page: string, own: readonly string[]): boolean {
  const files = filesOf(new DOMParser().parseFromString(page, "text/html"));
  return files.length > 0 && !files.every((name) => own.includes(name));
}

/** Looks each time the stream was lost and is back: a relay that was updated was away. */
export function useUpdated(): boolean {
  const standing = useStanding();
  const [updated, setUpdated] = useState(false);
  const looked = useRef(0);
  useEffect(() => {
    if (updated || standing !== "live" || Date.now() - looked.current < LOOKS_APART) return;
    looked.current = Date.now();
    const stop = new AbortController();
    const look = async () => {
      const response = await fetch("/ui/", { signal: AbortSignal.any([stop.signal, AbortSignal.timeout(PATIENCE)]) });
      if (response.ok && isOther(await response.text(), filesOf(document))) setUpdated(true);
    };
    // Not answered is no news; it is looked again with the next stream.
    look().catch(() => undefined);
    return () => stop.abort();
  }, [standing, updated]);
  return updated;
}
