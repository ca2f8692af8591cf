//! What is held back is held, not lost: by a pause, by a 410, by `Retry-After`.

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use posthaste::clock;
use posthaste::domain::Timestamp;
use posthaste::domain::subscription::SubscriptionState;
use posthaste::events::EngineEvent;
use serde_json::{Value, json};

use crate::support::receiver::{Answer, status};
use crate::support::relay::{Subscribed, rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    a_pause_holds_and_a_resume_delivers,
    switching_off_and_on_by_put_is_a_pause_too,
    a_retry_that_falls_due_in_a_pause_waits_for_its_end,
    a_receiver_that_is_gone_is_left_alone_until_it_is_switched_on_again,
    retry_after_seconds_holds_the_whole_subscription,
    retry_after_date_holds_the_whole_subscription,
    a_deletion_cancels_what_is_pending;
    in_one_process: a_pause_lets_what_is_in_flight_end_and_sends_nothing_more,
);

/// Sends so many events and returns their ids.
async fn send(relay: &Relay, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    for number in 0..count {
        events.push(relay.api.send("held", json!({"number": number})).await);
    }
    events
}

/// The deliveries of a subscription that have this status.
async fn with_status(relay: &Relay, subscribed: &Subscribed, status: &str) -> Vec<Value> {
    let path = format!("{}/deliveries?status={status}&limit=100", subscribed.path());
    rows(&relay.api.get(&path).await).clone()
}

async fn until_delivered(relay: &Relay, subscribed: &Subscribed, count: usize) {
    let what = format!("{count} deliveries");
    relay
        .look_until(&what, async || {
            let delivered = with_status(relay, subscribed, "delivered").await;
            (delivered.len() == count).then_some(())
        })
        .await;
}

/// A second subscription: once it has got an event, the first could have got it too.
async fn witness(relay: &Relay) -> (Receiver, Subscribed) {
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    (receiver, subscribed)
}

async fn a_pause_holds_and_a_resume_delivers(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let (_witness, seeing) = witness(&relay).await;
    // Its actor lives already when the pause comes.
    send(&relay, 1).await;
    until_delivered(&relay, &subscribed, 1).await;

    let paused = relay
        .api
        .post(200, &format!("{}/pause", subscribed.path()), &Value::Null)
        .await;
    assert_eq!(paused["state"], "paused");
    assert_eq!(paused["isActive"], false);
    let events = send(&relay, 20).await;
    until_delivered(&relay, &seeing, 21).await;
    assert_eq!(receiver.count(), 1);
    let pending = with_status(&relay, &subscribed, "pending").await;
    assert_eq!(pending.len(), 20);
    assert!(pending.iter().all(|delivery| delivery["attemptCount"] == 0));

    let path = format!("{}/resume", subscribed.path());
    let resumed = relay.api.post(200, &path, &Value::Null).await;
    assert_eq!(resumed["state"], "active");
    let got = receiver.received_events(21).await;
    assert!(events.iter().all(|event| got[event] == 1), "{got:?}");
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 21);
}

async fn switching_off_and_on_by_put_is_a_pause_too(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let (_witness, seeing) = witness(&relay).await;
    let webhook = format!("/api/webhooks/{}", subscribed.id);

    let off = relay.api.put(&webhook, &json!({"isActive": false})).await;
    assert_eq!(off["isActive"], false);
    assert_eq!(off["state"], "paused");
    assert_eq!(off["url"], receiver.url());
    send(&relay, 3).await;
    until_delivered(&relay, &seeing, 3).await;
    assert_eq!(receiver.count(), 0);

    let on = relay.api.put(&webhook, &json!({"isActive": true})).await;
    assert_eq!(on["isActive"], true);
    until_delivered(&relay, &subscribed, 3).await;
    assert_eq!(receiver.count(), 3);
}

async fn a_pause_lets_what_is_in_flight_end_and_sends_nothing_more(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, gate) = Receiver::gated().await;
    let subscribed = relay
        .api
        .subscribe(&receiver, json!({"maxInFlight": 1}))
        .await;
    let (_witness, seeing) = witness(&relay).await;
    let events = send(&relay, 5).await;
    receiver.received(1).await;

    relay
        .api
        .put(&subscribed.path(), &json!({"isActive": false}))
        .await;
    gate.open();
    until_delivered(&relay, &subscribed, 1).await;
    // Whatever its actor does after that outcome, it has done when another one is through.
    send(&relay, 1).await;
    until_delivered(&relay, &seeing, 6).await;
    assert_eq!(receiver.count(), 1);
    assert_eq!(with_status(&relay, &subscribed, "pending").await.len(), 5);

    relay
        .api
        .put(&subscribed.path(), &json!({"isActive": true}))
        .await;
    let got = receiver.received_events(6).await;
    assert!(events.iter().all(|event| got[event] == 1), "{got:?}");
}

async fn a_retry_that_falls_due_in_a_pause_waits_for_its_end(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver =
        Receiver::answering(|number, _| status(if number == 0 { 500 } else { 200 })).await;
    // Old before its retry comes, were the time in the pause counted.
    let policy = json!({"retryPolicy": {"delaysMs": [900], "maxAgeMs": 1_000}});
    let subscribed = relay.api.subscribe(&receiver, policy).await;
    let (_witness, seeing) = witness(&relay).await;
    let event = send(&relay, 1).await.remove(0);
    relay
        .look_until("the first attempt", async || {
            let pending = with_status(&relay, &subscribed, "pending").await;
            (pending.first()?["attemptCount"] == 1).then_some(())
        })
        .await;
    relay
        .api
        .put(&subscribed.path(), &json!({"isActive": false}))
        .await;
    let pending = with_status(&relay, &subscribed, "pending").await.remove(0);
    let due = Timestamp::parse_rfc3339(text(&pending, "nextRetryAt")).unwrap();

    // Time passes, told by another subscription's traffic.
    let mut sent = 1;
    while clock::now() <= due {
        sent += send(&relay, 1).await.len();
        until_delivered(&relay, &seeing, sent).await;
    }
    assert_eq!(receiver.count(), 1);
    relay
        .api
        .put(&subscribed.path(), &json!({"isActive": true}))
        .await;
    until_delivered(&relay, &subscribed, sent).await;
    let all = receiver.all();
    assert_eq!(all.iter().filter(|one| one.event_id() == event).count(), 2);
}

async fn a_receiver_that_is_gone_is_left_alone_until_it_is_switched_on_again(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver =
        Receiver::answering(|number, _| status(if number == 0 { 410 } else { 200 })).await;
    // Paused at first, so that all five wait when the first one is sent.
    let fields = json!({"maxInFlight": 1, "isActive": false});
    let subscribed = relay.api.subscribe(&receiver, fields).await;
    let (_witness, seeing) = witness(&relay).await;
    let mut events = send(&relay, 5).await;
    relay
        .api
        .put(&subscribed.path(), &json!({"isActive": true}))
        .await;

    relay
        .until("the deactivation", |fact| {
            let state = SubscriptionState::Deactivated;
            matches!(fact, EngineEvent::SubscriptionChanged { state: told, .. } if *told == state)
        })
        .await;
    let shown = relay.api.subscription(&subscribed).await;
    assert_eq!(shown["state"], "deactivated");
    assert_eq!(shown["stateReason"], "gone");
    assert_eq!(shown["isActive"], false);
    events.extend(send(&relay, 1).await);
    until_delivered(&relay, &seeing, 6).await;
    assert_eq!(receiver.count(), 1);
    assert_eq!(with_status(&relay, &subscribed, "pending").await.len(), 6);
    // Asked for by hand, it is refused with the reason.
    let held = with_status(&relay, &subscribed, "pending").await.remove(0);
    let refused = relay.api.retry(409, &held).await;
    assert!(text(&refused, "error").contains("gone"), "{refused}");

    let on = relay
        .api
        .put(&subscribed.path(), &json!({"isActive": true}))
        .await;
    assert_eq!(on["state"], "active");
    assert_eq!(on["stateReason"], Value::Null);
    let got = receiver.received_events(6).await;
    until_delivered(&relay, &subscribed, 6).await;
    assert!(
        events.iter().all(|event| got.contains_key(event)),
        "{got:?}"
    );
    assert_eq!(receiver.count(), 7);
}

/// The first answer asks for a while of peace; everything after it is fine.
async fn holds_after(profile: Profile, first: impl Fn() -> Answer + Send + Sync + 'static) {
    let relay = Relay::start(profile).await;
    let receiver =
        Receiver::answering(move |number, _| if number == 0 { first() } else { status(200) }).await;
    let subscribed = relay
        .api
        .subscribe(&receiver, json!({"maxInFlight": 1}))
        .await;
    let (_witness, seeing) = witness(&relay).await;
    // Some are in its window when the answer comes, and some come while it is held.
    let mut events = send(&relay, 3).await;
    let held = relay
        .until("the hold", |fact| {
            matches!(fact, EngineEvent::SubscriptionHeld { .. })
        })
        .await;
    let EngineEvent::SubscriptionHeld {
        subscription,
        until,
    } = held
    else {
        unreachable!()
    };
    assert_eq!(subscription.to_string(), subscribed.id);
    events.extend(send(&relay, 3).await);
    until_delivered(&relay, &seeing, 6).await;

    until_delivered(&relay, &subscribed, 6).await;
    assert_eq!(receiver.count(), 7);
    let mut early = 0;
    for delivery in with_status(&relay, &subscribed, "delivered").await {
        let path = format!("/api/v1/deliveries/{}", text(&delivery, "id"));
        let delivery = relay.api.get(&path).await;
        for attempt in delivery["attempts"].as_array().unwrap() {
            let started = Timestamp::parse_rfc3339(text(attempt, "startedAt")).unwrap();
            // Times are shown to the millisecond.
            early += usize::from(started.plus(Duration::from_millis(1)) < until);
        }
    }
    assert_eq!(early, 1, "only the attempt that was answered so");
}

fn please_wait(code: u16, retry_after: &str) -> Answer {
    Response::builder()
        .status(code)
        .header("retry-after", retry_after)
        .body(Body::empty())
        .unwrap()
}

async fn retry_after_seconds_holds_the_whole_subscription(profile: Profile) {
    holds_after(profile, || please_wait(503, "1")).await;
}

async fn retry_after_date_holds_the_whole_subscription(profile: Profile) {
    holds_after(profile, || {
        let soon =
            std::time::UNIX_EPOCH + Duration::from_secs(clock::now().as_unix_seconds() as u64 + 2);
        please_wait(429, &httpdate::fmt_http_date(soon))
    })
    .await;
}

async fn a_deletion_cancels_what_is_pending(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay
        .api
        .subscribe(&receiver, json!({"isActive": false}))
        .await;
    let (_witness, seeing) = witness(&relay).await;
    let events = send(&relay, 3).await;
    until_delivered(&relay, &seeing, 3).await;
    let pending = with_status(&relay, &subscribed, "pending").await;
    assert_eq!(pending.len(), 3);

    relay.api.delete(&subscribed).await;
    let status_of = async |delivery: &Value| {
        let path = format!("/api/v1/deliveries/{}", text(delivery, "id"));
        relay.api.get(&path).await["status"].clone()
    };
    for delivery in &pending {
        relay
            .look_until("the cancellation", async || {
                (status_of(delivery).await == "cancelled").then_some(())
            })
            .await;
        let refused = relay.api.retry(409, delivery).await;
        assert!(text(&refused, "error").contains("deleted"), "{refused}");
    }
    use reqwest::Method;
    for (method, suffix) in [
        (Method::GET, ""),
        (Method::PUT, ""),
        (Method::DELETE, ""),
        (Method::POST, "/resume"),
        (Method::POST, "/pause"),
        (Method::GET, "/secret"),
        (Method::GET, "/deliveries"),
    ] {
        let path = format!("{}{suffix}", subscribed.path());
        let body = (method == Method::PUT).then(|| json!({"isActive": true}));
        relay.api.expect(404, method, &path, body.as_ref()).await;
    }
    // Listed no more, and wanted by no event.
    let list = relay.api.get("/api/v1/subscriptions").await;
    assert_eq!(rows(&list).len(), 1);
    let event = send(&relay, 1).await.remove(0);
    assert_eq!(
        relay.final_delivery(&event).await["subscriptionId"],
        seeing.id
    );
    assert!(!events.contains(&event));
    assert_eq!(receiver.count(), 0);
}
