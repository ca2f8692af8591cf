/** What is looked for, as it stands in the URL. */
import { isId } from "../deliveries/search";

export const JOB_STATES = ["queued", "running", "completed", "cancelled", "failed"] as const;

export interface JobsSearch {
  status?: (typeof JOB_STATES)[number];
  subscriptionId?: string;
  /** The one that is open beside the list. */
  job?: string;
}

export function jobsSearch(search: Record<string, unknown>): JobsSearch {
  const found: JobsSearch = {};
  const status = JOB_STATES.find((one) => one === search["status"]);
  if (status) found.status = status;
  for (const name of ["subscriptionId", "job"] as const) {
    const value = search[name];
    if (typeof value === "string" && isId(value)) found[name] = value.toLowerCase();
  }
  return found;
}
