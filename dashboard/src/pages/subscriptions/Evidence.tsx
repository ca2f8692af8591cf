import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, data } from "../../api/client";
import { adviceFor, isWorthSaying } from "../../api/problem";
import { useBarred } from "../../api/session";
import type { HistoryEntry } from "../../api/types";
import { Button } from "../../ui/Button";
import { cx } from "../../ui/class-names";
import { ErrorState, Skeleton } from "../../ui/Feedback";
import { duration, exact } from "../../ui/format";
import { Id } from "../../ui/Id";
import { Panel } from "../../ui/Panel";
import { State } from "../../ui/State";
import { lookOf, TONES } from "../../ui/states";
import { Time } from "../../ui/Time";
import { toast } from "../../ui/toasts";
import { reasonWords } from "./instrument";
import { blockedQuery, historyQuery } from "./queries";

const WHO: Record<string, string> = { operator: "by an operator", rule: "by a rule", trial: "by a trial that succeeded" };

/** Every change of its state: when, why and by whom, with the attempts that led to it. */
export function HistoryPanel({ id }: { id: string }) {
  const query = useInfiniteQuery(historyQuery(id));
  const entries = query.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <Panel title="History" flush>
      {query.isPending ? <div className="p-3"><Skeleton className="h-10 w-full" /></div>
        : query.isError && entries.length === 0 ? <ErrorState what="The history" error={query.error} onRetry={() => void query.refetch()} />
          : (
            <ol className="max-h-96 overflow-y-auto py-1.5">
              {entries.map((entry, index) => <Entry key={`${entry.at}-${entry.to}`} entry={entry} until={entries[index - 1]?.at} isLast={index === entries.length - 1} />)}
              {query.hasNextPage && <li className="px-3 py-1"><Button kind="quiet" icon="down" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Earlier ones</Button></li>}
            </ol>
          )}
    </Panel>
  );
}

function Entry({ entry, until, isLast }: { entry: HistoryEntry; until: string | undefined; isLast: boolean }) {
  const tone = TONES[lookOf(entry.to).tone];
  return (
    <li className="relative flex gap-2.5 px-3 pb-2">
      {!isLast && <span aria-hidden="true" className="absolute bottom-0 left-[1.19rem] top-4 w-px bg-line" />}
      <span aria-hidden="true" className={cx("relative mt-1.5 size-2 shrink-0 rounded-full ring-3 ring-panel", tone.mark, "ml-0.5")} />
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-baseline justify-between gap-x-3">
          <span className="font-medium">{entry.from ? <State plain state={entry.to} /> : "Registered"}</span>
          <span className="text-sm text-muted"><Time at={entry.at} />{until && `, for ${duration(Date.parse(until) - Date.parse(entry.at))}`}</span>
        </p>
        {entry.from && <p className="text-sm text-muted">{WHO[entry.by] ?? entry.by}{entry.reason && `: ${reasonWords(entry.reason)}`}</p>}
        {entry.evidence.length > 0 && (
          <details className="text-sm text-muted">
            <summary className="min-h-6 w-fit leading-6">{entry.evidence.length === 1 ? "The attempt that led to it" : `The ${entry.evidence.length} attempts that led to it`}</summary>
            <ul className="flex flex-wrap gap-x-3">{entry.evidence.map((attempt) => <li key={attempt}><Id id={attempt} /></li>)}</ul>
          </details>
        )}
      </div>
    </li>
  );
}

/** Lines of an ordered subscription that wait for somebody to decide; nothing where there are none. */
export function BlockedPanel({ id }: { id: string }) {
  const barred = useBarred("deliveries:write");
  const client = useQueryClient();
  const query = useQuery(blockedQuery(id));
  const release = useMutation({
    mutationFn: ({ delivery, how }: { delivery: string; how: "skip" | "retry" }) => data(how === "skip"
      ? api.POST("/api/v1/deliveries/{id}/skip", { params: { path: { id: delivery } } })
      : api.POST("/api/v1/deliveries/{id}/retry", { params: { path: { id: delivery } } })),
    onSuccess: (_, { how }) => toast({ text: how === "skip" ? "The line goes on without it" : "It is sent again; the line waits for it" }),
    onError: (error) => toast({ tone: "bad", text: "The line still waits", detail: adviceFor(error).title }),
    onSettled: () => client.invalidateQueries({ queryKey: ["subscription", id] }),
  });
  const blocked = query.data?.data ?? [];
  if (query.isError && !query.data && isWorthSaying(query.error)) return <Panel title="Blocked lines" flush><ErrorState what="Blocked lines" error={query.error} onRetry={() => void query.refetch()} /></Panel>;
  if (blocked.length === 0) return null;
  return (
    <Panel title="Blocked lines" flush aside={<span className="text-sm text-muted">{exact(blocked.length)}{query.data?.nextCursor && " and more"}</span>}>
      <ul className="divide-y">
        {blocked.map((one) => (
          <li key={one.deliveryId} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-1.5">
            <div className="min-w-0 flex-1 basis-40">
              <p className="truncate font-mono text-sm font-medium" title={one.orderingKey ?? undefined}>{one.orderingKey ?? "all deliveries"}</p>
              <p className="flex items-center gap-2 text-sm text-muted"><State plain state={one.reason} /><Link to="/deliveries/$id" params={{ id: one.deliveryId }} className="hover:underline">the delivery</Link><Time at={one.since} /></p>
            </div>
            <Button icon="retry" barred={barred} busy={release.isPending && release.variables.delivery === one.deliveryId && release.variables.how === "retry"} onClick={() => release.mutate({ delivery: one.deliveryId, how: "retry" })}>Send again</Button>
            <Button icon="skip" barred={barred} busy={release.isPending && release.variables.delivery === one.deliveryId && release.variables.how === "skip"} onClick={() => release.mutate({ delivery: one.deliveryId, how: "skip" })}>Skip it</Button>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
