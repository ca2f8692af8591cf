//! Users, the links that can be used once, and sessions.

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::turns::{answered, ended, listing, reading, snapshot, writing};
use crate::domain::Timestamp;
use crate::domain::api_key::KeyHash;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::user::{PasswordHash, User};
use crate::store::{
    FirstUser, Link, Moved, Page, PageRequest, Result, SessionChanges, UserChanged, UserCreated,
};

/// The statements about users.
mod users {
    crate::store::account::users::user_statements!(sqlx::SqliteConnection);
}

/// The statements about links.
mod links {
    crate::store::account::links::link_statements!(sqlx::SqliteConnection);
}

/// The statements about sessions.
mod sessions {
    crate::store::account::sessions::session_statements!(sqlx::SqliteConnection);
}

crate::store::account::calls::account_calls!(super::SqliteStore);

/// Pairs of an id and microseconds, as one parameter.
async fn note_uses(
    connection: &mut SqliteConnection,
    uses: &[(SessionId, Timestamp)],
    version: i64,
) -> Result<u64> {
    let pair =
        |(id, at): &(SessionId, Timestamp)| json!([id.0.simple().to_string(), at.as_micros()]);
    let pairs: Value = uses.iter().map(pair).collect();
    let done = sqlx::query(
        "UPDATE sessions SET last_used_at = used.at, version = $2
         FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS at FROM json_each($1)) AS used
         WHERE sessions.id = used.id AND last_used_at < used.at AND revoked_at IS NULL",
    )
    .bind(pairs.to_string())
    .bind(version)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
