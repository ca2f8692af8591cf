//! After a restart and around it: what waits, who owns it, what may be forgotten.

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::partitions;
use crate::domain::Timestamp;
use crate::domain::delivery::Progress;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::store::rows::At;
use crate::store::{LeaseState, Moved, Result, StoreError, codec};

/// The SQLSTATE of a table that is not there.
const UNDEFINED_TABLE: &str = "42P01";

/// From subscription to subscription along the pending index of one partition: one step for each
/// that has something pending, however many there are that have nothing. Each partition is walked
/// by itself. A walk along all of them would come back to the dead rows of one for every step
/// that it takes in another.
fn walk(partition: &str) -> String {
    format!(
        "(WITH RECURSIVE walk (id, due_at) AS (
    (SELECT subscription_id, due_at FROM {partition}
     WHERE state = 'pending' AND subscription_id > $1
     ORDER BY subscription_id, due_at, seq LIMIT 1)
    UNION ALL
    SELECT next.* FROM walk CROSS JOIN LATERAL (
        SELECT d.subscription_id, d.due_at FROM {partition} d
        WHERE d.state = 'pending' AND d.subscription_id > walk.id
        ORDER BY d.subscription_id, d.due_at, d.seq LIMIT 1
    ) AS next
)
SELECT id, due_at FROM walk
WHERE (SELECT s.state FROM subscriptions s WHERE s.id = walk.id) = $3 LIMIT $2)"
    )
}

/// The first of what all partitions answer. Each gives its own first ones, so none is missing. A
/// breaker that is not closed is probed at the end of its cool-down, however far off the retries
/// are.
fn walks(partitions: &[String]) -> String {
    let walks: Vec<String> = partitions.iter().map(|name| walk(name)).collect();
    format!(
        "SELECT p.id, coalesce(
    (SELECT least(p.due_at, coalesce(r.breaker_until, 'epoch')) FROM subscription_runtime r
     WHERE r.subscription_id = p.id AND r.breaker_state IN ('open', 'half_open')),
    p.due_at)
FROM (
    SELECT id, min(due_at) AS due_at FROM ({}) AS walked GROUP BY id ORDER BY id LIMIT $2
) AS p ORDER BY p.id",
        walks.join(" UNION ALL ")
    )
}

/// Subscriptions in that state with something pending, and when its earliest falls due.
pub(super) async fn pending_in(
    pool: &PgPool,
    state: &str,
    after: Option<SubscriptionId>,
    limit: u32,
) -> Result<Vec<(SubscriptionId, Timestamp)>> {
    let ask = || async {
        let sql = walks(&partitions::of_deliveries(pool).await?);
        let found: Vec<(Uuid, At)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(after.map_or(Uuid::nil(), |id| id.0))
            .bind(i64::from(limit))
            .bind(state)
            .fetch_all(pool)
            .await?;
        Ok(found)
    };
    let found = match ask().await {
        // A partition was dropped in between.
        Err(StoreError::Broken(reason)) if reason.contains(UNDEFINED_TABLE) => ask().await?,
        found => found?,
    };
    Ok(found
        .into_iter()
        .map(|(id, due_at)| (SubscriptionId(id), due_at.0))
        .collect())
}

/// Forgets a batch of old keys; one that is being taken again stays.
pub(super) async fn forget_keys(pool: &PgPool, before: Timestamp, limit: u32) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
             SELECT ctid FROM idempotency_keys
             WHERE taken_at < $1 ORDER BY taken_at LIMIT $2 FOR UPDATE SKIP LOCKED
         ))",
    )
    .bind(At(before))
    .bind(i64::from(limit))
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Takes or renews the lease. One statement, so that a holder who stalls holds no lock. The
/// server's clock decides: those of the nodes may differ.
pub(super) async fn lease(pool: &PgPool, holder: &str, ttl: Duration) -> Result<LeaseState> {
    let held: Option<i64> = sqlx::query_scalar(
        "UPDATE leases
         SET owner = $1,
             epoch = CASE WHEN owner = $1 THEN epoch ELSE epoch + 1 END,
             expires_at = clock_timestamp() + $2 * interval '1 microsecond'
         WHERE partition = 0
             AND (owner = $1 OR owner IS NULL OR expires_at <= clock_timestamp())
         RETURNING epoch",
    )
    .bind(holder)
    .bind(codec::micros(ttl))
    .fetch_optional(pool)
    .await?;
    if let Some(epoch) = held {
        return Ok(LeaseState::Held { epoch });
    }
    let row = sqlx::query("SELECT owner FROM leases WHERE partition = 0")
        .fetch_one(pool)
        .await?;
    Ok(LeaseState::HeldBy {
        // Given back since: the next call takes it.
        holder: row
            .try_get::<Option<String>, _>("owner")?
            .unwrap_or_else(|| "nobody".to_owned()),
    })
}

/// Gives the lease back. The epoch stays: what the holder still records is recorded, until
/// somebody else takes over.
pub(super) async fn release_lease(pool: &PgPool, holder: &str) -> Result<()> {
    sqlx::query(
        "UPDATE leases SET owner = NULL, expires_at = NULL WHERE partition = 0 AND owner = $1",
    )
    .bind(holder)
    .execute(pool)
    .await?;
    Ok(())
}

/// Starts a delivery's next round.
pub(super) async fn retry_delivery(
    pool: &PgPool,
    id: DeliveryId,
    version: i64,
    now: Timestamp,
) -> Result<Moved> {
    let done = sqlx::query(
        "UPDATE deliveries
         SET state = 'pending', due_at = $3, finished_at = NULL, round = round + 1,
             round_attempts = 0, aged_us = 0, version = version + 1,
             line = CASE WHEN finished_at IS NULL OR blocks = (
                 SELECT ordering_since FROM subscriptions
                 WHERE subscriptions.id = deliveries.subscription_id
             ) THEN line ELSE '' END,
             blocks = NULL
         WHERE id = $1 AND version = $2",
    )
    .bind(id.0)
    .bind(version)
    .bind(At(now))
    .execute(pool)
    .await?;
    Ok(moved(done.rows_affected()))
}

/// Starts a pending delivery's next round, unless the outcome of an attempt comes first.
pub(super) async fn hasten_delivery(
    pool: &PgPool,
    id: DeliveryId,
    progress: &Progress,
    now: Timestamp,
) -> Result<Moved> {
    let done = sqlx::query(
        "UPDATE deliveries SET due_at = $4, round = round + 1, round_attempts = 0, aged_us = 0
         WHERE id = $1 AND version = $2 AND round = $3 AND finished_at IS NULL",
    )
    .bind(id.0)
    .bind(progress.version)
    .bind(codec::count(progress.round))
    .bind(At(now))
    .execute(pool)
    .await?;
    Ok(moved(done.rows_affected()))
}

/// Cancels a delivery that is pending as it was read.
pub(super) async fn cancel_delivery(
    pool: &PgPool,
    id: DeliveryId,
    version: i64,
    now: Timestamp,
) -> Result<Moved> {
    let done = sqlx::query(
        "UPDATE deliveries SET state = 'cancelled', finished_at = $3, version = version + 1
         WHERE id = $1 AND version = $2 AND finished_at IS NULL",
    )
    .bind(id.0)
    .bind(version)
    .bind(At(now))
    .execute(pool)
    .await?;
    Ok(moved(done.rows_affected()))
}

/// Cancels a batch of what is pending. Picked in the pending index's order, so that a batch
/// costs a batch; locked in the order of ids, as the recorder does.
pub(super) async fn cancel_pending(
    pool: &PgPool,
    id: SubscriptionId,
    spared: &[DeliveryId],
    now: Timestamp,
    limit: u32,
) -> Result<u64> {
    let spared: Vec<Uuid> = spared.iter().map(|id| id.0).collect();
    let done = sqlx::query(
        "WITH picked AS MATERIALIZED (
             SELECT id FROM deliveries WHERE subscription_id = $1 AND state = 'pending' AND id <> ALL($4)
             ORDER BY due_at, seq LIMIT $3
         ),
         locked AS MATERIALIZED (
             SELECT id FROM deliveries
             WHERE id = ANY(ARRAY(SELECT id FROM picked)) AND finished_at IS NULL
             ORDER BY id FOR UPDATE
         )
         UPDATE deliveries SET state = 'cancelled', finished_at = $2, version = version + 1
         WHERE id = ANY(ARRAY(SELECT id FROM locked)) AND finished_at IS NULL",
    )
    .bind(id.0)
    .bind(At(now))
    .bind(i64::from(limit))
    .bind(spared)
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

fn moved(rows: u64) -> Moved {
    match rows {
        0 => Moved::Overtaken,
        _ => Moved::Done,
    }
}
