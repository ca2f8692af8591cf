//! After a restart and around it: what waits, who owns it, what may be forgotten.

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::moves;
use crate::domain::Timestamp;
use crate::domain::delivery::Progress;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::store::rows::At;
use crate::store::{LeaseState, Moved, Result, codec};

/// From subscription to subscription along the index by due time: one step for each that has
/// something pending, however many there are that have nothing. A breaker that is not closed is
/// probed at the end of its cool-down, however far off the retries are.
const PENDING_IN: &str = "
WITH RECURSIVE walk (id, due_at) AS (
    (SELECT subscription_id, due_at FROM pending_deliveries
     WHERE subscription_id > $1
     ORDER BY subscription_id, due_at, seq LIMIT 1)
    UNION ALL
    SELECT next.* FROM walk CROSS JOIN LATERAL (
        SELECT d.subscription_id, d.due_at FROM pending_deliveries d
        WHERE d.subscription_id > walk.id
        ORDER BY d.subscription_id, d.due_at, d.seq LIMIT 1
    ) AS next
),
found AS MATERIALIZED (
    SELECT id, due_at FROM walk
    WHERE (SELECT s.state FROM subscriptions s WHERE s.id = walk.id) = $3 LIMIT $2
)
SELECT found.id, coalesce(
    (SELECT least(found.due_at, coalesce(r.breaker_until, 'epoch')) FROM subscription_runtime r
     WHERE r.subscription_id = found.id AND r.breaker_state IN ('open', 'half_open')),
    found.due_at)
FROM found ORDER BY found.id";

/// Subscriptions in that state with something pending, and when its earliest falls due.
pub(super) async fn pending_in(
    pool: &PgPool,
    state: &str,
    after: Option<SubscriptionId>,
    limit: u32,
) -> Result<Vec<(SubscriptionId, Timestamp)>> {
    let found: Vec<(Uuid, At)> = sqlx::query_as(PENDING_IN)
        .bind(after.map_or(Uuid::nil(), |id| id.0))
        .bind(i64::from(limit))
        .bind(state)
        .fetch_all(pool)
        .await?;
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

/// Starts a delivery's next round, wherever it is.
pub(super) async fn retry_delivery(
    pool: &PgPool,
    id: DeliveryId,
    version: i64,
    now: Timestamp,
) -> Result<Moved> {
    let sql = format!(
        "WITH waiting AS (
             UPDATE pending_deliveries
             SET due_at = $3, round = round + 1, round_attempts = 0, aged_us = 0,
                 version = version + 1
             WHERE id = $1 AND version = $2
             RETURNING 1
         ),
         gone AS (
             DELETE FROM final_deliveries
             WHERE id = $1 AND version = $2 AND payload_bytes > 0 RETURNING *
         ),
         {}
         SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM begun_again)",
        moves::begun_again("$3")
    );
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(id.0)
        .bind(version)
        .bind(At(now))
        .fetch_one(pool)
        .await?;
    Ok(moved(rows))
}

/// Starts a pending delivery's next round, unless the outcome of an attempt comes first.
pub(super) async fn hasten_delivery(
    pool: &PgPool,
    id: DeliveryId,
    progress: &Progress,
    now: Timestamp,
) -> Result<Moved> {
    let done = sqlx::query(
        "UPDATE pending_deliveries
         SET due_at = $4, round = round + 1, round_attempts = 0, aged_us = 0
         WHERE id = $1 AND version = $2 AND round = $3",
    )
    .bind(id.0)
    .bind(progress.version)
    .bind(codec::count(progress.round))
    .bind(At(now))
    .execute(pool)
    .await?;
    Ok(moved(codec::large(done.rows_affected())))
}

/// Cancels a delivery that is pending as it was read.
pub(super) async fn cancel_delivery(
    pool: &PgPool,
    id: DeliveryId,
    version: i64,
    now: Timestamp,
) -> Result<Moved> {
    let sql = format!(
        "WITH gone AS (
             DELETE FROM pending_deliveries WHERE id = $1 AND version = $2 RETURNING *
         ),
         {}
         SELECT count(*) FROM ended",
        moves::ended("'cancelled'", "$3")
    );
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(id.0)
        .bind(version)
        .bind(At(now))
        .fetch_one(pool)
        .await?;
    Ok(moved(rows))
}

/// Cancels a batch of what is pending. Picked in the order of the index by due time, so that a
/// batch costs a batch; locked in the order of ids, as the recorder does.
pub(super) async fn cancel_pending(
    pool: &PgPool,
    id: SubscriptionId,
    spared: &[DeliveryId],
    now: Timestamp,
    limit: u32,
) -> Result<u64> {
    let spared: Vec<Uuid> = spared.iter().map(|id| id.0).collect();
    let sql = format!(
        "WITH picked AS MATERIALIZED (
             SELECT id FROM pending_deliveries WHERE subscription_id = $1 AND id <> ALL($4)
             ORDER BY due_at, seq LIMIT $3
         ),
         gone AS (
             DELETE FROM pending_deliveries WHERE id = ANY(ARRAY(SELECT id FROM picked))
             RETURNING *
         ),
         {}
         SELECT count(*) FROM ended",
        moves::ended("'cancelled'", "$2")
    );
    let cancelled: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(id.0)
        .bind(At(now))
        .bind(i64::from(limit))
        .bind(spared)
        .fetch_one(pool)
        .await?;
    Ok(cancelled.unsigned_abs())
}

fn moved(rows: i64) -> Moved {
    match rows {
        0 => Moved::Overtaken,
        _ => Moved::Done,
    }
}
