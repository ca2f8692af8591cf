//! Keys that callers show. Every change raises the keyring's version in its own statement.

use async_trait::async_trait;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::connect::answered;
use super::read::{SNAPSHOT, page_of_ids};
use super::rows;
use crate::domain::Timestamp;
use crate::domain::api_key::ApiKey;
use crate::domain::id::ApiKeyId;
use crate::store::paging::Listing;
use crate::store::rows::{API_KEY_COLUMNS, At, bind_api_key};
use crate::store::{
    ApiKeyCreated, ApiKeyFilter, KeyStore, KeyringChanges, Moved, Page, PageRequest, Result, codec,
};

#[async_trait]
impl KeyStore for super::PostgresStore {
    async fn create_api_key(&self, key: &ApiKey, most: u32) -> Result<ApiKeyCreated> {
        answered(create(&self.pools.work, key, most)).await
    }

    async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>> {
        answered(one(&self.pools.work, id)).await
    }

    async fn list_api_keys(
        &self,
        filter: &ApiKeyFilter,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>> {
        answered(list(&self.pools.reads, filter, page)).await
    }

    async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<Moved> {
        answered(revoke(&self.pools.work, id, now)).await
    }

    async fn keyring_since(&self, version: i64) -> Result<KeyringChanges> {
        answered(since(&self.pools.work, version)).await
    }

    async fn keyring_version(&self) -> Result<i64> {
        answered(version(&self.pools.work)).await
    }

    async fn note_key_uses(&self, uses: &[(ApiKeyId, Timestamp)]) -> Result<()> {
        answered(note_uses(&self.pools.work, uses)).await
    }

    async fn forget_api_keys(&self, before: Timestamp, limit: u32) -> Result<u64> {
        answered(forget(&self.pools.work, before, limit)).await
    }
}

/// Keys, newest first.
async fn list(pool: &PgPool, filter: &ApiKeyFilter, page: &PageRequest) -> Result<Page<ApiKey>> {
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    let page = page_of_ids(&mut snapshot, &Listing::api_keys(filter, page)).await?;
    let found = sqlx::query("SELECT * FROM api_keys WHERE id = ANY($1) ORDER BY id DESC")
        .bind(&page.ids)
        .fetch_all(&mut *snapshot)
        .await?;
    let rows = found.iter().map(rows::api_key).collect::<Result<_>>()?;
    Ok(page.with(rows))
}

/// Stores a new key. Whoever makes one has the keyring's row, so the count holds.
async fn create(pool: &PgPool, key: &ApiKey, most: u32) -> Result<ApiKeyCreated> {
    let mut transaction = pool.begin().await?;
    let version: i64 =
        sqlx::query_scalar("UPDATE keyring SET version = version + 1 WHERE one RETURNING version")
            .fetch_one(&mut *transaction)
            .await?;
    let sql = format!(
        "INSERT INTO api_keys ({API_KEY_COLUMNS})
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
         WHERE (SELECT count(*) FROM (SELECT FROM api_keys LIMIT $10) AS counted) < $10
         AND (SELECT count(*) FROM (SELECT FROM api_keys WHERE tenant = $6 LIMIT $11) AS own) < $11
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
    let there: Option<Uuid> = sqlx::query_scalar("SELECT id FROM api_keys WHERE public_id = $1")
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
async fn one(pool: &PgPool, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let found = sqlx::query("SELECT * FROM api_keys WHERE id = $1")
        .bind(id.0)
        .fetch_optional(pool)
        .await?;
    found.as_ref().map(rows::api_key).transpose()
}

/// Takes a key back that was not taken back before.
async fn revoke(pool: &PgPool, id: ApiKeyId, now: Timestamp) -> Result<Moved> {
    let done = sqlx::query(
        "WITH raised AS (
             UPDATE keyring SET version = version + 1
             WHERE one AND EXISTS (SELECT FROM api_keys WHERE id = $1 AND revoked_at IS NULL)
             RETURNING version
         )
         UPDATE api_keys SET revoked_at = $2, version = raised.version
         FROM raised WHERE id = $1 AND revoked_at IS NULL",
    )
    .bind(id.0)
    .bind(At(now))
    .execute(pool)
    .await?;
    Ok(match done.rows_affected() {
        0 => Moved::Overtaken,
        _ => Moved::Done,
    })
}

/// Version and changes of one snapshot: no change can hide between the two.
async fn since(pool: &PgPool, version: i64) -> Result<KeyringChanges> {
    let found = sqlx::query(
        "SELECT keyring.version AS keyring_version, k.*
         FROM keyring LEFT JOIN api_keys k ON k.version > $1
         WHERE keyring.one",
    )
    .bind(version)
    .fetch_all(pool)
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
async fn version(pool: &PgPool) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT version FROM keyring WHERE one")
        .fetch_one(pool)
        .await?)
}

/// Notes uses. Rows are locked in one order, so that nodes do not wait for each other in a circle.
async fn note_uses(pool: &PgPool, uses: &[(ApiKeyId, Timestamp)]) -> Result<()> {
    sqlx::query(
        "WITH used AS (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, at)),
         locked AS MATERIALIZED (
             SELECT id FROM api_keys WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE
         )
         UPDATE api_keys SET last_used_at = used.at
         FROM used, locked
         WHERE api_keys.id = used.id AND locked.id = used.id
             AND (last_used_at IS NULL OR last_used_at < used.at)",
    )
    .bind(uses.iter().map(|(id, _)| id.0).collect::<Vec<_>>())
    .bind(uses.iter().map(|(_, at)| At(*at)).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets a batch of keys that ended long ago.
async fn forget(pool: &PgPool, before: Timestamp, limit: u32) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM api_keys WHERE id = ANY(ARRAY(
             SELECT id FROM api_keys WHERE least(revoked_at, expires_at) < $1 LIMIT $2
         ))",
    )
    .bind(At(before))
    .bind(i64::from(limit))
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
