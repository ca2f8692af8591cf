/** What the stream says (docs/stream.md). */

interface Of<E extends string, D> {
  event: E;
  data: D;
}

export interface AcceptedEvent {
  eventId: string;
  eventType: string;
  eventName: string | null;
  source: string | null;
  tenant: string | null;
  receivedAt: string;
}

export interface RecordedAttempt {
  attemptId: string;
  deliveryId: string;
  eventId: string;
  subscriptionId: string;
  number: number;
  trigger: string;
  startedAt: string;
  durationMs: number;
  status: number | null;
  error: string | null;
  errorKind: string | null;
  deliveryStatus: string | null;
  nextRetryAt: string | null;
  stale: boolean;
}

export type Fact =
  | Of<"event.accepted", AcceptedEvent>
  | Of<"attempt.recorded", RecordedAttempt>
  | Of<"delivery.settled", { deliveryId: string; eventId: string; subscriptionId: string; status: string }>
  | Of<"deliveries.cancelled" | "deliveries.skipped" | "deliveries.expired", { subscriptionId: string; count: number }>
  | Of<"line.blocked", { subscriptionId: string }>
  | Of<"job.moved", { jobId: string }>
  | Of<"subscription.changed", { subscriptionId: string; state: string }>
  | Of<"subscription.held", { subscriptionId: string; until: string }>
  | Of<"breaker.changed", { subscriptionId: string; from: string; to: string }>
  /** Something may have been missed: everything shown is asked for anew. */
  | Of<"reset", { reason: string }>;

const KNOWN = new Set<string>([
  "event.accepted", "attempt.recorded", "delivery.settled", "deliveries.cancelled", "deliveries.skipped", "deliveries.expired",
  "line.blocked", "job.moved", "subscription.changed", "subscription.held", "breaker.changed", "reset",
] satisfies Fact["event"][]);

/** The fact that a message holds; nothing where it is none that we know. */
export function factOf(event: string, data: string): Fact | undefined {
  if (!KNOWN.has(event)) return undefined;
  try {
    return { event, data: JSON.parse(data) as unknown } as Fact;
  } catch {
    return undefined;
  }
}
