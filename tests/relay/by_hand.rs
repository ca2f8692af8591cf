//! One delivery sent again because somebody asked: at once, and within what still binds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::Response;
use posthaste::domain::breaker::BreakerState;
use posthaste::events::EngineEvent;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::status;
use crate::support::relay::{Subscribed, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    a_retry_passes_an_open_breaker_and_its_success_ends_the_cool_down,
    a_retry_that_fails_leaves_an_open_breaker_as_it_was,
    a_retry_passes_what_the_receiver_asked_for_and_the_rate_limit,
    a_retry_does_not_pass_a_pause_and_moves_nothing;
    in_one_process: a_retry_does_not_pass_the_bound_of_what_is_in_flight,
    a_retry_does_not_pass_the_bound_of_the_node,
    many_retries_at_once_make_one_attempt_each,
    a_retry_after_a_restart_counts_for_the_breaker_that_was_kept,
);

const HOUR_MS: u64 = 3_600_000;

/// A receiver that answers 500 until it is healed.
async fn failing() -> (Receiver, Arc<AtomicBool>) {
    let healed = Arc::new(AtomicBool::new(false));
    let is_healed = Arc::clone(&healed);
    let receiver = Receiver::answering(move |_, _| {
        let healed = is_healed.load(Ordering::SeqCst);
        status(if healed { 200 } else { 500 })
    })
    .await;
    (receiver, healed)
}

/// Opens at the first failure, for hours; the next attempt is planned hours later.
fn cut_for_hours() -> Value {
    json!({
        "maxInFlight": 1,
        "retryPolicy": {"delaysMs": [HOUR_MS, HOUR_MS]},
        "breaker": {"consecutiveFailures": 1, "coolDownMs": HOUR_MS, "coolDownMaxMs": HOUR_MS,
            "probes": 2},
    })
}

async fn until_breaker(relay: &Relay, state: BreakerState) {
    let what = format!("the breaker to be {}", state.as_str());
    relay
        .until(
            &what,
            |event| matches!(event, EngineEvent::BreakerChanged { to, .. } if *to == state),
        )
        .await;
}

fn of_attempts(delivery: &Value, field: &str) -> Vec<Value> {
    let attempts = delivery["attempts"].as_array().unwrap();
    attempts
        .iter()
        .map(|attempt| attempt[field].clone())
        .collect()
}

async fn set(relay: &Relay, subscribed: &Subscribed, action: &str) {
    let path = format!("{}/{action}", subscribed.path());
    relay.api.expect(200, Method::POST, &path, None).await;
}

async fn a_retry_passes_an_open_breaker_and_its_success_ends_the_cool_down(profile: Profile) {
    let relay = Relay::start(profile).await;
    relay.owner_hears().await;
    let (receiver, healed) = failing().await;
    relay.api.subscribe(&receiver, cut_for_hours()).await;
    let first = relay.api.send("a.b", json!(1)).await;
    until_breaker(&relay, BreakerState::Open).await;
    let second = relay.api.send("a.b", json!(2)).await;
    let waiting = relay
        .delivery_when(&first, |delivery| delivery["attemptCount"] == 1)
        .await;

    healed.store(true, Ordering::SeqCst);
    let retried = relay.api.retry(202, &waiting).await;
    assert_eq!(retried["round"], 2);
    let delivered = relay.final_delivery(&first).await;
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(delivered["round"], 2);
    assert_eq!(of_attempts(&delivered, "trigger"), ["schedule", "manual"]);
    assert_eq!(of_attempts(&delivered, "stale"), [false, false]);
    // It counted as the first of two probes; the second takes what waited.
    until_breaker(&relay, BreakerState::HalfOpen).await;
    until_breaker(&relay, BreakerState::Closed).await;
    let other = relay.final_delivery(&second).await;
    assert_eq!(of_attempts(&other, "trigger"), ["probe"]);
    assert_eq!(receiver.count(), 3);
}

async fn a_retry_that_fails_leaves_an_open_breaker_as_it_was(profile: Profile) {
    let relay = Relay::start(profile).await;
    relay.owner_hears().await;
    let (receiver, _) = failing().await;
    let subscribed = relay.api.subscribe(&receiver, cut_for_hours()).await;
    let event = relay.api.send("a.b", json!(1)).await;
    let waiting = relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 1)
        .await;
    let opened = relay
        .api
        .until_get(&subscribed.path(), "the open breaker", |view| {
            view["breakerState"]["state"] == "open"
        })
        .await;
    relay.api.retry(202, &waiting).await;
    let again = relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 2)
        .await;
    // Its round has a schedule of its own, and the breaker waits no longer for it.
    assert_eq!(
        (&again["status"], &again["round"]),
        (&json!("pending"), &json!(2))
    );
    let view = relay.api.subscription(&subscribed).await;
    assert_eq!(view["breakerState"], opened["breakerState"]);
    assert_eq!(receiver.count(), 2);
}

async fn a_retry_passes_what_the_receiver_asked_for_and_the_rate_limit(profile: Profile) {
    let relay = Relay::start(profile).await;
    relay.owner_hears().await;
    let receiver = Receiver::answering(|number, _| match number {
        0 => Response::builder()
            .status(503)
            .header("retry-after", "3000")
            .body(Body::empty())
            .unwrap(),
        _ => status(200),
    })
    .await;
    let limit = json!({"rateLimit": {"limit": 1, "periodMs": HOUR_MS, "burst": 1}});
    relay.api.subscribe(&receiver, limit).await;
    let first = relay.api.send("a.b", json!(1)).await;
    let waiting = relay
        .delivery_when(&first, |delivery| delivery["attemptCount"] == 1)
        .await;
    relay.api.retry(202, &waiting).await;
    let delivered = relay.final_delivery(&first).await;
    assert_eq!(of_attempts(&delivered, "trigger"), ["schedule", "manual"]);
    // What nobody asked for by hand waits for both.
    let second = relay.api.send("a.b", json!(2)).await;
    relay.api.retry(202, &delivered).await;
    relay
        .delivery_when(&first, |delivery| delivery["attemptCount"] == 3)
        .await;
    let held = relay.api.delivery_of(&second).await;
    assert_eq!(
        (&held["status"], &held["attemptCount"]),
        (&json!("pending"), &json!(0))
    );
}

async fn a_retry_does_not_pass_a_pause_and_moves_nothing(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let paused = json!({"isActive": false});
    let subscribed = relay.api.subscribe(&receiver, paused).await;
    let event = relay.api.send("a.b", json!(1)).await;
    let pending = relay.api.delivery_of(&event).await;
    let refused = relay.api.retry(409, &pending).await;
    assert!(text(&refused, "error").contains("paused"), "{refused}");
    assert_eq!(relay.api.delivery_of(&event).await, pending);
    set(&relay, &subscribed, "resume").await;
    let delivered = relay.final_delivery(&event).await;
    assert_eq!((&delivered["round"], receiver.count()), (&json!(1), 1));
}

async fn a_retry_does_not_pass_the_bound_of_what_is_in_flight(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, gate) = Receiver::gated().await;
    let two = json!({"maxInFlight": 2});
    relay.api.subscribe(&receiver, two).await;
    for number in 0..2 {
        relay.api.send("a.b", json!(number)).await;
    }
    receiver.received(2).await;
    let third = relay.api.send("a.b", json!(3)).await;
    let waiting = relay.api.delivery_of(&third).await;
    let refused = relay.api.retry(409, &waiting).await;
    assert!(
        text(&refused, "error").contains("2 attempts in flight, which is its bound"),
        "{refused}"
    );
    assert_eq!(relay.api.delivery_of(&third).await, waiting);
    gate.open();
    let delivered = relay.final_delivery(&third).await;
    assert_eq!(delivered["round"], 1);
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 3);
}

async fn a_retry_does_not_pass_the_bound_of_the_node(profile: Profile) {
    let more = [
        ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "1"),
        ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT_TOTAL", "1"),
        ("POSTHASTE_ENGINE__RETIRE_AFTER_MS", "100"),
        // No sweep comes to help.
        ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "300000"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let (slow, gate) = Receiver::gated().await;
    let receiver = Receiver::ok().await;
    let quick = json!({"eventTypes": ["quick"]});
    relay.api.subscribe(&receiver, quick).await;
    let event = relay.api.send("quick", json!(1)).await;
    let delivered = relay.final_delivery(&event).await;
    relay
        .api
        .until_get("/health", "the actor to retire", |health| {
            let detail = text(&health["components"]["deliveries"], "detail");
            detail.contains(" 0 subscriptions busy")
        })
        .await;
    relay
        .api
        .subscribe(&slow, json!({"eventTypes": ["slow"]}))
        .await;
    relay.api.send("slow", json!(1)).await;
    slow.received(1).await;
    let refused = relay.api.retry(409, &delivered).await;
    assert!(
        text(&refused, "error").contains("The node has 1"),
        "{refused}"
    );
    assert_eq!(relay.api.delivery_of(&event).await, delivered);
    gate.open();
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 1);
    // What was refused left nothing that keeps the next event from its receiver.
    relay.api.send("quick", json!(2)).await;
    receiver.received(2).await;
}

async fn many_retries_at_once_make_one_attempt_each(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay
        .api
        .subscribe(&receiver, json!({"maxInFlight": 3}))
        .await;
    let mut deliveries = Vec::new();
    for number in 0..5 {
        let event = relay.api.send("a.b", json!(number)).await;
        deliveries.push(relay.final_delivery(&event).await);
    }
    // While ordinary traffic flows, each is asked for by four at once, until one is refused.
    let mut asking = Vec::new();
    for delivery in deliveries.iter().cycle().take(20) {
        let path = format!("/api/v1/deliveries/{}/retry", text(delivery, "id"));
        let request = relay.api.request(Method::POST, &path);
        asking.push(tokio::spawn(async move {
            request.send().await.unwrap().status().as_u16()
        }));
        relay.api.send("a.b", json!("more")).await;
    }
    let mut accepted = 0;
    for answer in asking {
        match answer.await.unwrap() {
            202 => accepted += 1,
            code => assert_eq!(code, 409),
        }
    }
    assert!(accepted >= 5, "{accepted} accepted");
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 25 + accepted);
    let rows = relay.api.deliveries_of(&subscribed.id).await;
    let rounds: u64 = rows
        .values()
        .map(|row| row["round"].as_u64().unwrap() - 1)
        .sum();
    assert_eq!(rounds, accepted as u64);
    let attempts: u64 = rows
        .values()
        .map(|row| row["attemptCount"].as_u64().unwrap())
        .sum();
    assert_eq!(attempts, 25 + accepted as u64);
}

async fn a_retry_after_a_restart_counts_for_the_breaker_that_was_kept(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, healed) = failing().await;
    let subscribed = relay.api.subscribe(&receiver, cut_for_hours()).await;
    let event = relay.api.send("a.b", json!(1)).await;
    let waiting = relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 1)
        .await;
    relay
        .api
        .until_get(&subscribed.path(), "the open breaker", |view| {
            view["breakerState"]["state"] == "open"
        })
        .await;
    let backend = relay.stop().await;
    healed.store(true, Ordering::SeqCst);
    let relay = Relay::start_on(backend, &[]).await;
    relay.api.retry(202, &waiting).await;
    until_breaker(&relay, BreakerState::HalfOpen).await;
    assert_eq!(relay.final_delivery(&event).await["status"], "delivered");
}

/// Whoever only accepts does not know what flies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_through_another_process_overtakes_no_attempt_under_way() {
    let relay = Relay::start(Profile::Split).await;
    relay.owner_hears().await;
    let (receiver, gate) = Receiver::gated().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let event = relay.api.send("a.b", json!({})).await;
    receiver.received(1).await;
    let delivery = relay.api.delivery_of(&event).await;
    relay.api.retry(202, &delivery).await;
    // Heard after it, because notices keep their order.
    let later = relay.api.send("a.b", json!({})).await;
    receiver.received(2).await;
    gate.open();
    relay.final_delivery(&later).await;
    let delivered = relay.final_delivery(&event).await;
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(of_attempts(&delivered, "stale"), [false]);
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_nobody_tells_the_owner_of_goes_out_with_a_sweep() {
    let alone = [
        ("REDIS_URL", ""),
        ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "200"),
    ];
    let relay = Relay::start_with(Profile::Split, &alone).await;
    let receiver =
        Receiver::answering(|number, _| status(if number == 0 { 500 } else { 200 })).await;
    let hour = json!({"retryPolicy": {"delaysMs": [HOUR_MS]}});
    relay.api.subscribe(&receiver, hour).await;
    let event = relay.api.send("a.b", json!({})).await;
    let mut delivery = relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 1)
        .await;
    // One that waits for its schedule, and one that is final.
    for round in [2, 3] {
        relay.api.retry(202, &delivery).await;
        delivery = relay
            .delivery_when(&event, |delivery| delivery["attemptCount"] == round)
            .await;
        assert_eq!(
            (&delivery["status"], &delivery["round"]),
            (&json!("delivered"), &json!(round))
        );
    }
    assert_eq!(
        of_attempts(&delivery, "trigger"),
        ["schedule", "manual", "manual"]
    );
}
