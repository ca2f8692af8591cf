/**
 * Brings what is shown up to date after facts. A fact only marks what it touched; marks are acted
 * upon at most once in `PACE`, so that a thousand facts a second cost what one costs.
 *
 * Every query's key begins with the thing that it shows ("overview", "events", "event", "deliveries",
 * "delivery", "subscriptions", "subscription", "jobs"); with an id behind it, it shows one. What is summed
 * over time ("series", "stats", "sparklines", "breakers") is not touched by facts, which come all the time: it is
 * asked for at its own pace.
 */
import type { QueryClient, QueryKey } from "@tanstack/react-query";
import type { Fact } from "./facts";

export const PACE = 1_000;
/** Marks kept; past it everything is asked anew, which costs less than to keep on counting. */
const MOST = 200;

/** The keys that a fact touches. Lists of events bring themselves up to date by the fact alone. */
export function touched(fact: Fact): QueryKey[] {
  switch (fact.event) {
    case "event.accepted":
      return [["overview"]];
    case "attempt.recorded":
    case "delivery.settled":
      return [
        ["overview"], ["deliveries"], ["delivery", fact.data.deliveryId], ["event", fact.data.eventId],
        ["subscription", fact.data.subscriptionId, "runtime"],
      ];
    case "deliveries.cancelled":
    case "deliveries.skipped":
    case "deliveries.expired":
    case "line.blocked":
      return [["overview"], ["deliveries"], ["delivery"], ["event"], ["subscription", fact.data.subscriptionId]];
    case "job.moved":
      return [["jobs"]];
    case "subscription.changed":
      return [["overview"], ["subscriptions"], ["subscription-heads"], ["subscription", fact.data.subscriptionId], ["delivery"]];
    case "subscription.held":
    case "breaker.changed":
      // They hold deliveries back, or let them go; which ones, no fact says.
      return [["overview"], ["breakers"], ["subscription", fact.data.subscriptionId], ["delivery"]];
    case "reset":
      return [[]];
  }
}

export class Refresher {
  readonly #client: QueryClient;
  #marks = new Map<string, QueryKey>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: QueryClient) {
    this.#client = client;
  }

  note = (fact: Fact) => {
    for (const key of touched(fact)) this.#marks.set(JSON.stringify(key), key);
    if (this.#marks.size > MOST) this.#marks = new Map([["[]", []]]);
    this.#timer ??= setTimeout(() => this.#act(), PACE);
  };

  stop = () => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#marks.clear();
  };

  #act() {
    this.#timer = undefined;
    const marks = [...this.#marks.values()];
    this.#marks.clear();
    const all = marks.some((key) => key.length === 0);
    void this.#client.invalidateQueries({
      // What is being asked for is not asked twice at once.
      predicate: ({ queryKey }) => queryKey[0] !== "session" && (all || marks.some((mark) => mark.every((part, index) => queryKey[index] === part))),
    }, { cancelRefetch: false });
  }
}
