/** A relay with something of every kind in it, each in every state that pages show differently. */
import { expect } from "@playwright/test";
import { ONE_ATTEMPT, type Api, type Delivery, type Page, type Subscription } from "./api";
import { Receiver, type Behaviour } from "./receiver";

/** Longer than people give them, so that whoever is first is not the last to be drawn well. */
export const LONG_NAME = "The payroll system of the northern subsidiary, which somebody named with all of a hundred characters";
export const LONG_TYPE = "a.type.of.event.with.so.many.segments.that.no.column.of.a.table.holds.it";
const LONG_PATH = "a-very-long-path-segment-".repeat(8);

export const SUBSCRIPTIONS = ["healthy", "cut", "held", "paused", "deactivated", "paced", "blocked", "long"] as const;
export type Which = (typeof SUBSCRIPTIONS)[number];

export interface Furnished {
  subscriptions: Record<Which, string>;
  /** Of one that arrived, and of one that did not. */
  event: string;
  delivered: string;
  failed: string;
  tenant: string;
  eventType: string;
  stop: () => Promise<void>;
}

const BEHAVIOURS: Record<Which, Behaviour> = {
  healthy: { status: 200, headers: { "content-type": "application/json" }, body: '{"queued":true}' },
  cut: { status: 500, body: "it failed inside" },
  held: { status: 429, headers: { "retry-after": "3600" } },
  paused: 204,
  deactivated: 410,
  paced: 204,
  blocked: 500,
  long: { status: 502, headers: { "content-type": "text/html" }, body: `<html>${"a_line_without_any_space_".repeat(60)}\n${"words that wrap over many lines. ".repeat(40)}` },
};

const LONG_COOL_DOWN = { consecutiveFailures: 1, coolDownMs: 1_800_000, coolDownMaxMs: 1_800_000 };

const SETTINGS: Record<Which, Record<string, unknown>> = {
  healthy: { eventTypes: ["order.*"] },
  cut: { breaker: LONG_COOL_DOWN },
  held: {},
  paused: {},
  deactivated: {},
  paced: { rateLimit: { limit: 2, periodMs: 3_600_000 } },
  blocked: { ...ONE_ATTEMPT, ordering: "key", orderingFailure: "block" },
  long: { ...ONE_ATTEMPT, name: LONG_NAME, eventTypes: [LONG_TYPE, "another.*"] },
};

export async function furnish(admin: Api): Promise<Furnished> {
  const receivers = new Map<Which, Receiver>();
  const made = {} as Record<Which, string>;
  const tenant = "a-tenant-with-a-rather-long-id-of-its-own";
  await admin.post("/api/v1/tenants", { id: tenant, name: "A tenant with a rather long name, Limited", limits: { ingestRate: { perMinute: 600 }, maxSubscriptions: 20 } });
  await admin.post("/api/v1/event-types", { name: "order.created", description: "An order was placed.", example: { orderId: "123" }, schema: { type: "object", required: ["orderId"] } });
  await admin.post("/api/v1/event-types", { name: LONG_TYPE, description: "One of many words. ".repeat(12) });
  for (const which of SUBSCRIPTIONS) {
    const receiver = await Receiver.start();
    receiver.answers(BEHAVIOURS[which]);
    receivers.set(which, receiver);
    const url = which === "long" ? `${receiver.url}/${LONG_PATH}` : receiver.url;
    made[which] = (await admin.post<Subscription>("/api/v1/subscriptions", { name: `Kept ${which}`, url, eventTypes: [`${which}.*`], ...SETTINGS[which] })).id;
  }
  await admin.post(`/api/v1/subscriptions/${made.paused}/pause`);

  const event = await admin.send("order.created", { orderId: "123", customer: "Ada Lovelace", amounts: [1, 2.5, 30], gift: true }, { eventName: "An order was placed.", source: "shop" });
  await admin.send(LONG_TYPE, { text: "word ".repeat(200), line: "x".repeat(300) }, { eventName: LONG_NAME, source: "a-service-with-a-long-name-of-its-own", tenant });
  for (const which of SUBSCRIPTIONS) for (let time = 0; time < 4; time += 1) await admin.send(`${which}.happened`, { time }, which === "blocked" ? { orderingKey: "customer-7" } : {});
  await admin.send("another.happened", { of: "long" });
  await admin.post("/api/v1/keys", { name: "orders-service", preset: "service" });
  await admin.post("/api/v1/keys", { name: "A key of one customer", preset: "client", tenant });
  await admin.post("/api/v1/users", { email: "grace.with.a.long.address@customers.example.com", name: "Grace Hopper", role: "operator" });

  const state = async (which: Which) => (await admin.get<{ state: string; breakerState?: { state: string } | null }>(`/api/v1/subscriptions/${made[which]}`));
  const outcome = async (which: Which, status: string) => (await admin.deliveries(made[which], `&status=${status}`))[0]?.id;
  await expect.poll(async () => (await state("deactivated")).state).toBe("deactivated");
  await expect.poll(async () => (await admin.get<{ breaker: { state: string } }>(`/api/v1/subscriptions/${made.cut}/runtime`)).breaker.state).toBe("open");
  await expect.poll(async () => (await admin.get<{ holdUntil: string | null }>(`/api/v1/subscriptions/${made.held}/runtime`)).holdUntil).toBeTruthy();
  await expect.poll(async () => (await admin.get<Page<unknown>>(`/api/v1/subscriptions/${made.blocked}/blocked-keys`)).data.length).toBeGreaterThan(0);
  await expect.poll(() => outcome("healthy", "delivered")).toBeTruthy();
  await expect.poll(() => outcome("long", "failed")).toBeTruthy();
  await admin.post(`/api/v1/subscriptions/${made.long}/retry-failed`, { since: new Date(Date.now() - 3_600_000).toISOString() });
  const delivered = (await admin.get<Page<Delivery>>(`/api/v1/deliveries?eventId=${event}`)).data[0]?.id;
  const failed = await outcome("long", "failed") ?? (await admin.deliveries(made.long))[0]?.id;
  if (!delivered || !failed) throw new Error("there is no delivery to look at");
  return {
    subscriptions: made, event, delivered, failed, tenant, eventType: "order.created",
    stop: async () => {
      for (const receiver of receivers.values()) await receiver.stop();
    },
  };
}
