import { expect, it } from "vitest";
import { arrived, caughtUp, emptyTail, merged, MOST, resumed, without } from "./tail";

const id = (n: number) => String(n).padStart(6, "0");
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

it("puts the newest first, and keeps back what comes while it is paused", () => {
  let tail = arrived(emptyTail<number>(), [1, 2], false);
  tail = arrived(tail, [3, 4], true);
  expect([tail.shown, tail.waiting]).toEqual([[2, 1], [4, 3]]);
  expect(resumed(tail)).toEqual({ shown: [4, 3, 2, 1], waiting: [], passed: false });
  expect(arrived(tail, [5], false).shown).toEqual([5, 4, 3, 2, 1]);
});

it("is bounded, paused or not, keeps the newest, and says that some are missing", () => {
  for (const paused of [false, true]) {
    const tail = arrived(arrived(emptyTail<number>(), numbers(0, MOST), paused), [MOST], paused);
    expect(tail.passed).toBe(true);
    const kept = paused ? tail.waiting : tail.shown;
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([MOST, MOST, 1]);
  }
});

it("loses nothing that comes while the list is asked for anew", () => {
  let tail = arrived(emptyTail<number>(), numbers(0, MOST + 1), false);
  // The answer was made after 502, and 503 came before it was here.
  tail = arrived(tail, [MOST + 1, MOST + 2, MOST + 3], false);
  const listed = numbers(MOST - 97, MOST + 3).reverse();
  tail = caughtUp(tail, listed, id);
  expect(tail.passed).toBe(false);
  expect(merged(tail.shown, listed, id)).toEqual(numbers(4, MOST + 4).reverse());
});

it("shows what is in the list and in the tail once", () => {
  expect(merged([5, 4, 3, 5], [3, 2, 1], id)).toEqual([5, 4, 3, 2, 1]);
  // A newer first page, under which the tail goes on.
  expect(merged([5, 4, 3, 2], [7, 6, 5], id)).toEqual([7, 6, 5, 4, 3, 2]);
  const listed = [3, 2];
  expect(merged([3], listed, id)).toBe(listed);
});

it("keeps back what waits also where the list has it", () => {
  const tail = arrived(emptyTail<number>(), [4, 5], true);
  expect(without([5, 4, 3], tail.waiting, String)).toEqual([3]);
  const listed = [3, 2];
  expect(without(listed, [], String)).toBe(listed);
});
