import { describe, expect, it } from "vitest";
import { brief, bytes, count, duration, exactTime, localText, percent, rate, relative, shortId, timeOfDay } from "./format";

describe("numbers as text", () => {
  it("durations take the unit that fits", () => {
    expect([null, 0, 0.04, 3.14, 9.96, 240, 999.6, 1_240, 59_949, 59_951, 250_000, 3_600_000, 11_100_000, 187_200_000].map(duration)).toEqual([
      "–", "0.0 ms", "<0.1 ms", "3.1 ms", "10 ms", "240 ms", "1.0 s", "1.2 s", "59.9 s", "1 min", "4 min 10 s", "1 h", "3 h 5 min", "2 d 4 h",
    ]);
  });
  it("a share is never rounded up to all", () => {
    expect([null, 0, 1, 0.99999, 0.9995, 0.905, 0.00001].map(percent)).toEqual(["–", "0%", "100%", "99.99%", "99.95%", "90.5%", "<0.01%"]);
  });
  it("counts, rates and sizes stay short", () => {
    expect([0, 9_999, 12_345, 4_200_000].map(count)).toEqual(["0", "9,999", "12.3K", "4.2M"]);
    expect([0, 0.001, 0.5, 4.25, 310.4].map(rate)).toEqual(["0", "<0.01", "0.50", "4.3", "310"]);
    expect([0, 1_023, 1_024, 1_536, 1_048_575, 5_000_000].map(bytes)).toEqual(["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "4.8 MiB"]);
  });
  it("times are relative both ways", () => {
    expect([0, -1_000, -8_000, 8_000, -3_600_000, 200_000].map((apart) => relative(1e12 + apart, 1e12))).toEqual(["just now", "just now", "8s ago", "in 8s", "1h ago", "in 3m"]);
    expect(brief(-5)).toBe("0s");
  });
  it("an id keeps its beginning and its end", () => {
    expect(shortId("0190b5a0-7a3c-7c1e-9d52-3f1b0c5d8e21")).toBe("0190…5d8e21");
    expect(shortId("default")).toBe("default");
  });
});

describe("moments", () => {
  it("midnight is 00, and a field gets the viewer's own time", () => {
    const midnight = new Date(2026, 0, 2, 0, 0, 5);
    expect(timeOfDay(midnight.getTime())).toMatch(/^00\D00\D05$/);
    expect(exactTime(midnight.getTime())).not.toMatch(/24\D00/);
    expect([localText(midnight.getTime()), localText(midnight.getTime(), "minute")]).toEqual(["2026-01-02T00:00:05", "2026-01-02T00:00"]);
  });
  it("a field reads back what it was given, on both sides of a change of the clocks", () => {
    for (const at of [Date.UTC(2026, 2, 28), Date.UTC(2026, 2, 30), Date.UTC(2026, 9, 24), Date.UTC(2026, 9, 26), Date.UTC(2026, 10, 2)]) expect(Date.parse(localText(at))).toBe(at);
  });
  it("an id of any characters is cut between them", () => {
    expect(shortId("🦄".repeat(20))).toBe(`${"🦄".repeat(4)}…${"🦄".repeat(6)}`);
  });
});
