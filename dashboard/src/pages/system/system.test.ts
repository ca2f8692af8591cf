import { describe, expect, it } from "vitest";
import type { Setting, System } from "../../api/types";
import { systemSearch } from "./search";
import { sectionsOf, variable } from "./settings";
import { MOST_POINTS, watched } from "./trail";

function system(name: string, inFlight: number): System {
  return {
    node: { name, startedAt: "2026-01-01T00:00:00Z" },
    load: { inFlight: { count: inFlight, most: 10 }, windowBytes: { count: 0, most: 10 }, recordLagMs: 0, overdueMs: 0, pending: null },
  } as unknown as System;
}

describe("the trail of the load", () => {
  it("goes on while one process answers, and stays bounded", () => {
    let seen = watched(undefined, system("a", 0));
    for (let index = 1; index < MOST_POINTS + 5; index += 1) seen = watched(seen, system("a", index));
    expect(seen.trail).toHaveLength(MOST_POINTS);
    expect(seen.trail.at(-1)?.inFlight).toBe(MOST_POINTS + 4);
  });

  it("begins anew where another process answers", () => {
    const seen = watched(watched(undefined, system("a", 7)), system("b", 1));
    expect(seen.trail.map((point) => point.inFlight)).toEqual([1]);
  });
});

describe("settings", () => {
  const settings: Setting[] = [
    { section: "server", key: "listen", value: '"127.0.0.1:1"', source: "environment POSTHASTE_LISTEN" },
    { section: "server", key: "max_connections", value: "4096", source: null },
    { section: "log", key: "filter", value: '"info"', source: null },
  ];

  it("are found by every word, in key, variable, value or source", () => {
    expect(sectionsOf(settings, "server max", false)).toEqual([{ name: "server", settings: [settings[1]] }]);
    expect(sectionsOf(settings, "POSTHASTE_LOG__FILTER", false)[0]?.settings).toEqual([settings[2]]);
    expect(sectionsOf(settings, "nothing", false)).toEqual([]);
  });

  it("can be only those that somebody set", () => {
    expect(sectionsOf(settings, undefined, true)).toEqual([{ name: "server", settings: [settings[0]] }]);
  });

  it("have the variable that the relay reads", () => {
    expect(variable({ section: "engine", key: "sweep_interval_ms" })).toBe("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS");
  });

  it("are looked for by the URL, and what is not known is dropped", () => {
    expect(systemSearch({ tab: "settings", q: 15, changed: true, other: 1 })).toEqual({ tab: "settings", q: "15", changed: true });
    expect(systemSearch({ tab: "nodes" })).toEqual({ tab: "nodes" });
    expect(systemSearch({ tab: "x", q: " ", changed: "yes" })).toEqual({});
  });
});
