//! What is old goes by itself, and nothing that is still to be delivered.

use std::sync::Arc;

use posthaste::domain::Timestamp;
use posthaste::domain::delivery::{PendingDelivery, Progress};
use posthaste::domain::event::Event;
use posthaste::domain::event_type::EventType;
use posthaste::domain::id::{DeliveryId, EventId, SubscriptionId};
use posthaste::events::EngineEvent;
use posthaste::store::{AcceptGroup, Accepted, PostgresStore, SqliteStore, Store};
use posthaste::{clock, settings::Settings};
use reqwest::Method;
use serde_json::json;

use crate::support::backend::Profile;
use crate::support::receiver::Receiver;
use crate::support::relay::{Relay, Subscribed, rows, settings};

crate::stories!(what_is_old_goes_and_what_is_pending_stays);

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

async fn store_of(settings: &Settings) -> Arc<dyn Store> {
    if settings.is_distributed() {
        Arc::new(PostgresStore::connect(&settings.store).await.unwrap())
    } else {
        Arc::new(SqliteStore::open(&settings.store).await.unwrap())
    }
}

/// An event that came then, with its delivery, put straight into the store.
async fn accept_at(store: &dyn Store, at: Timestamp, to: &Subscribed) -> String {
    let millis = u64::try_from(at.as_micros() / 1_000).unwrap();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &clock::random_bytes());
    let event = Event {
        id: EventId(id.into_uuid()),
        tenant: None,
        event_type: EventType::from_stored("job.created"),
        event_name: None,
        source: None,
        idempotency_key: None,
        ordering_key: None,
        occurred_at: None,
        received_at: at,
        payload: b"{}".to_vec().into(),
    };
    let subscription_id: SubscriptionId = to.id.parse().unwrap();
    let group = AcceptGroup {
        directory_version: store.directory_version().await.unwrap(),
        deliveries: vec![PendingDelivery {
            id: DeliveryId::of(event.id, subscription_id),
            event_id: event.id,
            subscription_id,
            due_at: at,
            progress: Progress::new(),
        }],
        events: vec![Arc::new(event.clone())],
        now: at,
        keys_expired_before: at,
        ..AcceptGroup::default()
    };
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    event.id.to_string()
}

async fn what_is_old_goes_and_what_is_pending_stays(profile: Profile) {
    let often = [("POSTHASTE_ENGINE__JANITOR_INTERVAL_MS", "1000")];
    let relay = Relay::start_with(profile, &often).await;
    let open = Receiver::ok().await;
    let (shut, gate) = Receiver::gated().await;
    let fast = relay
        .api
        .subscribe(&open, json!({"eventTypes": ["none"]}))
        .await;
    let slow = relay
        .api
        .subscribe(&shut, json!({"eventTypes": ["none"]}))
        .await;
    let store = store_of(&settings(&relay.backend, &often)).await;
    let long_ago = clock::now().minus(DAY * 40);
    let old = accept_at(&*store, long_ago, &fast).await;
    let waiting = accept_at(&*store, long_ago, &slow).await;
    let young = accept_at(&*store, clock::now().minus(DAY * 20), &fast).await;
    store.close().await;
    let gone = async |event: &str| {
        relay
            .look_until("an old event to go", async || {
                let path = format!("{}/api/v1/events/{event}", relay.api.base);
                let key = ("X-API-Key", crate::support::relay::KEY);
                let request = reqwest::Client::new().get(path).header(key.0, key.1);
                (request.send().await.unwrap().status() == 404).then_some(())
            })
            .await;
    };
    // Whatever is due goes out first, however old: then it is done, and goes.
    gone(&old).await;
    open.received(2).await;
    let path = format!("/api/v1/deliveries?eventId={old}");
    assert!(rows(&relay.api.get(&path).await).is_empty());
    shut.received(1).await;
    relay
        .until("another round", |fact| {
            matches!(fact, EngineEvent::Tidied(_))
        })
        .await;
    let delivery = relay.api.delivery_of(&waiting).await;
    assert_eq!(delivery["status"], "pending");
    gate.open();
    gone(&waiting).await;
    let path = format!("/api/v1/events/{young}");
    relay.api.expect(200, Method::GET, &path, None).await;
    assert_eq!(relay.api.delivery_of(&young).await["status"], "delivered");
}
