//! The catalogue of event types. Every change raises the directory's version in its transaction, so
//! that the fence of acceptance brings the news to whoever has not heard it.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgPool};

use super::connect::answered;
use super::{audit, rows};
use crate::domain::audit::AuditEntry;
use crate::domain::catalogue::EventTypeEntry;
use crate::store::rows::{At, bind_event_type};
use crate::store::{CatalogueChange, CatalogueStore, Result, StoredCatalogue};

/// The catalogue's version, with its types where that is newer than the one known: one statement,
/// so that the two belong together.
const SINCE: &str = "
SELECT catalogue.version AS catalogue_version, t.*
FROM catalogue LEFT JOIN event_types t ON catalogue.version > $1
ORDER BY t.name";

const ADD: &str = "
INSERT INTO event_types (name, description, example, schema, archived, created_at, updated_at,
    version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING";

const REPLACE: &str = "
UPDATE event_types
SET description = $2, example = $3, schema = $4, archived = $5, created_at = $6, updated_at = $7,
    version = $8
WHERE name = $1 AND version = $9";

#[async_trait]
impl CatalogueStore for super::PostgresStore {
    async fn catalogue_since(&self, version: i64) -> Result<StoredCatalogue> {
        answered(since(&self.pools.work, version)).await
    }

    async fn event_type(&self, name: &str) -> Result<Option<EventTypeEntry>> {
        answered(one(&self.pools.work, name)).await
    }

    async fn list_event_types(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<EventTypeEntry>> {
        answered(list(&self.pools.reads, after, limit)).await
    }

    async fn keep_event_type(
        &self,
        entry: &EventTypeEntry,
        most: u32,
        audit: &AuditEntry,
    ) -> Result<CatalogueChange> {
        answered(keep(&self.pools.work, entry, most, audit)).await
    }

    async fn remove_event_type(
        &self,
        name: &str,
        version: i64,
        audit: &AuditEntry,
    ) -> Result<CatalogueChange> {
        answered(remove(&self.pools.work, name, version, audit)).await
    }
}

/// The gate lets a change queue fairly behind groups being accepted (see `accept.rs`). Whoever
/// changes the catalogue takes turns from here on.
async fn raise_version(connection: &mut PgConnection) -> Result<i64> {
    let version = sqlx::query_scalar(
        "WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock(1886352244, 1))
         UPDATE directory SET version = directory.version + 1 FROM gate WHERE one
         RETURNING directory.version",
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query("UPDATE catalogue SET version = $1 WHERE one")
        .bind(version)
        .execute(connection)
        .await?;
    Ok(version)
}

/// The version, and the types where it is newer than `version`.
async fn since(pool: &PgPool, version: i64) -> Result<StoredCatalogue> {
    let found = sqlx::query(SINCE).bind(version).fetch_all(pool).await?;
    let mut stored = StoredCatalogue::default();
    let mut types = Vec::new();
    for row in &found {
        stored.version = row.try_get("catalogue_version")?;
        if row.try_get::<Option<String>, _>("name")?.is_some() {
            types.push(rows::event_type(row)?);
        }
    }
    stored.types = (stored.version > version).then_some(types);
    Ok(stored)
}

/// One type.
async fn one(pool: &PgPool, name: &str) -> Result<Option<EventTypeEntry>> {
    let row = sqlx::query("SELECT * FROM event_types WHERE name = $1")
        .bind(name)
        .fetch_optional(pool)
        .await?;
    row.as_ref().map(rows::event_type).transpose()
}

/// A page of types.
async fn list(pool: &PgPool, after: Option<&str>, limit: u32) -> Result<Vec<EventTypeEntry>> {
    let found = sqlx::query("SELECT * FROM event_types WHERE name > $1 ORDER BY name LIMIT $2")
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    found.iter().map(rows::event_type).collect()
}

/// Adds or replaces a type.
async fn keep(
    pool: &PgPool,
    entry: &EventTypeEntry,
    most: u32,
    audit: &AuditEntry,
) -> Result<CatalogueChange> {
    let mut transaction = pool.begin().await?;
    let version = raise_version(&mut transaction).await?;
    let done = if entry.version == 0 {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM event_types")
            .fetch_one(&mut *transaction)
            .await?;
        if count >= i64::from(most) {
            transaction.rollback().await?;
            return Ok(CatalogueChange::Full);
        }
        bind_event_type!(sqlx::query(ADD), entry)
            .bind(version)
            .execute(&mut *transaction)
            .await?
    } else {
        bind_event_type!(sqlx::query(REPLACE), entry)
            .bind(version)
            .bind(entry.version)
            .execute(&mut *transaction)
            .await?
    };
    if done.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(CatalogueChange::Overtaken);
    }
    audit::note(&mut transaction, audit).await?;
    transaction.commit().await?;
    Ok(CatalogueChange::At(version))
}

/// Removes a type.
async fn remove(
    pool: &PgPool,
    name: &str,
    version: i64,
    audit: &AuditEntry,
) -> Result<CatalogueChange> {
    let mut transaction = pool.begin().await?;
    let raised = raise_version(&mut transaction).await?;
    let done = sqlx::query("DELETE FROM event_types WHERE name = $1 AND version = $2")
        .bind(name)
        .bind(version)
        .execute(&mut *transaction)
        .await?;
    if done.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(CatalogueChange::Overtaken);
    }
    audit::note(&mut transaction, audit).await?;
    transaction.commit().await?;
    Ok(CatalogueChange::At(raised))
}
