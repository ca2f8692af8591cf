//! Injected panics at every point: what was acknowledged arrives, once.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use posthaste::domain::delivery::Settlement;
use posthaste::events::EngineEvent;
use posthaste::faults::Point;
use serde_json::json;

use crate::support::flow::pour;
use crate::support::receiver::tally;
use crate::support::{Profile, Receiver, Relay, soon};

crate::stories!(
    a_subscription_actor_panics,
    the_dispatcher_panics,
    the_ingest_actor_panics,
    a_group_of_events_is_lost_after_its_commit,
    a_keyed_group_is_lost_after_its_commit,
    the_recorder_panics,
    a_group_of_outcomes_is_lost_before_its_commit,
    a_group_of_outcomes_is_lost_after_its_commit,
    an_attempt_panics_before_its_call,
    an_attempt_panics_after_its_call,
    a_singleton_that_keeps_dying_fails_the_engine,
    the_roots_own_death_fails_the_engine,
);

const BEFORE: usize = 40;
const AFTER: usize = 110;

async fn a_subscription_actor_panics(profile: Profile) {
    survives(profile, Point::Subscription, 3, Some("subscription")).await;
}

async fn the_dispatcher_panics(profile: Profile) {
    survives(profile, Point::Dispatcher, 1, Some("dispatcher")).await;
}

async fn the_ingest_actor_panics(profile: Profile) {
    survives(profile, Point::Ingest, 2, Some("ingest")).await;
}

async fn a_group_of_events_is_lost_after_its_commit(profile: Profile) {
    survives(profile, Point::IngestCommitted, 2, None).await;
}

async fn the_recorder_panics(profile: Profile) {
    survives(profile, Point::Recorder, 2, Some("recorder")).await;
}

async fn a_group_of_outcomes_is_lost_before_its_commit(profile: Profile) {
    survives(profile, Point::RecorderCommit, 3, None).await;
}

async fn a_group_of_outcomes_is_lost_after_its_commit(profile: Profile) {
    survives(profile, Point::RecorderCommitted, 3, None).await;
}

async fn an_attempt_panics_before_its_call(profile: Profile) {
    let failed_inside = survives(profile, Point::BeforeSend, 5, None).await;
    assert_eq!(failed_inside, 5, "each panic is an attempt that failed");
}

async fn an_attempt_panics_after_its_call(profile: Profile) {
    let failed_inside = survives(profile, Point::AfterSend, 5, None).await;
    assert_eq!(failed_inside, 0, "what was sent counts, whatever follows");
}

/// Panics `times` in the middle of a flow. Returns how many attempts failed inside.
async fn survives(profile: Profile, point: Point, times: u32, dies: Option<&str>) -> usize {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let mut sent = pour(&relay.api, BEFORE).await;
    relay.engine().faults().arm(point, times);
    // A new subscription is the dispatcher's business too.
    let late_receiver = Receiver::ok().await;
    let late = relay.api.subscribe(&late_receiver, json!({})).await;
    let later = pour(&relay.api, AFTER).await;

    let restarts = all_delivered(&relay, BEFORE + 2 * AFTER).await;
    assert_eq!(relay.engine().faults().left(point), 0, "the fault fired");
    match dies {
        Some(name) => assert_eq!(restarts, vec![name; times as usize]),
        None => assert_eq!(restarts, Vec::<&str>::new()),
    }
    shown_in_the_tree(&relay, dies, times).await;
    arrived_once(&late_receiver, &later);
    sent.extend(later);
    arrived_once(&receiver, &sent);

    let mut failed_inside = 0;
    for (subscription, count) in [(subscribed, BEFORE + AFTER), (late, AFTER)] {
        let log = relay.api.consistent_log(&subscription.id).await;
        assert_eq!(log.len(), count);
        let attempts: usize = log.values().map(Vec::len).sum();
        failed_inside += attempts - count;
        assert!(log.values().flatten().all(|one| one["stale"] == false));
    }
    if point != Point::BeforeSend {
        assert_eq!(failed_inside, 0, "one attempt each");
    }
    failed_inside
}

/// The tree that people are shown tells the same.
async fn shown_in_the_tree(relay: &Relay, died: Option<&str>, times: u32) {
    let system = relay.api.get("/api/v1/system").await;
    let mut restarts: HashMap<&str, u64> = HashMap::new();
    for actor in system["actors"].as_array().unwrap() {
        let name = actor["name"].as_str().unwrap();
        restarts.insert(name, actor["restarts"].as_u64().unwrap());
        assert!(actor["since"].is_string(), "{name} lives again: {actor}");
        assert_eq!(
            actor["lastDeath"].is_object(),
            died == Some(name),
            "{actor}"
        );
    }
    let of_subscriptions = system["subscriptions"]["restarts"].as_u64().unwrap();
    restarts.insert("subscription", of_subscriptions);
    for (name, count) in restarts {
        let expected = u64::from(if died == Some(name) { times } else { 0 });
        assert_eq!(count, expected, "{name}: {system}");
    }
}

/// Waits until this many deliveries are recorded as delivered; returns who was restarted.
async fn all_delivered(relay: &Relay, count: usize) -> Vec<&'static str> {
    let delivered = Cell::new(0);
    let restarts = Cell::new(Vec::new());
    relay
        .until(&format!("{count} delivered"), |event| {
            match event {
                EngineEvent::AttemptRecorded {
                    settlement: Settlement::Delivered,
                    stale,
                    ..
                } => {
                    assert!(!stale, "nothing is sent twice");
                    delivered.set(delivered.get() + 1);
                }
                EngineEvent::ActorRestarted(name) => {
                    let mut names = restarts.take();
                    names.push(*name);
                    restarts.set(names);
                }
                _ => {}
            }
            delivered.get() == count
        })
        .await;
    restarts.take()
}

fn arrived_once(receiver: &Receiver, sent: &HashSet<String>) {
    let tally = tally(&receiver.all());
    for event in sent {
        assert_eq!(tally.get(event), Some(&1), "{event}");
    }
    assert_eq!(tally.len(), sent.len(), "and nothing else");
}

async fn a_keyed_group_is_lost_after_its_commit(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    relay.engine().faults().arm(Point::IngestCommitted, 1);
    let event = json!({"eventType": "a.b", "payload": 1, "idempotencyKey": "once"});
    let answer = relay.api.post(202, "/api/v1/events", &event).await;
    assert_eq!(relay.engine().faults().left(Point::IngestCommitted), 0);
    assert_eq!(answer["duplicate"], false, "its key is its own");
    let again = relay.api.post(202, "/api/v1/events", &event).await;
    assert_eq!(again["duplicate"], true);
    assert_eq!(again["eventId"], answer["eventId"]);
    relay.recorded(1).await;
    assert_eq!(receiver.count(), 1);
}

async fn the_roots_own_death_fails_the_engine(profile: Profile) {
    let relay = Relay::start(profile).await;
    relay.engine().faults().arm(Point::Root, 1);
    relay.engine().faults().arm(Point::Dispatcher, 1);
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let api = relay.api.clone();
    // Perhaps nobody answers it: the process would end.
    let sender = tokio::spawn(async move { api.try_send().await });
    let reason = soon("the engine to fail", relay.engine().failed()).await;
    assert!(reason.contains("root"), "{reason}");
    sender.abort();
}

async fn a_singleton_that_keeps_dying_fails_the_engine(profile: Profile) {
    let relay = Relay::start_with(profile, &[("POSTHASTE_ENGINE__RESTART_LIMIT", "2")]).await;
    relay.engine().faults().arm(Point::Ingest, u32::MAX);
    let body = json!({"eventType": "a.b", "payload": 1});
    let request = relay
        .api
        .request(reqwest::Method::POST, "/api/v1/events")
        .json(&body);
    // Nobody answers it: the engine fails first, and the process would end.
    let sender = tokio::spawn(request.send());
    let reason = soon("the engine to fail", relay.engine().failed()).await;
    assert!(reason.contains("ingest"), "{reason}");
    relay
        .api
        .expect(503, reqwest::Method::GET, "/health/live", None)
        .await;
    sender.abort();
}
