//! The scenarios by name.

mod drain;
mod growth;
mod isolation;
mod pace;
mod pending;
mod rates;
mod retention;
mod soak;
mod subscriptions;

use futures_util::future::LocalBoxFuture;

use crate::bench::{Bench, Profile, Receiver, number};
use crate::relay::{Relay, tried_settings};
use crate::report::Report;
use crate::sender::Load;
use crate::store::Store;

struct Scenario {
    name: &'static str,
    about: &'static str,
    /// Whether it runs when none is named.
    by_default: bool,
    run: for<'a> fn(&'a Bench, &'a mut Report) -> LocalBoxFuture<'a, ()>,
}

const SCENARIOS: [Scenario; 12] = [
    Scenario {
        name: "single",
        about: "single events to one subscription (SENDERS=256, EVENTS=40000)",
        by_default: true,
        run: |bench, report| Box::pin(rates::single(bench, report)),
    },
    Scenario {
        name: "batch",
        about: "batches of 100 to one subscription (EVENTS=100000)",
        by_default: true,
        run: |bench, report| Box::pin(rates::batch(bench, report)),
    },
    Scenario {
        name: "fanout",
        about: "single events to ten subscriptions (SENDERS=64, EVENTS=10000)",
        by_default: true,
        run: |bench, report| Box::pin(rates::fan_out(bench, report)),
    },
    Scenario {
        name: "pace",
        about: "latency at a steady pace (RATE=300, SECONDS_EACH=10)",
        by_default: true,
        run: |bench, report| Box::pin(pace::run(bench, report)),
    },
    Scenario {
        name: "drain",
        about: "a paused subscription's backlog, resumed (EVENTS=100000)",
        by_default: true,
        run: |bench, report| Box::pin(drain::run(bench, report)),
    },
    Scenario {
        name: "isolation",
        about: "five subscriptions at 200 events a second, one answers after 8 s (PAIRS=5, SECONDS_EACH=4)",
        by_default: true,
        run: |bench, report| Box::pin(isolation::one_slow(bench, report)),
    },
    Scenario {
        name: "neighbours",
        about: "ten healthy subscriptions beside a dead and a slow one (PAIRS=5, SECONDS_EACH=4)",
        by_default: false,
        run: |bench, report| Box::pin(isolation::one_dead_one_slow(bench, report)),
    },
    Scenario {
        name: "pending",
        about: "1,000,000 deliveries behind an open breaker: start, memory, rate of another (ROWS=)",
        by_default: true,
        run: |bench, report| Box::pin(pending::run(bench, report)),
    },
    Scenario {
        name: "subscriptions",
        about: "100,000 subscriptions of which one matches, then 1,000 busy at once (ROWS=)",
        by_default: true,
        run: |bench, report| Box::pin(subscriptions::run(bench, report)),
    },
    Scenario {
        name: "retention",
        about: "latency while old events are removed (RATE=300, SECONDS_EACH=10, PAIRS=3, ROWS=200000)",
        by_default: false,
        run: |bench, report| Box::pin(retention::run(bench, report)),
    },
    Scenario {
        name: "growth",
        about: "10,000,000 events and deliveries already stored (ROWS=; takes long, needs disk)",
        by_default: false,
        run: |bench, report| Box::pin(growth::run(bench, report)),
    },
    Scenario {
        name: "soak",
        about: "flat memory at a steady pace (MINUTES=10, RATE=1000)",
        by_default: false,
        run: |bench, report| Box::pin(soak::run(bench, report)),
    },
];

/// Runs what SCENARIO names (several parted by commas), or what runs by default.
pub async fn run() {
    let named = std::env::var("SCENARIO").unwrap_or_default();
    if named == "list" {
        return list();
    }
    let named: Vec<&str> = named.split(',').filter(|name| !name.is_empty()).collect();
    for name in &named {
        let known = SCENARIOS.iter().any(|scenario| scenario.name == *name);
        assert!(
            known,
            "there is no scenario {name}; SCENARIO=list names them"
        );
    }
    let chosen = |scenario: &&Scenario| match named.is_empty() {
        true => scenario.by_default,
        false => named.contains(&scenario.name),
    };
    let bench = Bench::new();
    let mut report = Report::default();
    for scenario in SCENARIOS.iter().filter(chosen) {
        eprintln!("== {}: {}", scenario.name, scenario.about);
        (scenario.run)(&bench, &mut report).await;
    }
    println!("{}\n", about_this_run());
    report.print();
    assert!(!report.lost_any(), "events were lost");
}

fn list() {
    for scenario in SCENARIOS {
        let by_name = if scenario.by_default {
            ""
        } else {
            " [by name only]"
        };
        println!("{:<14} {}{by_name}", scenario.name, scenario.about);
    }
    let about = "signing, matching 10,000 patterns, parsing, admission: a call of each";
    println!("{:<14} {about} [by name only]", "micro");
}

/// Machine, commit and command, for whoever reads the table later.
fn about_this_run() -> String {
    let first = |file: &str, field: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(field));
        line.and_then(|line| line.split_once(':'))
            .map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| "unknown".to_owned());
    let tried: String = tried_settings()
        .map(|(name, value)| format!("; {name}={value}"))
        .collect();
    format!(
        "{} cores of {}, {} of memory, {}; load before the run {}; commit {}; `{}`{tried}",
        std::thread::available_parallelism().map_or(0, usize::from),
        first("/proc/cpuinfo", "model name"),
        first("/proc/meminfo", "MemTotal"),
        std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim(),
        variable("BENCH_LOAD"),
        variable("BENCH_COMMIT"),
        variable("BENCH_COMMAND"),
    )
}

/// How often a rate is measured; the median by rate is shown.
fn runs() -> u64 {
    number("RUNS", 1).max(1)
}

/// The same events at the bare loop: singles, by many senders.
async fn bare_loop(bench: &Bench, report: &mut Report, scenario: &'static str) {
    let target = crate::bench::Target::bare(&bench.receiver);
    bench.warm_up(&target, &singles(5_000, 256)).await;
    let row = bench.measure(&target, &singles(100_000, 256)).await;
    bench.receiver.reset().await;
    report.row(row.named(scenario, "bare loop"));
}

/// Single events in a closed loop.
fn singles(events: u64, senders: usize) -> Load {
    Load {
        kind: "bench.event".to_owned(),
        kinds: 1,
        events,
        senders,
        batch: 1,
        pace: None,
    }
}

/// A relay on a fresh store, with as many subscriptions to `bench.*`, one lane each.
async fn relay(bench: &Bench, profile: Profile, count: u32) -> (Store, Relay, Vec<String>) {
    bench.receiver.reset().await;
    let store = bench.store(profile).await;
    let relay = Relay::start(&store).await;
    let ids = subscribe(&relay, &bench.receiver, 0..count).await;
    (store, relay, ids)
}

async fn subscribe(relay: &Relay, receiver: &Receiver, lanes: std::ops::Range<u32>) -> Vec<String> {
    let mut ids = Vec::new();
    for lane in lanes {
        let more = serde_json::json!({});
        ids.push(relay.subscribe(&receiver.hook(lane), "bench.*", more).await);
    }
    ids
}
