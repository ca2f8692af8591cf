//! The highest rate: single events, batches, fan-out. Bare loop, then floor and relay per profile.

use super::{bare_loop, relay, runs, singles};
use crate::bench::{Bench, Profile, Target, number};
use crate::floor;
use crate::report::{Report, Target as Wanted};
use crate::sender::Load;

/// Single events, one subscription.
pub(super) async fn single(bench: &Bench, report: &mut Report) {
    let senders = number("SENDERS", 256) as usize;
    let load = singles(number("EVENTS", 40_000), senders);
    all(bench, report, "single", &load, 1).await;
    let wanted = [
        Wanted {
            profile: "embedded",
            of_bare: 0.20,
            cpu: 80.0,
        },
        Wanted {
            profile: "distributed",
            of_bare: 0.17,
            cpu: 100.0,
        },
    ];
    report.judge("single", &wanted);
    for profile in Profile::chosen() {
        let row = report.median("single", &format!("relay {}", profile.as_str()));
        let memory = row
            .and_then(|row| row.memory)
            .map_or(f64::NAN, crate::report::mebibytes);
        report.at_most(
            format!("single, {}: resident at full load, MiB", profile.as_str()),
            memory,
            60.0,
        );
    }
}

/// Batches of 100, one subscription.
pub(super) async fn batch(bench: &Bench, report: &mut Report) {
    let load = Load {
        batch: 100,
        ..singles(number("EVENTS", 100_000), number("SENDERS", 16) as usize)
    };
    all(bench, report, "batch", &load, 1).await;
    let wanted = [Wanted {
        profile: "distributed",
        of_bare: 0.24,
        cpu: f64::INFINITY,
    }];
    report.judge("batch", &wanted);
}

/// Single events, ten subscriptions.
pub(super) async fn fan_out(bench: &Bench, report: &mut Report) {
    let load = singles(number("EVENTS", 10_000), number("SENDERS", 64) as usize);
    all(bench, report, "fanout", &load, 10).await;
    let wanted = [Wanted {
        profile: "distributed",
        of_bare: 0.30,
        cpu: 50.0,
    }];
    report.judge("fanout", &wanted);
}

async fn all(
    bench: &Bench,
    report: &mut Report,
    scenario: &'static str,
    load: &Load,
    fan_out: u32,
) {
    let warm_up = Load {
        events: (load.events / 10).next_multiple_of(load.batch),
        ..load.clone()
    };
    for _ in 0..runs() {
        bare_loop(bench, report, scenario).await;
        for profile in Profile::chosen() {
            {
                bench.receiver.reset().await;
                let store = bench.store(profile).await;
                let (process, address) = floor::start(&store, &bench.receiver, fan_out);
                let target = Target::floor(&process, address, profile, fan_out);
                bench.warm_up(&target, &warm_up).await;
                let row = bench.measure(&target, load).await;
                report.row(row.named(scenario, format!("floor {}", profile.as_str())));
            }
            let (store, relay, ids) = relay(bench, profile, fan_out).await;
            let target = Target::relay(&relay, profile, &store, &ids);
            bench.warm_up(&target, &warm_up).await;
            let row = bench.measure(&target, load).await;
            report.row(row.named(scenario, format!("relay {}", profile.as_str())));
        }
    }
}
