import { expect, it } from "vitest";
import { arrived, emptyTail, merged, MOST, resumed } from "./tail";

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

it("puts the newest first, and keeps back what comes while it is paused", () => {
  let tail = arrived(emptyTail<number>(), [1, 2], false);
  tail = arrived(tail, [3, 4], true);
  expect([tail.shown, tail.waiting]).toEqual([[2, 1], [4, 3]]);
  expect(resumed(tail)).toEqual({ shown: [4, 3, 2, 1], waiting: [], passed: false });
});

it("is bounded, paused or not, and says when more came", () => {
  for (const paused of [false, true]) {
    const tail = arrived(arrived(emptyTail<number>(), numbers(0, MOST), paused), [MOST], paused);
    expect(tail.passed).toBe(true);
    expect(tail.shown.length + tail.waiting.length).toBeLessThanOrEqual(MOST);
  }
});

it("shows what is in the list and in the tail once", () => {
  expect(merged([5, 4, 3, 5], [3, 2, 1], String)).toEqual([5, 4, 3, 2, 1]);
  const listed = [3, 2];
  expect(merged([3], listed, String)).toBe(listed);
});
