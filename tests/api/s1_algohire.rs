//! S1: the AlgoHire relay of a recruitment platform.

use reqwest::Method;
use serde_json::json;

use crate::caller::{Caller, arrived, strangers};
use crate::support::receiver::status;
use crate::support::relay::{rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    an_event_is_stored_and_delivered_later,
    management_asks_for_the_key,
    a_failed_delivery_is_tried_three_times_and_retried_by_hand,
    failures_in_a_row_deactivate_a_webhook,
    the_log_is_searched_and_filtered,
);

const KEY: &str = "X-API-Key";

async fn an_event_is_stored_and_delivered_later(profile: Profile) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "admin", KEY).await;
    let (receiver, gate) = Receiver::gated().await;
    let subscription = json!({"name": "ATS", "url": receiver.url(), "eventTypes": ["job.created"]});
    caller.post(201, "/api/subscriptions", &subscription).await;
    let event = json!({"eventType": "job.created", "payload": {"jobId": 7}});
    // Answered although the receiver has answered nothing yet.
    let first = caller.post(202, "/api/events", &event).await;
    let second = caller.post(202, "/api/events", &event).await;
    assert_ne!(first["eventId"], second["eventId"]);
    gate.open();
    let got = arrived(&receiver, 2, &first).await;
    assert_eq!(got.json()["data"], event["payload"]);
    arrived(&receiver, 2, &second).await;
}

async fn management_asks_for_the_key(profile: Profile) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "admin", KEY).await;
    for path in ["/api/subscriptions", "/api/logs"] {
        assert_eq!(
            strangers(&relay, Method::GET, path).await,
            [401, 401],
            "{path}"
        );
        assert!(rows(&caller.get(path).await).is_empty(), "{path}");
    }
    assert_eq!(
        strangers(&relay, Method::POST, "/api/events").await,
        [401, 401]
    );
}

async fn a_failed_delivery_is_tried_three_times_and_retried_by_hand(profile: Profile) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "admin", KEY).await;
    let receiver =
        Receiver::answering(|number, _| status(if number < 3 { 500 } else { 200 })).await;
    let subscription = json!({
        "name": "ATS", "url": receiver.url(), "eventTypes": ["*"], "retryPolicy": {"attempts": 3},
    });
    caller.post(201, "/api/subscriptions", &subscription).await;
    let event = json!({"eventType": "job.created", "payload": {"jobId": 7}});
    let event = caller.post(202, "/api/events", &event).await;
    let failed = relay.final_delivery(text(&event, "eventId")).await;
    assert_eq!(
        (&failed["status"], &failed["attemptCount"]),
        (&json!("failed"), &json!(3))
    );
    // The Retry button on a failed log.
    let log = caller.get("/api/logs?status=failed").await;
    assert_eq!(rows(&log)[0]["id"], failed["id"]);
    let path = format!("/api/logs/{}/retry", text(&failed, "id"));
    caller.press(202, &path).await;
    let arrived = relay.delivery_when(text(&event, "eventId"), |delivery| {
        delivery["status"] == "delivered"
    });
    assert_eq!(arrived.await["id"], failed["id"]);
}

async fn failures_in_a_row_deactivate_a_webhook(profile: Profile) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "admin", KEY).await;
    let receiver = Receiver::answering(|_, _| status(500)).await;
    let subscription = json!({
        "name": "ATS", "url": receiver.url(), "eventTypes": ["*"],
        "retryPolicy": {"attempts": 1}, "deactivation": {"exhaustedDeliveries": 2},
    });
    let made = caller.post(201, "/api/subscriptions", &subscription).await;
    for _ in 0..2 {
        let event = json!({"eventType": "job.created", "payload": {}});
        let event = caller.post(202, "/api/events", &event).await;
        relay.final_delivery(text(&event, "eventId")).await;
    }
    let path = format!("/api/subscriptions/{}", text(&made, "id"));
    let state = relay.look_until("the deactivation", async || {
        let shown = caller.get(&path).await;
        (shown["state"] == "deactivated").then_some(shown)
    });
    assert_eq!(state.await["stateReason"], "exhausted");
}

async fn the_log_is_searched_and_filtered(profile: Profile) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "admin", KEY).await;
    let receiver = Receiver::ok().await;
    let subscription = json!({"name": "ATS", "url": receiver.url(), "eventTypes": ["*"]});
    caller.post(201, "/api/subscriptions", &subscription).await;
    for event_type in ["job.created", "candidate.created"] {
        let event = json!({"eventType": event_type, "payload": {}});
        let event = caller.post(202, "/api/events", &event).await;
        relay.final_delivery(text(&event, "eventId")).await;
    }
    for path in ["/api/logs?eventType=job.created", "/api/logs?q=job.created"] {
        let log = caller.get(path).await;
        assert_eq!(rows(&log).len(), 1, "{path}: {log}");
        assert_eq!(rows(&log)[0]["eventType"], "job.created");
    }
}
