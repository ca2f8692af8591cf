import { expect, it } from "vitest";
import { draftOf, faultsOf, limitsOf, rateInWords } from "./limits";

it("brings limits into the form and back", () => {
  for (const limits of [
    { ingestRate: { perMinute: 600, burst: 100 }, maxSubscriptions: 20, maxBacklog: null },
    { ingestRate: { perSecond: 5 }, maxSubscriptions: 0, maxBacklog: 50_000 },
    { ingestRate: null, maxSubscriptions: null, maxBacklog: null },
  ]) expect(limitsOf(draftOf(limits))).toEqual(limits);
});

it("lifts what is left empty", () => {
  expect(limitsOf(draftOf(undefined))).toEqual({ ingestRate: null, maxSubscriptions: null, maxBacklog: null });
});

it("refuses what is no number, and a burst of nothing", () => {
  const draft = draftOf(undefined);
  expect(faultsOf(draft)).toEqual({});
  expect(faultsOf({ ...draft, maxBacklog: "many" })).toHaveProperty("maxBacklog");
  expect(faultsOf({ ...draft, maxSubscriptions: "1.5" })).toHaveProperty("maxSubscriptions");
  expect(faultsOf({ ...draft, burst: "5" })).toHaveProperty("burst");
});

it("says a rate in words, and a burst where it is another", () => {
  expect(rateInWords({ perMinute: 6_000, burst: 100 })).toBe("6,000/min, 100 at once");
  expect(rateInWords({ perSecond: 5, burst: 5 })).toBe("5/s");
  expect(rateInWords(null)).toBeUndefined();
});
