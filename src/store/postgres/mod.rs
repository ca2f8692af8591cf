//! The store of the distributed profile: Postgres.
//!
//! A group is one statement and one round trip. Who may write what is decided by row locks in
//! that statement: `directory` for acceptance, `leases` for recording. Plain reads take none.

mod accept;
mod accounts;
mod api_keys;
mod audit;
mod catalogue;
mod columns;
mod connect;
mod deliver;
mod directory;
mod erase;
mod forget;
mod hold;
mod jobs;
mod line;
mod moves;
mod nodes;
mod operational;
mod partitions;
mod read;
mod record;
mod recover;
mod rows;
mod search;
mod secrets;
mod statistics;
mod storage;
mod tenants;

pub use self::line::HEADS as LINE_HEADS;
pub use self::statistics::PLANS as STATISTIC_PLANS;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::{Connection, Executor};

use self::accounts::Accounts;
use self::connect::{Pools, answered};
use super::{
    AcceptGroup, Accepted, ApiKeyCreated, ApiKeyFilter, AttemptRow, AuditFilter, BlockingRow,
    CatalogueChange, Changed, CutBreaker, DeliveryCandidate, DeliveryFilter, DeliveryRow,
    DirectoryChanges, DuePage, DueRow, Ending, Erased, EventCandidate, EventFilter, EventRow,
    EventWalk, FirstUser, Folded, Forgotten, ForgottenAnswers, HeadRow, JobBatch, JobCreated,
    JobFilter, JobMoved, Kept, KeyringChanges, LeaseState, Link, Moved, Page, PageRequest,
    Position, RecordGroup, Recorded, Resealed, Result, Runtime, SessionChanges, Standing,
    Statistics, StatisticsQuery, Storage, Store, StoredCatalogue, Stretch, TenantDeleted,
    TenantSecrets, UnarrivedWalk, UserChanged, UserCreated, WaitingEvent,
};
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
use crate::settings::StoreSettings;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// A migration may rewrite a table.
const MIGRATION: Duration = Duration::from_secs(3600);

/// Events, deliveries and all else in Postgres.
pub struct PostgresStore {
    pools: Pools,
    settings: StoreSettings,
}

impl PostgresStore {
    /// Connects to `settings.database_url`; refuses a server that may lose what it committed.
    /// The tables are made by [`migrate`](Self::migrate).
    pub async fn connect(settings: &StoreSettings) -> Result<Self> {
        Ok(Self {
            pools: connect::connect(settings).await?,
            settings: settings.clone(),
        })
    }

    /// A setting of the relay's own sessions, as the server has it in force.
    pub async fn session_setting(&self, name: &str) -> Result<String> {
        answered(connect::session_setting(&self.pools.work, name)).await
    }

    /// Applies the migrations that are missing and names them. Processes that migrate at the
    /// same time take turns.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        let mut connection = connect::alone(&self.settings, MIGRATION).await?;
        // Another process may be migrating just now.
        connection.execute("SET lock_timeout = '10min'").await?;
        // The lock counts: the migrator's own is taken within this one.
        connection.lock().await?;
        connection
            .ensure_migrations_table(&MIGRATIONS.table_name)
            .await?;
        let before = connection
            .list_applied_migrations(&MIGRATIONS.table_name)
            .await?;
        MIGRATIONS.run_direct(None, &mut connection, false).await?;
        connection.close().await?;
        Ok(super::migrated_since(&MIGRATIONS, &before))
    }

    /// Seals every secret that is not sealed with the first master key.
    pub async fn reseal_secrets(&self) -> Result<Resealed> {
        let resealed = secrets::reseal(&self.pools).await?;
        let mut connection = connect::alone(&self.settings, MIGRATION).await?;
        secrets::wipe(&mut connection).await?;
        connection.close().await?;
        Ok(resealed)
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn known_keys(
        &self,
        names: &[KeyName],
        expired_before: Timestamp,
    ) -> Result<Vec<KnownKey>> {
        answered(accept::known_keys(&self.pools.work, names, expired_before)).await
    }

    async fn accept(&self, group: &AcceptGroup) -> Result<Accepted> {
        answered(accept::accept(&self.pools.work, group)).await
    }

    async fn directory_since(&self, version: i64) -> Result<DirectoryChanges> {
        answered(directory::since(&self.pools, version)).await
    }

    async fn directory_version(&self) -> Result<i64> {
        answered(directory::version(&self.pools.work)).await
    }

    async fn create_subscription(&self, subscription: &Subscription) -> Result<i64> {
        answered(directory::create(&self.pools, subscription)).await
    }

    async fn create_subscription_within(
        &self,
        subscription: &Subscription,
        most: u32,
    ) -> Result<Option<i64>> {
        answered(directory::create_within(&self.pools, subscription, most)).await
    }

    async fn create_tenant(&self, tenant: &Tenant) -> Result<Option<i64>> {
        answered(tenants::create(&self.pools.work, tenant)).await
    }

    async fn update_tenant(&self, tenant: &Tenant) -> Result<Changed> {
        answered(tenants::update(&self.pools.work, tenant)).await
    }

    async fn delete_tenant(&self, id: &str, version: i64, now: Timestamp) -> Result<TenantDeleted> {
        answered(tenants::delete(&self.pools.work, id, version, now)).await
    }

    async fn tenant(&self, id: &str) -> Result<Option<Tenant>> {
        answered(tenants::one(&self.pools.work, id)).await
    }

    async fn list_tenants(&self, page: &PageRequest) -> Result<Page<Tenant>> {
        answered(tenants::list(&self.pools.reads, page)).await
    }

    async fn update_subscription(
        &self,
        subscription: &Subscription,
        raises: Option<&OperationalEvent>,
    ) -> Result<Changed> {
        answered(directory::update(&self.pools, subscription, raises)).await
    }

    async fn hand_subscription_over(
        &self,
        subscription: &Subscription,
        raises: Option<&OperationalEvent>,
    ) -> Result<Option<Changed>> {
        answered(directory::hand_over(&self.pools, subscription, raises)).await
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>> {
        answered(directory::one(&self.pools, id)).await
    }

    async fn tenant_secrets(&self, tenant: &str) -> Result<Option<TenantSecrets>> {
        answered(secrets::of(&self.pools, tenant)).await
    }

    async fn keep_tenant_secrets(
        &self,
        tenant: &str,
        kept: &SigningSecrets,
        replaced: i64,
        now: Timestamp,
    ) -> Result<Kept> {
        answered(secrets::keep(&self.pools, tenant, kept, replaced, now)).await
    }

    async fn cancel_pending(
        &self,
        id: SubscriptionId,
        spared: &[DeliveryId],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        let work = &self.pools.work;
        answered(recover::cancel_pending(work, id, spared, now, limit)).await
    }

    async fn deleted_with_pending(&self, limit: u32) -> Result<Vec<SubscriptionId>> {
        let pending = recover::pending_in(&self.pools.work, "deleted", None, limit);
        let found = answered(pending).await?;
        Ok(found.into_iter().map(|(id, _)| id).collect())
    }

    async fn catalogue_since(&self, version: i64) -> Result<StoredCatalogue> {
        answered(catalogue::since(&self.pools.work, version)).await
    }

    async fn event_type(&self, name: &str) -> Result<Option<EventTypeEntry>> {
        answered(catalogue::one(&self.pools.work, name)).await
    }

    async fn list_event_types(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<EventTypeEntry>> {
        answered(catalogue::list(&self.pools.reads, after, limit)).await
    }

    async fn keep_event_type(
        &self,
        entry: &EventTypeEntry,
        most: u32,
        audit: &AuditEntry,
    ) -> Result<CatalogueChange> {
        answered(catalogue::keep(&self.pools.work, entry, most, audit)).await
    }

    async fn remove_event_type(
        &self,
        name: &str,
        version: i64,
        audit: &AuditEntry,
    ) -> Result<CatalogueChange> {
        answered(catalogue::remove(&self.pools.work, name, version, audit)).await
    }

    async fn due_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage> {
        answered(deliver::due_page(&self.pools.work, id, now, limit)).await
    }

    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>> {
        answered(deliver::events(&self.pools.work, ids)).await
    }

    async fn oldest_pending(&self, id: SubscriptionId, limit: usize) -> Result<Vec<DueRow>> {
        answered(deliver::oldest_pending(&self.pools.work, id, limit)).await
    }

    async fn line_heads(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: usize,
    ) -> Result<Vec<HeadRow>> {
        answered(line::heads(&self.pools.work, id, rule, after, limit)).await
    }

    async fn lines_after(
        &self,
        id: SubscriptionId,
        heads: &[(Line, i64)],
        limit: usize,
    ) -> Result<Vec<(Line, DueRow)>> {
        answered(line::after(&self.pools.work, id, heads, limit)).await
    }

    async fn free_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage> {
        answered(line::free_page(&self.pools.work, id, now, limit)).await
    }

    async fn line_up(
        &self,
        id: SubscriptionId,
        ordering: Ordering,
        after: i64,
        limit: u32,
    ) -> Result<Option<i64>> {
        answered(line::line_up(&self.pools.work, id, ordering, after, limit)).await
    }

    async fn note_lined_up(&self, id: SubscriptionId, rule: Timestamp) -> Result<()> {
        answered(line::note_lined_up(&self.pools.work, id, rule)).await
    }

    async fn release_line(
        &self,
        id: DeliveryId,
        version: i64,
        to: DeliveryState,
        now: Timestamp,
    ) -> Result<Moved> {
        answered(line::release(&self.pools.work, id, version, to, now)).await
    }

    async fn blocking(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: u32,
    ) -> Result<Vec<BlockingRow>> {
        answered(line::blocking(&self.pools.work, id, rule, after, limit)).await
    }

    async fn runtime(&self, id: SubscriptionId) -> Result<Runtime> {
        answered(deliver::runtime(&self.pools.work, id)).await
    }

    async fn count_pending(&self, most: u32) -> Result<u64> {
        answered(deliver::count_pending(&self.pools.reads, most)).await
    }

    async fn standing(&self, id: SubscriptionId, most: u32) -> Result<Standing> {
        answered(deliver::standing(&self.pools.reads, id, most)).await
    }

    async fn record(&self, group: &RecordGroup) -> Result<Vec<Recorded>> {
        answered(record::record(&self.pools.work, group)).await
    }

    async fn keep_breaker(
        &self,
        epoch: i64,
        id: SubscriptionId,
        breaker: &StoredBreaker,
        raises: &[Arc<OperationalEvent>],
    ) -> Result<()> {
        let kept = record::keep_breaker(&self.pools.work, epoch, id, breaker, raises);
        answered(kept).await
    }

    async fn waiting_events(&self, after: i64, limit: u32) -> Result<Vec<WaitingEvent>> {
        answered(operational::waiting(&self.pools.work, after, limit)).await
    }

    async fn pending_subscriptions(
        &self,
        after: Option<SubscriptionId>,
        limit: u32,
    ) -> Result<Vec<(SubscriptionId, Timestamp)>> {
        answered(recover::pending_in(
            &self.pools.work,
            "active",
            after,
            limit,
        ))
        .await
    }

    async fn trials(
        &self,
        candidates: &[(SubscriptionId, Timestamp)],
        now: Timestamp,
    ) -> Result<Vec<SubscriptionId>> {
        answered(hold::trials(&self.pools.work, candidates, now)).await
    }

    async fn backlog(&self, id: SubscriptionId, most: u64) -> Result<u64> {
        answered(hold::backlog(&self.pools.work, id, most)).await
    }

    async fn newest_pending(&self, id: SubscriptionId) -> Result<Option<i64>> {
        answered(hold::newest_pending(&self.pools.work, id)).await
    }

    async fn end_held(
        &self,
        id: SubscriptionId,
        ending: Ending,
        spared: &[DeliveryId],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        let work = &self.pools.work;
        answered(hold::end_held(work, id, ending, spared, now, limit)).await
    }

    async fn forget_keys(&self, before: Timestamp, limit: u32) -> Result<u64> {
        answered(recover::forget_keys(&self.pools.work, before, limit)).await
    }

    async fn make_room(&self, now: Timestamp, span: Duration) -> Result<u32> {
        answered(partitions::make_room(&self.pools.work, now, span)).await
    }

    async fn forget_events(
        &self,
        before: Timestamp,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Forgotten> {
        answered(forget::events(&self.pools.work, before, after, limit)).await
    }

    async fn forget_answers(
        &self,
        before: Timestamp,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<ForgottenAnswers> {
        answered(forget::answers(&self.pools.work, before, after, limit)).await
    }

    async fn lease(&self, holder: &str, ttl: Duration) -> Result<LeaseState> {
        answered(recover::lease(&self.pools.work, holder, ttl)).await
    }

    async fn release_lease(&self, holder: &str) -> Result<()> {
        answered(recover::release_lease(&self.pools.work, holder)).await
    }

    async fn retry_delivery(&self, id: DeliveryId, version: i64, now: Timestamp) -> Result<Moved> {
        answered(recover::retry_delivery(&self.pools.work, id, version, now)).await
    }

    async fn hasten_delivery(
        &self,
        id: DeliveryId,
        progress: &Progress,
        now: Timestamp,
    ) -> Result<Moved> {
        answered(recover::hasten_delivery(
            &self.pools.work,
            id,
            progress,
            now,
        ))
        .await
    }

    async fn cancel_delivery(&self, id: DeliveryId, version: i64, now: Timestamp) -> Result<Moved> {
        answered(recover::cancel_delivery(&self.pools.work, id, version, now)).await
    }

    async fn create_job(&self, job: &Job, most: u32) -> Result<JobCreated> {
        answered(jobs::create(&self.pools.work, job, most)).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        answered(jobs::one(&self.pools.work, id)).await
    }

    async fn open_jobs(&self, limit: u32) -> Result<Vec<Job>> {
        answered(jobs::open(&self.pools.work, limit)).await
    }

    async fn list_jobs(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
        answered(read::list_jobs(&self.pools.reads, filter, page)).await
    }

    async fn move_job(&self, batch: &JobBatch) -> Result<JobMoved> {
        answered(jobs::move_batch(&self.pools.work, batch)).await
    }

    async fn end_job(
        &self,
        id: JobId,
        state: JobState,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<Moved> {
        answered(jobs::end(&self.pools.work, id, state, error, now)).await
    }

    async fn forget_jobs(&self, before: Timestamp, limit: u32) -> Result<u64> {
        answered(jobs::forget(&self.pools.work, before, limit)).await
    }

    async fn walk_unarrived(&self, walk: &UnarrivedWalk) -> Result<Vec<FinalDelivery>> {
        answered(jobs::walk_unarrived(&self.pools.work, walk)).await
    }

    async fn walk_events(&self, walk: &EventWalk) -> Result<Vec<EventHead>> {
        answered(jobs::walk_events(&self.pools.work, walk)).await
    }

    async fn event_heads(&self, ids: &[EventId]) -> Result<Vec<EventHead>> {
        answered(jobs::event_heads(&self.pools.work, ids)).await
    }

    async fn list_subscriptions(
        &self,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Subscription>> {
        answered(read::list_subscriptions(&self.pools, tenant, page)).await
    }

    async fn history(&self, id: SubscriptionId, page: &PageRequest) -> Result<Page<HistoryEntry>> {
        answered(hold::history(&self.pools.reads, id, page)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRow>> {
        answered(read::event(&self.pools.reads, id)).await
    }

    async fn list_events(
        &self,
        filter: &EventFilter,
        page: &PageRequest,
    ) -> Result<Page<EventRow>> {
        answered(read::list_events(&self.pools.reads, filter, page)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        answered(read::delivery(&self.pools.reads, id)).await
    }

    async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<DeliveryRow>> {
        answered(read::list_deliveries(&self.pools.reads, filter, page)).await
    }

    async fn attempts(&self, id: DeliveryId, limit: u32) -> Result<Vec<AttemptRow>> {
        answered(read::attempts(&self.pools.reads, id, limit)).await
    }

    async fn create_api_key(&self, key: &ApiKey, most: u32) -> Result<ApiKeyCreated> {
        answered(api_keys::create(&self.pools.work, key, most)).await
    }

    async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>> {
        answered(api_keys::one(&self.pools.work, id)).await
    }

    async fn list_api_keys(
        &self,
        filter: &ApiKeyFilter,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>> {
        answered(read::list_api_keys(&self.pools.reads, filter, page)).await
    }

    async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<Moved> {
        answered(api_keys::revoke(&self.pools.work, id, now)).await
    }

    async fn keyring_since(&self, version: i64) -> Result<KeyringChanges> {
        answered(api_keys::since(&self.pools.work, version)).await
    }

    async fn keyring_version(&self) -> Result<i64> {
        answered(api_keys::version(&self.pools.work)).await
    }

    async fn note_key_uses(&self, uses: &[(ApiKeyId, Timestamp)]) -> Result<()> {
        answered(api_keys::note_uses(&self.pools.work, uses)).await
    }

    async fn forget_api_keys(&self, before: Timestamp, limit: u32) -> Result<u64> {
        answered(api_keys::forget(&self.pools.work, before, limit)).await
    }

    async fn any_user(&self) -> Result<bool> {
        answered(Accounts(&self.pools.work).any_user()).await
    }

    async fn keep_setup_link(&self, link: &Link, most: u32) -> Result<bool> {
        answered(Accounts(&self.pools.work).keep_setup_link(link, most)).await
    }

    async fn setup_link(&self, link: &KeyHash, now: Timestamp) -> Result<bool> {
        answered(Accounts(&self.pools.work).setup_link(link, now)).await
    }

    async fn create_first_user(&self, user: &User, link: &KeyHash) -> Result<FirstUser> {
        answered(Accounts(&self.pools.work).create_first_user(user, link)).await
    }

    async fn create_user(
        &self,
        user: &User,
        invitation: Option<&Link>,
        most: u32,
    ) -> Result<UserCreated> {
        answered(Accounts(&self.pools.work).create_user(user, invitation, most)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        answered(Accounts(&self.pools.work).user(id)).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        answered(Accounts(&self.pools.work).user_by_email(email)).await
    }

    async fn list_users(&self, page: &PageRequest) -> Result<Page<User>> {
        answered(Accounts(&self.pools.work).list_users(page)).await
    }

    async fn update_user(&self, user: &User) -> Result<UserChanged> {
        answered(Accounts(&self.pools.work).update_user(user)).await
    }

    async fn delete_user(&self, id: UserId, now: Timestamp) -> Result<UserChanged> {
        answered(Accounts(&self.pools.work).delete_user(id, now)).await
    }

    async fn set_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        spared: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Moved> {
        answered(Accounts(&self.pools.work).set_password(id, password, spared, now)).await
    }

    async fn invite(&self, id: UserId, link: &Link) -> Result<Moved> {
        answered(Accounts(&self.pools.work).invite(id, link)).await
    }

    async fn invited(&self, link: &KeyHash, now: Timestamp) -> Result<Option<User>> {
        answered(Accounts(&self.pools.work).invited(link, now)).await
    }

    async fn take_invitation(
        &self,
        link: &KeyHash,
        name: Option<&str>,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<User>> {
        answered(Accounts(&self.pools.work).take_invitation(link, name, password, now)).await
    }

    async fn note_sign_in(&self, user: &User) -> Result<()> {
        answered(Accounts(&self.pools.work).note_sign_in(user)).await
    }

    async fn create_session(
        &self,
        session: &Session,
        password: Option<&PasswordHash>,
        most: u32,
    ) -> Result<Option<i64>> {
        answered(Accounts(&self.pools.work).create_session(session, password, most)).await
    }

    async fn end_session(&self, id: SessionId, now: Timestamp) -> Result<Moved> {
        answered(Accounts(&self.pools.work).end_session(id, now)).await
    }

    async fn sessions_since(&self, version: i64) -> Result<SessionChanges> {
        answered(Accounts(&self.pools.work).sessions_since(version)).await
    }

    async fn sessions_version(&self) -> Result<i64> {
        answered(Accounts(&self.pools.work).sessions_version()).await
    }

    async fn note_session_uses(&self, uses: &[(SessionId, Timestamp)]) -> Result<()> {
        answered(Accounts(&self.pools.work).note_session_uses(uses)).await
    }

    async fn forget_sessions(
        &self,
        ended_before: Timestamp,
        unused_since: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        answered(Accounts(&self.pools.work).forget_sessions(ended_before, unused_since, limit))
            .await
    }

    async fn fold_statistics(&self, limit: u32) -> Result<Folded> {
        answered(statistics::fold(&self.pools.work, limit)).await
    }

    async fn statistics(&self, query: &StatisticsQuery) -> Result<Statistics> {
        answered(statistics::read(&self.pools.reads, query)).await
    }

    async fn forget_statistics(&self, width: Width, before: Timestamp, limit: u32) -> Result<u64> {
        answered(statistics::forget(&self.pools.work, width, before, limit)).await
    }

    async fn oldest_pending_since(
        &self,
        of: Option<&[SubscriptionId]>,
    ) -> Result<Option<Timestamp>> {
        answered(statistics::oldest(&self.pools.reads, of)).await
    }

    async fn cut_breakers(&self, limit: u32) -> Result<Vec<CutBreaker>> {
        answered(statistics::cut(&self.pools.reads, limit)).await
    }

    async fn walk_events_back(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        rows: u32,
    ) -> Result<Stretch<EventCandidate>> {
        answered(search::events(&self.pools.reads, filter, after, rows)).await
    }

    async fn walk_deliveries_back(
        &self,
        filter: &DeliveryFilter,
        after: Option<Position>,
        rows: u32,
    ) -> Result<Stretch<DeliveryCandidate>> {
        answered(search::deliveries(&self.pools.reads, filter, after, rows)).await
    }

    async fn event_rows(&self, ids: &[EventId]) -> Result<Vec<EventRow>> {
        answered(read::event_rows(&self.pools.reads, ids)).await
    }

    async fn delivery_rows(&self, ids: &[DeliveryId]) -> Result<Vec<DeliveryRow>> {
        answered(read::delivery_rows(&self.pools.reads, ids)).await
    }

    async fn erase_payload(
        &self,
        id: EventId,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<Erased> {
        answered(erase::payload(&self.pools.work, id, now, audit)).await
    }

    async fn erased_since(&self, since: Timestamp, limit: u32) -> Result<Vec<EventId>> {
        answered(erase::since(&self.pools.work, since, limit)).await
    }

    async fn erase_answers(&self, id: EventId, limit: u32) -> Result<u64> {
        answered(erase::answers(&self.pools.work, id, limit)).await
    }

    async fn audit(&self, entry: &AuditEntry) -> Result<()> {
        answered(audit::write(&self.pools.work, entry)).await
    }

    async fn list_audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>> {
        answered(read::list_audit(&self.pools.reads, filter, page)).await
    }

    async fn forget_audit(&self, before: Timestamp, limit: u32) -> Result<u64> {
        answered(audit::forget(&self.pools.work, before, limit)).await
    }

    async fn beat(&self, node: &NodeReport, age: Duration, patience: Duration) -> Result<()> {
        answered(nodes::beat(&self.pools.work, node, age, patience)).await
    }

    async fn registry(&self) -> Result<Registry> {
        answered(nodes::registry(&self.pools.reads)).await
    }

    async fn remove_node(&self, name: &str) -> Result<()> {
        answered(nodes::remove(&self.pools.work, name)).await
    }

    async fn forget_nodes(&self, unseen: Duration, most: u32) -> Result<u64> {
        answered(nodes::forget(&self.pools.work, unseen, most)).await
    }

    async fn storage(&self) -> Result<Storage> {
        answered(storage::storage(&self.pools, &self.settings)).await
    }

    async fn ping(&self) -> Result<()> {
        answered(async { directory::version(&self.pools.work).await.map(drop) }).await
    }

    async fn installation(&self) -> Result<String> {
        answered(directory::installation(&self.pools.work)).await
    }

    async fn close(&self) {
        self.pools.work.close().await;
        self.pools.reads.close().await;
    }
}
