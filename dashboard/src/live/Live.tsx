/** One stream for the whole page, for whoever wants to know of facts. */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from "react";
import { reach, type Reach } from "../api/reach";
import { Connection, type Standing } from "./connection";
import type { Fact } from "./facts";
import { Refresher } from "./refresh";

const Context = createContext<Connection | null>(null);

export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [connection] = useState(() => new Connection());
  useEffect(() => {
    const refresher = new Refresher(client);
    const unread = connection.read(refresher.note);
    const stop = connection.start();
    const stopAsking = reach.start();
    // What was asked for meanwhile is asked anew: the stream may go on as if nothing had been.
    const unreturned = reach.onReturn(() => {
      connection.again();
      refresher.note({ event: "reset", data: { reason: "returned" } });
    });
    return () => {
      stop();
      stopAsking();
      unreturned();
      unread();
      refresher.stop();
    };
  }, [client, connection]);
  return <Context value={connection}>{children}</Context>;
}

function useConnection(): Connection {
  const connection = useContext(Context);
  if (!connection) throw new Error("there is no LiveProvider around this");
  return connection;
}

export function useStanding(): Standing {
  const connection = useConnection();
  return useSyncExternalStore(connection.watch, () => connection.standing);
}

/** Whether the relay answers, and is well. */
export function useReach(): Reach {
  return useSyncExternalStore(reach.watch, () => reach.seen);
}

/** Opens the stream again where it was refused: another session may have it. */
export function useReopen(): () => void {
  return useConnection().again;
}

/** Calls `handle` with each fact while the component is shown. */
export function useFacts(handle: (fact: Fact) => void) {
  const connection = useConnection();
  const latest = useRef(handle);
  useEffect(() => {
    latest.current = handle;
  });
  useEffect(() => connection.read((fact) => latest.current(fact)), [connection]);
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
