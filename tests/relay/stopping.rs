//! The stop signal: what is in flight finishes, and nothing is sent twice for it.

use std::sync::Arc;

use rustix::process::Signal;
use serde_json::json;

use crate::support::backend::Backend;
use crate::support::receiver::tally;
use crate::support::{Process, Profile, Receiver, soon};

crate::stories!(
    attempts_in_flight_finish_and_nothing_is_sent_again,
    a_grace_period_that_runs_out_leaves_the_delivery_pending,
);

async fn attempts_in_flight_finish_and_nothing_is_sent_again(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let (receiver, gate) = Receiver::gated().await;
    let mut process = Process::start(&backend, &[]).await;
    let api = process.api.clone();
    let subscribed = api.subscribe(&receiver, json!({})).await;
    for _ in 0..3 {
        api.send("a.b", json!(1)).await;
    }
    receiver.received(3).await;

    process.signal(Signal::TERM);
    let mut accepted = 3;
    soon("new events to be refused", async {
        while api.try_send().await.is_some() {
            accepted += 1;
        }
    })
    .await;
    gate.open();
    assert_eq!(process.exit_code().await, Some(0));
    let in_flight = receiver.count();

    let process = Process::start(&backend, &[]).await;
    process.api.send("a.b", json!(2)).await;
    let tally = receiver.received_events(accepted + 1).await;
    process.api.settled(&subscribed.id).await;
    assert!(in_flight >= 3);
    assert_eq!(receiver.count(), accepted + 1, "{tally:?}");
    let log = process.api.consistent_log(&subscribed.id).await;
    assert!(log.values().all(|attempts| attempts.len() == 1));
    assert_eq!(process.terminate().await, Some(0));
}

async fn a_grace_period_that_runs_out_leaves_the_delivery_pending(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let (receiver, gate) = Receiver::gated().await;
    let more = [("POSTHASTE_SERVER__SHUTDOWN_GRACE_MS", "200")];
    let process = Process::start(&backend, &more).await;
    let subscribed = process.api.subscribe(&receiver, json!({})).await;
    let event = process.api.send("a.b", json!(1)).await;
    receiver.received(1).await;
    assert_eq!(process.terminate().await, Some(0));

    gate.open();
    let process = Process::start(&backend, &[]).await;
    receiver.received(2).await;
    process.api.settled(&subscribed.id).await;
    assert_eq!(tally(&receiver.all())[&event], 2, "cut off, and sent again");
    let log = process.api.consistent_log(&subscribed.id).await;
    assert_eq!(log[&event].len(), 1, "what was cut off has no outcome");
}
