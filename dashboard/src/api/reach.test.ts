// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PACE, PACE_TROUBLED, PATIENCE, Reachable } from "./reach";

const well = { status: "ok", components: { store: { ok: true } } };
/** What the relay does when it is asked: answers, refuses, or says nothing. */
let relay: object | "refuses" | "hangs" = well;
let asked = 0;

beforeEach(() => {
  vi.useFakeTimers();
  relay = well;
  asked = 0;
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const end = new AbortController();
    setTimeout(() => end.abort(), ms);
    return end.signal;
  });
  vi.stubGlobal("fetch", (_: string, { signal }: { signal: AbortSignal }) => {
    asked += 1;
    if (typeof relay === "object") return Promise.resolve(Response.json(relay));
    if (relay === "refuses") return Promise.reject(new TypeError("refused"));
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("late", "AbortError"))));
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

it("says that the relay is away after two refusals, and that it is back", async () => {
  const reach = new Reachable();
  const back = vi.fn();
  reach.onReturn(back);
  const stop = reach.start();
  await pass(0);
  expect(reach.seen).toEqual({ awaySince: undefined, health: { parts: well.components }, offline: false });
  const { lost } = reach;
  relay = "refuses";
  await pass(PACE);
  expect(reach.seen.awaySince).toBeUndefined();
  await pass(PACE_TROUBLED);
  expect(reach.seen.awaySince).toBe(Date.now() - PACE_TROUBLED);
  expect([lost.aborted, back.mock.calls.length]).toEqual([true, 0]);
  relay = well;
  await pass(PACE_TROUBLED);
  expect([reach.seen.awaySince, reach.lost.aborted, back.mock.calls.length]).toEqual([undefined, false, 1]);
  stop();
  await pass(PACE * 3);
  expect(asked).toBe(4);
});

it("says so after one silence, but not while others are answered", async () => {
  const reach = new Reachable();
  const stop = reach.start();
  await pass(0);
  relay = "hangs";
  await pass(PACE + 1_000);
  reach.heard();
  await pass(PATIENCE - 1_000);
  expect(reach.seen.awaySince).toBeUndefined();
  await pass(PACE_TROUBLED + PATIENCE);
  expect(reach.seen.awaySince).toBe(Date.now() - PATIENCE);
  stop();
});

it("looks at once where a request was not answered, and takes a proxy's word for none of the relay's", async () => {
  const reach = new Reachable();
  reach.doubt();
  expect(asked).toBe(0);
  const stop = reach.start();
  await pass(0);
  relay = { message: "Bad Gateway" };
  reach.doubt();
  await pass(PACE_TROUBLED);
  expect([asked, reach.seen.awaySince !== undefined]).toEqual([3, true]);
  stop();
});

it("asks more often while a part is not well, so that what is over does not stay", async () => {
  const reach = new Reachable();
  relay = { components: { store: { ok: false, detail: "no answer" } } };
  const stop = reach.start();
  await pass(0);
  relay = well;
  await pass(PACE_TROUBLED);
  expect(reach.seen.health?.parts["store"]?.ok).toBe(true);
  stop();
});
