//! Secrets of tenants, and sealing all secrets anew.

use sqlx::Row;
use uuid::Uuid;

use super::connect::Pools;
use super::directory::raise_version;
use crate::domain::Timestamp;
use crate::domain::id::SubscriptionId;
use crate::domain::signing::SigningSecrets;
use crate::store::rows::At;
use crate::store::secret_box::Label;
use crate::store::secrets::{self, HEADERS, SECRET, of_tenant};
use crate::store::{Kept, Resealed, Result, TenantSecrets};

pub(super) async fn of(pools: &Pools, tenant: &str) -> Result<Option<TenantSecrets>> {
    let row = sqlx::query("SELECT secrets, version FROM tenant_secrets WHERE tenant = ?")
        .bind(tenant)
        .fetch_optional(&pools.readers)
        .await?;
    row.map(|row| {
        let stored = row.try_get("secrets")?;
        Ok(TenantSecrets {
            secrets: secrets::opened(stored, of_tenant(tenant), &pools.secret_box)?,
            version: row.try_get("version")?,
        })
    })
    .transpose()
}

pub(super) async fn keep(
    pools: &Pools,
    tenant: &str,
    secrets: &SigningSecrets,
    replaced: i64,
    now: Timestamp,
) -> Result<Kept> {
    let sealed = secrets::sealed(secrets, of_tenant(tenant), &pools.secret_box)?;
    let mut transaction = pools.write().await?;
    let stands: Option<i64> =
        sqlx::query_scalar("SELECT version FROM tenant_secrets WHERE tenant = ?")
            .bind(tenant)
            .fetch_optional(&mut *transaction)
            .await?;
    if stands.unwrap_or(0) != replaced {
        transaction.rollback().await?;
        return Ok(Kept::Overtaken);
    }
    let version = raise_version(&mut transaction).await?;
    sqlx::query(
        "INSERT INTO tenant_secrets (tenant, secrets, updated_at, version) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant) DO UPDATE
             SET secrets = excluded.secrets, updated_at = excluded.updated_at,
                 version = excluded.version",
    )
    .bind(tenant)
    .bind(sealed)
    .bind(At(now))
    .bind(version)
    .execute(&mut *transaction)
    .await?;
    let told: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE subscriptions SET version = $2
         WHERE tenant = $1 AND secret_owner = 'tenant' AND state <> 'deleted' RETURNING id",
    )
    .bind(tenant)
    .bind(version)
    .fetch_all(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Kept::By(told.into_iter().map(SubscriptionId).collect()))
}

/// Seals what is not sealed with the first master key. Then the whole file is written anew and its
/// log emptied: what lay there before may have left copies in parts of pages that are not used.
pub(super) async fn reseal(pools: &Pools) -> Result<Resealed> {
    secrets::check_encrypts(&pools.secret_box)?;
    let mut resealed = Resealed::default();
    subscriptions(pools, &mut resealed).await?;
    tenants(pools, &mut resealed).await?;
    for wiping in ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        sqlx::query(wiping).fetch_all(&pools.writer).await?;
    }
    Ok(resealed)
}

async fn subscriptions(pools: &Pools, count: &mut Resealed) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let mut transaction = pools.write().await?;
        let found = sqlx::query(
            "SELECT id, secret, headers FROM subscriptions WHERE id > ? ORDER BY id LIMIT 500",
        )
        .bind(after)
        .fetch_all(&mut *transaction)
        .await?;
        for row in &found {
            after = row.try_get("id")?;
            let owner = after.to_string();
            let label = |kind| Label {
                kind,
                owner: &owner,
            };
            let (secret, headers): (&str, &str) = (row.try_get("secret")?, row.try_get("headers")?);
            let new = (
                pools.secret_box.resealed(label(SECRET), secret)?,
                pools.secret_box.resealed(label(HEADERS), headers)?,
            );
            count.count(&[&new.0, &new.1]);
            sqlx::query("UPDATE subscriptions SET secret = $2, headers = $3 WHERE id = $1")
                .bind(after)
                .bind(new.0.as_deref().unwrap_or(secret))
                .bind(new.1.as_deref().unwrap_or(headers))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        if found.is_empty() {
            return Ok(());
        }
    }
}

async fn tenants(pools: &Pools, count: &mut Resealed) -> Result<()> {
    let mut after = String::new();
    loop {
        let mut transaction = pools.write().await?;
        let found = sqlx::query(
            "SELECT tenant, secrets FROM tenant_secrets WHERE tenant > ? ORDER BY tenant LIMIT 500",
        )
        .bind(&after)
        .fetch_all(&mut *transaction)
        .await?;
        for row in &found {
            after = row.try_get("tenant")?;
            let stored: &str = row.try_get("secrets")?;
            let new = pools.secret_box.resealed(of_tenant(&after), stored)?;
            count.count(&[&new]);
            sqlx::query("UPDATE tenant_secrets SET secrets = $2 WHERE tenant = $1")
                .bind(&after)
                .bind(new.as_deref().unwrap_or(stored))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        if found.is_empty() {
            return Ok(());
        }
    }
}
