// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import type { Subscription } from "../../api/types";
import { ofOthers, ofSettings } from "./defaults";

const NOTHING = { retryPolicy: null, breaker: null, deactivation: null, timeoutMs: null, maxInFlight: null };

describe("what holds where a subscription says nothing", () => {
  const set = (sections: Record<string, Record<string, string>>) => Object.entries(sections).flatMap(([section, values]) => Object.entries(values).map(([key, value]) => ({ section, key, value })));
  const retry = { attempts: "9", base_ms: "5000", factor: "5.0", cap_ms: "43200000", jitter: "0.2", delays_ms: "[]", max_age_ms: "0" };

  it("is read from the settings in force", () => {
    expect(ofSettings(set({
      retry, delivery: { timeout_ms: "15_000", max_in_flight: "64" },
      breaker: { enabled: "false", consecutive_failures: "10", failure_ratio: "0.5", minimum_attempts: "20", window_ms: "60000", cool_down_ms: "30000", cool_down_max_ms: "1800000", probes: "3" },
      deactivation: { exhausted_deliveries: "0", failing_for_ms: "432000000", trial_interval_ms: "3600000" },
    }))).toEqual({
      retryPolicy: { attempts: 9, baseMs: 5_000, factor: 5, capMs: 43_200_000, jitter: 0.2 }, timeoutMs: 15_000, maxInFlight: 64,
      breaker: { enabled: false, consecutiveFailures: 10, failureRatio: 0.5, minimumAttempts: 20, windowMs: 60_000, coolDownMs: 30_000, coolDownMaxMs: 1_800_000, probes: 3 },
      deactivation: { exhaustedDeliveries: 0, failingForMs: 432_000_000, trialIntervalMs: 3_600_000 },
    });
    expect(ofSettings(set({ retry: { ...retry, delays_ms: "[1000, 2000]" } })).retryPolicy).toEqual({ delaysMs: [1_000, 2_000], jitter: 0.2 });
    expect(ofSettings([])).toEqual(NOTHING);
  });

  it("is read, part by part, from those that say nothing", () => {
    const effective = { retryPolicy: { attempts: 3 }, breaker: { probes: 3 }, deactivation: { failingForMs: 1 }, timeoutMs: 5, maxInFlight: 6 };
    const own = { retryPolicy: null, breaker: { probes: 9 }, deactivation: { failingForMs: 9 }, timeoutMs: 9, maxInFlight: null, effective } as unknown as Subscription;
    const other = { ...own, breaker: null, effective: { ...effective, breaker: { probes: 4 } } } as unknown as Subscription;
    expect(ofOthers([own, other])).toEqual({ ...NOTHING, retryPolicy: { attempts: 3 }, breaker: { probes: 4 }, maxInFlight: 6 });
    expect(ofOthers([])).toEqual(NOTHING);
  });
});
