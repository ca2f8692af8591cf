/**
 * What a state looks like, everywhere: a tone, a picture and a word. A delivery that is pending is
 * shown as what holds it, where that is known: "retrying" after a failed attempt.
 */
import type { IconName } from "./Icon";

export type Tone = "good" | "busy" | "bad" | "held" | "probing" | "quiet";

export interface Look {
  tone: Tone;
  icon: IconName;
  word: string;
}

const LOOKS = {
  // Deliveries.
  pending: { tone: "quiet", icon: "clock", word: "Pending" },
  retrying: { tone: "busy", icon: "retry", word: "Retrying" },
  failing: { tone: "busy", icon: "warning", word: "Failing" },
  delivered: { tone: "good", icon: "check", word: "Delivered" },
  failed: { tone: "bad", icon: "cross", word: "Failed" },
  expired: { tone: "bad", icon: "clock", word: "Expired" },
  cancelled: { tone: "quiet", icon: "stop", word: "Cancelled" },
  skipped: { tone: "held", icon: "skip", word: "Skipped" },
  held: { tone: "held", icon: "held", word: "Held" },
  // Subscriptions.
  active: { tone: "good", icon: "check", word: "Active" },
  paused: { tone: "held", icon: "pause", word: "Paused" },
  deactivated: { tone: "bad", icon: "stop", word: "Deactivated" },
  suspended: { tone: "bad", icon: "warning", word: "Suspended" },
  deleted: { tone: "quiet", icon: "trash", word: "Deleted" },
  // Keys, tenants, types of events, users, actors.
  revoked: { tone: "quiet", icon: "stop", word: "Revoked" },
  inactive: { tone: "held", icon: "pause", word: "Inactive" },
  archived: { tone: "quiet", icon: "stop", word: "Archived" },
  invited: { tone: "probing", icon: "clock", word: "Invited" },
  disabled: { tone: "held", icon: "stop", word: "Disabled" },
  restarting: { tone: "busy", icon: "retry", word: "Restarting" },
  // Breakers.
  closed: { tone: "good", icon: "check", word: "Flowing" },
  open: { tone: "bad", icon: "cut", word: "Cut" },
  half_open: { tone: "probing", icon: "probe", word: "Probing" },
  // Parts of the relay.
  ok: { tone: "good", icon: "check", word: "Well" },
  degraded: { tone: "busy", icon: "warning", word: "Degraded" },
  unavailable: { tone: "bad", icon: "cross", word: "Unavailable" },
  // Nodes, and who owns a partition.
  delivering: { tone: "good", icon: "send", word: "Delivering" },
  standby: { tone: "quiet", icon: "clock", word: "Standing by" },
  ingest: { tone: "good", icon: "events", word: "Accepting" },
  lost: { tone: "bad", icon: "cross", word: "Lost" },
  owned: { tone: "good", icon: "check", word: "Owned" },
  unowned: { tone: "bad", icon: "cross", word: "Nobody's" },
  // Jobs; cancelled and failed are as of deliveries.
  queued: { tone: "quiet", icon: "clock", word: "Queued" },
  running: { tone: "probing", icon: "play", word: "Running" },
  completed: { tone: "good", icon: "check", word: "Completed" },
  // Explanations.
  unmatched: { tone: "quiet", icon: "filter", word: "Not matched" },
} as const satisfies Record<string, Look>;

/** The look of a state; a word that is not known here is shown as it came. */
export function lookOf(state: string): Look {
  const known: Record<string, Look> = LOOKS;
  return known[state] ?? { tone: "quiet", icon: "dots", word: state.replaceAll("_", " ") };
}

/** What a delivery is doing. */
export function deliveryState(delivery: { status: string; attemptCount: number }): string {
  return delivery.status === "pending" && delivery.attemptCount > 0 ? "retrying" : delivery.status;
}

/** Classes by tone: text with its soft ground, and the mark that fills bars and dots. */
export const TONES: Record<Tone, { chip: string; text: string; mark: string; stroke: string }> = {
  good: { chip: "bg-good-soft text-good", text: "text-good", mark: "bg-good-mark", stroke: "--good-mark" },
  busy: { chip: "bg-busy-soft text-busy", text: "text-busy", mark: "bg-busy-mark", stroke: "--busy-mark" },
  bad: { chip: "bg-bad-soft text-bad", text: "text-bad", mark: "bg-bad-mark", stroke: "--bad-mark" },
  held: { chip: "bg-held-soft text-held", text: "text-held", mark: "bg-held-mark", stroke: "--held-mark" },
  probing: { chip: "bg-probing-soft text-probing", text: "text-probing", mark: "bg-probing-mark", stroke: "--probing-mark" },
  quiet: { chip: "bg-quiet-soft text-quiet", text: "text-quiet", mark: "bg-quiet-mark", stroke: "--quiet-mark" },
};
