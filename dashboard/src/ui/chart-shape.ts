/** What a chart computes before it draws. */

export interface ChartSeries {
  name: string;
  /** A colour of tokens.css, such as `--good-mark`. */
  colour: string;
  values: readonly (number | null)[];
  dashed?: boolean;
}

export interface Tag {
  name: string;
  colour: string;
  top: number;
}

/** Of a line of small text, in pixels. */
export const TAG_HEIGHT = 15;

/** Tags in their order, none over another, all within the plot. */
export function spread(tags: readonly Tag[], low: number, high: number): Tag[] {
  const sorted = [...tags].sort((a, b) => a.top - b.top);
  let floor = low;
  const placed = sorted.map((tag) => {
    const top = Math.max(tag.top, floor);
    floor = top + TAG_HEIGHT;
    return { ...tag, top };
  });
  let ceiling = high;
  for (let index = placed.length - 1; index >= 0; index -= 1) {
    const tag = placed[index];
    if (!tag) continue;
    tag.top = Math.min(tag.top, ceiling - TAG_HEIGHT);
    ceiling = tag.top;
  }
  return placed;
}

/** Values without neighbours, which no line would show. */
export function alone(values: readonly (number | null)[]): number[] {
  return values.flatMap((value, index) => (value !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null ? [index] : []));
}

/** From where to where a logarithmic axis goes: whole powers of ten, at least one of them. */
export function decadesAround(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null || low <= 0) return [1, 1_000];
  const from = Math.floor(Math.log10(low));
  return [10 ** from, 10 ** Math.max(from + 1, Math.ceil(Math.log10(high)))];
}

/** The powers of ten of a logarithmic axis, and those on both ends. */
export function decades(low: number, high: number): number[] {
  const splits: number[] = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high * 1.001; power += 1) splits.push(10 ** power);
  return splits;
}

/** What is drawn of a stack: each series with all those before it. */
export function stacked(series: readonly ChartSeries[]): number[][] {
  const sums: number[][] = [];
  series.forEach((one, at) => {
    const below = sums[at - 1];
    sums.push(one.values.map((value, index) => (value ?? 0) + (below?.[index] ?? 0)));
  });
  return sums;
}
