//! Soak: a steady load and no fault, and the relay's memory over time.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::ledger::Notes;
use crate::load::Load;
use crate::plan::{Plan, number};
use crate::report::say;
use crate::verdict::Verdict;
use crate::world::{Shape, World};

/// Between two requests of each sender, on average.
const PAUSE: Duration = Duration::from_millis(100);
/// More than the 64 MiB of pages that SQLite's writer keeps.
const WARM_UP_EVENTS: usize = 700;
const WARM_UP_BYTES: usize = 128 * 1024;
/// Lines of the table.
const LINES: u32 = 20;
/// How far the last third's median may lie above that of the first: a share of it, and MiB for
/// what an allocator keeps. A leak of a mere 1 KiB per event is several times that in ten minutes.
const SHARE: f64 = 1.10;
const ALLOWANCE_MIB: f64 = 4.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes: make soak"]
async fn soak_embedded() {
    soak(Shape::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes: make soak"]
async fn soak_distributed() {
    soak(Shape::Distributed).await;
}

struct Sample {
    at: Duration,
    acknowledged: usize,
    resident_mib: f64,
}

async fn soak(shape: Shape) {
    let plan = Plan::from_environment();
    let minutes = number("CHAOS_MINUTES").unwrap_or(10);
    let world = World::start(shape, &plan).await;
    let load = Load::begin(&world.door, &world.ledger, plan.seed, PAUSE);
    world.ledger.flows("the start").await;
    warm_up(&world).await;
    let start = Instant::now();
    let length = Duration::from_secs(minutes * 60);
    let mut samples = Vec::new();
    // A sample a second; time is what a soak is made of.
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    while start.elapsed() < length {
        seconds.tick().await;
        samples.push(Sample {
            at: start.elapsed(),
            acknowledged: world.ledger.notes().acknowledged.len(),
            resident_mib: resident_mib(world.id_of(0)),
        });
    }
    load.end().await;
    world.drained().await;
    let verdict = Verdict::on(&world, &[]).await;
    let third = samples.len() / 3;
    let first = median(&samples[..third]);
    let last = median(&samples[samples.len() - third..]);
    say(&table(shape, &samples, first, last));
    assert_eq!(verdict.complaints, Vec::<String>::new());
    assert!(
        last <= first * SHARE + ALLOWANCE_MIB,
        "resident memory grew from {first:.1} MiB to {last:.1} MiB"
    );
}

/// Fills what is bounded, so that nothing but a leak grows afterwards: SQLite's writer keeps up to
/// 64 MiB of pages, which a small load takes an hour to fill.
async fn warm_up(world: &World) {
    let api = world.api();
    let payload = json!({"name": "warm-up", "padding": "x".repeat(WARM_UP_BYTES)});
    for _ in 0..WARM_UP_EVENTS {
        // Of a type that only the healthy receiver wants.
        api.send("chaos.warm-up", payload.clone()).await;
    }
    let receipts = |notes: &Notes| notes.receipts[0].len();
    let enough = |notes: &Notes| (receipts(notes) > WARM_UP_EVENTS).then_some(());
    world.ledger.until("the end of the warm-up", enough).await;
}

fn table(shape: Shape, samples: &[Sample], first: f64, last: f64) -> String {
    let mut out = format!(
        "\n### Soak, {}\n\n| minute | events acknowledged | resident MiB |\n|--:|--:|--:|\n",
        shape.name()
    );
    let step = (samples.len() / LINES as usize).max(1);
    for sample in samples.iter().step_by(step) {
        let _ = writeln!(
            out,
            "| {:.1} | {} | {:.1} |",
            sample.at.as_secs_f64() / 60.0,
            sample.acknowledged,
            sample.resident_mib
        );
    }
    let _ = writeln!(
        out,
        "\nMedian of the first third {first:.1} MiB, of the last third {last:.1} MiB."
    );
    out
}

fn median(samples: &[Sample]) -> f64 {
    let mut all: Vec<f64> = samples.iter().map(|sample| sample.resident_mib).collect();
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() / 2]
}

/// As Linux tells it.
fn resident_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib / 1024.0
}
