/** A tenant's limits, as a form holds them and as the relay takes them. */
import type { Tenant } from "../../api/types";
import { exact } from "../../ui/format";

type Limits = Tenant["limits"];

export interface LimitsDraft {
  rate: string;
  per: "second" | "minute";
  burst: string;
  maxSubscriptions: string;
  maxBacklog: string;
}

const text = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(value));

export function draftOf(limits: Limits | undefined): LimitsDraft {
  const rate = limits?.ingestRate;
  return {
    rate: text(rate?.perSecond ?? rate?.perMinute), per: rate?.perSecond ? "second" : "minute", burst: text(rate?.burst),
    maxSubscriptions: text(limits?.maxSubscriptions), maxBacklog: text(limits?.maxBacklog),
  };
}

export type LimitsFaults = Partial<Record<"rate" | "burst" | "maxSubscriptions" | "maxBacklog", string>>;

/** What is no number; where none is given, there is no limit. */
export function faultsOf(draft: LimitsDraft): LimitsFaults {
  const faults: LimitsFaults = {};
  for (const name of ["rate", "burst", "maxSubscriptions", "maxBacklog"] as const) {
    if (draft[name].trim() !== "" && !/^\d+$/.test(draft[name].trim())) faults[name] = "A whole number, or nothing";
  }
  if (draft.rate.trim() === "" && draft.burst.trim() !== "") faults.burst = "A burst is of a rate: give one";
  return faults;
}

/** Every limit is told: one that is empty is lifted. */
export function limitsOf(draft: LimitsDraft) {
  const number = (value: string) => (value.trim() === "" ? null : Number(value));
  const rate = number(draft.rate);
  const burst = number(draft.burst);
  return {
    ingestRate: rate === null ? null : { ...(draft.per === "second" ? { perSecond: rate } : { perMinute: rate }), ...(burst === null ? {} : { burst }) },
    maxSubscriptions: number(draft.maxSubscriptions),
    maxBacklog: number(draft.maxBacklog),
  };
}

/** "600/min", "20/s, 100 at once"; undefined without a limit. */
export function rateInWords(rate: Limits["ingestRate"]): string | undefined {
  if (!rate) return undefined;
  const words = rate.perSecond ? `${exact(rate.perSecond)}/s` : `${exact(rate.perMinute ?? 0)}/min`;
  return rate.burst === null || rate.burst === undefined || rate.burst === (rate.perSecond ?? rate.perMinute) ? words : `${words}, ${exact(rate.burst)} at once`;
}
