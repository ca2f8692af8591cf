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
use crate::domain::api_key::{ApiKey, KeyHash};
use crate::domain::audit::AuditEntry;
use crate::domain::breaker::StoredBreaker;
use crate::domain::catalogue::EventTypeEntry;
use crate::domain::delivery::{DeliveryState, Progress};
use crate::domain::event::Event;
use crate::domain::id::{ApiKeyId, DeliveryId, EventId, JobId, SessionId, SubscriptionId, UserId};
use crate::domain::idempotency::{KeyName, KnownKey};
use crate::domain::job::{EventHead, FinalDelivery, Job, JobState};
use crate::domain::node::{NodeReport, Registry};
use crate::domain::operational::OperationalEvent;
use crate::domain::ordering::{Line, Ordering};
use crate::domain::session::Session;
use crate::domain::signing::SigningSecrets;
use crate::domain::statistics::Width;
use crate::domain::subscription::{HistoryEntry, Subscription};
use crate::domain::tenant::Tenant;
use crate::domain::user::{PasswordHash, User};

mod account;
mod account_statements;
mod api_key;
mod calls;
mod codec;
mod failure;
pub mod job;
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

pub use account::{FirstUser, Link, SessionChanges, UserChanged, UserCreated};
pub use api_key::{ApiKeyCreated, ApiKeyFilter, KeyringChanges};
pub use calls::{
    AcceptGroup, Accepted, BlockingRow, Changed, CutBreaker, DirectoryChanges, DuePage, DueRow,
    Ending, Forgotten, ForgottenAnswers, HeadRow, LastFailure, LeaseState, MOST_HISTORY, Moved,
    RecordGroup, Recorded, Runtime, Standing, TenantDeleted, TenantLeftovers, WaitingEvent,
};
pub use job::{
    EventWalk, JobBatch, JobCreated, JobFilter, JobMoved, JobWork, Replayed, UnarrivedWalk,
};
pub use postgres::PostgresStore;
pub use read::{
    AttemptRow, DeliveryFilter, DeliveryRow, EventFilter, EventRow, Page, PageRequest, Position,
};
pub use search::{
    AuditFilter, CatalogueChange, DeliveryCandidate, Erased, EventCandidate, LastAttempt,
    StoredCatalogue, Stretch,
};
pub use secrets::{Kept, Resealed, TenantSecrets};
pub use sqlite::SqliteStore;
pub use statistics::{Folded, Statistics, StatisticsQuery, Whose};
pub use storage::{Connections, Storage, StoredDatabase, StoredFile, TableSize, TimePart};

/// Processes that are known at most.
pub const MOST_NODES: u32 = 1_000;

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

    /// Stores a new tenant; its `version` is drawn here. Nothing where one stands with this id,
    /// unless that is deleted.
    async fn create_tenant(&self, tenant: &Tenant) -> Result<Option<i64>>;

    /// Replaces name, status and limits of a tenant where its stored version still is
    /// `tenant.version`, and draws it a new one.
    async fn update_tenant(&self, tenant: &Tenant) -> Result<Changed>;

    /// Tombstones a tenant of which nothing is left, where its version still is `version`. Its
    /// secrets go with it.
    async fn delete_tenant(&self, id: &str, version: i64, now: Timestamp) -> Result<TenantDeleted>;

    /// One tenant that is not deleted.
    async fn tenant(&self, id: &str) -> Result<Option<Tenant>>;

    /// One subscription as it stands, deleted ones included.
    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>>;

    /// The secrets that this tenant holds for its subscriptions.
    async fn tenant_secrets(&self, tenant: &str) -> Result<Option<TenantSecrets>>;

    /// Keeps a tenant's secrets where the stored version still is `replaced`, 0 where there are
    /// none. Raises the version of the directory and of each subscription that signs with them.
    async fn keep_tenant_secrets(
        &self,
        tenant: &str,
        secrets: &SigningSecrets,
        replaced: i64,
        now: Timestamp,
    ) -> Result<Kept>;

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

    // --- Know event types ---

    /// The catalogue, with its types where it changed after `version` of the directory.
    async fn catalogue_since(&self, version: i64) -> Result<StoredCatalogue>;

    /// One type.
    async fn event_type(&self, name: &str) -> Result<Option<EventTypeEntry>>;

    /// Up to `limit` types behind `after`, in the order of their names.
    async fn list_event_types(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<EventTypeEntry>>;

    /// Adds a type (its version is 0), unless there are `most` already, or replaces one whose
    /// stored version still is `entry.version`. Draws a new version of the directory, and is
    /// noted in the audit log, in the same transaction.
    async fn keep_event_type(
        &self,
        entry: &EventTypeEntry,
        most: u32,
        audit: &AuditEntry,
    ) -> Result<CatalogueChange>;

    /// Removes a type whose stored version still is that one, in the same way.
    async fn remove_event_type(
        &self,
        name: &str,
        version: i64,
        audit: &AuditEntry,
    ) -> Result<CatalogueChange>;

    // --- Deliver ---

    /// Up to `limit` deliveries due at `now`. Costs an index range of `limit` rows.
    async fn due_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage>;

    /// The events with these ids, for their attempts; missing ones are left out, and those whose
    /// payload was erased: another process may hold a delivery of one that was cancelled for it.
    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>>;

    /// Up to `limit` pending deliveries, due or not, in the order of acceptance. Costs an index
    /// range of `limit` rows.
    async fn oldest_pending(&self, id: SubscriptionId, limit: usize) -> Result<Vec<DueRow>>;

    /// Up to `limit` heads of a subscription's lines, due or not, in the order of the lines'
    /// names, after `after`. Costs a few steps into an index for each, however long the lines.
    async fn line_heads(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: usize,
    ) -> Result<Vec<HeadRow>>;

    /// Of each line, up to `limit` pending deliveries after that place, in order; the lines in
    /// the order given. Costs an index range each.
    async fn lines_after(
        &self,
        id: SubscriptionId,
        heads: &[(Line, i64)],
        limit: usize,
    ) -> Result<Vec<(Line, DueRow)>>;

    /// As [`Store::due_page`], of what stands in no line in a subscription that has an order.
    async fn free_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage>;

    /// Lines up to `limit` pending deliveries after that place up, anew. Answers the last place
    /// looked at, and nothing where there was none. Costs an index range of `limit` rows.
    async fn line_up(
        &self,
        id: SubscriptionId,
        ordering: Ordering,
        after: i64,
        limit: u32,
    ) -> Result<Option<i64>>;

    /// Notes that all that was pending stands in line for that rule.
    async fn note_lined_up(&self, id: SubscriptionId, rule: Timestamp) -> Result<()>;

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

    /// A failed delivery blocks its line no more and is `to` now, where its version still is
    /// `version`.
    async fn release_line(
        &self,
        id: DeliveryId,
        version: i64,
        to: DeliveryState,
        now: Timestamp,
    ) -> Result<Moved>;

    /// Up to `limit` deliveries that block a line by that rule, in the order of the lines' names,
    /// after `after`.
    async fn blocking(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: u32,
    ) -> Result<Vec<BlockingRow>>;

    /// A pending delivery is cancelled, where its version still is `version`.
    async fn cancel_delivery(&self, id: DeliveryId, version: i64, now: Timestamp) -> Result<Moved>;

    // --- Jobs ---

    /// Stores a new job, unless `most` are open already, or its subscription's tenant has its share of
    /// them. Safe to run again: a job that stands is left as it is.
    async fn create_job(&self, job: &Job, most: u32) -> Result<JobCreated>;

    /// One job.
    async fn job(&self, id: JobId) -> Result<Option<Job>>;

    /// Up to `limit` jobs that are not final, oldest first.
    async fn open_jobs(&self, limit: u32) -> Result<Vec<Job>>;

    /// Jobs, newest first.
    async fn list_jobs(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>>;

    /// Moves a batch: deliveries, counters and cursor in one commit, fenced by the lease as a
    /// record is, and by the versions of the job and its subscription. `Fenced` and `Overtaken`
    /// leave nothing behind. What a replay makes is due at `now` and begins with round 2.
    async fn move_job(&self, batch: &JobBatch) -> Result<JobMoved>;

    /// Ends a job that is not final. `Overtaken` where it is, or there is none.
    async fn end_job(
        &self,
        id: JobId,
        state: JobState,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<Moved>;

    /// Forgets up to `limit` jobs that became final before `before`, and says how many.
    async fn forget_jobs(&self, before: Timestamp, limit: u32) -> Result<u64>;

    /// A stretch of what did not arrive. Costs an index range of `limit` rows.
    async fn walk_unarrived(&self, walk: &UnarrivedWalk) -> Result<Vec<FinalDelivery>>;

    /// A stretch of the events without their payloads. Costs an index range of `limit` rows.
    async fn walk_events(&self, walk: &EventWalk) -> Result<Vec<EventHead>>;

    /// These events without their payloads, sorted by id; missing ones are left out.
    async fn event_heads(&self, ids: &[EventId]) -> Result<Vec<EventHead>>;

    // --- Read ---

    /// One subscriptions page, newest first; deleted ones are left out.
    async fn list_subscriptions(
        &self,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Subscription>>;

    /// Tenants that are not deleted, newest first.
    async fn list_tenants(&self, page: &PageRequest) -> Result<Page<Tenant>>;

    /// The changes of a subscription's state, newest first, [`MOST_HISTORY`] at most; of deleted
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

    // --- Let in ---

    /// Stores a new key, unless there are `most` already, or its tenant has its share of them
    /// ([`share_of`](crate::domain::tenant::share_of)); its `version` is drawn here. Safe to run
    /// again: a key that stands is left as it is.
    async fn create_api_key(&self, key: &ApiKey, most: u32) -> Result<ApiKeyCreated>;

    /// One key, whatever its state.
    async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>>;

    /// Keys, newest first, whatever their state.
    async fn list_api_keys(
        &self,
        filter: &ApiKeyFilter,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>>;

    /// Takes a key back at `now`. `Overtaken` where that was done before, or there is no such key.
    async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<Moved>;

    /// The keys that changed after `version`; 0 asks for all. A use is no change.
    async fn keyring_since(&self, version: i64) -> Result<KeyringChanges>;

    /// The keyring's version, raised by every change: one cheap read.
    async fn keyring_version(&self) -> Result<i64>;

    /// Notes when these keys were used, where that is later than what is noted. Keys that are gone
    /// are passed over.
    async fn note_key_uses(&self, uses: &[(ApiKeyId, Timestamp)]) -> Result<()>;

    /// Forgets up to `limit` keys that expired or were revoked before `before`, and says how many.
    async fn forget_api_keys(&self, before: Timestamp, limit: u32) -> Result<u64>;

    // --- Sign in ---

    /// Whether there is any user.
    async fn any_user(&self) -> Result<bool>;

    /// Keeps a link that makes the first user, and of those before it so many that there are `most`.
    /// False, and nothing is kept, where there is a user.
    async fn keep_setup_link(&self, link: &Link, most: u32) -> Result<bool>;

    /// Whether that link makes the first user, and is good at `now`.
    async fn setup_link(&self, link: &KeyHash, now: Timestamp) -> Result<bool>;

    /// Stores the first user, by a link that is good at its time of making. Of several at once one
    /// gets through. Its `version` is drawn here, as that of every user below.
    async fn create_first_user(&self, user: &User, link: &KeyHash) -> Result<FirstUser>;

    /// Stores a new user, unless there are `most` already, and the link by which they come.
    async fn create_user(
        &self,
        user: &User,
        invitation: Option<&Link>,
        most: u32,
    ) -> Result<UserCreated>;

    /// One user.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// The user who has this address.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>>;

    /// Users, newest first.
    async fn list_users(&self, page: &PageRequest) -> Result<Page<User>>;

    /// Replaces name, role and state of a user whose stored version still is `user.version`. Ends their
    /// sessions and links where they are disabled. The last one who administers stays so.
    async fn update_user(&self, user: &User) -> Result<UserChanged>;

    /// Removes a user, and ends their sessions and links. The last one who administers stays.
    async fn delete_user(&self, id: UserId, now: Timestamp) -> Result<UserChanged>;

    /// Sets a user's password, and ends their links and all sessions but the one `spared`. `Overtaken`
    /// where there is no such user.
    async fn set_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        spared: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Moved>;

    /// Keeps a link by which a user sets name and password, in place of any before it. `Overtaken` where
    /// there is no such user.
    async fn invite(&self, id: UserId, link: &Link) -> Result<Moved>;

    /// Whom a link invites that is good at `now`. Disabled users are not invited.
    async fn invited(&self, link: &KeyHash, now: Timestamp) -> Result<Option<User>>;

    /// Uses such a link up: sets the password, and the name where one is given, and ends the user's
    /// sessions. Of several at once one gets through.
    async fn take_invitation(
        &self,
        link: &KeyHash,
        name: Option<&str>,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<User>>;

    /// Notes when and from where a user signed in. Raises no version.
    async fn note_sign_in(&self, user: &User) -> Result<()>;

    /// Stores a new session and answers the version it drew. Of a user, nothing where they may not sign
    /// in any more, or their password is not this one. Past `most` open ones of the same owner the
    /// oldest are ended.
    async fn create_session(
        &self,
        session: &Session,
        password: Option<&PasswordHash>,
        most: u32,
    ) -> Result<Option<i64>>;

    /// Ends a session at `now`. `Overtaken` where somebody has done so, or there is none.
    async fn end_session(&self, id: SessionId, now: Timestamp) -> Result<Moved>;

    /// The sessions that changed after `version`; 0 asks for all that nobody ended. A change of a user
    /// is one of their sessions.
    async fn sessions_since(&self, version: i64) -> Result<SessionChanges>;

    /// The accounts' version, raised by every change of a user or a session: one cheap read.
    async fn sessions_version(&self) -> Result<i64>;

    /// Notes when these sessions were used, where that is later than what is noted, as a change of
    /// theirs: every process has to know. Those that are gone are passed over.
    async fn note_session_uses(&self, uses: &[(SessionId, Timestamp)]) -> Result<()>;

    /// Forgets up to `limit` sessions that ended before `ended_before` or were not used since
    /// `unused_since`, and says how many; and links that went out of use before.
    async fn forget_sessions(
        &self,
        ended_before: Timestamp,
        unused_since: Timestamp,
        limit: u32,
    ) -> Result<u64>;

    // --- Count ---

    /// Folds up to `limit` deltas of the statistics into buckets, in one commit; fewer where they
    /// are about very much, and none where somebody else is folding. Every call
    /// above that makes, moves or records something adds what that comes to in its own commit, and
    /// adds nothing where it changed nothing.
    async fn fold_statistics(&self, limit: u32) -> Result<Folded>;

    /// What happened, as of one moment: folded or not. Costs an index range for each scope and
    /// piece, and what was not folded.
    async fn statistics(&self, query: &StatisticsQuery) -> Result<Statistics>;

    /// Forgets up to `limit` buckets of that width that began before `before`, and says how many.
    async fn forget_statistics(&self, width: Width, before: Timestamp, limit: u32) -> Result<u64>;

    /// When the oldest pending delivery was made: the one of the oldest event, or of these
    /// subscriptions the first accepted. An index probe, or one for each.
    async fn oldest_pending_since(
        &self,
        of: Option<&[SubscriptionId]>,
    ) -> Result<Option<Timestamp>>;

    /// Up to `limit` breakers that are not closed, as kept, in the order of their subscriptions.
    async fn cut_breakers(&self, limit: u32) -> Result<Vec<CutBreaker>>;

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

    // --- Erase, and say who did what ---

    /// Erases an event's payload and its name for people, unless any of its deliveries is pending;
    /// nothing brings one of them back after that, nor makes one. Is noted in the audit log in the
    /// same transaction, the first time. What receivers answered goes after that.
    async fn erase_payload(
        &self,
        id: EventId,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<Erased>;

    /// Events whose payload was erased at or after `since`, at most `limit`, by an index of what was
    /// erased.
    async fn erased_since(&self, since: Timestamp, limit: u32) -> Result<Vec<EventId>>;

    /// Empties what receivers answered to an event's deliveries, of up to `limit` attempts, and says
    /// of how many.
    async fn erase_answers(&self, id: EventId, limit: u32) -> Result<u64>;

    /// Writes an entry of the audit log. Safe to run again.
    async fn audit(&self, entry: &AuditEntry) -> Result<()>;

    /// The audit log, newest first.
    async fn list_audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>>;

    /// Forgets up to `limit` entries made before `before`, and says how many.
    async fn forget_audit(&self, before: Timestamp, limit: u32) -> Result<u64>;

    // --- Know each other ---

    /// Notes what a process tells of itself, and that it is there now: it is lost where it does not
    /// tell again within `patience`. Its age counts where it is not known yet. All times are the
    /// store's own. On SQLite, which has one process at a time, whoever was there before is lost.
    async fn beat(&self, node: &NodeReport, age: Duration, patience: Duration) -> Result<()>;

    /// The processes that are known, [`MOST_NODES`] at most, and who owns the deliveries.
    async fn registry(&self) -> Result<Registry>;

    /// Forgets a process that ends.
    async fn remove_node(&self, name: &str) -> Result<()>;

    /// Forgets processes that were not seen for so long, and of more than `most` those that were not
    /// seen for longest. Says how many.
    async fn forget_nodes(&self, unseen: Duration, most: u32) -> Result<u64>;

    // --- Operate the store itself ---

    /// Where everything lies and how much of it there is, as far as that costs no look at the rows.
    async fn storage(&self) -> Result<Storage>;

    /// Goes all the way to the database, and as far as can be told without writing, whether it
    /// would take a write.
    async fn ping(&self) -> Result<()>;

    /// A name for this installation, made with its database: keeps the keys of several
    /// installations apart in one Redis.
    async fn installation(&self) -> Result<String>;

    /// Closes connections after what runs has ended.
    async fn close(&self);
}
