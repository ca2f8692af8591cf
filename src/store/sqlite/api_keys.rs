//! Keys that callers show. Every change raises the keyring's version in its own transaction.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::connect::Pools;
use super::rows;
use crate::domain::Timestamp;
use crate::domain::api_key::ApiKey;
use crate::domain::id::ApiKeyId;
use crate::store::rows::{API_KEY_COLUMNS, At, bind_api_key};
use crate::store::{ApiKeyCreated, KeyringChanges, Moved, Result, codec};

const RAISE: &str = "UPDATE keyring SET version = version + 1 RETURNING version";

/// Stores a new key.
pub(super) async fn create(pools: &Pools, key: &ApiKey, most: u32) -> Result<ApiKeyCreated> {
    let mut transaction = pools.write().await?;
    let version: i64 = sqlx::query_scalar(RAISE)
        .fetch_one(&mut *transaction)
        .await?;
    let sql = format!(
        "INSERT INTO api_keys ({API_KEY_COLUMNS})
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
         WHERE (SELECT count(*) FROM (SELECT 1 FROM api_keys LIMIT $10)) < $10
         AND (SELECT count(*) FROM (SELECT 1 FROM api_keys WHERE tenant = $6 LIMIT $11)) < $11
         ON CONFLICT DO NOTHING"
    );
    let query = bind_api_key!(sqlx::query(AssertSqlSafe(sql)), key, version);
    let done = query
        .bind(i64::from(most))
        .bind(codec::share_of_tenant(most))
        .execute(&mut *transaction)
        .await?;
    if done.rows_affected() == 1 {
        transaction.commit().await?;
        return Ok(ApiKeyCreated::Done);
    }
    // The version is taken back with the rest.
    let there: Option<Uuid> = sqlx::query_scalar("SELECT id FROM api_keys WHERE public_id = ?")
        .bind(key.public.as_str())
        .fetch_optional(&mut *transaction)
        .await?;
    transaction.rollback().await?;
    Ok(match there {
        Some(id) if id == key.id.0 => ApiKeyCreated::Done,
        Some(_) => ApiKeyCreated::Taken,
        None => ApiKeyCreated::TooMany,
    })
}

/// One key.
pub(super) async fn one(pools: &Pools, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let found = sqlx::query("SELECT * FROM api_keys WHERE id = ?")
        .bind(id.0)
        .fetch_optional(&pools.readers)
        .await?;
    found.as_ref().map(rows::api_key).transpose()
}

/// Takes a key back that was not taken back before.
pub(super) async fn revoke(pools: &Pools, id: ApiKeyId, now: Timestamp) -> Result<Moved> {
    let mut transaction = pools.write().await?;
    let version: i64 = sqlx::query_scalar(RAISE)
        .fetch_one(&mut *transaction)
        .await?;
    let done = sqlx::query(
        "UPDATE api_keys SET revoked_at = ?, version = ? WHERE id = ? AND revoked_at IS NULL",
    )
    .bind(At(now))
    .bind(version)
    .bind(id.0)
    .execute(&mut *transaction)
    .await?;
    if done.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(Moved::Overtaken);
    }
    transaction.commit().await?;
    Ok(Moved::Done)
}

/// Version and changes of one snapshot: no change can hide between the two.
pub(super) async fn since(pools: &Pools, version: i64) -> Result<KeyringChanges> {
    let found = sqlx::query(
        "SELECT keyring.version AS keyring_version, k.*
         FROM keyring LEFT JOIN api_keys k ON k.version > $1",
    )
    .bind(version)
    .fetch_all(&pools.readers)
    .await?;
    let mut changes = KeyringChanges::default();
    for row in &found {
        changes.version = row.try_get("keyring_version")?;
        if row.try_get::<Option<Uuid>, _>("id")?.is_some() {
            changes.keys.push(rows::api_key(row)?);
        }
    }
    Ok(changes)
}

/// The keyring's version.
pub(super) async fn version(pools: &Pools) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT version FROM keyring")
        .fetch_one(&pools.readers)
        .await?)
}

/// Notes uses: pairs of an id and microseconds, as one parameter.
pub(super) async fn note_uses(pools: &Pools, uses: &[(ApiKeyId, Timestamp)]) -> Result<()> {
    let pair =
        |(id, at): &(ApiKeyId, Timestamp)| json!([id.0.simple().to_string(), at.as_micros()]);
    let pairs: Value = uses.iter().map(pair).collect();
    let mut transaction = pools.write().await?;
    sqlx::query(
        "UPDATE api_keys SET last_used_at = used.at
         FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS at FROM json_each($1)) AS used
         WHERE api_keys.id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)",
    )
    .bind(pairs.to_string())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}

/// Forgets a batch of keys that ended long ago.
pub(super) async fn forget(pools: &Pools, before: Timestamp, limit: u32) -> Result<u64> {
    let mut transaction = pools.write().await?;
    let done = sqlx::query(
        "DELETE FROM api_keys WHERE id IN (
             SELECT id FROM api_keys
             WHERE min(coalesce(revoked_at, expires_at), coalesce(expires_at, revoked_at)) < ?
             LIMIT ?
         )",
    )
    .bind(At(before))
    .bind(i64::from(limit))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(done.rows_affected())
}
