//! Lines: deliveries of a subscription that go one after the other.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::connect::answered;
use super::{deliver, rows};
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
    (SELECT line, 1 FROM pending_deliveries
     WHERE subscription_id = $1 AND line > '' AND line > $3
     ORDER BY line LIMIT 1)
    UNION ALL
    SELECT (
        SELECT d.line FROM pending_deliveries d
        WHERE d.subscription_id = $1 AND d.line > ''
            AND d.line > walk.line
        ORDER BY d.line LIMIT 1
    ), walk.step + 1
    FROM walk WHERE walk.line IS NOT NULL AND walk.step < $4
)
SELECT head.*, EXISTS (
    SELECT FROM final_deliveries b
    WHERE b.subscription_id = $1 AND b.line = walk.line AND b.blocks IS NOT NULL
        AND b.blocks = $2
) AS blocked
FROM walk
CROSS JOIN LATERAL (
    SELECT line, seq, id, event_id, due_at, attempts, round, round_attempts, aged_us, version,
        payload_bytes
    FROM pending_deliveries d
    WHERE d.subscription_id = $1 AND d.line > ''
        AND d.line = walk.line
    ORDER BY d.seq LIMIT 1
) AS head
ORDER BY walk.step";

/// One range of the same index for each line.
const AFTER: &str = "
SELECT run.*
FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS head (line, seq, place)
CROSS JOIN LATERAL (
    SELECT line, seq, id, event_id, due_at, attempts, round, round_attempts, aged_us, version,
        payload_bytes
    FROM pending_deliveries d
    WHERE d.subscription_id = $1 AND d.line > ''
        AND d.line = head.line AND d.seq > head.seq
    ORDER BY d.seq LIMIT $4
) AS run
ORDER BY head.place, run.seq";

/// As a page of what is due, along an index of what is free.
const FREE_PAGE: &str = "
SELECT next.due_at AS next_due, page.*
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT due_at FROM pending_deliveries
    WHERE subscription_id = $1
        AND (line = '' OR (line IS NULL AND round > 1)) AND due_at > $2
    ORDER BY due_at, seq LIMIT 1
) AS next ON true
LEFT JOIN (
    SELECT id, event_id, due_at, seq, attempts, round, round_attempts, aged_us, version,
        payload_bytes
    FROM pending_deliveries
    WHERE subscription_id = $1
        AND (line = '' OR (line IS NULL AND round > 1)) AND due_at <= $2
    ORDER BY due_at, seq LIMIT $3
) AS page ON true";

/// Along the index by age; each event is read by its key, whatever the plan. Locked in the order of
/// ids, as the recorder does.
const LINE_UP: &str = "
WITH picked AS MATERIALIZED (
    SELECT id, event_id, seq FROM pending_deliveries
    WHERE subscription_id = $1 AND seq > $2
    ORDER BY seq LIMIT $3
),
placed AS MATERIALIZED (
    SELECT picked.id, CASE WHEN $4 THEN $5 ELSE coalesce($6 || key.ordering_key, '') END AS line
    FROM picked
    LEFT JOIN LATERAL (
        SELECT ordering_key FROM events WHERE events.id = picked.event_id LIMIT 1
    ) AS key ON true
),
locked AS MATERIALIZED (
    SELECT id FROM pending_deliveries
    WHERE id = ANY(ARRAY(SELECT id FROM placed))
    ORDER BY id FOR UPDATE
),
moved AS (
    UPDATE pending_deliveries d SET line = placed.line FROM placed
    WHERE d.id = ANY(ARRAY(SELECT id FROM locked)) AND d.id = placed.id AND d.line IS DISTINCT FROM placed.line
)
SELECT max(seq) AS last FROM picked";

#[async_trait]
impl LineStore for super::PostgresStore {
    async fn line_heads(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: usize,
    ) -> Result<Vec<HeadRow>> {
        answered(heads(&self.pools.work, id, rule, after, limit)).await
    }

    async fn lines_after(
        &self,
        id: SubscriptionId,
        heads: &[(Line, i64)],
        limit: usize,
    ) -> Result<Vec<(Line, DueRow)>> {
        answered(after(&self.pools.work, id, heads, limit)).await
    }

    async fn free_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage> {
        answered(free_page(&self.pools.work, id, now, limit)).await
    }

    async fn line_up(
        &self,
        id: SubscriptionId,
        ordering: Ordering,
        after: i64,
        limit: u32,
    ) -> Result<Option<i64>> {
        answered(line_up(&self.pools.work, id, ordering, after, limit)).await
    }

    async fn note_lined_up(&self, id: SubscriptionId, rule: Timestamp) -> Result<()> {
        answered(note_lined_up(&self.pools.work, id, rule)).await
    }

    async fn release_line(
        &self,
        id: DeliveryId,
        version: i64,
        to: DeliveryState,
        now: Timestamp,
    ) -> Result<Moved> {
        answered(release(&self.pools.work, id, version, to, now)).await
    }

    async fn blocking(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: u32,
    ) -> Result<Vec<BlockingRow>> {
        answered(blocking(&self.pools.work, id, rule, after, limit)).await
    }
}

/// The heads of lines.
async fn heads(
    pool: &PgPool,
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
        .fetch_all(pool)
        .await?;
    found.iter().map(|row| rows::head(row, id)).collect()
}

/// What follows these heads.
async fn after(
    pool: &PgPool,
    id: SubscriptionId,
    heads: &[(Line, i64)],
    limit: usize,
) -> Result<Vec<(Line, DueRow)>> {
    let lines: Vec<&str> = heads.iter().map(|(line, _)| line.as_str()).collect();
    let places: Vec<i64> = heads.iter().map(|(_, seq)| *seq).collect();
    let found = sqlx::query(AFTER)
        .bind(id.0)
        .bind(lines)
        .bind(places)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    found
        .iter()
        .map(|row| Ok((rows::line(row)?, rows::due(row, id)?)))
        .collect()
}

/// What is due and stands in no line.
async fn free_page(
    pool: &PgPool,
    id: SubscriptionId,
    now: Timestamp,
    limit: usize,
) -> Result<DuePage> {
    deliver::page(pool, FREE_PAGE, id, now, limit).await
}

/// Lines a batch up.
async fn line_up(
    pool: &PgPool,
    id: SubscriptionId,
    ordering: Ordering,
    after: i64,
    limit: u32,
) -> Result<Option<i64>> {
    let all = Ordering::All.line(None);
    let prefix = Ordering::Key.line(Some(""));
    let row = sqlx::query(LINE_UP)
        .bind(id.0)
        .bind(after)
        .bind(i64::from(limit))
        .bind(ordering == Ordering::All)
        .bind(all.as_ref().map(Line::as_str))
        .bind(prefix.as_ref().map(Line::as_str))
        .fetch_one(pool)
        .await?;
    Ok(row.try_get("last")?)
}

/// All is lined up.
async fn note_lined_up(pool: &PgPool, id: SubscriptionId, rule: Timestamp) -> Result<()> {
    sqlx::query(
        "INSERT INTO subscription_runtime (subscription_id, lined_up) VALUES ($1, $2)
         ON CONFLICT (subscription_id) DO UPDATE SET lined_up = excluded.lined_up",
    )
    .bind(id.0)
    .bind(At(rule))
    .execute(pool)
    .await?;
    Ok(())
}

/// A failed delivery blocks no more.
async fn release(
    pool: &PgPool,
    id: DeliveryId,
    version: i64,
    to: DeliveryState,
    now: Timestamp,
) -> Result<Moved> {
    let done: i64 = sqlx::query_scalar(
        "WITH old AS MATERIALIZED (
             SELECT id, subscription_id, state FROM final_deliveries
             WHERE id = $1 AND version = $2 AND blocks IS NOT NULL FOR UPDATE
         ),
         released AS (
             UPDATE final_deliveries SET state = $3, blocks = NULL, version = version + 1
             WHERE id = $1 AND version = $2 AND blocks IS NOT NULL AND EXISTS (SELECT FROM old)
             RETURNING 1
         ),
         counted AS (
             INSERT INTO statistic_deltas (at, subscription_id, from_state, to_state, moved)
             SELECT $4, subscription_id, state, $3, 1 FROM old
         )
         SELECT count(*) FROM released",
    )
    .bind(id.0)
    .bind(version)
    .bind(to.as_str())
    .bind(At(now))
    .fetch_one(pool)
    .await?;
    Ok(match done {
        0 => Moved::Overtaken,
        _ => Moved::Done,
    })
}

/// What blocks a line.
async fn blocking(
    pool: &PgPool,
    id: SubscriptionId,
    rule: Timestamp,
    after: Option<&Line>,
    limit: u32,
) -> Result<Vec<BlockingRow>> {
    let id: Uuid = id.0;
    let found = sqlx::query(
        "SELECT line, id, event_id, state, finished_at FROM final_deliveries
         WHERE subscription_id = $1 AND blocks IS NOT NULL
             AND blocks = $2 AND line > $3
         ORDER BY line, seq LIMIT $4",
    )
    .bind(id)
    .bind(At(rule))
    .bind(after.map_or("", Line::as_str))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    found.iter().map(rows::blocking).collect()
}
