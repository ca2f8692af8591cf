import { describe, expect, it } from "vitest";
import type { Runtime } from "../../api/types";
import { backlogLevel, columnsFor, coolDownLeft, slotsOf, tokensOf, verdictOf } from "./instrument";
import { coolDowns, place, planned } from "./schedule";
import { matches, subscriptionsSearch } from "./search";
import { parseTime, timeText } from "./time-text";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const LATER = "2026-01-01T00:00:10Z";

function runtime(changed: Partial<Runtime> = {}): Runtime {
  return {
    id: "a", state: "active", stateReason: null, owner: "this", breaker: { state: "closed", nextProbeAt: null, openedInARow: 0 }, holdUntil: null, tokensLeft: null,
    inFlight: { count: 0, most: 64, ramp: null }, window: { held: 0, waiting: 0, most: 1_024, caughtUp: true },
    backlog: { count: 0, atLeast: false, oldestAt: null, oldestAgeMs: null, blocked: false }, drain: { perSecond: null, estimateMs: null }, lastError: null, restarts: 0, ...changed,
  };
}

const waiting = { count: 5, atLeast: false, oldestAt: null, oldestAgeMs: 1, blocked: false };

describe("what a subscription is doing", () => {
  it.each<[string, Partial<Runtime>]>([
    ["idle", {}],
    ["flowing", { drain: { perSecond: 2, estimateMs: 1 } }],
    ["waiting", { backlog: waiting }],
    ["waiting", { backlog: { ...waiting, blocked: true }, drain: { perSecond: 2, estimateMs: null } }],
    ["waiting", { backlog: waiting, tokensLeft: 0, drain: { perSecond: 2, estimateMs: 1 } }],
    ["held", { holdUntil: LATER, drain: { perSecond: 2, estimateMs: null } }],
    ["probing", { breaker: { state: "half_open", nextProbeAt: null, openedInARow: 1 }, holdUntil: LATER }],
    ["cut", { breaker: { state: "open", nextProbeAt: LATER, openedInARow: 1 } }],
    ["stopped", { state: "paused", breaker: { state: "open", nextProbeAt: LATER, openedInARow: 1 } }],
    ["stopped", { state: "deactivated", stateReason: "gone" }],
  ])("%s", (gate, changed) => expect(verdictOf(runtime(changed), NOW).gate).toBe(gate));

  it("is held no longer once Retry-After has passed", () => {
    expect(verdictOf(runtime({ holdUntil: LATER }), NOW + 11_000).gate).toBe("idle");
  });
});

it("draws as many slots as can be told apart", () => {
  expect(slotsOf({ count: 3, most: 8, ramp: null })).toEqual({ marks: 8, each: 1, busy: 3, open: 8 });
  expect(slotsOf({ count: 1, most: 1_000, ramp: 2 })).toEqual({ marks: 63, each: 16, busy: 1, open: 1 });
  expect(slotsOf({ count: null, most: 64, ramp: null }).busy).toBe(0);
});

it("stands slots in full rows, near to a square", () => {
  expect([1, 5, 8, 63, 64].map(columnsFor)).toEqual([1, 5, 4, 9, 8]);
  expect(columnsFor(13)).toBe(4);
  expect(columnsFor(0)).toBe(1);
});

it("fills the tank by the power of ten, and never hides one that waits", () => {
  expect(backlogLevel(0)).toBe(0);
  expect(backlogLevel(1)).toBeGreaterThan(0.1);
  expect(backlogLevel(10)).toBeLessThan(backlogLevel(100));
  expect(backlogLevel(1e9)).toBe(1);
});

it("knows the bucket of a rate", () => {
  expect(tokensOf(runtime(), null)).toBeUndefined();
  expect(tokensOf(runtime({ tokensLeft: 4 }), { limit: 600, periodMs: 60_000 })).toEqual({ left: 4, most: 10, perSecond: 10, words: "600 a minute" });
  expect(tokensOf(runtime({ tokensLeft: 4 }), { limit: 1, periodMs: 60_000 })?.most).toBe(1);
});

it("runs a cool-down down, however long this one is", () => {
  expect(coolDownLeft(LATER, 1, 20_000, 60_000, NOW)).toBe(0.5);
  expect(coolDownLeft(LATER, 3, 20_000, 40_000, NOW)).toBe(0.25);
  expect(coolDownLeft(LATER, 1, 20_000, 60_000, NOW + 60_000)).toBe(0);
  expect(coolDowns(5_000, 15_000)).toEqual([5_000, 10_000, 15_000]);
});

describe("the schedule", () => {
  it("grows up to the longest delay", () => {
    expect(planned({ attempts: 5, baseMs: 1_000, factor: 10, capMs: 60_000 }).map((one) => one.at)).toEqual([0, 1_000, 11_000, 71_000, 131_000]);
  });
  it("ends by age", () => {
    expect(planned({ delaysMs: [1_000, 1_000, 60_000], maxAgeMs: 10_000 }).map((one) => one.attempt)).toEqual([1, 2, 3]);
  });
  it("is none where the policy is not whole", () => expect(planned({ attempts: 3 })).toEqual([]));
  it("has room for the short beside the long", () => {
    const day = 86_400_000;
    expect(place(0, day)).toBe(0);
    expect(place(day, day)).toBe(1);
    expect(place(5_000, day)).toBeGreaterThan(0.2);
    expect(place(0, 0)).toBe(0);
  });
});

describe("lengths of time", () => {
  it.each([["500 ms", 500], ["5s", 5_000], ["1 min 30 s", 90_000], ["1.5h", 5_400_000], ["2 days", 172_800_000], ["0", 0]])("%s", (text, ms) => expect(parseTime(text)).toBe(ms));
  it.each(["", "5", "soon", "5 s x", "-5 s", "5 parsecs"])("is none: %s", (text) => expect(parseTime(text)).toBeUndefined());
  it("come back as they were", () => {
    for (const ms of [0, 100, 999, 1_500, 2_345, 90_000, 43_200_000, 90_061_001, 604_800_000]) expect(parseTime(timeText(ms))).toBe(ms);
  });
});

describe("looking for subscriptions", () => {
  const row = { id: "0af3", name: "HR system", url: "https://hr.example.com/in", eventTypes: ["candidate.*"], state: "paused" };
  it("takes every word, wherever it stands", () => {
    expect(matches({ q: "HR candidate" }, row)).toBe(true);
    expect(matches({ q: "hr order" }, row)).toBe(false);
    expect(matches({ state: "active" }, row)).toBe(false);
    expect(matches({ state: "paused", q: "0af3" }, row)).toBe(true);
  });
  it("drops what is not known from the URL", () => {
    expect(subscriptionsSearch({ q: 17, state: "strange", tenant: " acme ", x: 1 })).toEqual({ q: "17", tenant: "acme" });
  });
});
