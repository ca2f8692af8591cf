//! The catalogue of event types. Every change raises the directory's version in its transaction, so
//! that the fence of acceptance brings the news to whoever has not heard it.

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection};

use super::turns::{answered, ended, listing, reading, writing};
use super::{audit, rows};
use crate::domain::audit::AuditEntry;
use crate::domain::catalogue::EventTypeEntry;
use crate::store::catalogue::{ADD, REPLACE, SINCE, catalogue_calls};
use crate::store::rows::{At, bind_event_type};
use crate::store::{CatalogueChange, CatalogueStore, Result, StoredCatalogue};

catalogue_calls!(super::SqliteStore, SqliteConnection);

async fn raise_version(connection: &mut SqliteConnection) -> Result<i64> {
    let version =
        sqlx::query_scalar("UPDATE directory SET version = version + 1 RETURNING version")
            .fetch_one(&mut *connection)
            .await?;
    sqlx::query("UPDATE catalogue SET version = $1")
        .bind(version)
        .execute(connection)
        .await?;
    Ok(version)
}
