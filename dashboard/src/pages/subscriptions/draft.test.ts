// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import type { Subscription } from "../../api/types";
import { bodyOf, changesOf, draftOf, EMPTY, faultsOf, MASK, patternFault, patternMatches, retryInForce, retryOf, secretFault, shortBody, type Draft } from "./draft";

const GOOD: Draft = { ...EMPTY, name: "HRMS", url: "https://example.com/hook", patterns: ["order.*"] };
const faults = (changed: Partial<Draft>) => Object.fromEntries(faultsOf({ ...GOOD, ...changed }));

const STORED = {
  name: "HRMS", url: "https://example.com/hook", eventTypes: ["order.*"], headers: { authorization: MASK }, clientId: null,
  retryPolicy: { delaysMs: [1_000, 90_000] }, timeoutMs: null, maxInFlight: 8, rateLimit: { limit: 5, periodMs: 60_000 },
  breaker: { failureRatio: 0.29, coolDownMs: 5_000 }, deactivation: null, ordering: "key", orderingFailure: "block", payloadFormat: "raw",
  signature: { mode: "beside", headers: [{ header: "x-acme", encoding: "hex", prefix: "sha256=", signs: "body", timestampHeader: null }] },
  secretFrom: "subscription", signing: "hmac-sha256",
} as unknown as Subscription;

describe("faults stand where the API names them", () => {
  it("finds none in what is whole", () => expect(faults({})).toEqual({}));

  it.each<[Partial<Draft>, string]>([
    [{ name: " " }, "name"],
    [{ name: "x".repeat(256) }, "name"],
    [{ url: "ftp://example.com" }, "url"],
    [{ url: "https://me:secret@example.com" }, "url"],
    [{ url: "https://exa mple.com" }, "url"],
    [{ patterns: [] }, "eventTypes"],
    [{ patterns: ["order.*", "or der"] }, "eventTypes[1]"],
    [{ headers: [{ name: "Host", value: "x" }] }, "headers.Host"],
    [{ headers: [{ name: "webhook-id", value: "x" }] }, "headers.webhook-id"],
    [{ headers: [{ name: "a", value: "é" }] }, "headers.a"],
    [{ headers: [{ name: "x-a", value: "1" }, { name: "X-A", value: "2" }] }, "headers.X-A"],
    [{ retry: "growing", base: "99 ms" }, "retryPolicy.baseMs"],
    [{ retry: "growing", base: "1 h", cap: "1 min" }, "retryPolicy.capMs"],
    [{ retry: "growing", attempts: "101" }, "retryPolicy.attempts"],
    [{ retry: "growing", factor: "0.5" }, "retryPolicy.factor"],
    [{ retry: "list", delays: "5 s, soon" }, "retryPolicy.delaysMs"],
    [{ retry: "list", delays: "8 d" }, "retryPolicy.delaysMs"],
    [{ retry: "list", jitter: "51" }, "retryPolicy.jitter"],
    [{ timeout: "61 s" }, "timeoutMs"],
    [{ timeout: "15" }, "timeoutMs"],
    [{ maxInFlight: "0" }, "maxInFlight"],
    [{ limited: true }, "rateLimit.limit"],
    [{ limited: true, limit: "1", period: "500 ms" }, "rateLimit.periodMs"],
    [{ breaker: "own", ratio: "0.5" }, "breaker.failureRatio"],
    [{ breaker: "own", coolDown: "1 h", coolDownMax: "1 min" }, "breaker.coolDownMaxMs"],
    [{ deactivation: "own", failingFor: "91 d" }, "deactivation.failingForMs"],
    [{ secretKind: "brought", secret: "short" }, "secret"],
    [{ secretKind: "tenant" }, "secretFrom"],
    [{ signatures: [{ header: "webhook-signature", encoding: "hex", prefix: "", signs: "body", timestampHeader: "" }] }, "signature.headers[0].header"],
  ])("%j", (changed, path) => expect(Object.keys(faults(changed))).toEqual([path]));

  it("judges what is in use alone", () => {
    expect(faults({ retry: "default", base: "nonsense", limited: false, limit: "nonsense", breaker: "off", coolDown: "nonsense" })).toEqual({});
  });
});

describe("what is sent", () => {
  it("leaves open what follows the default", () => {
    expect(shortBody(GOOD)).toEqual({ name: "HRMS", url: "https://example.com/hook", eventTypes: ["order.*"] });
    expect(bodyOf({ ...GOOD, retry: "growing", base: "5 s" }).retryPolicy).toEqual({ baseMs: 5_000 });
  });

  it("makes a secret of its own also where the tenant holds one", () => {
    expect(bodyOf({ ...GOOD, tenant: "acme" })).toMatchObject({ clientId: "acme", secretFrom: "subscription" });
    expect(bodyOf({ ...GOOD, tenant: "acme", secretKind: "tenant" })).toMatchObject({ secretFrom: "tenant" });
  });

  it("shows a command that works before anything is filled in", () => {
    expect(shortBody(EMPTY)).toEqual({ name: "First", url: "http://127.0.0.1:9000/", eventTypes: ["*"] });
  });

  it("never shows a secret in the command", () => {
    expect(JSON.stringify(shortBody({ ...GOOD, secretKind: "brought", secret: "top-secret" }))).not.toContain("top-secret");
  });

  it("sends nothing of what is stored and was not touched", () => {
    expect(changesOf(draftOf(STORED), STORED)).toEqual({});
    expect(changesOf({ ...draftOf(STORED), timeout: "5 s" }, STORED)).toEqual({ timeoutMs: 5_000 });
  });

  it("keeps headers whose value is not known, and drops those that were taken away", () => {
    const draft = draftOf(STORED);
    expect(changesOf({ ...draft, headers: [...draft.headers, { name: "x-a", value: "1" }] }, STORED)).toEqual({ headers: { authorization: MASK, "x-a": "1" } });
    expect(changesOf({ ...draft, headers: [] }, STORED)).toEqual({ headers: {} });
  });

  it("sends null for what goes back to the default", () => {
    expect(changesOf({ ...draftOf(STORED), retry: "default", limited: false, maxInFlight: "", signatures: [] }, STORED)).toEqual({ retryPolicy: null, rateLimit: null, maxInFlight: null, signature: null });
  });

  it("cannot replace a secret by an edit", () => {
    expect(changesOf({ ...draftOf(STORED), secret: "something-new", secretKind: "brought" }, STORED)).toEqual({});
  });
});

describe("the retry policy in force", () => {
  const standard = { attempts: 9, baseMs: 5_000, factor: 5, capMs: 43_200_000, jitter: 0.2 };
  it("fills open fields from the default", () => {
    expect(retryInForce(retryOf({ ...GOOD, retry: "growing", attempts: "3" }), standard)).toEqual({ ...standard, attempts: 3 });
    expect(retryInForce(null, standard)).toBe(standard);
  });
  it("takes nothing of the other kind", () => {
    expect(retryInForce({ delaysMs: [1_000] }, standard)).toEqual({ delaysMs: [1_000], jitter: 0.2 });
    expect(retryInForce({ attempts: 3 }, { delaysMs: [1_000], jitter: 0.1 })).toEqual({ attempts: 3, baseMs: 5_000, factor: 2, capMs: 3_600_000, jitter: 0.1 });
  });
});

it("reads patterns as the relay does", () => {
  expect(["order.created", "*", "order.*", "*.created", "a-b_c.1"].map(patternFault)).toEqual([undefined, undefined, undefined, undefined, undefined]);
  expect(["", "order..x", "order.cre*", ".x"].filter((pattern) => patternFault(pattern) === undefined)).toEqual([]);
  expect(patternMatches("order.*", "order.created.late")).toBe(true);
  expect(patternMatches("order.*", "order")).toBe(false);
  expect(patternMatches("*.created", "order.created")).toBe(true);
  expect(patternMatches("*.created", "order.item.created")).toBe(false);
  expect(patternMatches("*", "posthaste.breaker.opened")).toBe(false);
  expect(patternMatches("*.breaker.opened", "posthaste.breaker.opened")).toBe(false);
  expect(patternMatches("posthaste.*", "posthaste.breaker.opened")).toBe(true);
});

it("bounds secrets as the relay does", () => {
  expect(secretFault(`whsec_${btoa("x".repeat(24))}`)).toBeUndefined();
  expect(secretFault(`whsec_${btoa("x".repeat(23))}`)).toContain("24 to 64");
  expect(secretFault("whsec_???")).toContain("base64");
  expect(secretFault("eight888")).toBeUndefined();
});
