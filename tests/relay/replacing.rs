//! Requests of the systems that Posthaste replaces, as their clients send them.

use reqwest::Method;
use serde_json::json;

use crate::support::relay::{rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    the_jobs_and_candidates_relay_can_be_replaced,
    the_full_stack_relay_can_be_replaced,
);

async fn the_jobs_and_candidates_relay_can_be_replaced(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let api = &relay.api;
    let webhook = json!({"name": "HRMS Integration", "url": receiver.url(),
        "eventTypes": ["candidate.created", "candidate.updated"]});
    let hrms = api.post(201, "/api/webhooks", &webhook).await;
    let event = json!({"eventType": "candidate.created",
        "eventName": "Candidate John Doe Created", "payload": {"id": 1},
        "source": "candidates-service"});
    let first = api.post(202, "/api/events", &event).await;
    let received = receiver.received(1).await.remove(0).json();
    assert_eq!(received["eventId"], first["eventId"]);
    assert_eq!(received["data"], json!({"id": 1}));
    let page = api
        .get("/api/events?eventType=candidate.created&limit=50&offset=0")
        .await;
    assert_eq!(rows(&page).len(), 1);
    assert_eq!(rows(&page)[0]["id"], first["eventId"]);
    let deliveries = format!("/api/webhooks/{}/deliveries", text(&hrms, "id"));
    assert_eq!(rows(&api.get(&deliveries).await).len(), 1);

    let path = format!("/api/webhooks/{}", text(&hrms, "id"));
    let off = api.put(&path, &json!({"isActive": false})).await;
    assert_eq!(off["isActive"], false);
}

async fn the_full_stack_relay_can_be_replaced(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let api = &relay.api;
    let webhook = json!({"name": "Test", "url": receiver.url(), "eventTypes": ["job.created"],
        "clientId": "default-client", "headers": {"X-Team": "a"},
        "retryPolicy": {"attempts": 5, "baseMs": 1_000, "capMs": 60_000}});
    let test = api.post(201, "/api/webhooks", &webhook).await;
    let event = json!({"eventType": "job.created", "payload": {"jobId": "123"},
        "idempotencyKey": "job-123"});
    let job = api.post(202, "/api/events", &event).await;
    let received = receiver.received(1).await.remove(0);
    assert_eq!(received.header("x-team"), "a");
    let shown = api
        .get(&format!("/api/webhooks/{}", text(&test, "id")))
        .await;
    assert_eq!(shown["clientId"], "default-client");
    assert_eq!(rows(&api.get("/api/webhooks").await).len(), 1);
    assert_eq!(rows(&api.get("/api/events").await).len(), 1);
    let path = format!("/api/events/{}", text(&job, "eventId"));
    assert_eq!(api.get(&path).await["payload"], json!({"jobId": "123"}));
    relay.nothing_pending().await;
    let list = api.get("/api/deliveries?limit=100").await;
    let row = rows(&list)
        .iter()
        .find(|row| row["eventId"] == job["eventId"]);
    let delivery = api
        .get(&format!("/api/deliveries/{}", text(row.unwrap(), "id")))
        .await;
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
        assert!(delivery.get(field).is_some(), "{field}");
    }
    let path = format!("/api/webhooks/{}", text(&test, "id"));
    let renamed = api.put(&path, &json!({"name": "Renamed"})).await;
    assert_eq!(renamed["name"], "Renamed");
    api.expect(204, Method::DELETE, &path, None).await;
    api.expect(404, Method::GET, &path, None).await;
}
