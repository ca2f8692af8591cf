/**
 * What holds where a subscription says nothing: from the settings in force where one may read them,
 * otherwise from subscriptions that say nothing themselves. Null where neither tells.
 */
import { queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import type { RetryPolicy, Subscription } from "../../api/types";

type Effective = Subscription["effective"];

export interface Defaults {
  retryPolicy: RetryPolicy | null;
  breaker: Effective["breaker"] | null;
  deactivation: Effective["deactivation"] | null;
  timeoutMs: number | null;
  maxInFlight: number | null;
}

export function defaultsQuery(isAdmin: boolean) {
  return queryOptions({
    queryKey: ["defaults", isAdmin],
    staleTime: 300_000,
    queryFn: async ({ signal }): Promise<Defaults> => {
      if (isAdmin) return ofSettings((await data(api.GET("/api/v1/system/settings", { signal }))).data);
      return ofOthers((await data(api.GET("/api/v1/subscriptions", { params: { query: { limit: 100 } }, signal }))).data);
    },
  });
}

/** Each part of whoever leaves it to the relay. */
export function ofOthers(subscriptions: readonly Subscription[]): Defaults {
  const of = <K extends keyof Defaults>(part: K) => subscriptions.find((one) => one[part] === null || one[part] === undefined)?.effective[part] ?? null;
  return { retryPolicy: of("retryPolicy"), breaker: of("breaker"), deactivation: of("deactivation"), timeoutMs: of("timeoutMs"), maxInFlight: of("maxInFlight") };
}

/** Values are TOML; numbers, true and false, and lists of numbers read as JSON does. */
export function ofSettings(settings: readonly { section: string; key: string; value?: string | null }[]): Defaults {
  const found = new Map(settings.map((one) => [`${one.section}.${one.key}`, one.value ?? ""]));
  const number = (key: string) => {
    const value = Number(found.get(key)?.replaceAll("_", "") || NaN);
    return Number.isFinite(value) ? value : null;
  };
  const ofBreaker = (key: string) => number(`breaker.${key}`);
  const ofDeactivation = (key: string) => number(`deactivation.${key}`);
  return {
    retryPolicy: retryOf(found.get("retry.delays_ms") ?? "", (key) => number(`retry.${key}`)),
    breaker: !found.has("breaker.enabled") ? null : {
      enabled: found.get("breaker.enabled") !== "false", consecutiveFailures: ofBreaker("consecutive_failures"), failureRatio: ofBreaker("failure_ratio"),
      minimumAttempts: ofBreaker("minimum_attempts"), windowMs: ofBreaker("window_ms"), coolDownMs: ofBreaker("cool_down_ms"), coolDownMaxMs: ofBreaker("cool_down_max_ms"), probes: ofBreaker("probes"),
    },
    deactivation: ofDeactivation("exhausted_deliveries") === null ? null : {
      exhaustedDeliveries: ofDeactivation("exhausted_deliveries"), failingForMs: ofDeactivation("failing_for_ms"), trialIntervalMs: ofDeactivation("trial_interval_ms"),
    },
    timeoutMs: number("delivery.timeout_ms"),
    maxInFlight: number("delivery.max_in_flight"),
  };
}

function retryOf(list: string, number: (key: string) => number | null): RetryPolicy | null {
  const delays = [...list.matchAll(/\d+/g)].map(([digits]) => Number(digits));
  const [attempts, baseMs, factor, capMs, jitter, age] = ["attempts", "base_ms", "factor", "cap_ms", "jitter", "max_age_ms"].map(number);
  const common = { ...(jitter == null ? {} : { jitter }), ...(age ? { maxAgeMs: age } : {}) };
  if (delays.length > 0) return { delaysMs: delays, ...common };
  return attempts && baseMs && factor && capMs ? { attempts, baseMs, factor, capMs, ...common } : null;
}
