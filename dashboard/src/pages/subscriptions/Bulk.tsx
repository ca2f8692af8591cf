/**
 * Retrying what failed and replaying events: what it would do first, then how far it is. The job
 * goes on without this page; the panel finds it again.
 */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api, data } from "../../api/client";
import { adviceFor, isWorthSaying, Problem } from "../../api/problem";
import { useBarred } from "../../api/session";
import type { Job, JobPreview, Subscription } from "../../api/types";
import { useInterval } from "../../live/Live";
import { Button } from "../../ui/Button";
import { serverNow } from "../../ui/clock";
import { Dialog } from "../../ui/Dialog";
import { ErrorState } from "../../ui/Feedback";
import { Field, Input } from "../../ui/Field";
import { count, duration, exact, localText, shortId } from "../../ui/format";
import { Icon } from "../../ui/Icon";
import { Panel } from "../../ui/Panel";
import { Progress } from "../../ui/Progress";
import { lookOf } from "../../ui/states";
import { Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { hasEnded, jobWords, movedWords, progressOf, reachWords, useCancelJob } from "../../work/jobs";
import { patternFault } from "./draft";
import { jobsQuery } from "./queries";

export type BulkKind = "retry_failed" | "replay";

const STATES = ["failed", "expired", "skipped", "cancelled"] as const;
const HOUR = 3_600_000;
const SPANS = [["1 h", HOUR], ["24 h", 24 * HOUR], ["7 d", 168 * HOUR]] as const;

export function BulkDialog({ subscription, kind, onClose }: { subscription: Subscription; kind: BulkKind | undefined; onClose: () => void }) {
  return kind ? <Bulk key={kind} subscription={subscription} kind={kind} onClose={onClose} /> : null;
}

function Bulk({ subscription, kind, onClose }: { subscription: Subscription; kind: BulkKind; onClose: () => void }) {
  const { id } = subscription;
  const form = useId();
  const client = useQueryClient();
  const isReplay = kind === "replay";
  const [since, setSince] = useState(() => localText(serverNow() - 24 * HOUR));
  const [until, setUntil] = useState("");
  const [states, setStates] = useState<readonly (typeof STATES)[number][]>(["failed", "expired"]);
  const [types, setTypes] = useState("");
  const [pace, setPace] = useState("");
  const asked = { since, until, states, types, pace };
  const key = JSON.stringify(asked);
  const patterns = types.split(/[\s,]+/).filter(Boolean);
  const wrong = patterns.map(patternFault).find(Boolean);
  const from = Date.parse(since);
  const local = !Number.isFinite(from) ? "Say from when on" : states.length === 0 && !isReplay ? "Choose one state at least" : wrong ? `A type ${wrong}` : undefined;

  const send = async (dryRun: boolean) => {
    const common = { since: new Date(since).toISOString(), ...(until ? { until: new Date(until).toISOString() } : {}), ...(pace.trim() ? { rate: Number(pace) } : {}), dryRun };
    return data(isReplay
      ? api.POST("/api/v1/subscriptions/{id}/replay", { params: { path: { id } }, body: { ...common, ...(patterns.length > 0 ? { eventTypes: patterns } : {}) } })
      : api.POST("/api/v1/subscriptions/{id}/retry-failed", { params: { path: { id } }, body: { ...common, states: [...states] } }));
  };
  const preview = useMutation({ mutationFn: async (of: string) => ({ of, found: (await send(true)) as JobPreview }) });
  const start = useMutation({
    mutationFn: async () => (await send(false)) as Job,
    onSuccess: (job) => {
      toast({ text: isReplay ? "The replay begins" : "They are sent again", detail: `${count(job.total)} ${isReplay ? "events" : "deliveries"}, ${exact(job.rate)} a second` });
      onClose();
    },
    onSettled: () => client.invalidateQueries({ queryKey: ["jobs"] }),
  });
  // A preview is of what stands in the fields, or it is none.
  const seen = preview.data?.of === key ? preview.data.found : undefined;
  const failed = start.error ?? (preview.variables === key ? preview.error : null);
  const problem = failed instanceof Problem ? failed : undefined;
  const paceFault = pace.trim() !== "" && !/^[1-9]\d*$/.test(pace.trim()) ? "Deliveries a second: a whole number" : undefined;
  const barred = local ?? paceFault;
  return (
    <Dialog
      open onClose={onClose} title={isReplay ? "Replay events" : "Send again what did not arrive"}
      about={isReplay
        ? "Delivers stored events to this subscription once more, also those from before it existed. Receivers see the same webhook-id as the first time."
        : "Deliveries that ended without success begin their next round. What holds the subscription holds them too."}
      foot={<>
        <Button onClick={onClose}>Leave it</Button>
        <Button type="submit" form={form} icon="search" busy={preview.isPending} barred={barred}>Preview</Button>
        <Button kind="primary" icon="play" busy={start.isPending} barred={barred ?? (!seen ? "Preview it first" : seen.total === 0 && "There is nothing to do")} onClick={() => start.mutate()}>
          {seen && seen.total > 0 ? `${isReplay ? "Replay" : "Send"} ${seen.atLeast ? "more than " : ""}${count(seen.total)}` : isReplay ? "Replay" : "Send again"}
        </Button>
      </>}
    >
      <form id={form} noValidate onSubmit={(event) => { event.preventDefault(); if (!barred) preview.mutate(key); }} className="flex flex-col gap-3">
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label={isReplay ? "Received from" : "Made from"} fault={problem?.fault("since")}><Input type="datetime-local" step={1} value={since} onChange={(event) => setSince(event.target.value)} /></Field>
          <Field label="Until" optional hint="Empty: now." fault={problem?.fault("until")}><Input type="datetime-local" step={1} value={until} onChange={(event) => setUntil(event.target.value)} /></Field>
        </div>
        <div className="-mt-1 flex flex-wrap gap-1">
          {SPANS.map(([name, ms]) => <Button key={name} kind="quiet" onClick={() => { setSince(localText(serverNow() - ms)); setUntil(""); }}>Last {name}</Button>)}
        </div>
        {isReplay ? (
          <Field label="Event types" optional hint={`Types or patterns, parted by spaces. Empty: its own (${subscription.eventTypes.slice(0, 4).join(", ")}${subscription.eventTypes.length > 4 ? " …" : ""}).`} fault={(wrong && `A type ${wrong}`) ?? problem?.fault("eventTypes")}>
            <Input mono value={types} onChange={(event) => setTypes(event.target.value)} spellCheck={false} autoComplete="off" />
          </Field>
        ) : (
          <fieldset>
            <legend className="mb-1 text-sm font-medium">Those that are</legend>
            <div className="flex flex-wrap gap-x-4">
              {STATES.map((state) => (
                <label key={state} className="inline-flex min-h-6 items-center gap-1.5">
                  <input type="checkbox" className="size-3.5 accent-(--accent)" checked={states.includes(state)} onChange={(event) => setStates((now) => (event.target.checked ? [...now, state] : now.filter((one) => one !== state)))} />
                  {lookOf(state).word}
                </label>
              ))}
            </div>
          </fieldset>
        )}
        <div className="max-w-56"><Field label="Pace" optional hint="Deliveries a second; empty: the relay's." fault={paceFault ?? problem?.fault("rate")}><Input inputMode="numeric" value={pace} onChange={(event) => setPace(event.target.value)} /></Field></div>
        {failed && !problem?.faults.length && <p role="alert" className="flex gap-1.5 text-bad"><Icon name="warning" size={14} className="mt-0.5" />{adviceFor(failed).title}</p>}
        {seen && (
          <div role="status" className="rounded border bg-sunken px-3 py-2">
            <p className="font-medium">{seen.total === 0 ? "Nothing matches: there is nothing to do." : <>{seen.atLeast && "More than "}{exact(seen.total)} {isReplay ? (seen.total === 1 ? "event" : "events") : seen.total === 1 ? "delivery" : "deliveries"}, {exact(seen.rate)} a second: {seen.atLeast && "more than "}{duration(Math.max(1_000, (seen.total / seen.rate) * 1_000))}</>}</p>
            {seen.total > 0 && <p className="truncate font-mono text-sm text-muted">{seen.samples.slice(0, 3).map(shortId).join("  ")}{seen.total > 3 && " …"}</p>}
            {seen.total > 0 && subscription.state !== "active" && <p className="mt-1 text-sm text-held">The subscription is {subscription.state}: they wait there until it is not.</p>}
          </div>
        )}
      </form>
    </Dialog>
  );
}

/** Jobs that go on, and the last that ended; nothing where there was none. */
export function JobsPanel({ id }: { id: string }) {
  const barred = useBarred("deliveries:write");
  const polled = useInterval(2_000);
  const query = useQuery({ ...jobsQuery(id), refetchInterval: ({ state }) => (state.data?.some((job) => !hasEnded(job)) ? polled : false) });
  const cancel = useCancelJob();
  const jobs = query.data ?? [];
  if (query.isError && jobs.length === 0 && isWorthSaying(query.error)) return <Panel title="Bulk work" flush><ErrorState what="Bulk work" error={query.error} onRetry={() => void query.refetch()} /></Panel>;
  if (jobs.length === 0) return null;
  return (
    <Panel title="Bulk work" flush>
      <ul className="divide-y">
        {jobs.map((job) => (
          <li key={job.id} className="px-3 py-1.5">
            <div className="flex items-center justify-between gap-3">
              <span className="min-w-0 truncate font-medium" title={reachWords(job)}>{jobWords(job)}</span>
              {hasEnded(job)
                ? <span className="whitespace-nowrap text-sm text-muted">{job.state} <Time at={job.finishedAt ?? job.createdAt} /></span>
                : <Button kind="quiet" icon="stop" busy={cancel.isPending && cancel.variables === job.id} barred={barred} onClick={() => cancel.mutate(job.id)}>Cancel</Button>}
            </div>
            {!hasEnded(job) && (
              <Progress label={jobWords(job)} value={progressOf(job)} />
            )}
            <p className="text-sm text-muted">{movedWords(job)}{job.error && <span className="text-bad"> · {job.error}</span>}</p>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
