import { describe, expect, it } from "vitest";
import type { RecordedAttempt } from "../../live/facts";
import { after, changed, MOST_TAILED, renewed, type DeliveryRow, type Rows, type RowsPage } from "./rows";

const row = (n: number, more: Partial<DeliveryRow> = {}): DeliveryRow => ({
  id: `d${n}`, eventId: `e${n}`, eventType: "a.b", subscriptionId: "s", status: "pending", attemptCount: 0, httpStatus: null, errorKind: null, error: null,
  nextRetryAt: null, lastAttemptAt: null, finishedAt: null, createdAt: new Date(n * 1_000).toISOString(), ...more,
});
/** From high to low, both included: newest first. */
const down = (high: number, low: number) => Array.from({ length: high - low + 1 }, (_, index) => row(high - index));
const page = (rows: readonly DeliveryRow[], next: string | undefined = "more"): RowsPage => ({ rows, partial: false, next });
const list = (...pages: RowsPage[]): Rows => ({ pages, pageParams: pages.map((_, index) => (index === 0 ? undefined : `p${index}`)) });
const ids = (rows: Rows) => rows.pages.flatMap((one) => one.rows.map((each) => each.id));

const attempt = (more: Partial<RecordedAttempt>): RecordedAttempt => ({
  attemptId: "a", deliveryId: "d1", eventId: "e1", subscriptionId: "s", number: 1, trigger: "schedule", startedAt: "2026-01-01T00:00:00.000Z", durationMs: 250,
  status: 500, error: "the receiver answered 500", errorKind: "status", deliveryStatus: "pending", nextRetryAt: "2026-01-01T00:01:00.000Z", stale: false, ...more,
});

describe("a row after an attempt", () => {
  it("is where the delivery is", () => {
    expect(after(row(1), attempt({}))).toMatchObject({ status: "pending", attemptCount: 1, httpStatus: 500, nextRetryAt: "2026-01-01T00:01:00.000Z", finishedAt: null });
    expect(after(row(1), attempt({ number: 2, status: 204, errorKind: null, error: null, deliveryStatus: "delivered", nextRetryAt: null })))
      .toMatchObject({ status: "delivered", attemptCount: 2, errorKind: null, finishedAt: "2026-01-01T00:00:00.250Z" });
  });
  it("stays where it is after one that is stale or older", () => {
    const now = row(1, { attemptCount: 3, status: "delivered" });
    expect(after(now, attempt({ number: 2 }))).toBe(now);
    expect(after(now, attempt({ number: 4, stale: true, deliveryStatus: null }))).toBe(now);
  });
});

it("leaves a list alone that has none of them", () => {
  const rows = list(page(down(9, 5)), page(down(4, 1)));
  expect(changed(rows, new Set(["d77"]), (one) => ({ ...one, status: "failed" }))).toBe(rows);
  const next = changed(rows, new Set(["d3"]), (one) => ({ ...one, status: "failed" }));
  expect(next.pages[0]).toBe(rows.pages[0]);
  expect(next.pages[1]?.rows.find((one) => one.id === "d3")?.status).toBe("failed");
});

describe("the newest page over what was read", () => {
  it("brings new rows, once", () => {
    expect(ids(renewed(list(page(down(10, 6)), page(down(5, 1))), page(down(12, 8))))).toEqual(down(12, 1).map((one) => one.id));
  });
  it("takes away those that match no more, and no others", () => {
    const head = page([row(12), row(9), row(7)]);
    expect(ids(renewed(list(page(down(11, 6)), page(down(5, 1))), head))).toEqual(["d12", "d9", "d7", "d6", "d5", "d4", "d3", "d2", "d1"]);
  });
  it("begins anew where rows may be missing between", () => {
    expect(ids(renewed(list(page(down(10, 1))), page(down(40, 30))))).toEqual(down(40, 30).map((one) => one.id));
  });
  it("is all where nothing is behind it", () => {
    expect(ids(renewed(list(page(down(10, 1))), page([row(12)], undefined)))).toEqual(["d12"]);
    expect(ids(renewed(list(page(down(10, 1))), page([], undefined)))).toEqual([]);
  });
  it("stays bounded however long it is watched", () => {
    let rows = list(page(down(50, 1)));
    for (let newest = 60; newest < 8_000; newest += 10) {
      rows = renewed(rows, page(down(newest, newest - 49)));
      expect(ids(rows).length).toBeLessThanOrEqual(MOST_TAILED);
    }
    const seen = ids(rows);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen[0]).toBe("d7990");
  });
});
