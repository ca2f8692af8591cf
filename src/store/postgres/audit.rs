//! The log of who did what.

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgPool};

use super::connect::answered;
use super::read::{SNAPSHOT, page_of_ids};
use super::rows;
use crate::domain::Timestamp;
use crate::domain::audit::AuditEntry;
use crate::domain::id::{EventId, first_id};
use crate::store::paging::Listing;
use crate::store::rows::{AUDIT_COLUMNS, At, bind_audit};
use crate::store::{AuditFilter, AuditStore, Erased, Page, PageRequest, Result};

#[async_trait]
impl AuditStore for super::PostgresStore {
    async fn erase_payload(
        &self,
        id: EventId,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<Erased> {
        answered(super::erase::payload(&self.pools.work, id, now, audit)).await
    }

    async fn erased_since(&self, since: Timestamp, limit: u32) -> Result<Vec<EventId>> {
        answered(super::erase::since(&self.pools.work, since, limit)).await
    }

    async fn erase_answers(&self, id: EventId, limit: u32) -> Result<u64> {
        answered(super::erase::answers(&self.pools.work, id, limit)).await
    }

    async fn audit(&self, entry: &AuditEntry) -> Result<()> {
        answered(write(&self.pools.work, entry)).await
    }

    async fn list_audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>> {
        answered(list(&self.pools.reads, filter, page)).await
    }

    async fn forget_audit(&self, before: Timestamp, limit: u32) -> Result<u64> {
        answered(forget(&self.pools.work, before, limit)).await
    }
}

/// The audit log, newest first.
async fn list(pool: &PgPool, filter: &AuditFilter, page: &PageRequest) -> Result<Page<AuditEntry>> {
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    let page = page_of_ids(&mut snapshot, &Listing::audit(filter, page)).await?;
    let sql = format!("SELECT {AUDIT_COLUMNS} FROM audit_log WHERE id = ANY($1) ORDER BY id DESC");
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(&page.ids)
        .fetch_all(&mut *snapshot)
        .await?;
    let rows = found.iter().map(rows::audit_entry).collect::<Result<_>>()?;
    Ok(page.with(rows))
}

/// Writes an entry by itself.
async fn write(pool: &PgPool, entry: &AuditEntry) -> Result<()> {
    let mut connection = pool.acquire().await?;
    note(&mut connection, entry).await
}

/// Writes an entry with the change that it tells of.
pub(super) async fn note(connection: &mut PgConnection, entry: &AuditEntry) -> Result<()> {
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
async fn forget(pool: &PgPool, before: Timestamp, limit: u32) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM audit_log WHERE id = ANY(ARRAY(
             SELECT id FROM audit_log WHERE id < $1 ORDER BY id LIMIT $2
         ))",
    )
    .bind(first_id(before))
    .bind(i64::from(limit))
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
