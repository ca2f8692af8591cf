//! What is held while a rule holds a subscription: how much it is, how it ends, whether it is
//! tried; and the history of its states.

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::connect::Pools;
use super::{id_list, rows};
use crate::domain::Timestamp;
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
        SELECT 1 FROM deliveries d INDEXED BY deliveries_pending_age
        WHERE d.subscription_id = unhex(c.value ->> 0) AND d.state = 'pending'
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
             SELECT 1 FROM deliveries INDEXED BY deliveries_pending_age
             WHERE subscription_id = ? AND state = 'pending' LIMIT ?
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
        "SELECT seq FROM deliveries INDEXED BY deliveries_pending_age
         WHERE subscription_id = ? AND state = 'pending' ORDER BY seq DESC LIMIT 1",
    )
    .bind(id.0)
    .fetch_optional(&pools.readers)
    .await?)
}

/// Ends a batch of what is held, from the old end of the index by age, where all that may end
/// stands. The subscription is looked at in the same statement, so that nothing of one that was
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
            "expired",
            "state IN ('deactivated', 'suspended') AND state_at < $5",
            "created_at < $5",
        ),
        Ending::Skipped(_) => ("skipped", "skip_through = $5", "seq <= $5"),
    };
    let sql = format!(
        "UPDATE deliveries SET state = '{state}', finished_at = $2, version = version + 1
         WHERE seq IN (
             SELECT seq FROM (
                 SELECT seq, created_at FROM deliveries INDEXED BY deliveries_pending_age
                 WHERE subscription_id = $1 AND state = 'pending'
                     AND id NOT IN (SELECT unhex(value) FROM json_each($4))
                     AND EXISTS (SELECT 1 FROM subscriptions WHERE id = $1 AND {may_end})
                 ORDER BY seq LIMIT $3
             ) WHERE {old_enough}
         )"
    );
    let mut transaction = pools.write().await?;
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(id.0)
        .bind(At(now))
        .bind(i64::from(limit))
        .bind(id_list(spared.iter().map(|id| id.0)));
    let query = match ending {
        Ending::Expired(before) => query.bind(At(before)),
        Ending::Skipped(through) => query.bind(through),
    };
    let done = query.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(done.rows_affected())
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
