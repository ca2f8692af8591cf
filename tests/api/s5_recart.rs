//! S5: the Recart notification service: partners that send batches of orders.

use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{Caller, arrived, strangers};
use crate::support::relay::{rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    a_batch_is_enqueued_and_answered_item_by_item,
    a_batch_is_accepted_whole_or_not_at_all,
    single_failures_are_answered_each,
    only_active_partners_send,
    server_and_worker_are_processes_of_their_own,
);

const KEY: &str = "X-API-Key";
const EVENTS: &str = "/api/v1/events";

fn orders() -> Value {
    json!([
        {"eventType": "order.created", "data": {"orderId": "ord_12345", "value": 99.99}},
        {"eventType": "order.paid", "data": {"orderId": "ord_12345"}},
        {"eventType": "order.shipped", "data": {"orderId": "ord_12345"}},
    ])
}

/// A relay with an active partner that has a key.
async fn partner(profile: Profile) -> (Relay, Caller) {
    let relay = Relay::start(profile).await;
    let tenant = json!({"id": "partner-1", "name": "Partner"});
    relay.api.post(201, "/api/v1/tenants", &tenant).await;
    let key = json!({"name": "partner", "scopes": ["events:write"], "tenant": "partner-1"});
    let caller = Caller::with(&relay, key, KEY).await;
    (relay, caller)
}

async fn a_batch_is_enqueued_and_answered_item_by_item(profile: Profile) {
    let (relay, caller) = partner(profile).await;
    let receiver = Receiver::ok().await;
    relay
        .api
        .subscribe(&receiver, json!({"clientId": "partner-1"}))
        .await;
    let answer = caller.post(202, EVENTS, &orders()).await;
    assert_eq!(answer["message"], "All 3 events successfully enqueued");
    let results = answer["results"].as_array().unwrap();
    for (result, sent) in results.iter().zip(orders().as_array().unwrap()) {
        let expected = json!({
            "eventId": text(result, "eventId"), "eventType": sent["eventType"], "status": "success",
        });
        assert_eq!(*result, expected);
    }
    let got = arrived(&receiver, 3, &results[0]).await;
    assert_eq!(got.json()["data"]["orderId"], "ord_12345");
}

async fn a_batch_is_accepted_whole_or_not_at_all(profile: Profile) {
    let (relay, caller) = partner(profile).await;
    let mut batch = orders();
    batch[1].as_object_mut().unwrap().remove("eventType");
    batch[2].as_object_mut().unwrap().remove("data");
    let refused = caller.post(400, EVENTS, &batch).await;
    let error = text(&refused, "error");
    assert!(
        error.starts_with("Invalid request body. Errors: "),
        "{error}"
    );
    for place in ["[1].eventType", "[2].data"] {
        assert!(error.contains(place), "{error}");
    }
    assert!(rows(&relay.api.get(EVENTS).await).is_empty());
}

async fn single_failures_are_answered_each(profile: Profile) {
    let (_relay, caller) = partner(profile).await;
    let mut batch = orders();
    batch[1]["eventType"] = json!("no event type");
    let answer = caller
        .post(207, "/api/v1/events?atomic=false", &batch)
        .await;
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[1]["status"], "failed");
    assert!(!text(&results[1], "error").is_empty());
    assert_eq!(
        (&results[0]["status"], &results[2]["status"]),
        (&json!("success"), &json!("success"))
    );
}

async fn only_active_partners_send(profile: Profile) {
    let (relay, caller) = partner(profile).await;
    assert_eq!(strangers(&relay, Method::POST, EVENTS).await, [401, 401]);
    caller.post(202, EVENTS, &orders()).await;
    relay
        .api
        .put("/api/v1/tenants/partner-1", &json!({"status": "inactive"}))
        .await;
    let refused = caller.post(403, EVENTS, &orders()).await;
    assert!(text(&refused, "error").contains("inactive"), "{refused}");
    relay
        .api
        .put("/api/v1/tenants/partner-1", &json!({"status": "active"}))
        .await;
    caller.post(202, EVENTS, &orders()).await;
}

async fn server_and_worker_are_processes_of_their_own(profile: Profile) {
    if profile == Profile::Embedded {
        return; // One process owns a SQLite file.
    }
    let relay = Relay::start(Profile::Split).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    relay.api.post(202, EVENTS, &orders()).await;
    receiver.received_events(3).await;
}
