/** Attempts by what became of them, in the groups that a chart can tell apart. */
import type { SeriesPoint } from "../../api/types";
import type { OutcomeGroup } from "../../live/lately";
import type { BeatGroup } from "../../ui/Beats";
import type { ChartSeries } from "../../ui/chart-shape";

const GROUPS = [
  { key: "2xx", name: "2xx", colour: "--good-mark", classes: ["2xx"] },
  { key: "other", name: "3xx, other", colour: "--quiet-mark", classes: ["3xx", "otherStatus", "addressRefused", "request", "internal"] },
  { key: "4xx", name: "4xx", colour: "--busy-mark", classes: ["4xx"] },
  { key: "5xx", name: "5xx", colour: "--bad-mark", classes: ["5xx"] },
  { key: "none", name: "No answer", colour: "--held-mark", classes: ["timeout", "name", "connect", "tls", "reset", "protocol"] },
] as const satisfies readonly (BeatGroup<OutcomeGroup> & { classes: readonly string[] })[];

/** The same groups, for pictures that are not made of series. */
export const OUTCOMES: readonly BeatGroup<OutcomeGroup>[] = GROUPS;

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

/** Steps that a chart shows at least. */
const FEWEST = 15;

/**
 * Without the steps before anything happened, so that what is young fills its chart. Of a longer
 * story all is shown.
 */
export function sinceBegun(points: readonly SeriesPoint[]): readonly SeriesPoint[] {
  const first = points.findIndex((point) => point.accepted + point.attempts.total > 0);
  return first < 0 ? points : points.slice(Math.max(0, Math.min(first - 1, points.length - FEWEST)));
}
