//! A receiver that keeps failing is left alone, probed, and gets everything once it recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::Response;
use posthaste::domain::Timestamp;
use posthaste::domain::breaker::BreakerState;
use posthaste::domain::id::SubscriptionId;
use posthaste::events::EngineEvent;
use serde_json::{Value, json};

use crate::support::receiver::{Gate, status};
use crate::support::relay::{Subscribed, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    an_open_breaker_makes_no_attempt_and_uses_none_up,
    probes_take_the_oldest_before_its_retry_time,
    each_failed_probe_is_an_attempt_and_waits_longer,
    a_receiver_that_recovers_gets_everything,
    after_closing_traffic_ramps_up,
    an_open_breaker_survives_a_restart,
    a_restarted_relay_probes_although_every_delivery_waits_for_its_retry,
    another_address_is_probed_at_once,
    switched_off_it_never_opens,
    a_receiver_that_names_its_pace_does_not_fail,
    what_is_wrong_with_its_rules_is_told,
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

async fn send(relay: &Relay, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    for number in 0..count {
        events.push(relay.api.send("cut", json!({"number": number})).await);
    }
    events
}

/// Waits until the breaker of a subscription has come to this state.
async fn until_breaker(relay: &Relay, subscribed: &Subscribed, state: BreakerState) {
    let id: SubscriptionId = subscribed.id.parse().unwrap();
    let what = format!("the breaker to be {}", state.as_str());
    let wanted = |event: &EngineEvent| {
        matches!(event, EngineEvent::BreakerChanged { subscription, to, .. }
            if *subscription == id && *to == state)
    };
    relay.until(&what, wanted).await;
}

/// The state as it is shown once it is this one.
async fn shown(relay: &Relay, subscribed: &Subscribed, state: &str) -> Value {
    let view = relay
        .api
        .until_get(&subscribed.path(), "the state to be kept", |view| {
            view["breakerState"]["state"] == state
        })
        .await;
    view["breakerState"].clone()
}

/// Attempts recorded of a subscription's deliveries.
async fn attempts(relay: &Relay, subscribed: &Subscribed) -> u64 {
    let rows = relay.api.deliveries_of(&subscribed.id).await;
    let counts = rows.values().map(|row| row["attemptCount"].as_u64());
    counts.map(Option::unwrap).sum()
}

/// Once a neighbour has failed, been tried again and got a later event, whatever was due for
/// others could have been sent too.
async fn witnessed(relay: &Relay) {
    let receiver = Receiver::answering(|number, _| status([500, 200][number.min(1)])).await;
    let neighbour = relay.api.subscribe(&receiver, json!({})).await;
    relay.api.send("witnessed", json!(1)).await;
    receiver.received(2).await;
    relay.api.settled(&neighbour.id).await;
    relay.api.send("witnessed", json!(2)).await;
    receiver.received(3).await;
    relay.api.settled(&neighbour.id).await;
    let view = relay.api.subscription(&neighbour).await;
    assert_eq!(view["breakerState"]["state"], "closed");
    relay.api.delete(&neighbour).await;
}

async fn an_open_breaker_makes_no_attempt_and_uses_none_up(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, _) = failing().await;
    let rules = json!({"maxInFlight": 1, "breaker": {"consecutiveFailures": 3}});
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let view = relay.api.subscription(&subscribed).await;
    assert_eq!(view["breakerState"]["state"], "closed");
    assert_eq!(view["effective"]["breaker"]["coolDownMs"], 30_000);

    send(&relay, 6).await;
    until_breaker(&relay, &subscribed, BreakerState::Open).await;
    witnessed(&relay).await;
    assert_eq!(receiver.count(), 3);
    relay
        .look_until("the third record", async || {
            (attempts(&relay, &subscribed).await == 3).then_some(())
        })
        .await;
    let state = shown(&relay, &subscribed, "open").await;
    assert!(Timestamp::parse_rfc3339(text(&state, "openUntil")).is_some());
    assert_eq!(state["openedInARow"], 1);
}

async fn probes_take_the_oldest_before_its_retry_time(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver =
        Receiver::answering(|number, _| status(if number < 3 { 500 } else { 200 })).await;
    let rules = json!({
        "maxInFlight": 1,
        "retryPolicy": {"delaysMs": [HOUR_MS]},
        "breaker": {"consecutiveFailures": 3, "coolDownMs": 500},
    });
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let waiting = send(&relay, 3).await;
    until_breaker(&relay, &subscribed, BreakerState::Open).await;
    // Due at once, but younger.
    let young = send(&relay, 1).await;
    until_breaker(&relay, &subscribed, BreakerState::HalfOpen).await;
    until_breaker(&relay, &subscribed, BreakerState::Closed).await;

    let got = receiver.received(7).await;
    let got: Vec<_> = got.iter().map(|one| one.event_id()).collect();
    assert_eq!(got[3..], [&waiting[..], &young[..]].concat());
    for event in &waiting {
        let delivery = relay.final_delivery(event).await;
        assert_eq!(delivery["status"], "delivered");
        assert_eq!(delivery["attempts"][1]["trigger"], "probe");
        assert_eq!(delivery["attempts"][1]["number"], 2);
    }
    let delivery = relay.final_delivery(&young[0]).await;
    assert_eq!(delivery["attempts"][0]["trigger"], "schedule");
}

async fn each_failed_probe_is_an_attempt_and_waits_longer(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, _) = failing().await;
    let rules = json!({
        "retryPolicy": {"delaysMs": [HOUR_MS, HOUR_MS, HOUR_MS]},
        "breaker": {"consecutiveFailures": 1, "coolDownMs": 100},
    });
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let events = send(&relay, 1).await;
    let delivery = relay.final_delivery(&events[0]).await;
    assert_eq!(delivery["status"], "failed");
    let attempts = delivery["attempts"].as_array().unwrap();
    let column = |field: &str| -> Vec<Value> {
        attempts
            .iter()
            .map(|attempt| attempt[field].clone())
            .collect()
    };
    assert_eq!(column("number"), [1, 2, 3, 4]);
    assert_eq!(column("trigger"), ["schedule", "probe", "probe", "probe"]);
    let starts: Vec<Timestamp> = attempts
        .iter()
        .map(|attempt| Timestamp::parse_rfc3339(text(attempt, "startedAt")).unwrap())
        .collect();
    // A fifth less by chance, and a millisecond by cutting the times that are shown.
    for (pair, least) in starts.windows(2).zip([79, 159, 319]) {
        let waited = pair[1].since(pair[0]).as_millis();
        assert!(waited >= least, "{waited} ms are less than {least} ms");
    }
    // Its cool-down over, there is nothing to probe with; the next event is the probe.
    until_breaker(&relay, &subscribed, BreakerState::Open).await;
    send(&relay, 1).await;
    receiver.received(5).await;
}

async fn a_receiver_that_recovers_gets_everything(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, healed) = failing().await;
    let rules = json!({"breaker": {"consecutiveFailures": 5, "coolDownMs": 200, "probes": 2}});
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let mut events = send(&relay, 60).await;
    until_breaker(&relay, &subscribed, BreakerState::Open).await;
    events.extend(send(&relay, 60).await);
    healed.store(true, Ordering::SeqCst);
    until_breaker(&relay, &subscribed, BreakerState::Closed).await;
    relay.api.settled(&subscribed.id).await;
    let deliveries = relay.api.deliveries_of(&subscribed.id).await;
    assert_eq!(deliveries.len(), events.len());
    assert!(deliveries.values().all(|row| row["status"] == "delivered"));
    // The ramp is behind: it counts as recovered.
    let state = shown(&relay, &subscribed, "closed").await;
    assert_eq!(state["openUntil"], Value::Null);
    relay
        .api
        .until_get(&subscribed.path(), "the recovery", |view| {
            view["breakerState"]["openedInARow"] == 0
        })
        .await;
}

async fn after_closing_traffic_ramps_up(profile: Profile) {
    let relay = Relay::start(profile).await;
    let gate = Arc::new(Gate::default());
    let passing = Arc::clone(&gate);
    let receiver = Receiver::scripted(move |number, _| {
        let gate = Arc::clone(&passing);
        Box::pin(async move {
            match number {
                0 => return status(500),
                1 => {}
                _ => gate.pass().await,
            }
            status(200)
        })
    })
    .await;
    let rules = json!({"breaker": {"consecutiveFailures": 1, "coolDownMs": 1000, "probes": 1}});
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    send(&relay, 1).await;
    until_breaker(&relay, &subscribed, BreakerState::Open).await;
    send(&relay, 30).await;
    until_breaker(&relay, &subscribed, BreakerState::Closed).await;
    receiver.received(4).await;
    witnessed(&relay).await;
    assert_eq!(receiver.count(), 4, "two at once to begin with");
    gate.open();
    relay.api.settled(&subscribed.id).await;
    // The two events that the neighbour was witnessed with are among them.
    assert_eq!(receiver.received_events(33).await.len(), 33);
}

async fn an_open_breaker_survives_a_restart(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, healed) = failing().await;
    let rules = json!({"maxInFlight": 1, "breaker": {"consecutiveFailures": 2}});
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let mut events = send(&relay, 20).await;
    until_breaker(&relay, &subscribed, BreakerState::Open).await;
    let backend = relay.stop().await;

    let relay = Relay::start_on(backend, &[]).await;
    let state = relay.api.subscription(&subscribed).await["breakerState"].clone();
    assert_eq!(state["state"], "open");
    events.extend(send(&relay, 5).await);
    witnessed(&relay).await;
    assert_eq!(receiver.count(), 2);

    // Switched off, it holds nothing back any more.
    healed.store(true, Ordering::SeqCst);
    let off = json!({"breaker": {"enabled": false}});
    let view = relay.api.put(&subscribed.path(), &off).await;
    assert_eq!(view["breaker"], json!({"enabled": false}));
    until_breaker(&relay, &subscribed, BreakerState::Closed).await;
    relay.api.settled(&subscribed.id).await;
    let got = receiver.received_events(events.len()).await;
    assert!(events.iter().all(|event| got.contains_key(event)));
    shown(&relay, &subscribed, "closed").await;
}

async fn a_restarted_relay_probes_although_every_delivery_waits_for_its_retry(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, healed) = failing().await;
    let rules = json!({
        "retryPolicy": {"delaysMs": [HOUR_MS]},
        "breaker": {"consecutiveFailures": 1, "coolDownMs": 1000, "probes": 1},
    });
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let events = send(&relay, 1).await;
    until_breaker(&relay, &subscribed, BreakerState::Open).await;
    let backend = relay.stop().await;
    assert_eq!(receiver.count(), 1);
    healed.store(true, Ordering::SeqCst);
    let relay = Relay::start_on(backend, &[]).await;
    let delivery = relay.final_delivery(&events[0]).await;
    assert_eq!(delivery["attempts"][1]["trigger"], "probe");
    shown(&relay, &subscribed, "closed").await;
}

async fn another_address_is_probed_at_once(profile: Profile) {
    let relay = Relay::start(profile).await;
    let ((receiver, _), healthy) = (failing().await, Receiver::ok().await);
    let hours = json!({"consecutiveFailures": 1, "coolDownMs": HOUR_MS, "coolDownMaxMs": HOUR_MS});
    let rules = json!({"maxInFlight": 1, "breaker": hours});
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    send(&relay, 10).await;
    until_breaker(&relay, &subscribed, BreakerState::Open).await;
    let moved = json!({"url": healthy.url()});
    relay.api.put(&subscribed.path(), &moved).await;
    until_breaker(&relay, &subscribed, BreakerState::Closed).await;
    assert_eq!(healthy.received_events(10).await.len(), 10);
    assert_eq!(receiver.count(), 1);
}

async fn switched_off_it_never_opens(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, _) = failing().await;
    let rules = json!({
        "retryPolicy": {"attempts": 2, "baseMs": 100},
        "breaker": {"enabled": false, "consecutiveFailures": 1},
    });
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    send(&relay, 30).await;
    relay.api.settled(&subscribed.id).await;
    assert_eq!(receiver.count(), 60);
    let state = shown(&relay, &subscribed, "closed").await;
    assert_eq!(state["openedInARow"], 0);
}

async fn a_receiver_that_names_its_pace_does_not_fail(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::answering(|number, _| {
        let answer = Response::builder().header("retry-after", "1");
        match number {
            0 => answer.status(503).body(Body::empty()).unwrap(),
            _ => status(200),
        }
    })
    .await;
    let rules = json!({"breaker": {"consecutiveFailures": 1, "coolDownMs": HOUR_MS,
        "coolDownMaxMs": HOUR_MS}});
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let events = send(&relay, 1).await;
    let delivery = relay.final_delivery(&events[0]).await;
    assert_eq!(delivery["attempts"][1]["trigger"], "schedule");
    let state = shown(&relay, &subscribed, "closed").await;
    assert_eq!(state["openedInARow"], 0);
}

async fn what_is_wrong_with_its_rules_is_told(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let cases = [
        (json!({"coolDownMs": 99}), "breaker.coolDownMs"),
        (json!({"coolDownMaxMs": 29_999}), "breaker.coolDownMaxMs"),
        (json!({"failureRatio": 2}), "breaker.failureRatio"),
        (json!({"enabled": "no"}), "breaker.enabled"),
        (json!({"cooldown": 1}), "breaker.cooldown"),
        (json!(true), "breaker"),
    ];
    for (rules, place) in cases {
        let body = json!({"breaker": rules});
        let method = reqwest::Method::PUT;
        let path = subscribed.path();
        let answer = relay.api.expect(400, method, &path, Some(&body)).await;
        assert!(answer.to_string().contains(place), "{answer}");
    }
    // What is shown can be sent back; null returns to the default.
    let own = json!({"breaker": {"probes": 5}});
    relay.api.put(&subscribed.path(), &own).await;
    let mut view = relay.api.subscription(&subscribed).await;
    assert_eq!(view["breaker"], own["breaker"]);
    assert_eq!(view["effective"]["breaker"]["probes"], 5);
    relay.api.put(&subscribed.path(), &view).await;
    view["breaker"] = Value::Null;
    let view = relay.api.put(&subscribed.path(), &view).await;
    assert_eq!(view["effective"]["breaker"]["probes"], 3);
}

#[cfg(feature = "faults")]
mod crashing {
    use posthaste::faults::Point;

    use super::*;

    crate::stories!(an_actor_that_dies_forgets_no_breaker);

    async fn an_actor_that_dies_forgets_no_breaker(profile: Profile) {
        let relay = Relay::start(profile).await;
        let (receiver, _) = failing().await;
        let rules = json!({"maxInFlight": 1, "breaker": {"consecutiveFailures": 1}});
        let subscribed = relay.api.subscribe(&receiver, rules).await;
        send(&relay, 5).await;
        until_breaker(&relay, &subscribed, BreakerState::Open).await;
        let id: SubscriptionId = subscribed.id.parse().unwrap();
        relay.engine().faults().arm_for(Point::Subscription, id, 1);
        let woken = json!({"name": "woken"});
        relay.api.put(&subscribed.path(), &woken).await;
        relay
            .until("its actor to come back", |event| {
                *event == EngineEvent::ActorRestarted("subscription")
            })
            .await;
        witnessed(&relay).await;
        assert_eq!(receiver.count(), 1);
    }
}
