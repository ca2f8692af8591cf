/** Attempts by what became of them, in the groups that a chart can tell apart. */
import type { SeriesPoint } from "../../api/types";
import type { ChartSeries } from "../../ui/chart-shape";

const GROUPS = [
  { name: "2xx", colour: "--good-mark", classes: ["2xx"] },
  { name: "3xx, other", colour: "--quiet-mark", classes: ["3xx", "otherStatus", "addressRefused", "request", "internal"] },
  { name: "4xx", colour: "--busy-mark", classes: ["4xx"] },
  { name: "5xx", colour: "--bad-mark", classes: ["5xx"] },
  { name: "No answer", colour: "--held-mark", classes: ["timeout", "name", "connect", "tls", "reset", "protocol"] },
] as const;

/** Series of all groups; a class that is not known here counts among the others. */
export function byOutcome(points: readonly SeriesPoint[]): ChartSeries[] {
  const known = new Set<string>(GROUPS.flatMap((group) => group.classes));
  return GROUPS.map((group) => ({
    name: group.name,
    colour: group.colour,
    values: points.map(({ attempts }) =>
      Object.entries(attempts.byOutcome).reduce((sum, [name, count]) => {
        const belongs = (group.classes as readonly string[]).includes(name) || (group.colour === "--quiet-mark" && !known.has(name));
        return belongs ? sum + count : sum;
      }, 0)),
  }));
}
