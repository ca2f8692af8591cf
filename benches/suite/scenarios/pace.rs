//! Latency at a pace that nothing is strained by: what a sender and a receiver wait for.

use super::{relay, singles};
use crate::bench::{Bench, Profile, Target, number};
use crate::floor;
use crate::report::{Report, in_milliseconds};
use crate::sender::Load;

const NAME: &str = "pace";

/// Three hundred events a second, one subscription.
pub(super) async fn run(bench: &Bench, report: &mut Report) {
    let pace = number("RATE", 300);
    let load = Load {
        pace: Some(pace),
        ..singles(pace * number("SECONDS_EACH", 10), 64)
    };
    let warm_up = Load {
        events: pace,
        ..load.clone()
    };

    let target = Target::bare(&bench.receiver);
    bench.warm_up(&target, &warm_up).await;
    let bare = bench.measure(&target, &load).await;
    let (bare_ack, bare_receipt) = bare.latency.expect("an open loop");
    report.row(bare.named(NAME, "bare loop"));

    for profile in Profile::chosen() {
        {
            bench.receiver.reset().await;
            let store = bench.store(profile).await;
            let (process, address) = floor::start(&store, &bench.receiver, 1);
            let target = Target::floor(&process, address, profile, 1);
            bench.warm_up(&target, &warm_up).await;
            let row = bench.measure(&target, &load).await;
            report.row(row.named(NAME, format!("floor {}", profile.as_str())));
        }
        let (store, relay, ids) = relay(bench, profile, 1).await;
        let target = Target::relay(&relay, profile, &store, &ids);
        bench.warm_up(&target, &warm_up).await;
        let row = bench.measure(&target, &load).await;
        let (ack, receipt) = row.latency.expect("an open loop");
        report.row(row.named(NAME, format!("relay {}", profile.as_str())));
        relay.process.stop();

        let commit = store.one_row_commit().await;
        let word = profile.as_str();
        report.note(format!(
            "pace, {word}: a one-row commit takes {} ms",
            in_milliseconds(commit)
        ));
        let milliseconds = |micros: u64| micros as f64 / 1e3;
        let p50 = milliseconds(commit.p50) + 0.5;
        report.at_most(
            format!("pace, {word}: p50 due → receipt, ms"),
            milliseconds(receipt.p50),
            p50,
        );
        report.at_most(
            format!("pace, {word}: p50 due → ack, ms"),
            milliseconds(ack.p50),
            p50,
        );
        let p99 = |bare: u64| milliseconds(bare) + 3.0;
        report.at_most(
            format!("pace, {word}: p99 due → receipt, ms"),
            milliseconds(receipt.p99),
            p99(bare_receipt.p99),
        );
        report.at_most(
            format!("pace, {word}: p99 due → ack, ms"),
            milliseconds(ack.p99),
            p99(bare_ack.p99),
        );
    }
}
