//! The database: the truth that memory and Redis only make fast.
//!
//! Everything acknowledged stands here, and everything else can be derived from here. The
//! trait reads along the life of an event. Stores select and write; they decide nothing: what
//! an outcome means, whom an event reaches and what a conflict is are settled in `domain`.
//! One contract suite (`tests/store/`) runs over both implementations.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{AppliedMigration, Migrator};

use crate::domain::Timestamp;
use crate::domain::breaker::StoredBreaker;
use crate::domain::deactivation::Streak;
use crate::domain::delivery::{AttemptRecord, PendingDelivery};
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, EventId, SubscriptionId};
use crate::domain::idempotency::{KeyName, KnownKey};
use crate::domain::subscription::{HistoryEntry, Subscription};

mod codec;
mod failure;
mod paging;
pub mod postgres;
pub mod read;
mod rows;
pub mod sqlite;

pub use postgres::PostgresStore;
pub use read::{
    AttemptRow, DeliveryFilter, DeliveryRow, EventFilter, EventRow, Page, PageRequest, Position,
};
pub use sqlite::SqliteStore;

/// Why the store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Away, overloaded, or a conflict between transactions: the same call may succeed later.
    /// Whether a commit took place may be unknown.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The data of this very call was refused; it would be refused again.
    #[error("the store refused the data: {0}")]
    Refused(String),
    /// This process does not own the deliveries any more.
    #[error("this process does not hold the lease on deliveries")]
    Fenced,
    /// Something that should never be: a bug, or a damaged database.
    #[error("the store failed: {0}")]
    Broken(String),
}

/// The names of what was not applied before, in order: `0001_initial`.
fn migrated_since(migrations: &Migrator, before: &[AppliedMigration]) -> Vec<String> {
    migrations
        .iter()
        .filter(|migration| before.iter().all(|old| old.version != migration.version))
        .map(|migration| {
            let words = migration.description.replace(' ', "_");
            format!("{:04}_{words}", migration.version)
        })
        .collect()
}

/// What every call answers.
pub type Result<T> = std::result::Result<T, StoreError>;

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
    /// One row for each match that nothing more is held for: stored final, as `skipped`.
    pub skipped: Vec<PendingDelivery>,
    /// When the group was formed.
    pub now: Timestamp,
    /// Keys taken before this moment are free again.
    pub keys_expired_before: Timestamp,
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

/// What the relay has learnt about a subscription's receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Until when it asked to be left alone, the latest of all times it said; may have passed.
    pub hold_until: Option<Timestamp>,
    /// Its breaker, where that ever opened.
    pub breaker: Option<StoredBreaker>,
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
}

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

/// A database, seen along the life of an event.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // --- Accept ---

    /// Which of these keys are taken, not counting those taken before `expired_before`.
    async fn known_keys(
        &self,
        names: &[KeyName],
        expired_before: Timestamp,
    ) -> Result<Vec<KnownKey>>;

    /// Commits a group, durably, or leaves nothing behind. Running the same group again after
    /// an unknown fate is safe: events and deliveries that stand already are left alone, its own
    /// keys count as taken by it, and where the first run was committed the answer is
    /// `Committed` even if the directory has moved since. Once a change of a subscription has
    /// been answered, no group matched against an older version is committed any more. A
    /// delivery begins with `Progress::new()`; its time of making is the group's `now`.
    async fn accept(&self, group: &AcceptGroup) -> Result<Accepted>;

    // --- Subscribe ---

    /// What changed in the directory after `version`; 0 asks for everything that is not deleted.
    async fn directory_since(&self, version: i64) -> Result<DirectoryChanges>;

    /// The directory's version: one cheap read.
    async fn directory_version(&self) -> Result<i64>;

    /// Stores a new subscription, and the first entry of its history; its `version` is drawn here.
    async fn create_subscription(&self, subscription: &Subscription) -> Result<i64>;

    /// Replaces a subscription where its stored version still is `subscription.version`, and
    /// draws it a new one. `Overtaken` also where there is no such subscription. In the same
    /// transaction a change of its state, or that its hold is full, goes into its history, and a
    /// breaker that is open is let probe at once where a rule held it and does so no more.
    async fn update_subscription(&self, subscription: &Subscription) -> Result<Changed>;

    /// One subscription as it stands, deleted ones included.
    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>>;

    /// Cancels up to `limit` pending deliveries of a subscription but those `spared`, and says
    /// how many.
    async fn cancel_pending(
        &self,
        id: SubscriptionId,
        spared: &[DeliveryId],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64>;

    /// Deleted subscriptions that still have something pending.
    async fn deleted_with_pending(&self, limit: u32) -> Result<Vec<SubscriptionId>>;

    // --- Deliver ---

    /// Up to `limit` deliveries due at `now`. Costs an index range of `limit` rows.
    async fn due_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage>;

    /// The events with these ids; missing ones are left out.
    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>>;

    /// Up to `limit` pending deliveries, due or not, in the order of acceptance. Costs an index
    /// range of `limit` rows.
    async fn oldest_pending(&self, id: SubscriptionId, limit: usize) -> Result<Vec<DueRow>>;

    /// What was learnt about the receiver.
    async fn runtime(&self, id: SubscriptionId) -> Result<Runtime>;

    // --- Record ---

    /// Inserts the attempts and moves the deliveries in one commit, and notes the holds that
    /// the receivers asked for, what failed since the last success and when a deactivated one was
    /// tried. Answers for each record, in order. `Fenced` where the epoch is
    /// not the lease's any more: then the attempts are stored as stale and nothing moved. A
    /// takeover of the lease waits for groups that are being recorded.
    async fn record(&self, group: &RecordGroup) -> Result<Vec<Recorded>>;

    /// Keeps where a subscription's breaker is. `Fenced` where the epoch is not the lease's any
    /// more: then nothing is kept.
    async fn keep_breaker(
        &self,
        epoch: i64,
        id: SubscriptionId,
        breaker: &StoredBreaker,
    ) -> Result<()>;

    // --- Recover ---

    /// Active subscriptions that have something pending, with the earliest due time of each, or
    /// the end of its breaker's cool-down where that is earlier, in the order of their ids after
    /// `after`, at most `limit`: one index probe each.
    async fn pending_subscriptions(
        &self,
        after: Option<SubscriptionId>,
        limit: u32,
    ) -> Result<Vec<(SubscriptionId, Timestamp)>>;

    /// Those of these deactivated subscriptions that were not tried since the moment given with
    /// each, were not asked at `now` to be left alone, and have something pending. One look at
    /// what was learnt of each, and an index probe where that allows a trial.
    async fn trials(
        &self,
        candidates: &[(SubscriptionId, Timestamp)],
        now: Timestamp,
    ) -> Result<Vec<SubscriptionId>>;

    /// Pending deliveries of a subscription, counted up to `most`: an index range of that length.
    async fn backlog(&self, id: SubscriptionId, most: u64) -> Result<u64>;

    /// The place in the order of acceptance of the newest pending delivery.
    async fn newest_pending(&self, id: SubscriptionId) -> Result<Option<i64>>;

    /// Ends up to `limit` held deliveries of a subscription but those `spared`, and says how many.
    async fn end_held(
        &self,
        id: SubscriptionId,
        ending: Ending,
        spared: &[DeliveryId],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64>;

    /// Forgets up to `limit` idempotency keys taken before `before` and says how many.
    async fn forget_keys(&self, before: Timestamp, limit: u32) -> Result<u64>;

    /// Makes room for what comes: partitions of time, `span` long where they are new, that cover
    /// `now` and what follows. Says how many it made. Safe to call at any time, by any process;
    /// whatever comes without a partition is kept all the same.
    async fn make_room(&self, now: Timestamp, span: Duration) -> Result<u32>;

    /// Removes events that came before `before`, with their deliveries and attempts, but none
    /// that has a pending delivery. What lies in partitions of time goes by whole partitions. The
    /// rest goes in batches: this one looks at up to `limit` rows behind `after`.
    async fn forget_events(
        &self,
        before: Timestamp,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Forgotten>;

    /// Empties the answers of attempts made before `before`: of up to `limit` deliveries behind
    /// `after`, in the order of their ids.
    async fn forget_answers(
        &self,
        before: Timestamp,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<ForgottenAnswers>;

    /// Takes or renews the lease on the deliveries for `holder`, for `ttl` from now by the
    /// store's clock. The epoch rises when the holder changes, and when one takes the lease that
    /// was given back. Safe to call at any time. SQLite answers the same epoch always: there the
    /// lock on the data directory says who owns the deliveries.
    async fn lease(&self, holder: &str, ttl: Duration) -> Result<LeaseState>;

    /// Gives the lease back, if `holder` has it, so that another need not wait for its end.
    async fn release_lease(&self, holder: &str) -> Result<()>;

    // --- Operate ---

    /// A final or waiting delivery becomes due at `now` in its next round, where its version
    /// still is `version`.
    async fn retry_delivery(&self, id: DeliveryId, version: i64, now: Timestamp) -> Result<Moved>;

    /// A pending delivery is cancelled, where its version still is `version`.
    async fn cancel_delivery(&self, id: DeliveryId, version: i64, now: Timestamp) -> Result<Moved>;

    // --- Read ---

    /// One subscriptions page, newest first; deleted ones are left out.
    async fn list_subscriptions(
        &self,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Subscription>>;

    /// The changes of a subscription's state, newest first; of deleted ones too.
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

    // --- Operate the store itself ---

    /// Goes all the way to the database, and as far as can be told without writing, whether it
    /// would take a write.
    async fn ping(&self) -> Result<()>;

    /// A name for this installation, made with its database: keeps the keys of several
    /// installations apart in one Redis.
    async fn installation(&self) -> Result<String>;

    /// Closes connections after what runs has ended.
    async fn close(&self);
}
