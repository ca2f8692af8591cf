/**
 * One station of the living card: its picture on the line, and what it says under it. The line runs
 * from the middle of each picture to the middle of the next, from left to right, or from top to
 * bottom where there is no room beside each other.
 */
import { createContext, use, type ReactNode } from "react";
import { Term } from "../../entities/Term";
import type { TermName } from "../../entities/terms";
import { cx } from "../../ui/class-names";
import { TONES, type Tone } from "../../ui/states";

/** Half the width of each picture, in pixels, in the line's order. */
const HALVES = { backlog: 20, window: 30, pace: 22, breaker: 30, slots: 29, receiver: 20 } as const;
const ORDER = Object.keys(HALVES) as Which[];

export type Which = keyof typeof HALVES;

/** The words of which one may want to know what they mean. */
const EXPLAINED: Partial<Record<Which, TermName>> = { backlog: "backlog", window: "window", pace: "pace", breaker: "breaker", slots: "inFlight" };

/** Whether the line runs from top to bottom. */
export const Upright = createContext(false);

export interface Wire {
  /** Behind what stops it. */
  dead: boolean;
  tone: Tone;
  /** Times the usual speed; 0 stands still. */
  pace: number;
}

/** The text's left edge, at which pictures begin too. */
const EDGE = 12;
const HEIGHT = 84;
/** The pictures' column where the line runs down, and the height of its rows. */
const COLUMN = 88;
const ROW = 80;

export const paint = (tone: Tone | "line" | "edge" | "panel" | "muted") => (tone in TONES ? `var(${TONES[tone as Tone].stroke})` : `var(--${tone})`);

export function Station({ which, name, term = EXPLAINED[which], label, value, unit, note, children, leaving, arriving }: {
  which: Which; name: string; term?: TermName | undefined;
  /** The picture in words. */
  label: string;
  value: ReactNode; unit?: ReactNode; note: ReactNode;
  /** Drawn around 0, 0; what is to hide the line has a ground. */
  children: ReactNode;
  /** The line to the next station; none after the last. */
  leaving?: Wire;
  /** The line from the one before, where this one may begin a row. */
  arriving?: Wire;
}) {
  const isUpright = use(Upright);
  const half = HALVES[which];
  return (
    <li className={cx("relative min-w-0", isUpright ? "grid grid-cols-[5.5rem_minmax(0,1fr)] items-start" : "pb-2.5 sm:max-xl:[&:nth-child(n+4)]:border-t")}>
      {leaving && <Line wire={leaving} isUpright={isUpright} from={which} />}
      {arriving && !isUpright && <LeadIn wire={arriving} to={EDGE + half} />}
      {isUpright
        ? <svg role="img" aria-label={label} width={COLUMN} height={ROW} viewBox={`${-COLUMN / 2} ${-ROW / 2} ${COLUMN} ${ROW}`} className="relative block">{children}</svg>
        : <svg role="img" aria-label={label} width={half * 2} height={HEIGHT} viewBox={`${-half} ${-HEIGHT / 2} ${half * 2} ${HEIGHT}`} style={{ marginLeft: EDGE }} className="relative block overflow-visible">{children}</svg>}
      <div className={isUpright ? "min-w-0 py-2 pr-3" : "px-3"}>
        <h3 className="label">{term ? <Term of={term}>{name}</Term> : name}</h3>
        <p className="truncate text-xl font-medium leading-7 tracking-tight tabular-nums">{value}{unit && <span className="ml-1 text-sm font-normal tracking-normal text-muted">{unit}</span>}</p>
        <p className={cx("line-clamp-2 text-sm text-muted", !isUpright && "min-h-9")}>{note}</p>
      </div>
    </li>
  );
}

/** From the middle of a picture to the middle of the next: as far as the station reaches, and what their widths differ. */
function Line({ wire, isUpright, from }: { wire: Wire; isUpright: boolean; from: Which }) {
  const half = HALVES[from];
  const next = HALVES[ORDER[ORDER.indexOf(from) + 1] ?? from];
  return isUpright
    ? <svg aria-hidden="true" className="absolute overflow-visible" style={{ left: COLUMN / 2, top: ROW / 2, width: 1, height: "100%" }}><Strokes wire={wire} x2="0" y2="100%" /></svg>
    : <svg aria-hidden="true" className="absolute overflow-visible" style={{ left: EDGE + half, top: HEIGHT / 2, width: `calc(100% + ${next - half}px)`, height: 1 }}><Strokes wire={wire} x2="100%" y2="0" /></svg>;
}

/** Into the first picture of the second row, where there are two. */
function LeadIn({ wire, to }: { wire: Wire; to: number }) {
  return <svg aria-hidden="true" className="absolute hidden overflow-visible sm:max-xl:block" style={{ left: 0, top: HEIGHT / 2, width: to, height: 1 }}><Strokes wire={wire} x2="100%" y2="0" /></svg>;
}

function Strokes({ wire, x2, y2 }: { wire: Wire; x2: string; y2: string }) {
  if (wire.dead) return <line x2={x2} y2={y2} strokeWidth={1.5} strokeDasharray="0.1 5" strokeLinecap="round" style={{ stroke: paint("edge") }} />;
  return (
    <>
      <line x2={x2} y2={y2} strokeWidth={2} style={{ stroke: `color-mix(in srgb, ${paint(wire.tone)} 36%, var(--panel))` }} />
      {wire.pace > 0 && <line x2={x2} y2={y2} strokeWidth={2} strokeDasharray="5 11" strokeLinecap="round" className="flows" style={{ stroke: paint(wire.tone), animationDuration: `${(1 / wire.pace).toFixed(2)}s` }} />}
    </>
  );
}
