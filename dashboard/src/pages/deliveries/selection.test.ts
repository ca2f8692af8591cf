import { expect, it } from "vitest";
import { planOf, MOST_OF_A_JOB } from "./bulk";
import type { DeliveryRow } from "./rows";
import { all, current, NOTHING, ranged, toggled } from "./selection";

const row = (n: number, more: Partial<DeliveryRow> = {}): DeliveryRow => ({
  id: `d${n}`, eventId: `e${n}`, eventType: "a.b", subscriptionId: "s", status: "failed", attemptCount: 0, httpStatus: null, errorKind: null, error: null,
  nextRetryAt: null, lastAttemptAt: null, finishedAt: null, createdAt: "2026-01-01T00:00:00Z", ...more,
});
const shown = [1, 2, 3, 4, 5].map((n) => row(n));
const at = (n: number) => shown[n - 1] as DeliveryRow;
const ids = (selection: { rows: ReadonlyMap<string, unknown> }) => [...selection.rows.keys()].sort();

it("goes from the last one that was chosen to this one, upwards as well", () => {
  const one = toggled(NOTHING, at(4));
  expect(ids(ranged(one, shown, at(2)))).toEqual(["d2", "d3", "d4"]);
  expect(ids(ranged(ranged(one, shown, at(2)), shown, at(5)))).toEqual(["d2", "d3", "d4", "d5"]);
  expect(ids(ranged(NOTHING, shown, at(3)))).toEqual(["d3"]);
  expect(ids(toggled(one, at(4)))).toEqual([]);
});

it("holds what has left the list, as it was, and shows the others as they are", () => {
  const selection = all(shown);
  const moved = { ...at(1), status: "delivered" };
  expect(current(selection, [moved]).map((each) => each.status)).toEqual(["delivered", "failed", "failed", "failed", "failed"]);
});

it("makes one job a subscription of what has ended, and none names too many", () => {
  const rows = [
    ...Array.from({ length: MOST_OF_A_JOB + 1 }, (_, n) => row(n)),
    row(5_000, { subscriptionId: "t", status: "delivered" }), row(5_001, { subscriptionId: "t", status: "pending" }),
  ];
  const plan = planOf(rows);
  expect(plan.jobs.map((job) => [job.subscriptionId, job.eventIds.length])).toEqual([["s", MOST_OF_A_JOB], ["s", 1], ["t", 1]]);
  expect(plan).toMatchObject({ pending: 1, delivered: 1 });
  expect(new Set(plan.jobs.flatMap((job) => job.eventIds)).size).toBe(MOST_OF_A_JOB + 2);
});
