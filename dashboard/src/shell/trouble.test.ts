import { expect, it } from "vitest";
import { troubleOf } from "./trouble";

const reach = (parts: Record<string, boolean>, awaySince?: number) => ({
  awaySince, offline: false, health: { parts: Object.fromEntries(Object.entries(parts).map(([name, ok]) => [name, { ok, detail: `${name} says` }])) },
});

it("says nothing while all is well, or nothing is known yet", () => {
  expect(troubleOf(reach({ store: true, feed: true }))).toBeUndefined();
  expect(troubleOf({ awaySince: undefined, offline: false, health: undefined })).toBeUndefined();
});

it("tells the cause and not what follows from it", () => {
  const trouble = troubleOf(reach({ feed: false, store: false, ownership: false, recorder: false }));
  expect(trouble?.what).toBe("The database does not answer.");
  expect(trouble?.detail).toBe("store says");
});

it("tells first that nobody answers: what was known before may be over", () => {
  expect(troubleOf(reach({ store: false }, 1))?.what).toBe("This node does not answer.");
  expect(troubleOf({ ...reach({}, 1), offline: true })?.what).toBe("Your computer has no network.");
});

it("tells of a part that is new to this page", () => {
  expect(troubleOf(reach({ store: true, novelty: false }))?.what).toContain("novelty");
});

it("never says that something is lost", () => {
  for (const part of ["tree", "store", "ownership", "ingest", "recorder", "deliveries", "feed"]) expect(troubleOf(reach({ [part]: false }))?.means).toMatch(/Nothing that was accepted is lost|was accepted is safe/);
});
