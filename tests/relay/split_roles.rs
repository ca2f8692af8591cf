//! Roles parted: some processes accept, one delivers, and the two meet in the database.

use std::collections::HashSet;
use std::sync::Arc;

use posthaste::events::EngineEvent;
use redis::AsyncCommands;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::backend::Backend;
use crate::support::flow::{Pouring, pour};
use crate::support::receiver::tally;
use crate::support::relay::{rows, text};
use crate::support::{Process, Profile, Proxy, Receiver, Relay, soon};

const INGEST: (&str, &str) = ("POSTHASTE_ENGINE__ROLE", "ingest");
const DELIVER: (&str, &str) = ("POSTHASTE_ENGINE__ROLE", "deliver");
/// No sweep comes to help while a story waits.
const NO_SWEEPS: (&str, &str) = ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "300000");
const SHORT_SWEEPS: (&str, &str) = ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "200");
/// A lease that ends soon where nobody renews it.
const SHORT_LEASE: [(&str, &str); 2] = [
    ("POSTHASTE_ENGINE__LEASE_TTL_MS", "1000"),
    ("POSTHASTE_ENGINE__LEASE_RENEW_MS", "100"),
];

async fn backend() -> Arc<Backend> {
    Arc::new(Backend::new(Profile::Distributed).await)
}

async fn database(backend: &Backend) -> PgConnection {
    PgConnection::connect(&backend.database_url().unwrap())
        .await
        .unwrap()
}

/// Waits until a relay hears the others, and with it the sweep that begins with.
async fn hears(relay: &Relay) {
    relay
        .api
        .until_get("/health", "the feed", |health| {
            health["components"]["feed"]["ok"] == true
        })
        .await;
}

/// Posts at one relay, and waits for what another delivers of it.
async fn passes(from: &Relay, to: &Receiver, count: usize) {
    let before = to.count();
    pour(&from.api, count).await;
    let tally = to.received_events(before + count).await;
    assert!(tally.values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_accepts_another_delivers_and_redis_tells_it() {
    let backend = backend().await;
    let deliver = Relay::start_on(Arc::clone(&backend), &[DELIVER, NO_SWEEPS]).await;
    let ingest = Relay::start_on(backend, &[INGEST, NO_SWEEPS]).await;
    let receiver = Receiver::ok().await;
    let subscribed = ingest.api.subscribe(&receiver, json!({})).await;
    hears(&deliver).await;
    hears(&ingest).await;
    passes(&ingest, &receiver, 1).await;
    passes(&ingest, &receiver, 40).await;
    deliver.api.settled(&subscribed.id).await;
    let log = deliver.api.consistent_log(&subscribed.id).await;
    assert_eq!(log.len(), 41);
    assert_eq!(receiver.count(), 41);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_says_its_role_and_keeps_to_it() {
    let backend = backend().await;
    let deliver = Relay::start_on(Arc::clone(&backend), &[DELIVER]).await;
    let ingest = Relay::start_on(backend, &[INGEST]).await;
    let event = json!({"eventType": "a.b", "payload": {}});
    let refused = deliver.api.post(503, "/api/v1/events", &event).await;
    assert!(
        text(&refused, "error").contains("role deliver"),
        "{refused}"
    );
    ingest.api.post(202, "/api/v1/events", &event).await;

    let parts = |health: &Value| -> Vec<String> {
        let parts = health["components"].as_object().unwrap();
        parts.keys().cloned().collect()
    };
    let health = deliver.api.get("/health").await;
    assert_eq!(
        (&health["role"], &health["ready"]),
        (&json!("deliver"), &json!(true))
    );
    assert!(!parts(&health).contains(&"ingest".to_owned()), "{health}");
    assert_eq!(health["components"]["ownership"]["ok"], true);
    let health = ingest.api.get("/health").await;
    assert_eq!(
        (&health["role"], &health["ready"]),
        (&json!("ingest"), &json!(true))
    );
    assert_eq!(parts(&health), ["feed", "ingest", "store", "tree"]);
    assert!(!ingest.engine().standing_by());

    // Whatever is looked at or changed can be so through either.
    let receiver = Receiver::ok().await;
    let subscribed = deliver.api.subscribe(&receiver, json!({})).await;
    for api in [&ingest.api, &deliver.api] {
        assert_eq!(rows(&api.get("/api/v1/events").await).len(), 1);
        for verb in ["pause", "resume"] {
            let path = format!("{}/{verb}", subscribed.path());
            api.expect(200, Method::POST, &path, None).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_accept_for_one_that_delivers() {
    let backend = backend().await;
    let deliver = Relay::start_on(Arc::clone(&backend), &[DELIVER, NO_SWEEPS]).await;
    hears(&deliver).await;
    let mut ingests = Vec::new();
    for _ in 0..3 {
        ingests.push(Relay::start_on(Arc::clone(&backend), &[INGEST]).await);
    }
    let receiver = Receiver::ok().await;
    let subscribed = ingests[0].api.subscribe(&receiver, json!({})).await;
    let pourings = ingests.iter().map(|ingest| pour(&ingest.api, 50));
    let sent: HashSet<String> = futures_util::future::join_all(pourings)
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(sent.len(), 150);
    let tally = receiver.received_events(150).await;
    assert!(sent.iter().all(|event| tally[event] == 1));
    deliver.api.settled(&subscribed.id).await;
    let log = ingests[2].api.consistent_log(&subscribed.id).await;
    assert_eq!(log.len(), 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_process_that_delivers_is_killed() {
    const WINDOW: usize = 16;
    let backend = backend().await;
    let more = [
        DELIVER,
        ("POSTHASTE_DELIVERY__WINDOW", "16"),
        ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "8"),
        SHORT_LEASE[0],
        SHORT_LEASE[1],
    ];
    let ingest = Relay::start_on(Arc::clone(&backend), &[INGEST]).await;
    let mut deliver = Process::start(&backend, &more).await;
    let receiver = Receiver::ok().await;
    let subscribed = ingest.api.subscribe(&receiver, json!({})).await;

    let pouring = Pouring::begin(&ingest.api);
    let mut kills = 0;
    for moment in [20, 100, 300] {
        pouring.accepted(moment).await;
        receiver.received(moment / 2).await;
        deliver.kill().await;
        kills += 1;
        deliver = Process::start(&backend, &more).await;
    }
    let acknowledged = pouring.end().await;
    ingest.api.settled(&subscribed.id).await;
    let log = ingest.api.consistent_log(&subscribed.id).await;
    let tally = tally(&receiver.all());
    assert!(acknowledged.iter().all(|event| log.contains_key(event)));
    assert!(log.keys().all(|event| tally.contains_key(event)));
    let repeated: usize = tally.values().map(|times| times - 1).sum();
    assert!(repeated <= kills * WINDOW, "{repeated} repeated");
    assert_eq!(deliver.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_never_told_the_sweeper_finds() {
    let backend = backend().await;
    let url = backend.environment()["REDIS_URL"].clone();
    let proxy = Proxy::before(&url).await;
    let way = ("REDIS_URL", proxy.url());
    let deliver = Relay::start_on(Arc::clone(&backend), &[DELIVER, SHORT_SWEEPS]).await;
    let ingest = Relay::start_on(Arc::clone(&backend), &[INGEST, way]).await;
    let receiver = Receiver::ok().await;
    let subscribed = ingest.api.subscribe(&receiver, json!({})).await;
    hears(&deliver).await;
    hears(&ingest).await;
    passes(&ingest, &receiver, 5).await;

    // Whoever accepts cannot tell, and what was told is gone.
    proxy.cut();
    let mut database = database(&backend).await;
    let installation: String = sqlx::query_scalar("SELECT name FROM installation")
        .fetch_one(&mut database)
        .await
        .unwrap();
    let client = redis::Client::open(url).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let stream = format!("posthaste:{installation}:feed");
    let deleted: usize = redis.del(&stream).await.unwrap();
    assert_eq!(deleted, 1);
    passes(&ingest, &receiver, 20).await;
    proxy.mend();
    hears(&ingest).await;
    passes(&ingest, &receiver, 20).await;
    deliver.api.settled(&subscribed.id).await;
    assert_eq!(receiver.count(), 45);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_through_either_process_holds_in_the_other() {
    let backend = backend().await;
    let proxy = Proxy::before(&backend.environment()["REDIS_URL"]).await;
    let way = ("REDIS_URL", proxy.url());
    let deliver = Relay::start_on(Arc::clone(&backend), &[DELIVER, NO_SWEEPS]).await;
    let ingest = Relay::start_on(Arc::clone(&backend), &[INGEST, way]).await;
    hears(&deliver).await;
    hears(&ingest).await;
    let (first, second) = (Receiver::ok().await, Receiver::ok().await);
    let by_ingest = ingest.api.subscribe(&first, json!({})).await;
    passes(&ingest, &first, 1).await;
    let by_deliver = deliver.api.subscribe(&second, json!({})).await;
    passes(&ingest, &second, 1).await;

    // Held through the one, left alone by the other.
    first.received(2).await;
    let path = format!("{}/pause", by_ingest.path());
    ingest.api.expect(200, Method::POST, &path, None).await;
    deliver
        .until("the pause to be heard", |fact| match fact {
            EngineEvent::SubscriptionChanged {
                subscription,
                state,
                ..
            } => subscription.to_string() == by_ingest.id && !state.delivers(),
            _ => false,
        })
        .await;
    passes(&ingest, &second, 3).await;
    assert_eq!(first.count(), 2);

    // Told nothing, whoever accepts still matches nothing against the past.
    proxy.cut();
    deliver.api.delete(&by_deliver).await;
    let third = Receiver::ok().await;
    let latest = deliver.api.subscribe(&third, json!({})).await;
    let event = ingest.api.send("a.b", json!(1)).await;
    let of_event = format!("/api/v1/deliveries?eventId={event}");
    let to: HashSet<String> = rows(&ingest.api.get(&of_event).await)
        .iter()
        .map(|delivery| text(delivery, "subscriptionId").to_owned())
        .collect();
    assert_eq!(to, HashSet::from([by_ingest.id.clone(), latest.id]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_only_accepts_never_takes_the_lease() {
    let backend = backend().await;
    let short = |role| [role, SHORT_LEASE[0], SHORT_LEASE[1]];
    let deliver = Process::start(&backend, &short(DELIVER)).await;
    let ingest = Relay::start_on(Arc::clone(&backend), &short(INGEST)).await;
    let receiver = Receiver::ok().await;
    let subscribed = ingest.api.subscribe(&receiver, json!({})).await;
    passes(&ingest, &receiver, 3).await;
    ingest.api.settled(&subscribed.id).await;
    deliver.kill().await;

    // Free to be taken for as long as it lasts.
    let mut database = database(&backend).await;
    let mut lease = async || -> (Option<String>, bool) {
        sqlx::query_as(
            "SELECT owner, clock_timestamp() > expires_at + interval '1 second' FROM leases",
        )
        .fetch_one(&mut database)
        .await
        .unwrap()
    };
    let (holder, _) = lease().await;
    pour(&ingest.api, 20).await;
    soon("the lease to have ended long ago", async {
        loop {
            let (owner, free) = lease().await;
            assert_eq!(owner, holder, "nobody else is there to take it");
            if free {
                return;
            }
        }
    })
    .await;
    let path = format!("{}/deliveries?status=pending&limit=100", subscribed.path());
    assert_eq!(rows(&ingest.api.get(&path).await).len(), 20);
    assert_eq!(receiver.count(), 3);

    let deliver = Process::start(&backend, &short(DELIVER)).await;
    receiver.received_events(23).await;
    ingest.api.settled(&subscribed.id).await;
    assert_eq!(receiver.count(), 23);
    assert_eq!(deliver.terminate().await, Some(0));
}
