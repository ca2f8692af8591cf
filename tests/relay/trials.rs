//! A deactivated receiver is tried again from time to time, and found once it recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};

use super::deactivating::{failing, history, rules, send, until_state};
use crate::support::receiver::status;
use crate::support::relay::Subscribed;
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    a_trial_that_succeeds_reactivates_and_one_that_fails_uses_up_nothing,
    a_restarted_relay_goes_on_trying,
    who_is_gone_or_wants_none_is_not_tried,
    a_trial_that_is_answered_410_is_the_last,
);

const SHORT_SWEEPS: (&str, &str) = ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "100");

async fn taken_out(relay: &Relay, receiver: &Receiver, trial_interval: u64) -> Subscribed {
    let rules = rules(json!({"exhaustedDeliveries": 1, "trialIntervalMs": trial_interval}));
    let subscribed = relay.api.subscribe(receiver, rules).await;
    send(relay, 1).await;
    until_state(relay, &subscribed, "deactivated").await;
    subscribed
}

fn triggers(delivery: &Value) -> Vec<Value> {
    let attempts = delivery["attempts"].as_array().unwrap();
    attempts
        .iter()
        .map(|attempt| attempt["trigger"].clone())
        .collect()
}

async fn a_trial_that_succeeds_reactivates_and_one_that_fails_uses_up_nothing(profile: Profile) {
    let relay = Relay::start_with(profile, &[SHORT_SWEEPS]).await;
    let (receiver, healed) = failing().await;
    let subscribed = taken_out(&relay, &receiver, 200).await;
    let held = send(&relay, 3).await;
    // One attempt is all that its deliveries have; trials are none of them.
    let tried = relay
        .delivery_when(&held[0], |delivery| {
            delivery["attemptCount"].as_u64() >= Some(3)
        })
        .await;
    assert_eq!(tried["status"], "pending");
    assert!(
        triggers(&tried).iter().all(|trigger| trigger == "trial"),
        "{tried}"
    );
    let last = relay.api.delivery_of(&held[2]).await;
    assert_eq!(last["attemptCount"], 0, "the oldest is what is tried with");

    healed.store(true, Ordering::SeqCst);
    until_state(&relay, &subscribed, "active").await;
    for event in &held {
        assert_eq!(relay.final_delivery(event).await["status"], "delivered");
    }
    let first = relay.api.delivery_of(&held[0]).await;
    let attempts = first["attempts"].as_array().unwrap();
    let numbers: Vec<_> = attempts
        .iter()
        .map(|attempt| attempt["number"].clone())
        .collect();
    assert_eq!(
        numbers,
        (1..=attempts.len()).map(Value::from).collect::<Vec<_>>()
    );
    let told = history(&relay, &subscribed).await;
    assert_eq!(told[0]["to"], "active");
    assert_eq!(told[0]["by"], "trial");
    assert_eq!(told[0]["evidence"], json!([attempts.last().unwrap()["id"]]));
    let last = relay.api.delivery_of(&held[2]).await;
    assert_eq!(triggers(&last), ["schedule"]);
}

async fn a_restarted_relay_goes_on_trying(profile: Profile) {
    let relay = Relay::start_with(profile, &[SHORT_SWEEPS]).await;
    let (receiver, healed) = failing().await;
    let subscribed = taken_out(&relay, &receiver, 2_000).await;
    let held = send(&relay, 1).await;
    relay
        .delivery_when(&held[0], |delivery| delivery["attemptCount"] == 1)
        .await;
    let backend = relay.stop().await;
    healed.store(true, Ordering::SeqCst);
    let relay = Relay::start_on(backend, &[SHORT_SWEEPS]).await;
    until_state(&relay, &subscribed, "active").await;
    let delivery = relay.final_delivery(&held[0]).await;
    assert_eq!(triggers(&delivery), ["trial", "trial"]);
    let started = |number: usize| {
        let at = delivery["attempts"][number]["startedAt"].as_str().unwrap();
        posthaste::domain::Timestamp::parse_rfc3339(at).unwrap()
    };
    // The last trial is known to the next process.
    let between = started(1).since(started(0)).as_millis();
    assert!(between >= 1_999, "{between} ms");
}

async fn who_is_gone_or_wants_none_is_not_tried(profile: Profile) {
    let relay = Relay::start_with(profile, &[SHORT_SWEEPS]).await;
    let gone = Receiver::answering(|_, _| status(410)).await;
    let ((unwilling, _), (tried, _)) = (failing().await, failing().await);
    let of_gone = taken_out(&relay, &gone, 100).await;
    let of_unwilling = taken_out(&relay, &unwilling, 0).await;
    let of_tried = taken_out(&relay, &tried, 100).await;
    let before = (gone.count(), unwilling.count());
    send(&relay, 2).await;
    tried.received(tried.count() + 5).await;
    assert_eq!((gone.count(), unwilling.count()), before);
    for (subscribed, reason) in [(&of_gone, "gone"), (&of_unwilling, "exhausted")] {
        let view = relay.api.subscription(subscribed).await;
        assert_eq!(view["stateReason"], reason);
    }
    assert_eq!(
        relay.api.subscription(&of_tried).await["state"],
        "deactivated"
    );
}

async fn a_trial_that_is_answered_410_is_the_last(profile: Profile) {
    let relay = Relay::start_with(profile, &[SHORT_SWEEPS]).await;
    let code = Arc::new(AtomicU16::new(500));
    let now = Arc::clone(&code);
    let receiver = Receiver::answering(move |_, _| status(now.load(Ordering::SeqCst))).await;
    let subscribed = taken_out(&relay, &receiver, 100).await;
    code.store(410, Ordering::SeqCst);
    let held = send(&relay, 1).await;
    relay
        .api
        .until_get(&subscribed.path(), "the reason to be gone", |view| {
            view["stateReason"] == "gone"
        })
        .await;
    let told = history(&relay, &subscribed).await;
    let reasons: Vec<_> = told.iter().map(|entry| entry["reason"].clone()).collect();
    assert_eq!(reasons, [json!("gone"), json!("exhausted"), Value::Null]);
    assert_eq!(relay.api.delivery_of(&held[0]).await["status"], "pending");
    let (other, _) = failing().await;
    taken_out(&relay, &other, 100).await;
    let before = receiver.count();
    send(&relay, 1).await;
    other.received(other.count() + 3).await;
    assert_eq!(receiver.count(), before);
}
