/** The API as a program uses it: for what a test needs to be there, and to look behind the page. */

export type Profile = "embedded" | "distributed";
export type Role = "admin" | "operator" | "viewer";

export interface Answer<T = unknown> {
  status: number;
  body: T;
}

export interface Subscription {
  id: string;
  name: string;
  url: string;
  state: string;
  secret: string;
}

export interface Delivery {
  id: string;
  eventId: string;
  subscriptionId: string;
  status: string;
  attemptCount: number;
}

export interface Page<T> {
  data: T[];
}

export class Api {
  readonly #base: string;
  readonly key: string;

  constructor(base: string, key: string) {
    this.#base = base;
    this.key = key;
  }

  /** The same relay, asked with another key. */
  with(key: string): Api {
    return new Api(this.#base, key);
  }

  /** Whatever is answered. */
  async ask<T = unknown>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    const headers: Record<string, string> = { "x-api-key": this.key };
    if (body !== undefined) headers["content-type"] = "application/json";
    const answer = await fetch(new URL(path, this.#base), { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await answer.text();
    return { status: answer.status, body: (text === "" ? null : JSON.parse(text)) as T };
  }

  get<T>(path: string): Promise<T> {
    return this.#done("GET", path);
  }

  post<T>(path: string, body?: unknown): Promise<T> {
    return this.#done("POST", path, body);
  }

  patch<T>(path: string, body: unknown): Promise<T> {
    return this.#done("PATCH", path, body);
  }

  /** A subscription that wants everything of one test, and fails as quickly as tests need it. */
  subscribe(changed: { name: string; url: string; eventTypes: readonly string[]; [field: string]: unknown }): Promise<Subscription> {
    return this.post("/api/v1/subscriptions", changed);
  }

  /** Returns the event's id. */
  async send(eventType: string, payload: unknown = {}, more: Record<string, unknown> = {}): Promise<string> {
    const { eventId } = await this.post<{ eventId: string }>("/api/v1/events", { eventType, payload, ...more });
    return eventId;
  }

  /** So many events of a type, in batches as large as they may be. */
  async sendMany(eventType: string, many: number): Promise<void> {
    for (let sent = 0; sent < many; sent += 100) {
      const batch = Array.from({ length: Math.min(100, many - sent) }, (_, index) => ({ eventType, payload: { number: sent + index } }));
      await this.post("/api/v1/events", batch);
    }
  }

  async deliveries(subscription: string, more = ""): Promise<Delivery[]> {
    return (await this.get<Page<Delivery>>(`/api/v1/deliveries?subscriptionId=${subscription}&limit=100${more}`)).data;
  }

  async #done<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.ask<T>(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }
}

/** Fails at the first attempt for good: nothing is tried again by itself. */
export const ONE_ATTEMPT = { retryPolicy: { delaysMs: [], jitter: 0 }, breaker: { enabled: false } };
