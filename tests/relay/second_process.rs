//! A second process on the same store: refused, or standing by until it is needed.

use std::process::Stdio;
use std::sync::Arc;

use posthaste::events::EngineEvent;
use rustix::process::Signal;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::support::backend::Backend;
use crate::support::flow::pour;
use crate::support::process::command;
use crate::support::receiver::{Gate, status, tally};
use crate::support::relay::Api;
use crate::support::{Process, Profile, Proxy, Receiver, Relay, soon};

/// A lease that ends soon where nobody renews it.
const SHORT_LEASE: [(&str, &str); 2] = [
    ("POSTHASTE_ENGINE__LEASE_TTL_MS", "1000"),
    ("POSTHASTE_ENGINE__LEASE_RENEW_MS", "100"),
];
/// No sweep comes to help while a story waits.
const NO_SWEEPS: (&str, &str) = ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "300000");

async fn backend(profile: Profile) -> Arc<Backend> {
    Arc::new(Backend::new(profile).await)
}

async fn taken_over(relay: &Relay) {
    relay
        .until("the lease to be taken over", |event| {
            *event == EngineEvent::OwnershipTaken
        })
        .await;
}

#[tokio::test]
async fn the_same_data_directory_is_refused() {
    let backend = backend(Profile::Embedded).await;
    let first = Process::start(&backend, &[]).await;
    let mut second = command(&backend, &[]);
    let second = second.stderr(Stdio::piped()).output();
    let second = soon("the second to give up", second).await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    let message = String::from_utf8_lossy(&second.stderr);
    let holder = format!("in use by process {} listening on", first.id());
    assert!(message.contains(&holder), "{message}");
    assert!(message.contains("POSTHASTE_DATA_DIR"), "{message}");

    first.kill().await;
    let third = Process::start(&backend, &[]).await;
    assert_eq!(third.terminate().await, Some(0));
}

#[tokio::test]
async fn a_standby_accepts_and_redis_tells_the_owner() {
    let backend = backend(Profile::Distributed).await;
    a_standby_accepts(backend, &[NO_SWEEPS]).await;
}

#[tokio::test]
async fn a_standby_accepts_and_without_redis_the_owner_sweeps() {
    let backend = backend(Profile::Distributed).await;
    let more = [
        ("REDIS_URL", ""),
        ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "200"),
    ];
    a_standby_accepts(backend, &more).await;
}

async fn a_standby_accepts(backend: Arc<Backend>, more: &[(&str, &str)]) {
    let owner = Relay::start_on(Arc::clone(&backend), more).await;
    let standby = Relay::start_on(backend, more).await;
    assert!(!owner.engine().standing_by() && standby.engine().standing_by());
    let receiver = Receiver::ok().await;
    // Made at the standby, so that the owner has to hear of it too.
    let subscribed = standby.api.subscribe(&receiver, json!({})).await;
    let sent = pour(&standby.api, 40).await;
    owner.recorded(40).await;
    let tally = tally(&receiver.all());
    assert!(sent.iter().all(|event| tally[event] == 1));
    assert_eq!(standby.api.consistent_log(&subscribed.id).await.len(), 40);

    let health = standby.api.get("/health").await;
    assert_eq!(health["ready"], true);
    let ownership = &health["components"]["ownership"];
    assert_eq!(ownership["ok"], true);
    assert!(ownership["detail"].as_str().unwrap().contains("stands by"));

    let of_owner = owner.api.get("/api/v1/system").await;
    assert_eq!(of_owner["ownership"]["delivers"], true);
    let of_standby = standby.api.get("/api/v1/system").await;
    let ownership = &of_standby["ownership"];
    assert_eq!(ownership["delivers"], false);
    assert_eq!(ownership["owner"], of_owner["node"]["name"]);
}

#[tokio::test]
async fn the_standby_takes_over_from_a_killed_owner() {
    let backend = backend(Profile::Distributed).await;
    let (receiver, gate) = Receiver::gated().await;
    let owner = Process::start(&backend, &SHORT_LEASE).await;
    let in_flight = json!({"maxInFlight": 4});
    let subscribed = owner.api.subscribe(&receiver, in_flight).await;
    let standby = Relay::start_on(backend, &SHORT_LEASE).await;
    let mut sent = pour(&owner.api, 30).await;
    receiver.received(4).await;
    owner.kill().await;
    sent.extend(pour(&standby.api, 30).await);

    gate.open();
    taken_over(&standby).await;
    standby.recorded(60).await;
    let tally = tally(&receiver.all());
    assert!(sent.iter().all(|event| tally.contains_key(event)));
    assert_eq!(receiver.count(), 64, "the four in flight are sent again");
    assert_eq!(tally.values().filter(|times| **times == 2).count(), 4);
    assert_eq!(standby.api.consistent_log(&subscribed.id).await.len(), 60);
}

#[tokio::test]
async fn a_stopping_owner_keeps_the_lease_until_its_last_outcome_and_gives_it_back() {
    let backend = backend(Profile::Distributed).await;
    let (receiver, gate) = Receiver::gated().await;
    let owner = Relay::start_on(Arc::clone(&backend), &SHORT_LEASE).await;
    let one_at_a_time = json!({"maxInFlight": 1});
    let subscribed = owner.api.subscribe(&receiver, one_at_a_time).await;
    let standby = Relay::start_on(Arc::clone(&backend), &SHORT_LEASE).await;
    let first = owner.api.send("a.b", json!(1)).await;
    let second = owner.api.send("a.b", json!(2)).await;
    receiver.received(1).await;

    let stopping = tokio::spawn(owner.stop());
    let mut database = PgConnection::connect(&backend.database_url().unwrap())
        .await
        .unwrap();
    renewed_for_a_whole_lease(&mut database).await;
    assert!(standby.engine().standing_by(), "the owner is still at work");
    gate.open();
    stopping.await.unwrap();

    taken_over(&standby).await;
    standby.recorded(1).await;
    let tally = tally(&receiver.all());
    assert_eq!((tally[&first], tally[&second]), (1, 1));
    let log = standby.api.consistent_log(&subscribed.id).await;
    assert!(log.values().all(|attempts| attempts.len() == 1));
}

/// Waits until the lease has been renewed for longer than it lasts, and by its holder.
async fn renewed_for_a_whole_lease(database: &mut PgConnection) {
    let mut read = async || -> (Option<String>, f64) {
        sqlx::query_as(
            "SELECT owner, extract(epoch FROM expires_at)::float8 FROM leases WHERE partition = 0",
        )
        .fetch_one(&mut *database)
        .await
        .unwrap()
    };
    let (holder, first_end) = read().await;
    soon("the lease to be renewed", async {
        loop {
            let (owner, end) = read().await;
            assert_eq!(owner, holder, "the owner is still at work");
            if end > first_end + 1.0 {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_stopped_owner_does_not_let_the_standby_wait_for_the_end_of_its_lease() {
    let backend = backend(Profile::Distributed).await;
    let long_lease = [
        ("POSTHASTE_ENGINE__LEASE_TTL_MS", "300000"),
        ("POSTHASTE_ENGINE__LEASE_RENEW_MS", "100"),
    ];
    let owner = Process::start(&backend, &long_lease).await;
    let standby = Relay::start_on(Arc::clone(&backend), &long_lease).await;
    assert_eq!(owner.terminate().await, Some(0));
    taken_over(&standby).await;
    let receiver = Receiver::ok().await;
    standby.api.subscribe(&receiver, json!({})).await;
    pour(&standby.api, 20).await;
    receiver.received_events(20).await;
}

#[tokio::test]
async fn an_owner_that_was_frozen_harms_nothing_when_it_wakes() {
    let backend = backend(Profile::Distributed).await;
    // The first four are the old owner's, what comes later is the new one's.
    let gates = [Arc::new(Gate::default()), Arc::new(Gate::default())];
    let [old_gate, new_gate] = gates.clone();
    let receiver = Receiver::scripted(move |number, _| {
        let gate = Arc::clone(&gates[usize::from(number >= 4)]);
        Box::pin(async move {
            gate.pass().await;
            status(200)
        })
    })
    .await;
    let owner = Process::start(&backend, &SHORT_LEASE).await;
    let in_flight = json!({"maxInFlight": 4});
    let subscribed = owner.api.subscribe(&receiver, in_flight).await;
    let standby = Relay::start_on(backend, &SHORT_LEASE).await;
    pour(&owner.api, 20).await;
    receiver.received(4).await;
    owner.signal(Signal::STOP);
    taken_over(&standby).await;
    receiver.received(8).await;

    // Its attempts are answered, and the deliveries have not moved since: only its epoch tells.
    old_gate.open();
    owner.signal(Signal::CONT);
    soon("four stale attempts", async {
        while stale_attempts(&standby.api, &subscribed.id).await < 4 {}
    })
    .await;
    let deliveries = standby.api.deliveries_of(&subscribed.id).await;
    assert!(deliveries.values().all(|one| one["status"] == "pending"));

    new_gate.open();
    standby.recorded(20).await;
    assert_eq!(standby.api.consistent_log(&subscribed.id).await.len(), 20);
    assert_eq!(stale_attempts(&standby.api, &subscribed.id).await, 4);
    assert_eq!(receiver.count(), 24);
    let sent = pour(&owner.api, 20).await;
    standby.recorded(20).await;
    let tally = tally(&receiver.all());
    assert!(sent.iter().all(|event| tally[event] == 1));
    assert_eq!(receiver.count(), 44, "nothing else was sent again");
    let health = owner.api.get("/health").await;
    let ownership = health["components"]["ownership"]["detail"].as_str();
    assert!(ownership.unwrap().contains("stands by"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_was_cut_off_sends_nothing_that_another_has_sent_meanwhile() {
    let backend = backend(Profile::Distributed).await;
    let proxy = Proxy::before(&backend.database_url().unwrap()).await;
    let by_proxy = ("DATABASE_URL", proxy.url());
    let cut_off = [SHORT_LEASE[0], SHORT_LEASE[1], NO_SWEEPS, by_proxy];
    let gate = Arc::new(Gate::default());
    let passing = Arc::clone(&gate);
    let receiver = Receiver::scripted(move |number, _| {
        let gate = (number == 0).then(|| Arc::clone(&passing));
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.pass().await;
            }
            status(200)
        })
    })
    .await;
    let owner = Relay::start_on(Arc::clone(&backend), &cut_off).await;
    let one_at_a_time = json!({"maxInFlight": 1});
    owner.api.subscribe(&receiver, one_at_a_time).await;
    let in_flight = owner.api.send("a.b", json!(1)).await;
    receiver.received(1).await;
    let waiting = [
        owner.api.send("a.b", json!(2)).await,
        owner.api.send("a.b", json!(3)).await,
    ];
    let standby = Relay::start_on(backend, &SHORT_LEASE).await;

    proxy.cut();
    taken_over(&standby).await;
    standby.recorded(3).await;
    standby.stop().await;
    proxy.mend();
    taken_over(&owner).await;
    gate.open();
    owner
        .until("the late outcome", |event| {
            matches!(event, EngineEvent::AttemptRecorded { stale: true, .. })
        })
        .await;
    let last = owner.api.send("a.b", json!(4)).await;
    receiver.received(5).await;
    let tally = tally(&receiver.all());
    assert_eq!(
        tally[&in_flight], 2,
        "it flew while the lease changed hands"
    );
    assert!(waiting.iter().all(|event| tally[event] == 1), "{tally:?}");
    assert_eq!(tally[&last], 1);
}

async fn stale_attempts(api: &Api, subscription: &str) -> usize {
    let mut count = 0;
    for row in api.deliveries_of(subscription).await.values() {
        let path = format!("/api/v1/deliveries/{}", row["id"].as_str().unwrap());
        let delivery = api.get(&path).await;
        let attempts = delivery["attempts"].as_array().unwrap();
        count += attempts.iter().filter(|one| one["stale"] == true).count();
    }
    count
}
