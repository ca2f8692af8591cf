import { describe, expect, it } from "vitest";
import type { Attempt } from "../../api/types";
import { delayAfter, drawnSchedule, ofRound } from "./schedule";

const attempt = (number: number, trigger = "schedule", more: Partial<Attempt> = {}): Attempt => ({
  id: `a${number}`, number, round: null, trigger, stale: false, startedAt: new Date(number * 1_000).toISOString(), durationMs: 10, timing: { nameMs: null, connectMs: null, tlsMs: null, firstByteMs: null, bodyMs: null }, requestHeaders: {}, responseHeaders: {},
  responseBody: "", responseBodyCut: false, status: 500, error: null, errorKind: "status", ...more,
});
const numbers = (attempts: readonly Attempt[]) => attempts.map((one) => one.number);

it("knows delays as the relay has them", () => {
  const growing = { attempts: 5, baseMs: 1_000, factor: 4, capMs: 20_000 };
  expect([1, 2, 3, 4, 5].map((failed) => delayAfter(growing, failed))).toEqual([1_000, 4_000, 16_000, 20_000, undefined]);
  expect([1, 2, 3].map((failed) => delayAfter({ delaysMs: [5, 0] }, failed))).toEqual([5, 0, undefined]);
});

describe("the round that is under way", () => {
  it("is all there is until somebody sends it again", () => expect(numbers(ofRound([attempt(1), attempt(2)], 1))).toEqual([1, 2]));
  it("begins with the attempt by hand", () => expect(numbers(ofRound([attempt(1), attempt(2), attempt(3, "manual"), attempt(4)], 2))).toEqual([3, 4]));
  it("has none yet where a job has just brought it back", () => expect(ofRound([attempt(1), attempt(2)], 2)).toEqual([]));
  it("of what a replay made is its second", () => expect(numbers(ofRound([attempt(1, "manual"), attempt(2)], 2))).toEqual([1, 2]));
  it("is what the attempts say of themselves, whatever made them", () => {
    const said = [attempt(1, "schedule", { round: 1 }), attempt(2, "trial", { round: 2 }), attempt(3, "schedule", { round: 2 })];
    expect(numbers(ofRound(said, 2))).toEqual([2, 3]);
    expect(ofRound(said, 3)).toEqual([]);
  });
  it("does not count what is stale", () => expect(numbers(ofRound([attempt(1), attempt(2, "schedule", { stale: true }), attempt(3)], 1))).toEqual([1, 3]));
});

describe("what comes", () => {
  const policy = { delaysMs: [1_000, 2_000, 4_000] };
  const pending = { status: "pending", round: 1, attemptCount: 2, attempts: [attempt(1), attempt(2)], nextRetryAt: new Date(10_000).toISOString() };
  it("begins with the next one, then goes by the policy to its end", () => {
    expect(drawnSchedule(pending, policy, 9_000)).toMatchObject({
      coming: [{ number: 3, at: 10_000, delayMs: 2_000 }, { number: 4, at: 14_000, delayMs: 4_000 }], end: "attempts", most: 4,
    });
  });
  it("ends with the age, where that comes first", () => {
    expect(drawnSchedule(pending, { ...policy, maxAgeMs: 5_000 }, 9_000)).toMatchObject({ coming: [{ number: 3 }], end: "age" });
  });
  it("is nothing once it has ended, or for whom the policy is hidden", () => {
    expect(drawnSchedule({ ...pending, status: "failed" }, policy, 9_000).coming).toEqual([]);
    expect(drawnSchedule(pending, undefined, 9_000).coming).toEqual([]);
  });
  it("is a whole schedule for a new round", () => {
    const drawn = drawnSchedule({ ...pending, round: 2, nextRetryAt: null }, policy, 9_000);
    expect(drawn.past).toEqual([]);
    expect(drawn.coming.map((one) => one.number)).toEqual([3, 4, 5, 6]);
  });
});
