import { expect, it } from "vitest";
import type { SeriesPoint } from "../../api/types";
import { byOutcome, sinceBegun } from "./outcomes";

it("counts every attempt exactly once, also of a class that is new", () => {
  const point = { attempts: { total: 28, byOutcome: { "2xx": 1, "4xx": 2, "5xx": 3, timeout: 4, connect: 5, "3xx": 6, novel: 7 } } } as unknown as SeriesPoint;
  const series = byOutcome([point]);
  expect(Object.fromEntries(series.map((one) => [one.name, one.values[0]]))).toEqual({ "2xx": 1, "3xx, other": 13, "4xx": 2, "5xx": 3, "No answer": 9 });
});

it("leaves out the time before anything happened, but never most of the picture", () => {
  const series = (...accepted: number[]) => accepted.map((count) => ({ accepted: count, attempts: { total: 0, byOutcome: {} } }) as unknown as SeriesPoint);
  const quiet = (steps: number) => Array.from({ length: steps }, () => 0);
  expect(sinceBegun(series(...quiet(58), 1, 1))).toHaveLength(15);
  expect(sinceBegun(series(...quiet(30), ...quiet(29), 1))).toHaveLength(15);
  expect(sinceBegun(series(...quiet(20), 1, ...quiet(39)))).toHaveLength(41);
  expect(sinceBegun(series(1, ...quiet(59)))).toHaveLength(60);
  expect(sinceBegun(series(...quiet(60)))).toHaveLength(60);
});
