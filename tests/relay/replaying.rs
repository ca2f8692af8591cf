//! Bulk work: what failed is retried, events are replayed, whatever dies meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use posthaste::domain::job::JobState;
use posthaste::events::EngineEvent;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::{status, tally};
use crate::support::relay::{Api, Subscribed, rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    all_that_failed_is_retried_by_one_job,
    a_preview_counts_and_changes_nothing,
    events_from_before_a_subscription_existed_are_replayed_to_it,
    a_replay_keeps_within_its_time_and_types,
    an_event_of_another_tenant_is_never_replayed,
    what_is_pending_is_left_alone_and_counted,
    a_job_on_a_paused_subscription_makes_deliveries_that_wait,
    a_cancelled_job_moves_nothing_more,
    a_job_of_a_deleted_subscription_fails,
    jobs_are_listed_and_bounded,
);
pub const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// Sends so many events, as batches.
pub async fn send(api: &Api, event_type: &str, count: usize) -> Vec<String> {
    let events: Vec<_> = (0..count)
        .map(|number| json!({"eventType": event_type, "payload": {"number": number}}))
        .collect();
    let mut ids = Vec::new();
    for batch in events.chunks(100) {
        let answer = api.post(202, "/api/v1/events", &json!(batch)).await;
        let results = answer["results"].as_array().unwrap();
        ids.extend(results.iter().map(|one| text(one, "eventId").to_owned()));
    }
    ids
}

pub async fn begin(api: &Api, subscribed: &Subscribed, work: &str, body: Value) -> Value {
    let path = format!("{}/{work}", subscribed.path());
    api.post(202, &path, &body).await
}

async fn job(api: &Api, job: &Value) -> Value {
    api.get(&format!("/api/v1/jobs/{}", text(job, "id"))).await
}

/// The job once it has ended in this state.
pub async fn ended(api: &Api, job: &Value, state: &str) -> Value {
    let path = format!("/api/v1/jobs/{}", text(job, "id"));
    let done = api
        .until_get(&path, "the job to end", |job| job["finishedAt"].is_string())
        .await;
    assert_eq!(done["state"], state, "{done}");
    done
}

pub fn counters(job: &Value) -> (u64, u64, u64) {
    let count = |field: &str| job[field].as_u64().unwrap();
    (count("total"), count("done"), count("skipped"))
}

async fn triggers(api: &Api, event: &str) -> Vec<String> {
    let delivery = api.delivery_of(event).await;
    let attempts = delivery["attempts"].as_array().unwrap();
    attempts
        .iter()
        .map(|attempt| text(attempt, "trigger").to_owned())
        .collect()
}

async fn set(api: &Api, subscribed: &Subscribed, action: &str) {
    let path = format!("{}/{action}", subscribed.path());
    api.expect(200, Method::POST, &path, None).await;
}

async fn all_that_failed_is_retried_by_one_job(profile: Profile) {
    let relay = Relay::start(profile).await;
    let healed = Arc::new(AtomicBool::new(false));
    let is_healed = Arc::clone(&healed);
    let receiver = Receiver::answering(move |number, _| {
        let works = number == 0 || is_healed.load(Ordering::SeqCst);
        status(if works { 200 } else { 500 })
    })
    .await;
    let once = json!({"retryPolicy": {"delaysMs": []}, "breaker": {"enabled": false}});
    let subscribed = relay.api.subscribe(&receiver, once).await;
    let arrived = relay.api.send("a.b", json!("arrives")).await;
    relay.final_delivery(&arrived).await;
    let failed = send(&relay.api, "a.b", 60).await;
    relay.nothing_pending().await;
    healed.store(true, Ordering::SeqCst);

    let path = format!("{}/retry-failed", subscribed.path());
    let body = json!({"since": LONG_AGO, "rate": 1000});
    let request = relay.api.request(Method::POST, &path).json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    let made: Value = answer.json().await.unwrap();
    assert_eq!(place, format!("/api/v1/jobs/{}", text(&made, "id")));
    assert_eq!(
        (&made["kind"], &made["total"]),
        (&json!("retry_failed"), &json!(60))
    );
    assert_eq!(made["states"], json!(["failed", "expired"]));
    assert_eq!(relay.api.get(&place).await["id"], made["id"]);

    let done = ended(&relay.api, &made, "completed").await;
    assert_eq!(counters(&done), (60, 60, 0));
    assert!(done["startedAt"].is_string());
    relay.nothing_pending().await;
    let deliveries = relay.api.deliveries_of(&subscribed.id).await;
    assert!(deliveries.values().all(|one| one["status"] == "delivered"));
    assert_eq!(deliveries[&arrived]["round"], 1);
    assert!(failed.iter().all(|event| deliveries[event]["round"] == 2));
    assert_eq!(
        triggers(&relay.api, &failed[0]).await,
        ["schedule", "manual"]
    );
    let tally = tally(&receiver.all());
    assert_eq!(tally[&arrived], 1);
    assert!(failed.iter().all(|event| tally[event] == 2));
}

async fn a_preview_counts_and_changes_nothing(profile: Profile) {
    let relay = Relay::start(profile).await;
    let events = send(&relay.api, "early", 12).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let preview = async |work: &str, body: Value| {
        let path = format!("{}/{work}", subscribed.path());
        relay.api.post(200, &path, &body).await
    };
    let by_time = json!({"since": LONG_AGO, "dryRun": true});
    let seen = preview("replay", by_time.clone()).await;
    assert_eq!(
        (&seen["total"], &seen["atLeast"]),
        (&json!(12), &json!(false))
    );
    assert_eq!(seen["samples"], json!(events[..5]));
    let named = json!({"eventIds": events[3..6], "dryRun": true});
    let seen = preview("replay", named).await;
    assert_eq!(
        (&seen["total"], &seen["samples"]),
        (&json!(3), &json!(events[3..6]))
    );
    let seen = preview("retry-failed", by_time).await;
    assert_eq!((&seen["total"], &seen["samples"]), (&json!(0), &json!([])));

    assert!(rows(&relay.api.get("/api/v1/jobs").await).is_empty());
    assert!(relay.api.deliveries_of(&subscribed.id).await.is_empty());
    assert_eq!(receiver.count(), 0);
}

async fn events_from_before_a_subscription_existed_are_replayed_to_it(profile: Profile) {
    let relay = Relay::start(profile).await;
    let events = send(&relay.api, "early", 30).await;
    let others = send(&relay.api, "other", 3).await;
    let receiver = Receiver::ok().await;
    let early = json!({"eventTypes": ["early"]});
    let subscribed = relay.api.subscribe(&receiver, early).await;
    let made = begin(
        &relay.api,
        &subscribed,
        "replay",
        json!({"since": LONG_AGO}),
    )
    .await;
    assert_eq!(
        (&made["kind"], &made["rate"]),
        (&json!("replay"), &json!(100))
    );
    assert_eq!(made["eventTypes"], json!(["early"]));
    let done = ended(&relay.api, &made, "completed").await;
    assert_eq!(counters(&done), (30, 30, 0));
    relay.nothing_pending().await;
    let deliveries = relay.api.deliveries_of(&subscribed.id).await;
    assert_eq!(deliveries.len(), 30);
    // No acceptance made them: they begin where a replay begins.
    assert!(deliveries.values().all(|one| one["round"] == 2));
    assert_eq!(triggers(&relay.api, &events[0]).await, ["manual"]);
    let got: HashSet<String> = receiver.all().iter().map(|one| one.event_id()).collect();
    assert_eq!(got, events.iter().cloned().collect());

    // Named ones come again, in the next round of the same delivery, and those of other types.
    let named = json!({"eventIds": [events[4], others[1], events[7]]});
    let made = begin(&relay.api, &subscribed, "replay", named).await;
    assert_eq!(made["eventIds"].as_array().unwrap().len(), 3);
    let done = ended(&relay.api, &made, "completed").await;
    assert_eq!(counters(&done), (3, 3, 0));
    relay.nothing_pending().await;
    let deliveries = relay.api.deliveries_of(&subscribed.id).await;
    assert_eq!(deliveries.len(), 31);
    assert_eq!(deliveries[&events[4]]["round"], 3);
    assert_eq!(deliveries[&events[5]]["round"], 2);
    assert_eq!(triggers(&relay.api, &events[7]).await, ["manual", "manual"]);
    let tally = tally(&receiver.all());
    assert_eq!(
        (tally[&events[4]], tally[&others[1]], receiver.count()),
        (2, 1, 33)
    );
}

async fn a_replay_keeps_within_its_time_and_types(profile: Profile) {
    let relay = Relay::start(profile).await;
    send(&relay.api, "a.early", 4).await;
    let between = send(&relay.api, "a.between", 1).await;
    let received = |view: Value| text(&view, "receivedAt").to_owned();
    let event = relay
        .api
        .get(&format!("/api/v1/events/{}", between[0]))
        .await;
    let moment = received(event);
    send(&relay.api, "b.late", 4).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay
        .api
        .subscribe(&receiver, json!({"eventTypes": ["none"]}))
        .await;
    let count = async |body: Value| {
        let mut body = body;
        body["dryRun"] = json!(true);
        let path = format!("{}/replay", subscribed.path());
        relay.api.post(200, &path, &body).await["total"]
            .as_u64()
            .unwrap()
    };
    let types = |types: Value| json!({"since": LONG_AGO, "eventTypes": types});
    assert_eq!(count(types(json!(["*"]))).await, 9);
    assert_eq!(count(types(json!(["a.*"]))).await, 5);
    assert_eq!(count(types(json!("b.late"))).await, 4);
    assert_eq!(
        count(json!({"since": LONG_AGO})).await,
        0,
        "what it subscribes to"
    );
    // Before it and from it on is all there is.
    let before = json!({"since": LONG_AGO, "until": moment, "eventTypes": ["*"]});
    let from = json!({"since": moment, "eventTypes": ["*"]});
    let (before, from) = (count(before).await, count(from).await);
    assert_eq!(before + from, 9);
    assert!(before <= 4 && from >= 5, "{before} and {from}");
}

async fn an_event_of_another_tenant_is_never_replayed(profile: Profile) {
    let relay = Relay::start(profile).await;
    let mut ids = Vec::new();
    for tenant in [json!("ours"), json!("theirs"), Value::Null] {
        let event = json!({"eventType": "a.b", "payload": {}, "tenant": tenant});
        let answer = relay.api.post(202, "/api/v1/events", &event).await;
        ids.push(text(&answer, "eventId").to_owned());
    }
    let receiver = Receiver::ok().await;
    let ours = json!({"clientId": "ours"});
    let subscribed = relay.api.subscribe(&receiver, ours).await;
    let made = begin(
        &relay.api,
        &subscribed,
        "replay",
        json!({"since": LONG_AGO}),
    )
    .await;
    let done = ended(&relay.api, &made, "completed").await;
    assert_eq!(counters(&done), (2, 2, 0));
    relay.nothing_pending().await;
    let got: HashSet<String> = receiver.all().iter().map(|one| one.event_id()).collect();
    assert_eq!(got, HashSet::from([ids[0].clone(), ids[2].clone()]));

    let path = format!("{}/replay", subscribed.path());
    let unknown = "0190b5a0-0000-7000-8000-000000000000";
    let named = json!({"eventIds": [ids[0], ids[1], unknown]});
    let refused = relay.api.post(400, &path, &named).await;
    let error = text(&refused, "error");
    assert!(
        error.contains(&format!("{} is an event", ids[1])),
        "{error}"
    );
    assert!(
        error.contains(&format!("{unknown} is not stored")),
        "{error}"
    );
    assert_eq!(relay.api.deliveries_of(&subscribed.id).await.len(), 2);
}

async fn what_is_pending_is_left_alone_and_counted(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let early = send(&relay.api, "a.b", 3).await;
    let paused = json!({"isActive": false});
    let subscribed = relay.api.subscribe(&receiver, paused).await;
    let pending = send(&relay.api, "a.b", 5).await;
    let made = begin(
        &relay.api,
        &subscribed,
        "replay",
        json!({"since": LONG_AGO}),
    )
    .await;
    let done = ended(&relay.api, &made, "completed").await;
    assert_eq!(counters(&done), (8, 3, 5));
    let made = begin(
        &relay.api,
        &subscribed,
        "replay",
        json!({"since": LONG_AGO}),
    )
    .await;
    let done = ended(&relay.api, &made, "completed").await;
    assert_eq!(counters(&done), (8, 0, 8));
    set(&relay.api, &subscribed, "resume").await;
    relay.nothing_pending().await;
    let deliveries = relay.api.deliveries_of(&subscribed.id).await;
    assert_eq!(deliveries.len(), 8);
    assert!(pending.iter().all(|event| deliveries[event]["round"] == 1));
    assert!(early.iter().all(|event| deliveries[event]["round"] == 2));
    assert!(tally(&receiver.all()).values().all(|times| *times == 1));
    assert_eq!(receiver.count(), 8);
}

async fn a_job_on_a_paused_subscription_makes_deliveries_that_wait(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let paused = json!({"isActive": false});
    let subscribed = relay.api.subscribe(&receiver, paused).await;
    let events = send(&relay.api, "a.b", 6).await;
    set(&relay.api, &subscribed, "cancel-pending").await;
    // Cancelled is not failed, unless it is named.
    let failed = json!({"since": LONG_AGO});
    let made = begin(&relay.api, &subscribed, "retry-failed", failed).await;
    let done = ended(&relay.api, &made, "completed").await;
    assert_eq!(counters(&done), (0, 0, 0));
    let cancelled = json!({"since": LONG_AGO, "states": ["cancelled", "skipped"]});
    let made = begin(&relay.api, &subscribed, "retry-failed", cancelled).await;
    let done = ended(&relay.api, &made, "completed").await;
    assert_eq!(counters(&done), (6, 6, 0));
    let deliveries = relay.api.deliveries_of(&subscribed.id).await;
    assert!(deliveries.values().all(|one| one["status"] == "pending"));
    assert_eq!(receiver.count(), 0);

    set(&relay.api, &subscribed, "resume").await;
    relay.nothing_pending().await;
    let tally = tally(&receiver.all());
    assert!(events.iter().all(|event| tally[event] == 1));
}

async fn a_cancelled_job_moves_nothing_more(profile: Profile) {
    let relay = Relay::start(profile).await;
    send(&relay.api, "early", 100).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let slowly = json!({"since": LONG_AGO, "rate": 10});
    let made = begin(&relay.api, &subscribed, "replay", slowly).await;
    relay
        .until(
            "some of the job",
            |fact| matches!(fact, EngineEvent::JobMoved { done, .. } if *done >= 4),
        )
        .await;
    let path = format!("/api/v1/jobs/{}/cancel", text(&made, "id"));
    let cancelled = relay.api.expect(200, Method::POST, &path, None).await;
    assert_eq!(cancelled["state"], "cancelled");
    let (total, done, _) = counters(&cancelled);
    assert!(total == 100 && (4..100).contains(&done), "{cancelled}");
    let refused = relay.api.expect(409, Method::POST, &path, None).await;
    assert!(
        text(&refused, "error").contains("cancelled already"),
        "{refused}"
    );

    // Another job that comes to its end saw the same open jobs.
    let named = json!({"eventIds": [relay.api.send("x", json!(1)).await], "rate": 1});
    let other = begin(&relay.api, &subscribed, "replay", named).await;
    ended(&relay.api, &other, "completed").await;
    relay.nothing_pending().await;
    let deliveries = relay.api.deliveries_of(&subscribed.id).await;
    assert_eq!(
        deliveries.len() as u64,
        done + 1,
        "what was made stays made"
    );
    assert_eq!(job(&relay.api, &made).await["done"], done);
}

async fn a_job_of_a_deleted_subscription_fails(profile: Profile) {
    let relay = Relay::start(profile).await;
    send(&relay.api, "early", 100).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let slowly = json!({"since": LONG_AGO, "rate": 10});
    let made = begin(&relay.api, &subscribed, "replay", slowly).await;
    relay
        .until(
            "some of the job",
            |fact| matches!(fact, EngineEvent::JobMoved { done, .. } if *done > 0),
        )
        .await;
    relay.api.delete(&subscribed).await;
    relay
        .until("the job to fail", |fact| {
            matches!(
                fact,
                EngineEvent::JobMoved {
                    state: JobState::Failed,
                    ..
                }
            )
        })
        .await;
    let failed = ended(&relay.api, &made, "failed").await;
    assert_eq!(failed["error"], "the subscription was deleted");
    relay.nothing_pending().await;
    for work in ["replay", "retry-failed"] {
        let path = format!("{}/{work}", subscribed.path());
        relay
            .api
            .post(404, &path, &json!({"since": LONG_AGO}))
            .await;
    }
}

async fn jobs_are_listed_and_bounded(profile: Profile) {
    let relay = Relay::start_with(profile, &[("POSTHASTE_JOBS__MAX_OPEN", "1")]).await;
    send(&relay.api, "early", 50).await;
    let receiver = Receiver::ok().await;
    let one = relay.api.subscribe(&receiver, json!({})).await;
    let two = relay.api.subscribe(&receiver, json!({})).await;
    let named = relay.api.send("none", json!(1)).await;
    let quick = json!({"eventIds": [named]});
    let first = begin(&relay.api, &one, "replay", quick.clone()).await;
    ended(&relay.api, &first, "completed").await;
    let slowly = json!({"since": LONG_AGO, "rate": 1});
    let second = begin(&relay.api, &two, "replay", slowly.clone()).await;
    let path = format!("{}/replay", one.path());
    let refused = relay.api.post(409, &path, &slowly).await;
    assert!(
        text(&refused, "error").contains("jobs.max_open"),
        "{refused}"
    );

    let list = async |query: &str| -> Vec<String> {
        let page = relay.api.get(&format!("/api/v1/jobs{query}")).await;
        let ids = rows(&page).iter().map(|job| text(job, "id").to_owned());
        ids.collect()
    };
    let (first, second) = (text(&first, "id"), text(&second, "id"));
    assert_eq!(list("").await, [second, first]);
    assert_eq!(list("?limit=1").await, [second]);
    assert_eq!(list(&format!("?subscriptionId={}", one.id)).await, [first]);
    assert_eq!(list("?state=completed").await, [first]);
    let open = format!("?webhookId={}&state=running", one.id);
    assert_eq!(list(&open).await, Vec::<String>::new());
    let method = Method::GET;
    let wrong = "/api/v1/jobs?state=done";
    relay.api.expect(400, method.clone(), wrong, None).await;
    let nothing = "/api/v1/jobs/0190b5a0-0000-7000-8000-000000000000";
    relay.api.expect(404, method, nothing, None).await;
    let nothing = format!("{nothing}/cancel");
    relay.api.expect(404, Method::POST, &nothing, None).await;
}
