import { expect, it } from "vitest";
import type { Line } from "../../live/lately";
import { told } from "./story";

const line = (changed: Partial<Line>): Line => ({
  key: 1, what: "cut", subscriptionId: "s", at: 0, last: 0, times: 0, arrived: 0, answer: null, probing: false, over: false, tookMs: null, state: null, ...changed,
});

it("says of an outage why it is, what that means, and what comes next", () => {
  const { text } = told(line({ answer: "connect" }));
  expect(text).toBe("Too many attempts failed: no connection could be made. Nothing is sent, what comes waits. In a moment a single attempt tries it.");
  expect(told(line({ times: 2, answer: "500" })).text).toContain("it answered 500. Nothing is sent, what comes waits. So far 2 probes failed; after a while the next one tries.");
  expect(told(line({ probing: true })).text).toContain("A single attempt tries it now.");
  expect(told(line({ over: true, times: 1, answer: "connect" })).text).toBe("Attempts failed: no connection could be made. One probe failed until it was back. Nothing was lost.");
});

it("says how long an outage took, where that is known", () => {
  expect(told(line({ what: "recovered", tookMs: 34_200 })).text).toContain("A probe arrived, 35 s after the breaker had opened.");
  expect(told(line({ what: "recovered" })).text).toContain("A probe arrived. It is closed");
});

it("counts in words", () => {
  expect(told(line({ what: "retried", times: 1, answer: "500" }))).toMatchObject({ head: "an attempt failed", text: "It answered 500. It is tried again after a delay." });
  expect(told(line({ what: "retried", times: 12, arrived: 1, answer: "500" }))).toMatchObject({ head: "12 attempts failed", text: "It answered 500. Each is tried again after a delay. One arrived at a later attempt since." });
  expect(told(line({ what: "retried", times: 12, arrived: 11, answer: "500" })).text).toContain(" 11 arrived at a later attempt since.");
  expect(told(line({ what: "refused", times: 3, answer: "429" })).text).toContain("3 were turned away (429)");
  expect(told(line({ what: "passed", times: 1_200, state: "skipped" })).head).toBe("1,200 skipped");
});

it("has words for states that are new", () => {
  expect(told(line({ what: "state", state: "paused" })).head).toBe("paused");
  expect(told(line({ what: "state", state: "novel" })).text).toBe("It is novel now.");
});
