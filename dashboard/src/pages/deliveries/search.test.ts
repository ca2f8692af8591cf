import { expect, it } from "vitest";
import { canTail, cleaned, deliveriesSearch } from "./search";

const ID = "01a204c7-b67a-8dc7-996c-6ea25247ad4e";

it("keeps what it knows of a URL and drops the rest", () => {
  expect(deliveriesSearch({
    q: 42, status: "failed", statusClass: "address_refused", subscriptionId: ID.toUpperCase(), eventId: "no-id", eventType: " ", within: "2h", since: "never",
    until: "2026-01-01T01:00:00+01:00", more: 1,
  })).toEqual({ q: "42", status: "failed", statusClass: "address_refused", subscriptionId: ID, until: "2026-01-01T00:00:00.000Z" });
  expect(deliveriesSearch({ status: "active", statusClass: "6xx" })).toEqual({});
});

it("lets a begin that is named stand before one that moves", () => {
  expect(deliveriesSearch({ within: "1h", since: "2026-01-01T00:00:00Z" })).toEqual({ since: "2026-01-01T00:00:00.000Z" });
  expect(cleaned({ within: "1h", since: undefined, status: "" })).toEqual({ within: "1h" });
});

it("asks again and again for what an index serves alone", () => {
  expect(canTail({ status: "failed", subscriptionId: ID, within: "1h" })).toBe(true);
  for (const search of [{ q: "a" }, { statusClass: "5xx" as const }, { until: "2026-01-01T00:00:00Z" }]) expect(canTail(search)).toBe(false);
});
