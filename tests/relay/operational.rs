//! Posthaste tells what becomes of subscriptions and deliveries, to those who ask for it by name.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use posthaste::domain::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::flow::Pouring;
use crate::support::receiver::status;
use crate::support::relay::{Api, Subscribed, rows, text};
use crate::support::{Process, Profile, Receiver, Relay};

crate::stories_also_split!(
    a_receiver_that_is_gone_is_told_and_its_return,
    an_outage_is_told_once_at_its_begin_and_once_at_its_end,
    a_delivery_that_ends_undelivered_is_told,
    only_those_are_told_who_name_it_and_have_no_tenant,
    a_listener_that_fails_feeds_itself_nothing,
    a_listener_that_is_gone_is_told_to_the_others;
    in_one_process:
    what_is_told_is_told_at_once,
    every_failed_delivery_is_told_whatever_is_killed,
);

const HOUR_MS: u64 = 3_600_000;
/// One attempt, and neither a breaker nor a deactivation to spare the others theirs.
fn once() -> Value {
    json!({
        "retryPolicy": {"attempts": 1},
        "breaker": {"enabled": false},
        "deactivation": {"exhaustedDeliveries": 0},
    })
}

async fn listen(relay: &Relay, patterns: &[&str]) -> (Receiver, Subscribed) {
    let receiver = Receiver::ok().await;
    let wanted = json!({"name": "listener", "eventTypes": patterns});
    let subscribed = relay.api.subscribe(&receiver, wanted).await;
    (receiver, subscribed)
}

/// A receiver that answers this until it is healed.
async fn failing(code: u16) -> (Receiver, Arc<AtomicBool>) {
    let healed = Arc::new(AtomicBool::new(false));
    let is_healed = Arc::clone(&healed);
    let receiver = Receiver::answering(move |_, _| {
        status(if is_healed.load(Ordering::SeqCst) {
            200
        } else {
            code
        })
    })
    .await;
    (receiver, healed)
}

/// The bodies that a listener got, once there are so many.
async fn heard(receiver: &Receiver, count: usize) -> Vec<Value> {
    let all = receiver.received(count).await;
    assert_eq!(all.len(), count);
    all.iter().map(|one| one.json()).collect()
}

/// All operational events that are stored, oldest first.
async fn stored(api: &Api) -> Vec<Value> {
    let page = api.get("/api/v1/events?limit=100").await;
    let own = |row: &&Value| text(row, "eventType").starts_with("posthaste.");
    rows(&page).iter().filter(own).rev().cloned().collect()
}

fn time(value: &Value, field: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text(value, field)).unwrap()
}

async fn a_receiver_that_is_gone_is_told_and_its_return(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (listener, _) = listen(&relay, &["posthaste.subscription.*"]).await;
    let (receiver, healed) = failing(410).await;
    let named = json!({"name": "orders", "clientId": "acme"});
    let subscribed = relay.api.subscribe(&receiver, named).await;
    let event = relay.api.send("a.b", json!(1)).await;

    let got = listener.received(1).await.remove(0);
    let body = got.json();
    assert_eq!(body["eventType"], "posthaste.subscription.deactivated");
    assert_eq!(body["eventId"], got.event_id());
    assert_eq!(body["timestamp"], body["data"]["since"]);
    let gone = body["data"].clone();
    let since = time(&gone, "since");
    let answered = relay
        .delivery_when(&event, |one| one["attempts"][0]["id"].is_string())
        .await;
    let attempt = &answered["attempts"][0]["id"];
    let expected = json!({
        "subscriptionId": subscribed.id, "subscriptionName": "orders", "tenant": "acme",
        "state": "deactivated", "reason": "gone", "evidence": [attempt], "since": gone["since"],
    });
    assert_eq!(gone, expected);
    // An event like another: stored, and its delivery with it.
    let row = relay
        .api
        .get(&format!("/api/v1/events/{}", got.event_id()))
        .await;
    assert_eq!(row["payload"], gone);
    relay.final_delivery(&got.event_id()).await;

    healed.store(true, Ordering::SeqCst);
    let path = format!("{}/reactivate", subscribed.path());
    relay.api.expect(200, Method::POST, &path, None).await;
    let body = heard(&listener, 2).await.remove(1);
    assert_eq!(body["eventType"], "posthaste.subscription.reactivated");
    let back = &body["data"];
    assert_eq!(back["subscriptionId"], subscribed.id);
    assert_eq!(
        (&back["state"], &back["tenant"]),
        (&json!("active"), &json!("acme"))
    );
    assert_eq!(
        (&back["previousState"], &back["by"]),
        (&json!("deactivated"), &json!("operator"))
    );
    assert_eq!(
        (&back["heldReason"], &back["heldSince"]),
        (&json!("gone"), &gone["since"])
    );
    assert!(time(back, "since") > since);
    let delivered = relay.final_delivery(&event).await;
    assert_eq!(delivered["status"], "delivered");

    // What an operator does on purpose is no news.
    for verb in ["pause", "resume"] {
        let path = format!("{}/{verb}", subscribed.path());
        relay.api.expect(200, Method::POST, &path, None).await;
    }
    relay.api.delete(&subscribed).await;
    assert_eq!(stored(&relay.api).await.len(), 2);
}

async fn an_outage_is_told_once_at_its_begin_and_once_at_its_end(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (listener, _) = listen(&relay, &["posthaste.breaker.*"]).await;
    let (receiver, healed) = failing(500).await;
    let rules = json!({
        "retryPolicy": {"delaysMs": [HOUR_MS, HOUR_MS, HOUR_MS, HOUR_MS]},
        "breaker": {"consecutiveFailures": 1, "coolDownMs": 100, "coolDownMaxMs": 100, "probes": 1},
    });
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let event = relay.api.send("a.b", json!(1)).await;
    let opened = heard(&listener, 1).await.remove(0);
    assert_eq!(opened["eventType"], "posthaste.breaker.opened");
    let data = &opened["data"];
    assert_eq!(data["subscriptionId"], subscribed.id);
    assert_eq!(data["openedInARow"], 1);
    let cool_down = time(data, "until").since(time(data, "since")).as_millis();
    assert!((79..=100).contains(&cool_down), "{cool_down} ms");

    // One probe fails at least.
    receiver.received(3).await;
    healed.store(true, Ordering::SeqCst);
    let delivered = relay.final_delivery(&event).await;
    assert_eq!(delivered["status"], "delivered");
    let closed = heard(&listener, 2).await.remove(1);
    assert_eq!(closed["eventType"], "posthaste.breaker.closed");
    assert_eq!(closed["data"]["subscriptionId"], subscribed.id);
    assert!(time(&closed["data"], "since") > time(data, "since"));
    assert_eq!(stored(&relay.api).await.len(), 2);
}

async fn a_delivery_that_ends_undelivered_is_told(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (listener, _) = listen(&relay, &["posthaste.delivery.failed"]).await;
    let (receiver, _) = failing(503).await;
    let rules = json!({"name": "orders", "retryPolicy": {"attempts": 2, "baseMs": 100},
        "headers": {"x-key": "own-header-value"}});
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let payload = json!({"secret": "payload-of-a-sender"});
    let event = relay.api.send("job.created", payload).await;
    let got = listener.received(1).await.remove(0);
    let body = got.json();
    assert_eq!(body["eventType"], "posthaste.delivery.failed");
    let delivery = relay.final_delivery(&event).await;
    let expected = json!({
        "subscriptionId": subscribed.id, "subscriptionName": "orders", "tenant": null,
        "deliveryId": delivery["id"], "eventId": event, "eventType": "job.created",
        "status": "failed", "round": 1, "attempts": 2,
        "lastAttempt": {
            "id": delivery["attempts"][1]["id"], "status": 503, "errorKind": "status",
        },
        "since": body["data"]["since"],
    });
    assert_eq!(body["data"], expected);
    let whole = body.to_string();
    for secret in ["own-header-value", "payload-of-a-sender", &receiver.url()] {
        assert!(!whole.contains(secret), "{whole}");
    }

    // A later round that fails is told anew.
    relay.api.retry(202, &delivery).await;
    let again = heard(&listener, 2).await.remove(1);
    assert_eq!(
        (&again["data"]["round"], &again["data"]["attempts"]),
        (&json!(2), &json!(4))
    );
    assert_ne!(again["eventId"], body["eventId"]);
}

async fn only_those_are_told_who_name_it_and_have_no_tenant(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (everything, all) = listen(&relay, &["*", "*.*.*", "*.delivery.*"]).await;
    let tenants = Receiver::ok().await;
    let of_tenant = json!({"clientId": "acme"});
    let tenant = relay.api.subscribe(&tenants, of_tenant).await;
    let (narrow, _) = listen(&relay, &["posthaste.*.failed"]).await;
    let (listener, _) = listen(&relay, &["posthaste.*"]).await;
    let (receiver, _) = failing(500).await;
    let mut rules = once();
    rules["clientId"] = json!("acme");
    relay.api.subscribe(&receiver, rules).await;
    let event = relay.api.send("a.b", json!(1)).await;

    let told = heard(&listener, 1).await.remove(0);
    assert_eq!(told["data"]["tenant"], "acme");
    assert_eq!(heard(&narrow, 1).await, std::slice::from_ref(&told));
    let path = format!("/api/v1/deliveries?eventId={}", text(&told, "eventId"));
    assert_eq!(rows(&relay.api.get(&path).await).len(), 2);
    for (receiver, subscribed) in [(&everything, &all), (&tenants, &tenant)] {
        relay.api.settled(&subscribed.id).await;
        let got: HashSet<_> = receiver.received_events(1).await.into_keys().collect();
        assert_eq!(got, HashSet::from([event.clone()]));
    }

    // No tenant can ask for it, and no sender can pretend.
    let asked = json!({"eventTypes": ["posthaste.*"]});
    let path = tenant.path();
    let refused = relay
        .api
        .expect(400, Method::PUT, &path, Some(&asked))
        .await;
    assert!(
        refused.to_string().contains("without a clientId"),
        "{refused}"
    );
    let forged = json!({"eventType": "posthaste.breaker.opened", "payload": {}});
    let refused = relay.api.post(400, "/api/v1/events", &forged).await;
    assert!(
        refused.to_string().contains("that Posthaste itself raises"),
        "{refused}"
    );
}

async fn a_listener_that_fails_feeds_itself_nothing(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (witness, _) = listen(&relay, &["posthaste.*"]).await;
    // It fails by all there is to tell: its deliveries end, and its breaker opens and closes.
    let broken = Receiver::answering(|number, _| status([500, 200][number % 2])).await;
    let wanted = json!({
        "eventTypes": ["posthaste.*"],
        "retryPolicy": {"attempts": 1},
        "breaker": {"consecutiveFailures": 1, "coolDownMs": 100, "coolDownMaxMs": 100, "probes": 1},
    });
    let listener = relay.api.subscribe(&broken, wanted).await;
    let (receiver, _) = failing(500).await;
    let subscribed = relay.api.subscribe(&receiver, once()).await;
    for count in 1..=4 {
        relay.api.send("a.b", json!(count)).await;
        heard(&witness, count).await;
        relay.api.settled(&listener.id).await;
    }
    relay.api.settled(&subscribed.id).await;
    let ended = relay.api.deliveries_of(&listener.id).await;
    let failed = ended
        .values()
        .filter(|row| row["status"] == "failed")
        .count();
    assert_eq!((ended.len(), failed), (4, 2));
    relay
        .api
        .until_get(
            &listener.path(),
            "its breaker to have opened twice and closed",
            |view| {
                let breaker = &view["breakerState"];
                breaker["state"] == "closed" && breaker["openedInARow"] == 2
            },
        )
        .await;
    let told = stored(&relay.api).await;
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        told.iter()
            .all(|row| row["payload"]["subscriptionId"] == subscribed.id)
    );
}

async fn a_listener_that_is_gone_is_told_to_the_others(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (other, _) = listen(&relay, &["posthaste.subscription.deactivated"]).await;
    let (receiver, _) = failing(410).await;
    let wanted = json!({"eventTypes": ["a.b", "posthaste.*"]});
    let listener = relay.api.subscribe(&receiver, wanted).await;
    relay.api.send("a.b", json!(1)).await;
    let told = heard(&other, 1).await.remove(0);
    assert_eq!(told["data"]["subscriptionId"], listener.id);
    let pending = relay.api.deliveries_of(&listener.id).await;
    assert_eq!(
        pending.len(),
        1,
        "of its own end it is not told: {pending:?}"
    );
}

async fn what_is_told_is_told_at_once(profile: Profile) {
    let no_sweeps = ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "300000");
    let relay = Relay::start_with(profile, &[no_sweeps]).await;
    let (listener, _) = listen(&relay, &["posthaste.*"]).await;
    let ((failing_receiver, _), (gone, _)) = (failing(500).await, failing(410).await);
    let mut rules = once();
    rules["breaker"] = json!({"consecutiveFailures": 1, "coolDownMs": HOUR_MS,
        "coolDownMaxMs": HOUR_MS});
    relay.api.subscribe(&failing_receiver, rules).await;
    let subscribed = relay.api.subscribe(&gone, json!({})).await;
    relay.api.send("a.b", json!(1)).await;
    heard(&listener, 3).await;
    let path = format!("{}/reactivate", subscribed.path());
    relay.api.expect(200, Method::POST, &path, None).await;
    // The receiver is gone still.
    let told: Vec<_> = heard(&listener, 5).await;
    let mut kinds: Vec<_> = told.iter().map(|told| text(told, "eventType")).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let expected = [
        "posthaste.breaker.opened",
        "posthaste.delivery.failed",
        "posthaste.subscription.deactivated",
        "posthaste.subscription.reactivated",
    ];
    assert_eq!(kinds, expected);
}

/// The ledger of a flow to a receiver that fails: which deliveries ended undelivered, and of
/// which the end was told.
async fn every_failed_delivery_is_told_whatever_is_killed(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let more = [
        ("POSTHASTE_ENGINE__LEASE_TTL_MS", "1000"),
        ("POSTHASTE_ENGINE__LEASE_RENEW_MS", "200"),
        ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "8"),
        ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "500"),
    ];
    let mut process = Process::start(&backend, &more).await;
    let listener = Receiver::ok().await;
    let wanted = json!({"eventTypes": ["posthaste.*"]});
    let listening = process.api.subscribe(&listener, wanted).await;
    let (receiver, _) = failing(500).await;
    let subscribed = process.api.subscribe(&receiver, once()).await;
    for moment in [5, 60, 150] {
        let pouring = Pouring::begin(&process.api);
        pouring.accepted(moment).await;
        listener.received(moment / 3).await;
        process.kill().await;
        pouring.end().await;
        process = Process::start(&backend, &more).await;
    }
    process.api.settled(&subscribed.id).await;
    let ended = process.api.deliveries_of(&subscribed.id).await;
    assert!(ended.values().all(|row| row["status"] == "failed"));
    listener.received_events(ended.len()).await;
    process.api.settled(&listening.id).await;
    let told = process.api.deliveries_of(&listening.id).await;
    assert_eq!(told.len(), ended.len(), "one each");
    let got = listener.all();
    let named: HashSet<_> = got
        .iter()
        .map(|one| text(&one.json()["data"], "deliveryId").to_owned())
        .collect();
    let ended: HashSet<_> = ended
        .values()
        .map(|row| text(row, "id").to_owned())
        .collect();
    assert_eq!(named, ended);
    assert_eq!(process.terminate().await, Some(0));
}

/// What the process that accepts changes while none delivers, the next one tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_made_while_nobody_delivers_is_told_later() {
    const INGEST: (&str, &str) = ("POSTHASTE_ENGINE__ROLE", "ingest");
    const DELIVER: (&str, &str) = ("POSTHASTE_ENGINE__ROLE", "deliver");
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let deliver = Relay::start_on(Arc::clone(&backend), &[DELIVER]).await;
    let ingest = Relay::start_on(Arc::clone(&backend), &[INGEST]).await;
    let (listener, _) = listen(&ingest, &["posthaste.subscription.*"]).await;
    let (receiver, healed) = failing(410).await;
    let subscribed = ingest.api.subscribe(&receiver, json!({})).await;
    let event = ingest.api.send("a.b", json!(1)).await;
    heard(&listener, 1).await;
    deliver.stop().await;

    healed.store(true, Ordering::SeqCst);
    let path = format!("{}/reactivate", subscribed.path());
    ingest.api.expect(200, Method::POST, &path, None).await;
    assert_eq!(stored(&ingest.api).await.len(), 1);
    let deliver = Relay::start_on(backend, &[DELIVER]).await;
    let told = heard(&listener, 2).await.remove(1);
    assert_eq!(told["eventType"], "posthaste.subscription.reactivated");
    deliver.final_delivery(&event).await;
}

#[cfg(feature = "faults")]
mod failing_inside {
    use posthaste::faults::Point;

    use super::*;
    use crate::support::flow::pour;
    use crate::support::receiver::tally;

    crate::stories_also_split!(
        what_was_not_accepted_before_the_end_is_told_by_the_next_process,
        the_outbox_panics,
        its_task_panics_before_the_acceptance,
        a_group_is_lost_after_the_acceptance,
        a_recorder_that_panics_after_its_commit_tells_once,
        a_breaker_that_is_kept_at_the_fourth_try_tells_once,
        a_subscription_that_keeps_crashing_is_told,
    );

    async fn what_was_not_accepted_before_the_end_is_told_by_the_next_process(profile: Profile) {
        let relay = Relay::start(profile).await;
        let (listener, listening) = listen(&relay, &["posthaste.*"]).await;
        relay.engine().faults().arm(Point::OutboxMuted, u32::MAX);
        let ((receiver, _), (gone, _)) = (failing(500).await, failing(410).await);
        let mut rules = once();
        rules["breaker"] = json!({"consecutiveFailures": 1, "coolDownMs": HOUR_MS,
            "coolDownMaxMs": HOUR_MS});
        let subscribed = relay.api.subscribe(&receiver, rules).await;
        let left = relay.api.subscribe(&gone, json!({})).await;
        relay.api.send("a.b", json!(1)).await;
        let states = [
            (&subscribed, "breakerState/state", "open"),
            (&left, "state", "deactivated"),
        ];
        for (subscribed, place, wanted) in states {
            let path = subscribed.path();
            let is_so = |view: &Value| view.pointer(&format!("/{place}")) == Some(&json!(wanted));
            relay.api.until_get(&path, wanted, is_so).await;
        }
        relay.api.settled(&subscribed.id).await;
        assert!(
            stored(&relay.api).await.is_empty(),
            "nothing is accepted yet"
        );
        let relay = Relay::start_on(relay.stop().await, &[]).await;
        let told = heard(&listener, 3).await;
        let kinds: HashSet<_> = told.iter().map(|told| text(told, "eventType")).collect();
        assert_eq!(kinds.len(), 3, "{kinds:?}");
        relay.api.settled(&listening.id).await;
        assert_eq!(stored(&relay.api).await.len(), 3);
    }

    async fn the_outbox_panics(profile: Profile) {
        survives(profile, Point::Outbox, 2).await;
    }

    async fn its_task_panics_before_the_acceptance(profile: Profile) {
        survives(profile, Point::OutboxRead, 3).await;
    }

    async fn a_group_is_lost_after_the_acceptance(profile: Profile) {
        survives(profile, Point::IngestCommitted, 2).await;
    }

    async fn a_recorder_that_panics_after_its_commit_tells_once(profile: Profile) {
        survives(profile, Point::RecorderCommitted, 2).await;
    }

    /// Panics in the middle of a flow to a receiver that fails: each failure is told, once.
    async fn survives(profile: Profile, point: Point, times: u32) {
        let relay = Relay::start(profile).await;
        let (listener, listening) = listen(&relay, &["posthaste.*"]).await;
        let (receiver, _) = failing(500).await;
        let subscribed = relay.api.subscribe(&receiver, once()).await;
        pour(&relay.api, 10).await;
        listener.received(5).await;
        relay.engine().faults().arm(point, times);
        pour(&relay.api, 30).await;
        relay.api.settled(&subscribed.id).await;
        let tally_of = listener.received_events(40).await;
        assert!(tally_of.values().all(|times| *times == 1));
        relay.api.settled(&listening.id).await;
        assert_eq!(relay.engine().faults().left(point), 0, "the fault fired");
        let got = listener.all();
        let named: HashSet<_> = got
            .iter()
            .map(|one| text(&one.json()["data"], "deliveryId").to_owned())
            .collect();
        assert_eq!((named.len(), tally(&got).len(), got.len()), (40, 40, 40));
    }

    async fn a_breaker_that_is_kept_at_the_fourth_try_tells_once(profile: Profile) {
        let relay = Relay::start(profile).await;
        let (listener, listening) = listen(&relay, &["posthaste.breaker.*"]).await;
        let (receiver, healed) = failing(500).await;
        let rules = json!({"breaker": {"consecutiveFailures": 1, "coolDownMs": 200, "probes": 1}});
        relay.engine().faults().arm(Point::BreakerKeep, 3);
        let subscribed = relay.api.subscribe(&receiver, rules).await;
        relay.api.send("a.b", json!(1)).await;
        heard(&listener, 1).await;
        healed.store(true, Ordering::SeqCst);
        relay.api.settled(&subscribed.id).await;
        heard(&listener, 2).await;
        relay.api.settled(&listening.id).await;
        assert_eq!(relay.engine().faults().left(Point::BreakerKeep), 0);
        assert_eq!(stored(&relay.api).await.len(), 2);
    }

    async fn a_subscription_that_keeps_crashing_is_told(profile: Profile) {
        let limit = ("POSTHASTE_ENGINE__RESTART_LIMIT", "2");
        let relay = Relay::start_with(profile, &[limit]).await;
        let (listener, _) = listen(&relay, &["posthaste.subscription.deactivated"]).await;
        let receiver = Receiver::ok().await;
        let subscribed = relay.api.subscribe(&receiver, json!({})).await;
        let id = subscribed.id.parse().unwrap();
        relay
            .engine()
            .faults()
            .arm_for(Point::Subscription, id, u32::MAX);
        relay.api.send("a.b", json!(1)).await;
        let told = heard(&listener, 1).await.remove(0);
        let data = &told["data"];
        assert_eq!(data["subscriptionId"], subscribed.id);
        assert_eq!(
            (&data["state"], &data["reason"]),
            (&json!("suspended"), &json!("crashing"))
        );
    }
}
