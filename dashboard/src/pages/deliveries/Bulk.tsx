import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, data } from "../../api/client";
import { adviceFor } from "../../api/problem";
import type { Delivery } from "../../api/types";
import { SubscriptionName } from "../../entities/SubscriptionName";
import type { SubscriptionHead } from "../../entities/subscriptions";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Notice, Skeleton } from "../../ui/Feedback";
import { duration, exact } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { lookOf } from "../../ui/states";
import { Choice } from "../../ui/Tabs";
import { startRun, watchJob } from "../../work/store";
import { FEW, planOf, type JobPlan } from "./bulk";
import type { DeliveryRow } from "./rows";

interface Props {
  rows: readonly DeliveryRow[];
  onClose: () => void;
  onStarted: () => void;
  /** Each one, as it is after it was moved. */
  onMoved: (delivery: Delivery) => void;
}

const many = (number: number, one: string, others = `${one}s`) => `${exact(number)} ${number === 1 ? one : others}`;

/** Asks the relay what each job would do, a few at a time. */
async function previewed(jobs: readonly JobPlan[], signal: AbortSignal) {
  const found = new Map<string, { total: number; rate: number } | { refused: string }>();
  for (let from = 0; from < jobs.length; from += 4) {
    await Promise.all(jobs.slice(from, from + 4).map(async (job) => {
      try {
        const answer = await data(api.POST("/api/v1/subscriptions/{id}/replay", { params: { path: { id: job.subscriptionId } }, body: { eventIds: [...job.eventIds], dryRun: true }, signal }));
        found.set(job.key, { total: answer.total, rate: answer.rate });
      } catch (failure) {
        signal.throwIfAborted();
        found.set(job.key, { refused: adviceFor(failure).title });
      }
    }));
  }
  return found;
}

/** Sends a selection again: a few one by one and at once, many as jobs, one a subscription. */
export function RetryDialog({ rows, subscriptions, onClose, onStarted, onMoved }: Props & { subscriptions: ReadonlyMap<string, SubscriptionHead> }) {
  const client = useQueryClient();
  // What was selected when it was opened: rows go on moving meanwhile.
  const [chosen] = useState(rows);
  const plan = useMemo(() => planOf(chosen), [chosen]);
  const isFew = chosen.length <= FEW;
  const [way, setWay] = useState<"jobs" | "each">(isFew || plan.jobs.length === 0 ? "each" : "jobs");
  const preview = useQuery({ queryKey: ["replay-preview", plan], queryFn: ({ signal }) => previewed(plan.jobs, signal), enabled: way === "jobs", staleTime: Infinity, gcTime: 0 });
  const [outcome, setOutcome] = useState<ReadonlyMap<string, "made" | { refused: string }>>(new Map());
  const nameOf = (id: string) => subscriptions.get(id)?.name;
  const start = useMutation({
    mutationFn: async () => {
      const results = new Map(outcome);
      for (const job of plan.jobs) {
        if (results.get(job.key) === "made") continue;
        try {
          const made = await data(api.POST("/api/v1/subscriptions/{id}/replay", { params: { path: { id: job.subscriptionId } }, body: { eventIds: [...job.eventIds] } }));
          if ("id" in made) watchJob(made.id, nameOf(job.subscriptionId) ?? `${job.subscriptionId.slice(0, 8)}…`);
          results.set(job.key, "made");
        } catch (failure) {
          results.set(job.key, { refused: adviceFor(failure).title });
        }
        setOutcome(new Map(results));
      }
      return [...results.values()].every((one) => one === "made");
    },
    onSuccess: (all) => {
      if (!all) return;
      onStarted();
      onClose();
    },
    onSettled: () => client.invalidateQueries({ queryKey: ["jobs"] }),
  });
  const each = () => {
    startRun({
      title: `Send ${many(chosen.length, "delivery", "deliveries")} again`, verb: "sent", items: chosen,
      call: async (row) => onMoved(await data(api.POST("/api/v1/deliveries/{id}/retry", { params: { path: { id: row.id } } }))),
    });
    onStarted();
    onClose();
  };
  const ended = chosen.length - plan.pending;
  return (
    <Dialog
      open onClose={onClose} title={`Send ${many(chosen.length, "delivery", "deliveries")} again`}
      about={way === "each"
        ? "Each is attempted at once, past its schedule, an open breaker and the rate limit, in a new round."
        : "One job a subscription brings them back. They go out as any other: pauses, breakers, rate limits and retries hold."}
      foot={<>
        <Button onClick={onClose}>Leave it</Button>
        {way === "each"
          ? <Button kind="primary" icon="retry" onClick={each}>Send {many(chosen.length, "delivery", "deliveries")}</Button>
          : <Button kind="primary" icon="retry" busy={start.isPending} barred={plan.jobs.length === 0 && "All of them are pending"} onClick={() => start.mutate()}>{outcome.size > 0 ? "Try the rest again" : `Start ${many(plan.jobs.length, "job")}`}</Button>}
      </>}
    >
      <div className="flex flex-col gap-2">
        {!isFew && <div><Choice label="How they are sent" value={way} onChange={setWay} options={[{ value: "jobs", label: "As jobs" }, { value: "each", label: "One by one, now" }]} /></div>}
        {plan.delivered > 0 && <Notice tone="busy" icon="warning">{plan.delivered === 1 ? "One of them was delivered already: its receiver gets it" : `${exact(plan.delivered)} of them were delivered already: their receivers get them`} once more, with the same webhook-id.</Notice>}
        {way === "jobs" && plan.pending > 0 && <Notice tone="quiet" icon="clock">{exact(plan.pending)} of {exact(chosen.length)} {plan.pending === 1 ? "is" : "are"} pending and left to their schedule; {exact(ended)} {ended === 1 ? "goes" : "go"} out again.</Notice>}
        {way === "jobs" && (
          <ul className="divide-y rounded border" aria-label="Jobs">
            {plan.jobs.map((job) => {
              const seen = preview.data?.get(job.key);
              const came = outcome.get(job.key);
              const state = subscriptions.get(job.subscriptionId)?.state;
              return (
                <li key={job.key} className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-3 px-2.5 py-1">
                  <SubscriptionName id={job.subscriptionId} name={nameOf(job.subscriptionId)} />
                  <span className="text-sm text-muted">
                    {came === "made" ? <span className="inline-flex items-center gap-1 text-good"><Icon name="check" size={13} />job made</span>
                      : seen === undefined ? (preview.isError ? many(job.eventIds.length, "event") : <Skeleton className="h-3 w-24" />)
                        : "refused" in seen ? null
                          : <>{many(seen.total, "event")}, {exact(seen.rate)} a second{seen.total > seen.rate && ` · about ${duration((seen.total / seen.rate) * 1_000)}`}</>}
                  </span>
                  {state !== undefined && state !== "active" && came === undefined && <span className="col-span-2 text-sm text-held">It is {lookOf(state).word.toLowerCase()}: what is brought back waits until it is not.</span>}
                  {[came, seen].map((one, index) => typeof one === "object" && "refused" in one && (index === 0 || came === undefined) && <span key={index} role="alert" className="col-span-2 text-sm text-bad">{one.refused}</span>)}
                </li>
              );
            })}
          </ul>
        )}
      </div>
    </Dialog>
  );
}

/** Ends what is pending of a selection. */
export function CancelDialog({ rows, onClose, onStarted, onMoved }: Props) {
  const [chosen] = useState(() => rows.filter((row) => row.status === "pending"));
  const [others] = useState(rows.length - chosen.length);
  const start = () => {
    startRun({
      title: `Cancel ${many(chosen.length, "delivery", "deliveries")}`, verb: "cancelled", items: chosen,
      call: async (row) => onMoved(await data(api.POST("/api/v1/deliveries/{id}/cancel", { params: { path: { id: row.id } } }))),
    });
    onStarted();
    onClose();
  };
  return (
    <Dialog
      open onClose={onClose} title={`Cancel ${many(chosen.length, "pending delivery", "pending deliveries")}`}
      about="They are not sent, unless somebody sends them again. One that is in flight at this moment is refused, and told."
      foot={<>
        <Button onClick={onClose}>Keep them</Button>
        <Button kind="danger" icon="stop" onClick={start}>Cancel {many(chosen.length, "delivery", "deliveries")}</Button>
      </>}
    >
      {others > 0 && <Notice tone="quiet" icon="clock">{others === 1 ? "One of those selected has" : `${exact(others)} of those selected have`} ended already and {others === 1 ? "is" : "are"} left alone.</Notice>}
    </Dialog>
  );
}
