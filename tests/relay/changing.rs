//! Subscriptions that change while things go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::support::receiver::status;
use crate::support::relay::{Api, Subscribed, rows, text};
use crate::support::{Profile, Receiver, Relay, soon};

crate::stories_also_split!(
    a_retry_that_waits_goes_to_the_new_url_too,
    a_subscription_deleted_between_attempts_gets_no_further_one,
    no_event_is_matched_against_what_was_changed_before_it,
    own_headers_are_sent_and_shown_to_nobody,
    secrets_are_shown_at_creation_and_by_their_own_route_only;
    in_one_process: the_next_attempt_goes_to_the_new_url,
    a_410_of_the_address_before_the_change_deactivates_nothing,
    a_subscription_deleted_while_its_attempt_runs_gets_no_further_one,
);

/// What a receiver does before it answers its first request.
type Deed = Arc<Mutex<Option<futures_util::future::BoxFuture<'static, ()>>>>;

/// Answers 500 to everything, having done the deed before the first answer.
async fn failing_after(deed: &Deed) -> Receiver {
    answering_after(deed, 500).await
}

/// The same with this status.
async fn answering_after(deed: &Deed, code: u16) -> Receiver {
    let deed = Arc::clone(deed);
    Receiver::scripted(move |_, _| {
        let deed = Arc::clone(&deed);
        Box::pin(async move {
            if let Some(deed) = deed.lock().await.take() {
                deed.await;
            }
            status(code)
        })
    })
    .await
}

async fn the_next_attempt_goes_to_the_new_url(profile: Profile) {
    let relay = Relay::start(profile).await;
    let deed = Deed::default();
    let (old, new) = (failing_after(&deed).await, Receiver::ok().await);
    let subscribed = relay.api.subscribe(&old, json!({})).await;
    let (api, change) = (relay.api.clone(), json!({"url": new.url()}));
    let path = subscribed.path();
    *deed.lock().await = Some(Box::pin(async move {
        api.put(&path, &change).await;
    }));

    let event = relay.api.send("job.created", json!({})).await;
    let delivery = relay.final_delivery(&event).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["attemptCount"], 2);
    assert_eq!((old.count(), new.count()), (1, 1));
    assert_eq!(old.all()[0].body, new.all()[0].body);
    // The host says where each attempt went.
    let host = |attempt: usize| text(&delivery["attempts"][attempt]["requestHeaders"], "host");
    assert!(old.url().contains(host(0)) && new.url().contains(host(1)));
}

async fn a_410_of_the_address_before_the_change_deactivates_nothing(profile: Profile) {
    let relay = Relay::start(profile).await;
    let deed = Deed::default();
    let (old, new) = (answering_after(&deed, 410).await, Receiver::ok().await);
    let subscribed = relay.api.subscribe(&old, json!({})).await;
    let (api, change) = (relay.api.clone(), json!({"url": new.url()}));
    let path = subscribed.path();
    *deed.lock().await = Some(Box::pin(async move {
        api.put(&path, &change).await;
    }));

    let event = relay.api.send("job.created", json!({})).await;
    let delivery = relay.final_delivery(&event).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!((old.count(), new.count()), (1, 1));
    let shown = relay.api.subscription(&subscribed).await;
    assert_eq!(shown["state"], "active");
}

/// Nobody tells the owner of the change, and no sweep finds it: the 410 alone does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_410_of_an_address_that_another_node_changed_deactivates_nothing() {
    let deaf = [
        ("REDIS_URL", ""),
        ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "300000"),
        ("POSTHASTE_AUTH__KEYS_REFRESH_MS", "10000"),
    ];
    let owner = Relay::start_with(Profile::Distributed, &deaf).await;
    let other = Relay::start_on(Arc::clone(&owner.backend), &deaf).await;
    let deed = Deed::default();
    let (old, new) = (answering_after(&deed, 410).await, Receiver::ok().await);
    let subscribed = owner.api.subscribe(&old, json!({})).await;
    let (api, change) = (other.api.clone(), json!({"url": new.url()}));
    let path = subscribed.path();
    *deed.lock().await = Some(Box::pin(async move {
        api.put(&path, &change).await;
    }));

    let event = owner.api.send("job.created", json!({})).await;
    let delivery = owner.final_delivery(&event).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!((old.count(), new.count()), (1, 1));
    let shown = owner.api.subscription(&subscribed).await;
    assert_eq!(shown["state"], "active");
}

async fn a_retry_that_waits_goes_to_the_new_url_too(profile: Profile) {
    let relay = Relay::start(profile).await;
    let old = Receiver::answering(|_, _| status(500)).await;
    let new = Receiver::ok().await;
    let hour = json!({"retryPolicy": {"delaysMs": [3_600_000]}});
    let subscribed = relay.api.subscribe(&old, hour).await;
    let event = relay.api.send("job.created", json!({})).await;
    let waiting = relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 1)
        .await;

    relay
        .api
        .put(&subscribed.path(), &json!({"url": new.url()}))
        .await;
    relay.api.retry(202, &waiting).await;
    let delivery = relay.final_delivery(&event).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!((old.count(), new.count()), (1, 1));
}

async fn a_subscription_deleted_while_its_attempt_runs_gets_no_further_one(profile: Profile) {
    let relay = Relay::start(profile).await;
    let deed = Deed::default();
    let receiver = failing_after(&deed).await;
    let subscribed = relay
        .api
        .subscribe(&receiver, json!({"maxInFlight": 1}))
        .await;
    let (api, deleted) = (relay.api.clone(), subscribed.clone());
    *deed.lock().await = Some(Box::pin(async move {
        api.delete(&deleted).await;
    }));
    // The second one waits behind the first. Both are there before anything is sent.
    let item = json!({"eventType": "job.created", "data": {}});
    let answer = relay
        .api
        .post(202, "/api/v1/events", &json!([item, item]))
        .await;
    let id = |at: usize| text(&answer["results"][at], "eventId").to_owned();
    let (first, second) = (id(0), id(1));
    let first = relay
        .delivery_when(&first, |delivery| {
            delivery["status"] == "cancelled" && delivery["attempts"].as_array().unwrap().len() == 1
        })
        .await;
    assert_eq!(first["attempts"][0]["status"], 500);
    let second = relay.final_delivery(&second).await;
    assert_eq!(second["status"], "cancelled");
    assert_eq!(second["attempts"], json!([]));
    assert_eq!(receiver.count(), 1);
}

async fn a_subscription_deleted_between_attempts_gets_no_further_one(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::answering(|_, _| status(500)).await;
    let other = Receiver::ok().await;
    let delays = json!({"retryPolicy": {"delaysMs": [3_600_000]}});
    let subscribed = relay.api.subscribe(&receiver, delays).await;
    let event = relay.api.send("job.created", json!({})).await;
    relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 1)
        .await;
    relay.api.delete(&subscribed).await;
    let delivery = relay.final_delivery(&event).await;
    assert_eq!(delivery["status"], "cancelled");
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(delivery["attempts"][0]["stale"], false);

    relay.api.subscribe(&other, json!({})).await;
    relay.api.send("job.created", json!({})).await;
    other.received(1).await;
    assert_eq!(receiver.count(), 1);
}

/// Events that were answered before the change was asked for, and events that were posted
/// after it was answered.
#[derive(Default)]
struct Told {
    before: Vec<String>,
    after: Vec<String>,
}

/// Events of one sender after the change.
const ENOUGH: usize = 15;

/// Posts old events until enough of them came after the change.
async fn pour(api: Api, asked: Arc<AtomicBool>, changed: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    while told.after.len() < ENOUGH {
        let is_after = changed.load(Ordering::SeqCst);
        let event = api.send("old.thing", json!({})).await;
        if is_after {
            told.after.push(event);
        } else if !asked.load(Ordering::SeqCst) {
            told.before.push(event);
        }
    }
    told
}

/// Changes a subscription through one relay while events pour in through another.
async fn change_while_events_pour_in(relay: &Relay, through: &Api, rounds: usize) {
    let receiver = Receiver::ok().await;
    for _ in 0..rounds {
        let old = json!({"eventTypes": ["old.*"]});
        let subscribed: Subscribed = relay.api.subscribe(&receiver, old).await;
        let (asked, changed) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let mut senders = JoinSet::new();
        for _ in 0..6 {
            let api = relay.api.clone();
            senders.spawn(pour(api, Arc::clone(&asked), Arc::clone(&changed)));
        }
        let count = receiver.count();
        receiver.received(count + 20).await;
        asked.store(true, Ordering::SeqCst);
        through
            .put(&subscribed.path(), &json!({"eventTypes": ["new.*"]}))
            .await;
        changed.store(true, Ordering::SeqCst);

        let told = soon("the senders", senders.join_all()).await;
        for event in told.iter().flat_map(|told| &told.before) {
            let deliveries = deliveries_of(relay, event).await;
            assert_eq!(deliveries.len(), 1, "{event} came before the change");
        }
        for event in told.iter().flat_map(|told| &told.after) {
            let deliveries = deliveries_of(relay, event).await;
            assert!(deliveries.is_empty(), "{event} came after: {deliveries:?}");
        }
        let wanted = relay.api.send("new.thing", json!({})).await;
        relay.final_delivery(&wanted).await;
        through
            .expect(204, reqwest::Method::DELETE, &subscribed.path(), None)
            .await;
    }
}

async fn deliveries_of(relay: &Relay, event: &str) -> Vec<Value> {
    let shown = relay.api.get(&format!("/api/v1/events/{event}")).await;
    shown["deliveries"].as_array().unwrap().clone()
}

async fn no_event_is_matched_against_what_was_changed_before_it(profile: Profile) {
    let relay = Relay::start(profile).await;
    change_while_events_pour_in(&relay, &relay.api, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_made_on_another_node_counts_here_at_once() {
    let relay = Relay::start(Profile::Distributed).await;
    let other = Relay::start_on(Arc::clone(&relay.backend), &[]).await;
    assert!(other.engine().standing_by());
    change_while_events_pour_in(&relay, &other.api, 3).await;
    // And the other way round: accepted by the node that stands by.
    let receiver = Receiver::ok().await;
    let old = json!({"eventTypes": ["old.*"]});
    let subscribed = relay.api.subscribe(&receiver, old).await;
    let event = other.api.send("old.thing", json!({})).await;
    assert_eq!(receiver.received(1).await[0].event_id(), event);
    let new = json!({"eventTypes": ["new.*"]});
    relay.api.put(&subscribed.path(), &new).await;
    let event = other.api.send("old.thing", json!({})).await;
    assert!(deliveries_of(&other, &event).await.is_empty());
}

async fn own_headers_are_sent_and_shown_to_nobody(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let value = "Bearer very-secret-value";
    let headers = json!({"headers": {"Authorization": value, "X-Plain": "very-secret-too"}});
    let subscribed = relay.api.subscribe(&receiver, headers).await;
    let event = relay.api.send("job.created", json!({})).await;
    let received = receiver.received(1).await.remove(0);
    assert_eq!(received.header("authorization"), value);
    assert_eq!(received.header("x-plain"), "very-secret-too");

    let delivery = relay.final_delivery(&event).await;
    let shown = &delivery["attempts"][0]["requestHeaders"];
    assert_eq!(shown["authorization"], "********");
    assert_eq!(shown["x-plain"], "********");
    assert_eq!(shown["webhook-id"], event);
    let pages = [
        subscribed.path(),
        format!("{}/deliveries", subscribed.path()),
        format!("/api/v1/deliveries/{}", text(&delivery, "id")),
        format!("/api/v1/events/{event}"),
        "/api/v1/subscriptions".to_owned(),
        "/api/v1/deliveries".to_owned(),
        "/api/webhooks".to_owned(),
    ];
    for page in pages {
        let shown = relay.api.get_text(&page).await;
        assert!(!shown.contains("very-secret"), "{page}: {shown}");
        assert!(!shown.contains("whsec_"), "{page}: {shown}");
    }

    // What a client got it can send back: a masked value keeps the stored one.
    let mut all = relay.api.subscription(&subscribed).await;
    assert_eq!(all["headers"]["authorization"], "********");
    all["headers"]["x-plain"] = json!("changed");
    let changed = relay
        .api
        .put(&subscribed.path(), &json!({"headers": all["headers"]}))
        .await;
    assert_eq!(changed["headers"]["x-plain"], "********");
    relay.api.send("job.created", json!({})).await;
    let received = receiver.received(2).await.remove(1);
    assert_eq!(received.header("authorization"), value);
    assert_eq!(received.header("x-plain"), "changed");
}

async fn secrets_are_shown_at_creation_and_by_their_own_route_only(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let other = relay.api.subscribe(&receiver, json!({})).await;
    assert!(subscribed.secret.starts_with("whsec_"));
    assert_ne!(subscribed.secret, other.secret);
    let secret = relay
        .api
        .get(&format!("{}/secret", subscribed.path()))
        .await;
    assert_eq!(secret["secret"], subscribed.secret);

    let list = relay.api.get("/api/v1/subscriptions").await;
    assert_eq!(rows(&list).len(), 2);
    assert!(rows(&list).iter().all(|row| row.get("secret").is_none()));
    let changed = relay
        .api
        .put(&subscribed.path(), &json!({"name": "renamed"}))
        .await;
    assert_eq!(changed["name"], "renamed");
    assert!(changed.get("secret").is_none());
    for verb in ["pause", "resume"] {
        let path = format!("{}/{verb}", subscribed.path());
        let answer = relay.api.post(200, &path, &Value::Null).await;
        assert!(answer.get("secret").is_none());
    }
}
