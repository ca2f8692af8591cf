// @vitest-environment jsdom
import { expect, it } from "vitest";
import { jobWords, movedWords, progressOf } from "./jobs";

it("says whole of a job only once it is", () => {
  const job = { state: "running", total: 10, done: 10, skipped: 0 };
  expect(progressOf(job)).toBe(0.99);
  expect(progressOf({ ...job, state: "completed" })).toBe(1);
  expect(progressOf({ ...job, total: 0 })).toBe(0);
  expect(progressOf({ ...job, state: "cancelled", done: 5 })).toBe(0.5);
});

it("is told in words, also one of a kind that is new", () => {
  expect(jobWords({ kind: "replay", eventTypes: ["a.b", "c.*"], states: null })).toBe("Replay of a.b, c.*");
  expect(jobWords({ kind: "retry_failed", eventTypes: null, states: ["skipped"] })).toBe("Retry of skipped");
  expect(jobWords({ kind: "clean_up" as "replay", eventTypes: null, states: null })).toBe("clean up");
  const job = { state: "running" as const, total: 12_000, done: 3, skipped: 1, atLeast: true, rate: 50 };
  expect(movedWords(job)).toBe("3 of more than 12,000, 1 left alone, 50 a second");
  expect(movedWords({ ...job, state: "completed", atLeast: false, skipped: 0 })).toBe("3 of 12,000");
});
