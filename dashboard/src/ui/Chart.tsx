/**
 * Dense series, drawn by uPlot. Each series stands labelled at its last value; the same numbers are
 * reached by keyboard (arrow keys move the cursor and read it out) and as a table.
 */
import "uplot/dist/uPlot.min.css";
import { useEffect, useId, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import { alone, decades, decadesAround, spread, stacked, TAG_HEIGHT, type ChartSeries, type Tag } from "./chart-shape";
import { cx } from "./class-names";
import { axisTime, exactTime } from "./format";
import { useTheme } from "./theme";

interface Props {
  label: string;
  /** Seconds since 1970, the begin of each step. */
  times: readonly number[];
  series: readonly ChartSeries[];
  /** Lines beside each other, or bars on top of each other. */
  kind: "lines" | "stack";
  format: (value: number) => string;
  /** Of the axis, where that is to be shorter. */
  axisFormat?: (value: number) => string;
  height?: number;
  logarithmic?: boolean;
}

export default function Chart({ label, times, series, kind, format, axisFormat = format, height = 180, logarithmic = false }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const [tags, setTags] = useState<Tag[]>([]);
  const [at, setAt] = useState<number | null>(null);
  const table = useId();
  const { shown: theme } = useTheme();
  const drawn = useMemo(() => (kind === "stack" ? stacked(series) : series.map((one) => [...one.values])), [kind, series]);
  // The plot is made anew where its shape changes, and given new data where only that does.
  const shape = JSON.stringify([kind, logarithmic, height, theme, series.map((one) => [one.name, one.colour, one.dashed])]);
  const latest = useRef({ times, series, drawn, axisFormat });
  useEffect(() => {
    latest.current = { times, series, drawn, axisFormat };
  });

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const styles = getComputedStyle(document.documentElement);
    const colour = (name: string) => styles.getPropertyValue(name).trim();
    const now = latest.current;
    const axis = { stroke: colour("--muted"), font: "11px Inter", ticks: { show: false }, grid: { stroke: colour("--line"), width: 1 } };
    const bars = uPlot.paths.bars?.({ size: [0.86, 40], align: 1, gap: 0 });
    // The last of a stack is the highest: it is drawn first, and the others over it.
    const order = now.series.map((_, index) => index);
    if (kind === "stack") order.reverse();
    const labels = (self: uPlot) => {
      const { series: named, drawn: lines } = latest.current;
      const tagged = named.flatMap((one, index): Tag[] => {
        const line = lines[index] ?? [];
        if (kind === "stack" && !one.values.some((value) => value)) return [];
        const last = line.findLast((value) => value !== null);
        if (last === undefined || last === null) return [];
        return [{ name: one.name, colour: one.colour, top: self.valToPos(last, "y") + self.bbox.top / devicePixelRatio - TAG_HEIGHT / 2 }];
      });
      const top = self.bbox.top / devicePixelRatio;
      setTags(spread(tagged, top, top + self.bbox.height / devicePixelRatio + TAG_HEIGHT / 2));
    };
    const made = new uPlot(
      {
        width: element.clientWidth, height, legend: { show: false },
        padding: [10, 84, 0, 0],
        cursor: { y: false, points: { show: kind === "lines", size: 6 }, drag: { setScale: false, x: false, y: false } },
        scales: {
          x: { time: true, range: (_, low, high) => [low, high + (latest.current.times.length > 1 && kind === "stack" ? (latest.current.times[1] ?? 0) - (latest.current.times[0] ?? 0) : 0)] },
          y: logarithmic ? { distr: 3, range: (_, low, high) => decadesAround(low, high) } : { range: (_, __, high) => [0, high > 0 ? high * 1.06 : 1] },
        },
        axes: [
          { ...axis, size: 26, space: 70, grid: { show: false }, values: (_, splits) => {
            const { times: all } = latest.current;
            const span = ((all.at(-1) ?? 0) - (all[0] ?? 0)) * 1_000;
            return splits.map((split) => axisTime(split * 1_000, span));
          } },
          { ...axis, size: 52, space: 34, ...(logarithmic ? { splits: (_: uPlot, __: number, low: number, high: number) => decades(low, high) } : {}), values: (_, splits) => splits.map((split) => (split === null ? "" : latest.current.axisFormat(split))) },
        ],
        series: [{}, ...order.map((index): uPlot.Series => {
          const one = now.series[index];
          const paint = colour(one?.colour ?? "--muted");
          return {
            label: one?.name ?? "",
            stroke: paint, width: kind === "stack" ? 0 : 1.5,
            points: kind === "stack" ? { show: false } : { show: true, size: 4, stroke: paint, fill: paint, filter: (_, at) => alone(latest.current.drawn[at - 1] ?? []) },
            ...(one?.dashed ? { dash: [4, 3] } : {}),
            ...(kind === "stack" && bars ? { fill: paint, paths: bars } : {}),
          };
        })],
        hooks: { draw: [labels], setCursor: [(self) => setAt(self.cursor.idx ?? null)] },
      },
      alignedData(latest.current.times, latest.current.drawn, kind),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
    // `shape` holds all that the plot is made of.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(alignedData(times, drawn, kind));
  }, [times, drawn, kind]);

  const move = (to: number | null) => {
    const self = plot.current;
    const time = to === null ? undefined : times[to];
    if (!self) return;
    if (time === undefined) self.setCursor({ left: -10, top: -10 });
    else self.setCursor({ left: self.valToPos(time, "x"), top: 0 });
    setAt(to);
  };
  const read = at === null || times[at] === undefined ? undefined : { time: times[at], at };
  const right = read !== undefined && read.at > times.length / 2;
  return (
    <figure className="relative min-w-0">
      <div
        role="slider" tabIndex={0} aria-label={`${label}. Arrow keys read the values.`}
        aria-valuemin={0} aria-valuemax={Math.max(0, times.length - 1)} aria-valuenow={at ?? Math.max(0, times.length - 1)}
        aria-valuetext={read ? `${exactTime(read.time * 1_000)}: ${series.map((one) => `${one.name} ${textOf(one.values[read.at], format)}`).join(", ")}` : "No point chosen"}
        onKeyDown={(event) => {
          const last = times.length - 1;
          const steps: Record<string, number> = { ArrowLeft: Math.max(0, (at ?? last + 1) - 1), ArrowRight: Math.min(last, (at ?? last - 1) + 1), Home: 0, End: last };
          const to = steps[event.key];
          if (to !== undefined) {
            event.preventDefault();
            move(to);
          } else if (event.key === "Escape") move(null);
        }}
        onBlur={() => move(null)}
        className="relative rounded"
      >
        <div ref={box} style={{ height }} />
        <div aria-hidden="true">
          {tags.map((tag) => (
            <span key={tag.name} style={{ top: tag.top, color: `var(${tag.colour.replace("-mark", "")})` }} className="absolute right-0 w-20 truncate text-xs font-medium leading-[15px]">{tag.name}</span>
          ))}
        </div>
        {read && (
          <div aria-hidden="true" className={cx("pointer-events-none absolute top-2 z-10 rounded border bg-raised px-2 py-1 text-sm shadow-pop", right ? "left-14" : "right-24")}>
            <p className="mb-0.5 text-muted">{exactTime(read.time * 1_000).replace(/\.\d{3}/, "")}</p>
            <table><tbody>
              {[...series].reverse().map((one) => (
                <tr key={one.name}>
                  <td className="pr-4"><span style={{ background: `var(${one.colour})` }} className="mr-1.5 inline-block size-2 rounded-[2px]" />{one.name}</td>
                  <td className="text-right font-medium">{textOf(one.values[read.at], format)}</td>
                </tr>
              ))}
            </tbody></table>
          </div>
        )}
      </div>
      <details className="text-sm text-muted" id={table}>
        <summary className="inline-block min-h-6 leading-6">As a table</summary>
        <div className="max-h-64 overflow-auto">
          <table className="w-full text-left">
            <caption className="sr-only">{label}</caption>
            <thead className="sticky top-0 bg-panel"><tr><th scope="col" className="pr-3 font-medium">From</th>{series.map((one) => <th scope="col" key={one.name} className="pr-3 text-right font-medium">{one.name}</th>)}</tr></thead>
            <tbody>
              {times.map((time, index) => (
                <tr key={time}><th scope="row" className="whitespace-nowrap pr-3 font-normal">{exactTime(time * 1_000).replace(/\.\d{3}/, "")}</th>{series.map((one) => <td key={one.name} className="pr-3 text-right">{textOf(one.values[index], format)}</td>)}</tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function textOf(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? "–" : format(value);
}

function alignedData(times: readonly number[], drawn: readonly (readonly (number | null)[])[], kind: "lines" | "stack"): uPlot.AlignedData {
  const lines = drawn.map((line) => [...line]);
  if (kind === "stack") lines.reverse();
  return [[...times], ...lines];
}
