import { expect, it } from "vitest";
import { expiry, inShort, PRESETS } from "./scopes";

it("names a set of scopes by its preset, in any order", () => {
  for (const [name, preset] of Object.entries(PRESETS)) expect(inShort([...preset.scopes].reverse())).toEqual([name]);
});

it("draws read and write together, and keeps what is alone", () => {
  expect(inShort(["events:read", "events:write", "deliveries:read"])).toEqual(["events:*", "deliveries:read"]);
  expect(inShort(["events:write"])).toEqual(["events:write"]);
});

it("says admin alone where it is among others, which it holds anyway", () => {
  expect(inShort(["admin", "events:read"])).toEqual(["admin"]);
});

it("ends keys after days, at a moment, or never", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  expect(expiry("", "", now)).toBeNull();
  expect(expiry("30", "", now)).toBe("2026-01-31T00:00:00.000Z");
  expect(expiry("on", "2026-02-03T04:05Z", now)).toBe("2026-02-03T04:05:00.000Z");
});
