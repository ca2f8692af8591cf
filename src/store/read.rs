//! What the admin routes read: rows, filters and keyset pages.
//!
//! A page walks newest first along an index. Where no index serves a filter, the walk is
//! bounded in rows; a page that ended at that bound says so (`partial`) and its position leads
//! on from where the walk stopped, so that a caller who follows it sees everything.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::delivery::{DeliveryState, Progress};
use crate::domain::event::Event;
use crate::domain::id::{AttemptId, DeliveryId, EventId, SubscriptionId};
use crate::domain::ordering::Line;
use crate::domain::outcome::{Header, Timing};
use crate::domain::subscription::{HistoryEntry, Subscription};
use crate::store::Result;

/// Rows that one page walks at most where no index serves its filter.
pub const MAX_WALK: u32 = 10_000;
/// Rows that one page holds at most.
pub const MAX_PAGE: u32 = 100;
/// Bytes of payload that one page of events holds at most, but for its first row.
pub const MAX_PAGE_BYTES: u64 = 8 << 20;
/// Rows that `offset` skips at most.
pub const MAX_OFFSET: u32 = 10_000;

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows, held within 1 and [`MAX_PAGE`].
    pub limit: u32,
    /// Go on behind this row.
    pub after: Option<Position>,
    /// Skip this many matching rows, held within [`MAX_OFFSET`].
    pub offset: u32,
}

impl PageRequest {
    /// Limit and offset within their bounds.
    pub(super) fn bounded(&self) -> (u32, u32) {
        (self.limit.clamp(1, MAX_PAGE), self.offset.min(MAX_OFFSET))
    }
}

/// Where a page ended: the id of the last row looked at. All lists are ordered by id, newest
/// first; ids begin with the time they were made, a delivery's with its event's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position(pub Uuid);

impl Position {
    /// In a list that is ordered by versions.
    pub(super) fn of_version(version: i64) -> Self {
        Self(Uuid::from_u64_pair(0, version.unsigned_abs()))
    }

    /// The version behind [`Position::of_version`].
    pub(super) fn version(self) -> i64 {
        i64::try_from(self.0.as_u64_pair().1).unwrap_or(i64::MAX)
    }
}

/// Rows, and how to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; absent at the end.
    pub next: Option<Position>,
    /// The walk ended at its bound before the page was full.
    pub partial: bool,
}

impl<T> Page<T> {
    /// Of rows that were asked for with one more than the page holds.
    pub(super) fn cut(mut rows: Vec<T>, limit: u32, position: impl Fn(&T) -> Position) -> Self {
        let limit = limit as usize;
        let next = (rows.len() > limit).then(|| position(&rows[limit - 1]));
        rows.truncate(limit);
        Self {
            rows,
            next,
            partial: false,
        }
    }
}

/// Which events. Fields that are set must all match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// This type exactly.
    pub event_type: Option<String>,
    /// This tenant.
    pub tenant: Option<String>,
    /// This source.
    pub source: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
}

/// Which deliveries. Fields that are set must all match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Of subscriptions of this tenant.
    pub tenant: Option<String>,
    /// Of this event.
    pub event: Option<EventId>,
    /// Of this event type.
    pub event_type: Option<String>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of events that came at or after, by their ids: to the millisecond.
    pub since: Option<Timestamp>,
    /// Of events that came before.
    pub until: Option<Timestamp>,
}

/// An event as listed.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// The event with its payload.
    pub event: Event,
    /// When its payload was erased: then it has none any more.
    pub payload_erased_at: Option<Timestamp>,
}

/// A delivery as listed.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRow {
    /// Its identity.
    pub id: DeliveryId,
    /// What is delivered.
    pub event_id: EventId,
    /// Its event's type.
    pub event_type: String,
    /// To whom.
    pub subscription_id: SubscriptionId,
    /// Its state.
    pub state: DeliveryState,
    /// When a pending one is or was due.
    pub due_at: Timestamp,
    /// What it has behind it.
    pub progress: Progress,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
    /// Where it stands, if in a line.
    pub line: Option<Line>,
    /// The rule of order by which it blocks its line, where that rule is in force.
    pub blocks: Option<Timestamp>,
    /// The last attempt, where there was one.
    pub last_attempt: Option<AttemptRow>,
}

/// An attempt as logged.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRow {
    /// Its identity.
    pub id: AttemptId,
    /// From 1, over all rounds.
    pub number: u32,
    /// The delivery's round that it was of; not known of old ones.
    pub round: Option<u32>,
    /// `schedule`, `manual`, `probe` or `trial`.
    pub trigger: String,
    /// The delivery had moved on when this was recorded.
    pub stale: bool,
    /// When the call began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Where the time went.
    pub timing: Timing,
    /// The request headers as sent, own headers' values masked.
    pub request_headers: Vec<Header>,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// The class of error; absent on success.
    pub error_kind: Option<String>,
    /// One sentence on what went wrong.
    pub error_message: Option<String>,
    /// The answer's headers.
    pub answer_headers: Vec<Header>,
    /// The first bytes of the answer's body.
    pub answer_body: Vec<u8>,
    /// Whether the body went on.
    pub answer_cut: bool,
}

/// The part of the store that lists and shows.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// One subscriptions page, newest first; deleted ones are left out.
    async fn list_subscriptions(
        &self,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Subscription>>;

    /// The changes of a subscription's state, newest first, [`MOST_HISTORY`](super::MOST_HISTORY) at most; of deleted
    /// ones too.
    async fn history(&self, id: SubscriptionId, page: &PageRequest) -> Result<Page<HistoryEntry>>;

    /// One event with its payload.
    async fn event(&self, id: EventId) -> Result<Option<EventRow>>;

    /// Events, newest first.
    async fn list_events(&self, filter: &EventFilter, page: &PageRequest)
    -> Result<Page<EventRow>>;

    /// One delivery.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>>;

    /// Deliveries, newest first.
    async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<DeliveryRow>>;

    /// The attempts of a delivery in the order of their numbers, at most `limit`, the newest
    /// of them where there are more.
    async fn attempts(&self, id: DeliveryId, limit: u32) -> Result<Vec<AttemptRow>>;
}
