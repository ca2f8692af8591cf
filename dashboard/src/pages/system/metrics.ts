/** What `/metrics` tells, read for people: OpenMetrics text as families of samples. */

export interface Sample {
  /** What parts it from the others of its family. */
  labels: string;
  value: number;
}

export interface Family {
  name: string;
  type: string;
  help: string;
  unit: string;
  samples: Sample[];
  /** Of a histogram, one for each set of labels. */
  histograms: Histogram[];
}

export interface Histogram {
  labels: string;
  count: number;
  sum: number;
  /** Upper bounds with how many lie at or below each. */
  buckets: [bound: number, count: number][];
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const SUFFIXES = ["_total", "_bucket", "_count", "_sum", "_info", "_created"];

/** In the order in which they came; a line that is none is passed over. */
export function families(scrape: string): Family[] {
  const found = new Map<string, Family>();
  const family = (name: string) => {
    const known = found.get(name);
    if (known) return known;
    const made: Family = { name, type: "unknown", help: "", unit: "", samples: [], histograms: [] };
    found.set(name, made);
    return made;
  };
  for (const line of scrape.split("\n")) {
    if (line.startsWith("# ")) {
      const [, word, name, ...rest] = line.split(" ");
      if (!name) continue;
      if (word === "TYPE") family(name).type = rest.join(" ");
      if (word === "HELP") family(name).help = unescaped(rest.join(" "));
      if (word === "UNIT") family(name).unit = rest.join(" ");
      continue;
    }
    const sample = LINE.exec(line);
    if (!sample) continue;
    const [, full = "", labels = "", text = ""] = sample;
    const value = number(text);
    if (Number.isNaN(value)) continue;
    const suffix = SUFFIXES.find((one) => full.endsWith(one) && found.has(full.slice(0, -one.length))) ?? "";
    const of = family(suffix === "" ? full : full.slice(0, -suffix.length));
    if (suffix !== "_created") note(of, suffix, labelsOf(labels), value);
  }
  for (const one of found.values()) one.samples.sort((left, right) => (left.labels < right.labels ? -1 : 1));
  return [...found.values()].filter((one) => one.samples.length > 0 || one.histograms.length > 0);
}

function note(family: Family, suffix: string, labels: Map<string, string>, value: number) {
  if (family.type !== "histogram") {
    family.samples.push({ labels: words(labels), value });
    return;
  }
  const bound = number(labels.get("le") ?? "");
  labels.delete("le");
  const name = words(labels);
  let histogram = family.histograms.find((one) => one.labels === name);
  if (!histogram) family.histograms.push(histogram = { labels: name, count: 0, sum: 0, buckets: [] });
  if (suffix === "_bucket") histogram.buckets.push([bound, value]);
  else if (suffix === "_sum") histogram.sum = value;
  else histogram.count = value;
}

function labelsOf(text: string): Map<string, string> {
  const labels = new Map<string, string>();
  for (const [, name, value] of text.matchAll(LABEL)) if (name !== undefined && value !== undefined) labels.set(name, unescaped(value));
  return labels;
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, one: string) => (one === "n" ? "\n" : one));
}

/** One label is told by its value, several by names too. */
function words(labels: Map<string, string>): string {
  return labels.size === 1 ? [...labels.values()].join("") : [...labels].map(([name, value]) => `${name} ${value}`).join(", ");
}

function number(text: string): number {
  return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
}

/** The value below which that share lies: by a line through its bucket, as Prometheus has it. Nothing where there is none. */
export function quantile({ buckets, count }: Histogram, share: number): number | null {
  if (count === 0) return null;
  const rank = share * count;
  let [from, below] = [0, 0];
  for (const [bound, upTo] of buckets) {
    if (upTo >= rank) return Number.isFinite(bound) ? from + ((bound - from) * (rank - below)) / Math.max(1, upTo - below) : from;
    [from, below] = [bound, upTo];
  }
  return from;
}

/** Those that match every word, in name, help or labels. */
export function matching(all: readonly Family[], q: string | undefined): Family[] {
  const sought = (q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return all.filter((family) => {
    const text = [family.name, family.help, ...family.samples.map((one) => one.labels), ...family.histograms.map((one) => one.labels)].join(" ").toLowerCase();
    return sought.every((word) => text.includes(word));
  });
}

export interface Scraped {
  at: number;
  families: Family[];
  /** What came a second since the scrape before, by name and labels. */
  rates: ReadonlyMap<string, number>;
}

export const keyOf = (family: string, labels: string) => `${family} ${labels}`;

/** Goes on from the scrape before: what only ever rises has a rate. Another process begins lower, and has none. */
export function scraped(before: Scraped | undefined, text: string, at: number): Scraped {
  const now = families(text);
  const rates = new Map<string, number>();
  const past = new Map<string, number>();
  for (const [key, value] of counters(before?.families ?? [])) past.set(key, value);
  const seconds = (at - (before?.at ?? at)) / 1_000;
  for (const [key, value] of counters(now)) {
    const was = past.get(key);
    if (was !== undefined && value >= was && seconds > 0) rates.set(key, (value - was) / seconds);
  }
  return { at, families: now, rates };
}

function* counters(all: readonly Family[]): Generator<[string, number]> {
  for (const family of all) {
    if (family.type === "counter") for (const one of family.samples) yield [keyOf(family.name, one.labels), one.value];
    for (const one of family.histograms) yield [keyOf(family.name, one.labels), one.count];
  }
}
