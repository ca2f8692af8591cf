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
use crate::domain::delivery::Progress;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, EventId, SubscriptionId};
use crate::domain::idempotency::{KeyName, KnownKey};
use crate::domain::operational::OperationalEvent;
use crate::domain::subscription::Subscription;

mod account;
mod api_key;
mod audit;
mod calls;
mod catalogue;
mod codec;
mod failure;
pub mod job;
mod lines;
mod nodes;
mod paging;
pub mod postgres;
pub mod read;
mod rows;
pub mod search;
mod secret_box;
pub mod secrets;
pub mod sqlite;
pub mod statistics;
pub mod storage;
mod tenants;

pub use account::{AccountStore, FirstUser, Link, SessionChanges, UserChanged, UserCreated};
pub use api_key::{ApiKeyCreated, ApiKeyFilter, KeyStore, KeyringChanges};
pub use audit::AuditStore;
pub use calls::{
    AcceptGroup, Accepted, BlockingRow, Changed, CutBreaker, DirectoryChanges, DuePage, DueRow,
    Ending, Forgotten, ForgottenAnswers, HeadRow, LastFailure, LeaseState, MOST_HISTORY, Moved,
    RecordGroup, Recorded, Runtime, Standing, TenantDeleted, TenantLeftovers, WaitingEvent,
};
pub use catalogue::CatalogueStore;
pub use job::{
    EventWalk, JobBatch, JobCreated, JobFilter, JobMoved, JobStore, JobWork, Replayed,
    UnarrivedWalk,
};
pub use lines::LineStore;
pub use nodes::{MOST_NODES, NodeStore};
pub use postgres::PostgresStore;
pub use read::{
    AttemptRow, DeliveryFilter, DeliveryRow, EventFilter, EventRow, Page, PageRequest, Position,
    ReadStore,
};
pub use search::{
    AuditFilter, CatalogueChange, DeliveryCandidate, Erased, EventCandidate, LastAttempt,
    SearchStore, StoredCatalogue, Stretch,
};
pub use secrets::{Kept, Resealed, TenantSecrets};
pub use sqlite::SqliteStore;
pub use statistics::{Folded, Statistics, StatisticsQuery, StatisticsStore, Whose};
pub use storage::{Connections, Storage, StoredDatabase, StoredFile, TableSize, TimePart};
pub use tenants::TenantStore;

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

/// A database, seen along the life of an event. What is not on its way stands by its trade in a trait of
/// its own, beside the values that it speaks in.
#[async_trait]
pub trait Store:
    AccountStore
    + AuditStore
    + CatalogueStore
    + JobStore
    + KeyStore
    + LineStore
    + NodeStore
    + ReadStore
    + SearchStore
    + StatisticsStore
    + TenantStore
    + 'static
{
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
    /// delivery begins with `Progress::new()`; its time of making is the group's `now`. An
    /// operational event waits no more once it is accepted, and may be so by several at a time.
    async fn accept(&self, group: &AcceptGroup) -> Result<Accepted>;

    // --- Subscribe ---

    /// What changed in the directory after `version`; 0 asks for everything that is not deleted.
    async fn directory_since(&self, version: i64) -> Result<DirectoryChanges>;

    /// The directory's version: one cheap read.
    async fn directory_version(&self) -> Result<i64>;

    /// Stores a new subscription, and the first entry of its history; its `version` is drawn here.
    async fn create_subscription(&self, subscription: &Subscription) -> Result<i64>;

    /// As [`Store::create_subscription`] where its tenant has fewer than `most` that are not deleted;
    /// nothing otherwise. Of several that are stored at once no more get through.
    async fn create_subscription_within(
        &self,
        subscription: &Subscription,
        most: u32,
    ) -> Result<Option<i64>>;

    /// Replaces a subscription where its stored version still is `subscription.version`, and
    /// draws it a new one. `Overtaken` also where there is no such subscription. In the same
    /// transaction a change of its state, or that its hold is full, goes into its history, a
    /// breaker that is open is let probe at once where a rule held it and does so no more, and
    /// what the change raises waits from then on.
    async fn update_subscription(
        &self,
        subscription: &Subscription,
        raises: Option<&OperationalEvent>,
    ) -> Result<Changed>;

    /// As [`Store::update_subscription`] for one that is another tenant's from now on: nothing where it
    /// has a delivery. None comes meanwhile: of those who accept, whoever comes later finds it moved.
    async fn hand_subscription_over(
        &self,
        subscription: &Subscription,
        raises: Option<&OperationalEvent>,
    ) -> Result<Option<Changed>>;

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

    /// The events with these ids, for their attempts; missing ones are left out, and those whose
    /// payload was erased: another process may hold a delivery of one that was cancelled for it.
    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>>;

    /// Up to `limit` pending deliveries, due or not, in the order of acceptance. Costs an index
    /// range of `limit` rows.
    async fn oldest_pending(&self, id: SubscriptionId, limit: usize) -> Result<Vec<DueRow>>;

    /// What was learnt about the receiver.
    async fn runtime(&self, id: SubscriptionId) -> Result<Runtime>;

    /// Pending deliveries of all subscriptions, counted up to `most`, along an index.
    async fn count_pending(&self, most: u32) -> Result<u64>;

    /// How it stands; pending deliveries are counted up to `most`, along an index.
    async fn standing(&self, id: SubscriptionId, most: u32) -> Result<Standing>;

    // --- Record ---

    /// Inserts the attempts and moves the deliveries in one commit, and notes the holds that
    /// the receivers asked for, what failed last and since the last success, and when a deactivated
    /// one was tried. What a record raises waits where it moved its delivery. Answers for each
    /// record, in order. `Fenced` where the epoch is
    /// not the lease's any more: then the attempts are stored as stale and nothing moved. A
    /// takeover of the lease waits for groups that are being recorded.
    async fn record(&self, group: &RecordGroup) -> Result<Vec<Recorded>>;

    /// Keeps where a subscription's breaker is, and what its steps raise. `Fenced` where the
    /// epoch is not the lease's any more: then nothing is kept.
    async fn keep_breaker(
        &self,
        epoch: i64,
        id: SubscriptionId,
        breaker: &StoredBreaker,
        raises: &[Arc<OperationalEvent>],
    ) -> Result<()>;

    // --- Tell ---

    /// Operational events that wait for their acceptance, in the order they were raised, after
    /// `after`, at most `limit`. One waits only where, as it was raised, a subscription without a
    /// tenant named its kind: the second segment of its type, or any.
    async fn waiting_events(&self, after: i64, limit: u32) -> Result<Vec<WaitingEvent>>;

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
    /// still is `version`. It keeps its place in a line that waits for it; otherwise it goes free.
    async fn retry_delivery(&self, id: DeliveryId, version: i64, now: Timestamp) -> Result<Moved>;

    /// A pending delivery becomes due at `now` in its next round, where its version and round
    /// still are these, without a new version: the outcome of an attempt under way counts, and
    /// then this never was.
    async fn hasten_delivery(
        &self,
        id: DeliveryId,
        progress: &Progress,
        now: Timestamp,
    ) -> Result<Moved>;

    /// A pending delivery is cancelled, where its version still is `version`.
    async fn cancel_delivery(&self, id: DeliveryId, version: i64, now: Timestamp) -> Result<Moved>;

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
