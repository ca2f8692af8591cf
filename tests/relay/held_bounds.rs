//! What is held while a rule holds a subscription has an age and a bound; a pause has neither.

use posthaste::events::EngineEvent;
use reqwest::Method;
use serde_json::json;

use super::deactivating::{history, reactivate, send, statuses, until_state};
use crate::support::receiver::status;
use crate::support::relay::Subscribed;
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    past_the_bound_what_comes_in_is_skipped,
    what_leaves_makes_room_again,
    what_is_held_too_long_expires_unless_it_is_paused,
);

/// A receiver that is gone, and comes back.
async fn gone_once() -> Receiver {
    Receiver::answering(|number, _| status(if number == 0 { 410 } else { 200 })).await
}

async fn call(relay: &Relay, subscribed: &Subscribed, verb: &str) {
    let path = format!("{}/{verb}", subscribed.path());
    relay.api.expect(200, Method::POST, &path, None).await;
}

async fn until_full(relay: &Relay, subscribed: &Subscribed, full: bool) {
    relay
        .api
        .until_get(&subscribed.path(), "the hold to be full or not", |view| {
            view["hold"]["full"] == full
        })
        .await;
}

async fn past_the_bound_what_comes_in_is_skipped(profile: Profile) {
    let more = [("POSTHASTE_HOLD__MAX_BACKLOG", "10")];
    let relay = Relay::start_with(profile, &more).await;
    let (receiver, patient) = (gone_once().await, Receiver::ok().await);
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let paused = relay
        .api
        .subscribe(&patient, json!({"eventTypes": ["paused"]}))
        .await;
    call(&relay, &paused, "pause").await;

    let mut held = send(&relay, 1).await;
    until_state(&relay, &subscribed, "deactivated").await;
    held.extend(send(&relay, 9).await);
    until_full(&relay, &subscribed, true).await;
    let view = relay.api.subscription(&subscribed).await;
    assert_eq!(view["stateReason"], "gone");
    assert_eq!(view["hold"]["reason"], "backlog_full");
    let backend = relay.stop().await;
    let relay = Relay::start_on(backend, &more).await;
    let past = send(&relay, 5).await;
    assert_eq!(statuses(&relay, &held).await, ["pending"; 10]);
    assert_eq!(statuses(&relay, &past).await, ["skipped"; 5]);
    let told = history(&relay, &subscribed).await;
    assert_eq!(told[0]["reason"], "backlog_full");
    assert_eq!(told[0]["to"], "deactivated");

    // No bound for what an operator holds.
    let mut waiting = Vec::new();
    for number in 0..15 {
        waiting.push(relay.api.send("paused", json!(number)).await);
    }
    let path = format!("{}/deliveries?status=pending&limit=100", paused.path());
    let page = relay.api.get(&path).await;
    assert_eq!(page["data"].as_array().unwrap().len(), 15);

    let view = reactivate(&relay, &subscribed, None).await;
    assert_eq!(view["hold"], json!(null));
    for event in &held {
        assert_eq!(relay.final_delivery(event).await["status"], "delivered");
    }
    assert_eq!(statuses(&relay, &past).await, ["skipped"; 5]);
    let delivery = relay.api.delivery_of(&past[0]).await;
    assert_eq!(delivery["attempts"], json!([]));
    relay.api.retry(202, &delivery).await;
    assert_eq!(relay.final_delivery(&past[0]).await["status"], "delivered");
}

async fn what_leaves_makes_room_again(profile: Profile) {
    let more = [
        ("POSTHASTE_HOLD__MAX_BACKLOG", "5"),
        ("POSTHASTE_ENGINE__JANITOR_INTERVAL_MS", "1000"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let receiver = gone_once().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    send(&relay, 1).await;
    until_state(&relay, &subscribed, "deactivated").await;
    send(&relay, 4).await;
    until_full(&relay, &subscribed, true).await;
    call(&relay, &subscribed, "cancel-pending").await;
    until_full(&relay, &subscribed, false).await;
    let events = send(&relay, 1).await;
    assert_eq!(statuses(&relay, &events).await, ["pending"]);
}

async fn what_is_held_too_long_expires_unless_it_is_paused(profile: Profile) {
    let more = [
        ("POSTHASTE_HOLD__MAX_AGE_MS", "1000"),
        ("POSTHASTE_ENGINE__JANITOR_INTERVAL_MS", "1000"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let (receiver, patient) = (gone_once().await, Receiver::ok().await);
    let subscribed = relay
        .api
        .subscribe(&receiver, json!({"eventTypes": ["out"]}))
        .await;
    let paused = relay
        .api
        .subscribe(&patient, json!({"eventTypes": ["paused"]}))
        .await;
    call(&relay, &paused, "pause").await;
    let waiting = relay.api.send("paused", json!(1)).await;
    let held = send(&relay, 1).await;
    until_state(&relay, &subscribed, "deactivated").await;
    relay
        .until("what is held to expire", |fact| {
            matches!(fact, EngineEvent::DeliveriesExpired { subscription, count: 1 }
                if subscription.to_string() == subscribed.id)
        })
        .await;
    assert_eq!(statuses(&relay, &held).await, ["expired"]);
    assert_eq!(statuses(&relay, &[waiting.clone()]).await, ["pending"]);
    assert_eq!(receiver.count(), 1);

    reactivate(&relay, &subscribed, None).await;
    relay
        .api
        .retry(202, &relay.api.delivery_of(&held[0]).await)
        .await;
    assert_eq!(relay.final_delivery(&held[0]).await["status"], "delivered");
    call(&relay, &paused, "resume").await;
    assert_eq!(relay.final_delivery(&waiting).await["status"], "delivered");
}

#[cfg(feature = "faults")]
mod with_faults {
    use posthaste::faults::Point;

    use super::super::deactivating::{failing, rules};
    use super::*;

    crate::stories!(a_reactivation_that_dies_in_the_middle_is_finished_by_the_next_process);

    async fn a_reactivation_that_dies_in_the_middle_is_finished_by_the_next_process(
        profile: Profile,
    ) {
        let relay = Relay::start(profile).await;
        let (receiver, healed) = failing().await;
        let rules = rules(json!({"exhaustedDeliveries": 1}));
        let subscribed = relay.api.subscribe(&receiver, rules).await;
        send(&relay, 1).await;
        until_state(&relay, &subscribed, "deactivated").await;
        let held = send(&relay, 5).await;
        relay.engine().faults().arm(Point::Skipping, 1);
        let path = format!("{}/reactivate", subscribed.path());
        let answer = relay.api.post(202, &path, &json!({"held": "skip"})).await;
        assert_eq!(answer["held"]["complete"], false);
        assert_eq!(answer["state"], "deactivated");
        assert_eq!(answer["hold"]["skipping"], true);
        let later = send(&relay, 2).await;
        let backend = relay.stop().await;
        assert_eq!(receiver.count(), 1);

        healed.store(true, std::sync::atomic::Ordering::SeqCst);
        let relay = Relay::start_on(backend, &[]).await;
        until_state(&relay, &subscribed, "active").await;
        for event in &later {
            assert_eq!(relay.final_delivery(event).await["status"], "delivered");
        }
        assert_eq!(statuses(&relay, &held).await, ["skipped"; 5]);
        assert_eq!(receiver.count(), 3);
    }
}
