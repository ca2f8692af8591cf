//! What an operator takes back is not sent, and comes back by a retry.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

use crate::support::flow::Pouring;
use crate::support::receiver::{status, tally};
use crate::support::relay::{Subscribed, rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    a_cancelled_delivery_is_not_sent_until_it_is_retried,
    what_waits_for_its_next_attempt_can_be_cancelled,
    all_that_waits_behind_a_pause_is_cancelled_at_once;
    in_one_process: a_delivery_in_flight_is_not_cancelled,
    what_is_in_flight_is_left_when_all_is_cancelled,
    in_mid_flow_a_delivery_is_either_sent_or_cancelled,
);

/// More than two batches of cancellations.
const MANY: usize = 2_100;

async fn cancel(relay: &Relay, code: u16, delivery: &Value) -> Value {
    let path = format!("/api/v1/deliveries/{}/cancel", text(delivery, "id"));
    relay.api.expect(code, Method::POST, &path, None).await
}

async fn cancel_pending(relay: &Relay, subscribed: &Subscribed) -> Value {
    let path = format!("{}/cancel-pending", subscribed.path());
    relay.api.expect(200, Method::POST, &path, None).await
}

async fn resume(relay: &Relay, subscribed: &Subscribed) {
    let path = format!("{}/resume", subscribed.path());
    relay.api.expect(200, Method::POST, &path, None).await;
}

async fn a_cancelled_delivery_is_not_sent_until_it_is_retried(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let paused = json!({"isActive": false});
    let subscribed = relay.api.subscribe(&receiver, paused).await;
    let mut events = Vec::new();
    for number in 0..3 {
        events.push(relay.api.send("a.b", json!(number)).await);
    }
    let pending = relay.api.delivery_of(&events[1]).await;
    let cancelled = cancel(&relay, 200, &pending).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled["finishedAt"].is_string(), "{cancelled}");
    let refused = cancel(&relay, 409, &pending).await;
    assert!(
        text(&refused, "error").contains("cancelled already"),
        "{refused}"
    );
    let nobody = json!({"id": subscribed.id});
    cancel(&relay, 404, &nobody).await;

    resume(&relay, &subscribed).await;
    relay.nothing_pending().await;
    let mut got: Vec<String> = tally(&receiver.all()).into_keys().collect();
    got.sort_unstable();
    assert_eq!(got, [events[0].clone(), events[2].clone()]);

    relay.api.retry(202, &cancelled).await;
    let delivered = relay.final_delivery(&events[1]).await;
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(
        (&delivered["round"], &delivered["attemptCount"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(receiver.count(), 3);
    let refused = cancel(&relay, 409, &delivered).await;
    assert!(
        text(&refused, "error").contains("delivered already"),
        "{refused}"
    );
}

async fn what_waits_for_its_next_attempt_can_be_cancelled(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver =
        Receiver::answering(|number, _| status(if number == 0 { 500 } else { 200 })).await;
    let hour = json!({"retryPolicy": {"delaysMs": [3_600_000]}});
    relay.api.subscribe(&receiver, hour).await;
    let event = relay.api.send("a.b", json!({})).await;
    let waiting = relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 1)
        .await;
    let cancelled = cancel(&relay, 200, &waiting).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["nextRetryAt"], Value::Null);

    relay.api.retry(202, &cancelled).await;
    let delivered = relay.final_delivery(&event).await;
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(delivered["attemptCount"], 2);
}

async fn a_delivery_in_flight_is_not_cancelled(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, gate) = Receiver::gated().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let event = relay.api.send("a.b", json!({})).await;
    receiver.received(1).await;
    let delivery = relay.api.delivery_of(&event).await;
    let refused = cancel(&relay, 409, &delivery).await;
    assert!(text(&refused, "error").contains("right now"), "{refused}");
    gate.open();
    let delivered = relay.final_delivery(&event).await;
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(delivered["attempts"][0]["stale"], false);
}

async fn all_that_waits_behind_a_pause_is_cancelled_at_once(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let paused = json!({"isActive": false, "eventTypes": ["many", "late"]});
    let subscribed = relay.api.subscribe(&receiver, paused).await;
    let event = json!({"eventType": "many", "payload": {}});
    let batch = Value::Array(vec![event; 100]);
    for _ in 0..MANY / 100 {
        relay.api.post(202, "/api/v1/events", &batch).await;
    }
    let other = Receiver::ok().await;
    let alone = json!({"isActive": false, "eventTypes": ["late"]});
    let untouched = relay.api.subscribe(&other, alone).await;
    relay.api.send("late", json!({})).await;

    let answer = cancel_pending(&relay, &subscribed).await;
    assert_eq!(answer["cancelled"], MANY + 1);
    assert_eq!(answer["complete"], true);
    let known = (profile != Profile::Split).then_some(0);
    assert_eq!(answer["inFlight"], json!(known));
    assert_eq!(cancel_pending(&relay, &subscribed).await["cancelled"], 0);
    let path = format!("{}/deliveries?limit=1", subscribed.path());
    let newest = rows(&relay.api.get(&path).await)[0].clone();
    assert_eq!(newest["status"], "cancelled");

    // Whatever comes after it goes out, and nothing of what was before.
    resume(&relay, &subscribed).await;
    resume(&relay, &untouched).await;
    let event = relay.api.send("late", json!({})).await;
    other.received(2).await;
    relay.nothing_pending().await;
    let got = tally(&receiver.all());
    assert_eq!((got.len(), got[&event]), (1, 1));
    relay.api.retry(202, &newest).await;
    relay.nothing_pending().await;
    assert_eq!(tally(&receiver.all())[text(&newest, "eventId")], 1);
}

async fn what_is_in_flight_is_left_when_all_is_cancelled(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, gate) = Receiver::gated().await;
    let two = json!({"maxInFlight": 2});
    let subscribed = relay.api.subscribe(&receiver, two).await;
    for number in 0..20 {
        relay.api.send("a.b", json!(number)).await;
    }
    receiver.received(2).await;
    let answer = cancel_pending(&relay, &subscribed).await;
    assert_eq!(
        (&answer["cancelled"], &answer["inFlight"]),
        (&json!(18), &json!(2))
    );
    gate.open();
    let event = relay.api.send("a.b", json!("after")).await;
    assert_eq!(relay.final_delivery(&event).await["status"], "delivered");
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 3);
    let deliveries = relay.api.deliveries_of(&subscribed.id).await;
    let cancelled = deliveries
        .values()
        .filter(|one| one["status"] == "cancelled");
    assert_eq!(cancelled.count(), 18);
}

async fn in_mid_flow_a_delivery_is_either_sent_or_cancelled(profile: Profile) {
    let relay = Relay::start_with(profile, &[("POSTHASTE_DELIVERY__WINDOW", "64")]).await;
    let receiver = Receiver::ok().await;
    // One at a time, so that a backlog grows behind it.
    let one = json!({"maxInFlight": 1});
    let subscribed = relay.api.subscribe(&receiver, one).await;
    let pouring = Pouring::begin(&relay.api);
    for moment in 1..=10 {
        pouring.accepted(moment * 40).await;
        receiver.received(moment * 3).await;
        cancel_pending(&relay, &subscribed).await;
        let path = format!("{}/deliveries?status=pending&limit=5", subscribed.path());
        for delivery in rows(&relay.api.get(&path).await) {
            let path = format!("/api/v1/deliveries/{}/cancel", text(delivery, "id"));
            let answer = relay.api.request(Method::POST, &path).send().await.unwrap();
            assert!([200, 409].contains(&answer.status().as_u16()));
        }
    }
    pouring.end().await;
    relay.nothing_pending().await;
    let sent = tally(&receiver.all());
    let mut cancelled = 0;
    for (event, delivery) in relay.api.deliveries_of(&subscribed.id).await {
        let receipts = sent.get(&event).copied().unwrap_or(0);
        if delivery["status"] == "cancelled" {
            cancelled += 1;
            assert_eq!(
                (receipts, &delivery["attemptCount"]),
                (0, &json!(0)),
                "{delivery}"
            );
        } else {
            assert_eq!(
                (receipts, &delivery["status"]),
                (1, &json!("delivered")),
                "{delivery}"
            );
        }
    }
    assert!(cancelled > 0, "there was a backlog to cancel");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_that_takes_long_goes_on_behind_its_answer() {
    let impatient = [
        ("POSTHASTE_SERVER__REQUEST_TIMEOUT_MS", "2000"),
        ("POSTHASTE_EVENTS__ACCEPT_TIMEOUT_MS", "1000"),
        ("POSTHASTE_STORE__ACQUIRE_TIMEOUT_MS", "500"),
    ];
    let relay = Relay::start_with(Profile::Distributed, &impatient).await;
    let receiver = Receiver::ok().await;
    let paused = json!({"isActive": false});
    let subscribed = relay.api.subscribe(&receiver, paused).await;
    for number in 0..5 {
        relay.api.send("a.b", json!(number)).await;
    }
    let url = relay.backend.database_url().unwrap();
    let mut database = PgConnection::connect(&url).await.unwrap();
    let mut lock = database.begin().await.unwrap();
    lock.execute("SELECT FROM pending_deliveries FOR UPDATE")
        .await
        .unwrap();
    let path = format!("{}/cancel-pending", subscribed.path());
    let answer = relay.api.expect(202, Method::POST, &path, None).await;
    assert_eq!(
        (&answer["cancelled"], &answer["complete"]),
        (&json!(0), &json!(false))
    );
    lock.rollback().await.unwrap();
    relay.nothing_pending().await;
    resume(&relay, &subscribed).await;
    let event = relay.api.send("a.b", json!("after")).await;
    relay.final_delivery(&event).await;
    assert_eq!(receiver.count(), 1);
}
