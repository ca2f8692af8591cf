//! Tenants. Every change raises the directory's version in its own statement, so that every process
//! hears of it as of a subscription's. The gate is that of the subscriptions (`directory.rs`).

use async_trait::async_trait;
use sqlx::postgres::PgPool;
use sqlx::{Executor, Row};

use super::connect::answered;
use super::directory::GATE;
use super::rows;
use crate::domain::Timestamp;
use crate::domain::signing::SigningSecrets;
use crate::domain::statistics::Scope;
use crate::domain::tenant::Tenant;
use crate::store::rows::At;
use crate::store::statistics::scope_text;
use crate::store::{
    Changed, Kept, Page, PageRequest, Position, Result, TenantDeleted, TenantLeftovers,
    TenantSecrets, TenantStore, codec,
};

/// A tombstone makes room for another one. Where one stands, the version is raised for nothing:
/// readers of the directory then find no change behind it.
const CREATE: &str = "
WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock(1886352244, 1)),
raised AS (
    UPDATE directory SET version = directory.version + 1 FROM gate WHERE one
    RETURNING directory.version
)
INSERT INTO tenants (id, place, name, status, limits, created_at, updated_at, version)
SELECT $1, $2, $3, $4, $5, $6, $7, raised.version FROM raised
ON CONFLICT (id) DO UPDATE
SET place = excluded.place, name = excluded.name, status = excluded.status,
    limits = excluded.limits, created_at = excluded.created_at, updated_at = excluded.updated_at,
    version = excluded.version
WHERE tenants.status = 'deleted'
RETURNING version";

const UPDATE: &str = "
WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock(1886352244, 1)),
raised AS (
    UPDATE directory SET version = directory.version + 1 FROM gate
    WHERE one AND EXISTS (SELECT FROM tenants WHERE id = $1 AND version = $6)
    RETURNING directory.version
)
UPDATE tenants SET name = $2, status = $3, limits = $4, updated_at = $5, version = raised.version
FROM raised
WHERE id = $1 AND tenants.version = $6 AND status <> 'deleted'
RETURNING tenants.version";

const DELETE: &str = "
WITH raised AS (
    UPDATE directory SET version = directory.version + 1
    WHERE one AND EXISTS (SELECT FROM tenants WHERE id = $1 AND version = $3)
    RETURNING directory.version
)
UPDATE tenants SET status = 'deleted', updated_at = $2, version = raised.version
FROM raised
WHERE id = $1 AND tenants.version = $3 AND status <> 'deleted'
RETURNING tenants.version";

/// A few steps into an index for each of its subscriptions: the limits keep planners from making
/// joins over all deliveries of it.
const LEFT: &str = "
SELECT
    (SELECT count(*) FROM subscriptions WHERE tenant = $1 AND state <> 'deleted') AS subscriptions,
    (SELECT count(*) FROM api_keys WHERE tenant = $1 AND revoked_at IS NULL) AS keys,
    EXISTS (
        SELECT FROM subscriptions s
        WHERE s.tenant = $1 AND (
            (SELECT 1 FROM pending_deliveries d WHERE d.subscription_id = s.id LIMIT 1) IS NOT NULL
            OR (SELECT 1 FROM final_deliveries d WHERE d.subscription_id = s.id LIMIT 1) IS NOT NULL
        )
    ) AS deliveries,
    (SELECT 1 FROM events WHERE tenant = $1 LIMIT 1) IS NOT NULL AS events";

#[async_trait]
impl TenantStore for super::PostgresStore {
    async fn create_tenant(&self, tenant: &Tenant) -> Result<Option<i64>> {
        answered(create(&self.pools.work, tenant)).await
    }

    async fn update_tenant(&self, tenant: &Tenant) -> Result<Changed> {
        answered(update(&self.pools.work, tenant)).await
    }

    async fn delete_tenant(&self, id: &str, version: i64, now: Timestamp) -> Result<TenantDeleted> {
        answered(delete(&self.pools.work, id, version, now)).await
    }

    async fn tenant(&self, id: &str) -> Result<Option<Tenant>> {
        answered(one(&self.pools.work, id)).await
    }

    async fn list_tenants(&self, page: &PageRequest) -> Result<Page<Tenant>> {
        answered(list(&self.pools.reads, page)).await
    }

    async fn tenant_secrets(&self, tenant: &str) -> Result<Option<TenantSecrets>> {
        answered(super::secrets::of(&self.pools, tenant)).await
    }

    async fn keep_tenant_secrets(
        &self,
        tenant: &str,
        kept: &SigningSecrets,
        replaced: i64,
        now: Timestamp,
    ) -> Result<Kept> {
        answered(super::secrets::keep(
            &self.pools,
            tenant,
            kept,
            replaced,
            now,
        ))
        .await
    }
}

/// Stores a new tenant and answers the version it drew.
async fn create(pool: &PgPool, tenant: &Tenant) -> Result<Option<i64>> {
    let row = sqlx::query(CREATE)
        .bind(&*tenant.id)
        .bind(tenant.place)
        .bind(&tenant.name)
        .bind(tenant.status.as_str())
        .bind(codec::tenant_limits_text(&tenant.limits)?)
        .bind(At(tenant.created_at))
        .bind(At(tenant.updated_at))
        .fetch_optional(pool)
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Replaces a tenant that is still as it was read.
async fn update(pool: &PgPool, tenant: &Tenant) -> Result<Changed> {
    let row = sqlx::query(UPDATE)
        .bind(&*tenant.id)
        .bind(&tenant.name)
        .bind(tenant.status.as_str())
        .bind(codec::tenant_limits_text(&tenant.limits)?)
        .bind(At(tenant.updated_at))
        .bind(tenant.version)
        .fetch_optional(pool)
        .await?;
    Ok(match row {
        Some(row) => Changed::At(row.try_get(0)?),
        None => Changed::Overtaken,
    })
}

/// Tombstones a tenant of which nothing is left but its secrets and its statistics, which go with it:
/// whoever gets its name next is not to sign as it did, nor to see what it sent. Looked for behind the gate, by a statement whose snapshot
/// has every subscription that passed it before.
async fn delete(pool: &PgPool, id: &str, version: i64, now: Timestamp) -> Result<TenantDeleted> {
    let mut transaction = pool.begin().await?;
    transaction.execute(GATE).await?;
    let row = sqlx::query(LEFT)
        .bind(id)
        .fetch_one(&mut *transaction)
        .await?;
    let left = rows::leftovers(&row)?;
    if left != TenantLeftovers::default() {
        transaction.rollback().await?;
        return Ok(TenantDeleted::Left(left));
    }
    let done = sqlx::query(DELETE)
        .bind(id)
        .bind(At(now))
        .bind(version)
        .fetch_optional(&mut *transaction)
        .await?;
    if done.is_none() {
        transaction.rollback().await?;
        return Ok(TenantDeleted::Overtaken);
    }
    sqlx::query("DELETE FROM tenant_secrets WHERE tenant = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    // All of it is folded: its last event went with the retention.
    sqlx::query("DELETE FROM statistics WHERE scope = $1")
        .bind(scope_text(&Scope::Tenant(id.into())))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(TenantDeleted::Done)
}

/// One tenant that is not deleted.
async fn one(pool: &PgPool, id: &str) -> Result<Option<Tenant>> {
    let row = sqlx::query("SELECT * FROM tenants WHERE id = $1 AND status <> 'deleted'")
        .bind(id)
        .fetch_optional(pool)
        .await?;
    row.as_ref().map(rows::tenant).transpose()
}

/// Tenants that are not deleted, newest first.
async fn list(pool: &PgPool, page: &PageRequest) -> Result<Page<Tenant>> {
    let (limit, offset) = page.bounded();
    let found = sqlx::query(
        "SELECT * FROM tenants WHERE status <> 'deleted' AND ($1::uuid IS NULL OR place < $1)
         ORDER BY place DESC LIMIT $2 OFFSET $3",
    )
    .bind(page.after.map(|after| after.0))
    .bind(i64::from(limit) + 1)
    .bind(i64::from(offset))
    .fetch_all(pool)
    .await?;
    let rows = found.iter().map(rows::tenant).collect::<Result<_>>()?;
    Ok(Page::cut(rows, limit, |tenant: &Tenant| {
        Position(tenant.place)
    }))
}

/// What changed after that version; of all of them, those that are not deleted.
pub(super) async fn since(pool: &PgPool, version: i64) -> Result<Vec<Tenant>> {
    let found =
        sqlx::query("SELECT * FROM tenants WHERE version > $1 AND ($1 > 0 OR status <> 'deleted')")
            .bind(version)
            .fetch_all(pool)
            .await?;
    found.iter().map(rows::tenant).collect()
}
