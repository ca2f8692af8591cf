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
mod turns;
mod writer;

pub use self::line::{AFTER as LINES_AFTER, HEADS as LINE_HEADS};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migrate, Migrator};
use uuid::Uuid;

use self::connect::Pools;
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

    async fn due_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage> {
        deliver::due_page(&self.pools, id, now, limit).await
    }

    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>> {
        deliver::events(&self.pools, ids).await
    }

    async fn oldest_pending(&self, id: SubscriptionId, limit: usize) -> Result<Vec<DueRow>> {
        deliver::oldest_pending(&self.pools, id, limit).await
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
