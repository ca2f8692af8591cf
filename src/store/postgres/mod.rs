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
mod turns;

pub use self::line::HEADS as LINE_HEADS;
pub use self::statistics::PLANS as STATISTIC_PLANS;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migrate, Migrator};
use sqlx::{Connection, Executor};

use self::connect::{Pools, answered};
use super::{
    AcceptGroup, Accepted, Changed, DirectoryChanges, DuePage, DueRow, Ending, Forgotten,
    ForgottenAnswers, LeaseState, Moved, RecordGroup, Recorded, Resealed, Result, Runtime,
    Standing, Store, WaitingEvent,
};
use crate::domain::Timestamp;
use crate::domain::breaker::StoredBreaker;
use crate::domain::delivery::Progress;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, EventId, SubscriptionId};
use crate::domain::idempotency::{KeyName, KnownKey};
use crate::domain::operational::OperationalEvent;
use crate::domain::subscription::Subscription;
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

    async fn due_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage> {
        answered(deliver::due_page(&self.pools.work, id, now, limit)).await
    }

    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>> {
        answered(deliver::events(&self.pools.work, ids)).await
    }

    async fn oldest_pending(&self, id: SubscriptionId, limit: usize) -> Result<Vec<DueRow>> {
        answered(deliver::oldest_pending(&self.pools.work, id, limit)).await
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
