import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Fact } from "./facts";
import { deleting, MOST, PACE, Refresher } from "./refresh";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const settled = (n: number): Fact => ({ event: "delivery.settled", data: { deliveryId: `d${n}`, eventId: `e${n}`, subscriptionId: "s", status: "delivered" } });

function watched() {
  const client = new QueryClient();
  for (const key of [["overview"], ["event", "e1"], ["event", "e2"], ["session"], ["delivery", "d1"]]) client.setQueryData(key, 1);
  const stale = () => client.getQueryCache().getAll().filter((query) => query.state.isInvalidated).map((query) => query.queryKey.join("/")).sort();
  return { client, stale, refresher: new Refresher(client) };
}

it("marks what a fact touches, and nothing else", () => {
  const { stale, refresher } = watched();
  refresher.note(settled(1));
  expect(stale()).toEqual([]);
  vi.advanceTimersByTime(PACE);
  expect(stale()).toEqual(["delivery/d1", "event/e1", "overview"]);
});

it("acts once for many facts", () => {
  const { client, refresher } = watched();
  const act = vi.spyOn(client, "invalidateQueries");
  for (let n = 0; n < 5_000; n += 1) refresher.note(settled(n));
  vi.advanceTimersByTime(PACE * 3);
  expect(act).toHaveBeenCalledTimes(1);
});

it("asks everything anew after a reset, but not who is signed in", () => {
  const { stale, refresher } = watched();
  refresher.note({ event: "reset", data: { reason: "gap" } });
  vi.advanceTimersByTime(PACE);
  expect(stale()).toEqual(["delivery/d1", "event/e1", "event/e2", "overview"]);
});

it("asks for nothing that is not touched, however much happens at once", () => {
  const { client, stale, refresher } = watched();
  client.setQueryData(["settings"], 1);
  for (let n = 10; n < 1_000; n += 1) refresher.note(settled(n));
  vi.advanceTimersByTime(PACE);
  expect(stale()).toEqual(["overview"]);
  for (let n = 10; n < MOST; n += 1) refresher.note(settled(n));
  vi.advanceTimersByTime(PACE);
  expect(stale()).toEqual(["delivery/d1", "event/e1", "event/e2", "overview"]);
});

it("does not ask for what is being deleted: the fact comes before the answer", async () => {
  const { client, stale, refresher } = watched();
  client.setQueryData(["subscription", "s", "runtime"], 1);
  client.setQueryData(["subscription", "t"], 1);
  let answer: (value: unknown) => void = () => undefined;
  const deleted = client.getMutationCache()
    .build(client, { mutationKey: deleting("subscription", "s"), mutationFn: () => new Promise((done) => { answer = done; }) })
    .execute(undefined);
  await vi.advanceTimersByTimeAsync(0);
  for (const subscriptionId of ["s", "t"]) refresher.note({ event: "subscription.changed", data: { subscriptionId } } as Fact);
  vi.advanceTimersByTime(PACE);
  expect(stale()).toEqual(["delivery/d1", "overview", "subscription/t"]);
  answer(undefined);
  await deleted;
  refresher.note({ event: "subscription.changed", data: { subscriptionId: "s" } } as Fact);
  vi.advanceTimersByTime(PACE);
  expect(stale()).toContain("subscription/s/runtime");
});
