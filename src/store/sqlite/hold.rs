//! What is held while a rule holds a subscription: how much it is, how it ends, whether it is
//! tried; and the history of its states.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::connect::Pools;
use super::{id_list, moves, rows};
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::domain::subscription::HistoryEntry;
use crate::store::rows::At;
use crate::store::{Ending, Page, PageRequest, Position, Result};

/// The conditions stand in this order, so that the pending index is probed only for those that
/// may be tried now.
const TRIALS: &str = "
SELECT unhex(c.value ->> 0)
FROM json_each($1) AS c
LEFT JOIN subscription_runtime r ON r.subscription_id = unhex(c.value ->> 0)
WHERE CASE
    WHEN r.tried_at > (c.value ->> 1) OR r.hold_until > $2 THEN false
    ELSE EXISTS (
        SELECT 1 FROM pending_deliveries d INDEXED BY pending_deliveries_age
        WHERE d.subscription_id = unhex(c.value ->> 0)
    ) END
ORDER BY 1";

/// Those of the candidates that may be tried now.
pub(super) async fn trials(
    pools: &Pools,
    candidates: &[(SubscriptionId, Timestamp)],
    now: Timestamp,
) -> Result<Vec<SubscriptionId>> {
    let list: Vec<(String, i64)> = candidates
        .iter()
        .map(|(id, before)| (id.0.simple().to_string(), before.as_micros()))
        .collect();
    let found: Vec<Uuid> = sqlx::query_scalar(TRIALS)
        .bind(serde_json::to_string(&list).unwrap_or_default())
        .bind(At(now))
        .fetch_all(&pools.readers)
        .await?;
    Ok(found.into_iter().map(SubscriptionId).collect())
}

/// Pending deliveries, counted up to `most`.
pub(super) async fn backlog(pools: &Pools, id: SubscriptionId, most: u64) -> Result<u64> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (
             SELECT 1 FROM pending_deliveries INDEXED BY pending_deliveries_age
             WHERE subscription_id = ? LIMIT ?
         )",
    )
    .bind(id.0)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_one(&pools.readers)
    .await?;
    Ok(count.unsigned_abs())
}

/// The place of the newest pending delivery: the end of the index by age.
pub(super) async fn newest_pending(pools: &Pools, id: SubscriptionId) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar(
        "SELECT seq FROM pending_deliveries INDEXED BY pending_deliveries_age
         WHERE subscription_id = ? ORDER BY seq DESC LIMIT 1",
    )
    .bind(id.0)
    .fetch_optional(&pools.readers)
    .await?)
}

/// Ends a batch of what is held, from the old end of the index by age, where all that may end
/// stands. The subscription is looked at in the same transaction, so that nothing of one that was
/// reactivated meanwhile ends.
pub(super) async fn end_held(
    pools: &Pools,
    id: SubscriptionId,
    ending: Ending,
    spared: &[DeliveryId],
    now: Timestamp,
    limit: u32,
) -> Result<u64> {
    let (state, may_end, old_enough) = match ending {
        Ending::Expired(_) => (
            DeliveryState::Expired,
            "state IN ('deactivated', 'suspended') AND state_at < $4",
            "created_at < $4",
        ),
        Ending::Skipped(_) => (DeliveryState::Skipped, "skip_through = $4", "seq <= $4"),
    };
    let sql = format!(
        "SELECT id FROM (
             SELECT id, seq, created_at FROM pending_deliveries INDEXED BY pending_deliveries_age
             WHERE subscription_id = $1
                 AND id NOT IN (SELECT unhex(value) FROM json_each($3))
                 AND EXISTS (SELECT 1 FROM subscriptions WHERE id = $1 AND {may_end})
             ORDER BY seq LIMIT $2
         ) WHERE {old_enough}"
    );
    let mut transaction = pools.write().await?;
    let query = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(id.0)
        .bind(i64::from(limit))
        .bind(id_list(spared.iter().map(|id| id.0)));
    let query = match ending {
        Ending::Expired(before) => query.bind(At(before)),
        Ending::Skipped(through) => query.bind(through),
    };
    let found: Vec<Uuid> = query.fetch_all(&mut *transaction).await?;
    let done = moves::end(&mut transaction, found.into_iter(), state, now).await?;
    transaction.commit().await?;
    Ok(done)
}

/// The changes of a subscription's state, newest first.
pub(super) async fn history(
    pools: &Pools,
    id: SubscriptionId,
    page: &PageRequest,
) -> Result<Page<HistoryEntry>> {
    let (limit, offset) = page.bounded();
    let found = sqlx::query(
        "SELECT * FROM subscription_history WHERE subscription_id = ? AND version < ?
         ORDER BY version DESC LIMIT ? OFFSET ?",
    )
    .bind(id.0)
    .bind(page.after.map_or(i64::MAX, Position::version))
    .bind(i64::from(limit) + 1)
    .bind(i64::from(offset))
    .fetch_all(&pools.readers)
    .await?;
    let rows = found.iter().map(rows::history).collect::<Result<_>>()?;
    Ok(Page::cut(rows, limit, |entry: &HistoryEntry| {
        Position::of_version(entry.version)
    }))
}
