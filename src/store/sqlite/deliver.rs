//! What is due, and what it carries.

use sqlx::AssertSqlSafe;

use super::connect::Pools;
use super::{id_list, rows};
use crate::domain::Timestamp;
use crate::domain::event::Event;
use crate::domain::id::{EventId, SubscriptionId};
use crate::store::rows::{At, EVENT_COLUMNS};
use crate::store::{DuePage, DueRow, Result, Runtime, Standing};

/// One range of the pending index.
const DUE: &str = "
SELECT id, event_id, due_at, attempts, round, round_attempts, aged_us, version, payload_bytes
FROM pending_deliveries INDEXED BY pending_deliveries_due
WHERE subscription_id = ? AND due_at <= ?
ORDER BY due_at, seq LIMIT ?";

/// One probe behind it.
const NEXT_DUE: &str = "
SELECT due_at FROM pending_deliveries INDEXED BY pending_deliveries_due
WHERE subscription_id = ? AND due_at > ?
ORDER BY due_at LIMIT 1";

/// One range of the index by age.
const OLDEST: &str = "
SELECT id, event_id, due_at, attempts, round, round_attempts, aged_us, version, payload_bytes
FROM pending_deliveries INDEXED BY pending_deliveries_age
WHERE subscription_id = ? ORDER BY seq LIMIT ?";

/// Up to `limit` due deliveries, and when the next one falls due.
pub(super) async fn due_page(
    pools: &Pools,
    id: SubscriptionId,
    now: Timestamp,
    limit: usize,
) -> Result<DuePage> {
    page(pools, (DUE, NEXT_DUE), id, now, limit).await
}

/// What queries in the form of [`DUE`] and [`NEXT_DUE`] answer.
pub(super) async fn page(
    pools: &Pools,
    (due, next_due): (&'static str, &'static str),
    id: SubscriptionId,
    now: Timestamp,
    limit: usize,
) -> Result<DuePage> {
    let mut snapshot = pools.read().await?;
    let found = sqlx::query(due)
        .bind(id.0)
        .bind(At(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *snapshot)
        .await?;
    let next: Option<At> = sqlx::query_scalar(next_due)
        .bind(id.0)
        .bind(At(now))
        .fetch_optional(&mut *snapshot)
        .await?;
    Ok(DuePage {
        due: found
            .iter()
            .map(|row| rows::due(row, id))
            .collect::<Result<_>>()?,
        next_due: next.map(|at| at.0),
    })
}

/// Up to `limit` pending deliveries in the order of acceptance.
pub(super) async fn oldest_pending(
    pools: &Pools,
    id: SubscriptionId,
    limit: usize,
) -> Result<Vec<DueRow>> {
    let found = sqlx::query(OLDEST)
        .bind(id.0)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&pools.readers)
        .await?;
    found.iter().map(|row| rows::due(row, id)).collect()
}

/// The events with these ids, but for those whose payload was erased.
pub(super) async fn events(pools: &Pools, ids: &[EventId]) -> Result<Vec<Event>> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events
         WHERE id IN (SELECT unhex(value) FROM json_each(?)) AND payload_erased_at IS NULL"
    );
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(id_list(ids.iter().map(|id| id.0)))
        .fetch_all(&pools.readers)
        .await?;
    found.iter().map(rows::event).collect()
}

/// What was learnt about the receiver.
pub(super) async fn runtime(pools: &Pools, id: SubscriptionId) -> Result<Runtime> {
    let found = sqlx::query("SELECT * FROM subscription_runtime WHERE subscription_id = ?")
        .bind(id.0)
        .fetch_optional(&pools.readers)
        .await?;
    found.as_ref().map_or(Ok(Runtime::default()), rows::runtime)
}

/// Pending deliveries of all subscriptions, up to a bound.
pub(super) async fn count_pending(pools: &Pools, most: u32) -> Result<u64> {
    let counted: i64 =
        sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM pending_deliveries LIMIT $1)")
            .bind(most)
            .fetch_one(&pools.readers)
            .await?;
    Ok(counted.unsigned_abs())
}

/// A bounded count, the head of the index by age, and one row.
const STANDING: &str = "
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM pending_deliveries INDEXED BY pending_deliveries_due
        WHERE subscription_id = $1 LIMIT $2
    )) AS pending,
    (SELECT created_at FROM pending_deliveries INDEXED BY pending_deliveries_age
        WHERE subscription_id = $1 ORDER BY seq LIMIT 1) AS oldest,
    r.error_at, r.error_status, r.error_kind, r.error_delivery, r.error_attempt
FROM (SELECT 1) AS always LEFT JOIN subscription_runtime r ON r.subscription_id = $1";

/// How a subscription stands.
pub(super) async fn standing(pools: &Pools, id: SubscriptionId, most: u32) -> Result<Standing> {
    let row = sqlx::query(STANDING)
        .bind(id.0)
        .bind(most)
        .fetch_one(&pools.readers)
        .await?;
    rows::standing(&row)
}
