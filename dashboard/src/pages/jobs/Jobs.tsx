import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import { isNothing } from "../../api/problem";
import { allows, useBarred, useSession } from "../../api/session";
import { SubscriptionName } from "../../entities/SubscriptionName";
import { subscriptionHeadsQuery, useSubscriptions } from "../../entities/subscriptions";
import { useInterval } from "../../live/Live";
import { Button } from "../../ui/Button";
import { serverNow } from "../../ui/clock";
import { Curl } from "../../ui/Code";
import { Combobox } from "../../ui/Combobox";
import { Drawer } from "../../ui/Dialog";
import { EmptyState, ErrorState, Notice, Skeleton, SkeletonRows } from "../../ui/Feedback";
import { Select } from "../../ui/Field";
import { duration, exact, exactTime } from "../../ui/format";
import { Id } from "../../ui/Id";
import { Facts, PageHead } from "../../ui/Panel";
import { Progress } from "../../ui/Progress";
import { State } from "../../ui/State";
import { lookOf } from "../../ui/states";
import { Table, TwoLines, type Column } from "../../ui/Table";
import { Time } from "../../ui/Time";
import { hasEnded, jobQuery, kindWords, progressOf, useCancelJob, type JobRow } from "../../work/jobs";
import { jobsQuery } from "./queries";
import { JOB_STATES, jobsSearch, type JobsSearch } from "./search";

const route = getRouteApi("/in/jobs");

/** What was asked to be done to many deliveries, how far it is, and what it did. */
export function JobsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const list = useInfiniteQuery({ ...jobsQuery(search), refetchInterval: useInterval(false), placeholderData: (before) => before });
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.rows) ?? [], [list.data]);
  const subscriptions = useSubscriptions();
  const change = useCallback((changed: { [Name in keyof JobsSearch]?: string | undefined }) => {
    void navigate({ search: (now) => jobsSearch({ ...now, ...changed }), replace: true });
  }, [navigate]);
  const { fetchNextPage, hasNextPage, isFetchingNextPage } = list;
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetchingNextPage]);
  const columns = useMemo(() => columnsOf(subscriptions), [subscriptions]);
  const narrow = useMemo(() => ({
    head: "Job",
    cell: (job: JobRow) => (
      <TwoLines
        first={<><span className="font-medium">{kindWords(job.kind)}</span> · {subscriptions.get(job.subscriptionId)?.name ?? job.subscriptionId.slice(0, 8)}</>} aside={<Time at={job.createdAt} />}
        second={<State plain state={job.state} />} end={<span className="tabular-nums">{exact(job.done)}<span className="text-muted"> of {job.atLeast && "≥ "}{exact(job.total)}</span></span>}
      />
    ),
  }), [subscriptions]);
  return (
    <div className="list-page">
      <PageHead title="Jobs" lead="Replays and retries of many deliveries" />
      <Filters search={search} onChange={change} />
      <div className="list-box">
        {list.isError && rows.length === 0 ? <ErrorState what="Jobs" error={list.error} onRetry={() => void list.refetch()} />
          : list.isPending ? <SkeletonRows rows={10} />
            : rows.length === 0 ? <Nothing isFiltered={search.status !== undefined || search.subscriptionId !== undefined} onClear={() => change({ status: undefined, subscriptionId: undefined })} />
              : <Table label="Jobs" height="fill" columns={columns} narrow={narrow} rows={rows} rowKey={(row) => row.id} onEnd={onEnd} isOld={list.isPlaceholderData} onOpen={(row) => change({ job: row.id })} />}
      </div>
      {search.job && <JobDrawer key={search.job} id={search.job} onClose={() => change({ job: undefined })} />}
    </div>
  );
}

function Filters({ search, onChange }: { search: JobsSearch; onChange: (changed: { [Name in keyof JobsSearch]?: string | undefined }) => void }) {
  const heads = useQuery({ ...subscriptionHeadsQuery, enabled: allows(useSession(), "subscriptions:read") });
  return (
    <search className="mb-2 flex flex-wrap gap-2" aria-label="Jobs">
      <Select aria-label="State" value={search.status ?? ""} onChange={(event) => onChange({ status: event.target.value })} className="w-32">
        <option value="">Any state</option>
        {JOB_STATES.map((state) => <option key={state} value={state}>{lookOf(state).word}</option>)}
      </Select>
      <div className="w-48 min-w-0"><Combobox label="Subscription" placeholder="Any subscription" strict options={(heads.data ?? []).map((one) => ({ value: one.id, label: one.name }))} value={search.subscriptionId ?? ""} onChange={(subscriptionId) => onChange({ subscriptionId })} /></div>
    </search>
  );
}

function askedWords(job: JobRow): string {
  if (job.eventCount !== null) return job.eventCount === 1 ? "one event, named" : `${exact(job.eventCount)} events, named`;
  // Lists leave the ids out.
  if (job.kind === "replay" && !job.since) return job.total === 1 ? "one event, named" : `${exact(job.total)} events, named`;
  const types = job.eventTypes?.join(", ");
  const states = job.states?.map((state) => lookOf(state).word.toLowerCase()).join(", ");
  const time = job.since ? `since ${exactTime(Date.parse(job.since)).replace(/\.\d{3}/, "")}` : "";
  return [types ?? states, time].filter(Boolean).join(" · ") || "all";
}

function columnsOf(subscriptions: ReturnType<typeof useSubscriptions>): Column<JobRow>[] {
  return [
    { key: "state", head: "State", width: "6.5rem", cell: (job) => <State plain state={job.state} /> },
    { key: "what", head: "What", width: "7.5rem", cell: (job) => <span className="font-medium">{kindWords(job.kind)}</span> },
    { key: "subscription", head: "Subscription", width: "minmax(7rem,1fr)", cell: (job) => <SubscriptionName id={job.subscriptionId} name={subscriptions.get(job.subscriptionId)?.name} /> },
    { key: "which", head: "Which", width: "minmax(8rem,1.2fr)", from: "md", cell: (job) => <span className="text-muted" title={askedWords(job)}>{askedWords(job)}</span> },
    { key: "progress", head: "Progress", width: "7rem", from: "sm", cell: (job) => <Progress label={`${kindWords(job.kind)} ${job.id}`} value={progressOf(job)} tone={toneOf(job)} /> },
    { key: "done", head: "Sent on", width: "7rem", from: "sm", align: "right", cell: (job) => <span className="tabular-nums">{exact(job.done)}<span className="text-muted"> of {job.atLeast && "≥ "}{exact(job.total)}</span></span> },
    { key: "made", head: "Made", width: "5rem", align: "right", cell: (job) => <span className="text-muted"><Time at={job.createdAt} /></span> },
  ];
}

const toneOf = (job: JobRow) => (job.state === "failed" ? "bad" : job.state === "cancelled" ? "quiet" : hasEnded(job) ? "good" : "probing");

function JobDrawer({ id, onClose }: { id: string; onClose: () => void }) {
  const query = useQuery({ ...jobQuery(id), refetchInterval: useInterval(false) });
  const subscriptions = useSubscriptions();
  const cancel = useCancelJob();
  const barred = useBarred("deliveries:write");
  const job = query.data;
  const head = job && subscriptions.get(job.subscriptionId);
  const took = job?.startedAt && job.finishedAt ? Date.parse(job.finishedAt) - Date.parse(job.startedAt) : undefined;
  const isHeld = head !== undefined && head.state !== "active";
  return (
    <Drawer
      open onClose={onClose} title={job ? `${kindWords(job.kind)} for ${head?.name ?? job.subscriptionId.slice(0, 8)}` : "Job"} about={<Id id={id} full />}
      foot={job && !hasEnded(job) && <Button kind="danger" icon="stop" busy={cancel.isPending} barred={barred} onClick={() => cancel.mutate(id)}>Cancel the job</Button>}
    >
      {isNothing(query) ? <ErrorState what="This job" error={query.error} onRetry={() => void query.refetch()} /> : !job ? <Skeleton className="h-40 w-full" /> : (
        <div className="flex flex-col gap-3">
          <div>
            <div className="flex items-center justify-between"><State state={job.state} /><span className="text-sm tabular-nums text-muted">{exact(job.done + job.skipped)} of {job.atLeast && "at least "}{exact(job.total)} looked at</span></div>
            <Progress label="How far it is" value={progressOf(job)} tone={toneOf(job)} />
          </div>
          {job.error && <Notice tone="bad" icon="warning">{job.error}</Notice>}
          {!hasEnded(job) && isHeld && <Notice tone="held" icon="held">The subscription is {lookOf(head.state).word.toLowerCase()}: what the job brings back waits there.</Notice>}
          <Facts rows={[
            ["Sent on", <span key="d">{exact(job.done)}<span className="text-muted"> · pending from then on, and delivered as any other</span></span>],
            ["Left alone", <span key="s">{exact(job.skipped)}{job.skipped > 0 && <span className="text-muted"> · pending already, moved meanwhile, or erased</span>}</span>],
            ["Which", askedWords(job)],
            job.until ? ["Until", <Time key="u" at={job.until} />] : null,
            ["Pace", `at most ${exact(job.rate)} a second`],
            ["Made", <Time key="m" at={job.createdAt} />],
            job.startedAt ? ["Begun", <Time key="b" at={job.startedAt} />] : null,
            job.finishedAt ? ["Ended", <span key="f"><Time at={job.finishedAt} />{took !== undefined && took >= 1 && <span className="text-muted"> · took {duration(took)}</span>}</span>] : null,
          ]} />
          {job.eventCount === null
            ? <p><Link to="/deliveries" search={{ subscriptionId: job.subscriptionId, ...(job.since ? { since: job.since } : {}), ...(job.until ? { until: job.until } : {}) }} className="font-medium text-accent hover:underline">Deliveries of that time</Link></p>
            : (
              <section>
                <h3 className="label mb-1">Events{job.eventCount > job.events.length && ` · the first ${exact(job.events.length)}`}</h3>
                <ul className="grid gap-x-4 sm:grid-cols-2">
                  {job.events.map((event) => <li key={event} className="flex min-h-6 items-center"><Link to="/deliveries" search={{ eventId: event, subscriptionId: job.subscriptionId }} className="truncate font-mono text-sm hover:underline" title={event}>{event}</Link></li>)}
                </ul>
              </section>
            )}
        </div>
      )}
    </Drawer>
  );
}

const anHourAgo = () => `${new Date(serverNow() - 3_600_000).toISOString().slice(0, 19)}Z`;

function Nothing({ isFiltered, onClear }: { isFiltered: boolean; onClear: () => void }) {
  const [since] = useState(anHourAgo);
  const session = useSession();
  const { data: heads } = useQuery({ ...subscriptionHeadsQuery, enabled: allows(session, "subscriptions:read") });
  const first = heads?.[0];
  if (isFiltered) return <EmptyState icon="search" title="No job matches"><Button onClick={onClear}>Show all jobs</Button></EmptyState>;
  return (
    <EmptyState icon="jobs" title="No job yet">
      <p className="max-w-prose">A job sends many deliveries again, at a pace that receivers can take: select some in <Link to="/deliveries" search={{ status: "failed" }} className="text-accent underline">Deliveries</Link>, replay from a subscription's page, or ask by the API. Those that have ended are forgotten after a while.</p>
      {first && allows(session, "deliveries:write") && <Curl note={`All that failed of ${first.name} in an hour; dryRun only counts`} method="POST" path={`/api/v1/subscriptions/${first.id}/retry-failed`} body={{ since, dryRun: true }} />}
    </EmptyState>
  );
}
