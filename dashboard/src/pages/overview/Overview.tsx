import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { api, data } from "../../api/client";
import { adviceFor } from "../../api/problem";
import { allows, useSession } from "../../api/session";
import type { Overview, Series, SeriesPoint } from "../../api/types";
import { FirstSteps } from "../../entities/FirstSteps";
import { SubscriptionName } from "../../entities/SubscriptionName";
import { Term } from "../../entities/Term";
import { useInterval } from "../../live/Live";
import { serverNow } from "../../ui/clock";
import { EmptyState, ErrorState, Notice, Skeleton } from "../../ui/Feedback";
import { axisDuration, count, duration, exact, percent, rate, wholes } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { BUTTON_LINK, PRIMARY_LINK } from "../../ui/link-looks";
import { Chart } from "../../ui/LazyChart";
import { Figure, PageHead, Panel } from "../../ui/Panel";
import { StateBar } from "../../ui/Sparkline";
import { State } from "../../ui/State";
import { lookOf, TONES } from "../../ui/states";
import { Choice } from "../../ui/Tabs";
import { Countdown, Time } from "../../ui/Time";
import { deliveriesSearch } from "../deliveries/search";
import { HealthPanel } from "./HealthPanel";
import { MomentsPanel } from "./Moments";
import { byOutcome, sinceBegun } from "./outcomes";
import { StoryPanel } from "./Story";

const route = getRouteApi("/in/");
const WINDOWS = [{ value: "1h", label: "1 h" }, { value: "24h", label: "24 h" }, { value: "7d", label: "7 d" }] as const;

/** Everything at a glance. */
export function OverviewPage() {
  const { window = "1h" } = route.useSearch();
  const navigate = route.useNavigate();
  const overview = useQuery({
    queryKey: ["overview"],
    queryFn: ({ signal }) => data(api.GET("/api/v1/dashboard/overview", { signal })),
    // Rates fall while nothing happens, and nothing says so.
    refetchInterval: useInterval(5_000),
  });
  const series = useQuery({
    queryKey: ["series", window],
    queryFn: async ({ signal }) => ({ ...await data(api.GET("/api/v1/dashboard/metrics", { params: { query: { window } }, signal })), asOf: serverNow() }),
    refetchInterval: useInterval(window === "1h" ? 5_000 : 30_000),
    // The chart of the window before stands until the next one is there.
    placeholderData: (before) => before,
  });
  const seen = overview.data;
  const session = useSession();
  return (
    <>
      <PageHead title="Overview" actions={
        <Choice label="Time that the charts show" value={window} onChange={(next) => void navigate({ search: next === "1h" ? {} : { window: next }, replace: true })} options={WINDOWS} />
      } />
      {overview.isError && !seen ? <Panel flush><ErrorState what="The overview" error={overview.error} onRetry={() => void overview.refetch()} /></Panel> : (
        <div className="flex flex-col gap-3">
          {overview.isError && <Notice tone="busy" icon="warning">What you see is from <Time at={seen?.generatedAt} />: {adviceFor(overview.error).title}.</Notice>}
          {seen && !seen.complete && <Notice tone="quiet" icon="clock">The newest of what happened is still being counted.</Notice>}
          <Figures seen={seen} />
          {seen?.events.ever === 0 && <Begin />}
          <div className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_21rem] xl:grid-cols-[minmax(0,1fr)_24rem]">
            <div className="order-2 flex min-w-0 flex-col gap-3 lg:order-1">
              <MomentsPanel />
              <Charts series={series.data} error={series.isError && !series.data ? series.error : undefined} onRetry={() => void series.refetch()} stale={series.isPlaceholderData} />
            </div>
            <div className="order-1 flex min-w-0 flex-col gap-3 lg:order-2">
              <TroublePanel seen={seen} />
              <StoryPanel />
              <StatesPanel seen={seen} />
              {session.tenant === null && <HealthPanel seen={seen} />}
            </div>
          </div>
        </div>
      )}
    </>
  );
}

const STRIP = "grid grid-cols-2 gap-px overflow-hidden rounded-md border bg-line sm:grid-cols-4 xl:grid-cols-8 [&>*]:bg-panel [&>*]:px-3 [&>*]:py-2";

function Figures({ seen }: { seen: Overview | undefined }) {
  if (!seen) return <div className={STRIP}>{Array.from({ length: 8 }, (_, index) => <div key={index} className="h-[4.6rem]"><Skeleton className="mb-2 h-3 w-16" /><Skeleton className="h-5 w-20" /></div>)}</div>;
  const { rates, events, deliveries, backlog } = seen;
  const day = deliveries.last24h;
  const worst = day.successRate ?? 1;
  return (
    <dl className={STRIP}>
      <Figure name="Events" value={rate(rates.eventsPerSecond)} unit="/s" note={`${count(events.today)} today`} />
      <Figure name="Delivered" value={rate(rates.deliveriesPerSecond)} unit="/s" note={`${count(day.delivered)} in 24 h`} />
      <Figure name={<Term of="attempts">Attempts</Term>} value={rate(rates.attemptsPerSecond)} unit="/s" note={`${count(day.attempts.retries)} retries`} />
      <Figure name={<Term of="success">Success</Term>} value={percent(day.successRate)} tone={worst < 0.95 ? "text-bad" : worst < 0.99 ? "text-busy" : undefined} note="of 24 h" />
      <Figure name={<Term of="latency">Latency p50</Term>} value={duration(day.latencyMs.p50)} note="event to answer" />
      <Figure name="Latency p95" value={duration(day.latencyMs.p95)} note={`p99 ${duration(day.latencyMs.p99)}`} />
      <Figure name={<Term of="backlog">Backlog</Term>} value={<Link to="/deliveries" search={{ status: "pending" }} className="inline-block min-w-6 hover:underline">{count(backlog.pending)}</Link>} note={backlog.oldestAt ? <>oldest <Time at={backlog.oldestAt} /></> : "nothing waits"} />
      <Figure name={<Term of="undelivered">Undelivered</Term>} value={<Link to="/deliveries" search={{ status: day.failed > 0 || day.expired === 0 ? "failed" : "expired", within: "24h" }} className="inline-block min-w-6 hover:underline">{count(day.failed + day.expired)}</Link>} tone={day.failed + day.expired > 0 ? "text-bad" : undefined} note={`${rate(rates.failuresPerSecond)} /s now`} />
    </dl>
  );
}

function Charts({ series, error, onRetry, stale }: { series: Series & { asOf: number } | undefined; error: unknown; onRetry: () => void; stale: boolean }) {
  const drawn = useMemo(() => {
    if (!series) return undefined;
    const { asOf } = series;
    const points = sinceBegun(series.points);
    // The step that has begun is not over: a rate over all of it would always be too low.
    const perSecond = (value: (point: SeriesPoint) => number) => points.map((point) => {
      const seconds = Math.min(series.stepSeconds, (asOf - Date.parse(point.start)) / 1_000);
      return seconds < 10 ? null : value(point) / seconds;
    });
    return {
      times: points.map((point) => Date.parse(point.start) / 1_000),
      outcomes: byOutcome(points),
      flow: [
        { name: "Events", colour: "--accent", values: perSecond((point) => point.accepted) },
        { name: "Delivered", colour: "--good-mark", values: perSecond((point) => point.delivered) },
      ],
      latency: [
        { name: "p99", colour: "--bad-mark", values: points.map((point) => point.latencyMs.p99 ?? null) },
        { name: "p95", colour: "--busy-mark", values: points.map((point) => point.latencyMs.p95 ?? null) },
        { name: "p50", colour: "--accent", values: points.map((point) => point.latencyMs.p50 ?? null) },
      ],
    };
  }, [series]);
  if (error !== undefined) return <Panel flush><ErrorState what="The charts" error={error} onRetry={onRetry} /></Panel>;
  const aside = (text: string) => <span className="text-sm tabular-nums text-muted">{text}</span>;
  const step = series ? duration(series.stepSeconds * 1_000) : "";
  return (
    <div className={stale ? "flex flex-col gap-3 opacity-60" : "flex flex-col gap-3"}>
      <Panel title="Attempts by outcome" aside={series && aside(`${exact(series.totals.attempts.total)} attempts, by ${step}`)}>
        {drawn ? <Chart label="Attempts by outcome" kind="stack" times={drawn.times} series={drawn.outcomes} format={count} axisFormat={wholes} height={200} /> : <Skeleton className="h-[14rem] w-full" />}
      </Panel>
      <div className="grid gap-3 xl:grid-cols-2">
        <Panel title="Events and deliveries" aside={aside("a second")}>
          {drawn ? <Chart label="Events and deliveries a second" kind="lines" times={drawn.times} series={drawn.flow} format={rate} height={160} /> : <Skeleton className="h-46 w-full" />}
        </Panel>
        <Panel title="Latency" aside={aside("event to answer, logarithmic")}>
          {drawn ? <Chart label="Latency from event to answer" kind="lines" times={drawn.times} series={drawn.latency} format={duration} axisFormat={axisDuration} height={160} logarithmic /> : <Skeleton className="h-46 w-full" />}
        </Panel>
      </div>
    </div>
  );
}

/** Rows of trouble for which room is kept, and the height of each, in rem. */
const MOST_ROOM = 4;
const ROW = 3.2;

function TroublePanel({ seen }: { seen: Overview | undefined }) {
  const trouble = seen?.trouble ?? [];
  // It keeps the room that it has needed, so that what is below moves seldom.
  const [room, setRoom] = useState(0);
  const needed = Math.min(trouble.length, MOST_ROOM);
  if (needed > room) setRoom(needed);
  return (
    <Panel title="In trouble" flush aside={seen && trouble.length > 0 && <span className="text-sm text-muted">worst first</span>}>
      <div style={{ minHeight: `${room * ROW}rem` }}>
      {!seen ? <div className="p-3"><Skeleton className="h-4 w-40" /></div> : trouble.length === 0 ? (
        <p className="flex items-center gap-2 px-3 py-2.5 text-muted"><Icon name="check" className="text-good" size={14} />No subscription is in trouble.</p>
      ) : (
        <ul className="divide-y">
          {trouble.map((one) => (
            <li key={one.id} className="px-3 py-1">
              <div className="flex items-center justify-between gap-3">
                <SubscriptionName id={one.id} name={one.name} />
                <State state={one.state !== "active" ? one.state : one.breaker !== "closed" ? one.breaker : "failing"} />
              </div>
              <p className="truncate text-sm tabular-nums text-muted">
                {one.failureRate !== null && one.failureRate !== undefined && one.attempts > 0
                  ? <Link to="/deliveries" search={{ subscriptionId: one.id }} className="inline-block min-h-6 leading-6 hover:underline">{one.attempts === 1 && one.failureRate === 1 ? "its only attempt failed" : `${percent(one.failureRate)} of ${count(one.attempts)} attempts failed`}</Link> : one.stateReason ?? "no attempts lately"}
                {one.breaker === "open" && one.openUntil && <> · probe in <Countdown until={one.openUntil} past="a moment" /></>}
              </p>
            </li>
          ))}
        </ul>
      )}
      </div>
    </Panel>
  );
}

const DELIVERY_STATES = ["delivered", "pending", "skipped", "failed", "expired", "cancelled"];
const SUBSCRIPTION_STATES = ["active", "paused", "deactivated", "suspended"];

function StatesPanel({ seen }: { seen: Overview | undefined }) {
  if (!seen) return <Panel title="States"><Skeleton className="h-24 w-full" /></Panel>;
  const parts = (names: readonly string[], counts: Record<string, number>) => names.map((name) => {
    const look = lookOf(name);
    return { key: name, name: look.word, value: counts[name] ?? 0, mark: TONES[look.tone].mark };
  });
  return (
    <Panel title="States">
      {([["Deliveries", parts(DELIVERY_STATES, seen.deliveries.byState)], ["Subscriptions", parts(SUBSCRIPTION_STATES, seen.subscriptions.byState)]] as const).map(([name, shares], index) => (
        <div key={name} className={index > 0 ? "mt-3" : ""}>
          <h3 className="label mb-1">{name}</h3>
          <StateBar label={name} parts={shares} />
          <ul className="mt-1.5 grid grid-cols-2 gap-x-4">
            {shares.filter((part) => part.value > 0 || part.key === "pending" || part.key === "active").map((part) => (
              <li key={part.key} className="flex items-center justify-between gap-2">
                <State plain state={part.key} />
                {name === "Deliveries"
                  ? <Link to="/deliveries" search={deliveriesSearch({ status: part.key })} aria-label={`${part.name}: ${count(part.value)}`} className="inline-flex min-h-6 min-w-6 items-center justify-end tabular-nums hover:underline" title={exact(part.value)}>{count(part.value)}</Link>
                  : <span className="tabular-nums" title={exact(part.value)}>{count(part.value)}</span>}
              </li>
            ))}
          </ul>
        </div>
      ))}
    </Panel>
  );
}

function Begin() {
  const session = useSession();
  const mayAll = allows(session, "subscriptions:write") && allows(session, "events:write");
  return (
    <Panel>
      <EmptyState icon="send" title="No event has come yet">
        <p className="max-w-prose">
          {mayAll ? "Register who wants events, then send one: by the buttons, or by the commands below. It shows up here at once."
            : session.tenant === null ? "As soon as events come, this page fills." : "As soon as there are events for your subscriptions, this page fills."}
        </p>
        <span className="flex flex-wrap justify-center gap-2">
          {allows(session, "subscriptions:write") && <Link to="/subscriptions/new" className={PRIMARY_LINK}><Icon name="plus" size={14} />Register a subscription</Link>}
          {allows(session, "events:write") && <Link to="/events/send" className={BUTTON_LINK}><Icon name="send" size={14} />Send an event</Link>}
        </span>
        <FirstSteps subscription event />
      </EmptyState>
    </Panel>
  );
}
