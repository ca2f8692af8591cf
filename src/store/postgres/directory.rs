//! Subscriptions. Every change raises the directory's version in its own statement.

use std::sync::LazyLock;

use sqlx::postgres::{PgArguments, PgExecutor, PgPool, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Executor, Row};
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

/// Behind this gate one change is made at a time, and no group accepted.
pub(super) const GATE: &str = "SELECT pg_advisory_xact_lock(1886352244, 1)";

/// The gate lets a change queue fairly behind groups being accepted (see `accept.rs`).
const CREATE: &str = "
WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock(1886352244, 1)),
raised AS (
    UPDATE directory SET version = directory.version + 1 FROM gate WHERE one
    RETURNING directory.version
),
made AS (
    INSERT INTO subscriptions (id, tenant, name, url, event_types, headers, retry_policy,
        timeout_us, max_in_flight, rate_limit, state, state_at, state_reason, secret, created_at,
        updated_at, breaker, deactivation, state_by, state_evidence, counted_from,
        hold_full_since, skip_through, ordering, ordering_failure, ordering_since,
        payload_format, signature, secret_owner, version)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, raised.version
    FROM raised
    RETURNING *
),
noted AS (
    INSERT INTO subscription_history (subscription_id, version, changed_at, to_state, reason,
        changed_by, evidence)
    SELECT id, version, state_at, state, state_reason, state_by, state_evidence FROM made
)
SELECT version FROM made";

/// Where the guard fails only after the version was raised, the version is raised for nothing:
/// readers of the directory then find no change behind it. `old` is of the statement's snapshot,
/// and where the guard holds the row has not changed since.
static UPDATE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock(1886352244, 1)),
raised AS (
    UPDATE directory SET version = directory.version + 1 FROM gate
    WHERE one AND EXISTS (SELECT FROM subscriptions WHERE id = $1 AND version = $30)
    RETURNING directory.version
),
old AS MATERIALIZED (
    SELECT state, state_at, hold_full_since FROM subscriptions WHERE id = $1 AND version = $30
),
new AS (
    UPDATE subscriptions
    SET tenant = $2, name = $3, url = $4, event_types = $5, headers = $6, retry_policy = $7,
        timeout_us = $8, max_in_flight = $9, rate_limit = $10, state = $11, state_at = $12,
        state_reason = $13, secret = $14, created_at = $15, updated_at = $16, breaker = $17,
        deactivation = $18, state_by = $19, state_evidence = $20, counted_from = $21,
        hold_full_since = $22, skip_through = $23, ordering = $24, ordering_failure = $25,
        ordering_since = $26, payload_format = $27, signature = $28, secret_owner = $29,
        version = raised.version
    FROM raised
    WHERE id = $1 AND subscriptions.version = $30
    RETURNING subscriptions.*
),
moved AS (
    INSERT INTO subscription_history (subscription_id, version, changed_at, from_state, to_state,
        reason, changed_by, evidence)
    SELECT new.id, new.version, new.state_at, old.state, new.state, new.state_reason,
        new.state_by, new.state_evidence
    FROM new, old WHERE new.state <> old.state OR new.state_at <> old.state_at
    RETURNING version
),
filled AS (
    INSERT INTO subscription_history (subscription_id, version, changed_at, from_state, to_state,
        reason, changed_by, evidence)
    SELECT new.id, new.version, new.hold_full_since, old.state, new.state, 'backlog_full', 'rule',
        '[]'
    FROM new, old
    WHERE new.state = old.state AND new.state_at = old.state_at
        AND old.hold_full_since IS NULL AND new.hold_full_since IS NOT NULL
    RETURNING version
),
forgotten AS (
    DELETE FROM subscription_history
    WHERE subscription_id = $1 AND version <= (
        SELECT version FROM subscription_history WHERE subscription_id = $1
        ORDER BY version DESC OFFSET $31 LIMIT 1
    ) AND EXISTS (SELECT FROM moved UNION ALL SELECT FROM filled)
),
probed AS (
    UPDATE subscription_runtime SET breaker_state = 'half_open', breaker_until = NULL
    FROM new, old
    WHERE subscription_id = new.id AND breaker_state = 'open'
        AND old.state IN ('deactivated', 'suspended') AND new.state = 'active'
),
{}
SELECT version FROM new",
        operational::waits(32, "new")
    )
});

/// The limits keep planners from making a join over all deliveries of it.
const HAS_DELIVERY: &str = "
SELECT (SELECT 1 FROM pending_deliveries WHERE subscription_id = $1 LIMIT 1) IS NOT NULL
    OR (SELECT 1 FROM final_deliveries WHERE subscription_id = $1 LIMIT 1) IS NOT NULL";

fn bound(sql: &'static str, columns: SubscriptionColumns) -> Query<'static, Postgres, PgArguments> {
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

/// Stores a new subscription and answers the version it drew.
pub(super) async fn create(pools: &Pools, subscription: &Subscription) -> Result<i64> {
    let row = bound(
        CREATE,
        SubscriptionColumns::of(subscription, &pools.secret_box)?,
    )
    .fetch_one(&pools.work)
    .await?;
    Ok(row.try_get(0)?)
}

/// The same where its tenant has fewer than `most`. Counted by a statement of its own behind the
/// gate, whose snapshot has all that passed it before.
pub(super) async fn create_within(
    pools: &Pools,
    subscription: &Subscription,
    most: u32,
) -> Result<Option<i64>> {
    let mut transaction = pools.work.begin().await?;
    transaction.execute(GATE).await?;
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (
             SELECT FROM subscriptions WHERE tenant = $1 AND state <> 'deleted' LIMIT $2
         ) AS own",
    )
    .bind(subscription.tenant.as_deref())
    .bind(i64::from(most))
    .fetch_one(&mut *transaction)
    .await?;
    if count >= i64::from(most) {
        transaction.rollback().await?;
        return Ok(None);
    }
    let row = bound(
        CREATE,
        SubscriptionColumns::of(subscription, &pools.secret_box)?,
    )
    .fetch_one(&mut *transaction)
    .await?;
    let version = row.try_get(0)?;
    transaction.commit().await?;
    Ok(Some(version))
}

/// Replaces a subscription that is still as it was read.
pub(super) async fn update(
    pools: &Pools,
    subscription: &Subscription,
    raises: Option<&OperationalEvent>,
) -> Result<Changed> {
    replace(&pools.work, &pools.secret_box, subscription, raises).await
}

/// The same where it has no delivery. Looked for behind the gate, where no group is accepted, with the
/// row locked, so that no replay makes one.
pub(super) async fn hand_over(
    pools: &Pools,
    subscription: &Subscription,
    raises: Option<&OperationalEvent>,
) -> Result<Option<Changed>> {
    let mut transaction = pools.work.begin().await?;
    transaction.execute(GATE).await?;
    sqlx::query("SELECT FROM subscriptions WHERE id = $1 FOR NO KEY UPDATE")
        .bind(subscription.id.0)
        .execute(&mut *transaction)
        .await?;
    let any: bool = sqlx::query_scalar(HAS_DELIVERY)
        .bind(subscription.id.0)
        .fetch_one(&mut *transaction)
        .await?;
    if any {
        transaction.rollback().await?;
        return Ok(None);
    }
    let changed = replace(&mut *transaction, &pools.secret_box, subscription, raises).await?;
    transaction.commit().await?;
    Ok(Some(changed))
}

async fn replace<'e>(
    executor: impl PgExecutor<'e>,
    secret_box: &SecretBox,
    subscription: &Subscription,
    raises: Option<&OperationalEvent>,
) -> Result<Changed> {
    let raised: Vec<_> = raises
        .map(|event| (subscription.id.0, event))
        .into_iter()
        .collect();
    let query = bound(&UPDATE, SubscriptionColumns::of(subscription, secret_box)?)
        .bind(subscription.version)
        // Of what stood before: with this change it is one more.
        .bind(MOST_HISTORY - 1);
    let row = operational::bind(query, &raised)
        .fetch_optional(executor)
        .await?;
    Ok(match row {
        Some(row) => Changed::At(row.try_get(0)?),
        None => Changed::Overtaken,
    })
}

/// One subscription, deleted ones included.
pub(super) async fn one(pools: &Pools, id: SubscriptionId) -> Result<Option<Subscription>> {
    let sql = format!("SELECT {SUBSCRIPTION} WHERE s.id = $1");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.0)
        .fetch_optional(&pools.work)
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
         LEFT JOIN tenant_secrets t ON t.tenant = s.tenant AND s.secret_owner = 'tenant'
         WHERE directory.one",
    )
    .bind(version)
    .fetch_all(&pools.work)
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
    changes.tenants = tenants::since(&pools.work, version).await?;
    Ok(changes)
}

/// The directory's version.
pub(super) async fn version(pool: &PgPool) -> Result<i64> {
    Ok(
        sqlx::query_scalar("SELECT version FROM directory WHERE one")
            .fetch_one(pool)
            .await?,
    )
}

/// The name of this installation.
pub(super) async fn installation(pool: &PgPool) -> Result<String> {
    Ok(
        sqlx::query_scalar("SELECT name FROM installation WHERE one")
            .fetch_one(pool)
            .await?,
    )
}
