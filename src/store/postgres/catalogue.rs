//! The catalogue of event types. Every change raises the directory's version in its transaction, so
//! that the fence of acceptance brings the news to whoever has not heard it.

use async_trait::async_trait;
use sqlx::{PgConnection, Row};

use super::turns::{answered, ended, listing, reading, writing};
use super::{audit, rows};
use crate::domain::audit::AuditEntry;
use crate::domain::catalogue::EventTypeEntry;
use crate::store::catalogue::{ADD, REPLACE, SINCE, catalogue_calls};
use crate::store::rows::{At, bind_event_type};
use crate::store::{CatalogueChange, CatalogueStore, Result, StoredCatalogue};

catalogue_calls!(super::PostgresStore, PgConnection);

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
