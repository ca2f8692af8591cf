//! The log of who did what.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::connect::Pools;
use crate::domain::Timestamp;
use crate::domain::audit::AuditEntry;
use crate::domain::id::first_id;
use crate::store::Result;
use crate::store::rows::{AUDIT_COLUMNS, At, bind_audit};

/// Writes an entry in a transaction of its own.
pub(super) async fn write(pools: &Pools, entry: &AuditEntry) -> Result<()> {
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
pub(super) async fn forget(pools: &Pools, before: Timestamp, limit: u32) -> Result<u64> {
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
