//! Lines: deliveries of a subscription that go one after the other.

use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use super::connect::Pools;
use super::{deliver, id_list, rows};
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::domain::ordering::{Line, Ordering};
use crate::store::rows::At;
use crate::store::{BlockingRow, DuePage, DueRow, HeadRow, LineStore, Moved, Result};

/// From line to line by one step into the index each, never along a line. Public for the test
/// that reads its plan.
pub const HEADS: &str = "
WITH RECURSIVE walk (line, step) AS (
    SELECT * FROM (
        SELECT line, 1 FROM pending_deliveries INDEXED BY pending_deliveries_in_line
        WHERE subscription_id = $1 AND line > '' AND line > $3
        ORDER BY line LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT d.line FROM pending_deliveries d INDEXED BY pending_deliveries_in_line
        WHERE d.subscription_id = $1 AND d.line > ''
            AND d.line > walk.line
        ORDER BY d.line LIMIT 1
    ), walk.step + 1
    FROM walk WHERE walk.line IS NOT NULL AND walk.step < $4
)
SELECT head.line, head.seq, head.id, head.event_id, head.due_at, head.attempts, head.round,
    head.round_attempts, head.aged_us, head.version, head.payload_bytes, EXISTS (
        SELECT 1 FROM final_deliveries b INDEXED BY final_deliveries_blocking
        WHERE b.subscription_id = $1 AND b.line = walk.line AND b.blocks IS NOT NULL
            AND b.blocks = $2
    ) AS blocked
FROM walk
JOIN pending_deliveries head ON head.subscription_id = $1 AND head.id = (
    SELECT d.id FROM pending_deliveries d INDEXED BY pending_deliveries_in_line
    WHERE d.subscription_id = $1 AND d.line > '' AND d.line = walk.line
    ORDER BY d.seq LIMIT 1
)
ORDER BY walk.step";

/// One range of the same index for each line.
pub const AFTER: &str = "
SELECT run.line, run.id, run.event_id, run.due_at, run.attempts, run.round, run.round_attempts,
    run.aged_us, run.version, run.payload_bytes
FROM json_each($2) AS head
JOIN pending_deliveries run ON run.subscription_id = $1 AND run.id IN (
    SELECT d.id FROM pending_deliveries d INDEXED BY pending_deliveries_in_line
    WHERE d.subscription_id = $1 AND d.line > ''
        AND d.line = head.value ->> 0 AND d.seq > head.value ->> 1
    ORDER BY d.seq LIMIT $3
)
ORDER BY head.key, run.seq";

/// One range of the index of what is free.
const FREE: &str = "
SELECT id, event_id, due_at, attempts, round, round_attempts, aged_us, version, payload_bytes
FROM pending_deliveries INDEXED BY pending_deliveries_free
WHERE subscription_id = ?
    AND (line = '' OR (line IS NULL AND round > 1)) AND due_at <= ?
ORDER BY due_at, seq LIMIT ?";

/// One probe behind it.
const NEXT_FREE: &str = "
SELECT due_at FROM pending_deliveries INDEXED BY pending_deliveries_free
WHERE subscription_id = ?
    AND (line = '' OR (line IS NULL AND round > 1)) AND due_at > ?
ORDER BY due_at LIMIT 1";

/// Along the index by age.
const PICKED: &str = "
SELECT seq, id FROM pending_deliveries INDEXED BY pending_deliveries_age
WHERE subscription_id = $1 AND seq > $2 ORDER BY seq LIMIT $3";

/// Each by its key.
const PLACE: &str = "
UPDATE pending_deliveries SET line = CASE WHEN $2 THEN $3 ELSE coalesce($4 || (
    SELECT ordering_key FROM events WHERE events.id = pending_deliveries.event_id
), '') END
WHERE subscription_id = $5 AND id IN (SELECT unhex(value) FROM json_each($1))";

#[async_trait]
impl LineStore for super::SqliteStore {
    async fn line_heads(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: usize,
    ) -> Result<Vec<HeadRow>> {
        heads(&self.pools, id, rule, after, limit).await
    }

    async fn lines_after(
        &self,
        id: SubscriptionId,
        heads: &[(Line, i64)],
        limit: usize,
    ) -> Result<Vec<(Line, DueRow)>> {
        after(&self.pools, id, heads, limit).await
    }

    async fn free_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage> {
        free_page(&self.pools, id, now, limit).await
    }

    async fn line_up(
        &self,
        id: SubscriptionId,
        ordering: Ordering,
        after: i64,
        limit: u32,
    ) -> Result<Option<i64>> {
        line_up(&self.pools, id, ordering, after, limit).await
    }

    async fn note_lined_up(&self, id: SubscriptionId, rule: Timestamp) -> Result<()> {
        note_lined_up(&self.pools, id, rule).await
    }

    async fn release_line(
        &self,
        id: DeliveryId,
        version: i64,
        to: DeliveryState,
        now: Timestamp,
    ) -> Result<Moved> {
        release(&self.pools, id, version, to, now).await
    }

    async fn blocking(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: u32,
    ) -> Result<Vec<BlockingRow>> {
        blocking(&self.pools, id, rule, after, limit).await
    }
}

/// The heads of lines.
async fn heads(
    pools: &Pools,
    id: SubscriptionId,
    rule: Timestamp,
    after: Option<&Line>,
    limit: usize,
) -> Result<Vec<HeadRow>> {
    let found = sqlx::query(HEADS)
        .bind(id.0)
        .bind(At(rule))
        .bind(after.map_or("", Line::as_str))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&pools.readers)
        .await?;
    found.iter().map(|row| rows::head(row, id)).collect()
}

/// What follows these heads.
async fn after(
    pools: &Pools,
    id: SubscriptionId,
    heads: &[(Line, i64)],
    limit: usize,
) -> Result<Vec<(Line, DueRow)>> {
    let list: Vec<_> = heads
        .iter()
        .map(|(line, seq)| json!([line.as_str(), seq]))
        .collect();
    let found = sqlx::query(AFTER)
        .bind(id.0)
        .bind(json!(list).to_string())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&pools.readers)
        .await?;
    found
        .iter()
        .map(|row| Ok((rows::line(row)?, rows::due(row, id)?)))
        .collect()
}

/// What is due and stands in no line.
async fn free_page(
    pools: &Pools,
    id: SubscriptionId,
    now: Timestamp,
    limit: usize,
) -> Result<DuePage> {
    deliver::page(pools, (FREE, NEXT_FREE), id, now, limit).await
}

/// Lines a batch up.
async fn line_up(
    pools: &Pools,
    id: SubscriptionId,
    ordering: Ordering,
    after: i64,
    limit: u32,
) -> Result<Option<i64>> {
    let all = Ordering::All.line(None);
    let prefix = Ordering::Key.line(Some(""));
    let mut transaction = pools.write().await?;
    let picked: Vec<(i64, Uuid)> = sqlx::query_as(PICKED)
        .bind(id.0)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut *transaction)
        .await?;
    let Some((last, _)) = picked.last().copied() else {
        return Ok(None);
    };
    sqlx::query(PLACE)
        .bind(id_list(picked.into_iter().map(|(_, id)| id)))
        .bind(ordering == Ordering::All)
        .bind(all.as_ref().map(Line::as_str))
        .bind(prefix.as_ref().map(Line::as_str))
        .bind(id.0)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Some(last))
}

/// All is lined up.
async fn note_lined_up(pools: &Pools, id: SubscriptionId, rule: Timestamp) -> Result<()> {
    let mut transaction = pools.write().await?;
    sqlx::query(
        "INSERT INTO subscription_runtime (subscription_id, lined_up) VALUES (?, ?)
         ON CONFLICT (subscription_id) DO UPDATE SET lined_up = excluded.lined_up",
    )
    .bind(id.0)
    .bind(At(rule))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// A failed delivery blocks no more.
async fn release(
    pools: &Pools,
    id: DeliveryId,
    version: i64,
    to: DeliveryState,
    now: Timestamp,
) -> Result<Moved> {
    let mut transaction = pools.write().await?;
    sqlx::query(
        "INSERT INTO statistic_deltas (at, subscription_id, from_state, to_state, moved)
         SELECT ?, subscription_id, state, ?, 1 FROM final_deliveries
         WHERE id = ? AND version = ? AND blocks IS NOT NULL",
    )
    .bind(At(now))
    .bind(to.as_str())
    .bind(id.0)
    .bind(version)
    .execute(&mut *transaction)
    .await?;
    let done = sqlx::query(
        "UPDATE final_deliveries SET state = ?, blocks = NULL, version = version + 1
         WHERE id = ? AND version = ? AND blocks IS NOT NULL",
    )
    .bind(to.as_str())
    .bind(id.0)
    .bind(version)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(match done.rows_affected() {
        0 => Moved::Overtaken,
        _ => Moved::Done,
    })
}

/// What blocks a line.
async fn blocking(
    pools: &Pools,
    id: SubscriptionId,
    rule: Timestamp,
    after: Option<&Line>,
    limit: u32,
) -> Result<Vec<BlockingRow>> {
    let found = sqlx::query(
        "SELECT line, id, event_id, state, finished_at
         FROM final_deliveries INDEXED BY final_deliveries_blocking
         WHERE subscription_id = ? AND blocks IS NOT NULL AND blocks = ? AND line > ?
         ORDER BY line, seq LIMIT ?",
    )
    .bind(id.0)
    .bind(At(rule))
    .bind(after.map_or("", Line::as_str))
    .bind(i64::from(limit))
    .fetch_all(&pools.readers)
    .await?;
    found.iter().map(rows::blocking).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::plans;

    #[tokio::test]
    async fn what_is_lined_up_is_found_by_its_key_whatever_else_is_pending() {
        let steps = plans::of(PLACE).await;
        let of_deliveries = |step: &&String| step.contains("deliveries");
        let found: Vec<_> = steps.iter().filter(of_deliveries).collect();
        assert_eq!(found.len(), 1, "{steps:?}");
        assert!(
            found[0].ends_with("(subscription_id=? AND id=?)"),
            "{steps:?}"
        );
    }
}
