import { describe, expect, it } from "vitest";
import { Problem, Unreachable } from "../api/problem";
import { AT_ONCE, runAll, type Count } from "./run";

const problem = (status: number, detail: string, retryAfterSeconds?: number) => new Problem({ status, code: "x", title: "x", detail, retryAfterSeconds });
const items = Array.from({ length: 40 }, (_, index) => index);
const never = new AbortController().signal;
const atOnce = () => Promise.resolve();

describe("many calls", () => {
  it("are a few at a time, each once", async () => {
    let flying = 0;
    let most = 0;
    const called: number[] = [];
    const count = await runAll(items, async (item) => {
      called.push(item);
      flying += 1;
      most = Math.max(most, flying);
      await Promise.resolve();
      flying -= 1;
    }, () => undefined, never, atOnce);
    expect(most).toBe(AT_ONCE);
    expect(called.sort((a, b) => a - b)).toEqual(items);
    expect(count).toEqual({ total: 40, done: 40, refused: 0, reasons: new Map() });
  });

  it("are counted with the reason of each refusal", async () => {
    const steps: Count[] = [];
    const count = await runAll(items, (item) => (item % 4 === 0 ? Promise.reject(problem(409, "in flight")) : item === 1 ? Promise.reject(new Unreachable()) : Promise.resolve()), (step) => steps.push(step), never, atOnce);
    expect(count).toMatchObject({ done: 29, refused: 11 });
    expect([...count.reasons]).toEqual(expect.arrayContaining([["in flight", 10], ["the relay does not answer", 1]]));
    expect(steps).toHaveLength(40);
  });

  it("wait where the relay is at its bounds, and give up in the end", async () => {
    const waits: number[] = [];
    const wait = (ms: number) => {
      waits.push(ms);
      return Promise.resolve();
    };
    let tries = 0;
    expect(await runAll([1], () => (++tries < 3 ? Promise.reject(problem(429, "slow", 2)) : Promise.resolve()), () => undefined, never, wait)).toMatchObject({ done: 1, refused: 0 });
    expect(waits).toEqual([2_000, 2_000]);
    expect(await runAll([1], () => Promise.reject(problem(503, "away")), () => undefined, never, wait)).toMatchObject({ done: 0, refused: 1 });
  });

  it("begin no more once they are stopped", async () => {
    const stopper = new AbortController();
    const count = await runAll(items, (item) => {
      if (item === 7) stopper.abort();
      return Promise.resolve();
    }, () => undefined, stopper.signal, atOnce);
    expect(count.done).toBeLessThan(40);
    expect(count.done).toBeGreaterThanOrEqual(7);
  });

  it("keep a bounded number of reasons", async () => {
    const count = await runAll(items, (item) => Promise.reject(problem(409, `reason ${item}`)), () => undefined, never, atOnce);
    expect(count.reasons.size).toBeLessThanOrEqual(13);
    expect([...count.reasons.values()].reduce((sum, times) => sum + times, 0)).toBe(40);
  });
});
