/** Where an attempt's time went, as shares of it. What is not accounted for is shown as well. */
import type { Attempt } from "../../api/types";

export interface Part {
  name: string;
  ms: number;
  /** Of the whole, 0 to 1. */
  share: number;
  mark: string;
}

const PARTS = [
  ["nameMs", "Name look-up", "bg-held-mark"],
  ["connectMs", "Connect", "bg-probing-mark"],
  ["tlsMs", "TLS", "bg-busy-mark"],
  ["firstByteMs", "First byte", "bg-accent"],
  ["bodyMs", "Body", "bg-good-mark"],
] as const;

export function timingParts(attempt: Pick<Attempt, "timing" | "durationMs">): Part[] {
  const known = PARTS.flatMap(([field, name, mark]) => {
    const ms = attempt.timing[field];
    return ms === null || ms === undefined ? [] : [{ name, ms, mark }];
  });
  const sum = known.reduce((total, part) => total + part.ms, 0);
  const rest = attempt.durationMs - sum;
  // The engine's own microseconds are nobody's concern; a wait that led nowhere is.
  const parts = rest > Math.max(1, attempt.durationMs * 0.05) ? [...known, { name: "Waiting", ms: rest, mark: "bg-quiet-mark" }] : known;
  const whole = parts.reduce((total, part) => total + part.ms, 0);
  return parts.map((part) => ({ ...part, share: whole === 0 ? 0 : part.ms / whole }));
}
