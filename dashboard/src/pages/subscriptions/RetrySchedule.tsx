import type { RetryPolicy } from "../../api/types";
import { duration } from "../../ui/format";
import { place, planned, ticks } from "./schedule";

const span = (ms: number) => duration(ms).replace(".0 s", " s");
const HEIGHT = 44;
const LINE = 18;

/** Attempts on a line of time, on which seconds have room beside days. */
export function RetrySchedule({ policy, next }: { policy: RetryPolicy; /** The attempt that comes next, if any. */ next?: number }) {
  const plan = planned(policy);
  const last = plan.at(-1);
  if (!last) return <p className="text-sm text-muted">It is drawn once the policy is complete.</p>;
  const jitter = policy.jitter ? `, each up to ${Math.round(policy.jitter * 100)} % sooner or later` : "";
  const words = plan.length === 1 ? "One attempt, and no retry" : `${plan.length} attempts over ${span(last.at)}${jitter}`;
  const expires = policy.maxAgeMs ? `; a delivery expires ${span(policy.maxAgeMs)} after its first attempt` : "";
  const long = Math.max(last.at, 1);
  const x = (at: number) => `${place(at, long) * 100}%`;
  return (
    <figure>
      {/* Room for half a mark at both ends, so that the first one begins where text does. */}
      <svg role="img" aria-label={`${words}: ${plan.slice(1).map((one) => `attempt ${one.attempt} after ${span(one.delay)}`).join(", ")}`} height={HEIGHT} className="mx-1.5 mt-1 block w-[calc(100%-0.75rem)] overflow-visible">
        <line x1="0%" x2="100%" y1={LINE} y2={LINE} strokeWidth={1} style={{ stroke: "var(--edge)" }} />
        {ticks(long * 0.94).map((tick) => (
          <g key={tick.at}>
            <line x1={x(tick.at)} x2={x(tick.at)} y1={LINE} y2={LINE + 7} strokeWidth={1} style={{ stroke: "var(--edge)" }} />
            <text x={x(tick.at)} y={LINE + 19} textAnchor="middle" className="fill-muted text-xs">{tick.name}</text>
          </g>
        ))}
        {plan.map((one) => {
          const isNext = one.attempt === next;
          return (
            <g key={one.attempt}>
              {isNext && <circle cx={x(one.at)} cy={LINE} r={8.5} className="breathe" style={{ fill: "var(--busy-soft)" }} />}
              <circle cx={x(one.at)} cy={LINE} r={4.5} strokeWidth={2} style={{ fill: isNext ? "var(--busy-mark)" : one.attempt === 1 ? "var(--accent)" : "var(--panel)", stroke: isNext ? "var(--busy-mark)" : "var(--accent)" }} />
              {(plan.length <= 12 || isNext || one.attempt === 1 || one.attempt === plan.length) && <text x={x(one.at)} y={LINE - 9} textAnchor="middle" className="fill-muted text-xs">{one.attempt}</text>}
            </g>
          );
        })}
      </svg>
      <figcaption className="text-sm text-muted">{words}{expires}.</figcaption>
    </figure>
  );
}
