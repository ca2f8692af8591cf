import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, data } from "../../api/client";
import { adviceFor, isNothing, Problem } from "../../api/problem";
import { allows, useBarred, useSession } from "../../api/session";
import type { Delivery } from "../../api/types";
import { heldWords } from "../../entities/held";
import { SubscriptionName } from "../../entities/SubscriptionName";
import { useInterval } from "../../live/Live";
import { Button } from "../../ui/Button";
import { JsonViewer } from "../../ui/Code";
import { copyText } from "../../ui/copy";
import { Dialog } from "../../ui/Dialog";
import { EmptyState, ErrorState, Notice, SkeletonRows, TitleSkeleton } from "../../ui/Feedback";
import { duration, exact, shortId } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { Id } from "../../ui/Id";
import { Menu, MenuItem, MenuLine } from "../../ui/Menu";
import { Facts, PageHead, Panel } from "../../ui/Panel";
import { State } from "../../ui/State";
import { deliveryState } from "../../ui/states";
import { Countdown, Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { AttemptEntry } from "./AttemptEntry";
import { subscriptionQuery } from "../subscriptions/queries";
import { blockingQuery, bodyQuery, deliveryQuery, explanationQuery } from "./queries";
import { ScheduleDrawn } from "./ScheduleDrawn";
import { stateWords } from "./words";

const route = getRouteApi("/in/deliveries/$id");

/** One delivery: where it stands and why, every attempt, and what can be done. */
export function DeliveryPage() {
  const { id } = route.useParams();
  const interval = useInterval(false);
  const session = useSession();
  const query = useQuery({ ...deliveryQuery(id), refetchInterval: interval });
  const seen = query.data;
  const eventId = seen?.eventId ?? "";
  const subscriptionId = seen?.subscriptionId ?? "";
  const event = useQuery({ ...explanationQuery(id, eventId, subscriptionId), enabled: seen !== undefined && allows(session, "events:read"), refetchInterval: interval });
  const subscription = useQuery({ ...subscriptionQuery(subscriptionId), enabled: seen !== undefined && allows(session, "subscriptions:read") });
  const isOrdered = subscription.data ? subscription.data.ordering !== "none" : false;
  const mayBlock = isOrdered && (seen?.status === "failed" || seen?.status === "expired");
  const blocking = useQuery({ ...blockingQuery(id, subscriptionId), enabled: mayBlock });
  const body = useQuery({ ...bodyQuery(id), enabled: seen !== undefined && !event.data?.payloadErasedAt, retry: false });
  const back = <nav aria-label="Where this is" className="mb-1"><Link to="/deliveries" className="inline-flex min-h-6 items-center gap-1 text-muted hover:text-text"><Icon name="left" size={13} />Deliveries</Link></nav>;
  if (isNothing(query)) return <>{back}<PageHead title="Delivery" /><Panel flush><ErrorState what="This delivery" error={query.error} onRetry={() => void query.refetch()} /></Panel></>;
  // What waits for its own retry is told by the schedule.
  const holding = seen?.status === "pending" ? (event.data?.explanation?.heldBy ?? []).filter((one) => one.by !== "retry_at") : [];
  const isHeld = holding.some((one) => one.by !== "in_flight");
  const isBlocking = mayBlock && Boolean(blocking.data);
  return (
    <>
      {back}
      <PageHead
        title={seen ? <span className="font-mono text-lg">{seen.eventType}</span> : <TitleSkeleton of="Delivery" />}
        lead={<span className="flex flex-wrap items-center gap-x-3">{seen && <span className="flex min-w-0 items-center gap-1.5 text-text"><Icon name="right" size={13} className="text-muted" /><SubscriptionName id={seen.subscriptionId} name={subscription.data?.name ?? event.data?.explanation?.name} /></span>}<Id id={id} /></span>}
        actions={seen && <Actions delivery={seen} isBlocking={isBlocking} isErased={Boolean(event.data?.payloadErasedAt)} />}
      />
      {seen ? (
        <div className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_minmax(0,27rem)]">
          <div className="flex min-w-0 flex-col gap-3">
            {query.isError && <Notice tone="busy" icon="warning">This is as it was <Time at={new Date(query.dataUpdatedAt).toISOString()} />: the relay does not answer now.</Notice>}
            <Standing delivery={seen} holding={holding} isHeld={isHeld} isBlocking={isBlocking} orderingKey={event.data?.orderingKey ?? null} />
            <ScheduleDrawn delivery={seen} isHeld={isHeld} policy={subscription.data?.effective.retryPolicy} />
            <Attempts delivery={seen} url={subscription.data?.url} body={body.data} />
          </div>
          <div className="flex min-w-0 flex-col gap-3">
            <Panel title="About">
              <Facts rows={[
                ["Event", <Link key="e" to="/events/$id" params={{ id: seen.eventId }} className="inline-flex min-h-6 items-center gap-1.5 font-medium hover:underline">{event.data?.eventName ?? <span className="font-mono text-sm">{shortId(seen.eventId)}</span>}<Icon name="right" size={12} className="text-muted" /></Link>],
                ["Subscription", <div key="s" className="truncate"><SubscriptionName id={seen.subscriptionId} name={subscription.data?.name ?? event.data?.explanation?.name} /></div>],
                subscription.data ? ["URL", <span key="u" className="break-all font-mono text-sm">{subscription.data.url}</span>] : null,
                event.data?.source ? ["Source", event.data.source] : null,
                event.data?.orderingKey ? ["Ordering key", <span key="k" className="font-mono text-sm">{event.data.orderingKey}</span>] : null,
                ["Made", <Time key="m" at={seen.createdAt} />],
                seen.finishedAt ? ["Ended", <span key="f"><Time at={seen.finishedAt} /><span className="text-muted"> · after {duration(Math.max(0, Date.parse(seen.finishedAt) - Date.parse(seen.createdAt)))}</span></span>] : null,
                ["Attempts", exact(seen.attemptCount)],
                seen.round > 1 ? ["Round", <span key="r">{exact(seen.round)}<span className="text-muted"> · each one that is begun by hand starts the schedule anew</span></span>] : null,
              ]} />
            </Panel>
            <Panel title="Body as sent" flush>
              {event.data?.payloadErasedAt ? <p className="p-3 text-muted">The payload was erased <Time at={event.data.payloadErasedAt} />, for good.</p>
                : body.isPending ? <SkeletonRows rows={4} />
                  : body.isError && body.data === undefined ? (body.error instanceof Problem && body.error.status === 409 ? <p className="p-3 text-muted">{body.error.message}</p> : <ErrorState what="The body" error={body.error} onRetry={() => void body.refetch()} />)
                    : <JsonViewer value={null} raw={body.data} label="body as sent" />}
            </Panel>
          </div>
        </div>
      ) : <Panel flush><SkeletonRows rows={6} /></Panel>}
    </>
  );
}

interface Held {
  by: string;
  reason?: string | null | undefined;
  until?: string | null | undefined;
  behind?: string | null | undefined;
}

/** Where it stands, why, and what holds it. */
function Standing({ delivery, holding, isHeld, isBlocking, orderingKey }: { delivery: Delivery; holding: readonly Held[]; isHeld: boolean; isBlocking: boolean; orderingKey: string | null }) {
  return (
    <Panel>
      <div className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
        <State state={isHeld ? "held" : deliveryState(delivery)} />
        <p className="min-w-0 flex-1">{stateWords(delivery)}</p>
        {delivery.status === "pending" && delivery.nextRetryAt && !isHeld && <p className="text-muted">Next attempt in <span className="font-medium text-text"><Countdown until={delivery.nextRetryAt} past="a moment" /></span></p>}
      </div>
      {(holding.length > 0 || isBlocking) && (
        <ul className="mt-2 flex flex-col gap-1">
          {holding.map((one) => (
            <li key={one.by} className={one.by === "in_flight" ? "flex items-start gap-2 text-probing" : "flex items-start gap-2 text-held"}>
              <Icon name={one.by === "in_flight" ? "send" : "held"} size={14} className="mt-[0.1875rem]" />
              <span>{heldWords(one.by)}{one.reason && ` (${one.reason})`}{one.until && <>, for another <Countdown until={one.until} past="moment" /></>}{one.behind && <>, behind <Link to="/deliveries/$id" params={{ id: one.behind }} className="font-mono text-sm underline">{shortId(one.behind)}</Link></>}</span>
            </li>
          ))}
          {isBlocking && (
            <li className="flex items-start gap-2 text-busy"><Icon name="warning" size={14} className="mt-[0.1875rem]" />
              <span>It blocks its line: {orderingKey ? <>what has the key <span className="font-mono text-sm">{orderingKey}</span></> : "what came after it"} waits until this one is sent again and arrives, or is skipped or cancelled.</span>
            </li>
          )}
        </ul>
      )}
    </Panel>
  );
}

function Attempts({ delivery, url, body }: { delivery: Delivery; url: string | undefined; body: string | undefined }) {
  const attempts = [...(delivery.attempts ?? [])].reverse();
  const [newest] = attempts;
  return (
    <Panel title="Attempts" flush aside={attempts.length > 0 && <span className="text-sm text-muted">{attempts.length < delivery.attemptCount ? `the newest ${exact(attempts.length)} of ${exact(delivery.attemptCount)}` : "newest first"}</span>}>
      {attempts.length === 0
        ? <EmptyState icon="clock" title="None yet"><p>{delivery.status === "pending" ? "The first one appears here the moment its outcome is recorded." : "It ended before it was attempted."}</p></EmptyState>
        : (
          <ol className="relative py-1 before:absolute before:bottom-4 before:left-[0.92rem] before:top-4 before:w-px before:-translate-x-1/2 before:bg-line">
            {attempts.map((attempt) => <AttemptEntry key={attempt.id} attempt={attempt} url={url} body={body} opened={attempt === newest} />)}
          </ol>
        )}
    </Panel>
  );
}

function Actions({ delivery, isBlocking, isErased }: { delivery: Delivery; isBlocking: boolean; isErased: boolean }) {
  const client = useQueryClient();
  const barred = useBarred("deliveries:write");
  const [asking, setAsking] = useState<"cancel" | "skip">();
  const isPending = delivery.status === "pending";
  const act = useMutation({
    mutationFn: (what: "retry" | "cancel" | "skip") => {
      const path = { params: { path: { id: delivery.id } } };
      return data(what === "retry" ? api.POST("/api/v1/deliveries/{id}/retry", path) : what === "cancel" ? api.POST("/api/v1/deliveries/{id}/cancel", path) : api.POST("/api/v1/deliveries/{id}/skip", path));
    },
    onSuccess: (moved, what) => {
      setAsking(undefined);
      // An answer to a change has no attempts.
      client.setQueryData<Delivery>(deliveryQuery(delivery.id).queryKey, (before) => ({ ...moved, ...(before?.attempts ? { attempts: before.attempts } : {}) }));
      toast(what === "retry" ? { text: "It is being sent now" }
        : what === "cancel" ? { text: "The delivery is cancelled" }
          : { text: "Its line goes on without it" });
    },
    onError: (error, what) => toast({ tone: "bad", text: what === "retry" ? "It was not sent" : what === "cancel" ? "It was not cancelled" : "It was not skipped", detail: adviceFor(error).title }),
    onSettled: () => client.invalidateQueries({ queryKey: ["delivery", delivery.id] }),
  });
  const navigate = useNavigate();
  const copyId = () => void copyText(delivery.id).then((done) => toast(done ? { text: "The id is copied" } : { tone: "bad", text: "The browser does not allow copying on this page" }));
  const link = () => void copyText(window.location.href).then((done) => toast(done ? { text: "The link is copied" } : { tone: "bad", text: "The browser does not allow copying on this page" }));
  return (
    <>
      {isBlocking && <Button icon="skip" barred={barred} onClick={() => setAsking("skip")}>Skip…</Button>}
      {(isPending || isBlocking) && <Button icon="stop" barred={barred} onClick={() => setAsking("cancel")}>Cancel…</Button>}
      <Button kind="primary" icon="retry" busy={act.isPending && act.variables === "retry"} barred={barred || (isErased && "Its payload is erased")} onClick={() => act.mutate("retry")}>{isPending ? "Send now" : "Send again"}</Button>
      <Menu trigger={<Button icon="dots" bare>More</Button>}>
        <MenuItem icon="link" onSelect={link}>Copy link</MenuItem>
        <MenuItem icon="copy" onSelect={copyId}>Copy id</MenuItem>
        <MenuLine />
        <MenuItem icon="deliveries" onSelect={() => void navigate({ to: "/deliveries", search: { eventId: delivery.eventId } })}>All deliveries of its event</MenuItem>
        <MenuItem icon="filter" onSelect={() => void navigate({ to: "/deliveries", search: { subscriptionId: delivery.subscriptionId } })}>All deliveries of its subscription</MenuItem>
      </Menu>
      <Dialog
        open={asking === "cancel"} onClose={() => setAsking(undefined)} title="Cancel this delivery"
        about="It is not sent, unless somebody sends it again."
        foot={<><Button onClick={() => setAsking(undefined)}>Keep it</Button><Button kind="danger" icon="stop" busy={act.isPending} onClick={() => act.mutate("cancel")}>Cancel the delivery</Button></>}
      />
      <Dialog
        open={asking === "skip"} onClose={() => setAsking(undefined)} title="Let its line go on without it"
        about="What waits behind it is sent, without this one before it. It can still be sent again by hand, then out of order."
        foot={<><Button onClick={() => setAsking(undefined)}>Keep the line waiting</Button><Button kind="danger" icon="skip" busy={act.isPending} onClick={() => act.mutate("skip")}>Skip the delivery</Button></>}
      />
    </>
  );
}
