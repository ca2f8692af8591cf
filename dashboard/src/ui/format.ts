/** Numbers and times as text: short, and of a width that does not jump. */

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** 1,234 and 12.3K from ten thousand on. */
export function count(value: number): string {
  return Math.abs(value) < 10_000 ? WHOLE.format(value) : COMPACT.format(value);
}

/** All digits. */
export function exact(value: number): string {
  return WHOLE.format(value);
}

/** Of an axis of things that have no halves. */
export function wholes(value: number): string {
  return Number.isInteger(value) ? count(value) : "";
}

/** A rate a second: 0, 0.03, 4.2, 310. */
export function rate(value: number): string {
  if (value === 0) return "0";
  if (value < 0.01) return "<0.01";
  if (value < 1) return value.toFixed(2);
  if (value < 100) return value.toFixed(1);
  return count(value);
}

/** A share, never rounded up to all: 99.95 % stays below 100 %. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return "–";
  if (share === 1 || share === 0) return `${share * 100}%`;
  const value = Math.floor(share * 10_000) / 100;
  return `${value < 0.01 ? "<0.01" : value >= 99 ? value.toFixed(2) : value.toFixed(1)}%`;
}

/** 3.1 ms, 240 ms, 1.2 s, 4 min 10 s, 3 h 5 min, 2 d 4 h. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms < 0.1 && ms > 0) return "<0.1 ms";
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return two(Math.floor(seconds / 60), "min", seconds % 60, "s");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1_440) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.floor(minutes / 60);
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** Of an axis, where values are round: 10 ms, 1 s, 100 s. */
export function axisDuration(ms: number): string {
  return ms < 1_000 ? `${Number(ms.toPrecision(3))} ms` : `${WHOLE.format(ms / 1_000)} s`;
}

/** One unit, for places that are narrow: 8s, 3m, 2h, 5d. */
export function brief(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** "just now", "8s ago", "in 3m". */
export function relative(at: number, now: number): string {
  const apart = at - now;
  // Clocks of relay and viewer differ by a little.
  if (Math.abs(apart) < 1_500) return "just now";
  return apart < 0 ? `${brief(-apart)} ago` : `in ${brief(apart)}`;
}

/** 512 B, 1.4 KiB, 3.2 MiB. */
export function bytes(value: number): string {
  if (value < 1_024) return `${value} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let size = value / 1_024;
  let unit = 0;
  while (size >= 1_023.95 && unit < units.length - 1) {
    size /= 1_024;
    unit += 1;
  }
  return `${size.toFixed(1)} ${units[unit] ?? ""}`;
}

/** The beginning and the end of an id; its middle says the least. By characters: an id may be any text. */
export function shortId(id: string): string {
  const characters = [...id];
  return characters.length <= 14 ? id : `${characters.slice(0, 4).join("")}…${characters.slice(-6).join("")}`;
}

const EXACT = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, hourCycle: "h23", timeZoneName: "short",
});
const TIME_OF_DAY = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const HOUR = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

/** In the viewer's zone, to the millisecond. */
export function exactTime(at: number): string {
  return EXACT.format(at);
}

/** As a field for a moment has it, in the viewer's zone; to the second where that is asked for. */
export function localText(at: number, to: "minute" | "second" = "second"): string {
  const shifted = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, to === "minute" ? 16 : 19);
}

export function timeOfDay(at: number): string {
  return TIME_OF_DAY.format(at);
}

/** A label of an axis that spans so many milliseconds. */
export function axisTime(at: number, span: number): string {
  return span > 3 * 86_400_000 ? DAY.format(at) : HOUR.format(at);
}
