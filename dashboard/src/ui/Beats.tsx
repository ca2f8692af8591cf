import { count } from "./format";

export interface BeatGroup<K extends string> {
  key: K;
  name: string;
  /** A colour of tokens.css, such as `--good-mark`. */
  colour: string;
}

interface Props<K extends string> {
  label: string;
  /** The oldest first; null where nothing is known. */
  beats: readonly { at: number; counts: Readonly<Record<K, number>> | null }[];
  groups: readonly BeatGroup<K>[];
  height?: number;
}

/** Room for a number above the bars, in pixels. */
const HEAD = 16;

/** What a full bar stands for. A burst of many times the usual would flatten all others: it is cut off there, and its number stands above it. */
export function top(values: readonly number[]): number {
  const sorted = values.filter((value) => value > 0).sort((a, b) => a - b);
  const usual = sorted[Math.floor(sorted.length * 0.9)] ?? 0;
  return Math.max(4, Math.min(sorted.at(-1) ?? 0, usual * 1.5));
}

/** The last moments as bars that move on: what goes well at the bottom. Its sums stand beside it, and say the same in words. */
export function Beats<K extends string>({ label, beats, groups, height = 84 }: Props<K>) {
  const totals = groups.map((group) => ({ ...group, total: beats.reduce((sum, beat) => sum + (beat.counts?.[group.key] ?? 0), 0) }));
  const shown = totals.filter((group, index) => group.total > 0 || index === 0);
  const sumOf = (counts: Readonly<Record<K, number>> | null) => groups.reduce((sum, group) => sum + (counts?.[group.key] ?? 0), 0);
  const sums = beats.map((beat) => sumOf(beat.counts));
  const most = top(sums);
  // Of bursts side by side, the highest one says its number: there is no room for more.
  const isNamed = (index: number) => sums.slice(Math.max(0, index - 2), index + 3).every((other) => other <= (sums[index] ?? 0));
  const width = 100 / beats.length;
  return (
    <figure className="min-w-0">
      <svg role="img" aria-label={`${label}: ${shown.map((group) => `${group.name} ${count(group.total)}`).join(", ")}`} width="100%" height={height} className="block">
        {beats.map((beat, index) => {
          if (!beat.counts) return <rect key={beat.at} x={`${index * width}%`} y={height - 1} width={`${width}%`} height={1} style={{ fill: "var(--line)" }} />;
          const whole = sums[index] ?? 0;
          const unit = (height - HEAD) / Math.max(most, whole);
          let y = height - 1;
          return (
            <g key={beat.at}>
              <rect x={`${index * width}%`} y={height - 1} width={`${width}%`} height={1} style={{ fill: "var(--edge)" }} />
              {groups.map((group) => {
                const value = beat.counts?.[group.key] ?? 0;
                if (value === 0) return null;
                const tall = Math.max(2, value * unit);
                y -= tall;
                return <rect key={group.key} x={`${index * width + width * 0.1}%`} y={y} width={`${width * 0.8}%`} height={tall} style={{ fill: `var(${group.colour})` }} />;
              })}
              {whole > most && isNamed(index) && <text x={`${(index + 0.5) * width}%`} y={HEAD - 6} textAnchor={index > beats.length - 4 ? "end" : "middle"} className="fill-muted text-xs">{count(whole)}</text>}
            </g>
          );
        })}
      </svg>
      <figcaption className="mt-1 flex flex-wrap items-baseline gap-x-3 text-sm text-muted">
        {shown.map((group) => (
          <span key={group.key} className="inline-flex items-center gap-1.5 whitespace-nowrap tabular-nums">
            <span aria-hidden="true" className="size-2 rounded-[2px]" style={{ background: `var(${group.colour})` }} />
            {group.name} <span className="font-medium text-text">{count(group.total)}</span>
          </span>
        ))}
        <span className="ml-auto whitespace-nowrap">now</span>
      </figcaption>
    </figure>
  );
}
