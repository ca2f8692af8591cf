// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import type { InstalledNode, Installation } from "../api/types";
import { inOrder, isOwned, labelOf, nameParts, troubles, usualVersion } from "./nodes";

function node(name: string, state: InstalledNode["state"], version = "1"): InstalledNode {
  return { name, state, version } as InstalledNode;
}

function installation(nodes: InstalledNode[], owner: string | null, leaseLeftMs: number | null): Installation {
  return { nodes, partitions: [{ id: 0, epoch: 1, owner, leaseLeftMs }] } as unknown as Installation;
}

describe("processes", () => {
  it("are told apart by where they listen", () => {
    expect(nameParts("process 17 listening on 127.0.0.1:8080 (0190b5a0)")).toEqual({ listen: "127.0.0.1:8080", process: "17" });
    expect(nameParts("process 1 listening on [::]:8080 (x)")).toEqual({ listen: "[::]:8080", process: "1" });
    expect(nameParts("another")).toEqual({ listen: "another", process: "" });
  });

  it("are told apart by their machine where they all listen alike", () => {
    const on = (listen: string, host: string | null, id: string, state: InstalledNode["state"] = "standby") => ({ ...node(`process 1 listening on ${listen} (${id})`, state), host });
    const alike = [on("0.0.0.0:80", "one", "a"), on("0.0.0.0:80", "two", "b"), on("0.0.0.0:81", "one", "c"), on("0.0.0.0:80", "one", "d", "lost")];
    expect(alike.map((one) => labelOf(one, alike))).toEqual(["one 0.0.0.0:80", "two", "0.0.0.0:81", "one 0.0.0.0:80"]);
    const single = on("0.0.0.0:80", "one", "a");
    expect(labelOf(single, [single])).toBe("0.0.0.0:80");
    expect(labelOf(on("0.0.0.0:80", null, "e"), alike)).toBe("0.0.0.0:80");
  });

  it("stand by what they do, whatever order they come in", () => {
    const all = [node("d", "lost"), node("c", "ingest"), node("b", "standby"), node("a", "ingest"), node("e", "delivering")];
    expect(inOrder(all).map((one) => one.name)).toEqual(["e", "b", "a", "c", "d"]);
  });

  it("run the version that most of the living run", () => {
    expect(usualVersion([node("a", "standby", "1"), node("b", "ingest", "2"), node("c", "ingest", "2"), node("d", "lost", "1"), node("e", "lost", "1")])).toBe("2");
    expect(usualVersion([])).toBeUndefined();
  });
});

describe("the whole", () => {
  it("is well where somebody delivers and nobody is lost", () => {
    expect(troubles(installation([node("a", "delivering"), node("b", "standby")], "a", 5_000))).toEqual([]);
    expect(troubles(installation([node("a", "delivering")], "a", null))).toEqual([]);
  });

  it("says first that nobody delivers", () => {
    const found = troubles(installation([node("a", "lost"), node("b", "ingest")], "a", 0));
    expect(found.map((one) => one.tone)).toEqual(["bad", "busy"]);
    expect(found[0]?.text).toContain("No process delivers");
    expect(found[1]?.text).toContain("One process is lost");
    expect(isOwned({ owner: null, leaseLeftMs: null })).toBe(false);
  });

  it("names versions that differ, but not those of the lost", () => {
    expect(troubles(installation([node("a", "delivering", "1"), node("b", "standby", "2")], "a", 1))[0]?.text).toContain("1, 2");
    expect(troubles(installation([node("a", "delivering", "2"), node("b", "lost", "1")], "a", 1))).toHaveLength(1);
  });

  it("is not judged by what could not be asked", () => {
    expect(troubles({ nodes: null, partitions: null } as unknown as Installation)).toEqual([]);
  });
});
