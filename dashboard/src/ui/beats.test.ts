import { expect, it } from "vitest";
import { top } from "./Beats";

it("takes the highest bar for the whole, unless it is a burst", () => {
  expect(top([])).toBe(4);
  expect(top([0, 1])).toBe(4);
  expect(top([20, 25, 30, 22, 40])).toBe(40);
  expect(top([...Array.from({ length: 59 }, () => 20), 318])).toBe(30);
});
