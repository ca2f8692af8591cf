//! S4: a relay with a dashboard, whose routes stand at the root.

use reqwest::Method;
use serde_json::json;

use crate::caller::{Caller, strangers};
use crate::support::relay::{rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    events_webhooks_and_logs_stand_at_the_root,
    idempotency_keys_are_taken,
    the_asked_for_retry_toggle_and_metrics_are_there,
);

const KEY: &str = "X-API-Key";

async fn events_webhooks_and_logs_stand_at_the_root(profile: Profile) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "admin", KEY).await;
    let receiver = Receiver::ok().await;
    let webhook = json!({"name": "w", "url": receiver.url(), "eventTypes": ["job.created"]});
    let webhook = caller.post(201, "/webhooks", &webhook).await;
    let event = json!({"eventType": "job.created", "payload": {"jobId": 1}});
    let event = caller.post(202, "/events", &event).await;
    let delivered = relay.final_delivery(text(&event, "eventId")).await;
    let log = caller.get("/logs").await;
    let entry = &rows(&log)[0];
    assert_eq!(entry["id"], delivered["id"]);
    assert_eq!(entry["webhookId"], webhook["id"]);
    assert_eq!(
        (&entry["status"], &entry["retryCount"]),
        (&json!("delivered"), &json!(0))
    );
    for (method, path) in [
        (Method::POST, "/events"),
        (Method::POST, "/webhooks"),
        (Method::GET, "/logs"),
    ] {
        assert_eq!(strangers(&relay, method, path).await, [401, 401], "{path}");
    }
}

async fn idempotency_keys_are_taken(profile: Profile) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "service", KEY).await;
    let event = json!({"eventType": "job.created", "payload": {}, "idempotencyKey": "k"});
    let first = caller.post(202, "/events", &event).await;
    let again = caller.post(202, "/events", &event).await;
    assert_eq!(first["eventId"], again["eventId"]);
}

async fn the_asked_for_retry_toggle_and_metrics_are_there(profile: Profile) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "admin", KEY).await;
    let receiver = Receiver::ok().await;
    let webhook = json!({"name": "w", "url": receiver.url(), "eventTypes": ["*"]});
    let webhook = caller.post(201, "/webhooks", &webhook).await;
    let path = format!("/webhooks/{}", text(&webhook, "id"));
    assert_eq!(
        caller.put(&path, &json!({"isActive": false})).await["isActive"],
        false
    );
    assert_eq!(
        caller.put(&path, &json!({"isActive": true})).await["isActive"],
        true
    );
    let event = json!({"eventType": "job.created", "payload": {}});
    let event = caller.post(202, "/events", &event).await;
    let delivered = relay.final_delivery(text(&event, "eventId")).await;
    let retry = format!("/logs/{}/retry", text(&delivered, "id"));
    caller.press(202, &retry).await;
    receiver.received(2).await;
    assert!(caller.get("/api/dashboard/metrics").await.is_object());
}
