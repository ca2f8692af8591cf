/**
 * A subscription as it is typed: texts as they stand in the fields, how they become what the API
 * takes, and what is wrong with them in the words and at the places that the API has for it. What
 * only the relay can judge (a name that resolves to a private address) is left to it.
 */
import type { NewSubscription, RetryPolicy, Subscription, SubscriptionChange } from "../../api/types";
import { EXAMPLE_RECEIVER } from "../../entities/example";
import { pastedFault } from "../../ui/pasted";
import { parseTime, timeText } from "./time-text";

export const MASK = "********";
export const PRESETS = {
  algohire: { header: "X-AlgoHire-Signature", prefix: "" },
  recart: { header: "X-Recart-Signature-256", prefix: "" },
  github: { header: "X-Hub-Signature-256", prefix: "sha256=" },
} as const;
export type Preset = keyof typeof PRESETS;

export interface HeaderDraft {
  name: string;
  value: string;
}

export interface SignatureDraft {
  header: string;
  encoding: "hex" | "base64";
  prefix: string;
  signs: "body" | "timestamp.body";
  timestampHeader: string;
}

export interface Draft {
  name: string;
  url: string;
  tenant: string;
  patterns: readonly string[];
  headers: readonly HeaderDraft[];
  retry: "default" | "growing" | "list";
  attempts: string;
  base: string;
  factor: string;
  cap: string;
  delays: string;
  jitter: string;
  maxAge: string;
  timeout: string;
  maxInFlight: string;
  limited: boolean;
  limit: string;
  period: string;
  burst: string;
  breaker: "default" | "own" | "off";
  inARow: string;
  ratio: string;
  minimum: string;
  window: string;
  coolDown: string;
  coolDownMax: string;
  probes: string;
  deactivation: "default" | "own";
  exhausted: string;
  failingFor: string;
  trials: string;
  ordering: "none" | "key" | "all";
  orderingFailure: "block" | "skip";
  format: "relay" | "standard" | "raw" | "cloudevents";
  secretKind: "made" | "brought" | "pair" | "tenant";
  secret: string;
  signatureMode: "beside" | "instead";
  signatures: readonly SignatureDraft[];
}

export const EMPTY: Draft = {
  name: "", url: "", tenant: "", patterns: [], headers: [],
  retry: "default", attempts: "", base: "", factor: "", cap: "", delays: "", jitter: "", maxAge: "",
  timeout: "", maxInFlight: "", limited: false, limit: "", period: "1 s", burst: "",
  breaker: "default", inARow: "", ratio: "", minimum: "", window: "", coolDown: "", coolDownMax: "", probes: "",
  deactivation: "default", exhausted: "", failingFor: "", trials: "",
  ordering: "none", orderingFailure: "block", format: "relay",
  secretKind: "made", secret: "", signatureMode: "beside", signatures: [],
};

const text = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(value));
const share = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(Number((value * 100).toFixed(4))));

/** What is stored, as it is typed. */
export function draftOf(stored: Subscription): Draft {
  const { retryPolicy: retry, breaker, deactivation, rateLimit: rate } = stored;
  return {
    ...EMPTY,
    name: stored.name, url: stored.url, tenant: stored.clientId ?? "", patterns: stored.eventTypes,
    headers: Object.entries(stored.headers).map(([name, value]) => ({ name, value })),
    retry: !retry ? "default" : retry.delaysMs ? "list" : "growing",
    attempts: text(retry?.attempts), base: timeText(retry?.baseMs), factor: text(retry?.factor), cap: timeText(retry?.capMs),
    delays: (retry?.delaysMs ?? []).map(timeText).join(", "), jitter: share(retry?.jitter), maxAge: timeText(retry?.maxAgeMs),
    timeout: timeText(stored.timeoutMs), maxInFlight: text(stored.maxInFlight),
    limited: Boolean(rate), limit: text(rate?.limit), period: rate ? timeText(rate.periodMs ?? 1_000) : "1 s", burst: text(rate?.burst),
    breaker: !breaker ? "default" : breaker.enabled === false ? "off" : "own",
    inARow: text(breaker?.consecutiveFailures), ratio: share(breaker?.failureRatio), minimum: text(breaker?.minimumAttempts), window: timeText(breaker?.windowMs),
    coolDown: timeText(breaker?.coolDownMs), coolDownMax: timeText(breaker?.coolDownMaxMs), probes: text(breaker?.probes),
    deactivation: deactivation ? "own" : "default",
    exhausted: text(deactivation?.exhaustedDeliveries), failingFor: timeText(deactivation?.failingForMs), trials: timeText(deactivation?.trialIntervalMs),
    ordering: stored.ordering, orderingFailure: stored.orderingFailure, format: stored.payloadFormat,
    secretKind: stored.secretFrom === "tenant" ? "tenant" : stored.signing === "ed25519" ? "pair" : "made",
    signatureMode: stored.signature?.mode ?? "beside",
    signatures: (stored.signature?.headers ?? []).map((one) => ({
      header: one.header, encoding: one.encoding, prefix: one.prefix, signs: one.signs, timestampHeader: one.timestampHeader ?? "",
    })),
  };
}

const whole = (value: string) => (/^\d+$/.test(value.trim()) ? Number(value) : undefined);
const number = (value: string) => (/^\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : undefined);
const isBlank = (value: string) => value.trim() === "";

/** Fields that are filled in, and no others. */
function filled<K extends string>(fields: Record<K, number | undefined>): Partial<Record<K, number>> {
  return Object.fromEntries(Object.entries(fields).filter((field) => field[1] !== undefined)) as Partial<Record<K, number>>;
}

function part(value: string): number | undefined {
  const given = number(value);
  return given === undefined ? undefined : Number((given / 100).toFixed(6));
}

/** The list of delays; nothing where one of them is no length of time. */
function delaysOf(value: string): number[] | undefined {
  const delays = value.split(/[,;\n]/).filter((one) => !isBlank(one)).map(parseTime);
  return delays.every((one) => one !== undefined) ? delays : undefined;
}

/** The retry policy as typed; nothing where the default holds. */
export function retryOf(draft: Draft): RetryPolicy | null {
  if (draft.retry === "default") return null;
  const common = filled({ jitter: part(draft.jitter), maxAgeMs: parseTime(draft.maxAge) });
  if (draft.retry === "list") return { delaysMs: delaysOf(draft.delays) ?? [], ...common };
  return { ...filled({ attempts: whole(draft.attempts), baseMs: parseTime(draft.base), factor: number(draft.factor), capMs: parseTime(draft.cap) }), ...common };
}

/** What is in force: own fields, the others from the default, as domain/retry.rs joins them. */
export function retryInForce(own: RetryPolicy | null, otherwise: RetryPolicy | undefined): RetryPolicy | undefined {
  if (!own) return otherwise;
  const isGrowing = own.attempts !== undefined || own.baseMs !== undefined || own.factor !== undefined || own.capMs !== undefined;
  const { delaysMs, attempts, baseMs, factor, capMs, ...rest } = otherwise ?? {};
  if (own.delaysMs) return { ...rest, ...own };
  return { ...rest, ...(isGrowing || !delaysMs ? grown({ attempts, baseMs, factor, capMs }) : { delaysMs }), ...own };
}

/** Where the default is a list, what is left open of own fields is what domain/retry.rs takes then. */
function grown(given: { [K in "attempts" | "baseMs" | "factor" | "capMs"]: number | null | undefined }): RetryPolicy {
  return { attempts: given.attempts ?? 1, baseMs: given.baseMs ?? 5_000, factor: given.factor ?? 2, capMs: given.capMs ?? 3_600_000 };
}

function breakerOf(draft: Draft): NonNullable<NewSubscription["breaker"]> | null {
  if (draft.breaker === "default") return null;
  if (draft.breaker === "off") return { enabled: false };
  return {
    enabled: true,
    ...filled({
      consecutiveFailures: whole(draft.inARow), failureRatio: part(draft.ratio), minimumAttempts: whole(draft.minimum), windowMs: parseTime(draft.window),
      coolDownMs: parseTime(draft.coolDown), coolDownMaxMs: parseTime(draft.coolDownMax), probes: whole(draft.probes),
    }),
  };
}

type Body = NewSubscription & Record<string, unknown>;

/** What the API is given for a new one. */
export function bodyOf(draft: Draft): Body {
  const rate = draft.limited ? { limit: whole(draft.limit) ?? 0, ...filled({ periodMs: parseTime(draft.period), burst: whole(draft.burst) }) } : null;
  return {
    name: draft.name.trim(), url: draft.url.trim(), eventTypes: [...draft.patterns],
    ...(isBlank(draft.tenant) ? {} : { clientId: draft.tenant.trim() }),
    headers: Object.fromEntries(draft.headers.filter((one) => !isBlank(one.name)).map((one) => [one.name.trim(), one.value])),
    retryPolicy: retryOf(draft),
    timeoutMs: parseTime(draft.timeout) ?? null, maxInFlight: whole(draft.maxInFlight) ?? null, rateLimit: rate,
    breaker: breakerOf(draft),
    deactivation: draft.deactivation === "default" ? null : filled({ exhaustedDeliveries: whole(draft.exhausted), failingForMs: parseTime(draft.failingFor), trialIntervalMs: parseTime(draft.trials) }),
    ordering: draft.ordering, orderingFailure: draft.orderingFailure, payloadFormat: draft.format,
    signature: draft.signatures.length === 0 ? null : {
      mode: draft.signatureMode,
      headers: draft.signatures.map((one) => ({
        header: one.header.trim(), encoding: one.encoding, prefix: one.prefix, signs: one.signs,
        ...(isBlank(one.timestampHeader) ? {} : { timestampHeader: one.timestampHeader.trim() }),
      })),
    },
    ...(draft.secretKind === "brought" ? { secret: draft.secret } : draft.secretKind === "pair" ? { signing: "ed25519" as const } : draft.secretKind === "tenant" ? { secretFrom: "tenant" as const }
      // Where nothing is said, a tenant's secret would be taken.
      : isBlank(draft.tenant) ? {} : { secretFrom: "subscription" as const }),
  };
}

/** What the API shows of a new one, without what says nothing: for the command beside the form. */
export function shortBody(draft: Draft): Record<string, unknown> {
  const usual = bodyOf(EMPTY);
  // Of a form that is empty yet, a command that works.
  const shown = { ...draft, name: isBlank(draft.name) ? "First" : draft.name, url: isBlank(draft.url) ? EXAMPLE_RECEIVER : draft.url, patterns: draft.patterns.length > 0 ? draft.patterns : ["*"] };
  return Object.fromEntries(Object.entries(bodyOf(shown)).filter(([name, value]) => ["name", "url", "eventTypes"].includes(name) || JSON.stringify(value) !== JSON.stringify(usual[name]))
    .map(([name, value]) => [name, name === "secret" ? "…" : value]));
}

/** Only what was changed: what somebody else changes meanwhile stays. */
export function changesOf(draft: Draft, stored: Subscription): SubscriptionChange {
  const before = editable(draftOf(stored));
  return Object.fromEntries(Object.entries(editable(draft)).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));
}

function editable(draft: Draft): Record<string, unknown> {
  // Secrets are replaced by rotation; whose they are can be changed. No tenant is null here, not left out.
  const body: Record<string, unknown> = { ...bodyOf(draft), clientId: isBlank(draft.tenant) ? null : draft.tenant.trim(), secretFrom: draft.secretKind === "tenant" ? "tenant" : "subscription" };
  delete body["secret"];
  delete body["signing"];
  return body;
}

const SEGMENT = /^([A-Za-z0-9_-]+|\*)$/;
const HEADER = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VISIBLE = /^[\t\x20-\x7e]*$/;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const OURS = new Set(["connection", "content-length", "content-type", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"]);
const BODY_SIGNATURE = ["x-webhook-signature", "x-webhook-timestamp"];
const DAY = 86_400_000;

/** What is wrong with a pattern of event types. */
export function patternFault(pattern: string): string | undefined {
  if (pattern === "" || [...pattern].length > 255) return "must be 1 to 255 characters long";
  const wrong = pattern.split(".").findIndex((segment) => !SEGMENT.test(segment));
  return wrong < 0 ? undefined : `must be segments of letters, digits, _ and - parted by dots, or *; segment ${wrong + 1} is not`;
}

export function urlFault(url: string): string | undefined {
  if (url === "") return "is required";
  if (url.length > 2_048) return `must be 1 to 2048 characters long, not ${url.length}`;
  if (/\s/.test(url) || CONTROL.test(url)) return "must not hold spaces or control characters";
  if (!/^https?:\/\//i.test(url)) return "must begin with https://";
  if (!URL.canParse(url)) return "is not a URL";
  const parsed = new URL(url);
  return parsed.username || parsed.password ? "must not hold a user name or password: use the header authorization" : undefined;
}

function textFault(value: string): string | undefined {
  const length = [...value.trim()].length;
  if (length === 0) return "is required";
  if (length > 255) return `must be 1 to 255 characters long, not ${length}`;
  return CONTROL.test(value) ? "must not hold control characters" : undefined;
}

function headerNameFault(name: string): string | undefined {
  if (!HEADER.test(name)) return "is not the name of a header";
  if (name.length > 255) return "must be at most 255 characters long";
  const lower = name.toLowerCase();
  return OURS.has(lower) || lower.startsWith("proxy-") || lower.startsWith("webhook-") ? "cannot be an own header: it is set by Posthaste or by the connection" : undefined;
}

/** All that is wrong, by the place at which the API names it. */
export function faultsOf(draft: Draft): ReadonlyMap<string, string> {
  const faults = new Map<string, string>();
  const say = (path: string, fault: string | undefined | false) => fault && !faults.has(path) && faults.set(path, fault);
  const count = (path: string, value: string, low: number, high: number) => {
    const given = whole(value);
    if (!isBlank(value) && (given === undefined || given < low || given > high)) say(path, `must be a whole number, ${low} to ${high}`);
  };
  const time = (path: string, value: string, low: number, high: number) => {
    const given = parseTime(value);
    if (isBlank(value)) return;
    if (given === undefined) say(path, "must be a length of time with its unit: 500 ms, 30 s, 5 min, 12 h, 2 d");
    else if (given < low || given > high) say(path, `must be ${low === 0 ? "0" : timeText(low)} to ${timeText(high)}`);
  };
  const percent = (path: string, value: string, low: number, high: number) => {
    const given = number(value);
    if (!isBlank(value) && (given === undefined || given < low || given > high)) say(path, `must be ${low} to ${high} %`);
  };

  say("name", textFault(draft.name));
  say("url", urlFault(draft.url.trim()));
  if (!isBlank(draft.tenant)) say("clientId", textFault(draft.tenant));
  if (draft.patterns.length === 0) say("eventTypes", "is required: name a type, a pattern such as order.*, or * for all");
  if (draft.patterns.length > 100) say("eventTypes", `must be 1 to 100 patterns, not ${draft.patterns.length}`);
  draft.patterns.forEach((pattern, index) => say(`eventTypes[${index}]`, patternFault(pattern)));

  const named = draft.headers.filter((one) => !isBlank(one.name) || one.value !== "");
  if (named.length > 20) say("headers", `must be at most 20, not ${named.length}`);
  named.forEach((one, index) => {
    const name = one.name.trim();
    const lower = name.toLowerCase();
    const path = `headers.${name}`;
    say(path, headerNameFault(name));
    say(path, BODY_SIGNATURE.includes(lower) && "cannot be an own header: it is set by Posthaste or by the connection");
    say(path, named.findIndex((other) => other.name.trim().toLowerCase() === lower) < index && "is given twice (names ignore case)");
    say(path, draft.signatures.some((other) => other.header.trim().toLowerCase() === lower || other.timestampHeader.trim().toLowerCase() === lower) && "is a header of signature too");
    say(path, !VISIBLE.test(one.value) && "must hold visible ASCII, spaces and tabs only");
    say(path, one.value.length > 4_096 && `must have at most 4096 bytes, not ${one.value.length}`);
  });

  if (draft.retry === "growing") {
    count("retryPolicy.attempts", draft.attempts, 1, 100);
    time("retryPolicy.baseMs", draft.base, 100, DAY);
    time("retryPolicy.capMs", draft.cap, 100, 7 * DAY);
    const factor = number(draft.factor);
    if (!isBlank(draft.factor) && (factor === undefined || factor < 1 || factor > 10)) say("retryPolicy.factor", "must be 1 to 10");
    const [base, cap] = [parseTime(draft.base), parseTime(draft.cap)];
    if (base !== undefined && cap !== undefined && cap < base) say("retryPolicy.capMs", `must be at least the first delay (${timeText(base)})`);
  } else if (draft.retry === "list") {
    const delays = delaysOf(draft.delays);
    if (!delays) say("retryPolicy.delaysMs", "must be lengths of time with their units, parted by commas: 5 s, 1 min, 1 h");
    else if (delays.length > 99) say("retryPolicy.delaysMs", "must be at most 99 delays");
    else if (delays.some((one) => one > 7 * DAY)) say("retryPolicy.delaysMs", "must be at most 7 d each");
  }
  if (draft.retry !== "default") {
    percent("retryPolicy.jitter", draft.jitter, 0, 50);
    time("retryPolicy.maxAgeMs", draft.maxAge, 1_000, 30 * DAY);
  }

  time("timeoutMs", draft.timeout, 100, 60_000);
  count("maxInFlight", draft.maxInFlight, 1, 1_000);
  if (draft.limited) {
    if (isBlank(draft.limit)) say("rateLimit.limit", "is required");
    count("rateLimit.limit", draft.limit, 1, 100_000);
    time("rateLimit.periodMs", draft.period, 1_000, DAY);
    count("rateLimit.burst", draft.burst, 1, 100_000);
  }
  if (draft.breaker === "own") {
    count("breaker.consecutiveFailures", draft.inARow, 1, 100_000);
    percent("breaker.failureRatio", draft.ratio, 1, 100);
    count("breaker.minimumAttempts", draft.minimum, 1, 100_000);
    time("breaker.windowMs", draft.window, 1_000, 3_600_000);
    time("breaker.coolDownMs", draft.coolDown, 100, DAY);
    time("breaker.coolDownMaxMs", draft.coolDownMax, 100, DAY);
    count("breaker.probes", draft.probes, 1, 100);
    const [first, longest] = [parseTime(draft.coolDown), parseTime(draft.coolDownMax)];
    if (first !== undefined && longest !== undefined && longest < first) say("breaker.coolDownMaxMs", `must be at least the first cool-down (${timeText(first)})`);
  }
  if (draft.deactivation === "own") {
    count("deactivation.exhaustedDeliveries", draft.exhausted, 0, 1_000_000);
    time("deactivation.failingForMs", draft.failingFor, 0, 90 * DAY);
    time("deactivation.trialIntervalMs", draft.trials, 0, 7 * DAY);
  }

  if (draft.secretKind === "brought") say("secret", secretFault(draft.secret));
  if (draft.secretKind === "tenant" && isBlank(draft.tenant)) say("secretFrom", "is the tenant: name one above");
  if (draft.signatures.length > 0 && draft.secretKind === "pair") say("signature", "needs a secret that the receiver shares, and this subscription signs with a key pair");
  if (draft.signatures.length > 4) say("signature", `must be at most 4 headers, not ${draft.signatures.length}`);
  draft.signatures.forEach((one, index) => {
    const path = `signature.headers[${index}]`;
    const name = one.header.trim();
    say(`${path}.header`, isBlank(name) ? "is required" : headerNameFault(name));
    say(`${path}.header`, draft.signatures.findIndex((other) => other.header.trim().toLowerCase() === name.toLowerCase()) < index && "is given twice (names ignore case)");
    say(`${path}.header`, draft.signatureMode === "beside" && BODY_SIGNATURE.includes(name.toLowerCase()) && "is free only where own headers stand instead of ours");
    say(`${path}.prefix`, !/^[\x20-\x7e]{0,64}$/.test(one.prefix) && "must be up to 64 visible characters");
    if (!isBlank(one.timestampHeader)) say(`${path}.timestampHeader`, headerNameFault(one.timestampHeader.trim()));
  });
  return faults;
}

/** What is wrong with a secret that was made elsewhere. */
export function secretFault(secret: string): string | undefined {
  if (secret === "") return "is required: bring one, or let one be made";
  const bytes = new TextEncoder().encode(secret).length;
  const pasted = pastedFault(secret);
  if (pasted) return pasted;
  if (secret.startsWith("whsec_")) {
    try {
      const inside = atob(secret.slice(6)).length;
      return inside < 24 || inside > 64 ? `must hold 24 to 64 bytes behind whsec_, not ${inside}` : undefined;
    } catch {
      return "must have base64 behind whsec_";
    }
  }
  return bytes < 8 || bytes > 512 ? `must have 8 to 512 bytes, not ${bytes}` : undefined;
}

/** The event types that a pattern matches, as domain/event_type.rs has it. */
export function patternMatches(pattern: string, type: string): boolean {
  // What Posthaste raises itself is matched by its first segment only.
  const isOwn = (text: string) => text === "posthaste" || text.startsWith("posthaste.");
  if (isOwn(pattern) !== isOwn(type)) return false;
  const wanted = pattern.split(".");
  const given = type.split(".");
  return wanted.every((segment, index) => {
    if (given[index] === undefined) return false;
    return segment === "*" || segment === given[index];
  }) && (given.length === wanted.length || (given.length > wanted.length && wanted.at(-1) === "*"));
}
