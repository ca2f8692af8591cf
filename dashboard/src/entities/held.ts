/** What holds a pending delivery back, in words (docs/search.md). */

const HELD: Record<string, string> = {
  paused: "The subscription is paused",
  deactivated: "The subscription is deactivated",
  suspended: "The subscription is suspended",
  retry_after: "The receiver asked to be left alone",
  retry_at: "It waits for its next attempt",
  rate_limit: "The subscription's rate is used up",
  in_flight: "An attempt is being made right now",
  max_in_flight: "As many attempts as may be are in flight",
  node_at_bound: "The node is at its bounds",
  breaker_open: "The breaker is open",
  breaker_probing: "The breaker is probing",
  blocked_line: "A failed delivery of the same key has to be dealt with first",
  behind_in_line: "Others of the same key come first",
};

export function heldWords(by: string): string {
  return HELD[by] ?? `Held: ${by.replaceAll("_", " ")}`;
}
