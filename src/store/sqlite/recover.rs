//! After a restart and around it: what waits, who owns it, what may be forgotten.

use std::time::Duration;

use uuid::Uuid;

use super::connect::Pools;
use super::{id_list, moves};
use crate::domain::Timestamp;
use crate::domain::delivery::{DeliveryState, Progress};
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::store::rows::At;
use crate::store::{LeaseState, Moved, Result, codec};

/// One probe of the pending index per active subscription. A breaker that is not closed is
/// probed at the end of its cool-down, however far off the retries are.
const PENDING_SUBSCRIPTIONS: &str = "
SELECT s.id, CASE
    WHEN r.breaker_state IN ('open', 'half_open') THEN min(d.due_at, coalesce(r.breaker_until, 0))
    ELSE d.due_at END
FROM subscriptions s
LEFT JOIN subscription_runtime r ON r.subscription_id = s.id
JOIN pending_deliveries d ON d.subscription_id = s.id AND d.id = (
    SELECT p.id FROM pending_deliveries p INDEXED BY pending_deliveries_due
    WHERE p.subscription_id = s.id
    ORDER BY p.due_at, p.seq LIMIT 1
)
WHERE s.state = 'active' AND s.id > ?
ORDER BY s.id LIMIT ?";

/// Active subscriptions with something pending, and when its earliest falls due.
pub(super) async fn pending_subscriptions(
    pools: &Pools,
    after: Option<SubscriptionId>,
    limit: u32,
) -> Result<Vec<(SubscriptionId, Timestamp)>> {
    let found: Vec<(Uuid, At)> = sqlx::query_as(PENDING_SUBSCRIPTIONS)
        .bind(after.map_or(Uuid::nil(), |id| id.0))
        .bind(i64::from(limit))
        .fetch_all(&pools.readers)
        .await?;
    Ok(found
        .into_iter()
        .map(|(id, due_at)| (SubscriptionId(id), due_at.0))
        .collect())
}

/// Forgets a batch of old keys.
pub(super) async fn forget_keys(pools: &Pools, before: Timestamp, limit: u32) -> Result<u64> {
    let mut transaction = pools.write().await?;
    let done = sqlx::query(
        "DELETE FROM idempotency_keys WHERE (tenant, key) IN (
             SELECT tenant, key FROM idempotency_keys
             WHERE taken_at < ? ORDER BY taken_at LIMIT ?
         )",
    )
    .bind(At(before))
    .bind(i64::from(limit))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(done.rows_affected())
}

/// Whoever has the file open owns it: the lock on the data directory says so.
pub(super) async fn lease(pools: &Pools, _holder: &str, _ttl: Duration) -> Result<LeaseState> {
    let epoch = sqlx::query_scalar("SELECT epoch FROM leases WHERE partition = 0")
        .fetch_one(&pools.readers)
        .await?;
    Ok(LeaseState::Held { epoch })
}

/// Starts a delivery's next round.
pub(super) async fn retry_delivery(
    pools: &Pools,
    id: DeliveryId,
    version: i64,
    now: Timestamp,
) -> Result<Moved> {
    let mut transaction = pools.write().await?;
    let done = sqlx::query(
        "UPDATE pending_deliveries
         SET due_at = ?, round = round + 1, round_attempts = 0, aged_us = 0, version = version + 1
         WHERE id = ? AND version = ?",
    )
    .bind(At(now))
    .bind(id.0)
    .bind(version)
    .execute(&mut *transaction)
    .await?;
    let mut done = done.rows_affected();
    if done == 0 {
        let found: Option<Uuid> =
            sqlx::query_scalar("SELECT id FROM final_deliveries WHERE id = ? AND version = ?")
                .bind(id.0)
                .bind(version)
                .fetch_optional(&mut *transaction)
                .await?;
        done = moves::retry(&mut transaction, found.into_iter(), now).await?;
    }
    transaction.commit().await?;
    Ok(moved(done))
}

/// Starts a pending delivery's next round, unless the outcome of an attempt comes first.
pub(super) async fn hasten_delivery(
    pools: &Pools,
    id: DeliveryId,
    progress: &Progress,
    now: Timestamp,
) -> Result<Moved> {
    let mut transaction = pools.write().await?;
    let done = sqlx::query(
        "UPDATE pending_deliveries
         SET due_at = ?, round = round + 1, round_attempts = 0, aged_us = 0
         WHERE id = ? AND version = ? AND round = ?",
    )
    .bind(At(now))
    .bind(id.0)
    .bind(progress.version)
    .bind(codec::count(progress.round))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(moved(done.rows_affected()))
}

/// Cancels a delivery that is pending as it was read.
pub(super) async fn cancel_delivery(
    pools: &Pools,
    id: DeliveryId,
    version: i64,
    now: Timestamp,
) -> Result<Moved> {
    let mut transaction = pools.write().await?;
    let found: Option<Uuid> =
        sqlx::query_scalar("SELECT id FROM pending_deliveries WHERE id = ? AND version = ?")
            .bind(id.0)
            .bind(version)
            .fetch_optional(&mut *transaction)
            .await?;
    let done = moves::end(
        &mut transaction,
        found.into_iter(),
        DeliveryState::Cancelled,
        now,
    )
    .await?;
    transaction.commit().await?;
    Ok(moved(done))
}

/// Cancels a batch of what is pending.
pub(super) async fn cancel_pending(
    pools: &Pools,
    id: SubscriptionId,
    spared: &[DeliveryId],
    now: Timestamp,
    limit: u32,
) -> Result<u64> {
    let mut transaction = pools.write().await?;
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM pending_deliveries INDEXED BY pending_deliveries_due
         WHERE subscription_id = ? AND id NOT IN (SELECT unhex(value) FROM json_each(?))
         ORDER BY due_at, seq LIMIT ?",
    )
    .bind(id.0)
    .bind(id_list(spared.iter().map(|id| id.0)))
    .bind(i64::from(limit))
    .fetch_all(&mut *transaction)
    .await?;
    let ids = found.into_iter();
    let done = moves::end(&mut transaction, ids, DeliveryState::Cancelled, now).await?;
    transaction.commit().await?;
    Ok(done)
}

fn moved(rows: u64) -> Moved {
    match rows {
        0 => Moved::Overtaken,
        _ => Moved::Done,
    }
}
