//! What searches and the administration of what is stored ask of the stores.
//!
//! A search walks newest first, stretch by stretch: each is one short read, and nothing is held
//! between two of them. What matches is decided by the caller.

use async_trait::async_trait;

use super::read::Position;
use crate::domain::Timestamp;
use crate::domain::catalogue::EventTypeEntry;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, EventId, SubscriptionId};
use crate::store::{DeliveryFilter, DeliveryRow, EventFilter, EventRow, Result};

/// A stretch of a walk.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// The last row that was looked at; absent where there was none.
    pub end: Option<Position>,
    /// There was nothing behind it.
    pub complete: bool,
}

/// An event without its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct EventCandidate {
    /// Its identity.
    pub id: EventId,
    /// Its type.
    pub event_type: String,
    /// Its name for people.
    pub event_name: Option<String>,
    /// Who sent it.
    pub source: Option<String>,
    /// Whose it is.
    pub tenant: Option<String>,
    /// Its ordering key.
    pub ordering_key: Option<String>,
    /// Its sender's idempotency key.
    pub idempotency_key: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// Bytes of its payload.
    pub payload_bytes: i32,
}

/// A delivery, with what its event and its last attempt say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryCandidate {
    /// Its identity.
    pub id: DeliveryId,
    /// Its event.
    pub event: EventId,
    /// Its subscription.
    pub subscription: SubscriptionId,
    /// Its state.
    pub state: DeliveryState,
    /// Bytes of its event's payload.
    pub payload_bytes: i32,
    /// Its event's type.
    pub event_type: String,
    /// Its event's name for people.
    pub event_name: Option<String>,
    /// Who sent its event.
    pub source: Option<String>,
    /// Its last attempt, where there was one.
    pub last: Option<LastAttempt>,
}

/// What the last attempt of a delivery brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastAttempt {
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// The class of error; absent on success.
    pub error_kind: Option<String>,
    /// One sentence on what went wrong.
    pub error_message: Option<String>,
}

/// The catalogue of event types.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredCatalogue {
    /// The directory's version that its last change drew.
    pub version: i64,
    /// All types in the order of their names, where it changed since the version asked for.
    pub types: Option<Vec<EventTypeEntry>>,
}

/// What became of a change of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogueChange {
    /// Done; the directory now has this version.
    At(i64),
    /// The type was changed by somebody else since it was read, or is there already: read it.
    Overtaken,
    /// There are as many types as there may be.
    Full,
}

/// What became of the erasure of an event's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    /// It is gone, since that moment: now, or when it was erased before.
    At(Timestamp),
    /// So many deliveries of the event are pending: nothing was erased.
    Pending(u64),
    /// There is no such event.
    Missing,
}

/// Which entries of the audit log. Fields that are set must all match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// This action.
    pub action: Option<String>,
    /// Things of this kind.
    pub thing: Option<String>,
    /// This thing.
    pub thing_id: Option<String>,
    /// By the key of this name.
    pub caller: Option<String>,
    /// With keys of this tenant.
    pub tenant: Option<String>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// The part of the store that searches walk.
#[async_trait]
pub trait SearchStore: Send + Sync {
    /// A stretch of up to `rows` events behind `after`, newest first. Only what an index serves of
    /// the filter counts: tenant, or else type, and, with some slack, time.
    async fn walk_events_back(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        rows: u32,
    ) -> Result<Stretch<EventCandidate>>;

    /// A stretch of deliveries in the same way. Of the filter, subscription, tenant, event and time
    /// count.
    async fn walk_deliveries_back(
        &self,
        filter: &DeliveryFilter,
        after: Option<Position>,
        rows: u32,
    ) -> Result<Stretch<DeliveryCandidate>>;

    /// These events with their payloads, newest first; missing ones are left out.
    async fn event_rows(&self, ids: &[EventId]) -> Result<Vec<EventRow>>;

    /// These deliveries with their last attempts, newest first; missing ones are left out.
    async fn delivery_rows(&self, ids: &[DeliveryId]) -> Result<Vec<DeliveryRow>>;
}
