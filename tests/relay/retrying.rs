//! Attempts that fail, and those that come after them.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::receiver::{Received, status};
use crate::support::relay::{Subscribed, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    an_event_is_sent_until_it_arrives,
    every_attempt_is_signed_anew_over_the_same_bytes,
    used_up_attempts_end_a_delivery_and_a_retry_by_hand_begins_a_round,
    a_delivery_that_waits_for_its_retry_can_be_retried_at_once,
    an_age_limit_ends_a_delivery,
    explicit_delays_count_the_attempts,
    a_receiver_that_is_not_there_is_tried_again;
    in_one_process: a_delivery_in_flight_is_not_retried,
    a_retry_comes_though_its_actor_has_retired_meanwhile,
);

/// Answers 500 so often, then 200.
async fn failing_first(failures: usize) -> Receiver {
    Receiver::answering(move |number, _| status(if number < failures { 500 } else { 200 })).await
}

fn numbers(delivery: &Value) -> Vec<u64> {
    let attempts = delivery["attempts"].as_array().unwrap();
    attempts
        .iter()
        .map(|attempt| attempt["number"].as_u64().unwrap())
        .collect()
}

fn of_attempts(delivery: &Value, field: &str) -> Vec<Value> {
    let attempts = delivery["attempts"].as_array().unwrap();
    attempts
        .iter()
        .map(|attempt| attempt[field].clone())
        .collect()
}

async fn an_event_is_sent_until_it_arrives(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = failing_first(2).await;
    relay.api.subscribe(&receiver, json!({})).await;
    let event = relay.api.send("job.created", json!({"jobId": "1"})).await;

    let delivery = relay.final_delivery(&event).await;
    assert_eq!(receiver.count(), 3);
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["attemptCount"], 3);
    assert_eq!(delivery["retryCount"], 2);
    assert_eq!(delivery["round"], 1);
    assert_eq!(delivery["nextRetryAt"], Value::Null);
    assert_eq!(delivery["httpStatus"], 200);
    assert_eq!(numbers(&delivery), [1, 2, 3]);
    assert_eq!(of_attempts(&delivery, "status"), [500, 500, 200]);
    assert_eq!(of_attempts(&delivery, "trigger"), ["schedule"; 3]);
    assert_eq!(of_attempts(&delivery, "stale"), [false; 3]);
    assert_eq!(
        of_attempts(&delivery, "errorKind"),
        [json!("status"), json!("status"), Value::Null]
    );
    assert_eq!(
        text(&delivery["attempts"][0], "error"),
        "the receiver answered 500"
    );

    let first = &delivery["attempts"][0]["timing"];
    for part in ["connectMs", "firstByteMs", "bodyMs"] {
        assert!(first[part].is_f64(), "{part} of {first}");
    }
    for part in ["nameMs", "tlsMs"] {
        assert_eq!(first[part], Value::Null, "{part} of {first}");
    }
    // The second attempt goes over the connection that the first one left.
    let second = &delivery["attempts"][1]["timing"];
    assert_eq!(second["connectMs"], Value::Null);
    assert!(second["firstByteMs"].is_f64(), "{second}");
}

/// What a receiver does with a request before it believes it.
fn verify(received: &Received, subscribed: &Subscribed) {
    let webhook = standardwebhooks::Webhook::new(&subscribed.secret).unwrap();
    webhook.verify(&received.body, &received.headers).unwrap();

    let mut mac = Hmac::<Sha256>::new_from_slice(subscribed.secret.as_bytes()).unwrap();
    mac.update(&received.body);
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(received.header("x-webhook-signature"), hex);
    assert_eq!(
        received.header("x-webhook-timestamp"),
        received.header("webhook-timestamp")
    );
    assert_eq!(received.header("content-type"), "application/json");
    assert!(received.header("user-agent").starts_with("Posthaste/"));
}

async fn every_attempt_is_signed_anew_over_the_same_bytes(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = failing_first(2).await;
    // Over a second between the first two, so that their timestamps have to differ.
    let delays = json!({"retryPolicy": {"delaysMs": [1_100, 100]}});
    let subscribed = relay.api.subscribe(&receiver, delays).await;
    let event = relay.api.send("job.created", json!({"jobId": "1"})).await;

    let received = receiver.received(3).await;
    for one in &received {
        verify(one, &subscribed);
        assert_eq!(one.event_id(), event);
        assert_eq!(one.body, received[0].body);
    }
    let stamps: Vec<i64> = received
        .iter()
        .map(|one| one.header("webhook-timestamp").parse().unwrap())
        .collect();
    assert!(stamps[0] < stamps[1], "{stamps:?}");
    let signature = |at: usize| received[at].header("webhook-signature").to_owned();
    assert_ne!(signature(0), signature(1));
    let mut forged = received[0].clone();
    forged.body = b"{}".as_slice().into();
    let webhook = standardwebhooks::Webhook::new(&subscribed.secret).unwrap();
    assert!(webhook.verify(&forged.body, &forged.headers).is_err());
}

async fn used_up_attempts_end_a_delivery_and_a_retry_by_hand_begins_a_round(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = failing_first(3).await;
    let policy = json!({"retryPolicy": {"attempts": 2, "baseMs": 100, "capMs": 100}});
    relay.api.subscribe(&receiver, policy).await;
    let event = relay.api.send("job.created", json!({})).await;

    let failed = relay.final_delivery(&event).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(numbers(&failed), [1, 2]);
    assert_eq!(receiver.count(), 2);

    // The retry fails once more, and the new round has a schedule of its own.
    let retried = relay.api.retry(202, &failed).await;
    assert_eq!(retried["round"], 2);
    let delivered = relay.final_delivery(&event).await;
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(delivered["round"], 2);
    assert_eq!(numbers(&delivered), [1, 2, 3, 4]);
    assert_eq!(of_attempts(&delivered, "status"), [500, 500, 500, 200]);
    assert_eq!(
        of_attempts(&delivered, "trigger"),
        ["schedule", "schedule", "manual", "schedule"]
    );

    // What arrived can be sent again too.
    relay.api.retry(202, &delivered).await;
    let again = relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 5)
        .await;
    assert_eq!(again["status"], "delivered");
    assert_eq!(again["round"], 3);
    assert_eq!(again["attempts"][4]["trigger"], "manual");
    assert_eq!(receiver.count(), 5);
}

async fn a_delivery_that_waits_for_its_retry_can_be_retried_at_once(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = failing_first(1).await;
    let hour = json!({"retryPolicy": {"delaysMs": [3_600_000]}});
    relay.api.subscribe(&receiver, hour).await;
    let event = relay.api.send("job.created", json!({})).await;
    let waiting = relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 1)
        .await;
    assert_eq!(waiting["status"], "pending");
    assert!(text(&waiting, "nextRetryAt") > text(&waiting, "createdAt"));

    relay.api.retry(202, &waiting).await;
    let delivered = relay.final_delivery(&event).await;
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(numbers(&delivered), [1, 2]);
    assert_eq!(of_attempts(&delivered, "trigger"), ["schedule", "manual"]);
}

async fn a_delivery_in_flight_is_not_retried(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, gate) = Receiver::gated().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let event = relay.api.send("job.created", json!({})).await;
    receiver.received(1).await;

    let delivery = relay.api.delivery_of(&event).await;
    let refused = relay.api.retry(409, &delivery).await;
    assert!(text(&refused, "error").contains("right now"), "{refused}");
    gate.open();
    let delivered = relay.final_delivery(&event).await;
    assert_eq!(numbers(&delivered), [1]);
    assert_eq!(delivered["round"], 1);
    assert_eq!(receiver.count(), 1);
}

async fn an_age_limit_ends_a_delivery(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = failing_first(usize::MAX).await;
    // The third attempt would come at an age of over a second.
    let policy = json!({"retryPolicy": {"delaysMs": [100, 1_000, 100], "maxAgeMs": 1_000}});
    relay.api.subscribe(&receiver, policy).await;
    let event = relay.api.send("job.created", json!({})).await;

    let expired = relay.final_delivery(&event).await;
    assert_eq!(expired["status"], "expired");
    assert_eq!(numbers(&expired), [1, 2]);
    assert_eq!(receiver.count(), 2);
    // And is replayable: a round of its own age.
    relay.api.retry(202, &expired).await;
    let again = relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 4)
        .await;
    assert_eq!(again["status"], "expired");
    assert_eq!(again["round"], 2);
}

async fn explicit_delays_count_the_attempts(profile: Profile) {
    let relay = Relay::start(profile).await;
    let never = failing_first(usize::MAX).await;
    let once = json!({"retryPolicy": {"delaysMs": []}, "eventTypes": ["once"]});
    relay.api.subscribe(&never, once).await;
    let four = json!({"retryPolicy": {"delaysMs": [0, 0, 0]}, "eventTypes": ["four"]});
    relay.api.subscribe(&never, four).await;

    let event = relay.api.send("once", json!({})).await;
    let failed = relay.final_delivery(&event).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(numbers(&failed), [1]);
    let event = relay.api.send("four", json!({})).await;
    let failed = relay.final_delivery(&event).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(numbers(&failed), [1, 2, 3, 4]);
    assert_eq!(never.count(), 5);
}

async fn a_retry_comes_though_its_actor_has_retired_meanwhile(profile: Profile) {
    let more = [
        ("POSTHASTE_ENGINE__RETIRE_AFTER_MS", "100"),
        // No sweep comes to help.
        ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "300000"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let receiver = failing_first(1).await;
    let later = json!({"retryPolicy": {"delaysMs": [1_500]}});
    relay.api.subscribe(&receiver, later).await;
    let event = relay.api.send("a.b", json!({})).await;
    relay.recorded(1).await;
    relay
        .api
        .until_get("/health", "the actor to retire", |health| {
            let detail = text(&health["components"]["deliveries"], "detail");
            detail.contains(" 0 subscriptions busy")
        })
        .await;
    receiver.received(2).await;
    assert_eq!(relay.final_delivery(&event).await["status"], "delivered");
}

async fn a_receiver_that_is_not_there_is_tried_again(profile: Profile) {
    let relay = Relay::start(profile).await;
    // Taken, so that nobody else gets the port, and never listened on.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/hook", taken.local_addr().unwrap());
    let policy = json!({"retryPolicy": {"delaysMs": [100]}});
    relay.api.subscribe_url(&url, policy).await;
    let event = relay.api.send("job.created", json!({})).await;

    let failed = relay.final_delivery(&event).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(of_attempts(&failed, "errorKind"), ["connect", "connect"]);
    assert_eq!(of_attempts(&failed, "status"), [Value::Null, Value::Null]);
    assert_eq!(failed["httpStatus"], Value::Null);
    assert_eq!(failed["responseBody"], Value::Null);
}
