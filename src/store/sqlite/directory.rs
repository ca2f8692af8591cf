//! Subscriptions. Every change raises the directory's version in its transaction.

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use uuid::Uuid;

use super::connect::Pools;
use super::{operational, rows, tenants};
use crate::domain::id::SubscriptionId;
use crate::domain::operational::OperationalEvent;
use crate::domain::subscription::Subscription;
use crate::store::codec::SubscriptionColumns;
use crate::store::rows::{At, SUBSCRIPTION};
use crate::store::secret_box::SecretBox;
use crate::store::{Changed, DirectoryChanges, MOST_HISTORY, Result};

const CREATE: &str = "
INSERT INTO subscriptions (id, tenant, name, url, event_types, headers, retry_policy, timeout_us,
    max_in_flight, rate_limit, state, state_at, state_reason, secret, created_at, updated_at,
    breaker, deactivation, state_by, state_evidence, counted_from, hold_full_since, skip_through,
    ordering, ordering_failure, ordering_since, payload_format, signature, secret_owner, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)";

const UPDATE: &str = "
UPDATE subscriptions
SET tenant = $2, name = $3, url = $4, event_types = $5, headers = $6, retry_policy = $7,
    timeout_us = $8, max_in_flight = $9, rate_limit = $10, state = $11, state_at = $12,
    state_reason = $13, secret = $14, created_at = $15, updated_at = $16,
    breaker = $17, deactivation = $18, state_by = $19, state_evidence = $20, counted_from = $21,
    hold_full_since = $22, skip_through = $23, ordering = $24, ordering_failure = $25,
    ordering_since = $26, payload_format = $27, signature = $28, secret_owner = $29,
    version = $30
WHERE id = $1 AND version = $31";

/// What is compared to tell whether the state changed.
const BEFORE: &str =
    "SELECT state, state_at, hold_full_since FROM subscriptions WHERE id = $1 AND version = $2";

/// `$2` to `$4` are what [`BEFORE`] told.
const NOTE: &str = "
INSERT INTO subscription_history (subscription_id, version, changed_at, from_state, to_state,
    reason, changed_by, evidence)
SELECT id, version, state_at, $2, state, state_reason, state_by, state_evidence
FROM subscriptions WHERE id = $1 AND (state IS NOT $2 OR state_at IS NOT $3)
UNION ALL
SELECT id, version, hold_full_since, $2, state, 'backlog_full', 'rule', '[]'
FROM subscriptions
WHERE id = $1 AND state = $2 AND state_at = $3 AND $4 IS NULL AND hold_full_since IS NOT NULL";

const FORGET: &str = "
DELETE FROM subscription_history WHERE subscription_id = $1 AND version <= (
    SELECT version FROM subscription_history WHERE subscription_id = $1
    ORDER BY version DESC LIMIT 1 OFFSET $2
)";

const PROBE: &str = "
UPDATE subscription_runtime SET breaker_state = 'half_open', breaker_until = NULL
WHERE subscription_id = $1 AND breaker_state = 'open' AND $2 IN ('deactivated', 'suspended')
    AND EXISTS (SELECT 1 FROM subscriptions WHERE id = $1 AND state = 'active')";

const HAS_DELIVERY: &str = "
SELECT EXISTS (SELECT 1 FROM pending_deliveries WHERE subscription_id = $1)
    OR EXISTS (SELECT 1 FROM final_deliveries WHERE subscription_id = $1)";

fn bound(
    sql: &'static str,
    columns: SubscriptionColumns,
) -> Query<'static, Sqlite, SqliteArguments> {
    sqlx::query(sql)
        .bind(columns.id.0)
        .bind(columns.tenant)
        .bind(columns.name)
        .bind(columns.url)
        .bind(columns.event_types)
        .bind(columns.headers)
        .bind(columns.retry_policy)
        .bind(columns.timeout_us)
        .bind(columns.max_in_flight)
        .bind(columns.rate_limit)
        .bind(columns.state)
        .bind(At(columns.state_at))
        .bind(columns.state_reason)
        .bind(columns.secret)
        .bind(At(columns.created_at))
        .bind(At(columns.updated_at))
        .bind(columns.breaker)
        .bind(columns.deactivation)
        .bind(columns.state_by)
        .bind(columns.state_evidence)
        .bind(At(columns.counted_from))
        .bind(columns.hold_full_since.map(At))
        .bind(columns.skip_through)
        .bind(columns.ordering)
        .bind(columns.ordering_failure)
        .bind(At(columns.ordering_since))
        .bind(columns.payload_format)
        .bind(columns.signature)
        .bind(columns.secret_owner)
}

pub(super) async fn raise_version(connection: &mut SqliteConnection) -> Result<i64> {
    Ok(
        sqlx::query_scalar("UPDATE directory SET version = version + 1 RETURNING version")
            .fetch_one(connection)
            .await?,
    )
}

/// Stores a new subscription and answers the version it drew.
pub(super) async fn create(pools: &Pools, subscription: &Subscription) -> Result<i64> {
    let mut transaction = pools.write().await?;
    let version = insert(&mut transaction, &pools.secret_box, subscription).await?;
    transaction.commit().await?;
    Ok(version)
}

/// The same where its tenant has fewer than `most`. Writers take turns.
pub(super) async fn create_within(
    pools: &Pools,
    subscription: &Subscription,
    most: u32,
) -> Result<Option<i64>> {
    let mut transaction = pools.write().await?;
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (
             SELECT 1 FROM subscriptions WHERE tenant = $1 AND state <> 'deleted' LIMIT $2
         )",
    )
    .bind(subscription.tenant.as_deref())
    .bind(i64::from(most))
    .fetch_one(&mut *transaction)
    .await?;
    if count >= i64::from(most) {
        transaction.rollback().await?;
        return Ok(None);
    }
    let version = insert(&mut transaction, &pools.secret_box, subscription).await?;
    transaction.commit().await?;
    Ok(Some(version))
}

async fn insert(
    connection: &mut SqliteConnection,
    secret_box: &SecretBox,
    subscription: &Subscription,
) -> Result<i64> {
    let version = raise_version(connection).await?;
    let columns = SubscriptionColumns::of(subscription, secret_box)?;
    bound(CREATE, columns)
        .bind(version)
        .execute(&mut *connection)
        .await?;
    note(connection, subscription.id, None).await?;
    Ok(version)
}

/// Replaces a subscription that is still as it was read.
pub(super) async fn update(
    pools: &Pools,
    subscription: &Subscription,
    raises: Option<&OperationalEvent>,
) -> Result<Changed> {
    let mut transaction = pools.write().await?;
    let changed = replace(&mut transaction, &pools.secret_box, subscription, raises).await?;
    match changed {
        Changed::At(_) => transaction.commit().await?,
        Changed::Overtaken => transaction.rollback().await?,
    }
    Ok(changed)
}

/// The same where it has no delivery. Writers take turns.
pub(super) async fn hand_over(
    pools: &Pools,
    subscription: &Subscription,
    raises: Option<&OperationalEvent>,
) -> Result<Option<Changed>> {
    let mut transaction = pools.write().await?;
    let any: bool = sqlx::query_scalar(HAS_DELIVERY)
        .bind(subscription.id.0)
        .fetch_one(&mut *transaction)
        .await?;
    if any {
        transaction.rollback().await?;
        return Ok(None);
    }
    let changed = replace(&mut transaction, &pools.secret_box, subscription, raises).await?;
    match changed {
        Changed::At(_) => transaction.commit().await?,
        Changed::Overtaken => transaction.rollback().await?,
    }
    Ok(Some(changed))
}

async fn replace(
    connection: &mut SqliteConnection,
    secret_box: &SecretBox,
    subscription: &Subscription,
    raises: Option<&OperationalEvent>,
) -> Result<Changed> {
    let before: Option<Before> = sqlx::query_as(BEFORE)
        .bind(subscription.id.0)
        .bind(subscription.version)
        .fetch_optional(&mut *connection)
        .await?;
    if before.is_none() {
        return Ok(Changed::Overtaken);
    }
    let version = raise_version(connection).await?;
    bound(UPDATE, SubscriptionColumns::of(subscription, secret_box)?)
        .bind(version)
        .bind(subscription.version)
        .execute(&mut *connection)
        .await?;
    note(connection, subscription.id, before).await?;
    if let Some(event) = raises {
        operational::wait(connection, event).await?;
    }
    Ok(Changed::At(version))
}

/// State, since when, and since when its hold is full.
type Before = (String, At, Option<At>);

/// What follows from a change of the state.
async fn note(
    connection: &mut SqliteConnection,
    id: SubscriptionId,
    before: Option<Before>,
) -> Result<()> {
    let (state, at, full) = match before {
        Some((state, at, full)) => (Some(state), Some(at), full),
        None => (None, None, None),
    };
    sqlx::query(NOTE)
        .bind(id.0)
        .bind(&state)
        .bind(at)
        .bind(full)
        .execute(&mut *connection)
        .await?;
    sqlx::query(FORGET)
        .bind(id.0)
        .bind(MOST_HISTORY)
        .execute(&mut *connection)
        .await?;
    sqlx::query(PROBE)
        .bind(id.0)
        .bind(state)
        .execute(connection)
        .await?;
    Ok(())
}

/// One subscription, deleted ones included.
pub(super) async fn one(pools: &Pools, id: SubscriptionId) -> Result<Option<Subscription>> {
    let sql = format!("SELECT {SUBSCRIPTION} WHERE s.id = ?");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.0)
        .fetch_optional(&pools.readers)
        .await?;
    row.as_ref()
        .map(|row| rows::subscription(row, &pools.secret_box))
        .transpose()
}

/// Version and changes of one snapshot: no change can hide between the two.
pub(super) async fn since(pools: &Pools, version: i64) -> Result<DirectoryChanges> {
    let found = sqlx::query(
        "SELECT directory.version AS directory_version, s.*, t.secrets AS tenant_secrets
         FROM directory
         LEFT JOIN subscriptions s ON s.version > $1 AND ($1 > 0 OR s.state <> 'deleted')
         LEFT JOIN tenant_secrets t ON t.tenant = s.tenant AND s.secret_owner = 'tenant'",
    )
    .bind(version)
    .fetch_all(&pools.readers)
    .await?;
    let mut changes = DirectoryChanges::default();
    for row in &found {
        changes.version = row.try_get("directory_version")?;
        if row.try_get::<Option<Uuid>, _>("id")?.is_some() {
            changes
                .subscriptions
                .push(rows::subscription(row, &pools.secret_box)?);
        }
    }
    // Of a later snapshot, which has all that the version above tells of.
    changes.tenants = tenants::since(pools, version).await?;
    Ok(changes)
}

/// The directory's version.
pub(super) async fn version(pools: &Pools) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT version FROM directory")
        .fetch_one(&pools.readers)
        .await?)
}

/// Deleted subscriptions that still have something pending: one index probe each.
pub(super) async fn deleted_with_pending(pools: &Pools, limit: u32) -> Result<Vec<SubscriptionId>> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT s.id FROM subscriptions s
         WHERE s.state = 'deleted' AND EXISTS (
             SELECT 1 FROM pending_deliveries d INDEXED BY pending_deliveries_due
             WHERE d.subscription_id = s.id
         )
         ORDER BY s.id LIMIT ?",
    )
    .bind(i64::from(limit))
    .fetch_all(&pools.readers)
    .await?;
    Ok(found.into_iter().map(SubscriptionId).collect())
}

/// The name of this installation.
pub(super) async fn installation(pools: &Pools) -> Result<String> {
    Ok(sqlx::query_scalar("SELECT name FROM installation")
        .fetch_one(&pools.readers)
        .await?)
}
