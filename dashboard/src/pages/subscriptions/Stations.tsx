/** The living card's six stations: what waits, what is held in memory, the pace, the breaker, the slots, the receiver. */
import { use } from "react";
import type { Runtime, Subscription } from "../../api/types";
import { count, exact, rate } from "../../ui/format";
import { lookOf, TONES, type Tone } from "../../ui/states";
import { HttpStatus } from "../../ui/State";
import { Countdown, Time } from "../../ui/Time";
import { backlogLevel, backlogWords, columnsFor, coolDownLeft, slotsOf, type Tokens, type Verdict } from "./instrument";
import { paint, Station, Upright, type Wire } from "./Station";
import { timeText } from "./time-text";

/** What waits, as a tank that fills by the power of ten. */
export function BacklogStation({ runtime, verdict, leaving }: { runtime: Runtime; verdict: Verdict; leaving: Wire }) {
  const { backlog } = runtime;
  const level = backlogLevel(backlog.count);
  const tone: Tone = backlog.blocked ? "busy" : verdict.tone === "good" ? "quiet" : verdict.tone;
  const height = 48;
  const words = backlogWords(runtime);
  return (
    <Station
      which="backlog" name="Backlog" leaving={leaving} label={`${exact(backlog.count)} pending${backlog.atLeast ? " or more" : ""}, ${words}`}
      value={<span title={exact(backlog.count)}>{backlog.atLeast && ">"}{count(backlog.count)}</span>} unit="pending"
      note={backlog.blocked ? <span className="text-busy">a line is blocked · {words}</span> : words}
    >
      <rect x={-20} y={-height / 2} width={40} height={height} rx={3} style={{ fill: paint("panel") }} />
      <rect x={-20} y={height / 2 - level * height} width={40} height={level * height} rx={2} className="transition-all duration-700" style={{ fill: paint(tone), opacity: 0.75 }} />
      {[1, 2, 3].map((step) => <line key={step} x1={13} x2={20} y1={height / 2 - backlogLevel(10 ** step) * height} y2={height / 2 - backlogLevel(10 ** step) * height} strokeWidth={1} style={{ stroke: paint("edge") }} />)}
      <rect x={-20} y={-height / 2} width={40} height={height} rx={3} fill="none" strokeWidth={1.5} style={{ stroke: paint("edge") }} />
    </Station>
  );
}

/** What the actor holds of it in memory: what flies in front, what waits its turn behind it. */
export function WindowStation({ runtime, isIdle, leaving }: { runtime: Runtime; isIdle: boolean; leaving: Wire }) {
  const { window } = runtime;
  const frame = { x: -30, y: -13, width: 60, height: 26 };
  if (!window) return <Station which="window" name="Window" label="Not known by this process" leaving={leaving} value="–" note="held by the process that delivers"><rect {...frame} rx={3} strokeWidth={1.5} strokeDasharray="3 2" style={{ fill: paint("panel"), stroke: paint("edge") }} /></Station>;
  const wide = (part: number) => (window.most === 0 ? 0 : Math.min(frame.width, part > 0 ? Math.max(3, (part / window.most) * frame.width) : 0));
  const flying = wide(Math.max(0, window.held - window.waiting));
  const waits = Math.min(frame.width - flying, wide(window.waiting));
  // What is stopped holds nothing in memory, as it should.
  // Nor is it behind where nothing waits.
  const isBehind = !window.caughtUp && !isIdle && runtime.backlog.count > 0;
  const standing = isIdle ? "holds nothing while nothing is sent" : isBehind ? "behind: the rest is in the database" : runtime.backlog.count === 0 ? "nothing to hold" : "caught up";
  return (
    <Station
      which="window" name="Window" leaving={leaving} value={count(window.held)} unit={`of ${count(window.most)}`}
      label={`${exact(window.held)} of at most ${exact(window.most)} deliveries in memory, ${exact(window.waiting)} of them wait, ${standing}`}
      note={<>{window.waiting > 0 ? `${count(window.waiting)} wait their turn · ` : ""}<span className={isBehind ? "text-busy" : ""}>{standing}</span></>}
    >
      <rect {...frame} rx={3} style={{ fill: paint("panel") }} />
      <rect {...frame} x={30 - flying - waits} width={waits} className="transition-all duration-700" style={{ fill: paint("quiet"), opacity: 0.75 }} />
      <rect {...frame} x={30 - flying} width={flying} className="transition-all duration-700" style={{ fill: paint("good") }} />
      {[-20, -10, 0, 10, 20].map((x) => <line key={x} x1={x} x2={x} y1={-13} y2={13} strokeWidth={1} style={{ stroke: paint("line") }} />)}
      <rect {...frame} rx={3} fill="none" strokeWidth={1.5} strokeDasharray={isBehind ? "3 2" : undefined} style={{ stroke: paint(isBehind ? "busy" : "edge") }} />
    </Station>
  );
}

const RADIUS = 22;
/** A gauge of three quarters of a turn, open at the bottom. */
const SWEEP = 1.5 * Math.PI * RADIUS;
const ARC = `M ${-RADIUS * Math.SQRT1_2} ${RADIUS * Math.SQRT1_2} A ${RADIUS} ${RADIUS} 0 1 1 ${RADIUS * Math.SQRT1_2} ${RADIUS * Math.SQRT1_2}`;

/** The rate limit's bucket, and what a receiver's Retry-After makes of it. */
export function PaceStation({ runtime, tokens, isHeld, arriving, leaving }: { runtime: Runtime; tokens: Tokens | undefined; isHeld: boolean; arriving: Wire; leaving: Wire }) {
  const isUpright = use(Upright);
  if (isHeld && runtime.holdUntil) {
    return (
      <Station which="pace" name="Pace" leaving={leaving} label="Held until the receiver's Retry-After has passed" value={<span className="text-held"><Countdown until={runtime.holdUntil} past="a moment" /></span>} note="the receiver said when to come back (Retry-After)">
        <circle r={RADIUS} strokeWidth={2} style={{ fill: "var(--held-soft)", stroke: paint("held") }} />
        <path d="M-4.500-7v14M4.500-7v14" strokeWidth={3.500} strokeLinecap="round" style={{ stroke: paint("held") }} />
      </Station>
    );
  }
  if (!tokens) {
    return (
      <Station which="pace" name="Pace" leaving={leaving} label="No rate limit: it goes as fast as the receiver answers" value={rate(runtime.drain.perSecond ?? 0)} unit="/s" note="no rate limit">
        <rect x={-22} y={-22} width={44} height={44} style={{ fill: paint("panel") }} />
        <path transform={isUpright ? "rotate(90)" : undefined} d="M-18-9l8 9-8 9M-4-9l8 9-8 9M10-9l8 9-8 9" fill="none" strokeWidth={2.500} strokeLinecap="round" strokeLinejoin="round" style={{ stroke: arriving.dead ? paint("edge") : paint(arriving.tone) }} />
      </Station>
    );
  }
  const share = tokens.most === 0 ? 0 : tokens.left / tokens.most;
  return (
    <Station
      which="pace" name="Tokens" term="tokens" leaving={leaving} label={`${exact(tokens.left)} of ${exact(tokens.most)} tokens left, refilled by ${tokens.words}`}
      value={count(tokens.left)} unit={`of ${count(tokens.most)}`} note={<>{tokens.words} · {rate(runtime.drain.perSecond ?? 0)} /s of late</>}
    >
      <circle r={RADIUS + 3} style={{ fill: paint("panel") }} />
      <path d={ARC} fill="none" strokeWidth={5} strokeLinecap="round" style={{ stroke: paint("line") }} />
      {share > 0 && <path d={ARC} fill="none" strokeWidth={5} strokeLinecap="round" strokeDasharray={`${share * SWEEP} ${SWEEP * 2}`} className="transition-all duration-700" style={{ stroke: paint(share < 0.2 ? "busy" : "good") }} />}
      <path d="M0 7v-13M-4.500-2 0-6.500 4.500-2" fill="none" strokeWidth={1.500} strokeLinecap="round" strokeLinejoin="round" style={{ stroke: paint("muted") }} />
      {[-5, 0, 5].map((x) => <circle key={x} cx={x} cy={13} r={1.3} style={{ fill: paint("muted") }} />)}
    </Station>
  );
}

const LEVER = 48;
const RING = 30;

/** A switch in the line: down while it flows, up while it is cut, half way while it probes. */
export function BreakerStation({ runtime, subscription, now, arriving, leaving }: { runtime: Runtime; subscription: Subscription; now: number; arriving: Wire; leaving: Wire }) {
  const isUpright = use(Upright);
  const { breaker } = runtime;
  const rules = subscription.effective.breaker;
  const isOff = rules.enabled === false;
  const look = lookOf(breaker.state);
  const until = breaker.state === "open" ? breaker.nextProbeAt : undefined;
  const left = until ? coolDownLeft(until, breaker.openedInARow, rules.coolDownMs ?? 30_000, rules.coolDownMaxMs ?? 1_800_000, now) : 0;
  const angle = breaker.state === "open" ? -36 : breaker.state === "half_open" ? -16 : 0;
  // In a line that is dead before it, it is closed, and nothing flows.
  const isDead = breaker.state === "closed" && arriving.dead;
  const colour = isOff || isDead ? paint("edge") : paint(look.tone);
  const again = breaker.openedInARow > 0 ? `opened ${exact(breaker.openedInARow)}× in a row` : "";
  const rule = `opens after ${exact(rules.consecutiveFailures ?? 0)} in a row`;
  const around = 2 * Math.PI * RING;
  return (
    <Station
      which="breaker" name="Breaker" arriving={arriving} leaving={leaving}
      label={isOff ? "There is no breaker" : `The breaker is ${{ closed: "closed: deliveries flow", open: "open: nothing is sent", half_open: "half open: single attempts probe the receiver" }[breaker.state]}${again && `, ${again}`}`}
      value={isOff ? "Off" : <span className={isDead ? "" : TONES[look.tone].text}>{breaker.state === "closed" ? "Closed" : look.word}</span>}
      unit={until ? <>probe in <Countdown until={until} past="a moment" /></> : undefined}
      note={isOff ? "it sends whatever happens" : again ? <>{again}{breaker.state === "half_open" && ` · ${exact(rules.probes ?? 0)} must succeed`}{breaker.state === "closed" && " · not recovered yet"}</> : rule}
    >
      {breaker.state === "closed" ? <rect x={-LEVER / 2} y={-LEVER / 2} width={LEVER} height={LEVER} style={{ fill: paint("panel") }} /> : <circle r={RING} style={{ fill: paint("panel") }} />}
      {until && (
        <>
          <circle r={RING} fill="none" strokeWidth={2.500} style={{ stroke: paint("line") }} />
          <circle r={RING} fill="none" strokeWidth={2.500} strokeLinecap="round" strokeDasharray={`${left * around} ${around}`} transform="rotate(-90)" className="transition-all duration-1000 ease-linear" style={{ stroke: colour }} />
        </>
      )}
      {breaker.state === "half_open" && <circle r={RING} fill="none" strokeWidth={2} strokeDasharray="2 5" className="breathe" style={{ stroke: colour }} />}
      <g transform={isUpright ? "rotate(90)" : undefined}>
        <g className="transition-transform duration-300" style={{ transform: `rotate(${angle}deg)`, transformOrigin: `${-LEVER / 2 + 3}px 0px`, transformBox: "view-box" }}>
          <line x1={-LEVER / 2 + 3} x2={LEVER / 2 - 3} y1={0} y2={0} strokeWidth={4} strokeLinecap="round" strokeDasharray={isOff ? "1 6" : undefined} style={{ stroke: colour }} />
        </g>
        {[-1, 1].map((side) => <circle key={side} cx={side * (LEVER / 2 - 3)} r={5} strokeWidth={2} style={{ fill: paint("panel"), stroke: colour }} />)}
        {Array.from({ length: Math.min(7, breaker.openedInARow) }, (_, index, all = Math.min(7, breaker.openedInARow)) => <rect key={index} x={(index - (all - 1) / 2) * 5 - 1.5} y={12} width={3} height={6} rx={1} style={{ fill: paint(breaker.state === "closed" ? "quiet" : "bad") }} />)}
      </g>
    </Station>
  );
}

/** The side of the square that all slots stand in. */
const SQUARE = 52;

/** Each slot a mark: busy, free, or closed by the ramp. */
export function SlotsStation({ subscription, runtime, leaving }: { subscription: Subscription; runtime: Runtime; leaving: Wire }) {
  const { inFlight } = runtime;
  const slots = slotsOf(inFlight);
  const across = columnsFor(slots.marks);
  const rows = Math.ceil(slots.marks / across);
  const step = Math.min(13, SQUARE / across);
  const [width, height] = [across * step, rows * step];
  const isKnown = inFlight.count !== null && inFlight.count !== undefined;
  const ramp = inFlight.ramp ?? null;
  return (
    <Station
      which="slots" name="In flight" leaving={leaving}
      label={`${isKnown ? exact(inFlight.count ?? 0) : "An unknown number"} of ${exact(inFlight.most)} attempts in flight${ramp === null ? "" : `, ${exact(ramp)} allowed until more have succeeded`}`}
      value={isKnown ? count(inFlight.count ?? 0) : "–"} unit={`of ${count(inFlight.most)}`}
      note={ramp !== null ? <span className="text-probing">ramping up: {exact(ramp)} allowed for now</span> : isKnown && inFlight.count === inFlight.most ? "every slot is taken" : slots.each > 1 ? `a mark for every ${slots.each} slots` : `up to ${timeText(subscription.effective.timeoutMs)} each`}
    >
      <rect x={-width / 2 - 3} y={-height / 2 - 3} width={width + 6} height={height + 6} rx={3} strokeWidth={1.5} style={{ fill: paint("panel"), stroke: paint("edge") }} />
      {Array.from({ length: slots.marks }, (_, index) => {
        const isOpen = index < slots.open;
        return (
          <rect
            key={index} x={(index % across) * step - width / 2 + 1} y={Math.floor(index / across) * step - height / 2 + 1} width={step - 2} height={step - 2} rx={1} className="transition-[fill] duration-300"
            style={{ fill: index < slots.busy ? paint("good") : isOpen ? paint("line") : "transparent", stroke: isOpen ? "none" : paint("probing"), strokeWidth: 0.8, strokeDasharray: "1 1" }}
          />
        );
      })}
    </Station>
  );
}

export function ReceiverStation({ subscription, runtime, verdict }: { subscription: Subscription; runtime: Runtime; verdict: Verdict }) {
  const error = runtime.lastError;
  const host = URL.canParse(subscription.url) ? new URL(subscription.url).host : subscription.url;
  const isWell = verdict.gate === "flowing" || verdict.gate === "idle";
  return (
    <Station
      which="receiver" name="Receiver" label={`The receiver ${host}${error ? `, last error ${error.status ?? error.kind ?? "unknown"}` : ", no error on record"}`}
      value={<span className="text-base font-medium tracking-normal" title={host}>{host}</span>}
      note={error ? <>last error <HttpStatus status={error.status} error={error.kind} /> <Time at={error.at} /></> : "no error on record"}
    >
      <rect x={-20} y={-22} width={40} height={44} rx={4} strokeWidth={1.5} style={{ fill: paint("panel"), stroke: isWell ? paint("good") : paint("edge") }} />
      <path d="M-20-7.500h40M-20 7.500h40" strokeWidth={1.500} style={{ stroke: isWell ? paint("good") : paint("edge") }} />
      <path d="M-12-15h13M-12 0h13M-12 15h13" strokeWidth={2} strokeLinecap="round" style={{ stroke: paint("edge") }} />
      {[-15, 0, 15].map((y) => <circle key={y} cx={12} cy={y} r={2.2} style={{ fill: verdict.gate === "flowing" ? paint("good") : paint("edge") }} />)}
    </Station>
  );
}
