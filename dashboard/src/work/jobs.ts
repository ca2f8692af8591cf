/** Jobs as they are watched and listed. The list of their events stays out of memory: it may name a thousand. */
import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, data } from "../api/client";
import { adviceFor } from "../api/problem";
import type { Job } from "../api/types";
import { exact, exactTime } from "../ui/format";
import { toast } from "../ui/toasts";

/** So many of its events are shown. */
const EVENTS_SHOWN = 50;

export interface JobRow extends Omit<Job, "eventIds"> {
  events: readonly string[];
  eventCount: number | null;
}

export function jobRow(job: Job): JobRow {
  const { eventIds, ...rest } = job;
  return { ...rest, events: (eventIds ?? []).slice(0, EVENTS_SHOWN), eventCount: eventIds?.length ?? null };
}

export function jobQuery(id: string) {
  return queryOptions({
    queryKey: ["jobs", "one", id],
    queryFn: async ({ signal }) => jobRow(await data(api.GET("/api/v1/jobs/{id}", { params: { path: { id } }, signal }))),
  });
}

export const hasEnded = (job: { state: string }) => job.state !== "queued" && job.state !== "running";

/** 0 to 1. What was counted when it was made is a guess where there was much; it never shows as done before it is. */
export function progressOf(job: { state: string; total: number; done: number; skipped: number }): number {
  if (job.state === "completed") return 1;
  const moved = job.done + job.skipped;
  return job.total === 0 ? 0 : Math.min(moved / job.total, hasEnded(job) ? 1 : 0.99);
}

/** What it does: "Replay of order.created", "Retry of failed, expired". */
export function jobWords(job: Pick<JobRow, "kind" | "eventTypes" | "states">): string {
  if (job.kind === "replay") return job.eventTypes?.length ? `Replay of ${job.eventTypes.join(", ")}` : kindWords(job.kind);
  return job.kind === "retry_failed" ? `Retry of ${(job.states ?? ["failed", "expired"]).join(", ")}` : kindWords(job.kind);
}

/** How far it is: "12 of more than 10,000, 3 left alone, 50 a second". */
export function movedWords(job: Pick<JobRow, "total" | "atLeast" | "done" | "skipped" | "rate" | "state">): string {
  const left = job.skipped > 0 ? `, ${exact(job.skipped)} left alone` : "";
  return `${exact(job.done)} of ${job.atLeast ? "more than " : ""}${exact(job.total)}${left}${hasEnded(job) ? "" : `, ${exact(job.rate)} a second`}`;
}

/** From when to when. */
export function reachWords(job: Pick<JobRow, "since" | "until">): string {
  return [job.since && `from ${exactTime(Date.parse(job.since))}`, job.until && `until ${exactTime(Date.parse(job.until))}`].filter(Boolean).join(" ");
}

export function kindWords(kind: string): string {
  return kind === "replay" ? "Replay" : kind === "retry_failed" ? "Retry of failed" : kind.replaceAll("_", " ");
}

export function useCancelJob() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => data(api.POST("/api/v1/jobs/{id}/cancel", { params: { path: { id } } })),
    onSuccess: (job) => {
      client.setQueryData(jobQuery(job.id).queryKey, jobRow(job));
      toast({ text: "The job is cancelled", detail: "What it has moved stays moved." });
    },
    onError: (error) => toast({ tone: "bad", text: "The job was not cancelled", detail: adviceFor(error).title }),
    onSettled: () => client.invalidateQueries({ queryKey: ["jobs"] }),
  });
}
