import { expect, it } from "vitest";
import { alone, decades, decadesAround, spread, stacked } from "./chart-shape";

const tag = (name: string, top: number) => ({ name, colour: "--x", top });

it("labels never stand over each other, and stay inside", () => {
  const placed = spread([tag("c", 100), tag("a", 98), tag("b", 99), tag("low", 170)], 10, 180);
  expect(placed.map((one) => one.name)).toEqual(["a", "b", "c", "low"]);
  placed.reduce((above, one) => {
    expect(one.top - above).toBeGreaterThanOrEqual(15);
    return one.top;
  }, -100);
  expect(placed.at(-1)?.top).toBeLessThanOrEqual(165);
});

it("a stack adds up, and nothing counts as none", () => {
  const one = (values: (number | null)[]) => ({ name: "x", colour: "--x", values });
  expect(stacked([one([1, null, 3]), one([10, 20, null])])).toEqual([[1, 0, 3], [11, 20, 3]]);
});

it("what no line would show is a point, and decades span an axis", () => {
  expect(alone([1, null, 2, 3, null, null, 4])).toEqual([0, 6]);
  expect([decadesAround(3, 250), decadesAround(10, 10), decadesAround(null, null)]).toEqual([[1, 1_000], [10, 100], [1, 1_000]]);
  expect(decades(0.5, 1_000)).toEqual([0.1, 1, 10, 100, 1_000]);
});
