/** What sending a selection again comes to: by jobs, one or more a subscription, or one by one. */
import type { DeliveryRow } from "./rows";

/** So many are simply sent one by one. */
export const FEW = 10;
/** Events that one job may name. */
export const MOST_OF_A_JOB = 1_000;

export interface JobPlan {
  key: string;
  subscriptionId: string;
  eventIds: readonly string[];
}

export interface Plan {
  jobs: readonly JobPlan[];
  /** A job leaves those that are pending alone. */
  pending: number;
  /** Their receivers get them once more. */
  delivered: number;
}

export function planOf(rows: readonly DeliveryRow[]): Plan {
  const bySubscription = new Map<string, string[]>();
  let pending = 0;
  let delivered = 0;
  for (const row of rows) {
    if (row.status === "pending") {
      pending += 1;
      continue;
    }
    if (row.status === "delivered") delivered += 1;
    const events = bySubscription.get(row.subscriptionId);
    if (events) events.push(row.eventId);
    else bySubscription.set(row.subscriptionId, [row.eventId]);
  }
  const jobs = [...bySubscription].flatMap(([subscriptionId, events]) =>
    Array.from({ length: Math.ceil(events.length / MOST_OF_A_JOB) }, (_, index): JobPlan => ({
      key: `${subscriptionId}-${index}`, subscriptionId, eventIds: events.slice(index * MOST_OF_A_JOB, (index + 1) * MOST_OF_A_JOB),
    })));
  return { jobs, pending, delivered };
}
