//! kill -9 of the real binary, in mid-flow.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;

use crate::support::backend::Backend;
use crate::support::flow::Pouring;
use crate::support::{Process, Profile, Receiver};

crate::stories!(nothing_acknowledged_is_lost_by_kill_9);

/// What a subscription holds in memory at most, so what may be sent and not recorded.
const WINDOW: usize = 16;

async fn nothing_acknowledged_is_lost_by_kill_9(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let window = WINDOW.to_string();
    let more = [
        ("POSTHASTE_DELIVERY__WINDOW", window.as_str()),
        ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "8"),
        ("POSTHASTE_ENGINE__LEASE_TTL_MS", "1000"),
        ("POSTHASTE_ENGINE__LEASE_RENEW_MS", "200"),
    ];
    let receiver = Receiver::ok().await;
    let mut process = Process::start(&backend, &more).await;
    let subscribed = process.api.subscribe(&receiver, json!({})).await;

    let mut acknowledged = HashSet::new();
    let moments = [1, 40, 150, 5, 300];
    for moment in moments {
        let pouring = Pouring::begin(&process.api);
        pouring.accepted(moment).await;
        process.kill().await;
        acknowledged.extend(pouring.end().await);
        process = Process::start(&backend, &more).await;
    }
    process.api.settled(&subscribed.id).await;

    // What was committed and not acknowledged any more is delivered too.
    let log = process.api.consistent_log(&subscribed.id).await;
    let stored: HashSet<String> = log.keys().cloned().collect();
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "acknowledged and not stored: {lost:?}");
    let tally = receiver.received_events(stored.len()).await;
    assert!(stored.iter().all(|event| tally.contains_key(event)));
    assert_eq!(tally.len(), stored.len(), "nothing came that is not stored");
    assert!(
        log.values().all(|attempts| attempts.len() == 1),
        "what was sent and not recorded left no trace, the rest was sent once"
    );

    // A kill can repeat what was sent and not recorded: never more than the window holds.
    let repeated: usize = tally.values().map(|times| times - 1).sum();
    assert!(repeated <= moments.len() * WINDOW, "{repeated} repeated");
    assert!(tally.values().all(|times| *times <= 1 + moments.len()));
    assert_eq!(process.terminate().await, Some(0));
}
