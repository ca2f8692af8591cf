//! Users, the links that can be used once, and sessions.

use sqlx::PgConnection;

use super::turns::{answered, ended, listing, reading, snapshot, writing};
use crate::domain::Timestamp;
use crate::domain::api_key::KeyHash;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::user::{PasswordHash, User};
use crate::store::rows::At;
use crate::store::{
    FirstUser, Link, Moved, Page, PageRequest, Result, SessionChanges, UserChanged, UserCreated,
};

/// The statements about users.
mod users {
    crate::store::account::users::user_statements!(sqlx::PgConnection);
}

/// The statements about links.
mod links {
    crate::store::account::links::link_statements!(sqlx::PgConnection);
}

/// The statements about sessions.
mod sessions {
    crate::store::account::sessions::session_statements!(sqlx::PgConnection);
}

crate::store::account::calls::account_calls!(super::PostgresStore);

/// Rows are locked in one order behind the version, so that nodes do not wait in a circle.
async fn note_uses(
    connection: &mut PgConnection,
    uses: &[(SessionId, Timestamp)],
    version: i64,
) -> Result<u64> {
    let done = sqlx::query(
        "UPDATE sessions SET last_used_at = used.at, version = $3
         FROM unnest($1::uuid[], $2::timestamptz[]) AS used (id, at)
         WHERE sessions.id = used.id AND last_used_at < used.at AND revoked_at IS NULL",
    )
    .bind(uses.iter().map(|(id, _)| id.0).collect::<Vec<_>>())
    .bind(uses.iter().map(|(_, at)| At(*at)).collect::<Vec<_>>())
    .bind(version)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
