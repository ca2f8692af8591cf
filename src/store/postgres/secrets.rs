//! Secrets of tenants, and sealing all secrets anew.

use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::connect::Pools;
use crate::domain::Timestamp;
use crate::domain::id::SubscriptionId;
use crate::domain::signing::SigningSecrets;
use crate::store::rows::At;
use crate::store::secret_box::{Label, SecretBox};
use crate::store::secrets::{self, HEADERS, SECRET, of_tenant};
use crate::store::{Kept, Resealed, Result, TenantSecrets};

/// The same gate as that of a change of a subscription (`directory.rs`), taken by a statement of
/// its own: the next one then sees every subscription that was made before it.
const GATE: &str = "SELECT pg_advisory_xact_lock(1886352244, 1)";

const KEEP: &str = "
WITH raised AS (
    UPDATE directory SET version = directory.version + 1
    WHERE one AND $3 = coalesce((SELECT version FROM tenant_secrets WHERE tenant = $1), 0)
    RETURNING directory.version
),
kept AS (
    INSERT INTO tenant_secrets (tenant, secrets, updated_at, version)
    SELECT $1, $2, $4, raised.version FROM raised
    ON CONFLICT (tenant) DO UPDATE
        SET secrets = excluded.secrets, updated_at = excluded.updated_at,
            version = excluded.version
    RETURNING version
),
told AS (
    UPDATE subscriptions SET version = kept.version FROM kept
    WHERE subscriptions.tenant = $1 AND secret_owner = 'tenant' AND state <> 'deleted'
    RETURNING subscriptions.id
)
SELECT kept.version, told.id FROM kept LEFT JOIN told ON true";

pub(super) async fn of(pools: &Pools, tenant: &str) -> Result<Option<TenantSecrets>> {
    let row = sqlx::query("SELECT secrets, version FROM tenant_secrets WHERE tenant = $1")
        .bind(tenant)
        .fetch_optional(&pools.work)
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
    let mut transaction = pools.work.begin().await?;
    sqlx::query(GATE).execute(&mut *transaction).await?;
    let found = sqlx::query(KEEP)
        .bind(tenant)
        .bind(sealed)
        .bind(replaced)
        .bind(At(now))
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    if found.is_empty() {
        return Ok(Kept::Overtaken);
    }
    let mut told = Vec::new();
    for row in &found {
        told.extend(row.try_get::<Option<Uuid>, _>("id")?.map(SubscriptionId));
    }
    Ok(Kept::By(told))
}

/// Seals what is not sealed with the first master key, row by row. A row that somebody changes
/// meanwhile is read again: they may have other keys.
pub(super) async fn reseal(pools: &Pools) -> Result<Resealed> {
    secrets::check_encrypts(&pools.secret_box)?;
    let mut resealed = Resealed::default();
    subscriptions(&pools.work, &pools.secret_box, &mut resealed).await?;
    tenants(&pools.work, &pools.secret_box, &mut resealed).await?;
    Ok(resealed)
}

async fn subscriptions(pool: &PgPool, secret_box: &SecretBox, count: &mut Resealed) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let found = sqlx::query(
            "SELECT id, secret, headers FROM subscriptions WHERE id > $1 ORDER BY id LIMIT 500",
        )
        .bind(after)
        .fetch_all(pool)
        .await?;
        for row in &found {
            let before = after;
            after = row.try_get("id")?;
            let owner = after.to_string();
            let label = |kind| Label {
                kind,
                owner: &owner,
            };
            let (secret, headers): (&str, &str) = (row.try_get("secret")?, row.try_get("headers")?);
            let new = (
                secret_box.resealed(label(SECRET), secret)?,
                secret_box.resealed(label(HEADERS), headers)?,
            );
            if new.0.is_none() && new.1.is_none() {
                count.count(&[&new.0, &new.1]);
                continue;
            }
            let done = sqlx::query(
                "UPDATE subscriptions SET secret = $2, headers = $3
                 WHERE id = $1 AND secret = $4 AND headers = $5",
            )
            .bind(after)
            .bind(new.0.as_deref().unwrap_or(secret))
            .bind(new.1.as_deref().unwrap_or(headers))
            .bind(secret)
            .bind(headers)
            .execute(pool)
            .await?;
            if done.rows_affected() == 0 {
                after = before;
                break;
            }
            count.count(&[&new.0, &new.1]);
        }
        if found.is_empty() {
            return Ok(());
        }
    }
}

async fn tenants(pool: &PgPool, secret_box: &SecretBox, count: &mut Resealed) -> Result<()> {
    let mut after = String::new();
    loop {
        let found = sqlx::query(
            "SELECT tenant, secrets FROM tenant_secrets WHERE tenant > $1 ORDER BY tenant LIMIT 500",
        )
        .bind(&after)
        .fetch_all(pool)
        .await?;
        for row in &found {
            let before = std::mem::replace(&mut after, row.try_get("tenant")?);
            let stored: &str = row.try_get("secrets")?;
            let new = secret_box.resealed(of_tenant(&after), stored)?;
            if let Some(new) = &new {
                let done = sqlx::query(
                    "UPDATE tenant_secrets SET secrets = $2 WHERE tenant = $1 AND secrets = $3",
                )
                .bind(&after)
                .bind(new)
                .bind(stored)
                .execute(pool)
                .await?;
                if done.rows_affected() == 0 {
                    after = before;
                    break;
                }
            }
            count.count(&[&new]);
        }
        if found.is_empty() {
            return Ok(());
        }
    }
}

/// Gives back the pages that old values lay in, so that a copy of the files has them no more.
pub(super) async fn wipe(connection: &mut PgConnection) -> Result<()> {
    // The relay may run: whoever waits for a subscription waits behind this.
    for step in [
        "SET lock_timeout = '10s'",
        "VACUUM FULL subscriptions",
        "VACUUM FULL tenant_secrets",
    ] {
        sqlx::query(step).execute(&mut *connection).await?;
    }
    Ok(())
}
