//! A receiver that keeps failing is taken out, with reason and evidence, and comes back by one
//! call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use posthaste::domain::deactivation::Streak;
use posthaste::store::{PostgresStore, Runtime, SqliteStore, Store};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::receiver::status;
use crate::support::relay::{Subscribed, rows, settings, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    exhausted_deliveries_in_a_row_deactivate_with_evidence,
    a_success_between_begins_anew,
    failing_for_too_long_deactivates,
    a_healthy_receiver_leaves_no_trace_and_one_that_recovers_no_streak,
    what_failed_before_a_restart_counts_on,
    other_failures_than_the_receivers_do_not_count,
    what_is_held_is_sent_after_a_reactivation,
    what_is_held_is_skipped_where_that_is_asked_for,
    after_a_reactivation_failures_count_anew_and_the_breaker_probes_at_once,
    the_history_tells_who_did_what_and_why,
    what_is_wrong_with_the_rules_is_told,
);

/// One attempt for each delivery, one after the other, no breaker between.
pub fn rules(deactivation: Value) -> Value {
    json!({
        "maxInFlight": 1,
        "retryPolicy": {"attempts": 1},
        "breaker": {"enabled": false},
        "deactivation": deactivation,
    })
}

/// A receiver that answers 500 until it is healed.
pub async fn failing() -> (Receiver, Arc<AtomicBool>) {
    let healed = Arc::new(AtomicBool::new(false));
    let is_healed = Arc::clone(&healed);
    let receiver = Receiver::answering(move |_, _| {
        let healed = is_healed.load(Ordering::SeqCst);
        status(if healed { 200 } else { 500 })
    })
    .await;
    (receiver, healed)
}

pub async fn send(relay: &Relay, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    for number in 0..count {
        events.push(relay.api.send("out", json!({"number": number})).await);
    }
    events
}

/// The subscription once it has this state.
pub async fn until_state(relay: &Relay, subscribed: &Subscribed, state: &str) -> Value {
    let what = format!("the state {state}");
    let path = subscribed.path();
    let wanted = |view: &Value| view["state"] == state;
    relay.api.until_get(&path, &what, wanted).await
}

pub async fn history(relay: &Relay, subscribed: &Subscribed) -> Vec<Value> {
    let path = format!("{}/history", subscribed.path());
    rows(&relay.api.get(&path).await).clone()
}

pub async fn reactivate(relay: &Relay, subscribed: &Subscribed, body: Option<Value>) -> Value {
    let path = format!("{}/reactivate", subscribed.path());
    let body = body.as_ref();
    relay.api.expect(200, Method::POST, &path, body).await
}

/// The states of these events' deliveries.
pub async fn statuses(relay: &Relay, events: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for event in events {
        let delivery = relay.api.delivery_of(event).await;
        all.push(text(&delivery, "status").to_owned());
    }
    all
}

async fn exhausted_deliveries_in_a_row_deactivate_with_evidence(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, _) = failing().await;
    let rules = rules(json!({"exhaustedDeliveries": 3}));
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let before = relay.api.subscription(&subscribed).await;
    assert_eq!(
        before["effective"]["deactivation"]["exhaustedDeliveries"],
        3
    );
    assert_eq!(
        before["effective"]["deactivation"]["failingForMs"],
        432_000_000
    );
    assert_eq!(before["hold"], Value::Null);

    let failed = send(&relay, 3).await;
    let view = until_state(&relay, &subscribed, "deactivated").await;
    assert_eq!(view["stateReason"], "exhausted");
    assert_eq!(view["stateChangedBy"], "rule");
    assert_eq!(view["isActive"], false);
    assert_eq!(view["hold"]["full"], false);
    let mut attempts = BTreeSet::new();
    for event in &failed {
        let delivery = relay.api.delivery_of(event).await;
        assert_eq!(delivery["status"], "failed");
        attempts.insert(text(&delivery["attempts"][0], "id").to_owned());
    }
    // In the order in which they ended, which is nobody's promise of those under way at once.
    let evidence = view["stateEvidence"].as_array().unwrap();
    let evidence = evidence.iter().map(|id| id.as_str().unwrap().to_owned());
    assert_eq!(evidence.collect::<BTreeSet<_>>(), attempts);

    let held = send(&relay, 3).await;
    assert_eq!(statuses(&relay, &held).await, ["pending"; 3]);
    assert_eq!(receiver.count(), 3);
}

async fn a_success_between_begins_anew(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver =
        Receiver::answering(|number, _| status([500, 500, 200, 500, 500, 200][number.min(5)]))
            .await;
    let rules = rules(json!({"exhaustedDeliveries": 3}));
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    for event in send(&relay, 6).await {
        relay.final_delivery(&event).await;
    }
    let view = relay.api.subscription(&subscribed).await;
    assert_eq!(view["state"], "active");
    assert_eq!(receiver.count(), 6);
}

async fn failing_for_too_long_deactivates(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, _) = failing().await;
    let mut rules = rules(json!({"exhaustedDeliveries": 0, "failingForMs": 1000}));
    rules["retryPolicy"] = json!({"delaysMs": vec![300; 50]});
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let events = send(&relay, 1).await;
    let view = until_state(&relay, &subscribed, "deactivated").await;
    assert_eq!(view["stateReason"], "failing");
    let delivery = relay.api.delivery_of(&events[0]).await;
    assert_eq!(delivery["status"], "pending");
    let attempts = delivery["attempts"].as_array().unwrap();
    assert!(attempts.len() >= 3, "{delivery}");
    let evidence = view["stateEvidence"].as_array().unwrap();
    assert!(evidence.len() >= 3, "{view}");
    assert!(
        evidence
            .iter()
            .all(|id| attempts.iter().any(|attempt| attempt["id"] == *id))
    );
}

/// What the store has of a subscription that nobody runs just now.
async fn stored_runtime(backend: &Backend, subscribed: &Subscribed) -> Runtime {
    let settings = settings(backend, &[]).store;
    let store: Box<dyn Store> = match backend.profile {
        Profile::Embedded => Box::new(SqliteStore::open(&settings).await.unwrap()),
        _ => Box::new(PostgresStore::connect(&settings).await.unwrap()),
    };
    let runtime = store.runtime(subscribed.id.parse().unwrap()).await.unwrap();
    store.close().await;
    runtime
}

async fn a_healthy_receiver_leaves_no_trace_and_one_that_recovers_no_streak(profile: Profile) {
    let relay = Relay::start(profile).await;
    let healthy = Receiver::ok().await;
    let shaky = Receiver::answering(|number, _| status(if number == 0 { 500 } else { 200 })).await;
    let to_healthy = relay.api.subscribe(&healthy, json!({})).await;
    let to_shaky = relay.api.subscribe(&shaky, rules(json!({}))).await;
    send(&relay, 4).await;
    relay.api.settled(&to_healthy.id).await;
    relay.api.settled(&to_shaky.id).await;
    let backend = relay.stop().await;
    let nothing = stored_runtime(&backend, &to_healthy).await;
    assert_eq!(nothing, Runtime::default());
    let streak = stored_runtime(&backend, &to_shaky).await.streak;
    assert!(streak.is_empty(), "{streak:?}");
    assert_ne!(
        streak,
        Streak::default(),
        "a failure and its end were written"
    );
}

async fn what_failed_before_a_restart_counts_on(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, _) = failing().await;
    let rules = rules(json!({"exhaustedDeliveries": 3}));
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    for event in send(&relay, 2).await {
        relay.final_delivery(&event).await;
    }
    let backend = relay.stop().await;
    let relay = Relay::start_on(backend, &[]).await;
    let last = send(&relay, 1).await;
    relay.final_delivery(&last[0]).await;
    let view = until_state(&relay, &subscribed, "deactivated").await;
    assert_eq!(view["stateEvidence"].as_array().unwrap().len(), 3);
    assert_eq!(receiver.count(), 3);
}

async fn other_failures_than_the_receivers_do_not_count(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, healthy) = (failing().await.0, Receiver::ok().await);
    let rules = rules(json!({"exhaustedDeliveries": 2}));
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let first = send(&relay, 1).await;
    relay.final_delivery(&first[0]).await;
    // Another address is another receiver.
    let (other, _) = failing().await;
    relay
        .api
        .put(&subscribed.path(), &json!({"url": other.url()}))
        .await;
    let second = send(&relay, 1).await;
    relay.final_delivery(&second[0]).await;
    relay
        .api
        .put(&subscribed.path(), &json!({"url": healthy.url()}))
        .await;
    let third = send(&relay, 1).await;
    let delivery = relay.final_delivery(&third[0]).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!((receiver.count(), other.count()), (1, 1));
    assert_eq!(relay.api.subscription(&subscribed).await["state"], "active");
}

async fn what_is_held_is_sent_after_a_reactivation(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, healed) = failing().await;
    let rules = rules(json!({"exhaustedDeliveries": 1}));
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    send(&relay, 1).await;
    until_state(&relay, &subscribed, "deactivated").await;
    let held = send(&relay, 8).await;
    let backend = relay.stop().await;
    let relay = Relay::start_on(backend, &[]).await;
    healed.store(true, Ordering::SeqCst);
    let view = reactivate(&relay, &subscribed, Some(json!({"held": "send"}))).await;
    assert_eq!(view["state"], "active");
    assert_eq!(view["stateEvidence"], json!([]));
    for event in &held {
        assert_eq!(relay.final_delivery(event).await["status"], "delivered");
    }
    assert_eq!(receiver.count(), 9);
}

async fn what_is_held_is_skipped_where_that_is_asked_for(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, healed) = failing().await;
    let rules = rules(json!({"exhaustedDeliveries": 1}));
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    send(&relay, 1).await;
    until_state(&relay, &subscribed, "deactivated").await;
    let held = send(&relay, 8).await;
    healed.store(true, Ordering::SeqCst);
    let view = reactivate(&relay, &subscribed, Some(json!({"held": "skip"}))).await;
    assert_eq!(view["state"], "active");
    assert_eq!(view["held"], json!({"skipped": 8, "complete": true}));
    let later = send(&relay, 2).await;
    for event in &later {
        assert_eq!(relay.final_delivery(event).await["status"], "delivered");
    }
    assert_eq!(statuses(&relay, &held).await, ["skipped"; 8]);
    assert_eq!(receiver.count(), 3);
    // Held back, not lost.
    relay
        .api
        .retry(202, &relay.api.delivery_of(&held[3]).await)
        .await;
    assert_eq!(relay.final_delivery(&held[3]).await["status"], "delivered");
    // With nothing held there is nothing to skip.
    let path = format!("{}/reactivate", subscribed.path());
    relay.api.post(409, &path, &json!({"held": "skip"})).await;
    relay.api.post(400, &path, &json!({"held": "keep"})).await;
    relay.api.post(400, &path, &json!({"hold": "send"})).await;
}

async fn after_a_reactivation_failures_count_anew_and_the_breaker_probes_at_once(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, healed) = failing().await;
    let mut rules = rules(json!({"exhaustedDeliveries": 2}));
    let hour = 3_600_000;
    rules["breaker"] = json!({"consecutiveFailures": 2, "coolDownMs": hour, "coolDownMaxMs": hour});
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    send(&relay, 2).await;
    until_state(&relay, &subscribed, "deactivated").await;
    relay
        .api
        .until_get(&subscribed.path(), "the breaker to be kept", |view| {
            view["breakerState"]["state"] == "open"
        })
        .await;
    reactivate(&relay, &subscribed, None).await;
    // One more failure: the second in a row for the breaker, the first that counts for the rule.
    let third = send(&relay, 1).await;
    let delivery = relay.final_delivery(&third[0]).await;
    assert_eq!(delivery["attempts"][0]["trigger"], "probe");
    let view = relay.api.subscription(&subscribed).await;
    assert_eq!(view["state"], "active");

    healed.store(true, Ordering::SeqCst);
    let fourth = send(&relay, 1).await;
    let resume = format!("{}/resume", subscribed.path());
    relay.api.expect(200, Method::POST, &resume, None).await;
    // The breaker that opened again waits its hour; another address does not.
    relay
        .api
        .put(
            &subscribed.path(),
            &json!({"url": format!("{}/b", receiver.url())}),
        )
        .await;
    assert_eq!(
        relay.final_delivery(&fourth[0]).await["status"],
        "delivered"
    );
}

async fn the_history_tells_who_did_what_and_why(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::answering(|_, _| status(410)).await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    for verb in ["pause", "pause", "resume"] {
        let path = format!("{}/{verb}", subscribed.path());
        relay.api.expect(200, Method::POST, &path, None).await;
    }
    let events = send(&relay, 1).await;
    until_state(&relay, &subscribed, "deactivated").await;
    let delivery = relay
        .delivery_when(&events[0], |delivery| delivery["attemptCount"] == 1)
        .await;
    let backend = relay.stop().await;
    let relay = Relay::start_on(backend, &[]).await;
    relay.api.delete(&subscribed).await;

    let all = history(&relay, &subscribed).await;
    let column =
        |name: &str| -> Vec<Value> { all.iter().map(|entry| entry[name].clone()).collect() };
    assert_eq!(
        column("to"),
        ["deleted", "deactivated", "active", "paused", "active"]
    );
    assert_eq!(
        column("by"),
        ["operator", "rule", "operator", "operator", "operator"]
    );
    assert_eq!(all[1]["reason"], "gone");
    assert_eq!(all[1]["evidence"], json!([delivery["attempts"][0]["id"]]));
    assert_eq!(all[4]["from"], Value::Null);
    // Page by page it is the same.
    let mut walked = Vec::new();
    let mut path = format!("{}/history?limit=2", subscribed.path());
    loop {
        let page = relay.api.get(&path).await;
        walked.extend(rows(&page).clone());
        let Some(cursor) = page["nextCursor"].as_str() else {
            break;
        };
        path = format!("{}/history?limit=2&cursor={cursor}", subscribed.path());
    }
    assert_eq!(walked, all);
    let unknown = "/api/v1/subscriptions/01900000-0000-7000-8000-000000000000/history";
    relay.api.expect(404, Method::GET, unknown, None).await;
}

async fn what_is_wrong_with_the_rules_is_told(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    for (field, wrong) in [
        ("exhaustedDeliveries", json!(1_000_001)),
        ("exhaustedDeliveries", json!("many")),
        ("failingForMs", json!(999)),
        ("trialIntervalMs", json!(99)),
        ("trialInterval", json!(100)),
    ] {
        let body = json!({"name": "a", "url": receiver.url(), "eventTypes": ["*"],
            "deactivation": {field: wrong}});
        let answer = relay.api.post(400, "/api/v1/subscriptions", &body).await;
        let path = format!("deactivation.{field}");
        assert_eq!(answer["faults"][0]["path"], path, "{answer}");
    }
    let own = json!({"deactivation": {"failingForMs": 60_000, "trialIntervalMs": 0}});
    let subscribed = relay.api.subscribe(&receiver, own.clone()).await;
    let view = relay.api.subscription(&subscribed).await;
    assert_eq!(view["deactivation"], own["deactivation"]);
    assert_eq!(view["effective"]["deactivation"]["trialIntervalMs"], 0);
    // What was answered may come back as it is, and null returns to the default.
    relay.api.put(&subscribed.path(), &view).await;
    let view = relay
        .api
        .put(&subscribed.path(), &json!({"deactivation": null}))
        .await;
    assert_eq!(view["deactivation"], Value::Null);
    assert_eq!(
        view["effective"]["deactivation"]["trialIntervalMs"],
        3_600_000
    );
}

#[cfg(feature = "faults")]
mod with_faults {
    use posthaste::faults::Point;

    use super::*;

    crate::stories!(a_failure_is_counted_once_whatever_dies_behind_its_commit);

    async fn a_failure_is_counted_once_whatever_dies_behind_its_commit(profile: Profile) {
        let relay = Relay::start(profile).await;
        let (receiver, _) = failing().await;
        let rules = rules(json!({"exhaustedDeliveries": 3}));
        let subscribed = relay.api.subscribe(&receiver, rules).await;
        for event in send(&relay, 2).await {
            relay.engine().faults().arm(Point::RecorderCommitted, 2);
            relay.final_delivery(&event).await;
        }
        assert_eq!(relay.api.subscription(&subscribed).await["state"], "active");
        send(&relay, 1).await;
        let view = until_state(&relay, &subscribed, "deactivated").await;
        assert_eq!(view["stateEvidence"].as_array().unwrap().len(), 3);
    }
}
