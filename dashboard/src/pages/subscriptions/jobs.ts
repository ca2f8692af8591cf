/** A job in words and as a share. */
import type { Job } from "../../api/types";
import { exact, exactTime } from "../../ui/format";

export const hasEnded = (job: Pick<Job, "state">) => job.state !== "queued" && job.state !== "running";

/** 0 to 1; what was counted at the begin is a guess, so it is not whole before the job says so. */
export function share(job: Pick<Job, "state" | "total" | "done" | "skipped">): number {
  if (job.state === "completed") return 1;
  if (job.total === 0) return 0;
  return Math.min((job.done + job.skipped) / job.total, 0.99);
}

export function jobWords(job: Pick<Job, "kind" | "eventTypes" | "states">): string {
  if (job.kind === "replay") return job.eventTypes?.length ? `Replay of ${job.eventTypes.join(", ")}` : "Replay";
  return `Retry of ${(job.states ?? ["failed", "expired"]).join(", ")}`;
}

export function moved(job: Pick<Job, "total" | "atLeast" | "done" | "skipped" | "rate" | "state">): string {
  const left = job.skipped > 0 ? `, ${exact(job.skipped)} left alone` : "";
  return `${exact(job.done)} of ${job.atLeast ? "more than " : ""}${exact(job.total)}${left}${hasEnded(job) ? "" : `, ${exact(job.rate)} a second`}`;
}

/** From when to when. */
export function reach(job: Pick<Job, "since" | "until">): string {
  return [job.since && `from ${exactTime(Date.parse(job.since))}`, job.until && `until ${exactTime(Date.parse(job.until))}`].filter(Boolean).join(" ");
}

/** As a field for a moment has it, in the viewer's zone. */
export function localText(at: number): string {
  const shifted = new Date(at - new Date(at).getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}
