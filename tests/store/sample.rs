//! Events, subscriptions and outcomes to work with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use posthaste::clock;
use posthaste::domain::Timestamp;
use posthaste::domain::delivery::{AttemptRecord, PendingDelivery, Progress, Trigger, settle};
use posthaste::domain::event::Event;
use posthaste::domain::event_type::{EventPattern, EventType};
use posthaste::domain::id::{AttemptId, DeliveryId, EventId, SubscriptionId};
use posthaste::domain::idempotency::{KeyName, KnownKey};
use posthaste::domain::ordering::OrderingRule;
use posthaste::domain::outcome::{Answer, CallResult, Outcome, Timing};
use posthaste::domain::payload_format::PayloadFormat;
use posthaste::domain::retry::{RetryPolicy, Schedule};
use posthaste::domain::signature::SigningSecret;
use posthaste::domain::signing::Signing;
use posthaste::domain::subscription::{Hold, StateChange, Subscription, SubscriptionState};
use posthaste::store::{AcceptGroup, Accepted, Changed, RecordGroup, Recorded, Store};

/// The moment at which cases begin.
pub const START: i64 = 1_761_472_800_000_000;

/// So many seconds after the beginning.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(START + seconds * 1_000_000)
}

pub fn event(payload: &str) -> Event {
    Event {
        id: EventId(clock::uuid()),
        tenant: None,
        event_type: EventType::from_stored("job.created"),
        event_name: None,
        source: None,
        idempotency_key: None,
        ordering_key: None,
        occurred_at: None,
        received_at: at(0),
        payload: payload.as_bytes().to_vec().into(),
    }
}

/// An event that came then.
pub fn event_at(at: Timestamp) -> Event {
    let millis = u64::try_from(at.as_micros() / 1_000).unwrap();
    let mut event = event("1");
    event.id.0 =
        uuid::Builder::from_unix_timestamp_millis(millis, &clock::random_bytes()).into_uuid();
    event.received_at = at;
    event
}

pub fn events(count: usize) -> Vec<Event> {
    (0..count).map(|n| event(&n.to_string())).collect()
}

pub fn subscription(name: &str) -> Subscription {
    Subscription {
        id: SubscriptionId(clock::uuid()),
        tenant: None,
        name: name.to_owned(),
        url: "https://example.com/hook".parse().unwrap(),
        event_types: vec![EventPattern::parse("*").unwrap()],
        headers: Default::default(),
        retry_policy: None,
        timeout: None,
        max_in_flight: None,
        rate_limit: None,
        breaker: None,
        ordering: OrderingRule::default(),
        deactivation: None,
        state: SubscriptionState::Active,
        state_change: StateChange {
            at: at(0),
            ..StateChange::default()
        },
        counted_from: at(0),
        hold: Hold::default(),
        format: PayloadFormat::Relay,
        signing: Signing::with(SigningSecret::from_random([7; 32])),
        created_at: at(0),
        updated_at: at(0),
        version: 0,
    }
}

/// Stores a subscription, with the version that it draws.
pub async fn subscribe(store: &dyn Store, name: &str) -> Subscription {
    let mut subscription = subscription(name);
    subscription.version = store.create_subscription(&subscription).await.unwrap();
    subscription
}

/// Moves a subscription to a state.
pub async fn move_to(
    store: &dyn Store,
    old: &Subscription,
    state: SubscriptionState,
) -> Subscription {
    let mut new = old.moved_to(state, None, at(1)).unwrap();
    match store.update_subscription(&new, None).await.unwrap() {
        Changed::At(version) => new.version = version,
        Changed::Overtaken => panic!("nobody else changes it"),
    }
    new
}

/// A group of these events, each delivered to each of these subscriptions.
pub async fn group(store: &dyn Store, events: Vec<Event>, to: &[SubscriptionId]) -> AcceptGroup {
    let deliveries = events
        .iter()
        .flat_map(|event| {
            to.iter().map(|subscription_id| PendingDelivery {
                id: DeliveryId::of(event.id, *subscription_id),
                event_id: event.id,
                subscription_id: *subscription_id,
                due_at: at(0),
                progress: Progress::new(),
            })
        })
        .collect();
    AcceptGroup {
        directory_version: store.directory_version().await.unwrap(),
        events: events.into_iter().map(Arc::new).collect(),
        keys: Vec::new(),
        ordered: BTreeMap::new(),
        deliveries,
        skipped: Vec::new(),
        now: at(0),
        keys_expired_before: at(-3600),
    }
}

/// Accepts so many events for one subscription and answers their deliveries.
pub async fn accepted(store: &dyn Store, count: usize, to: SubscriptionId) -> Vec<PendingDelivery> {
    let group = group(store, events(count), &[to]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    group.deliveries
}

pub fn key_name(key: &str) -> KeyName {
    KeyName {
        tenant: None,
        key: key.into(),
    }
}

pub fn key(key: &str, event: EventId) -> KnownKey {
    KnownKey {
        name: key_name(key),
        event_id: event,
        content: [9; 32],
    }
}

pub fn answer(status: u16, retry_after: Option<u64>) -> Answer {
    Answer {
        status,
        headers: Default::default(),
        body: b"ok".to_vec(),
        body_cut: false,
        retry_after: retry_after.map(Duration::from_secs),
    }
}

pub fn outcome(result: CallResult) -> Outcome {
    Outcome {
        started_at: at(1),
        duration: Duration::from_micros(1_500),
        timing: Timing::default(),
        request_headers: Default::default(),
        result,
    }
}

/// Two attempts, ten seconds apart.
pub fn policy() -> RetryPolicy {
    RetryPolicy::new(Schedule::Delays(vec![Duration::from_secs(10)]), 0.0, None).unwrap()
}

/// The record of an attempt with this outcome, settled at second 2.
pub fn record_of(delivery: PendingDelivery, outcome: Outcome) -> AttemptRecord {
    let bound = Duration::from_secs(86_400);
    let verdict = settle(&delivery.progress, &outcome, &policy(), bound, at(2), 0.5);
    AttemptRecord {
        id: AttemptId(clock::uuid()),
        delivery,
        trigger: Trigger::Schedule,
        outcome,
        verdict,
        raises: None,
        blocks: None,
    }
}

pub fn answered(delivery: PendingDelivery, status: u16) -> AttemptRecord {
    record_of(delivery, outcome(CallResult::Answer(answer(status, None))))
}

pub fn record_group(epoch: i64, records: Vec<AttemptRecord>) -> RecordGroup {
    RecordGroup {
        epoch,
        records: records.into_iter().map(Arc::new).collect(),
        streaks: Vec::new(),
        rerun: false,
        now: at(3),
    }
}

/// Records one attempt and answers what became of it.
pub async fn recorded(store: &dyn Store, epoch: i64, record: AttemptRecord) -> Recorded {
    let fates = store
        .record(&record_group(epoch, vec![record]))
        .await
        .unwrap();
    assert_eq!(fates.len(), 1);
    fates[0]
}
