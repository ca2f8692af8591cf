//! The database goes away and comes back, or its answer is lost.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::support::backend::Backend;
use crate::support::flow::pour;
use crate::support::receiver::{status, tally};
use crate::support::relay::Api;
use crate::support::{Profile, Proxy, Receiver, Relay, soon};

/// A relay whose way to Postgres leads through a proxy.
async fn proxied(more: &[(&str, &str)]) -> (Relay, Proxy) {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let proxy = Proxy::before(&backend.database_url().unwrap()).await;
    let url = proxy.url().to_owned();
    let mut all = vec![("DATABASE_URL", url.as_str())];
    all.extend(more);
    (Relay::start_on(backend, &all).await, proxy)
}

async fn ready_is(api: &Api, code: u16) {
    soon("the readiness to change", async {
        loop {
            let request = api.request(Method::GET, "/health/ready");
            if request.send().await.unwrap().status() == code {
                return;
            }
        }
    })
    .await;
}

async fn events(api: &Api) -> Vec<Value> {
    let page = api.get("/api/v1/events?limit=100").await;
    page["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_away_is_said_at_once_and_healed_without_a_restart() {
    let impatient = [
        ("POSTHASTE_EVENTS__ACCEPT_TIMEOUT_MS", "1500"),
        ("POSTHASTE_STORE__ACQUIRE_TIMEOUT_MS", "700"),
    ];
    let (relay, proxy) = proxied(&impatient).await;
    let (receiver, gate) = Receiver::gated().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let in_flight = relay.api.send("a.b", json!(1)).await;
    receiver.received(1).await;

    proxy.cut();
    for _ in 0..2 {
        let event = json!({"eventType": "a.b", "payload": "refused"});
        let request = relay.api.request(Method::POST, "/api/v1/events");
        let answer = soon("an answer", request.json(&event).send()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
    }
    ready_is(&relay.api, 503).await;
    relay.api.get("/health/live").await;
    // The answer comes while nothing can be recorded.
    gate.open();
    let health = relay
        .api
        .request(Method::GET, "/health")
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), 503);

    proxy.mend();
    ready_is(&relay.api, 200).await;
    relay.recorded(1).await;
    let mut sent = pour(&relay.api, 30).await;
    sent.insert(in_flight);
    let tally = receiver.received_events(31).await;
    assert!(sent.iter().all(|event| tally[event] == 1), "{tally:?}");
    relay.api.settled(&subscribed.id).await;
    let log = relay.api.consistent_log(&subscribed.id).await;
    assert_eq!(log.len(), 31);
    assert!(log.values().all(|attempts| attempts.len() == 1));
    assert_eq!(events(&relay.api).await.len(), 31, "nothing half-stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_hanging_makes_the_node_unready_and_leaves_it_alive() {
    let impatient = [
        ("POSTHASTE_EVENTS__ACCEPT_TIMEOUT_MS", "1500"),
        ("POSTHASTE_STORE__ACQUIRE_TIMEOUT_MS", "700"),
    ];
    let (relay, proxy) = proxied(&impatient).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let mut sent = pour(&relay.api, 30).await;
    relay.recorded(30).await;

    proxy.hold();
    let api = relay.api.clone();
    // What was found out a moment ago may still be answered first.
    let unready = tokio::spawn(async move { ready_is(&api, 503).await });
    let live = relay.api.request(Method::GET, "/health/live").send();
    assert_eq!(live.await.unwrap().status(), 200);
    assert!(
        !unready.is_finished(),
        "life does not wait for the database"
    );
    unready.await.unwrap();
    let event = json!({"eventType": "a.b", "payload": "refused"});
    let request = relay.api.request(Method::POST, "/api/v1/events");
    let answer = request.json(&event).send().await.unwrap();
    assert_eq!(answer.status(), 503);

    proxy.release();
    ready_is(&relay.api, 200).await;
    sent.extend(pour(&relay.api, 30).await);
    receiver.received_events(60).await;
    relay.api.settled(&subscribed.id).await;
    let tally = tally(&receiver.all());
    assert!(sent.iter().all(|event| tally[event] == 1), "{tally:?}");
    let log = relay.api.consistent_log(&subscribed.id).await;
    assert_eq!(log.len(), events(&relay.api).await.len());
    assert!(log.values().all(|attempts| attempts.len() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_postgres_is_away_ends_and_loses_nothing() {
    let more = [
        ("POSTHASTE_SERVER__SHUTDOWN_GRACE_MS", "500"),
        ("POSTHASTE_ENGINE__LEASE_TTL_MS", "1000"),
        ("POSTHASTE_ENGINE__LEASE_RENEW_MS", "100"),
    ];
    let (relay, proxy) = proxied(&more).await;
    let (receiver, gate) = Receiver::gated().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let event = relay.api.send("a.b", json!(1)).await;
    receiver.received(1).await;
    proxy.cut();
    gate.open();
    let backend = relay.stop().await;

    let relay = Relay::start_on(backend, &more).await;
    receiver.received(2).await;
    relay.api.settled(&subscribed.id).await;
    let log = relay.api.consistent_log(&subscribed.id).await;
    assert_eq!(log[&event].len(), 1, "the outcome of the first was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_goes_on_over_cuts() {
    let (relay, proxy) = proxied(&[]).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let api = relay.api.clone();
    let pouring = tokio::spawn(async move { pour(&api, 300).await });
    for count in [20, 60, 100, 140, 180, 220] {
        receiver.received(count).await;
        proxy.break_all();
    }
    // Each sender is answered 202, however often its commit had to be run again.
    let sent = pouring.await.unwrap();
    let tally = receiver.received_events(300).await;
    assert!(sent.iter().all(|event| tally[event] == 1), "{tally:?}");
    relay.recorded(300).await;
    let log = relay.api.consistent_log(&subscribed.id).await;
    assert_eq!(log.len(), 300);
    assert!(log.values().all(|attempts| attempts.len() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_unknown_fate_is_one_event() {
    commit_of_unknown_fate(json!({}), "unknown-fate").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyed_commit_of_unknown_fate_is_one_event() {
    // With a key the commit is a statement of its own.
    commit_of_unknown_fate(json!({"idempotencyKey": "once"}), "COMMIT").await;
}

async fn commit_of_unknown_fate(more: Value, marker: &str) {
    let (relay, proxy) = proxied(&[]).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    // Every statement is prepared by now.
    relay.api.send("a.b", json!("first")).await;
    relay.recorded(1).await;

    proxy.lose_answer_to(marker);
    let mut event = json!({"eventType": "a.b", "payload": "unknown-fate"});
    let fields = event.as_object_mut().unwrap();
    fields.extend(more.as_object().cloned().unwrap_or_default());
    let answer = relay.api.post(202, "/api/v1/events", &event).await;
    proxy.lost_answers(1).await;
    assert_eq!(answer["duplicate"], false);
    relay.recorded(1).await;
    assert_eq!(events(&relay.api).await.len(), 2);
    let log = relay.api.consistent_log(&subscribed.id).await;
    assert_eq!(log.len(), 2);
    assert_eq!(log[answer["eventId"].as_str().unwrap()].len(), 1);
    assert_eq!(receiver.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_of_unknown_fate_is_one_attempt() {
    let (relay, proxy) = proxied(&[]).await;
    let receiver = Receiver::answering(|_, _| {
        let mut answer = status(200);
        *answer.body_mut() = "the-outcome".into();
        answer
    })
    .await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    relay.api.send("a.b", json!(1)).await;
    relay.recorded(1).await;
    proxy.lose_answer_to("the-outcome");
    relay.api.send("a.b", json!(2)).await;
    proxy.lost_answers(1).await;
    relay.recorded(1).await;
    let log = relay.api.consistent_log(&subscribed.id).await;
    assert!(log.values().all(|attempts| attempts.len() == 1));
    assert!(log.values().flatten().all(|one| one["stale"] == false));
    assert_eq!(receiver.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_program_has_locked_is_waited_for() {
    let impatient = [
        ("POSTHASTE_EVENTS__ACCEPT_TIMEOUT_MS", "1500"),
        ("POSTHASTE_STORE__ACQUIRE_TIMEOUT_MS", "700"),
    ];
    let relay = Relay::start_with(Profile::Embedded, &impatient).await;
    let (receiver, gate) = Receiver::gated().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let in_flight = relay.api.send("a.b", json!(1)).await;
    receiver.received(1).await;

    let file = relay.backend.data_dir().join("posthaste.db");
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let event = json!({"eventType": "a.b", "payload": 2});
    let request = relay.api.request(Method::POST, "/api/v1/events");
    let answer = request.json(&event).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    gate.open();
    other.execute("ROLLBACK").await.unwrap();

    let mut sent = pour(&relay.api, 30).await;
    sent.insert(in_flight);
    receiver.received_events(31).await;
    relay.api.settled(&subscribed.id).await;
    let tally = tally(&receiver.all());
    assert!(sent.iter().all(|event| tally[event] == 1), "{tally:?}");
    // The one that heard 503 may have been committed after that; whole, if so.
    let log = relay.api.consistent_log(&subscribed.id).await;
    assert_eq!(log.len(), events(&relay.api).await.len());
    assert!(log.values().all(|attempts| attempts.len() == 1));
}
