//! A job goes on where it was, whatever dies meanwhile, and counts nothing twice.

use std::sync::Arc;

use posthaste::events::EngineEvent;
#[cfg(feature = "faults")]
use posthaste::faults::Point;
use serde_json::{Value, json};

use super::replaying::{LONG_AGO, begin, counters, ended, send};
use crate::support::backend::Backend;
#[cfg(feature = "faults")]
use crate::support::receiver::tally;
use crate::support::relay::{Api, Subscribed, text};
use crate::support::{Process, Profile, Receiver, Relay};

crate::stories!(
    #[cfg(feature = "faults")]
    a_batch_whose_task_is_lost_after_its_commit_is_counted_once,
    #[cfg(feature = "faults")]
    the_actor_of_the_jobs_panics,
    a_job_survives_kill_9,
);

#[cfg(feature = "faults")]
async fn a_batch_whose_task_is_lost_after_its_commit_is_counted_once(profile: Profile) {
    let sweeps = [("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "100")];
    let relay = Relay::start_with(profile, &sweeps).await;
    let events = send(&relay.api, "early", 120).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    relay.engine().faults().arm(Point::JobCommitted, 2);
    let body = json!({"since": LONG_AGO, "rate": 200});
    let made = begin(&relay.api, &subscribed, "replay", body).await;
    let done = ended(&relay.api, &made, "completed").await;
    assert_eq!(relay.engine().faults().left(Point::JobCommitted), 0);
    assert_eq!(counters(&done), (120, 120, 0));
    relay.nothing_pending().await;
    let tally = tally(&receiver.all());
    assert!(events.iter().all(|event| tally[event] == 1));
}

#[cfg(feature = "faults")]
async fn the_actor_of_the_jobs_panics(profile: Profile) {
    let relay = Relay::start(profile).await;
    send(&relay.api, "early", 60).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    relay.engine().faults().arm(Point::Jobs, 2);
    let body = json!({"since": LONG_AGO, "rate": 200});
    let made = begin(&relay.api, &subscribed, "replay", body).await;
    relay
        .until("the actor's restart", |fact| {
            *fact == EngineEvent::ActorRestarted("jobs")
        })
        .await;
    let done = ended(&relay.api, &made, "completed").await;
    assert_eq!(counters(&done), (60, 60, 0));
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 60);
}

/// A lease that ends soon where nobody renews it.
const SHORT_LEASE: [(&str, &str); 3] = [
    ("POSTHASTE_ENGINE__LEASE_TTL_MS", "1000"),
    ("POSTHASTE_ENGINE__LEASE_RENEW_MS", "200"),
    ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "200"),
];

/// Waits until a job has done so many.
async fn has_done(api: &Api, job: &Value, count: u64) {
    let path = format!("/api/v1/jobs/{}", text(job, "id"));
    api.until_get(&path, "some of the job", |job| {
        job["done"].as_u64().unwrap() >= count
    })
    .await;
}

/// Each event has one delivery, in the round that the replay made, and arrived.
async fn replayed_exactly(api: &Api, made: &Value, events: &[String], subscribed: &Subscribed) {
    let done = ended(api, made, "completed").await;
    let count = events.len() as u64;
    assert_eq!(counters(&done), (count, count, 0));
    api.settled(&subscribed.id).await;
    let deliveries = api.deliveries_of(&subscribed.id).await;
    assert_eq!(deliveries.len(), events.len());
    for event in events {
        let row = &deliveries[event];
        assert_eq!(
            (&row["status"], &row["round"]),
            (&json!("delivered"), &json!(2))
        );
    }
}

async fn a_job_survives_kill_9(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let mut process = Process::start(&backend, &SHORT_LEASE).await;
    let events = send(&process.api, "early", 400).await;
    let receiver = Receiver::ok().await;
    let subscribed = process.api.subscribe(&receiver, json!({})).await;
    let body = json!({"since": LONG_AGO, "rate": 200});
    let made = begin(&process.api, &subscribed, "replay", body).await;
    for count in [1, 150] {
        has_done(&process.api, &made, count).await;
        process.kill().await;
        process = Process::start(&backend, &SHORT_LEASE).await;
    }
    replayed_exactly(&process.api, &made, &events, &subscribed).await;
    let tally = receiver.received_events(events.len()).await;
    assert!(events.iter().all(|event| tally.contains_key(event)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_owner_goes_on_with_a_job_where_the_killed_one_was() {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let owner = Process::start(&backend, &SHORT_LEASE).await;
    let standby = Relay::start_on(Arc::clone(&backend), &SHORT_LEASE).await;
    let events = send(&standby.api, "early", 400).await;
    let receiver = Receiver::ok().await;
    let subscribed = standby.api.subscribe(&receiver, json!({})).await;
    // Made at the standby, which only passes it on.
    let body = json!({"since": LONG_AGO, "rate": 200});
    let made = begin(&standby.api, &subscribed, "replay", body).await;
    has_done(&standby.api, &made, 100).await;
    assert!(standby.engine().standing_by());
    owner.kill().await;
    standby
        .until("the lease to be taken over", |fact| {
            *fact == EngineEvent::OwnershipTaken
        })
        .await;
    replayed_exactly(&standby.api, &made, &events, &subscribed).await;
}
