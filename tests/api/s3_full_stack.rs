//! S3: the full stack of thirteen endpoints.

use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{Caller, strangers};
use crate::support::receiver::status;
use crate::support::relay::{rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    events_have_unique_idempotency_keys,
    events_are_listed_shown_and_counted,
    webhooks_are_made_listed_changed_and_deleted,
    a_secret_is_rotated,
    deliveries_show_what_became_of_them,
    an_event_without_a_client_reaches_every_matching_webhook,
    pages_hold_at_most_a_hundred,
    a_client_may_call_a_hundred_times_a_minute,
    every_endpoint_asks_for_the_key,
);

const KEY: &str = "X-API-Key";

fn job(number: usize) -> Value {
    json!({"eventType": "job.created", "payload": {"jobId": number.to_string()}})
}

fn webhook(url: &str) -> Value {
    json!({
        "name": "Test", "url": url, "eventTypes": ["job.created"], "clientId": "default-client",
    })
}

async fn start(profile: Profile) -> (Relay, Caller) {
    let relay = Relay::start(profile).await;
    let caller = Caller::with_key(&relay, "admin", KEY).await;
    (relay, caller)
}

async fn events_have_unique_idempotency_keys(profile: Profile) {
    let (_relay, caller) = start(profile).await;
    let mut event = job(123);
    event["idempotencyKey"] = json!("once");
    let first = caller.post(202, "/api/events", &event).await;
    let again = caller.post(202, "/api/events", &event).await;
    assert_eq!(first["eventId"], again["eventId"]);
    assert_eq!(rows(&caller.get("/api/events").await).len(), 1);
    event["payload"] = json!({"jobId": "124"});
    caller.post(422, "/api/events", &event).await;
}

async fn events_are_listed_shown_and_counted(profile: Profile) {
    let (relay, caller) = start(profile).await;
    let sent = caller.post(202, "/api/events", &job(123)).await;
    let id = text(&sent, "eventId");
    assert_eq!(rows(&caller.get("/api/events").await)[0]["id"], id);
    let shown = caller.get(&format!("/api/events/{id}")).await;
    assert_eq!(shown["payload"], json!({"jobId": "123"}));
    relay
        .look_until("the count", async || {
            let summary = caller.get("/api/events/stats/summary").await;
            (summary["total"] == 1).then_some(())
        })
        .await;
}

async fn webhooks_are_made_listed_changed_and_deleted(profile: Profile) {
    let (_relay, caller) = start(profile).await;
    let receiver = Receiver::ok().await;
    let mut body = webhook(&receiver.url());
    body["headers"] = json!({"X-Team": "recruiting"});
    body["retryPolicy"] = json!({"attempts": 5});
    let made = caller.post(201, "/api/webhooks", &body).await;
    assert_eq!(made["clientId"], "default-client");
    let path = format!("/api/webhooks/{}", text(&made, "id"));
    assert_eq!(
        rows(&caller.get("/api/webhooks").await)[0]["id"],
        made["id"]
    );
    assert_eq!(caller.get(&path).await["retryPolicy"]["attempts"], 5);
    caller.post(202, "/api/events", &job(1)).await;
    receiver.received_events(1).await;
    assert_eq!(receiver.all()[0].header("x-team"), "recruiting");
    let changed = caller.put(&path, &json!({"name": "Renamed"})).await;
    assert_eq!(
        (&changed["name"], &changed["url"]),
        (&json!("Renamed"), &made["url"])
    );
    caller.delete(204, &path).await;
    assert_eq!(caller.call(Method::GET, &path, None).await.status, 404);
}

async fn a_secret_is_rotated(profile: Profile) {
    let (_relay, caller) = start(profile).await;
    let receiver = Receiver::ok().await;
    let made = caller
        .post(201, "/api/webhooks", &webhook(&receiver.url()))
        .await;
    let path = format!("/api/webhooks/{}/rotate-secret", text(&made, "id"));
    let rotated = caller.press(200, &path).await;
    assert_ne!(rotated["secret"], made["secret"]);
    assert!(text(&rotated, "secret").starts_with("whsec_"));
}

async fn deliveries_show_what_became_of_them(profile: Profile) {
    let (relay, caller) = start(profile).await;
    let receiver =
        Receiver::answering(|number, _| status(if number == 0 { 500 } else { 200 })).await;
    let mut body = webhook(&receiver.url());
    body["retryPolicy"] = json!({"attempts": 1});
    caller.post(201, "/api/webhooks", &body).await;
    let event = caller.post(202, "/api/events", &job(1)).await;
    let failed = relay.final_delivery(text(&event, "eventId")).await;
    let listed = caller.get("/api/deliveries").await;
    assert_eq!(rows(&listed)[0]["id"], failed["id"]);
    let path = format!("/api/deliveries/{}", text(&failed, "id"));
    let shown = caller.get(&path).await;
    for field in [
        "status",
        "httpStatus",
        "responseBody",
        "responseHeaders",
        "retryCount",
        "nextRetryAt",
        "lastAttemptAt",
        "error",
    ] {
        assert!(shown.get(field).is_some(), "{field} is missing: {shown}");
    }
    assert_eq!(
        (&shown["status"], &shown["httpStatus"]),
        (&json!("failed"), &json!(500))
    );
    caller.press(202, &format!("{path}/retry")).await;
    relay
        .delivery_when(text(&event, "eventId"), |delivery| {
            delivery["status"] == "delivered"
        })
        .await;
    relay
        .look_until("the count", async || {
            let summary = caller.get("/api/deliveries/stats/summary").await;
            (summary["total"] == 1).then_some(())
        })
        .await;
}

async fn an_event_without_a_client_reaches_every_matching_webhook(profile: Profile) {
    let (_relay, caller) = start(profile).await;
    let receiver = Receiver::ok().await;
    for client in [Some("default-client"), Some("another"), None] {
        let mut body = webhook(&receiver.url());
        body["clientId"] = client.map_or(Value::Null, Value::from);
        caller.post(201, "/api/webhooks", &body).await;
    }
    caller.post(202, "/api/events", &job(1)).await;
    receiver.received(3).await;
}

async fn pages_hold_at_most_a_hundred(profile: Profile) {
    let (_relay, caller) = start(profile).await;
    let batch: Value = (0..100).map(job).collect();
    caller.post(202, "/api/events", &batch).await;
    caller.post(202, "/api/events", &job(100)).await;
    assert_eq!(rows(&caller.get("/api/events?limit=100").await).len(), 100);
}

async fn a_client_may_call_a_hundred_times_a_minute(profile: Profile) {
    let limits = [("POSTHASTE_LIMITS__READ_PER_KEY", "100/minute")];
    let relay = Relay::start_with(profile, &limits).await;
    let caller = Caller::with_key(&relay, "client", KEY).await;
    for number in 0..100 {
        let answered = caller.call(Method::GET, "/api/webhooks", None).await;
        assert_eq!(answered.status, 200, "request {number}");
    }
    assert_eq!(
        caller.call(Method::GET, "/api/webhooks", None).await.status,
        429
    );
    // Others are not concerned.
    let other = Caller::with_key(&relay, "client", KEY).await;
    other.get("/api/webhooks").await;
}

async fn every_endpoint_asks_for_the_key(profile: Profile) {
    let (relay, _caller) = start(profile).await;
    let id = "0190b5a0-0000-7000-8000-000000000000";
    for (method, path) in [
        (Method::POST, "/api/events".to_owned()),
        (Method::GET, "/api/events".to_owned()),
        (Method::GET, format!("/api/events/{id}")),
        (Method::GET, "/api/events/stats/summary".to_owned()),
        (Method::POST, "/api/webhooks".to_owned()),
        (Method::GET, "/api/webhooks".to_owned()),
        (Method::GET, format!("/api/webhooks/{id}")),
        (Method::PUT, format!("/api/webhooks/{id}")),
        (Method::DELETE, format!("/api/webhooks/{id}")),
        (Method::POST, format!("/api/webhooks/{id}/rotate-secret")),
        (Method::GET, "/api/deliveries".to_owned()),
        (Method::GET, format!("/api/deliveries/{id}")),
        (Method::POST, format!("/api/deliveries/{id}/retry")),
        (Method::GET, "/api/deliveries/stats/summary".to_owned()),
    ] {
        assert_eq!(
            strangers(&relay, method.clone(), &path).await,
            [401, 401],
            "{method} {path}"
        );
    }
}
