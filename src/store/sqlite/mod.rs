//! The store of the embedded profile: one SQLite file.
//!
//! There is one writer, and every write is a transaction that begins with the write lock, so
//! what Postgres needs row locks for holds here by itself. Reads are short, from a snapshot,
//! and fetched whole: a long one would keep the log from being moved into the file.

mod accept;
mod accounts;
mod api_keys;
mod audit;
mod bulk;
mod catalogue;
mod checkpoint;
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
#[cfg(test)]
mod plans;
mod read;
mod record;
mod recover;
mod rows;
mod search;
mod secrets;
mod statistics;
mod storage;
mod tenants;
mod writer;

pub use self::line::{AFTER as LINES_AFTER, HEADS as LINE_HEADS};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migrate, Migrator};
use uuid::Uuid;

use self::accounts::Accounts;
use self::connect::Pools;
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

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Events, deliveries and all else in one file.
pub struct SqliteStore {
    pools: Pools,
}

impl SqliteStore {
    /// Opens `posthaste.db` in `settings.data_dir`, making both where they are missing. Holding
    /// the lock on the directory is the caller's part. The tables are made by
    /// [`migrate`](Self::migrate).
    pub async fn open(settings: &StoreSettings) -> Result<Self> {
        Ok(Self {
            pools: connect::open(settings).await?,
        })
    }

    /// Applies the migrations that are missing, all or none, and names them.
    pub async fn migrate(&self) -> Result<Vec<String>> {
        let mut transaction = self.pools.write().await?;
        transaction
            .ensure_migrations_table(&MIGRATIONS.table_name)
            .await?;
        let before = transaction
            .list_applied_migrations(&MIGRATIONS.table_name)
            .await?;
        MIGRATIONS
            .run_direct(None, &mut *transaction, false)
            .await?;
        transaction.commit().await?;
        Ok(super::migrated_since(&MIGRATIONS, &before))
    }

    /// Seals every secret that is not sealed with the first master key.
    pub async fn reseal_secrets(&self) -> Result<Resealed> {
        secrets::reseal(&self.pools).await
    }
}

/// A list of ids as one parameter: SQLite has no arrays, and JSON no bytes.
fn id_list(ids: impl Iterator<Item = Uuid>) -> String {
    let mut list = String::from("[");
    for id in ids {
        if list.len() > 1 {
            list.push(',');
        }
        list.push('"');
        list.push_str(id.simple().encode_lower(&mut Uuid::encode_buffer()));
        list.push('"');
    }
    list.push(']');
    list
}

#[async_trait]
impl Store for SqliteStore {
    async fn known_keys(
        &self,
        names: &[KeyName],
        expired_before: Timestamp,
    ) -> Result<Vec<KnownKey>> {
        accept::known_keys(&self.pools, names, expired_before).await
    }

    async fn accept(&self, group: &AcceptGroup) -> Result<Accepted> {
        accept::accept(&self.pools, group).await
    }

    async fn directory_since(&self, version: i64) -> Result<DirectoryChanges> {
        directory::since(&self.pools, version).await
    }

    async fn directory_version(&self) -> Result<i64> {
        directory::version(&self.pools).await
    }

    async fn create_subscription(&self, subscription: &Subscription) -> Result<i64> {
        directory::create(&self.pools, subscription).await
    }

    async fn create_subscription_within(
        &self,
        subscription: &Subscription,
        most: u32,
    ) -> Result<Option<i64>> {
        directory::create_within(&self.pools, subscription, most).await
    }

    async fn create_tenant(&self, tenant: &Tenant) -> Result<Option<i64>> {
        tenants::create(&self.pools, tenant).await
    }

    async fn update_tenant(&self, tenant: &Tenant) -> Result<Changed> {
        tenants::update(&self.pools, tenant).await
    }

    async fn delete_tenant(&self, id: &str, version: i64, now: Timestamp) -> Result<TenantDeleted> {
        tenants::delete(&self.pools, id, version, now).await
    }

    async fn tenant(&self, id: &str) -> Result<Option<Tenant>> {
        tenants::one(&self.pools, id).await
    }

    async fn list_tenants(&self, page: &PageRequest) -> Result<Page<Tenant>> {
        tenants::list(&self.pools, page).await
    }

    async fn update_subscription(
        &self,
        subscription: &Subscription,
        raises: Option<&OperationalEvent>,
    ) -> Result<Changed> {
        directory::update(&self.pools, subscription, raises).await
    }

    async fn hand_subscription_over(
        &self,
        subscription: &Subscription,
        raises: Option<&OperationalEvent>,
    ) -> Result<Option<Changed>> {
        directory::hand_over(&self.pools, subscription, raises).await
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>> {
        directory::one(&self.pools, id).await
    }

    async fn tenant_secrets(&self, tenant: &str) -> Result<Option<TenantSecrets>> {
        secrets::of(&self.pools, tenant).await
    }

    async fn keep_tenant_secrets(
        &self,
        tenant: &str,
        kept: &SigningSecrets,
        replaced: i64,
        now: Timestamp,
    ) -> Result<Kept> {
        secrets::keep(&self.pools, tenant, kept, replaced, now).await
    }

    async fn cancel_pending(
        &self,
        id: SubscriptionId,
        spared: &[DeliveryId],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        recover::cancel_pending(&self.pools, id, spared, now, limit).await
    }

    async fn deleted_with_pending(&self, limit: u32) -> Result<Vec<SubscriptionId>> {
        directory::deleted_with_pending(&self.pools, limit).await
    }

    async fn catalogue_since(&self, version: i64) -> Result<StoredCatalogue> {
        catalogue::since(&self.pools, version).await
    }

    async fn event_type(&self, name: &str) -> Result<Option<EventTypeEntry>> {
        catalogue::one(&self.pools, name).await
    }

    async fn list_event_types(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<EventTypeEntry>> {
        catalogue::list(&self.pools, after, limit).await
    }

    async fn keep_event_type(
        &self,
        entry: &EventTypeEntry,
        most: u32,
        audit: &AuditEntry,
    ) -> Result<CatalogueChange> {
        catalogue::keep(&self.pools, entry, most, audit).await
    }

    async fn remove_event_type(
        &self,
        name: &str,
        version: i64,
        audit: &AuditEntry,
    ) -> Result<CatalogueChange> {
        catalogue::remove(&self.pools, name, version, audit).await
    }

    async fn due_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage> {
        deliver::due_page(&self.pools, id, now, limit).await
    }

    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>> {
        deliver::events(&self.pools, ids).await
    }

    async fn oldest_pending(&self, id: SubscriptionId, limit: usize) -> Result<Vec<DueRow>> {
        deliver::oldest_pending(&self.pools, id, limit).await
    }

    async fn line_heads(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: usize,
    ) -> Result<Vec<HeadRow>> {
        line::heads(&self.pools, id, rule, after, limit).await
    }

    async fn lines_after(
        &self,
        id: SubscriptionId,
        heads: &[(Line, i64)],
        limit: usize,
    ) -> Result<Vec<(Line, DueRow)>> {
        line::after(&self.pools, id, heads, limit).await
    }

    async fn free_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage> {
        line::free_page(&self.pools, id, now, limit).await
    }

    async fn line_up(
        &self,
        id: SubscriptionId,
        ordering: Ordering,
        after: i64,
        limit: u32,
    ) -> Result<Option<i64>> {
        line::line_up(&self.pools, id, ordering, after, limit).await
    }

    async fn note_lined_up(&self, id: SubscriptionId, rule: Timestamp) -> Result<()> {
        line::note_lined_up(&self.pools, id, rule).await
    }

    async fn release_line(
        &self,
        id: DeliveryId,
        version: i64,
        to: DeliveryState,
        now: Timestamp,
    ) -> Result<Moved> {
        line::release(&self.pools, id, version, to, now).await
    }

    async fn blocking(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: u32,
    ) -> Result<Vec<BlockingRow>> {
        line::blocking(&self.pools, id, rule, after, limit).await
    }

    async fn runtime(&self, id: SubscriptionId) -> Result<Runtime> {
        deliver::runtime(&self.pools, id).await
    }

    async fn count_pending(&self, most: u32) -> Result<u64> {
        deliver::count_pending(&self.pools, most).await
    }

    async fn standing(&self, id: SubscriptionId, most: u32) -> Result<Standing> {
        deliver::standing(&self.pools, id, most).await
    }

    async fn record(&self, group: &RecordGroup) -> Result<Vec<Recorded>> {
        record::record(&self.pools, group).await
    }

    async fn keep_breaker(
        &self,
        epoch: i64,
        id: SubscriptionId,
        breaker: &StoredBreaker,
        raises: &[Arc<OperationalEvent>],
    ) -> Result<()> {
        record::keep_breaker(&self.pools, epoch, id, breaker, raises).await
    }

    async fn waiting_events(&self, after: i64, limit: u32) -> Result<Vec<WaitingEvent>> {
        operational::waiting(&self.pools, after, limit).await
    }

    async fn pending_subscriptions(
        &self,
        after: Option<SubscriptionId>,
        limit: u32,
    ) -> Result<Vec<(SubscriptionId, Timestamp)>> {
        recover::pending_subscriptions(&self.pools, after, limit).await
    }

    async fn trials(
        &self,
        candidates: &[(SubscriptionId, Timestamp)],
        now: Timestamp,
    ) -> Result<Vec<SubscriptionId>> {
        hold::trials(&self.pools, candidates, now).await
    }

    async fn backlog(&self, id: SubscriptionId, most: u64) -> Result<u64> {
        hold::backlog(&self.pools, id, most).await
    }

    async fn newest_pending(&self, id: SubscriptionId) -> Result<Option<i64>> {
        hold::newest_pending(&self.pools, id).await
    }

    async fn end_held(
        &self,
        id: SubscriptionId,
        ending: Ending,
        spared: &[DeliveryId],
        now: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        hold::end_held(&self.pools, id, ending, spared, now, limit).await
    }

    async fn forget_keys(&self, before: Timestamp, limit: u32) -> Result<u64> {
        recover::forget_keys(&self.pools, before, limit).await
    }

    /// One file holds everything, whenever it came.
    async fn make_room(&self, _now: Timestamp, _span: Duration) -> Result<u32> {
        Ok(0)
    }

    async fn forget_events(
        &self,
        before: Timestamp,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Forgotten> {
        forget::events(&self.pools, before, after, limit).await
    }

    async fn forget_answers(
        &self,
        before: Timestamp,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<ForgottenAnswers> {
        forget::answers(&self.pools, before, after, limit).await
    }

    async fn lease(&self, holder: &str, ttl: Duration) -> Result<LeaseState> {
        recover::lease(&self.pools, holder, ttl).await
    }

    async fn release_lease(&self, holder: &str) -> Result<()> {
        let _ = holder;
        Ok(())
    }

    async fn retry_delivery(&self, id: DeliveryId, version: i64, now: Timestamp) -> Result<Moved> {
        recover::retry_delivery(&self.pools, id, version, now).await
    }

    async fn hasten_delivery(
        &self,
        id: DeliveryId,
        progress: &Progress,
        now: Timestamp,
    ) -> Result<Moved> {
        recover::hasten_delivery(&self.pools, id, progress, now).await
    }

    async fn cancel_delivery(&self, id: DeliveryId, version: i64, now: Timestamp) -> Result<Moved> {
        recover::cancel_delivery(&self.pools, id, version, now).await
    }

    async fn create_job(&self, job: &Job, most: u32) -> Result<JobCreated> {
        jobs::create(&self.pools, job, most).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        jobs::one(&self.pools, id).await
    }

    async fn open_jobs(&self, limit: u32) -> Result<Vec<Job>> {
        jobs::open(&self.pools, limit).await
    }

    async fn list_jobs(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
        read::list_jobs(&self.pools, filter, page).await
    }

    async fn move_job(&self, batch: &JobBatch) -> Result<JobMoved> {
        jobs::move_batch(&self.pools, batch).await
    }

    async fn end_job(
        &self,
        id: JobId,
        state: JobState,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<Moved> {
        jobs::end(&self.pools, id, state, error, now).await
    }

    async fn forget_jobs(&self, before: Timestamp, limit: u32) -> Result<u64> {
        jobs::forget(&self.pools, before, limit).await
    }

    async fn walk_unarrived(&self, walk: &UnarrivedWalk) -> Result<Vec<FinalDelivery>> {
        jobs::walk_unarrived(&self.pools, walk).await
    }

    async fn walk_events(&self, walk: &EventWalk) -> Result<Vec<EventHead>> {
        jobs::walk_events(&self.pools, walk).await
    }

    async fn event_heads(&self, ids: &[EventId]) -> Result<Vec<EventHead>> {
        jobs::event_heads(&self.pools, ids).await
    }

    async fn list_subscriptions(
        &self,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Subscription>> {
        read::list_subscriptions(&self.pools, tenant, page).await
    }

    async fn history(&self, id: SubscriptionId, page: &PageRequest) -> Result<Page<HistoryEntry>> {
        hold::history(&self.pools, id, page).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRow>> {
        read::event(&self.pools, id).await
    }

    async fn list_events(
        &self,
        filter: &EventFilter,
        page: &PageRequest,
    ) -> Result<Page<EventRow>> {
        read::list_events(&self.pools, filter, page).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        read::delivery(&self.pools, id).await
    }

    async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<DeliveryRow>> {
        read::list_deliveries(&self.pools, filter, page).await
    }

    async fn attempts(&self, id: DeliveryId, limit: u32) -> Result<Vec<AttemptRow>> {
        read::attempts(&self.pools, id, limit).await
    }

    async fn create_api_key(&self, key: &ApiKey, most: u32) -> Result<ApiKeyCreated> {
        api_keys::create(&self.pools, key, most).await
    }

    async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>> {
        api_keys::one(&self.pools, id).await
    }

    async fn list_api_keys(
        &self,
        filter: &ApiKeyFilter,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>> {
        read::list_api_keys(&self.pools, filter, page).await
    }

    async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<Moved> {
        api_keys::revoke(&self.pools, id, now).await
    }

    async fn keyring_since(&self, version: i64) -> Result<KeyringChanges> {
        api_keys::since(&self.pools, version).await
    }

    async fn keyring_version(&self) -> Result<i64> {
        api_keys::version(&self.pools).await
    }

    async fn note_key_uses(&self, uses: &[(ApiKeyId, Timestamp)]) -> Result<()> {
        api_keys::note_uses(&self.pools, uses).await
    }

    async fn forget_api_keys(&self, before: Timestamp, limit: u32) -> Result<u64> {
        api_keys::forget(&self.pools, before, limit).await
    }

    async fn any_user(&self) -> Result<bool> {
        Accounts(&self.pools).any_user().await
    }

    async fn keep_setup_link(&self, link: &Link, most: u32) -> Result<bool> {
        Accounts(&self.pools).keep_setup_link(link, most).await
    }

    async fn setup_link(&self, link: &KeyHash, now: Timestamp) -> Result<bool> {
        Accounts(&self.pools).setup_link(link, now).await
    }

    async fn create_first_user(&self, user: &User, link: &KeyHash) -> Result<FirstUser> {
        Accounts(&self.pools).create_first_user(user, link).await
    }

    async fn create_user(
        &self,
        user: &User,
        invitation: Option<&Link>,
        most: u32,
    ) -> Result<UserCreated> {
        Accounts(&self.pools)
            .create_user(user, invitation, most)
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        Accounts(&self.pools).user(id).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        Accounts(&self.pools).user_by_email(email).await
    }

    async fn list_users(&self, page: &PageRequest) -> Result<Page<User>> {
        Accounts(&self.pools).list_users(page).await
    }

    async fn update_user(&self, user: &User) -> Result<UserChanged> {
        Accounts(&self.pools).update_user(user).await
    }

    async fn delete_user(&self, id: UserId, now: Timestamp) -> Result<UserChanged> {
        Accounts(&self.pools).delete_user(id, now).await
    }

    async fn set_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        spared: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Moved> {
        Accounts(&self.pools)
            .set_password(id, password, spared, now)
            .await
    }

    async fn invite(&self, id: UserId, link: &Link) -> Result<Moved> {
        Accounts(&self.pools).invite(id, link).await
    }

    async fn invited(&self, link: &KeyHash, now: Timestamp) -> Result<Option<User>> {
        Accounts(&self.pools).invited(link, now).await
    }

    async fn take_invitation(
        &self,
        link: &KeyHash,
        name: Option<&str>,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<User>> {
        Accounts(&self.pools)
            .take_invitation(link, name, password, now)
            .await
    }

    async fn note_sign_in(&self, user: &User) -> Result<()> {
        Accounts(&self.pools).note_sign_in(user).await
    }

    async fn create_session(
        &self,
        session: &Session,
        password: Option<&PasswordHash>,
        most: u32,
    ) -> Result<Option<i64>> {
        Accounts(&self.pools)
            .create_session(session, password, most)
            .await
    }

    async fn end_session(&self, id: SessionId, now: Timestamp) -> Result<Moved> {
        Accounts(&self.pools).end_session(id, now).await
    }

    async fn sessions_since(&self, version: i64) -> Result<SessionChanges> {
        Accounts(&self.pools).sessions_since(version).await
    }

    async fn sessions_version(&self) -> Result<i64> {
        Accounts(&self.pools).sessions_version().await
    }

    async fn note_session_uses(&self, uses: &[(SessionId, Timestamp)]) -> Result<()> {
        Accounts(&self.pools).note_session_uses(uses).await
    }

    async fn forget_sessions(
        &self,
        ended_before: Timestamp,
        unused_since: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        Accounts(&self.pools)
            .forget_sessions(ended_before, unused_since, limit)
            .await
    }

    async fn fold_statistics(&self, limit: u32) -> Result<Folded> {
        statistics::fold(&self.pools, limit).await
    }

    async fn statistics(&self, query: &StatisticsQuery) -> Result<Statistics> {
        statistics::read(&self.pools, query).await
    }

    async fn forget_statistics(&self, width: Width, before: Timestamp, limit: u32) -> Result<u64> {
        statistics::forget(&self.pools, width, before, limit).await
    }

    async fn oldest_pending_since(
        &self,
        of: Option<&[SubscriptionId]>,
    ) -> Result<Option<Timestamp>> {
        statistics::oldest(&self.pools, of).await
    }

    async fn cut_breakers(&self, limit: u32) -> Result<Vec<CutBreaker>> {
        statistics::cut(&self.pools, limit).await
    }

    async fn walk_events_back(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        rows: u32,
    ) -> Result<Stretch<EventCandidate>> {
        search::events(&self.pools, filter, after, rows).await
    }

    async fn walk_deliveries_back(
        &self,
        filter: &DeliveryFilter,
        after: Option<Position>,
        rows: u32,
    ) -> Result<Stretch<DeliveryCandidate>> {
        search::deliveries(&self.pools, filter, after, rows).await
    }

    async fn event_rows(&self, ids: &[EventId]) -> Result<Vec<EventRow>> {
        read::event_rows(&self.pools, ids).await
    }

    async fn delivery_rows(&self, ids: &[DeliveryId]) -> Result<Vec<DeliveryRow>> {
        read::delivery_rows(&self.pools, ids).await
    }

    async fn erase_payload(
        &self,
        id: EventId,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<Erased> {
        erase::payload(&self.pools, id, now, audit).await
    }

    async fn erased_since(&self, since: Timestamp, limit: u32) -> Result<Vec<EventId>> {
        erase::since(&self.pools, since, limit).await
    }

    async fn erase_answers(&self, id: EventId, limit: u32) -> Result<u64> {
        erase::answers(&self.pools, id, limit).await
    }

    async fn audit(&self, entry: &AuditEntry) -> Result<()> {
        audit::write(&self.pools, entry).await
    }

    async fn list_audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>> {
        read::list_audit(&self.pools, filter, page).await
    }

    async fn forget_audit(&self, before: Timestamp, limit: u32) -> Result<u64> {
        audit::forget(&self.pools, before, limit).await
    }

    async fn beat(&self, node: &NodeReport, age: Duration, patience: Duration) -> Result<()> {
        nodes::beat(&self.pools, node, age, patience).await
    }

    async fn registry(&self) -> Result<Registry> {
        nodes::registry(&self.pools).await
    }

    async fn remove_node(&self, name: &str) -> Result<()> {
        nodes::remove(&self.pools, name).await
    }

    async fn forget_nodes(&self, unseen: Duration, most: u32) -> Result<u64> {
        nodes::forget(&self.pools, unseen, most).await
    }

    async fn storage(&self) -> Result<Storage> {
        storage::storage(&self.pools).await
    }

    async fn ping(&self) -> Result<()> {
        // Through the writer: a file that another program locks can be read, but not written.
        Ok(self.pools.write().await?.rollback().await?)
    }

    async fn installation(&self) -> Result<String> {
        directory::installation(&self.pools).await
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}
