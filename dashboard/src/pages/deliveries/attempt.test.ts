import { describe, expect, it } from "vitest";
import { curlOf, MASK } from "./curl";
import { FAILURES } from "./search";
import { timingParts } from "./timing";
import { FAILURE_WORDS, isBinary, saidOf } from "./words";

const NOTHING = { nameMs: null, connectMs: null, tlsMs: null, firstByteMs: null, bodyMs: null };

it("tells bytes that are no text from text with a letter or two that was lost", () => {
  expect(isBinary("\uFFFD\u0001PNG\uFFFD")).toBe(true);
  expect(isBinary("")).toBe(false);
  expect(isBinary(`na\uFFFDve ${"text ".repeat(10)}\n\t`)).toBe(false);
});

describe("words", () => {
  it("are there for every kind of failure, with advice", () => {
    expect(Object.keys(FAILURE_WORDS).sort()).toEqual([...FAILURES].sort());
    for (const kind of FAILURES) expect(saidOf({ status: null, errorKind: kind })?.advice.length).toBeGreaterThan(20);
  });
  it("are there for every answer but 2xx, also where what came after its head failed", () => {
    for (let status = 100; status < 600; status += 1) expect(saidOf({ status, errorKind: status < 200 || status > 299 ? "status" : null }) === undefined).toBe(status >= 200 && status < 300);
    expect(saidOf({ status: 200, errorKind: "reset" })?.what).toMatch(/broke/);
    expect(saidOf({ status: null, errorKind: "novel_kind" })?.what).toMatch(/novel kind/);
  });
});

describe("an attempt as a command", () => {
  const headers = {
    "content-type": "application/json", host: "x", "content-length": "9", "webhook-id": "e'1", "webhook-signature": "v1,secret", "x-api-key": "k", "x-tenant": MASK,
  };
  const text = curlOf("https://user:pass@hooks.example/path?token=abc&a=1", headers, `{"it's":1}`);
  it("says no secret", () => {
    for (const secret of ["secret", "abc", "pass", "user", ": k", MASK]) expect(text).not.toContain(secret);
    expect(text).toContain('-H "webhook-signature: $WEBHOOK_SIGNATURE"');
    expect(text).toContain('-H "x-tenant: $X_TENANT"');
    expect(text).toContain('"https://hooks.example/path?token=$TOKEN&a=$A"');
  });
  it("says the rest as it was sent, safe for a shell", () => {
    expect(text).toContain(`-H 'webhook-id: e'\\''1'`);
    expect(text).toContain(`--data-raw '{"it'\\''s":1}'`);
    expect(text).not.toMatch(/content-length|host:/);
  });
  it("lets nothing of a URL run", () => {
    expect(curlOf("https://h/$(id)`id`", {}, undefined)).toBe('curl -sS -X POST "https://h/\\$(id)%60id%60"');
    expect(curlOf("https://h/?$(id)=1", {}, undefined)).not.toContain("$(");
    expect(curlOf(undefined, {}, undefined)).toContain('"$URL"');
  });
});

describe("timing", () => {
  it("adds up to the whole", () => {
    const parts = timingParts({ durationMs: 100, timing: { nameMs: 10, connectMs: 20, tlsMs: null, firstByteMs: 60, bodyMs: 9.5 } });
    expect(parts.map((part) => part.name)).toEqual(["Name look-up", "Connect", "First byte", "Body"]);
    expect(parts.reduce((sum, part) => sum + part.share, 0)).toBeCloseTo(1);
  });
  it("shows a wait that led nowhere", () => {
    expect(timingParts({ durationMs: 15_000, timing: { ...NOTHING, connectMs: 5 } }).at(-1)).toMatchObject({ name: "Waiting", ms: 14_995 });
    expect(timingParts({ durationMs: 0, timing: { ...NOTHING, bodyMs: 0 } })).toEqual([{ name: "Body", ms: 0, share: 0, mark: "bg-good-mark" }]);
  });
});
