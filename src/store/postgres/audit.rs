//! The log of who did what.

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgPool};

use crate::domain::Timestamp;
use crate::domain::audit::AuditEntry;
use crate::domain::id::first_id;
use crate::store::Result;
use crate::store::rows::{AUDIT_COLUMNS, At, bind_audit};

/// Writes an entry by itself.
pub(super) async fn write(pool: &PgPool, entry: &AuditEntry) -> Result<()> {
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
pub(super) async fn forget(pool: &PgPool, before: Timestamp, limit: u32) -> Result<u64> {
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
