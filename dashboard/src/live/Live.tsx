/** One stream for the whole page, for whoever wants to know of facts. */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from "react";
import { reach, type Reach } from "../api/reach";
import { Connection, type Standing } from "./connection";
import type { Fact } from "./facts";
import { Lately, type Beat, type Line } from "./lately";
import { Refresher } from "./refresh";

interface Live {
  connection: Connection;
  lately: Lately;
}

const Context = createContext<Live | null>(null);

export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [live] = useState<Live>(() => ({ connection: new Connection(), lately: new Lately() }));
  useEffect(() => {
    const { connection, lately } = live;
    const refresher = new Refresher(client);
    const ends = [
      connection.read(refresher.note),
      connection.read(lately.note),
      connection.watch(() => connection.standing === "live" && lately.resumed()),
      connection.start(),
      // What was asked for meanwhile is asked anew: the stream may go on as if nothing had been.
      reach.onReturn(() => {
        connection.again();
        refresher.note({ event: "reset", data: { reason: "returned" } });
      }),
      reach.start(),
    ];
    return () => {
      ends.reverse().forEach((end) => end());
      refresher.stop();
    };
  }, [client, live]);
  return <Context value={live}>{children}</Context>;
}

function useLive(): Live {
  const live = useContext(Context);
  if (!live) throw new Error("there is no LiveProvider around this");
  return live;
}

export function useStanding(): Standing {
  const { connection } = useLive();
  return useSyncExternalStore(connection.watch, () => connection.standing);
}

/** Whether the relay answers, and is well. */
export function useReach(): Reach {
  return useSyncExternalStore(reach.watch, () => reach.seen);
}

/** Opens the stream again where it was refused: another session may have it. */
export function useReopen(): () => void {
  return useLive().connection.again;
}

/** Calls `handle` with each fact while the component is shown. */
export function useFacts(handle: (fact: Fact) => void) {
  const { connection } = useLive();
  const latest = useRef(handle);
  useEffect(() => {
    latest.current = handle;
  });
  useEffect(() => connection.read((fact) => latest.current(fact)), [connection]);
}

/** What the stream told of since the page was opened, newest first. */
export function useLines(): readonly Line[] {
  const { lately } = useLive();
  return useSyncExternalStore(lately.watch, lately.lines);
}

/** The attempts of the last two minutes, of one subscription or of all. */
export function useBeats(subscription?: string): readonly Beat[] {
  const { lately } = useLive();
  return useSyncExternalStore(lately.watch, () => lately.beats(subscription));
}

/**
 * How often a query asks by itself, for `refetchInterval`: `live` milliseconds while the stream runs
 * (false: facts suffice), every 5 s while it does not, and never while nobody looks.
 */
export function useInterval(live: number | false = false): number | false {
  const standing = useStanding();
  if (standing === "resting") return false;
  return standing === "live" || standing === "connecting" ? live : 5_000;
}
