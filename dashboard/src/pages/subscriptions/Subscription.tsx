import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { isNothing } from "../../api/problem";
import { allows, useBarred, useSession } from "../../api/session";
import type { Subscription, SubscriptionStats, Window } from "../../api/types";
import { useInterval } from "../../live/Live";
import { Button } from "../../ui/Button";
import { EmptyState, ErrorState, Notice, Skeleton, SkeletonRows, TitleSkeleton } from "../../ui/Feedback";
import { axisDuration, count, duration, exact, percent, wholes } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { CopyButton, Id } from "../../ui/Id";
import { Chart } from "../../ui/LazyChart";
import { BUTTON_LINK } from "../../ui/link-looks";
import { Facts, Figure, PageHead, Panel } from "../../ui/Panel";
import { Badge, HttpStatus, State } from "../../ui/State";
import { deliveryState } from "../../ui/states";
import { Choice } from "../../ui/Tabs";
import { NextTry, Time } from "../../ui/Time";
import { MomentsPanel } from "../overview/Moments";
import { byOutcome, sinceBegun } from "../overview/outcomes";
import { StoryPanel } from "../overview/Story";
import { Actions } from "./Actions";
import { JobsPanel } from "./Bulk";
import { BlockedPanel, HistoryPanel } from "./Evidence";
import { reasonWords } from "./instrument";
import { LivingCard } from "./LivingCard";
import { recentQuery, statsQuery, subscriptionQuery } from "./queries";
import { RotateDialog, SigningPanel } from "./Secrets";
import { timeText } from "./time-text";

const route = getRouteApi("/in/subscriptions/$id");
const WINDOWS = [{ value: "1h", label: "1 h" }, { value: "24h", label: "24 h" }, { value: "7d", label: "7 d" }, { value: "30d", label: "30 d" }] as const;

/** One subscription: how it is doing, what it did, and what it is set to. */
export function SubscriptionPage() {
  const { id } = route.useParams();
  const session = useSession();
  const query = useQuery({ ...subscriptionQuery(id), refetchInterval: useInterval(false) });
  const back = <nav aria-label="Where this is" className="mb-1"><Link to="/subscriptions" className="inline-flex min-h-6 items-center gap-1 text-muted hover:text-text"><Icon name="left" size={13} />Subscriptions</Link></nav>;
  if (isNothing(query)) return <>{back}<PageHead title="Subscription" /><Panel flush><ErrorState what="This subscription" error={query.error} onRetry={() => void query.refetch()} /></Panel></>;
  const seen = query.data;
  const mayRead = allows(session, "deliveries:read");
  return (
    <>
      {back}
      <PageHead
        title={seen ? <bdi>{seen.name}</bdi> : <TitleSkeleton of="Subscription" />}
        lead={<span className="flex flex-wrap items-center gap-x-3">{seen && <State state={seen.state} />}<Id id={id} /></span>}
        actions={seen && <Actions subscription={seen} />}
      >
        {seen && <About subscription={seen} />}
      </PageHead>
      {seen ? (
        <div className="flex flex-col gap-3">
          <HeldNotice subscription={seen} />
          <LivingCard subscription={seen} />
          <div className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_minmax(0,25rem)]">
            <div className="flex min-w-0 flex-col gap-3">
              {mayRead && <BlockedPanel id={id} />}
              {mayRead && <JobsPanel id={id} />}
              {mayRead && <MomentsPanel subscription={id} />}
              {mayRead ? <Numbers subscription={seen} /> : <Panel><p className="text-muted">Its deliveries and numbers take the scope deliveries:read.</p></Panel>}
              {mayRead && <Recent id={id} />}
            </div>
            <div className="flex min-w-0 flex-col gap-3">
              <StoryPanel subscription={id} />
              <HistoryPanel id={id} />
              <Signing subscription={seen} />
              <Settings subscription={seen} />
            </div>
          </div>
        </div>
      ) : <Panel flush><SkeletonRows rows={8} /></Panel>}
    </>
  );
}

function About({ subscription }: { subscription: Subscription }) {
  const { eventTypes } = subscription;
  return (
    <div className="mt-1 flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1 text-muted">
      <CopyButton text={subscription.url} what="URL" className="min-w-0 font-mono text-sm">{subscription.url}</CopyButton>
      <ul aria-label="Event types" className="flex min-w-0 flex-wrap gap-1">
        {eventTypes.slice(0, 8).map((type) => <li key={type} className="max-w-full truncate rounded bg-quiet-soft px-1.5 font-mono text-xs leading-5 text-text">{type}</li>)}
        {eventTypes.length > 8 && <li title={eventTypes.slice(8).join("\n")} className="text-sm">and {eventTypes.length - 8} more</li>}
      </ul>
      {subscription.clientId && <span>of <span className="font-medium text-text">{subscription.clientId}</span></span>}
    </div>
  );
}

function HeldNotice({ subscription }: { subscription: Subscription }) {
  const { state, hold } = subscription;
  if (hold?.skipping) return <Notice tone="busy" icon="skip">It is being reactivated: what was held is being skipped before.</Notice>;
  if (hold?.full) return <Notice tone="bad" icon="warning">As much is held as may be{hold.fullSince && <>, since <Time at={hold.fullSince} /></>}: what comes in now is skipped. It can be replayed.</Notice>;
  if (state !== "deactivated" && state !== "suspended") return null;
  const trials = subscription.effective.deactivation.trialIntervalMs;
  const tries = state === "deactivated" && subscription.stateReason !== "gone" && Boolean(trials);
  return (
    <Notice tone="bad" icon="stop">
      {state === "deactivated" ? "Deactivated" : "Suspended"} <Time at={subscription.stateChangedAt} />: {reasonWords(subscription.stateReason)}. What comes for it is held
      {tries ? `, and the receiver is tried every ${timeText(trials)}` : ""}. {state === "suspended" ? "The fault is the relay's, and stands in its log: reactivate to try again." : "Mend the receiver, test it, then reactivate."}
    </Notice>
  );
}

/** What is younger than this is shown by the minute, unless one asks for something else. */
const YOUNG = 7_200_000;

function Numbers({ subscription: { id, createdAt } }: { subscription: Subscription }) {
  const [standard] = useState<Window>(() => (Date.now() - Date.parse(createdAt) < YOUNG ? "1h" : "24h"));
  const { window = standard } = route.useSearch();
  const navigate = route.useNavigate();
  const query = useQuery({ ...statsQuery(id, window), refetchInterval: useInterval(window === "1h" || window === "24h" ? 5_000 : 30_000), placeholderData: (before) => before });
  const choose = (next: Window) => void navigate({ search: next === standard ? {} : { window: next }, replace: true });
  const seen = query.data;
  return (
    <Panel
      title="Attempts" flush
      aside={<span className="flex items-center gap-3">{seen && <span className="hidden text-sm text-muted sm:inline">by {duration(seen.stepSeconds * 1_000)}</span>}<Choice label="Time that is shown" value={window} onChange={choose} options={WINDOWS} /></span>}
    >
      {query.isError && !seen ? <ErrorState what="Its numbers" error={query.error} onRetry={() => void query.refetch()} />
        : seen ? <Drawn seen={seen} isStale={query.isPlaceholderData} /> : <div className="p-3"><Skeleton className="h-[21rem] w-full" /></div>}
    </Panel>
  );
}

function Drawn({ seen, isStale }: { seen: SubscriptionStats; isStale: boolean }) {
  const drawn = useMemo(() => {
    const points = sinceBegun(seen.points);
    return {
      times: points.map((point) => Date.parse(point.start) / 1_000),
      outcomes: byOutcome(points),
      latency: [
        { name: "p99", colour: "--bad-mark", values: points.map((point) => point.attempts.durationMs.p99 ?? null) },
        { name: "p50", colour: "--accent", values: points.map((point) => point.attempts.durationMs.p50 ?? null) },
      ],
    };
  }, [seen]);
  const { totals } = seen;
  const lost = totals.failed + totals.expired;
  const share = totals.successRate ?? 1;
  return (
    <div className={isStale ? "opacity-60" : ""}>
      <dl className="grid grid-cols-2 gap-px border-b bg-line sm:grid-cols-5 [&>*]:bg-panel [&>*]:px-3 [&>*]:py-2 max-sm:[&>*:last-child]:col-span-2">
        <Figure name="Success" value={percent(totals.successRate)} tone={share < 0.95 ? "text-bad" : share < 0.99 ? "text-busy" : undefined} note="of its deliveries" />
        <Figure name="Delivered" value={count(totals.delivered)} note={`${count(totals.created)} made`} />
        <Figure name="Undelivered" value={count(lost)} tone={lost > 0 ? "text-bad" : undefined} note={totals.skipped + totals.cancelled > 0 ? `${count(totals.skipped)} skipped, ${count(totals.cancelled)} cancelled` : "failed or expired"} />
        <Figure name="Attempts" value={count(totals.attempts.total)} note={totals.attempts.retries === 1 ? "1 retry" : `${count(totals.attempts.retries)} retries`} />
        <Figure name="Answer p50" value={duration(totals.attempts.durationMs.p50)} note={`p99 ${duration(totals.attempts.durationMs.p99)}`} />
      </dl>
      <div className="px-3 pt-2">
        <h3 className="label">By outcome</h3>
        <Chart label="Attempts by outcome" kind="stack" times={drawn.times} series={drawn.outcomes} format={count} axisFormat={wholes} height={150} />
      </div>
      <div className="border-t px-3 pt-2">
        <h3 className="label">Time to its answer, logarithmic</h3>
        <Chart label="Time to the receiver's answer" kind="lines" times={drawn.times} series={drawn.latency} format={duration} axisFormat={axisDuration} height={110} logarithmic />
      </div>
    </div>
  );
}

function Recent({ id }: { id: string }) {
  const query = useQuery({ ...recentQuery(id), refetchInterval: useInterval(false) });
  const rows = query.data ?? [];
  return (
    <Panel title="Recent deliveries" flush aside={<span className="flex gap-3"><Link to="/deliveries" search={{ subscriptionId: id, status: "failed" }} className="text-accent hover:underline">Failed ones</Link><Link to="/deliveries" search={{ subscriptionId: id }} className="text-accent hover:underline">All of them</Link></span>}>
      {query.isPending ? <SkeletonRows rows={6} />
        : query.isError && rows.length === 0 ? <ErrorState what="Its deliveries" error={query.error} onRetry={() => void query.refetch()} />
          : rows.length === 0 ? <EmptyState icon="deliveries" title="Nothing was delivered yet"><p className="max-w-prose">The next event that matches comes here the moment it is accepted.</p></EmptyState>
            : (
              <ul className="divide-y">
                {rows.map((row) => (
                  <li key={row.id} className="grid h-8 grid-cols-[6rem_minmax(0,1fr)_4.5rem] items-center gap-x-3 px-3 sm:grid-cols-[6.5rem_minmax(0,1fr)_5rem_5.5rem_7rem]">
                    <State plain state={deliveryState(row)} />
                    <Link to="/deliveries/$id" params={{ id: row.id }} className="truncate font-mono text-sm font-medium hover:underline">{row.eventType}</Link>
                    <span className="hidden truncate sm:block"><HttpStatus status={row.httpStatus} error={row.errorKind} /></span>
                    <span className="hidden truncate text-sm text-muted sm:block">{row.attemptCount === 0 ? "no attempt" : row.attemptCount === 1 ? "1 attempt" : `${row.attemptCount} attempts`}</span>
                    <span className="truncate text-right text-sm text-muted">{row.nextRetryAt && row.attemptCount > 0 ? <NextTry at={row.nextRetryAt} /> : <Time at={row.finishedAt ?? row.createdAt} />}</span>
                  </li>
                ))}
              </ul>
            )}
    </Panel>
  );
}

function Signing({ subscription }: { subscription: Subscription }) {
  const [isRotating, setIsRotating] = useState(false);
  return (
    <>
      {/* What it showed is not shown of another secret. */}
      <SigningPanel key={subscription.updatedAt} subscription={subscription} onRotate={() => setIsRotating(true)} />
      <RotateDialog subscription={subscription} open={isRotating} onClose={() => setIsRotating(false)} />
    </>
  );
}

const ORDER: Record<string, string> = { none: "none: all at once", key: "by key: one after the other within a key", all: "all one after the other" };

/** What is in force, and which of it is its own. */
function Settings({ subscription }: { subscription: Subscription }) {
  const barred = useBarred("subscriptions:write");
  const { effective, rateLimit, breaker, deactivation } = subscription;
  const own = (isOwn: boolean) => isOwn && <> <Badge>own</Badge></>;
  const rules = effective.breaker;
  const ends = effective.deactivation;
  const headers = Object.keys(subscription.headers);
  return (
    <Panel title="Settings in force" aside={barred ? <Button kind="quiet" barred={barred}>Edit</Button> : <Link to="/subscriptions/$id/edit" params={{ id: subscription.id }} className={BUTTON_LINK}>Edit</Link>}>
      <Facts rows={[
        ["Deadline", <span key="d">{timeText(effective.timeoutMs)}{own(subscription.timeoutMs !== null && subscription.timeoutMs !== undefined)}</span>],
        ["In flight", <span key="f">{exact(effective.maxInFlight)} at most{own(subscription.maxInFlight !== null && subscription.maxInFlight !== undefined)}</span>],
        ["Rate", rateLimit ? <span key="r">{exact(rateLimit.limit)} in {timeText(rateLimit.periodMs ?? 1_000)}{rateLimit.burst && `, ${exact(rateLimit.burst)} at once`}{own(true)}</span> : "no limit"],
        ["Retries", <span key="t">{effective.retryPolicy.delaysMs ? effective.retryPolicy.delaysMs.length === 0 ? "one attempt" : `${effective.retryPolicy.delaysMs.length + 1} attempts, by a list` : `${effective.retryPolicy.attempts} attempts, ${timeText(effective.retryPolicy.baseMs)} × ${effective.retryPolicy.factor} up to ${timeText(effective.retryPolicy.capMs)}`}{own(Boolean(subscription.retryPolicy))}</span>],
        ["Breaker", <span key="b">{rules.enabled === false ? "off" : `opens after ${exact(rules.consecutiveFailures ?? 0)} in a row, or ${percent(rules.failureRatio)} of ${exact(rules.minimumAttempts ?? 0)} in ${timeText(rules.windowMs)}; ${timeText(rules.coolDownMs)} growing to ${timeText(rules.coolDownMaxMs)}`}{own(Boolean(breaker))}</span>],
        ["Deactivation", <span key="e">{[ends.exhaustedDeliveries ? `${exact(ends.exhaustedDeliveries)} used up in a row` : "", ends.failingForMs ? `${timeText(ends.failingForMs)} without a success` : ""].filter(Boolean).join(", or ") || "by 410 alone"}{own(Boolean(deactivation))}</span>],
        ["Order", <span key="o">{ORDER[subscription.ordering] ?? subscription.ordering}{subscription.ordering !== "none" && (subscription.orderingFailure === "block" ? "; a failed one blocks" : "; a failed one is passed over")}</span>],
        headers.length > 0 ? ["Own headers", <span key="h" className="break-words font-mono text-sm">{headers.join(", ")}</span>] : null,
        ["Registered", <Time key="c" at={subscription.createdAt} />],
        ["Changed", <Time key="u" at={subscription.updatedAt} />],
      ]} />
    </Panel>
  );
}
