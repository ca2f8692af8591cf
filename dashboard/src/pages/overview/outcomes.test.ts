import { expect, it } from "vitest";
import type { SeriesPoint } from "../../api/types";
import { byOutcome } from "./outcomes";

it("counts every attempt exactly once, also of a class that is new", () => {
  const point = { attempts: { total: 28, byOutcome: { "2xx": 1, "4xx": 2, "5xx": 3, timeout: 4, connect: 5, "3xx": 6, novel: 7 } } } as unknown as SeriesPoint;
  const series = byOutcome([point]);
  expect(Object.fromEntries(series.map((one) => [one.name, one.values[0]]))).toEqual({ "2xx": 1, "3xx, other": 13, "4xx": 2, "5xx": 3, "No answer": 9 });
});
