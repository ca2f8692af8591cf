import { useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useInterval } from "../live/Live";
import { Button } from "../ui/Button";
import { exact } from "../ui/format";
import { Icon } from "../ui/Icon";
import { Progress } from "../ui/Progress";
import { State } from "../ui/State";
import { dismissAll } from "../ui/toasts";
import { hasEnded, jobQuery, kindWords, progressOf, useCancelJob } from "./jobs";
import { forget, forgetAll, useWorks, type Run, type WatchedJob, type Work } from "./store";

/** What was set going, in a corner of every page until it is put away. */
export function WorkPanel() {
  const works = useWorks();
  const client = useQueryClient();
  const [folded, setFolded] = useState(false);
  // The next one to sign in is perhaps somebody else.
  useEffect(() => () => {
    forgetAll();
    dismissAll();
  }, []);
  if (works.length === 0) return null;
  return (
    <section aria-label="Work in progress" className="fixed bottom-16 right-3 z-30 w-88 max-w-[calc(100vw-1.5rem)] rounded-md border bg-raised shadow-pop md:bottom-4 md:right-4">
      <header className="flex h-9 items-center gap-2 pl-3 pr-1">
        <Icon name="jobs" size={14} className="text-muted" />
        <h2 className="flex-1 font-semibold">Work{works.length > 1 && ` · ${works.length}`}</h2>
        <Button kind="quiet" onClick={() => works.forEach((work) => isOver(client, work) && forget(work.id))} className="h-6">Put ended away</Button>
        <Button kind="quiet" icon={folded ? "right" : "down"} bare unhinted aria-expanded={!folded} onClick={() => setFolded(!folded)}>{folded ? "Unfold" : "Fold"}</Button>
      </header>
      {!folded && (
        <ul className="max-h-72 divide-y overflow-y-auto border-t">
          {[...works].reverse().map((work) => <li key={work.id} className="px-3 py-2">{work.kind === "run" ? <OneRun run={work} /> : <OneJob watched={work} />}</li>)}
        </ul>
      )}
    </section>
  );
}

function isOver(client: QueryClient, work: Work): boolean {
  if (work.kind === "run") return work.state !== "running";
  const job = client.getQueryData(jobQuery(work.jobId).queryKey);
  return job !== undefined && hasEnded(job);
}

function OneRun({ run }: { run: Run }) {
  const { done, refused, total, reasons } = run.count;
  const isRunning = run.state === "running";
  return (
    <>
      <div className="flex items-center gap-2">
        <span className="min-w-0 flex-1 truncate font-medium">{run.title}</span>
        {isRunning
          ? <Button kind="quiet" icon="stop" onClick={run.stop} className="h-6">Stop</Button>
          : <Button kind="quiet" icon="cross" bare unhinted onClick={() => forget(run.id)} className="size-6">Put away</Button>}
      </div>
      <Progress label={run.title} value={(done + refused) / Math.max(1, total)} tone={refused > 0 ? "busy" : isRunning ? "probing" : "good"} />
      <p role={isRunning ? undefined : "status"} className="mt-1 text-sm tabular-nums text-muted">
        {exact(done)} of {exact(total)} {run.verb}{refused > 0 && <>, <span className="font-medium text-busy">{exact(refused)} refused</span></>}
        {run.state === "stopped" && `, ${exact(total - done - refused)} not begun: stopped`}
      </p>
      {reasons.size > 0 && (
        <ul className="mt-1 text-sm">
          {[...reasons].map(([reason, times]) => <li key={reason} className="flex gap-2"><span className="w-8 shrink-0 text-right font-medium">{exact(times)}</span><span className="min-w-0 text-muted">{reason}</span></li>)}
        </ul>
      )}
    </>
  );
}

function OneJob({ watched }: { watched: WatchedJob }) {
  const query = useQuery({ ...jobQuery(watched.jobId), refetchInterval: useInterval(false) });
  const cancel = useCancelJob();
  const job = query.data;
  const ended = job !== undefined && hasEnded(job);
  return (
    <>
      <div className="flex items-center gap-2">
        <Link to="/jobs" search={{ job: watched.jobId }} className="min-w-0 flex-1 truncate font-medium hover:underline">{job ? kindWords(job.kind) : "Job"} · {watched.name}</Link>
        {job && <State plain state={job.state} />}
        {!ended && job && <Button kind="quiet" icon="stop" bare busy={cancel.isPending} onClick={() => cancel.mutate(watched.jobId)} className="size-6">Cancel the job</Button>}
        {(ended || query.isError) && <Button kind="quiet" icon="cross" bare unhinted onClick={() => forget(watched.id)} className="size-6">Put away</Button>}
      </div>
      {query.isError && !job && <p className="text-sm text-bad">Its progress cannot be read; it goes on by itself.</p>}
      {job && <>
        <Progress label={`${kindWords(job.kind)} for ${watched.name}`} value={progressOf(job)} tone={job.state === "failed" ? "bad" : ended ? "good" : "probing"} />
        <p role={ended ? "status" : undefined} className="mt-1 text-sm tabular-nums text-muted">
          {exact(job.done)} of {job.atLeast ? "at least " : ""}{exact(job.total)} sent on{job.skipped > 0 && <>, {exact(job.skipped)} left alone: pending already</>}
          {job.error && <span className="block text-bad">{job.error}</span>}
        </p>
      </>}
    </>
  );
}
