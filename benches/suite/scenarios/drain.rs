//! A backlog to a fast receiver: what has to be paged from the store, and nothing comes in.

use serde_json::json;

use super::{bare_loop, relay, singles};
use crate::bench::{Bench, Profile, Target, number};
use crate::report::Report;
use crate::sender::Load;
use crate::wire;

const NAME: &str = "drain";

/// Pauses a subscription, fills it, resumes it.
pub(super) async fn run(bench: &Bench, report: &mut Report) {
    let events = number("EVENTS", 100_000);
    bare_loop(bench, report, NAME).await;
    for profile in Profile::chosen() {
        let (store, relay, ids) = relay(bench, profile, 1).await;
        let target = Target::relay(&relay, profile, &store, &ids);
        bench.warm_up(&target, &singles(2_000, 64)).await;
        let route = |action| format!("subscriptions/{}/{action}", ids[0]);
        relay.post(&route("pause"), &json!({})).await;
        let fill = Load {
            batch: 100,
            ..singles(events, 16)
        };
        target.send(&fill).await;
        let came = bench.receiver.tally((0, 0)).await.count;
        assert_eq!(came, 0, "a paused subscription was delivered to");

        let resuming = async {
            let began = wire::now();
            relay.post(&route("resume"), &json!({})).await;
            (began, 0)
        };
        let (row, _) = bench.observe(&target, events, resuming).await;
        report.row(row.named(NAME, format!("relay {}", profile.as_str())));
        let bare = report
            .median(NAME, "bare loop")
            .map_or(f64::NAN, |row| row.rate);
        let rate = report
            .median(NAME, &format!("relay {}", profile.as_str()))
            .map_or(0.0, |row| row.rate);
        report.at_least(
            format!("drain, {}: rate / bare loop", profile.as_str()),
            rate / bare,
            0.25,
        );
    }
}
