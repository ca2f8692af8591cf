//! What is held while a rule holds a subscription: how much it is, how it ends, whether it is
//! tried; and the history of its states.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::{moves, rows};
use crate::domain::Timestamp;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::domain::subscription::HistoryEntry;
use crate::store::rows::At;
use crate::store::{Ending, Page, PageRequest, Position, Result};

/// What was learnt is looked at first, so that the pending index is probed only for those that
/// may be tried now.
const TRIALS: &str = "
SELECT c.id
FROM unnest($1::uuid[], $2::timestamptz[]) AS c (id, tried_before)
LEFT JOIN subscription_runtime r ON r.subscription_id = c.id
CROSS JOIN LATERAL (
    SELECT 1 FROM pending_deliveries d
    WHERE d.subscription_id = c.id
        AND (r.tried_at IS NULL OR r.tried_at <= c.tried_before)
        AND (r.hold_until IS NULL OR r.hold_until <= $3)
    ORDER BY d.seq LIMIT 1
) AS pending
ORDER BY c.id";

/// Those of the candidates that may be tried now.
pub(super) async fn trials(
    pool: &PgPool,
    candidates: &[(SubscriptionId, Timestamp)],
    now: Timestamp,
) -> Result<Vec<SubscriptionId>> {
    let ids: Vec<Uuid> = candidates.iter().map(|(id, _)| id.0).collect();
    let before: Vec<At> = candidates.iter().map(|(_, before)| At(*before)).collect();
    let found: Vec<Uuid> = sqlx::query_scalar(TRIALS)
        .bind(ids)
        .bind(before)
        .bind(At(now))
        .fetch_all(pool)
        .await?;
    Ok(found.into_iter().map(SubscriptionId).collect())
}

/// Pending deliveries, counted up to `most`.
pub(super) async fn backlog(pool: &PgPool, id: SubscriptionId, most: u64) -> Result<u64> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (
             SELECT 1 FROM pending_deliveries WHERE subscription_id = $1 ORDER BY seq LIMIT $2
         ) AS pending",
    )
    .bind(id.0)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_one(pool)
    .await?;
    Ok(count.unsigned_abs())
}

/// The place of the newest pending delivery: the end of the index by age.
pub(super) async fn newest_pending(pool: &PgPool, id: SubscriptionId) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar(
        "SELECT seq FROM pending_deliveries WHERE subscription_id = $1 ORDER BY seq DESC LIMIT 1",
    )
    .bind(id.0)
    .fetch_optional(pool)
    .await?)
}

/// Ends a batch of what is held. Picked from the old end of the index by age, where all that may
/// end stands, and locked in the order of ids, as the recorder does. The subscription is looked
/// at in the same statement, so that nothing of one that was reactivated meanwhile ends.
pub(super) async fn end_held(
    pool: &PgPool,
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
        "WITH oldest AS MATERIALIZED (
             SELECT id, seq, created_at FROM pending_deliveries
             WHERE subscription_id = $1 AND id <> ALL($4)
                 AND EXISTS (SELECT FROM subscriptions WHERE id = $1 AND {may_end})
             ORDER BY seq LIMIT $3
         ),
         gone AS (
             DELETE FROM pending_deliveries
             WHERE id = ANY(ARRAY(SELECT id FROM oldest WHERE {old_enough}))
             RETURNING *
         ),
         {}
         SELECT count(*) FROM ended",
        moves::ended(&format!("'{state}'"), "$2")
    );
    let spared: Vec<Uuid> = spared.iter().map(|id| id.0).collect();
    let query = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(id.0)
        .bind(At(now))
        .bind(i64::from(limit))
        .bind(spared);
    let query = match ending {
        Ending::Expired(before) => query.bind(At(before)),
        Ending::Skipped(through) => query.bind(through),
    };
    let ended: i64 = query.fetch_one(pool).await?;
    Ok(ended.unsigned_abs())
}

/// The changes of a subscription's state, newest first.
pub(super) async fn history(
    pool: &PgPool,
    id: SubscriptionId,
    page: &PageRequest,
) -> Result<Page<HistoryEntry>> {
    let (limit, offset) = page.bounded();
    let found = sqlx::query(
        "SELECT * FROM subscription_history WHERE subscription_id = $1 AND version < $2
         ORDER BY version DESC LIMIT $3 OFFSET $4",
    )
    .bind(id.0)
    .bind(page.after.map_or(i64::MAX, Position::version))
    .bind(i64::from(limit) + 1)
    .bind(i64::from(offset))
    .fetch_all(pool)
    .await?;
    let rows = found.iter().map(rows::history).collect::<Result<_>>()?;
    Ok(Page::cut(rows, limit, |entry: &HistoryEntry| {
        Position::of_version(entry.version)
    }))
}
