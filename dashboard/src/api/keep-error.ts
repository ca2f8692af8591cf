import { QueryCache, type QueryCacheNotifyEvent } from "@tanstack/react-query";

/**
 * A question that failed with nothing to show is, while it is asked again, as if it had never been asked: the page
 * would change between what is wrong and a skeleton, each time the relay is asked. Here what is wrong stays
 * until there is another answer.
 */
export class KeepingCache extends QueryCache {
  readonly #failed = new Map<string, Error>();

  /** Is told before those who look. */
  override notify(event: QueryCacheNotifyEvent): void {
    const { query } = event;
    if (event.type === "removed") this.#failed.delete(query.queryHash);
    else if (event.type === "updated") {
      const { type } = event.action;
      const { data, error } = query.state as { data: unknown; error: Error | null };
      if (type === "error" && data === undefined && error) this.#failed.set(query.queryHash, error);
      else if (type === "success") this.#failed.delete(query.queryHash);
      else if (type === "fetch" && query.state.status === "pending") {
        const before = this.#failed.get(query.queryHash);
        if (before) query.setState({ status: "error", error: before });
      }
    }
    super.notify(event);
  }
}
