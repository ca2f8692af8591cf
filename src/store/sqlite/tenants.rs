//! Tenants. Every change raises the directory's version in its transaction, so that every process
//! hears of it as of a subscription's.

use async_trait::async_trait;

use super::connect::Pools;
use super::directory::raise_version;
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

/// A tombstone makes room for another one.
const CREATE: &str = "
INSERT INTO tenants (id, place, name, status, limits, created_at, updated_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (id) DO UPDATE
SET place = excluded.place, name = excluded.name, status = excluded.status,
    limits = excluded.limits, created_at = excluded.created_at, updated_at = excluded.updated_at,
    version = excluded.version
WHERE tenants.status = 'deleted'";

const UPDATE: &str = "
UPDATE tenants SET name = $2, status = $3, limits = $4, updated_at = $5, version = $6
WHERE id = $1 AND version = $7 AND status <> 'deleted'";

/// A few steps into an index for each of its subscriptions.
const LEFT: &str = "
SELECT
    (SELECT count(*) FROM subscriptions WHERE tenant = $1 AND state <> 'deleted') AS subscriptions,
    (SELECT count(*) FROM api_keys WHERE tenant = $1 AND revoked_at IS NULL) AS keys,
    EXISTS (
        SELECT 1 FROM subscriptions s
        WHERE s.tenant = $1 AND (
            (SELECT 1 FROM pending_deliveries d WHERE d.subscription_id = s.id LIMIT 1) IS NOT NULL
            OR (SELECT 1 FROM final_deliveries d WHERE d.subscription_id = s.id LIMIT 1) IS NOT NULL
        )
    ) AS deliveries,
    EXISTS (SELECT 1 FROM events WHERE tenant = $1) AS events";

#[async_trait]
impl TenantStore for super::SqliteStore {
    async fn create_tenant(&self, tenant: &Tenant) -> Result<Option<i64>> {
        create(&self.pools, tenant).await
    }

    async fn update_tenant(&self, tenant: &Tenant) -> Result<Changed> {
        update(&self.pools, tenant).await
    }

    async fn delete_tenant(&self, id: &str, version: i64, now: Timestamp) -> Result<TenantDeleted> {
        delete(&self.pools, id, version, now).await
    }

    async fn tenant(&self, id: &str) -> Result<Option<Tenant>> {
        one(&self.pools, id).await
    }

    async fn list_tenants(&self, page: &PageRequest) -> Result<Page<Tenant>> {
        list(&self.pools, page).await
    }

    async fn tenant_secrets(&self, tenant: &str) -> Result<Option<TenantSecrets>> {
        super::secrets::of(&self.pools, tenant).await
    }

    async fn keep_tenant_secrets(
        &self,
        tenant: &str,
        kept: &SigningSecrets,
        replaced: i64,
        now: Timestamp,
    ) -> Result<Kept> {
        super::secrets::keep(&self.pools, tenant, kept, replaced, now).await
    }
}

/// Stores a new tenant and answers the version it drew.
async fn create(pools: &Pools, tenant: &Tenant) -> Result<Option<i64>> {
    let mut transaction = pools.write().await?;
    let version = raise_version(&mut transaction).await?;
    let done = sqlx::query(CREATE)
        .bind(&*tenant.id)
        .bind(tenant.place)
        .bind(&tenant.name)
        .bind(tenant.status.as_str())
        .bind(codec::tenant_limits_text(&tenant.limits)?)
        .bind(At(tenant.created_at))
        .bind(At(tenant.updated_at))
        .bind(version)
        .execute(&mut *transaction)
        .await?;
    if done.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(None);
    }
    transaction.commit().await?;
    Ok(Some(version))
}

/// Replaces a tenant that is still as it was read.
async fn update(pools: &Pools, tenant: &Tenant) -> Result<Changed> {
    let mut transaction = pools.write().await?;
    let version = raise_version(&mut transaction).await?;
    let done = sqlx::query(UPDATE)
        .bind(&*tenant.id)
        .bind(&tenant.name)
        .bind(tenant.status.as_str())
        .bind(codec::tenant_limits_text(&tenant.limits)?)
        .bind(At(tenant.updated_at))
        .bind(version)
        .bind(tenant.version)
        .execute(&mut *transaction)
        .await?;
    if done.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(Changed::Overtaken);
    }
    transaction.commit().await?;
    Ok(Changed::At(version))
}

/// Tombstones a tenant of which nothing is left but its secrets and its statistics, which go with it.
async fn delete(pools: &Pools, id: &str, version: i64, now: Timestamp) -> Result<TenantDeleted> {
    let mut transaction = pools.write().await?;
    let row = sqlx::query(LEFT)
        .bind(id)
        .fetch_one(&mut *transaction)
        .await?;
    let left = rows::leftovers(&row)?;
    if left != TenantLeftovers::default() {
        transaction.rollback().await?;
        return Ok(TenantDeleted::Left(left));
    }
    let drawn = raise_version(&mut transaction).await?;
    let done = sqlx::query(
        "UPDATE tenants SET status = 'deleted', updated_at = $2, version = $3
         WHERE id = $1 AND version = $4 AND status <> 'deleted'",
    )
    .bind(id)
    .bind(At(now))
    .bind(drawn)
    .bind(version)
    .execute(&mut *transaction)
    .await?;
    if done.rows_affected() == 0 {
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
async fn one(pools: &Pools, id: &str) -> Result<Option<Tenant>> {
    let row = sqlx::query("SELECT * FROM tenants WHERE id = $1 AND status <> 'deleted'")
        .bind(id)
        .fetch_optional(&pools.readers)
        .await?;
    row.as_ref().map(rows::tenant).transpose()
}

/// Tenants that are not deleted, newest first.
async fn list(pools: &Pools, page: &PageRequest) -> Result<Page<Tenant>> {
    let (limit, offset) = page.bounded();
    let found = sqlx::query(
        "SELECT * FROM tenants WHERE status <> 'deleted' AND place < coalesce($1, x'ff')
         ORDER BY place DESC LIMIT $2 OFFSET $3",
    )
    .bind(page.after.map(|after| after.0))
    .bind(i64::from(limit) + 1)
    .bind(i64::from(offset))
    .fetch_all(&pools.readers)
    .await?;
    let rows = found.iter().map(rows::tenant).collect::<Result<_>>()?;
    Ok(Page::cut(rows, limit, |tenant: &Tenant| {
        Position(tenant.place)
    }))
}

/// What changed after that version; of all of them, those that are not deleted.
pub(super) async fn since(pools: &Pools, version: i64) -> Result<Vec<Tenant>> {
    let found =
        sqlx::query("SELECT * FROM tenants WHERE version > $1 AND ($1 > 0 OR status <> 'deleted')")
            .bind(version)
            .fetch_all(&pools.readers)
            .await?;
    found.iter().map(rows::tenant).collect()
}
