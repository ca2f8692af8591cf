import { cx } from "./class-names";

/** A small picture of a series: bars of what went well, and what did not on top. A word says the same. */
export function Sparkline({ points, label, width = 96, height = 20 }: { points: readonly { good: number; bad: number }[]; label: string; width?: number; height?: number }) {
  const most = Math.max(1, ...points.map((point) => point.good + point.bad));
  const step = width / Math.max(1, points.length);
  const bar = Math.max(1, step - 1);
  return (
    <svg role="img" aria-label={label} width={width} height={height} viewBox={`0 0 ${width} ${height}`} className="block">
      <rect x={0} y={height - 0.5} width={width} height={0.5} className="fill-edge" />
      {points.map((point, index) => {
        const good = (point.good / most) * (height - 2);
        const bad = (point.bad / most) * (height - 2);
        return (
          <g key={index}>
            {good > 0 && <rect x={index * step} y={height - Math.max(1, good)} width={bar} height={Math.max(1, good)} className="fill-good-mark" />}
            {bad > 0 && <rect x={index * step} y={height - good - Math.max(1.5, bad)} width={bar} height={Math.max(1.5, bad)} className="fill-bad-mark" />}
          </g>
        );
      })}
    </svg>
  );
}

/** Shares of a whole as one bar, named below. */
export function StateBar({ parts, label }: { parts: readonly { key: string; name: string; value: number; mark: string }[]; label: string }) {
  const whole = parts.reduce((sum, part) => sum + part.value, 0);
  const words = parts.filter((part) => part.value > 0).map((part) => `${part.name} ${part.value}`).join(", ");
  return (
    <div role="img" aria-label={`${label}: ${words || "nothing yet"}`} className="flex h-2 gap-px overflow-hidden rounded-sm bg-sunken">
      {whole > 0 && parts.map((part) => part.value > 0 && (
        <div key={part.key} style={{ flexGrow: part.value / whole, flexBasis: 2 }} className={cx("min-w-0.5", part.mark)} />
      ))}
    </div>
  );
}
