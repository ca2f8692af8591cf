import { cx } from "../../ui/class-names";
import { Skeleton } from "../../ui/Feedback";
import { bytes, count, duration, exact } from "../../ui/format";
import { MOST_POINTS, type Point, type Watched } from "./trail";

const GRID = "grid grid-cols-2 gap-px overflow-hidden rounded-md border bg-line sm:grid-cols-3 lg:grid-cols-5 [&>*]:bg-panel [&>*:last-child]:col-span-2 lg:[&>*:last-child]:col-span-1";

/** How loaded the process is, and how that went while one looked. */
export function Gauges({ seen }: { seen: Watched | undefined }) {
  if (!seen) return <div className={GRID}>{Array.from({ length: 5 }, (_, index) => <div key={index} className="h-27 px-3 py-2"><Skeleton className="mb-2 h-3 w-20" /><Skeleton className="h-5 w-24" /></div>)}</div>;
  const { trail } = seen;
  const { load, health } = seen.system;
  const isWell = (part: string) => health.components[part]?.ok !== false;
  const of = (read: (point: Point) => number | null) => trail.map(read);
  return (
    <dl className={GRID} aria-label="Load">
      <Gauge name="Slots in flight" value={count(load.inFlight.count)} note={`of ${exact(load.inFlight.most)}`} share={load.inFlight.count / load.inFlight.most} values={of((point) => point.inFlight)} />
      <Gauge name="Window" value={bytes(load.windowBytes.count)} note={`of ${bytes(load.windowBytes.most)}`} share={load.windowBytes.count / load.windowBytes.most} values={of((point) => point.windowBytes)} />
      <Gauge name="Record lag" value={lag(load.recordLagMs)} note="oldest outcome not committed" isWell={isWell("recorder")} values={of((point) => point.recordLagMs)} />
      <Gauge name="Overdue" value={lag(load.overdueMs)} note="could be sent, is not" isWell={isWell("deliveries")} values={of((point) => point.overdueMs)} />
      <Gauge name="Pending" value={load.pending === null || load.pending === undefined ? "–" : count(load.pending)} note={load.pending === null || load.pending === undefined ? "the store did not say" : "deliveries to be sent"} values={of((point) => point.pending)} />
    </dl>
  );
}

function lag(ms: number): string {
  return ms === 0 ? "none" : duration(ms);
}

function Gauge({ name, value, note, share, isWell = true, values }: { name: string; value: string; note: string; share?: number; isWell?: boolean; values: readonly (number | null)[] }) {
  const tone = !isWell || (share !== undefined && share >= 0.95) ? "bad" : share !== undefined && share >= 0.75 ? "busy" : "good";
  return (
    <div className="relative min-w-0 px-3 pb-8 pt-2">
      <dt className="label truncate">{name}</dt>
      <dd className={cx("truncate text-xl font-medium tracking-tight", tone === "bad" && "text-bad", tone === "busy" && "text-busy")}>{value}</dd>
      <dd className="truncate text-sm text-muted">{note}</dd>
      <dd aria-hidden="true" className="absolute inset-x-0 bottom-0">
        <Trail values={values} />
        <div className="h-1 bg-sunken">
          {share !== undefined && <div className={cx("h-full", tone === "bad" ? "bg-bad-mark" : tone === "busy" ? "bg-busy-mark" : "bg-good-mark")} style={{ width: `${Math.min(100, Math.max(share > 0 ? 0.5 : 0, share * 100))}%` }} />}
        </div>
      </dd>
    </div>
  );
}

/** From the right, newest last: a line as long as one has looked. */
function Trail({ values }: { values: readonly (number | null)[] }) {
  const most = Math.max(1e-9, ...values.map((value) => value ?? 0));
  const from = MOST_POINTS - values.length;
  const points = values.flatMap((value, index) => (value === null ? [] : [`${from + index + 1},${(21 - (value / most) * 19).toFixed(2)}`])).join(" ");
  return (
    <svg viewBox={`0 0 ${MOST_POINTS} 22`} preserveAspectRatio="none" className="block h-5.5 w-full">
      <polyline points={points} fill="none" className="stroke-edge" strokeWidth={1} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
