//! Flat memory: a steady pace for minutes, the resident memory looked at every second.

use std::time::Duration;

use super::{relay, singles};
use crate::bench::{Bench, Profile, Target, number};
use crate::report::{Report, mebibytes};
use crate::sender::Load;

const NAME: &str = "soak";

/// Growth of the memory from the second sixth of the time to the last one, in parts of it.
const FLAT: f64 = 0.05;

/// MINUTES at RATE, one subscription.
pub(super) async fn run(bench: &Bench, report: &mut Report) {
    let (minutes, pace) = (number("MINUTES", 10), number("RATE", 1_000));
    let load = Load {
        pace: Some(pace),
        ..singles(minutes * 60 * pace, 128)
    };
    for profile in Profile::chosen() {
        let (store, relay, ids) = relay(bench, profile, 1).await;
        let target = Target::relay(&relay, profile, &store, &ids);
        let mut samples = Vec::new();
        let watching = async {
            loop {
                samples.push(relay.process.memory());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let row = tokio::select! {
            row = bench.measure(&target, &load) => row,
            () = watching => unreachable!("it watches for ever"),
        };
        report.row(row.named(NAME, format!("relay {}", profile.as_str())));
        let sixth = (samples.len() / 6).max(1);
        let median = |part: &[u64]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            mebibytes(part[part.len() / 2])
        };
        // The first sixth is for filling caches.
        let early = median(samples.chunks(sixth).nth(1).unwrap_or(&samples));
        let late = median(&samples[samples.len() - sixth..]);
        let word = profile.as_str();
        report.note(format!("soak, {word}: resident {early:.1} MiB early, {late:.1} MiB at the end of {minutes} minutes"));
        report.at_most(
            format!("soak, {word}: resident, end / early"),
            late / early,
            1.0 + FLAT,
        );
    }
}
