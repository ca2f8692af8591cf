import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type * as Clock from "./clock";

let clock: typeof Clock;

beforeEach(async () => {
  vi.useFakeTimers();
  vi.setSystemTime(1_000_000_000);
  vi.resetModules();
  clock = await import("./clock");
});
afterEach(() => vi.useRealTimers());

const aheadBy = () => clock.serverNow() - Date.now();

it("leaves clocks alone that agree within what a second and the way explain", () => {
  // Dated to the second, which had begun up to 999 ms before.
  clock.noteServerTime(999_999_000, 999_999_800, 1_000_000_000);
  clock.noteServerTime(1_000_000_000, 1_000_000_000, 1_000_000_200);
  expect(aheadBy()).toBe(0);
});

it("goes by the relay's clock where the viewer's is minutes wrong, to either side", () => {
  clock.noteServerTime(1_000_600_000, 1_000_000_000, 1_000_000_050);
  expect(aheadBy()).toBeGreaterThan(599_000);
  expect(aheadBy()).toBeLessThanOrEqual(600_000);
  // Somebody sets the viewer's clock; the next answers say so.
  clock.noteServerTime(999_400_000, 1_000_000_000, 1_000_000_050);
  expect(Math.abs(aheadBy() + 600_000)).toBeLessThanOrEqual(1_000);
});

it("is not led astray by an answer that took long, or that has no date", () => {
  clock.noteServerTime(1_000_000_000 - 60_000, 1_000_000_000 - 60_000, 1_000_000_000);
  clock.noteServerTime(NaN, 0, 0);
  expect(aheadBy()).toBe(0);
});
