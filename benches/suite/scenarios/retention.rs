//! Latency while the relay removes what is older than its retention: nobody may notice.

use super::growth::Delivered;
use super::{relay, singles};
use crate::bench::{Bench, Profile, Target, number};
use crate::relay::Relay;
use crate::report::{Report, Row};
use crate::sender::Load;

const NAME: &str = "retention";
/// Past the retention by default, and past every partition of time.
const DAYS: u64 = 60;
/// The janitor at work all the time.
const BUSY: (&str, &str) = ("POSTHASTE_ENGINE__JANITOR_INTERVAL_MS", "1000");

/// Pairs of runs, without anything old and with ROWS old events.
pub(super) async fn run(bench: &Bench, report: &mut Report) {
    let rows = number("ROWS", 200_000);
    let pace = number("RATE", 300);
    let load = Load {
        pace: Some(pace),
        ..singles(pace * number("SECONDS_EACH", 10), 64)
    };
    for profile in Profile::chosen() {
        let word = profile.as_str();
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..number("PAIRS", 3) {
            without.push(one(bench, report, profile, &load, 0).await);
            with.push(one(bench, report, profile, &load, rows).await);
        }
        for (label, rows) in [("at rest", &mut without), ("removing", &mut with)] {
            rows.sort_by(|a, b| p99(a).total_cmp(&p99(b)));
            let median = rows[rows.len() / 2].clone();
            report.row(median.named(NAME, format!("{label} {word}")));
        }
        let [rest, removing] = [&without, &with].map(|rows| p99(&rows[rows.len() / 2]));
        report.at_most(
            format!("{NAME}, {word}: p99 due → receipt while removing, ms (1.2 × {rest:.1} + 1)"),
            removing,
            1.2 * rest + 1.0,
        );
    }
}

/// One run on a store of its own with so many old events.
async fn one(bench: &Bench, report: &mut Report, profile: Profile, load: &Load, old: u64) -> Row {
    let (store, first, ids) = relay(bench, profile, 1).await;
    let warm_up = Load {
        events: 500,
        ..load.clone()
    };
    let target = Target::relay(&first, profile, &store, &ids);
    bench.warm_up(&target, &warm_up).await;
    let model = Delivered::any(&first).await;
    first.process.stop();
    if old > 0 {
        model.clone_into(&store, old, DAYS).await;
    }
    store.rest().await;
    bench.receiver.reset().await;
    let relay = Relay::start_with(&store, &[BUSY]).await;
    let target = Target::relay(&relay, profile, &store, &ids);
    bench.warm_up(&target, &warm_up).await;
    let before = store.events().await;
    let row = bench.measure(&target, load).await;
    let after = store.events().await;
    relay.process.stop();
    let removed = before + i64::try_from(load.events).expect("a count") - after;
    report.note(format!(
        "{NAME}, {}, {old} old: p99 due → receipt {:.2} ms; {removed} events removed meanwhile, {after} left",
        profile.as_str(),
        p99(&row)
    ));
    row
}

/// In milliseconds.
fn p99(row: &Row) -> f64 {
    row.latency
        .map_or(f64::NAN, |(_, receipt)| receipt.p99 as f64 / 1e3)
}
