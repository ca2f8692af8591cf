import { beforeEach, expect, it } from "vitest";
import type { Fact, RecordedAttempt } from "./facts";
import { groupOf, Lately, STEP, STEPS } from "./lately";

const BEGIN = Date.parse("2026-01-01T00:00:00Z");
let now = BEGIN;
let lately: Lately;

beforeEach(() => {
  now = BEGIN;
  lately = new Lately(() => now);
  lately.note({ event: "reset", data: { reason: "begun" } });
});

function attempt(changed: Partial<RecordedAttempt> = {}): Fact {
  return {
    event: "attempt.recorded",
    data: {
      attemptId: "a", deliveryId: "d", eventId: "e", subscriptionId: "s", number: 1, trigger: "schedule", startedAt: new Date(now - 5).toISOString(), durationMs: 5,
      status: 204, error: null, errorKind: null, deliveryStatus: "delivered", nextRetryAt: null, stale: false, ...changed,
    },
  };
}

const failed = (changed: Partial<RecordedAttempt> = {}) => attempt({ status: 500, errorKind: "status", deliveryStatus: "pending", ...changed });
const breaker = (from: string, to: string, subscriptionId = "s"): Fact => ({ event: "breaker.changed", data: { subscriptionId, from, to } });

/** As somebody sees it who looks now. */
function lines() {
  lately.watch(() => undefined)();
  return lately.lines();
}

function beats(subscription?: string) {
  lately.watch(() => undefined)();
  return lately.beats(subscription);
}

it.each<[Partial<RecordedAttempt>, string]>([
  [{ status: 204 }, "2xx"], [{ status: 302 }, "other"], [{ status: 410 }, "4xx"], [{ status: 599 }, "5xx"],
  [{ status: null, errorKind: "timeout" }, "none"], [{ status: 200, errorKind: "reset" }, "none"], [{ status: null, errorKind: "address_refused" }, "other"],
])("counts %o as %s", (changed, group) => expect(groupOf({ status: null, errorKind: null, ...changed })).toBe(group));

it("counts attempts by the moment, of all and of each, and knows nothing of the time before", () => {
  lately.note(attempt());
  now += STEP;
  lately.note(failed({ subscriptionId: "other" }));
  lately.note(failed({ subscriptionId: "other" }));
  const [before, last] = beats().slice(-2);
  expect(before?.counts?.["2xx"]).toBe(1);
  expect(last?.counts?.["5xx"]).toBe(2);
  expect(beats("s").at(-1)?.counts?.["5xx"]).toBe(0);
  expect(beats("other").at(-1)?.counts?.["5xx"]).toBe(2);
  expect(beats().at(-3)?.counts).toBeNull();
  expect(beats()).toHaveLength(STEPS);
});

it("forgets what is older than the picture", () => {
  lately.note(attempt());
  now += STEP * STEPS;
  expect(beats().every((beat) => beat.counts?.["2xx"] === 0)).toBe(true);
});

it("places what it is told late where it happened, whatever the clocks say", () => {
  // The relay's clock is an hour ahead.
  const ahead = (ms: number) => new Date(now + 3_600_000 + ms - 5).toISOString();
  lately.note(attempt({ startedAt: ahead(0) }));
  now += STEP * 3;
  lately.resumed();
  lately.note(attempt({ startedAt: ahead(-STEP) }));
  const told = beats().slice(-4).map((beat) => beat.counts?.["2xx"]);
  expect(told).toEqual([1, 0, 1, 0]);
});

it("tells an outage as one line that grows, and its end as another", () => {
  lately.note(failed({ status: null, errorKind: "connect" }));
  lately.note(breaker("closed", "open"));
  now += 5_000;
  lately.note(breaker("open", "half_open"));
  expect(lines()[0]).toMatchObject({ what: "cut", probing: true, times: 0, answer: "connect" });
  lately.note(failed({ trigger: "probe", status: null, errorKind: "connect" }));
  lately.note(breaker("half_open", "open"));
  now += 10_000;
  lately.note(breaker("open", "half_open"));
  lately.note(attempt({ trigger: "probe", number: 3 }));
  lately.note(breaker("half_open", "closed"));
  expect(lines().map((line) => line.what)).toEqual(["recovered", "cut"]);
  expect(lines()[0]).toMatchObject({ tookMs: 15_000 });
  expect(lines()[1]).toMatchObject({ times: 1, over: true, probing: false });
  lately.note(breaker("closed", "open"));
  expect(lines().map((line) => line.what)).toEqual(["cut", "recovered", "cut"]);
});

it("tells failures apart that had gone on for long when the breaker opened", () => {
  lately.note(failed());
  now += 20_000;
  lately.note(failed());
  lately.note(breaker("closed", "open"));
  expect(lines().map((line) => line.what)).toEqual(["cut", "retried"]);
});

it("says of an outage that it found what it knows", () => {
  lately.note(breaker("half_open", "open"));
  lately.note(breaker("half_open", "closed"));
  expect(lines()[0]).toMatchObject({ what: "recovered" });
  lately.note(breaker("half_open", "closed", "unseen"));
  expect(lines()[0]).toMatchObject({ subscriptionId: "unseen", tookMs: null });
});

it("tells failures that are retried as one line, with what arrived since", () => {
  for (let n = 0; n < 5; n += 1) lately.note(failed());
  lately.note(attempt({ number: 2 }));
  lately.note(attempt({ number: 1 }));
  lately.note(failed({ subscriptionId: "other" }));
  expect(lines()).toHaveLength(2);
  expect(lines()[1]).toMatchObject({ what: "retried", times: 5, arrived: 1, answer: "500" });
});

it("begins another line after a quiet time, and where one has gone on for long", () => {
  lately.note(failed());
  now += 61_000;
  lately.note(failed());
  expect(lines()).toHaveLength(2);
  for (let n = 0; n < 11; n += 1) {
    now += 30_000;
    lately.note(failed());
  }
  expect(lines()).toHaveLength(3);
});

it("counts who is turned away, however often the receiver says until when", () => {
  lately.note(failed({ status: 429 }));
  lately.note({ event: "subscription.held", data: { subscriptionId: "s", until: "2026-01-01T00:00:02Z" } });
  lately.note(failed({ status: 429 }));
  expect(lines()).toHaveLength(1);
  expect(lines()[0]).toMatchObject({ what: "refused", times: 2, answer: "429" });
});

it("leaves stale attempts and deliveries that ended well out of the story", () => {
  lately.note(failed({ stale: true, deliveryStatus: null }));
  lately.note(attempt());
  lately.note({ event: "delivery.settled", data: { deliveryId: "d", eventId: "e", subscriptionId: "s", status: "delivered" } });
  expect(lines()).toEqual([]);
  lately.note({ event: "delivery.settled", data: { deliveryId: "d", eventId: "e", subscriptionId: "s", status: "failed" } });
  expect(lines()).toMatchObject([{ what: "lost", times: 1 }]);
});

it("keeps so many lines, and counts so many subscriptions apart", () => {
  for (let n = 0; n < 300; n += 1) {
    lately.note(failed({ subscriptionId: `s${n}` }));
  }
  expect(lines()).toHaveLength(40);
  expect(beats("s0").at(-1)?.counts?.["5xx"]).toBe(0);
  expect(beats("s299").at(-1)?.counts?.["5xx"]).toBe(1);
  expect(beats().at(-1)?.counts?.["5xx"]).toBe(300);
});
