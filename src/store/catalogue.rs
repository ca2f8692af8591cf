//! The catalogue of event types, as the stores keep it.

use async_trait::async_trait;

use crate::domain::audit::AuditEntry;
use crate::domain::catalogue::EventTypeEntry;
use crate::store::{CatalogueChange, Result, StoredCatalogue};

/// The part of the store that knows event types.
#[async_trait]
pub trait CatalogueStore: Send + Sync {
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
}

/// The catalogue's version, with its types where that is newer than the one known: one statement,
/// so that the two belong together.
pub(super) const SINCE: &str = "
SELECT catalogue.version AS catalogue_version, t.*
FROM catalogue LEFT JOIN event_types t ON catalogue.version > $1
ORDER BY t.name";

pub(super) const ADD: &str = "
INSERT INTO event_types (name, description, example, schema, archived, created_at, updated_at,
    version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING";

pub(super) const REPLACE: &str = "
UPDATE event_types
SET description = $2, example = $3, schema = $4, archived = $5, created_at = $6, updated_at = $7,
    version = $8
WHERE name = $1 AND version = $9";

/// Implements [`CatalogueStore`] for a store over one driver's connection. Its module says how the version
/// is raised (`raise_version`); how it comes by connections stands in the store's `turns.rs`.
macro_rules! catalogue_calls {
    ($store:ty, $connection:ty) => {
        #[async_trait]
        impl CatalogueStore for $store {
            async fn catalogue_since(&self, version: i64) -> Result<StoredCatalogue> {
                answered(async {
                    let mut connection = reading(self).await?;
                    since(&mut connection, version).await
                })
                .await
            }

            async fn event_type(&self, name: &str) -> Result<Option<EventTypeEntry>> {
                answered(async {
                    let mut connection = reading(self).await?;
                    one(&mut connection, name).await
                })
                .await
            }

            async fn list_event_types(
                &self,
                after: Option<&str>,
                limit: u32,
            ) -> Result<Vec<EventTypeEntry>> {
                answered(async {
                    let mut connection = listing(self).await?;
                    list(&mut connection, after, limit).await
                })
                .await
            }

            async fn keep_event_type(
                &self,
                entry: &EventTypeEntry,
                most: u32,
                audit: &AuditEntry,
            ) -> Result<CatalogueChange> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done = keep(&mut transaction, entry, most, audit).await?;
                    ended(transaction, matches!(done, CatalogueChange::At(_))).await?;
                    Ok(done)
                })
                .await
            }

            async fn remove_event_type(
                &self,
                name: &str,
                version: i64,
                audit: &AuditEntry,
            ) -> Result<CatalogueChange> {
                answered(async {
                    let mut transaction = writing(self).await?;
                    let done = remove(&mut transaction, name, version, audit).await?;
                    ended(transaction, matches!(done, CatalogueChange::At(_))).await?;
                    Ok(done)
                })
                .await
            }
        }

        /// The version, and the types where it is newer than `version`.
        async fn since(connection: &mut $connection, version: i64) -> Result<StoredCatalogue> {
            let found = sqlx::query(SINCE)
                .bind(version)
                .fetch_all(connection)
                .await?;
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
        async fn one(connection: &mut $connection, name: &str) -> Result<Option<EventTypeEntry>> {
            let row = sqlx::query("SELECT * FROM event_types WHERE name = $1")
                .bind(name)
                .fetch_optional(connection)
                .await?;
            row.as_ref().map(rows::event_type).transpose()
        }

        /// A page of types.
        async fn list(
            connection: &mut $connection,
            after: Option<&str>,
            limit: u32,
        ) -> Result<Vec<EventTypeEntry>> {
            let found =
                sqlx::query("SELECT * FROM event_types WHERE name > $1 ORDER BY name LIMIT $2")
                    .bind(after.unwrap_or_default())
                    .bind(i64::from(limit))
                    .fetch_all(connection)
                    .await?;
            found.iter().map(rows::event_type).collect()
        }

        /// Adds or replaces a type.
        async fn keep(
            connection: &mut $connection,
            entry: &EventTypeEntry,
            most: u32,
            audit: &AuditEntry,
        ) -> Result<CatalogueChange> {
            let version = raise_version(connection).await?;
            let done = if entry.version == 0 {
                let count: i64 = sqlx::query_scalar("SELECT count(*) FROM event_types")
                    .fetch_one(&mut *connection)
                    .await?;
                if count >= i64::from(most) {
                    return Ok(CatalogueChange::Full);
                }
                bind_event_type!(sqlx::query(ADD), entry)
                    .bind(version)
                    .execute(&mut *connection)
                    .await?
            } else {
                bind_event_type!(sqlx::query(REPLACE), entry)
                    .bind(version)
                    .bind(entry.version)
                    .execute(&mut *connection)
                    .await?
            };
            if done.rows_affected() == 0 {
                return Ok(CatalogueChange::Overtaken);
            }
            audit::note(connection, audit).await?;
            Ok(CatalogueChange::At(version))
        }

        /// Removes a type.
        async fn remove(
            connection: &mut $connection,
            name: &str,
            version: i64,
            audit: &AuditEntry,
        ) -> Result<CatalogueChange> {
            let raised = raise_version(connection).await?;
            let done = sqlx::query("DELETE FROM event_types WHERE name = $1 AND version = $2")
                .bind(name)
                .bind(version)
                .execute(&mut *connection)
                .await?;
            if done.rows_affected() == 0 {
                return Ok(CatalogueChange::Overtaken);
            }
            audit::note(connection, audit).await?;
            Ok(CatalogueChange::At(raised))
        }
    };
}

pub(super) use catalogue_calls;
