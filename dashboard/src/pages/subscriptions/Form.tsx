/** The form of a subscription, new or stored: what is wrong stands under its field, first as judged here, then as the relay has it. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useId, useMemo, useRef, useState, type FormEvent, type ReactNode } from "react";
import { api, data } from "../../api/client";
import { adviceFor, Problem, type Fault } from "../../api/problem";
import { allows, useBarred, useSession } from "../../api/session";
import type { RetryPolicy, Subscription } from "../../api/types";
import { EXAMPLE_RECEIVER, IS_HERE } from "../../entities/example";
import { Button } from "../../ui/Button";
import { Curl } from "../../ui/Code";
import { Field, Input, Select, Switch } from "../../ui/Field";
import { duration } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { Panel } from "../../ui/Panel";
import { Choice } from "../../ui/Tabs";
import { defaultsQuery, ofOthers, type Defaults } from "./defaults";
import { bodyOf, faultsOf, MASK, PRESETS, retryInForce, retryOf, shortBody, type Draft, type Preset, type SignatureDraft } from "./draft";
import { Patterns } from "./Patterns";
import { RetrySchedule } from "./RetrySchedule";
import { coolDowns } from "./schedule";
import { TestOutcome } from "./TestOutcome";
import { parseTime, timeText } from "./time-text";

interface Props {
  initial: Draft;
  /** What is stored; nothing for a new one. */
  stored?: Subscription;
  save: (draft: Draft) => Promise<void>;
  onLeave: () => void;
}

export function SubscriptionForm({ initial, stored, save, onLeave }: Props) {
  const session = useSession();
  const barred = useBarred("subscriptions:write");
  const form = useRef<HTMLFormElement>(null);
  const [draft, setDraft] = useState(initial);
  // Faults are shown of fields that were left, and of all once one tried.
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [tried, setTried] = useState(false);
  // The relay's own, until their field is changed.
  const [refused, setRefused] = useState<readonly Fault[]>([]);
  const faults = useMemo(() => faultsOf(draft), [draft]);
  const refuse = (error: unknown) => {
    setRefused(error instanceof Problem ? error.faults : []);
    focusFault(form.current);
  };
  const submitting = useMutation({ mutationFn: () => save(draft), onError: refuse });
  const testing = useMutation({
    mutationFn: (asked: Draft) => data(api.POST("/api/v1/subscriptions/test", { body: bodyOf(withoutMasks(asked)) })),
    onError: refuse,
  });
  const change = useCallback((changed: Partial<Draft>, path: string) => {
    setDraft((now) => ({ ...now, ...changed }));
    setRefused((now) => now.filter((fault) => !isWithin(fault.path, path)));
  }, []);
  const leave = useCallback((path: string) => setLeft((now) => (now.has(path) ? now : new Set([...now, path]))), []);
  const faultAt = (path: string) => {
    const fault = refused.find((one) => one.path === path)?.message ?? (tried || left.has(path) ? faults.get(path) : undefined);
    return fault && fault.charAt(0).toUpperCase() + fault.slice(1);
  };
  const isShown = (path: string) => SHOWN.some((shown) => isWithin(path, shown));
  const elsewhere = refused.filter((fault) => !isShown(fault.path));
  const attempt = (go: () => void) => {
    setTried(true);
    if (faults.size === 0) go();
    else focusFault(form.current);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!barred) attempt(() => submitting.mutate());
  };
  const failure = submitting.error ?? testing.error;
  const asked = useQuery({ ...defaultsQuery(allows(session, "admin") && session.tenant === null), enabled: allows(session, "subscriptions:read") });
  const common: SectionProps = { draft, change, leave, faultAt, stored, defaults: useMemo(() => inForce(asked.data, stored), [asked.data, stored]), isAsking: asked.isLoading };
  return (
    <form ref={form} onSubmit={submit} noValidate className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_minmax(0,25rem)]">
      <div className="flex min-w-0 max-w-4xl flex-col gap-3">
        <Receiver {...common} isClient={session.tenant !== null} />
        <Signing {...common} isClient={session.tenant !== null} />
        <Pace {...common} />
        <Retries {...common} />
        <Failing {...common} />
        <Order {...common} />
      </div>
      <div className="min-w-0">
        <div className="flex flex-col gap-3 lg:sticky lg:top-4 lg:max-h-[calc(100dvh-2rem)] lg:overflow-y-auto">
          <Panel>
            <div className="flex flex-wrap gap-2">
              <Button kind="primary" type="submit" icon="check" busy={submitting.isPending} barred={barred}>{stored ? "Save" : "Register"}</Button>
              <Button onClick={onLeave}>Leave it</Button>
            </div>
            {tried && faults.size > 0 && <p role="status" className="mt-2 text-bad">{faults.size === 1 ? "One field needs a look." : `${faults.size} fields need a look.`}</p>}
            {Boolean(failure) && refused.length === 0 && <p role="alert" className="mt-2 flex gap-1.5 text-bad"><Icon name="warning" size={14} className="mt-0.5 shrink-0" />{adviceFor(failure).title}</p>}
            {elsewhere.map((fault) => <p key={fault.path} role="alert" className="mt-2 flex gap-1.5 text-bad"><Icon name="warning" size={14} className="mt-0.5 shrink-0" />{fault.path} {fault.message}</p>)}
          </Panel>
          <Panel title="Try it first" aside={<Button icon="send" busy={testing.isPending} barred={barred} onClick={() => attempt(() => testing.mutate(draft))}>Send a test</Button>}>
            {testing.isPending ? <p role="status" className="text-muted">The receiver is being called …</p>
              : testing.data ? <>{testing.variables !== draft && <p className="mb-2 text-sm text-muted">Before the last change of the form:</p>}<TestOutcome outcome={testing.data} /></>
                : <p className="text-muted">One signed call with the header <span className="font-mono text-sm">webhook-test: true</span> to the URL as it stands here. Nothing is stored.{draft.headers.some((one) => one.value === MASK) && " Headers whose value is kept are left out of it."}</p>}
          </Panel>
          {!stored && <Panel title="The same by the API"><Curl method="POST" path="/api/v1/subscriptions" body={shortBody(draft)} /></Panel>}
        </div>
      </div>
    </form>
  );
}

/** Faults at those places stand under a field. */
const SHOWN = [
  "name", "url", "clientId", "eventTypes", "headers", "retryPolicy", "timeoutMs", "maxInFlight", "rateLimit", "breaker", "deactivation",
  "ordering", "orderingFailure", "payloadFormat", "signature", "secret", "secretFrom", "signing",
];

const isWithin = (path: string, place: string) => path === place || path.startsWith(`${place}.`) || path.startsWith(`${place}[`);

/** What is kept is not known here, and cannot be sent. */
function withoutMasks(draft: Draft): Draft {
  return { ...draft, headers: draft.headers.filter((one) => one.value !== MASK) };
}

function focusFault(form: HTMLFormElement | null) {
  requestAnimationFrame(() => form?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
}

interface SectionProps {
  draft: Draft;
  change: (changed: Partial<Draft>, path: string) => void;
  leave: (path: string) => void;
  faultAt: (path: string) => string | undefined;
  stored: Subscription | undefined;
  defaults: Defaults;
  isAsking: boolean;
}

/** What holds where nothing is said; of what nobody tells, what holds for a stored one that says nothing. */
function inForce(found: Defaults | undefined, stored: Subscription | undefined): Defaults {
  const own = ofOthers(stored ? [stored] : []);
  return {
    retryPolicy: found?.retryPolicy ?? own.retryPolicy, breaker: found?.breaker ?? own.breaker, deactivation: found?.deactivation ?? own.deactivation,
    timeoutMs: found?.timeoutMs ?? own.timeoutMs, maxInFlight: found?.maxInFlight ?? own.maxInFlight,
  };
}

type TextKey = { [K in keyof Draft]: Draft[K] extends string ? (string extends Draft[K] ? K : never) : never }[keyof Draft];

function Text({ draft, change, leave, faultAt, name, path, label, hint, optional = false, mono = false, placeholder, inputMode, isFirst = false }: SectionProps & {
  name: TextKey; path: string; label: string; hint?: ReactNode; optional?: boolean; mono?: boolean; placeholder?: string | undefined; inputMode?: "numeric" | "decimal" | "url"; isFirst?: boolean;
}) {
  const first = useRef<HTMLInputElement>(null);
  // A form is gone to in order to be filled in.
  useEffect(() => {
    if (isFirst) first.current?.focus();
  }, [isFirst]);
  return (
    <Field label={label} hint={hint} optional={optional} fault={faultAt(path)}>
      <Input
        mono={mono} value={draft[name]} placeholder={placeholder} inputMode={inputMode} spellCheck={false} autoComplete="off"
        ref={first}
        onChange={(event) => change({ [name]: event.target.value }, path)} onBlur={() => leave(path)}
      />
    </Field>
  );
}

const GRID = "grid gap-x-4 gap-y-3 sm:grid-cols-2";
const GRID3 = "grid gap-x-4 gap-y-3 sm:grid-cols-2 xl:grid-cols-3";

function Receiver(props: SectionProps & { isClient: boolean }) {
  const { draft, change, faultAt, stored } = props;
  return (
    <Panel title="Receiver">
      <div className="flex flex-col gap-3">
        <div className={GRID}>
          <Text {...props} name="name" path="name" label="Name" hint="For people." isFirst={!stored} />
          {!props.isClient && <Text {...props} name="tenant" path="clientId" label="Tenant" optional hint="Whose it is: events of others do not reach it." />}
        </div>
        <Text {...props} name="url" path="url" label="URL" mono inputMode="url" placeholder={EXAMPLE_RECEIVER} hint={IS_HERE && !stored ? <>Every delivery is a POST to it. To try it out, <span className="font-mono">posthaste receive</span> prints what comes to {EXAMPLE_RECEIVER}</> : "Every delivery is a POST to it."} />
        <Patterns value={draft.patterns} onChange={(patterns) => change({ patterns }, "eventTypes")} fault={faultAt("eventTypes")} faultOf={(index) => faultAt(`eventTypes[${index}]`)} />
        <Headers {...props} />
      </div>
    </Panel>
  );
}

function Headers({ draft, change, leave, faultAt, stored }: SectionProps) {
  const id = useId();
  const set = (index: number, changed: Partial<{ name: string; value: string }>) => {
    const before = draft.headers[index];
    change({ headers: draft.headers.map((one, at) => (at === index ? { ...one, ...changed } : one)) }, before ? `headers.${before.name.trim()}` : "headers");
  };
  return (
    <div>
      <div className="mb-1 flex items-baseline gap-2 text-sm font-medium">Own headers <span className="font-normal text-muted">optional</span></div>
      <ul className="flex flex-col gap-1.5">
        {draft.headers.map((one, index) => {
          const path = `headers.${one.name.trim()}`;
          const fault = one.name.trim() === "" && one.value === "" ? undefined : faultAt(path);
          return (
            <li key={index}>
              <div className="grid grid-cols-[minmax(0,2fr)_minmax(0,3fr)_1.75rem] gap-1.5">
                <Input mono aria-label="Name of the header" placeholder="authorization" value={one.name} aria-invalid={fault ? true : undefined} aria-describedby={fault ? `${id}-${index}` : undefined} spellCheck={false} autoComplete="off" onChange={(event) => set(index, { name: event.target.value })} onBlur={() => leave(path)} />
                <Input
                  mono aria-label={`Value of ${one.name || "the header"}`} value={one.value === MASK ? "" : one.value} placeholder={one.value === MASK ? "kept as it is; type to replace it" : "Bearer …"} spellCheck={false} autoComplete="off"
                  // Emptied again, it is kept.
                  onChange={(event) => set(index, { value: event.target.value === "" && stored?.headers[one.name.trim().toLowerCase()] !== undefined ? MASK : event.target.value })} onBlur={() => leave(path)}
                />
                <Button kind="quiet" icon="cross" bare onClick={() => change({ headers: draft.headers.filter((_, at) => at !== index) }, path)}>Take it away</Button>
              </div>
              {fault && <p id={`${id}-${index}`} role="alert" className="mt-1 flex gap-1 text-sm text-bad"><Icon name="warning" size={13} className="mt-0.5" />{fault}</p>}
            </li>
          );
        })}
      </ul>
      {faultAt("headers") && <p role="alert" className="text-sm text-bad">{faultAt("headers")}</p>}
      <div className={draft.headers.length > 0 ? "mt-1.5" : ""}><Button icon="plus" barred={draft.headers.length >= 20 && "There can be 20"} onClick={() => change({ headers: [...draft.headers, { name: "", value: "" }] }, "headers")}>Add a header</Button></div>
    </div>
  );
}

const FORMATS = [["relay", "Posthaste's own"], ["standard", "Standard Webhooks"], ["raw", "The payload alone"], ["cloudevents", "CloudEvents 1.0"]] as const;
const HOLDS = {
  relay: "JSON with eventId, eventType, eventName, data and timestamp.", standard: "JSON with type, timestamp and data.",
  raw: "What was posted, byte for byte.", cloudevents: "Structured JSON: specversion, id, source, type, time and data.",
};

function Signing(props: SectionProps & { isClient: boolean }) {
  const { draft, change, faultAt, stored } = props;
  const kinds: (readonly [Draft["secretKind"], string])[] = [
    ["made", stored ? "Its own" : "A shared secret, made here"],
    ...(stored ? [] : [["brought", "A shared secret, made elsewhere"], ["pair", "A key pair (Ed25519), made here"]] as const),
    ...(stored && draft.secretKind === "pair" ? [["pair", "Its own key pair (Ed25519)"]] as const : []),
    ["tenant", "The tenant's"],
  ];
  return (
    <Panel title="Body and signature">
      <div className="flex flex-col gap-3">
        <div className={GRID}>
          <Field label="Body" hint={HOLDS[draft.format]} fault={faultAt("payloadFormat")}><Picked value={draft.format} onChange={(format) => change({ format }, "payloadFormat")} options={FORMATS} /></Field>
          <Field label="Secret" hint={stored ? "It is replaced by rotation, on its page." : undefined} fault={faultAt("secretFrom") ?? faultAt("signing")}>
            <Picked value={draft.secretKind} onChange={(secretKind) => change({ secretKind }, "secretFrom")} options={kinds.filter(([kind]) => !(stored && stored.signing === "ed25519" && kind === "made"))} />
          </Field>
        </div>
        {draft.secretKind === "brought" && <Text {...props} name="secret" path="secret" label="The secret" mono hint="whsec_ and base64 of 24 to 64 bytes, or any text of 8 to 512 bytes." />}
        {draft.secretKind !== "pair" && <Signatures {...props} />}
        {faultAt("signature") && <p role="alert" className="text-sm text-bad">{faultAt("signature")}</p>}
      </div>
    </Panel>
  );
}

function Signatures({ draft, change, leave, faultAt }: SectionProps) {
  const { signatures } = draft;
  const set = (index: number, changed: Partial<SignatureDraft>) => change({ signatures: signatures.map((one, at) => (at === index ? { ...one, ...changed } : one)) }, `signature.headers[${index}]`);
  const add = (preset?: Preset) => change({ signatures: [...signatures, { header: preset ? PRESETS[preset].header : "", encoding: "hex", prefix: preset ? PRESETS[preset].prefix : "", signs: "body", timestampHeader: "" }] }, "signature");
  const full = signatures.length >= 4 && "There can be four";
  return (
    <fieldset>
      <legend className="mb-1 flex items-baseline gap-2 text-sm font-medium">Signature headers of its own <span className="font-normal text-muted">optional</span></legend>
      <p className="mb-1.5 text-sm text-muted">For receivers that verify another header already. Libraries of Standard Webhooks need none: they read <span className="font-mono">webhook-signature</span>.</p>
      <ul className="flex flex-col gap-2">
        {signatures.map((one, index) => {
          const path = `signature.headers[${index}]`;
          return (
            <li key={index} className="rounded border px-3 pb-3 pt-2">
              <div className="mb-1 flex items-center justify-between"><span className="label">Header {index + 1}</span><Button kind="quiet" icon="cross" bare onClick={() => change({ signatures: signatures.filter((_, at) => at !== index) }, "signature")}>Take it away</Button></div>
              <div className={GRID3}>
                <Field label="Header" fault={faultAt(`${path}.header`)}><Input mono value={one.header} placeholder="X-Acme-Signature" spellCheck={false} onChange={(event) => set(index, { header: event.target.value })} onBlur={() => leave(`${path}.header`)} /></Field>
                <Field label="Prefix" optional fault={faultAt(`${path}.prefix`)}><Input mono value={one.prefix} placeholder="sha256=" spellCheck={false} onChange={(event) => set(index, { prefix: event.target.value })} onBlur={() => leave(`${path}.prefix`)} /></Field>
                <Field label="Timestamp header" optional fault={faultAt(`${path}.timestampHeader`)}><Input mono value={one.timestampHeader} placeholder="X-Acme-Time" spellCheck={false} onChange={(event) => set(index, { timestampHeader: event.target.value })} onBlur={() => leave(`${path}.timestampHeader`)} /></Field>
                <Field label="Written as"><Picked value={one.encoding} onChange={(encoding) => set(index, { encoding })} options={[["hex", "hex"], ["base64", "base64"]]} /></Field>
                <Field label="Signs"><Picked value={one.signs} onChange={(signs) => set(index, { signs })} options={[["body", "the body"], ["timestamp.body", "timestamp.body"]]} /></Field>
              </div>
            </li>
          );
        })}
      </ul>
      <div className={signatures.length > 0 ? "mt-2 flex flex-wrap items-center gap-2" : "flex flex-wrap items-center gap-2"}>
        <Button icon="plus" barred={full} onClick={() => add()}>Add one</Button>
        {(Object.keys(PRESETS) as Preset[]).map((preset) => <Button key={preset} kind="quiet" barred={full} onClick={() => add(preset)}>{preset === "github" ? "As GitHub" : preset === "recart" ? "As Recart" : "As AlgoHire"}</Button>)}
        {signatures.length > 0 && <Choice label="The standard headers" value={draft.signatureMode} onChange={(signatureMode) => change({ signatureMode }, "signature")} options={[{ value: "beside", label: "Beside the standard ones" }, { value: "instead", label: "Instead of them" }]} />}
      </div>
    </fieldset>
  );
}

function Pace(props: SectionProps) {
  const { draft, change, defaults } = props;
  return (
    <Panel title="Pace">
      <div className="flex flex-col gap-3">
        <div className={GRID}>
          <Text {...props} name="timeout" path="timeoutMs" label="Deadline of an attempt" optional placeholder={timeText(defaults.timeoutMs) || "the relay's default"} hint="Name, connect, TLS, headers and body together. 100 ms to 1 min." />
          <Text {...props} name="maxInFlight" path="maxInFlight" label="In flight at most" optional inputMode="numeric" placeholder={numberText(defaults.maxInFlight, "the relay's default")} hint="Attempts at the same time, 1 to 1000." />
        </div>
        <div><Switch on={draft.limited} onChange={(limited) => change({ limited }, "rateLimit")} label="Limit its rate" /></div>
        {draft.limited && (
          <div className={GRID3}>
            <Text {...props} name="limit" path="rateLimit.limit" label="Attempts" inputMode="numeric" placeholder="100" />
            <Text {...props} name="period" path="rateLimit.periodMs" label="In" placeholder="1 s" hint="1 s to 1 d." />
            <Text {...props} name="burst" path="rateLimit.burst" label="At once" optional inputMode="numeric" hint="After a quiet time. Empty: what a second allows." />
          </div>
        )}
      </div>
    </Panel>
  );
}

function Retries(props: SectionProps) {
  const { draft, change, defaults } = props;
  const standard: RetryPolicy | undefined = defaults.retryPolicy ?? undefined;
  const drawn = retryInForce(retryOf(draft), standard);
  const hint = (ms: number | null | undefined) => (ms ? timeText(ms) : undefined);
  return (
    <Panel title="Retries" aside={<Choice label="Schedule" value={draft.retry} onChange={(retry) => change({ retry }, "retryPolicy")} options={[{ value: "default", label: "Default" }, { value: "growing", label: "Growing" }, { value: "list", label: "A list" }]} />}>
      <div className="flex flex-col gap-3">
        {draft.retry === "growing" && (
          <div className="grid gap-x-4 gap-y-3 grid-cols-2 xl:grid-cols-4">
            <Text {...props} name="base" path="retryPolicy.baseMs" label="First delay" placeholder={hint(standard?.baseMs) ?? "default"} />
            <Text {...props} name="factor" path="retryPolicy.factor" label="Grows by" inputMode="decimal" placeholder={standard?.factor ? String(standard.factor) : "default"} />
            <Text {...props} name="cap" path="retryPolicy.capMs" label="Longest delay" placeholder={hint(standard?.capMs) ?? "default"} />
            <Text {...props} name="attempts" path="retryPolicy.attempts" label="Attempts in all" inputMode="numeric" placeholder={standard?.attempts ? String(standard.attempts) : "default"} />
          </div>
        )}
        {draft.retry === "list" && <Text {...props} name="delays" path="retryPolicy.delaysMs" label="Delays" mono placeholder="5 s, 1 min, 10 min, 1 h, 6 h" hint="One before each further attempt, parted by commas. Empty: no retry." />}
        {draft.retry !== "default" && (
          <div className={GRID}>
            <Text {...props} name="jitter" path="retryPolicy.jitter" label="Spread, in %" optional inputMode="decimal" placeholder={percentText(standard?.jitter)} hint="By chance sooner or later, so that retries do not come together." />
            <Text {...props} name="maxAge" path="retryPolicy.maxAgeMs" label="Expires after" optional placeholder={hint(standard?.maxAgeMs) ?? "never"} hint="Counted from the first attempt." />
          </div>
        )}
        {drawn ? <RetrySchedule policy={drawn} /> : <p className="text-muted">{props.isAsking ? "The relay's own schedule is being read …" : "The relay's own schedule; it is shown on the subscription's page."}</p>}
      </div>
    </Panel>
  );
}

function Failing(props: SectionProps) {
  const { draft, change, defaults } = props;
  const rules = defaults.breaker;
  const ends = defaults.deactivation;
  const [first, longest] = [parseTime(draft.coolDown) ?? rules?.coolDownMs, parseTime(draft.coolDownMax) ?? rules?.coolDownMaxMs];
  return (
    <Panel title="When it fails">
      <div className="flex flex-col gap-4">
        <fieldset>
          <legend className="float-left mr-3 flex min-h-7 items-center text-sm font-medium">Breaker</legend>
          <Choice label="Breaker" value={draft.breaker} onChange={(breaker) => change({ breaker }, "breaker")} options={[{ value: "default", label: "Default" }, { value: "own", label: "Its own" }, { value: "off", label: "None" }]} />
          <p className="clear-both mb-2 mt-1 text-sm text-muted">{draft.breaker === "off" ? "Attempts go out however many fail." : "After too many failures nothing is sent until a probe succeeds. What waits is kept, and uses up no attempt."}</p>
          {draft.breaker === "own" && (
            <>
              <div className={GRID3}>
                <Text {...props} name="inARow" path="breaker.consecutiveFailures" label="Opens after failures in a row" inputMode="numeric" placeholder={numberText(rules?.consecutiveFailures)} />
                <Text {...props} name="ratio" path="breaker.failureRatio" label="or at a share of, in %" inputMode="decimal" placeholder={percentText(rules?.failureRatio) ?? "default"} />
                <Text {...props} name="minimum" path="breaker.minimumAttempts" label="of at least attempts" inputMode="numeric" placeholder={numberText(rules?.minimumAttempts)} />
                <Text {...props} name="window" path="breaker.windowMs" label="within" placeholder={timeText(rules?.windowMs) || "default"} />
                <Text {...props} name="coolDown" path="breaker.coolDownMs" label="Stays open at first" placeholder={timeText(rules?.coolDownMs) || "default"} />
                <Text {...props} name="coolDownMax" path="breaker.coolDownMaxMs" label="and at most" placeholder={timeText(rules?.coolDownMaxMs) || "default"} />
                <Text {...props} name="probes" path="breaker.probes" label="Probes that have to succeed" inputMode="numeric" placeholder={numberText(rules?.probes)} />
              </div>
              {first !== null && first !== undefined && longest !== null && longest !== undefined && first > 0 && longest >= first && <p className="mt-2 text-sm text-muted">While probes fail it stays open for {coolDowns(first, longest).map((one) => duration(one).replace(".0 ", " ")).join(", then ")}.</p>}
            </>
          )}
        </fieldset>
        <fieldset>
          <legend className="float-left mr-3 flex min-h-7 items-center text-sm font-medium">Deactivation</legend>
          <Choice label="Deactivation" value={draft.deactivation} onChange={(deactivation) => change({ deactivation }, "deactivation")} options={[{ value: "default", label: "Default" }, { value: "own", label: "Its own" }]} />
          <p className="clear-both mb-2 mt-1 text-sm text-muted">A receiver that keeps failing is tried now and then only. What comes is held. 410 deactivates at once, whatever stands here.</p>
          {draft.deactivation === "own" && (
            <div className={GRID3}>
              <Text {...props} name="exhausted" path="deactivation.exhaustedDeliveries" label="After used up in a row" inputMode="numeric" placeholder={numberText(ends?.exhaustedDeliveries)} hint="Deliveries; 0 switches it off." />
              <Text {...props} name="failingFor" path="deactivation.failingForMs" label="or without a success for" placeholder={timeText(ends?.failingForMs) || "default"} hint="0 switches it off." />
              <Text {...props} name="trials" path="deactivation.trialIntervalMs" label="Tried every" placeholder={timeText(ends?.trialIntervalMs) || "default"} hint="0: never by itself." />
            </div>
          )}
        </fieldset>
      </div>
    </Panel>
  );
}

const ORDERS = [["none", "None: all at once"], ["key", "By ordering key: one after the other within a key"], ["all", "All one after the other"]] as const;

function Order({ draft, change, faultAt }: SectionProps) {
  return (
    <Panel title="Order">
      <div className={GRID}>
        <Field label="Deliveries go" fault={faultAt("ordering")}><Picked value={draft.ordering} onChange={(ordering) => change({ ordering }, "ordering")} options={ORDERS} /></Field>
        {draft.ordering !== "none" && <Field label="One that failed for good" fault={faultAt("orderingFailure")}><Picked value={draft.orderingFailure} onChange={(orderingFailure) => change({ orderingFailure }, "orderingFailure")} options={[["block", "blocks those behind it"], ["skip", "is passed over"]]} /></Field>}
      </div>
    </Panel>
  );
}

/** 0.29 is 29, not 28.999999999999996. */
const percentText = (share: number | null | undefined) => (share === null || share === undefined ? undefined : String(Number((share * 100).toFixed(4))));

/** As a placeholder: what holds where nothing is given. */
const numberText = (value: number | null | undefined, otherwise = "default") => (value === null || value === undefined ? otherwise : String(value));

function Picked<T extends string>({ value, onChange, options, ...described }: {
  value: T; onChange: (value: T) => void; options: readonly (readonly [T, string])[]; id?: string; "aria-describedby"?: string | undefined; "aria-invalid"?: boolean | undefined;
}) {
  return <Select {...described} className="w-full" value={value} onChange={(event) => onChange(event.target.value as T)}>{options.map(([word, name]) => <option key={word} value={word}>{name}</option>)}</Select>;
}
