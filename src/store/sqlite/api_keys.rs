//! Keys that callers show. Every change raises the keyring's version in its own transaction.

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::connect::Pools;
use super::read::page_of_ids;
use super::{id_list, rows};
use crate::domain::Timestamp;
use crate::domain::api_key::ApiKey;
use crate::domain::id::ApiKeyId;
use crate::store::paging::Listing;
use crate::store::rows::{API_KEY_COLUMNS, At, bind_api_key};
use crate::store::{
    ApiKeyCreated, ApiKeyFilter, KeyStore, KeyringChanges, Moved, Page, PageRequest, Result, codec,
};

const RAISE: &str = "UPDATE keyring SET version = version + 1 RETURNING version";

#[async_trait]
impl KeyStore for super::SqliteStore {
    async fn create_api_key(&self, key: &ApiKey, most: u32) -> Result<ApiKeyCreated> {
        create(&self.pools, key, most).await
    }

    async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>> {
        one(&self.pools, id).await
    }

    async fn list_api_keys(
        &self,
        filter: &ApiKeyFilter,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>> {
        list(&self.pools, filter, page).await
    }

    async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<Moved> {
        revoke(&self.pools, id, now).await
    }

    async fn keyring_since(&self, version: i64) -> Result<KeyringChanges> {
        since(&self.pools, version).await
    }

    async fn keyring_version(&self) -> Result<i64> {
        version(&self.pools).await
    }

    async fn note_key_uses(&self, uses: &[(ApiKeyId, Timestamp)]) -> Result<()> {
        note_uses(&self.pools, uses).await
    }

    async fn forget_api_keys(&self, before: Timestamp, limit: u32) -> Result<u64> {
        forget(&self.pools, before, limit).await
    }
}

/// Keys, newest first.
async fn list(pools: &Pools, filter: &ApiKeyFilter, page: &PageRequest) -> Result<Page<ApiKey>> {
    let mut snapshot = pools.read().await?;
    let page = page_of_ids(&mut snapshot, &Listing::api_keys(filter, page)).await?;
    let found = sqlx::query(
        "SELECT * FROM api_keys WHERE id IN (SELECT unhex(value) FROM json_each($1))
         ORDER BY id DESC",
    )
    .bind(id_list(page.ids.iter().copied()))
    .fetch_all(&mut *snapshot)
    .await?;
    let rows = found.iter().map(rows::api_key).collect::<Result<_>>()?;
    Ok(page.with(rows))
}

/// Stores a new key.
async fn create(pools: &Pools, key: &ApiKey, most: u32) -> Result<ApiKeyCreated> {
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
async fn one(pools: &Pools, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let found = sqlx::query("SELECT * FROM api_keys WHERE id = ?")
        .bind(id.0)
        .fetch_optional(&pools.readers)
        .await?;
    found.as_ref().map(rows::api_key).transpose()
}

/// Takes a key back that was not taken back before.
async fn revoke(pools: &Pools, id: ApiKeyId, now: Timestamp) -> Result<Moved> {
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
async fn since(pools: &Pools, version: i64) -> Result<KeyringChanges> {
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
async fn version(pools: &Pools) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT version FROM keyring")
        .fetch_one(&pools.readers)
        .await?)
}

/// Notes uses: pairs of an id and microseconds, as one parameter.
async fn note_uses(pools: &Pools, uses: &[(ApiKeyId, Timestamp)]) -> Result<()> {
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
async fn forget(pools: &Pools, before: Timestamp, limit: u32) -> Result<u64> {
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
