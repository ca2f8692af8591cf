//! Looking things up: lists, filters, pages.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::status;
use crate::support::relay::{Subscribed, rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    pages_have_neither_gaps_nor_duplicates,
    pages_stay_whole_while_events_come_in,
    filters_find_what_they_name,
    bounds_of_pages_are_kept,
    an_event_is_shown_with_its_deliveries,
);

/// Accepts events as quickly as batches allow and returns their ids in order.
async fn send(relay: &Relay, event_type: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for start in (0..count).step_by(100) {
        let event = |number| json!({"eventType": event_type, "data": {"number": number}});
        let batch: Value = (start..count.min(start + 100)).map(event).collect();
        let answer = relay.api.post(202, "/api/v1/events", &batch).await;
        let results = answer["results"].as_array().unwrap();
        ids.extend(results.iter().map(|one| text(one, "eventId").to_owned()));
    }
    ids
}

/// A subscription that nothing is sent to, so that its deliveries stay as they are.
async fn silent(relay: &Relay, more: Value) -> Subscribed {
    let mut fields = json!({"isActive": false});
    fields
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap());
    relay
        .api
        .subscribe_url("http://127.0.0.1:9/hook", fields)
        .await
}

/// Follows the cursors of a list to its end.
async fn walk(relay: &Relay, path: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = relay.api.get(&format!("{path}{cursor}")).await;
        all.extend(rows(&page).iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn ids(rows: &[Value], field: &str) -> Vec<String> {
    rows.iter().map(|row| text(row, field).to_owned()).collect()
}

async fn pages_have_neither_gaps_nor_duplicates(profile: Profile) {
    let relay = Relay::start(profile).await;
    let subscribed = silent(&relay, json!({})).await;
    let mut newest_first = send(&relay, "many", 250).await;
    newest_first.reverse();

    for limit in [1, 7, 50, 100] {
        let path = format!("/api/v1/events?limit={limit}");
        assert_eq!(ids(&walk(&relay, &path).await, "id"), newest_first);
    }
    let lists = [
        "/api/v1/deliveries?limit=70".to_owned(),
        format!("{}/deliveries?limit=100&status=pending", subscribed.path()),
    ];
    for list in lists {
        let deliveries = walk(&relay, &list).await;
        assert_eq!(deliveries.len(), 250, "{list}");
        let of_events = ids(&deliveries, "eventId");
        let events: HashSet<&String> = of_events.iter().collect();
        assert_eq!(events, newest_first.iter().collect(), "{list}");
    }
    // The same rows by offset.
    let deliveries = ids(&walk(&relay, "/api/v1/deliveries?limit=100").await, "id");
    let page = relay
        .api
        .get("/api/v1/deliveries?limit=20&offset=240")
        .await;
    assert_eq!(ids(rows(&page), "id"), deliveries[240..]);
    assert_eq!(page["nextCursor"], Value::Null);
    let page = relay.api.get("/api/v1/events?limit=3&offset=10").await;
    assert_eq!(ids(rows(&page), "id"), newest_first[10..13]);
    let page = relay.api.get("/api/v1/events?offset=10000").await;
    assert_eq!(*rows(&page), [] as [Value; 0]);
}

async fn pages_stay_whole_while_events_come_in(profile: Profile) {
    let relay = Relay::start(profile).await;
    silent(&relay, json!({})).await;
    let old: HashSet<String> = send(&relay, "old", 60).await.into_iter().collect();
    let mut seen = Vec::new();
    let mut path = "/api/v1/deliveries?limit=9".to_owned();
    loop {
        let page = relay.api.get(&path).await;
        seen.extend(ids(rows(&page), "eventId"));
        send(&relay, "new", 2).await;
        match page["nextCursor"].as_str() {
            Some(next) => path = format!("/api/v1/deliveries?limit=9&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 60);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>(), old);
}

async fn filters_find_what_they_name(profile: Profile) {
    let relay = Relay::start(profile).await;
    let good = Receiver::ok().await;
    let bad = Receiver::answering(|_, _| status(500)).await;
    let good_one = relay.api.subscribe(&good, json!({})).await;
    let once = json!({"retryPolicy": {"delaysMs": []}, "clientId": "acme"});
    let bad_one = relay.api.subscribe(&bad, once).await;
    let jobs = send(&relay, "job.created", 3).await;
    let candidates = send(&relay, "candidate.created", 2).await;
    let sourced = json!({"eventType": "order.created", "payload": {}, "source": "shop",
        "tenant": "acme"});
    let order = relay.api.post(202, "/api/v1/events", &sourced).await;
    let order = text(&order, "eventId");
    relay.nothing_pending().await;
    let count = async |path: String| walk(&relay, &path).await.len();

    let deliveries = |query: String| count(format!("/api/v1/deliveries?{query}"));
    // The order's tenant has one of the two subscriptions.
    assert_eq!(deliveries(String::new()).await, 11);
    assert_eq!(deliveries("status=failed".into()).await, 6);
    assert_eq!(deliveries("state=delivered".into()).await, 5);
    assert_eq!(deliveries("status=cancelled".into()).await, 0);
    assert_eq!(deliveries("eventType=job.created".into()).await, 6);
    assert_eq!(deliveries("eventType=job".into()).await, 0);
    assert_eq!(deliveries(format!("eventId={order}")).await, 1);
    assert_eq!(deliveries(format!("eventId={}", jobs[0])).await, 2);
    assert_eq!(
        deliveries(format!("subscriptionId={}", bad_one.id)).await,
        6
    );
    assert_eq!(deliveries(format!("webhookId={}", good_one.id)).await, 5);
    let both = format!(
        "subscriptionId={}&status=failed&eventType=candidate.created",
        bad_one.id
    );
    assert_eq!(deliveries(both).await, 2);
    let of_one = format!("{}/deliveries?eventType=job.created", good_one.path());
    assert_eq!(count(of_one).await, 3);

    let events = |query: String| count(format!("/api/v1/events?{query}"));
    assert_eq!(events(String::new()).await, 6);
    assert_eq!(events("eventType=candidate.created".into()).await, 2);
    assert_eq!(events("source=shop".into()).await, 1);
    assert_eq!(events("tenant=acme".into()).await, 1);
    assert_eq!(events("clientId=other".into()).await, 0);
    let shown = relay
        .api
        .get(&format!("/api/v1/events/{}", candidates[0]))
        .await;
    let at = text(&shown, "receivedAt");
    assert_eq!(
        events(format!("until={at}")).await + events(format!("since={at}")).await,
        6
    );
    assert_eq!(events("since=2999-01-01T00:00:00Z".into()).await, 0);
    assert_eq!(deliveries("until=1999-01-01T00:00:00Z".into()).await, 0);

    let subscriptions = |query: String| count(format!("/api/v1/subscriptions?{query}"));
    assert_eq!(subscriptions(String::new()).await, 2);
    assert_eq!(subscriptions("clientId=acme".into()).await, 1);
    assert_eq!(subscriptions("limit=1".into()).await, 2);
}

async fn bounds_of_pages_are_kept(profile: Profile) {
    let relay = Relay::start(profile).await;
    let subscribed = silent(&relay, json!({})).await;
    send(&relay, "many", 120).await;
    let lists = [
        "/api/v1/events".to_owned(),
        "/api/v1/deliveries".to_owned(),
        "/api/v1/subscriptions".to_owned(),
        format!("{}/deliveries", subscribed.path()),
    ];
    for list in lists {
        let page = relay.api.get(&list).await;
        assert_eq!(page["limit"], 50);
        assert!(rows(&page).len() <= 50);
        for (query, named) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=many", "limit"),
            ("offset=-1", "offset"),
            ("offset=10001", "offset"),
            ("cursor=nonsense", "cursor"),
            ("cursor=", "cursor"),
            ("since=yesterday&evenType=a", "evenType"),
            ("limit=1&limit=2", "limit"),
        ] {
            let path = format!("{list}?{query}");
            let answer = relay.api.expect(400, Method::GET, &path, None).await;
            let error = text(&answer, "error");
            assert!(error.contains(named), "{path}: {error}");
            assert!(answer["faults"].is_array(), "{answer}");
        }
    }
    for query in ["status=done", "eventId=7", "subscriptionId=x", "since=now"] {
        let path = format!("/api/v1/deliveries?{query}");
        relay.api.expect(400, Method::GET, &path, None).await;
    }
}

async fn an_event_is_shown_with_its_deliveries(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (one, other) = (Receiver::ok().await, Receiver::ok().await);
    relay.api.subscribe(&one, json!({})).await;
    relay.api.subscribe(&other, json!({})).await;
    let body = json!({
        "eventType": "candidate.created",
        "eventName": "Candidate John Doe Created",
        "payload": {"name": "John Doe"},
        "source": "candidates-service",
        "orderingKey": "candidate-1",
        "clientId": "default",
        "occurredAt": "2025-10-26T10:00:00Z",
        "idempotencyKey": "K",
    });
    // Without a subscription of that client it reaches nobody; without the client, both.
    let nobody = relay.api.post(202, "/api/v1/events", &body).await;
    let mut for_all = body.clone();
    for_all.as_object_mut().unwrap().remove("clientId");
    let both = relay.api.post(202, "/api/v1/events", &for_all).await;
    relay.nothing_pending().await;

    let path = |answer: &Value| format!("/api/v1/events/{}", text(answer, "eventId"));
    let shown = relay.api.get(&path(&nobody)).await;
    assert_eq!(shown["deliveries"], json!([]));
    for (field, value) in body.as_object().unwrap() {
        if field != "occurredAt" {
            assert_eq!(shown[field], *value, "{field}");
        }
    }
    assert_eq!(shown["occurredAt"], "2025-10-26T10:00:00.000Z");
    assert_eq!(shown["tenant"], "default");
    let shown = relay.api.get(&path(&both)).await;
    let deliveries = shown["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 2);
    for delivery in deliveries {
        assert_eq!(delivery["status"], "delivered");
        assert_eq!(delivery["httpStatus"], 200);
    }
    let received = one.received(1).await.remove(0).json();
    assert_eq!(received["timestamp"], "2025-10-26T10:00:00.000Z");
    assert_eq!(received["eventName"], "Candidate John Doe Created");
    assert_eq!(other.count(), 1);
}
