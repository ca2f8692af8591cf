/** How the load went while somebody looked: one point for each time it was asked for. */
import type { System } from "../../api/types";

export interface Point {
  inFlight: number;
  windowBytes: number;
  recordLagMs: number;
  overdueMs: number;
  pending: number | null;
}

/** Points that are kept: three minutes, one each two seconds. */
export const MOST_POINTS = 90;

export interface Watched {
  system: System;
  trail: readonly Point[];
}

/** Goes on with the trail; begins a new one where another process answered. */
export function watched(before: Watched | undefined, system: System): Watched {
  const { load } = system;
  const point = { inFlight: load.inFlight.count, windowBytes: load.windowBytes.count, recordLagMs: load.recordLagMs, overdueMs: load.overdueMs, pending: load.pending ?? null };
  const isSame = before !== undefined && before.system.node.name === system.node.name && before.system.node.startedAt === system.node.startedAt;
  return { system, trail: [...(isSame ? before.trail : []), point].slice(-MOST_POINTS) };
}
