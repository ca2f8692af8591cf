//! What the calls of a store carry and what they answer, along the life of an event. What jobs and
//! lists need stands in `job.rs` and `read.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::Timestamp;
use crate::domain::breaker::{BreakerState, StoredBreaker};
use crate::domain::deactivation::Streak;
use crate::domain::delivery::{AttemptRecord, DeliveryState, PendingDelivery};
use crate::domain::event::Event;
use crate::domain::id::{AttemptId, DeliveryId, EventId, SubscriptionId};
use crate::domain::idempotency::KnownKey;
use crate::domain::operational::OperationalEvent;
use crate::domain::ordering::{Line, Ordering};
use crate::domain::subscription::Subscription;
use crate::domain::tenant::Tenant;

/// A group of events and their deliveries, to be committed as one.
#[derive(Clone, Debug, Default)]
pub struct AcceptGroup {
    /// The version of the directory that the deliveries were matched against.
    pub directory_version: i64,
    /// The events, in the order they came.
    pub events: Vec<Arc<Event>>,
    /// The keys that these events take.
    pub keys: Vec<KnownKey>,
    /// One row for each match, in the events' order.
    pub deliveries: Vec<PendingDelivery>,
    /// The subscriptions among theirs that have an order, which their deliveries are lined up in.
    pub ordered: BTreeMap<SubscriptionId, Ordering>,
    /// One row for each match that nothing more is held for: stored final, as `skipped`.
    pub skipped: Vec<PendingDelivery>,
    /// When the group was formed.
    pub now: Timestamp,
    /// Keys taken before this moment are free again.
    pub keys_expired_before: Timestamp,
}

impl AcceptGroup {
    /// The first event that a sender sent: unlike an operational one it is in one group only.
    pub(super) fn first_of_senders(&self) -> Option<&Event> {
        let mut events = self.events.iter().map(AsRef::as_ref);
        events.find(|event| !event.event_type.is_own())
    }
}

/// What became of a group. Anything but `Committed` left nothing behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// All of it is durable.
    Committed,
    /// The directory has moved on: reload and match again.
    DirectoryMoved,
    /// A key was taken by somebody else meanwhile: settle keys again.
    KeyTaken,
}

/// A page of what a subscription has due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// Due deliveries, oldest due first, then in the order of acceptance.
    pub due: Vec<DueRow>,
    /// When the earliest pending delivery after these falls due, if there is one that was not
    /// yet due when the question was asked.
    pub next_due: Option<Timestamp>,
}

/// A due delivery and what it would weigh in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueRow {
    /// The delivery.
    pub delivery: PendingDelivery,
    /// Bytes of its event's payload.
    pub payload_bytes: usize,
}

/// The head of a line: the first of it that is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadRow {
    /// Its line.
    pub line: Line,
    /// Its place in the order of acceptance.
    pub seq: i64,
    /// A delivery of that line has failed and blocks it.
    pub blocked: bool,
    /// The delivery itself.
    pub row: DueRow,
}

/// A failed delivery that blocks its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockingRow {
    /// Its line.
    pub line: Line,
    /// The delivery.
    pub delivery: DeliveryId,
    /// What it would have delivered.
    pub event: EventId,
    /// How it ended.
    pub state: DeliveryState,
    /// Since when.
    pub since: Timestamp,
}

/// What the relay has learnt about a subscription's receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Until when it asked to be left alone, the latest of all times it said; may have passed.
    pub hold_until: Option<Timestamp>,
    /// Its breaker, where that ever opened.
    pub breaker: Option<StoredBreaker>,
    /// The rule of order that all that is pending stands in line for.
    pub lined_up: Option<Timestamp>,
    /// What failed since its last success; may belong to what is counted no more.
    pub streak: Streak,
    /// When it was last tried while deactivated.
    pub tried_at: Option<Timestamp>,
}

/// How what is held comes to its end without being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was made before that moment, and held since: it has expired. Only while a rule has been
    /// holding the subscription since before that moment.
    Expired(Timestamp),
    /// It stands up to this place in the order of acceptance: it is skipped. Only while the
    /// subscription is being reactivated without it.
    Skipped(i64),
}

/// How a subscription stands, as far as the store knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Pending deliveries, counted up to a bound.
    pub pending: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
    /// The failed attempt that was recorded last.
    pub last_failure: Option<LastFailure>,
}

/// A breaker that is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutBreaker {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Where it is.
    pub state: BreakerState,
    /// The end of the cool-down, while open.
    pub until: Option<Timestamp>,
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// When the call began.
    pub at: Timestamp,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// The class of error.
    pub kind: Option<String>,
    /// Of this delivery.
    pub delivery: DeliveryId,
    /// The attempt itself.
    pub attempt: AttemptId,
}

/// Attempts to be recorded as one.
#[derive(Clone, Debug)]
pub struct RecordGroup {
    /// The epoch of the lease that the caller holds.
    pub epoch: i64,
    /// At most one row per delivery.
    pub records: Vec<Arc<AttemptRecord>>,
    /// What failed since the last success, of each subscription where that changes with these
    /// records.
    pub streaks: Vec<(SubscriptionId, Streak)>,
    /// Whether an earlier run of this group ended in an unknown fate: what it recorded then
    /// counts as recorded now.
    pub rerun: bool,
    /// When the group is recorded.
    pub now: Timestamp,
}

/// What became of one attempt record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The delivery moved.
    Moved,
    /// The delivery had moved on; the attempt stands in the log, marked stale.
    Stale,
}

/// An operational event that waits for its acceptance.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingEvent {
    /// Its place in the order in which they were raised.
    pub seq: i64,
    /// What it tells.
    pub event: OperationalEvent,
}

/// What was removed for its age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Events. Where whole partitions went, as many as the server's statistics know of; the same
    /// holds for deliveries and attempts.
    pub events: u64,
    /// Their deliveries.
    pub deliveries: u64,
    /// The attempts of these.
    pub attempts: u64,
    /// Partitions of time that went whole.
    pub partitions: u64,
    /// Where to go on: there may be more behind this event.
    pub next: Option<EventId>,
}

/// What was removed of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForgottenAnswers {
    /// Attempts whose answer's body and headers went.
    pub attempts: u64,
    /// Where to go on: there may be more behind this delivery.
    pub next: Option<DeliveryId>,
}

/// The directory's changes after some version.
#[derive(Clone, Debug, Default)]
pub struct DirectoryChanges {
    /// The version that these changes lead to.
    pub version: i64,
    /// Subscriptions changed since, deleted ones included.
    pub subscriptions: Vec<Subscription>,
    /// Tenants changed since, deleted ones included; perhaps some that changed after `version`.
    pub tenants: Vec<Tenant>,
}

/// What is still there of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantLeftovers {
    /// Subscriptions that are not deleted.
    pub subscriptions: u64,
    /// Keys that were not revoked.
    pub keys: u64,
    /// Whether any of its subscriptions, deleted ones included, has a delivery.
    pub deliveries: bool,
    /// Whether there is an event of it.
    pub events: bool,
}

/// What became of the deletion of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantDeleted {
    /// Done.
    Done,
    /// This is still there; nothing was done.
    Left(TenantLeftovers),
    /// The tenant was changed by somebody else since it was read: read it again.
    Overtaken,
}

/// Changes of one subscription's state that are kept, the newest: a receiver that comes and goes
/// by the hour must not make its history grow for ever.
pub const MOST_HISTORY: i64 = 500;

/// What became of a change to one row that others may change too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Done; the directory now has this version.
    At(i64),
    /// The row was changed by somebody else since it was read: read it again.
    Overtaken,
}

/// What became of a retry or cancellation of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Done.
    Done,
    /// The delivery moved since it was read: read it again.
    Overtaken,
}

/// The lease on all deliveries of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// This holder owns the deliveries, with this epoch.
    Held {
        /// Raised whenever the lease changes hands.
        epoch: i64,
    },
    /// Somebody else does.
    HeldBy {
        /// Who, for people.
        holder: String,
    },
}
