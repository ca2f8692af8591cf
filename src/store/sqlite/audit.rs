//! The log of who did what.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::connect::Pools;
use super::read::page_of_ids;
use super::{id_list, rows};
use crate::domain::Timestamp;
use crate::domain::audit::AuditEntry;
use crate::domain::id::{EventId, first_id};
use crate::store::paging::Listing;
use crate::store::rows::{AUDIT_COLUMNS, At, bind_audit};
use crate::store::{AuditFilter, AuditStore, Erased, Page, PageRequest, Result};

#[async_trait]
impl AuditStore for super::SqliteStore {
    async fn erase_payload(
        &self,
        id: EventId,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<Erased> {
        super::erase::payload(&self.pools, id, now, audit).await
    }

    async fn erased_since(&self, since: Timestamp, limit: u32) -> Result<Vec<EventId>> {
        super::erase::since(&self.pools, since, limit).await
    }

    async fn erase_answers(&self, id: EventId, limit: u32) -> Result<u64> {
        super::erase::answers(&self.pools, id, limit).await
    }

    async fn audit(&self, entry: &AuditEntry) -> Result<()> {
        write(&self.pools, entry).await
    }

    async fn list_audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>> {
        list(&self.pools, filter, page).await
    }

    async fn forget_audit(&self, before: Timestamp, limit: u32) -> Result<u64> {
        forget(&self.pools, before, limit).await
    }
}

/// The audit log, newest first.
async fn list(pools: &Pools, filter: &AuditFilter, page: &PageRequest) -> Result<Page<AuditEntry>> {
    let mut snapshot = pools.read().await?;
    let page = page_of_ids(&mut snapshot, &Listing::audit(filter, page)).await?;
    let sql = format!(
        "SELECT {AUDIT_COLUMNS} FROM audit_log WHERE id IN (SELECT unhex(value) FROM json_each($1)) ORDER BY id DESC"
    );
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(id_list(page.ids.iter().copied()))
        .fetch_all(&mut *snapshot)
        .await?;
    let rows = found.iter().map(rows::audit_entry).collect::<Result<_>>()?;
    Ok(page.with(rows))
}

/// Writes an entry in a transaction of its own.
async fn write(pools: &Pools, entry: &AuditEntry) -> Result<()> {
    let mut transaction = pools.write().await?;
    note(&mut transaction, entry).await?;
    transaction.commit().await
}

/// Writes an entry with the change that it tells of.
pub(super) async fn note(connection: &mut SqliteConnection, entry: &AuditEntry) -> Result<()> {
    let sql = format!(
        "INSERT INTO audit_log ({AUDIT_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT DO NOTHING"
    );
    bind_audit!(sqlx::query(AssertSqlSafe(sql)), entry)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets a batch of old entries.
async fn forget(pools: &Pools, before: Timestamp, limit: u32) -> Result<u64> {
    let mut transaction = pools.write().await?;
    let done = sqlx::query(
        "DELETE FROM audit_log WHERE id IN (
             SELECT id FROM audit_log WHERE id < $1 ORDER BY id LIMIT $2
         )",
    )
    .bind(first_id(before))
    .bind(i64::from(limit))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(done.rows_affected())
}
