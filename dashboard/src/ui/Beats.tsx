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

/** The last moments as bars that move on: what goes well at the bottom. Its sums stand beside it, and say the same in words. */
export function Beats<K extends string>({ label, beats, groups, height = 72 }: Props<K>) {
  const totals = groups.map((group) => ({ ...group, total: beats.reduce((sum, beat) => sum + (beat.counts?.[group.key] ?? 0), 0) }));
  const shown = totals.filter((group, index) => group.total > 0 || index === 0);
  const most = Math.max(4, ...beats.map((beat) => groups.reduce((sum, group) => sum + (beat.counts?.[group.key] ?? 0), 0)));
  const width = 100 / beats.length;
  return (
    <figure className="min-w-0">
      <svg role="img" aria-label={`${label}: ${shown.map((group) => `${group.name} ${count(group.total)}`).join(", ")}`} width="100%" height={height} className="block">
        {beats.map((beat, index) => {
          if (!beat.counts) return <rect key={beat.at} x={`${index * width}%`} y={height - 1} width={`${width}%`} height={1} style={{ fill: "var(--line)" }} />;
          let y = height - 1;
          return (
            <g key={beat.at}>
              <rect x={`${index * width}%`} y={height - 1} width={`${width}%`} height={1} style={{ fill: "var(--edge)" }} />
              {groups.map((group) => {
                const value = beat.counts?.[group.key] ?? 0;
                if (value === 0) return null;
                const tall = Math.max(2, (value / most) * (height - 4));
                y -= tall;
                return <rect key={group.key} x={`${index * width + width * 0.1}%`} y={y} width={`${width * 0.8}%`} height={tall} style={{ fill: `var(${group.colour})` }} />;
              })}
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
