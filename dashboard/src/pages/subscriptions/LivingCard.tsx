/**
 * The subscription's actor as an instrument. One line leads from what waits on the left to the
 * receiver on the right, through everything that can hold a delivery back: it runs where
 * deliveries flow, and stands still, in the colour of the reason, behind whatever stops them.
 */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { allows, useSession } from "../../api/session";
import type { Runtime, Subscription } from "../../api/types";
import { useInterval } from "../../live/Live";
import { Term } from "../../entities/Term";
import type { TermName } from "../../entities/terms";
import { cx } from "../../ui/class-names";
import { useNow } from "../../ui/clock";
import { ErrorState, Skeleton } from "../../ui/Feedback";
import { count, exact, rate } from "../../ui/format";
import { lookOf, TONES, type Tone } from "../../ui/states";
import { HttpStatus } from "../../ui/State";
import { Countdown, Time } from "../../ui/Time";
import { backlogLevel, backlogWords, coolDownLeft, slotsOf, tokensOf, verdictOf, type Tokens, type Verdict } from "./instrument";
import { nextRetryQuery, runtimeQuery } from "./queries";
import { RetrySchedule } from "./RetrySchedule";
import { timeText } from "./time-text";

/** How often it is asked for while it is looked at; facts ask sooner. */
const PULSE = 2_000;
/** And its next retry. */
const NEXT = 5_000;

export function LivingCard({ subscription }: { subscription: Subscription }) {
  const box = useRef<HTMLElement>(null);
  const isSeen = useIsSeen(box);
  const pulse = useInterval(PULSE);
  const query = useQuery({ ...runtimeQuery(subscription.id), refetchInterval: isSeen && pulse });
  const runtime = query.data;
  return (
    <section ref={box} aria-labelledby="living" className="overflow-hidden rounded-md border bg-panel">
      {runtime ? <Instrument subscription={subscription} runtime={runtime} isStale={query.isError} />
        : query.isError ? <><h2 id="living" className="sr-only">How it is doing</h2><ErrorState what="How it is doing" error={query.error} onRetry={() => void query.refetch()} /></>
          : <><h2 id="living" className="sr-only">How it is doing</h2><div role="status" aria-label="Loading" className="h-[17.5rem] p-3 sm:h-[15.5rem]"><Skeleton className="mb-6 h-4 w-64" /><Skeleton className="h-28 w-full" /></div></>}
    </section>
  );
}

function Instrument({ subscription, runtime, isStale }: { subscription: Subscription; runtime: Runtime; isStale: boolean }) {
  const now = useNow();
  const verdict = verdictOf(runtime, now);
  const tokens = tokensOf(runtime, subscription.rateLimit);
  const isHeld = verdict.gate === "held";
  const isCut = verdict.gate === "cut";
  const isStopped = verdict.gate === "stopped";
  // The line runs up to what stops it; behind that it is dead.
  const behind = { window: isStopped, pace: isStopped, breaker: isStopped || isHeld, slots: isStopped || isHeld || isCut };
  // A line that is paced, or blocked in part, still runs.
  const runs = verdict.gate === "flowing" || verdict.gate === "probing" || (verdict.gate === "waiting" && (runtime.drain.perSecond ?? 0) > 0);
  const pace = runs ? Math.min(4, Math.max(0.25, (runtime.drain.perSecond ?? 1) / 4)) : 0;
  const wire = (dead: boolean): Wire => ({ dead, tone: verdict.tone, pace: dead ? 0 : pace });
  return (
    <>
      <header className="flex min-h-10 flex-wrap items-center gap-x-3 gap-y-0.5 border-b px-3 py-1.5">
        <h2 id="living" className={cx("flex items-center gap-2 text-lg font-semibold", TONES[verdict.tone].text)}>
          <Lamp verdict={verdict} />{verdict.word}
        </h2>
        <p className="min-w-0 flex-1 basis-52 text-muted">
          {verdict.detail}
          {isCut && runtime.breaker.nextProbeAt && <> · probe in <b className="font-semibold text-text"><Countdown until={runtime.breaker.nextProbeAt} past="a moment" /></b></>}
          {isHeld && runtime.holdUntil && <> · for another <b className="font-semibold text-text"><Countdown until={runtime.holdUntil} past="moment" /></b></>}
        </p>
        <p className="text-sm text-muted">
          {isStale ? <span className="text-busy">the relay does not answer now</span>
            : runtime.owner === "another" ? "another process delivers: what only that one knows is not shown"
              : (runtime.restarts ?? 0) > 0 ? <span className="text-busy">its actor was started again {exact(runtime.restarts ?? 0)}×</span> : ""}
        </p>
      </header>
      <ul className="grid grid-cols-2 sm:grid-cols-3 xl:grid-cols-6">
        <BacklogCell runtime={runtime} verdict={verdict} wire={wire(isStopped)} />
        <WindowCell runtime={runtime} isIdle={isStopped || isCut} wire={wire(behind.window)} />
        <PaceCell runtime={runtime} tokens={tokens} isHeld={isHeld} wire={{ before: wire(behind.pace), after: wire(behind.breaker) }} />
        <BreakerCell runtime={runtime} subscription={subscription} now={now} wire={{ before: wire(behind.breaker), after: wire(behind.slots) }} />
        <SlotsCell subscription={subscription} runtime={runtime} wire={wire(behind.slots)} />
        <ReceiverCell subscription={subscription} runtime={runtime} verdict={verdict} wire={wire(behind.slots)} />
      </ul>
      <footer className="border-t px-3 pb-2 pt-1.5"><Retries subscription={subscription} runtime={runtime} /></footer>
    </>
  );
}

interface Wire {
  dead: boolean;
  tone: Tone;
  /** Times the usual speed; 0 stands still. */
  pace: number;
}

const MIDDLE = 38;

/** A station: the line runs through the middle of its picture, from `from` to `to` of its width. */
function Cell({ name, term, label, value, unit, note, children, wire, ends }: {
  name: string; term?: TermName; /** The picture in words. */ label: string; value: ReactNode; unit?: ReactNode; note: ReactNode; children: ReactNode;
  wire: Wire | { before: Wire; after: Wire }; ends?: "left" | "right";
}) {
  const [before, after] = "before" in wire ? [wire.before, wire.after] : [wire, wire];
  return (
    <li className="min-w-0 border-b border-r px-0 pb-2 pt-1.5 last:border-r-0 max-sm:even:border-r-0 max-sm:[&:nth-child(n+5)]:border-b-0 sm:max-xl:[&:nth-child(3n)]:border-r-0 sm:max-xl:[&:nth-child(n+4)]:border-b-0 xl:border-b-0">
      <svg role="img" aria-label={label} width="100%" height="76" className="block overflow-hidden">
        {ends !== "left" && <Line wire={before} from="0%" to="50%" />}
        {ends !== "right" && <Line wire={after} from="50%" to="100%" />}
        <svg x="50%" y={MIDDLE} overflow="visible">{children}</svg>
      </svg>
      <div className="px-3">
        <h3 className="label">{term ? <Term of={term}>{name}</Term> : name}</h3>
        <p className="truncate text-xl font-medium leading-7 tracking-tight">{value}{unit && <span className="ml-1 text-sm font-normal text-muted">{unit}</span>}</p>
        <p className="line-clamp-2 min-h-9 text-sm text-muted">{note}</p>
      </div>
    </li>
  );
}

function Line({ wire, from, to }: { wire: Wire; from: string; to: string }) {
  return (
    <>
      <line x1={from} y1={MIDDLE} x2={to} y2={MIDDLE} strokeWidth={2} style={{ stroke: wire.dead ? "var(--line)" : `color-mix(in srgb, var(${TONES[wire.tone].stroke}) 38%, var(--panel))` }} />
      {wire.pace > 0 && (
        <line
          x1={from} y1={MIDDLE} x2={to} y2={MIDDLE} strokeWidth={2} strokeDasharray="5 11" strokeLinecap="round" className="flows"
          style={{ stroke: `var(${TONES[wire.tone].stroke})`, animationDuration: `${(1 / wire.pace).toFixed(2)}s` }}
        />
      )}
    </>
  );
}

const paint = (tone: Tone | "line" | "edge" | "panel" | "muted") => (tone in TONES ? `var(${TONES[tone as Tone].stroke})` : `var(--${tone})`);

function Lamp({ verdict }: { verdict: Verdict }) {
  return <span aria-hidden="true" className={cx("size-2.5 rounded-full", TONES[verdict.tone].mark, verdict.gate === "probing" && "breathe")} />;
}

/** What waits, as a tank that fills by the power of ten. */
function BacklogCell({ runtime, verdict, wire }: { runtime: Runtime; verdict: Verdict; wire: Wire }) {
  const { backlog } = runtime;
  const level = backlogLevel(backlog.count);
  const tone: Tone = backlog.blocked ? "busy" : verdict.tone === "good" ? "probing" : verdict.tone;
  const height = 44;
  const words = backlogWords(runtime);
  return (
    <Cell name="Backlog" term="backlog" label={`${exact(backlog.count)} pending${backlog.atLeast ? " or more" : ""}, ${words}`} ends="left" wire={wire} value={<span title={exact(backlog.count)}>{backlog.atLeast && ">"}{count(backlog.count)}</span>} unit="pending" note={backlog.blocked ? <span className="text-busy">a line is blocked · {words}</span> : words}>
      <rect x={-20} y={-height / 2} width={40} height={height} rx={3} style={{ fill: "var(--panel)" }} />
      <rect x={-20} y={height / 2 - level * height} width={40} height={level * height} rx={level > 0.95 ? 3 : 0} className="transition-all duration-700" style={{ fill: paint(tone), opacity: 0.75 }} />
      {[1, 2, 3].map((step) => <line key={step} x1={12} x2={20} y1={height / 2 - backlogLevel(10 ** step) * height} y2={height / 2 - backlogLevel(10 ** step) * height} strokeWidth={1} style={{ stroke: paint("edge") }} />)}
      <rect x={-20} y={-height / 2} width={40} height={height} rx={3} fill="none" strokeWidth={1.5} style={{ stroke: paint("edge") }} />
    </Cell>
  );
}

/** What the actor holds of it in memory, in segments. */
function WindowCell({ runtime, isIdle, wire }: { runtime: Runtime; isIdle: boolean; wire: Wire }) {
  const { window } = runtime;
  if (!window) return <Cell name="Window" term="window" label="Not known by this process" wire={wire} value="–" note="held by the process that delivers"><rect x={-30} y={-11} width={60} height={22} rx={3} strokeWidth={1.5} style={{ fill: "var(--panel)", stroke: paint("edge") }} /></Cell>;
  const width = 60;
  const wide = (part: number) => (window.most === 0 ? 0 : Math.min(width, part > 0 ? Math.max(2, (part / window.most) * width) : 0));
  const flying = Math.max(0, window.held - window.waiting);
  // What is stopped holds nothing in memory, as it should.
  // Nor is it behind where nothing waits.
  const isBehind = !window.caughtUp && !isIdle && runtime.backlog.count > 0;
  const standing = isIdle ? "holds nothing while nothing is sent" : isBehind ? "behind: the rest is in the database" : runtime.backlog.count === 0 ? "nothing to hold" : "caught up";
  return (
    <Cell
      name="Window" term="window" wire={wire} value={count(window.held)} unit={`of ${count(window.most)}`}
      label={`${exact(window.held)} of at most ${exact(window.most)} deliveries in memory, ${exact(window.waiting)} of them wait, ${standing}`}
      note={<>{window.waiting > 0 ? `${count(window.waiting)} wait their turn · ` : ""}<span className={isBehind ? "text-busy" : ""}>{standing}</span></>}
    >
      <rect x={-width / 2} y={-11} width={width} height={22} rx={3} style={{ fill: "var(--panel)" }} />
      <rect x={width / 2 - wide(flying)} y={-11} width={wide(flying)} height={22} className="transition-all duration-700" style={{ fill: paint("good") }} />
      <rect x={width / 2 - wide(flying) - wide(window.waiting)} y={-11} width={wide(window.waiting)} height={22} className="transition-all duration-700" style={{ fill: paint("busy"), opacity: 0.75 }} />
      {[1, 2, 3, 4, 5].map((part) => <line key={part} x1={-width / 2 + part * 10} x2={-width / 2 + part * 10} y1={-11} y2={11} strokeWidth={1} style={{ stroke: paint("line") }} />)}
      <rect x={-width / 2} y={-11} width={width} height={22} rx={3} fill="none" strokeWidth={1.5} strokeDasharray={isBehind ? "3 2" : undefined} style={{ stroke: paint(isBehind ? "busy" : "edge") }} />
    </Cell>
  );
}

const RADIUS = 22;
/** A gauge of three quarters of a turn, open at the bottom. */
const SWEEP = 1.5 * Math.PI * RADIUS;
const ARC = `M ${-RADIUS * Math.SQRT1_2} ${RADIUS * Math.SQRT1_2} A ${RADIUS} ${RADIUS} 0 1 1 ${RADIUS * Math.SQRT1_2} ${RADIUS * Math.SQRT1_2}`;

/** The rate limit's bucket, and what a receiver's Retry-After makes of it. */
function PaceCell({ runtime, tokens, isHeld, wire }: { runtime: Runtime; tokens: Tokens | undefined; isHeld: boolean; wire: { before: Wire; after: Wire } }) {
  if (isHeld && runtime.holdUntil) {
    return (
      <Cell name="Pace" term="pace" wire={wire} label="Held until the receiver's Retry-After has passed" value={<span className="text-held"><Countdown until={runtime.holdUntil} past="a moment" /></span>} note="the receiver said when to come back (Retry-After)">
        <circle r={RADIUS} strokeWidth={1.5} style={{ fill: "var(--held-soft)", stroke: paint("held") }} />
        <path d="M-4.500-7v14M4.500-7v14" strokeWidth={3.500} strokeLinecap="round" style={{ stroke: paint("held") }} />
      </Cell>
    );
  }
  if (!tokens) {
    return (
      <Cell name="Pace" term="pace" wire={wire} label="No rate limit: it goes as fast as the receiver answers" value={rate(runtime.drain.perSecond ?? 0)} unit="/s" note="no rate limit">
        <path d={ARC} fill="none" strokeWidth={1.5} strokeDasharray="1 4" strokeLinecap="round" style={{ stroke: paint("edge") }} />
      </Cell>
    );
  }
  const share = tokens.most === 0 ? 0 : tokens.left / tokens.most;
  const tone: Tone = share === 0 ? "busy" : share < 0.2 ? "busy" : "good";
  return (
    <Cell
      name="Tokens" term="tokens" wire={wire} label={`${exact(tokens.left)} of ${exact(tokens.most)} tokens left, refilled by ${tokens.words}`}
      value={count(tokens.left)} unit={`of ${count(tokens.most)}`} note={<>{tokens.words} · {rate(runtime.drain.perSecond ?? 0)} /s of late</>}
    >
      <circle r={RADIUS + 3} style={{ fill: "var(--panel)" }} />
      <path d={ARC} fill="none" strokeWidth={5} strokeLinecap="round" style={{ stroke: "var(--line)" }} />
      {share > 0 && <path d={ARC} fill="none" strokeWidth={5} strokeLinecap="round" strokeDasharray={`${share * SWEEP} ${SWEEP * 2}`} className="transition-all duration-700" style={{ stroke: paint(tone) }} />}
      <path d="M0 7v-13M-4.500-2 0-6.500 4.500-2" fill="none" strokeWidth={1.500} strokeLinecap="round" strokeLinejoin="round" style={{ stroke: paint("muted") }} />
      {Array.from({ length: 3 }, (_, index) => <circle key={index} cx={(index - 1) * 5} cy={13} r={1.3} style={{ fill: paint("muted") }} />)}
    </Cell>
  );
}

const LEVER = 40;

/** A switch in the line: down while it flows, up while it is cut, half way while it probes. */
function BreakerCell({ runtime, subscription, now, wire }: { runtime: Runtime; subscription: Subscription; now: number; wire: { before: Wire; after: Wire } }) {
  const { breaker } = runtime;
  const rules = subscription.effective.breaker;
  const isOff = rules.enabled === false;
  const look = lookOf(breaker.state);
  const until = breaker.state === "open" ? breaker.nextProbeAt : undefined;
  const left = until ? coolDownLeft(until, breaker.openedInARow, rules.coolDownMs ?? 30_000, rules.coolDownMaxMs ?? 1_800_000, now) : 0;
  const angle = breaker.state === "open" ? -34 : breaker.state === "half_open" ? -15 : 0;
  // In a line that is dead before it, it is closed, and nothing flows.
  const isDead = breaker.state === "closed" && wire.before.dead;
  const colour = isOff || isDead ? paint("edge") : paint(look.tone);
  const again = breaker.openedInARow > 0 ? `opened ${exact(breaker.openedInARow)}× in a row` : "";
  const rule = `opens after ${exact(rules.consecutiveFailures ?? 0)} failures in a row`;
  const ring = 2 * Math.PI * 29;
  return (
    <Cell
      name="Breaker" term="breaker" wire={wire}
      label={isOff ? "There is no breaker" : `The breaker is ${{ closed: "closed: deliveries flow", open: "open: nothing is sent", half_open: "half open: single attempts probe the receiver" }[breaker.state]}${again && `, ${again}`}`}
      value={isOff ? "Off" : <span className={isDead ? "" : TONES[look.tone].text}>{breaker.state === "closed" ? "Closed" : look.word}</span>}
      unit={until ? <>probe in <Countdown until={until} past="a moment" /></> : undefined}
      note={isOff ? "it sends whatever happens" : again ? <>{again}{breaker.state === "half_open" && ` · ${exact(rules.probes ?? 0)} must succeed`}{breaker.state === "closed" && " · not recovered yet"}</> : rule}
    >
      <rect x={-LEVER / 2} y={-26} width={LEVER} height={40} style={{ fill: "var(--panel)" }} />
      {until && (
        <>
          <circle r={29} fill="none" strokeWidth={2} style={{ stroke: "var(--line)" }} />
          <circle r={29} fill="none" strokeWidth={2} strokeLinecap="round" strokeDasharray={`${left * ring} ${ring}`} transform="rotate(-90)" className="transition-all duration-1000 ease-linear" style={{ stroke: colour }} />
        </>
      )}
      {breaker.state === "half_open" && <circle r={29} fill="none" strokeWidth={2} strokeDasharray="2 5" className="breathe" style={{ stroke: colour }} />}
      <g className="transition-transform duration-300" style={{ transform: `rotate(${angle}deg)`, transformOrigin: `${-LEVER / 2}px 0px`, transformBox: "view-box" }}>
        <line x1={-LEVER / 2} x2={LEVER / 2} y1={0} y2={0} strokeWidth={4} strokeLinecap="round" strokeDasharray={isOff ? "1 6" : undefined} style={{ stroke: colour }} />
      </g>
      {[-1, 1].map((side) => <circle key={side} cx={(side * LEVER) / 2} r={4.5} strokeWidth={2} style={{ fill: "var(--panel)", stroke: colour }} />)}
      {Array.from({ length: Math.min(8, breaker.openedInARow) }, (_, index) => <rect key={index} x={-LEVER / 2 + index * 5} y={16} width={3} height={6} rx={1} style={{ fill: paint(breaker.state === "closed" ? "quiet" : "bad") }} />)}
    </Cell>
  );
}

/** Each slot a mark: busy, free, or closed by the ramp. */
function SlotsCell({ subscription, runtime, wire }: { subscription: Subscription; runtime: Runtime; wire: Wire }) {
  const { inFlight } = runtime;
  const slots = slotsOf(inFlight);
  const across = Math.min(16, Math.max(4, Math.ceil(Math.sqrt(slots.marks * 4))));
  const rows = Math.ceil(slots.marks / across);
  const step = 6;
  const isKnown = inFlight.count !== null && inFlight.count !== undefined;
  const ramp = inFlight.ramp ?? null;
  return (
    <Cell
      name="In flight" term="inFlight" wire={wire} label={`${isKnown ? exact(inFlight.count ?? 0) : "An unknown number"} of ${exact(inFlight.most)} attempts in flight${ramp === null ? "" : `, ${exact(ramp)} allowed until more have succeeded`}`}
      value={isKnown ? count(inFlight.count ?? 0) : "–"} unit={`of ${count(inFlight.most)}`}
      note={ramp !== null ? <span className="text-probing">ramping up: {exact(ramp)} allowed for now</span> : isKnown && inFlight.count === inFlight.most ? "every slot is taken" : slots.each > 1 ? `a mark for every ${slots.each} slots` : `up to ${timeText(subscription.effective.timeoutMs)} each`}
    >
      <rect x={(-across * step) / 2 - 3} y={(-rows * step) / 2 - 3} width={across * step + 6} height={rows * step + 6} rx={3} strokeWidth={1.5} style={{ fill: "var(--panel)", stroke: paint("edge") }} />
      {Array.from({ length: slots.marks }, (_, index) => {
        const x = (index % across) * step - (across * step) / 2 + 1;
        const y = Math.floor(index / across) * step - (rows * step) / 2 + 1;
        return <rect key={index} x={x} y={y} width={4} height={4} rx={1} className="transition-[fill] duration-300" style={{ fill: index < slots.busy ? paint("good") : index < slots.open ? "var(--line)" : "transparent", stroke: index < slots.open ? "none" : paint("probing"), strokeWidth: index < slots.open ? 0 : 0.8, strokeDasharray: "1 1" }} />;
      })}
    </Cell>
  );
}

function ReceiverCell({ subscription, runtime, verdict, wire }: { subscription: Subscription; runtime: Runtime; verdict: Verdict; wire: Wire }) {
  const error = runtime.lastError;
  const host = URL.canParse(subscription.url) ? new URL(subscription.url).host : subscription.url;
  return (
    <Cell
      name="Receiver" ends="right" wire={wire} label={`The receiver ${host}${error ? `, last error ${error.status ?? error.kind ?? "unknown"}` : ", no error on record"}`}
      value={<span className="text-base font-medium tracking-normal" title={host}>{host}</span>}
      note={error ? <>last error <HttpStatus status={error.status} error={error.kind} /> <Time at={error.at} /></> : "no error on record"}
    >
      <rect x={-20} y={-20} width={40} height={40} rx={4} strokeWidth={1.5} style={{ fill: "var(--panel)", stroke: verdict.gate === "flowing" || verdict.gate === "idle" ? paint("good") : paint("edge") }} />
      <path d="M-11-8h22M-11 0h22M-11 8h22" strokeWidth={1.5} style={{ stroke: "var(--line)" }} />
      {[-8, 0, 8].map((y) => <circle key={y} cx={9} cy={y} r={2} style={{ fill: verdict.gate === "flowing" ? paint("good") : paint("edge") }} />)}
      <path d="M-11-8h12M-11 0h8M-11 8h14" strokeWidth={1.5} strokeLinecap="round" style={{ stroke: paint("muted") }} />
    </Cell>
  );
}

/** The schedule that its deliveries follow, and what comes next. */
function Retries({ subscription, runtime }: { subscription: Subscription; runtime: Runtime }) {
  const mayRead = allows(useSession(), "deliveries:read");
  const { data: next } = useQuery({ ...nextRetryQuery(subscription.id), enabled: runtime.backlog.count > 0 && mayRead, refetchInterval: useInterval(NEXT) });
  const waiting = runtime.backlog.count > 0 ? next : undefined;
  return (
    <>
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <h3 className="label"><Term of="retries">Retries</Term>{subscription.retryPolicy ? "" : ", by the relay's default"}</h3>
        <p className="text-sm text-muted">
          {waiting?.next
            ? <>next retry in <b className="font-semibold text-text"><Countdown until={waiting.next.at} past="a moment" /></b>, attempt {waiting.next.attempt}{waiting.waiting > 1 && `, of ${waiting.all ? waiting.waiting : `the newest ${waiting.waiting}`} that wait for one`}</>
            : runtime.breaker.state === "open" && runtime.backlog.count > 0 ? "retries wait until a probe succeeds"
              : waiting && !waiting.all ? "none of the newest that wait is a retry" : "no retry is planned"}
        </p>
      </div>
      <RetrySchedule policy={subscription.effective.retryPolicy} {...(waiting?.next ? { next: waiting.next.attempt } : {})} />
    </>
  );
}

/** Whether any of it is in the window. */
function useIsSeen(box: React.RefObject<HTMLElement | null>): boolean {
  const [isSeen, setIsSeen] = useState(true);
  useEffect(() => {
    if (!box.current) return;
    const observer = new IntersectionObserver(([entry]) => entry && setIsSeen(entry.isIntersecting));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [box]);
  return isSeen;
}
