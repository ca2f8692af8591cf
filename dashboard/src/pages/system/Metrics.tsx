import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { useInterval } from "../../live/Live";
import { Button } from "../../ui/Button";
import { EmptyState, ErrorState, Notice, SkeletonRows } from "../../ui/Feedback";
import { Input } from "../../ui/Field";
import { bytes, count, duration, exact, rate } from "../../ui/format";
import { CopyButton } from "../../ui/Id";
import { Panel } from "../../ui/Panel";
import { Badge } from "../../ui/State";
import { Time } from "../../ui/Time";
import { keyOf, matching, quantile, type Family, type Histogram, type Scraped } from "./metrics";
import { metricsQuery } from "./queries";

const route = getRouteApi("/in/system");
/** As often as a rate is worth looking at. */
const EVERY = 5_000;
/** Samples of one family that are shown. */
const MOST = 100;

/** What Prometheus reads, of the process that answers, for people. */
export function MetricsPanel() {
  const { q } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery({ ...metricsQuery, refetchInterval: useInterval(EVERY) });
  const seen = query.data;
  const shown = useMemo(() => matching(seen?.families ?? [], q), [seen, q]);
  if (query.isError && !seen) return <Panel flush><ErrorState what="The metrics" error={query.error} onRetry={() => void query.refetch()} /></Panel>;
  const look = (next: string) => void navigate({ search: { tab: "metrics", ...(next ? { q: next } : {}) }, replace: true });
  return (
    <>
      <search className="mb-3 flex flex-wrap items-center gap-x-4 gap-y-2" aria-label="Metrics">
        <div className="min-w-60 max-w-lg flex-1"><Input type="search" aria-label="Search metrics" placeholder="Search: a name, a meaning, a label" value={q ?? ""} onChange={(event) => look(event.target.value)} spellCheck={false} autoComplete="off" /></div>
        <span role="status" className="text-sm text-muted">{seen && (q ? `${shown.length} of ${seen.families.length}` : `${seen.families.length} metrics`)}</span>
      </search>
      {query.isError && <div className="mb-3"><Notice tone="bad" icon="warning">The relay does not answer now. What you see is from <Time at={new Date(query.dataUpdatedAt).toISOString()} />.</Notice></div>}
      {!seen ? <Panel flush><SkeletonRows rows={16} /></Panel> : shown.length === 0 ? (
        <Panel><EmptyState icon="search" title="No metric matches"><Button onClick={() => look("")}>Show all metrics</Button></EmptyState></Panel>
      ) : (
        <>
          <Panel flush>
            <dl className="divide-y tabular-nums">{shown.map((family) => <One key={family.name} family={family} rates={seen.rates} />)}</dl>
          </Panel>
          <p className="mt-3 text-sm text-muted">Of the process that answers, counted since its start. Prometheus reads the same as text from <a className="text-accent hover:underline" href="/metrics" target="_blank" rel="noopener">/metrics<span className="sr-only"> (opens another tab)</span></a>.</p>
        </>
      )}
    </>
  );
}

function One({ family, rates }: { family: Family; rates: Scraped["rates"] }) {
  const left = family.samples.length - MOST;
  return (
    <div className="grid gap-x-6 px-3 py-1.5 sm:grid-cols-[minmax(0,1fr)_minmax(0,22rem)]">
      <dt className="min-w-0">
        <span className="flex min-w-0 flex-wrap items-center gap-x-2">
          <CopyButton text={family.name} what="Name" className="min-w-0 font-mono text-sm font-medium">{family.name}</CopyButton>
          <Badge>{family.type}</Badge>
        </span>
        <span className="block text-sm text-muted">{family.help.replace(/\.$/, "")}</span>
      </dt>
      <dd className="min-w-0">
        <ul>
          {family.samples.slice(0, MOST).map((sample) => (
            <li key={sample.labels} className="flex min-h-6 items-center justify-between gap-3">
              <span className="min-w-0 truncate font-mono text-sm text-muted">{sample.labels}</span>
              <span className="whitespace-nowrap" title={String(sample.value)}>
                {family.type === "info" ? "" : valueOf(family, sample.value)}
                <PerSecond rate={rates.get(keyOf(family.name, sample.labels))} />
              </span>
            </li>
          ))}
          {family.histograms.map((one) => (
            <li key={one.labels} className="flex min-h-6 flex-wrap items-center justify-between gap-x-3">
              <span className="min-w-0 truncate font-mono text-sm text-muted">{one.labels}</span>
              <Spread family={family} of={one} perSecond={rates.get(keyOf(family.name, one.labels))} />
            </li>
          ))}
          {left > 0 && <li className="text-sm text-muted">and {exact(left)} more</li>}
        </ul>
      </dd>
    </div>
  );
}

function Spread({ family, of, perSecond }: { family: Family; of: Histogram; perSecond: number | undefined }) {
  const figure = (value: number | null) => (value === null ? "–" : valueOf(family, value));
  return (
    <span className="flex flex-wrap justify-end gap-x-3 text-sm">
      <span>{exact(of.count)}<PerSecond rate={perSecond} /></span>
      {([["mean", of.count === 0 ? null : of.sum / of.count], ["p50", quantile(of, 0.5)], ["p99", quantile(of, 0.99)]] as const).map(([name, value]) => (
        <span key={name}><span className="text-muted">{name}</span> {figure(value)}</span>
      ))}
    </span>
  );
}

function PerSecond({ rate: value }: { rate: number | undefined }) {
  // Most of the time nothing comes: that is not worth a word.
  return !value ? null : <span className="ml-2 inline-block min-w-12 text-right text-sm text-muted">{rate(value)} /s</span>;
}

function valueOf(family: Family, value: number): string {
  // A moment, told in seconds since 1970.
  if (family.name.endsWith("start_time_seconds")) return new Date(value * 1_000).toLocaleString();
  if (family.unit === "seconds" || family.name.endsWith("_seconds")) return value === 0 ? "0" : duration(value * 1_000);
  if (family.unit === "bytes" || family.name.endsWith("_bytes")) return bytes(value);
  return Number.isInteger(value) ? (value < 1_000_000 ? exact(value) : count(value)) : rate(value);
}
