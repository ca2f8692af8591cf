/** Lengths of time as people type them: "30 s", "2 min", "1 h 30 min". */

const UNITS: Record<string, number> = {
  ms: 1, s: 1_000, sec: 1_000, second: 1_000, seconds: 1_000, m: 60_000, min: 60_000, minute: 60_000, minutes: 60_000,
  h: 3_600_000, hour: 3_600_000, hours: 3_600_000, d: 86_400_000, day: 86_400_000, days: 86_400_000,
};
const PART = /(\d+(?:\.\d+)?)\s*([a-z]+)/gy;

/** Milliseconds; nothing where the text is no length of time. A number needs its unit. */
export function parseTime(text: string): number | undefined {
  const given = text.trim().toLowerCase();
  if (given === "0") return 0;
  let sum = 0;
  let at = 0;
  while (at < given.length) {
    PART.lastIndex = at;
    const found = PART.exec(given);
    const unit = UNITS[found?.[2] ?? ""];
    if (!found || unit === undefined) return undefined;
    sum += Number(found[1]) * unit;
    at = PART.lastIndex + (/^\s*/.exec(given.slice(PART.lastIndex))?.[0].length ?? 0);
  }
  return at === 0 ? undefined : Math.round(sum);
}

const STEPS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000], ["ms", 1]] as const;

/** All of it, so that it reads back as it was: 90,000 is "1 min 30 s". */
export function timeText(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "";
  if (ms === 0) return "0";
  // Half seconds are shorter than two units.
  if (ms > 1_000 && ms < 60_000 && ms % 1_000 !== 0 && ms % 100 === 0) return `${ms / 1_000} s`;
  const parts: string[] = [];
  let rest = ms;
  for (const [unit, size] of STEPS) {
    const whole = Math.floor(rest / size);
    if (whole > 0) parts.push(`${whole} ${unit}`);
    rest -= whole * size;
  }
  return parts.join(" ");
}
