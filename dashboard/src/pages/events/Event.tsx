import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, data } from "../../api/client";
import { adviceFor, isNothing } from "../../api/problem";
import { useBarred } from "../../api/session";
import type { Attempt, Delivery, Event, Explanation } from "../../api/types";
import { heldWords } from "../../entities/held";
import { SubscriptionName } from "../../entities/SubscriptionName";
import { useSubscriptions } from "../../entities/subscriptions";
import { useInterval } from "../../live/Live";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/class-names";
import { CodeBlock, JsonViewer } from "../../ui/Code";
import { ConfirmByName } from "../../ui/Dialog";
import { EmptyState, ErrorState, Skeleton, SkeletonRows, TitleSkeleton } from "../../ui/Feedback";
import { duration, shortId } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { Id } from "../../ui/Id";
import { Menu, MenuItem } from "../../ui/Menu";
import { Facts, PageHead, Panel } from "../../ui/Panel";
import { HttpStatus, State } from "../../ui/State";
import { deliveryState, lookOf, TONES } from "../../ui/states";
import { Countdown, Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { startRun } from "../../work/store";
import { deliveryQuery } from "../deliveries/queries";
import { eventQuery } from "./queries";

const route = getRouteApi("/in/events/$id");

/** One event: what it carries, where it went, and why it did not go elsewhere. */
export function EventPage() {
  const { id } = route.useParams();
  const query = useQuery({ ...eventQuery(id), refetchInterval: useInterval(false) });
  const back = <nav aria-label="Where this is" className="mb-1"><Link to="/events" className="inline-flex min-h-6 items-center gap-1 text-muted hover:text-text"><Icon name="left" size={13} />Events</Link></nav>;
  if (isNothing(query)) return <>{back}<PageHead title="Event" /><Panel flush><ErrorState what="This event" error={query.error} onRetry={() => void query.refetch()} /></Panel></>;
  const seen = query.data;
  return (
    <>
      {back}
      <PageHead
        title={seen ? <span className="font-mono text-lg">{seen.event.eventType}</span> : <TitleSkeleton of="Event" />}
        lead={<Id id={id} />}
        actions={seen && <Actions event={seen.event} />}
      />
      {seen ? (
        <div className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_minmax(0,27rem)]">
          <div className="flex min-w-0 flex-col gap-3">
            <Deliveries event={seen.event} />
            <WhyNot explanations={seen.event.explanations?.data ?? []} more={Boolean(seen.event.explanations?.nextCursor)} />
          </div>
          <div className="flex min-w-0 flex-col gap-3">
            <About event={seen.event} />
            <Panel title="Payload" flush>
              {seen.event.payloadErasedAt
                ? <p className="p-3 text-muted">It was erased <Time at={seen.event.payloadErasedAt} />, for good.</p>
                : <JsonViewer value={null} raw={seen.payload} label="payload" />}
            </Panel>
          </div>
        </div>
      ) : <Panel flush><SkeletonRows rows={6} /></Panel>}
    </>
  );
}

function About({ event }: { event: Event }) {
  const late = event.occurredAt ? Date.parse(event.receivedAt) - Date.parse(event.occurredAt) : undefined;
  return (
    <Panel title="About">
      <Facts rows={[
        ["Received", <Time key="r" at={event.receivedAt} />],
        event.eventName ? ["Name", event.eventName] : null,
        event.source ? ["Source", event.source] : null,
        event.tenant ? ["Tenant", event.tenant] : null,
        event.occurredAt ? ["Happened", <span key="o"><Time at={event.occurredAt} />{late !== undefined && late > 1_000 && <span className="text-muted"> · {duration(late)} before it came</span>}</span>] : null,
        event.orderingKey ? ["Ordering key", <span key="k" className="font-mono text-sm">{event.orderingKey}</span>] : null,
        event.idempotencyKey ? ["Idempotency key", <span key="i" className="break-all font-mono text-sm">{event.idempotencyKey}</span>] : null,
      ]} />
    </Panel>
  );
}

const FINAL = new Set(["delivered", "failed", "expired", "cancelled", "skipped"]);

function useRetry(eventId: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => retried(id),
    onSuccess: () => toast({ text: "It is sent again" }),
    onError: (error) => toast({ tone: "bad", text: "It was not sent again", detail: adviceFor(error).title }),
    onSettled: () => client.invalidateQueries({ queryKey: ["event", eventId] }),
  });
}

const retried = (id: string) => data(api.POST("/api/v1/deliveries/{id}/retry", { params: { path: { id } } }));

function Actions({ event }: { event: Event }) {
  const client = useQueryClient();
  const [erasing, setErasing] = useState(false);
  const mayRetry = useBarred("deliveries:write");
  const mayErase = useBarred("admin");
  const retry = useRetry(event.id);
  // Each is a change of its own, which may be refused: the panel of work says what came of which.
  const [isRunning, setRunning] = useState(false);
  const retryAll = (ids: readonly string[]) => {
    setRunning(true);
    startRun({
      title: `Send ${ids.length} deliveries of an event again`, verb: "sent", items: ids, call: async (id) => void (await retried(id)),
      onEnd: () => {
        setRunning(false);
        void client.invalidateQueries({ queryKey: ["event", event.id] });
      },
    });
  };
  const final = (event.deliveries ?? []).filter((one) => FINAL.has(one.status)).map((one) => one.id);
  const pending = (event.deliveries ?? []).length - final.length;
  const erase = useMutation({
    mutationFn: () => data(api.DELETE("/api/v1/events/{id}/payload", { params: { path: { id: event.id }, query: { cancelPending: true } } })),
    onSuccess: async () => {
      setErasing(false);
      toast({ text: "The payload is erased" });
      await client.invalidateQueries({ queryKey: ["event", event.id] });
    },
    onError: (error) => toast({ tone: "bad", text: "The payload was not erased", detail: adviceFor(error).title }),
  });
  return (
    <>
      <Button
        icon="retry" busy={retry.isPending || isRunning} onClick={() => (final[0] && final.length === 1 ? retry.mutate(final[0]) : retryAll(final))}
        barred={mayRetry || (event.payloadErasedAt ? "Its payload is erased" : final.length === 0 && "No delivery of it has ended yet")}
      >
        {final.length > 1 ? `Send all ${final.length} again` : "Send again"}
      </Button>
      <Menu trigger={<Button icon="dots" bare>More</Button>}>
        <MenuItem icon="trash" danger onSelect={() => setErasing(true)} barred={mayErase || (event.payloadErasedAt ? "It is erased already" : false)}>Erase the payload…</MenuItem>
      </Menu>
      <ConfirmByName
        open={erasing} onClose={() => setErasing(false)} onConfirm={() => erase.mutate()} busy={erase.isPending}
        title="Erase the payload" name={event.eventType} verb="Erase for good"
        about={<>The payload and what receivers answered to it go for good; the event itself stays.{pending > 0 && <> {pending} pending {pending === 1 ? "delivery is" : "deliveries are"} cancelled.</>}</>}
      />
    </>
  );
}

function Deliveries({ event }: { event: Event }) {
  const deliveries = event.deliveries ?? [];
  const subscriptions = useSubscriptions();
  const names = new Map((event.explanations?.data ?? []).map((one) => [one.subscriptionId, one]));
  return (
    <Panel title="Deliveries" flush aside={deliveries.length > 0 && <span className="text-sm text-muted">{deliveries.length === 100 ? "the newest 100" : deliveries.length}</span>}>
      {deliveries.length === 0
        ? <EmptyState icon="deliveries" title="It went nowhere"><p>No subscription wanted it when it came. Below stands why, for each.</p></EmptyState>
        : <ul className="divide-y">{deliveries.map((one) => <OneDelivery key={one.id} delivery={one} explanation={names.get(one.subscriptionId)} name={subscriptions.get(one.subscriptionId)?.name} receivedAt={event.receivedAt} alone={deliveries.length === 1} />)}</ul>}
    </Panel>
  );
}

function OneDelivery({ delivery, explanation, name, receivedAt, alone }: { delivery: Delivery; explanation: Explanation | undefined; name: string | undefined; receivedAt: string; alone: boolean }) {
  const [open, setOpen] = useState(alone);
  const barred = useBarred("deliveries:write");
  const retry = useRetry(delivery.eventId);
  // One that waits for its retry, or is being sent, is not held back by anything.
  const held = (explanation?.heldBy ?? []).filter((one) => one.by !== "retry_at" && one.by !== "in_flight");
  const took = delivery.finishedAt && delivery.status === "delivered" ? Date.parse(delivery.finishedAt) - Date.parse(receivedAt) : undefined;
  const id = `attempts-${delivery.id}`;
  return (
    <li>
      <div className="grid grid-cols-[minmax(0,1fr)_auto_1.75rem] items-center gap-x-3 py-1 pl-1.5 pr-2 sm:grid-cols-[minmax(0,1fr)_6.5rem_5.5rem_3.5rem_6.5rem_1.75rem]">
        <span className="flex min-w-0 items-center gap-1">
          <Button kind="quiet" icon={open ? "down" : "right"} bare unhinted aria-expanded={open} {...(open ? { "aria-controls": id } : {})} onClick={() => setOpen(!open)} className="size-6 shrink-0">{`Attempts for ${explanation?.name ?? name ?? delivery.subscriptionId}`}</Button>
          <SubscriptionName id={delivery.subscriptionId} name={explanation?.name ?? name} />
        </span>
        <span><Link to="/deliveries/$id" params={{ id: delivery.id }} className="hover:underline"><State plain state={held.length > 0 ? "held" : deliveryState(delivery)} /></Link></span>
        <span className="hidden truncate text-sm text-muted sm:block">
          {delivery.attemptCount === 0 ? "no attempt yet" : delivery.attemptCount === 1 ? "1 attempt" : `${delivery.attemptCount} attempts`}
        </span>
        <span className="hidden truncate sm:block"><HttpStatus status={delivery.httpStatus} error={delivery.errorKind} /></span>
        <span className="hidden text-right text-sm text-muted sm:block">
          {took !== undefined ? `after ${duration(took)}` : delivery.nextRetryAt && held.length === 0 ? <>next <Countdown until={delivery.nextRetryAt} /></> : <Time at={delivery.finishedAt ?? delivery.lastAttemptAt ?? delivery.createdAt} />}
        </span>
        <Button kind="quiet" icon="retry" bare busy={retry.isPending} barred={barred} onClick={() => retry.mutate(delivery.id)}>
          {delivery.status === "pending" ? "Try now" : "Send again"}
        </Button>
      </div>
      {held.map((one) => (
        <p key={one.by} className="flex items-center gap-1.5 px-8 pb-1 text-sm text-held"><Icon name="held" size={13} />{heldWords(one.by)}{one.reason && ` (${one.reason})`}{one.until && <>, for another <Countdown until={one.until} past="moment" /></>}{one.behind && <>, behind {shortId(one.behind)}</>}</p>
      ))}
      {open && <div id={id}><Timeline delivery={delivery} receivedAt={receivedAt} held={held} /></div>}
    </li>
  );
}

function Timeline({ delivery, receivedAt, held }: { delivery: Delivery; receivedAt: string; held: Explanation["heldBy"] }) {
  const query = useQuery(deliveryQuery(delivery.id));
  if (query.isPending) return <div className="px-8 pb-3"><Skeleton className="h-4 w-64" /></div>;
  if (query.isError) return <ErrorState what="The attempts" error={query.error} onRetry={() => void query.refetch()} />;
  const attempts = query.data.attempts ?? [];
  const begin = Date.parse(receivedAt);
  // Whatever holds it longest decides; where that has no end in sight, nothing is promised.
  const next = query.data.nextRetryAt && [query.data.nextRetryAt, ...held.flatMap((one) => one.until ?? [])].sort().at(-1);
  const isHeld = held.some((one) => !one.until);
  return (
    <ol className="relative ml-[1.15rem] border-l pb-1 pl-4">
      <Moment tone="quiet" at={0}><span>Accepted <span className="text-muted"><Time at={receivedAt} /></span></span></Moment>
      {attempts.map((attempt) => <OneAttempt key={attempt.id} attempt={attempt} begin={begin} />)}
      {next
        ? <Moment tone={held.length > 0 ? "held" : "busy"}><span>{attempts.length === 0 ? "First attempt" : "Next attempt"} {isHeld ? "once nothing holds it" : <>in <Countdown until={next} past="a moment" /></>}</span></Moment>
        : query.data.finishedAt && <Moment tone={lookOf(query.data.status).tone} at={Date.parse(query.data.finishedAt) - begin}><State plain state={query.data.status} /></Moment>}
    </ol>
  );
}

/** How long after the acceptance: 0, 4.0 ms, 12m 15s. */
function offset(ms: number): string {
  if (ms === 0) return "0";
  return ms < 59_950 ? duration(ms) : duration(ms).replaceAll(/ (min|[dhs])/g, (unit) => unit.slice(1, 2));
}

function Moment({ tone, at, children }: { tone: keyof typeof TONES; at?: number; children: React.ReactNode }) {
  return (
    <li className="relative flex min-h-7 flex-wrap items-center gap-x-3 pr-3">
      <span aria-hidden="true" className={cx("absolute -left-[1.28rem] size-2 rounded-full ring-3 ring-panel", TONES[tone].mark)} />
      <span className="w-20 shrink-0 whitespace-nowrap font-mono text-sm text-muted">{at === undefined ? "" : `+${offset(Math.max(0, at))}`}</span>
      {children}
    </li>
  );
}

function OneAttempt({ attempt, begin }: { attempt: Attempt; begin: number }) {
  const good = attempt.status !== null && attempt.status !== undefined && attempt.status >= 200 && attempt.status < 300;
  const says = attempt.responseBody.trim();
  return (
    <>
      <Moment tone={good ? "good" : attempt.stale ? "quiet" : "bad"} at={Date.parse(attempt.startedAt) - begin}>
        <span>Attempt {attempt.number}</span>
        <HttpStatus status={attempt.status} error={attempt.errorKind} />
        <span className="text-sm text-muted">{duration(attempt.durationMs)}</span>
        {attempt.trigger !== "schedule" && <span className="text-sm text-muted">by {attempt.trigger}</span>}
        {!good && attempt.error && <span className="min-w-0 truncate text-sm text-muted" title={attempt.error}>{attempt.error}</span>}
      </Moment>
      {!good && says && (
        <li className="pb-1.5 pl-[5.75rem] pr-3">
          <details><summary className="min-h-6 w-fit text-sm leading-6 text-muted">What it answered{attempt.responseBodyCut && " (the beginning)"}</summary><CodeBlock text={says} label="answer" /></details>
        </li>
      )}
    </>
  );
}

/** For subscriptions without a delivery of this event. */
function WhyNot({ explanations, more }: { explanations: readonly Explanation[]; more: boolean }) {
  const without = explanations.filter((one) => !one.matched);
  if (without.length === 0) return null;
  return (
    <Panel title="Why it did not go elsewhere" flush aside={<span className="text-sm text-muted">{without.length}{more && " of the newest 100"}</span>}>
      <ul className="max-h-[30rem] divide-y overflow-y-auto">
        {without.map((one) => (
          <li key={one.subscriptionId} className="grid grid-cols-[minmax(0,1fr)] gap-x-4 px-3 py-1.5 sm:grid-cols-[minmax(8rem,14rem)_minmax(0,1fr)]">
            <SubscriptionName id={one.subscriptionId} name={one.name} />
            <span className="text-muted">{one.detail}.{one.patterns && <span className="block truncate font-mono text-sm" title={one.patterns.join(", ")}>{one.patterns.join(", ")}</span>}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
