import { expect, it } from "vitest";
import { eventsSearch, matches } from "./search";

it("keeps what it knows of a URL and drops the rest", () => {
  expect(eventsSearch({ q: " a ", eventType: "", source: 7, within: "1h", until: "never", more: 1, tenant: null })).toEqual({ q: "a", source: "7", within: "1h" });
  expect(eventsSearch({ within: "2h", until: "2026-01-01T00:00:00Z" })).toEqual({ until: "2026-01-01T00:00:00Z" });
});

it("lets through what the filters name, and nothing that it cannot judge", () => {
  const event = { eventType: "a.b", source: "s", tenant: null };
  expect(matches({}, event)).toBe(true);
  expect(matches({ eventType: "a.b", source: "s", within: "1h" }, event)).toBe(true);
  expect(matches({ eventType: "a" }, event)).toBe(false);
  expect(matches({ tenant: "t" }, event)).toBe(false);
  expect(matches({ q: "a" }, event)).toBe(false);
  expect(matches({ until: "2026-01-01T00:00:00Z" }, event)).toBe(false);
});
