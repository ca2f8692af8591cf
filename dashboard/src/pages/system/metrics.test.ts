import { describe, expect, it } from "vitest";
import { families, matching, quantile, scraped } from "./metrics";

const TEXT = `# HELP posthaste_attempts Attempts recorded, by outcome
# TYPE posthaste_attempts counter
posthaste_attempts_total{outcome="2xx"} 7
posthaste_attempts_total{outcome="time\\"out"} 3
# HELP posthaste_commit_seconds How long a commit took
# TYPE posthaste_commit_seconds histogram
# UNIT posthaste_commit_seconds seconds
posthaste_commit_seconds_sum 4.0
posthaste_commit_seconds_count 4
posthaste_commit_seconds_bucket{le="0.5"} 2
posthaste_commit_seconds_bucket{le="1.0"} 4
posthaste_commit_seconds_bucket{le="+Inf"} 4
# HELP posthaste_ready Whether it can
# TYPE posthaste_ready gauge
posthaste_ready 1
# TYPE posthaste_build info
posthaste_build_info{version="0.1.0",role="all"} 1
# TYPE posthaste_spans_lost counter
# EOF
`;

describe("metrics", () => {
  const all = families(TEXT);

  it("are read as families, without those that have no sample", () => {
    expect(all.map((one) => [one.name, one.type])).toEqual([["posthaste_attempts", "counter"], ["posthaste_commit_seconds", "histogram"], ["posthaste_ready", "gauge"], ["posthaste_build", "info"]]);
    expect(all[0]?.samples).toEqual([{ labels: "2xx", value: 7 }, { labels: 'time"out', value: 3 }]);
    expect(all[0]?.help).toBe("Attempts recorded, by outcome");
    expect(all[2]?.samples).toEqual([{ labels: "", value: 1 }]);
    expect(all[3]?.samples[0]?.labels).toBe("version 0.1.0, role all");
  });

  it("have histograms with quantiles on a line through the bucket", () => {
    const histogram = all[1]?.histograms[0];
    expect(histogram).toMatchObject({ count: 4, sum: 4, labels: "" });
    if (!histogram) return;
    expect(quantile(histogram, 0.5)).toBeCloseTo(0.5);
    expect(quantile(histogram, 0.75)).toBeCloseTo(0.75);
    expect(quantile({ ...histogram, buckets: [[1, 1], [Infinity, 4]] }, 0.99)).toBe(1);
    expect(quantile({ ...histogram, count: 0 }, 0.5)).toBeNull();
  });

  it("are found by every word, in name, help or labels", () => {
    expect(matching(all, "attempts 2XX").map((one) => one.name)).toEqual(["posthaste_attempts"]);
    expect(matching(all, "commit took")).toHaveLength(1);
    expect(matching(all, "nothing")).toEqual([]);
    expect(matching(all, undefined)).toHaveLength(4);
  });

  it("have rates from one scrape to the next, while it is one process", () => {
    const first = scraped(undefined, TEXT, 1_000);
    expect(first.rates.size).toBe(0);
    const next = scraped(first, TEXT.replace('"2xx"} 7', '"2xx"} 27').replace("_count 4", "_count 14"), 3_000);
    expect(next.rates.get("posthaste_attempts 2xx")).toBe(10);
    expect(next.rates.get("posthaste_commit_seconds ")).toBe(5);
    expect(next.rates.has("posthaste_ready ")).toBe(false);
    const another = scraped(next, TEXT, 5_000);
    expect(another.rates.has("posthaste_attempts 2xx")).toBe(false);
  });

  it("pass over what is no line of theirs", () => {
    expect(families("\n# \nnot a line\n{} 1\n")).toEqual([]);
  });
});
