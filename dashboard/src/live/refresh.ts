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
/** Marks kept; past it whole kinds of things are marked: what is open of them is asked for without need, and nothing else. */
export const MOST = 10_000;

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

/** The key of a mutation that deletes what queries with this beginning show. */
export function deleting(...thing: QueryKey): QueryKey {
  return ["delete", ...thing];
}

export class Refresher {
  readonly #client: QueryClient;
  /** Keys that are touched, as text; a query is where one of them is its key or begins it. */
  #marks = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: QueryClient) {
    this.#client = client;
  }

  note = (fact: Fact) => {
    for (const key of touched(fact)) this.#marks.add(JSON.stringify(key));
    if (this.#marks.size > MOST) this.#marks = new Set([...this.#marks].map((mark) => JSON.stringify((JSON.parse(mark) as QueryKey).slice(0, 1))));
    this.#timer ??= setTimeout(() => this.#act(), PACE);
  };

  stop = () => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#marks.clear();
  };

  #act() {
    this.#timer = undefined;
    const marks = this.#marks;
    this.#marks = new Set();
    const isMarked = (key: QueryKey) => Array.from({ length: key.length + 1 }, (_, length) => JSON.stringify(key.slice(0, length))).some((begin) => marks.has(begin));
    // The fact that something is gone comes before the answer to who deleted it: it would be asked for in vain.
    const isGoing = (key: QueryKey) => this.#client.isMutating({ mutationKey: deleting(...key.slice(0, 2)) }) > 0;
    void this.#client.invalidateQueries({
      // What is being asked for is not asked twice at once.
      predicate: ({ queryKey }) => queryKey[0] !== "session" && isMarked(queryKey) && !isGoing(queryKey),
    }, { cancelRefetch: false });
  }
}
