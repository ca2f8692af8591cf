//! What a bad receiver does to its neighbours: the healthy ones' latency with and without it,
//! in alternating pairs, because the machine's own mood would otherwise be taken for it.

use serde_json::json;

use super::{singles, subscribe};
use crate::bench::{Bench, Profile, Target, number};
use crate::relay::Relay;
use crate::report::{Report, Row, in_milliseconds};
use crate::sender::Load;
use crate::wire::Spread;

/// How late the slow one answers, in milliseconds.
const LATE: u32 = 8_000;
/// Lanes of the bad ones.
const BAD: u32 = 100;

/// Four healthy, one slow.
pub(super) async fn one_slow(bench: &Bench, report: &mut Report) {
    pairs(bench, report, "isolation", 4, false).await;
}

/// Ten healthy, one slow, one whose port is closed.
pub(super) async fn one_dead_one_slow(bench: &Bench, report: &mut Report) {
    pairs(bench, report, "neighbours", 10, true).await;
}

async fn pairs(bench: &Bench, report: &mut Report, name: &'static str, healthy: u32, dead: bool) {
    let load = Load {
        pace: Some(200),
        ..singles(200 * number("SECONDS_EACH", 4), 64)
    };
    for profile in Profile::chosen() {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for pair in 0..number("PAIRS", 5) {
            // Who goes first changes, too.
            for bad in [pair % 2 == 0, pair % 2 != 0] {
                let spreads = one(bench, profile, &load, healthy, bad, dead).await;
                if bad { &mut with } else { &mut without }.push(spreads);
            }
        }
        let word = profile.as_str();
        for (label, rows) in [("alone", &mut without), ("beside", &mut with)] {
            rows.sort_by_key(|row: &Row| p99(row));
            let each: Vec<String> = rows
                .iter()
                .map(|row| format!("{:.1}", p99(row) as f64 / 1e3))
                .collect();
            report.note(format!(
                "{name}, {word}, {label}: p99 due → receipt of each run: {} ms",
                each.join(", ")
            ));
            let median = rows[rows.len() / 2].clone();
            report.row(median.named(name, format!("{label} {word}")));
        }
        let [without, with] = [&without, &with].map(|rows| p99(&rows[rows.len() / 2]) as f64 / 1e3);
        report.at_most(
            format!(
                "{name}, {word}: p99 of the healthy beside the bad, ms (1.2 × {without:.1} + 1)"
            ),
            with,
            1.2 * without + 1.0,
        );
    }
}

fn p99(row: &Row) -> u64 {
    row.latency
        .map_or(0, |(_, receipt): (Spread, Spread)| receipt.p99)
}

async fn one(
    bench: &Bench,
    profile: Profile,
    load: &Load,
    healthy: u32,
    bad: bool,
    dead: bool,
) -> Row {
    bench.receiver.reset().await;
    let store = bench.store(profile).await;
    let relay = Relay::start(&store).await;
    let ids = subscribe(&relay, &bench.receiver, 0..healthy).await;
    // The bad one gets nothing before the measurement, so that it meets it with fresh hopes.
    let target = Target::relay(&relay, profile, &store, &ids);
    bench
        .warm_up(
            &target,
            &Load {
                events: 200,
                ..load.clone()
            },
        )
        .await;
    if bad {
        relay
            .subscribe(&bench.receiver.slow(LATE, BAD), "bench.*", json!({}))
            .await;
        if dead {
            relay
                .subscribe("http://127.0.0.1:9/", "bench.*", json!({}))
                .await;
        }
    }
    let row = bench.measure(&target, load).await;
    eprintln!(
        "{}, bad: {bad}: {}",
        profile.as_str(),
        in_milliseconds(row.latency.expect("an open loop").1)
    );
    row
}
