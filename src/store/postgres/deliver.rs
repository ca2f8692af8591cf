//! What is due, and what it carries.

use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::rows;
use crate::domain::Timestamp;
use crate::domain::event::Event;
use crate::domain::id::{EventId, SubscriptionId};
use crate::store::rows::{At, EVENT_COLUMNS};
use crate::store::{DuePage, DueRow, Result, Runtime, Standing};

/// One range of the index by due time, and one probe behind it. The left joins answer a row with
/// `next_due` even where nothing is due.
const DUE_PAGE: &str = "
SELECT next.due_at AS next_due, page.*
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT due_at FROM pending_deliveries
    WHERE subscription_id = $1 AND due_at > $2
    ORDER BY due_at, seq LIMIT 1
) AS next ON true
LEFT JOIN (
    SELECT id, event_id, due_at, seq, attempts, round, round_attempts, aged_us, version,
        payload_bytes
    FROM pending_deliveries
    WHERE subscription_id = $1 AND due_at <= $2
    ORDER BY due_at, seq LIMIT $3
) AS page ON true";

/// One range of the index by age.
const OLDEST: &str = "
SELECT id, event_id, due_at, attempts, round, round_attempts, aged_us, version, payload_bytes
FROM pending_deliveries WHERE subscription_id = $1 ORDER BY seq LIMIT $2";

/// Up to `limit` due deliveries, and when the next one falls due.
pub(super) async fn due_page(
    pool: &PgPool,
    id: SubscriptionId,
    now: Timestamp,
    limit: usize,
) -> Result<DuePage> {
    page(pool, DUE_PAGE, id, now, limit).await
}

/// What a query in the form of [`DUE_PAGE`] answers.
pub(super) async fn page(
    pool: &PgPool,
    sql: &'static str,
    id: SubscriptionId,
    now: Timestamp,
    limit: usize,
) -> Result<DuePage> {
    let found = sqlx::query(sql)
        .bind(id.0)
        .bind(At(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    let mut page = DuePage::default();
    let mut due = Vec::with_capacity(found.len());
    for row in &found {
        page.next_due = row.try_get::<Option<At>, _>("next_due")?.map(|at| at.0);
        if let Some(seq) = row.try_get::<Option<i64>, _>("seq")? {
            due.push((rows::due(row, id)?, seq));
        }
    }
    // They come in this order already, but a join promises none.
    due.sort_by_key(|(row, seq)| (row.delivery.due_at, *seq));
    page.due = due.into_iter().map(|(row, _)| row).collect();
    Ok(page)
}

/// Up to `limit` pending deliveries in the order of acceptance.
pub(super) async fn oldest_pending(
    pool: &PgPool,
    id: SubscriptionId,
    limit: usize,
) -> Result<Vec<DueRow>> {
    let found = sqlx::query(OLDEST)
        .bind(id.0)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    found.iter().map(|row| rows::due(row, id)).collect()
}

/// The events with these ids. Their bounds leave out partitions that hold none of them.
pub(super) async fn events(pool: &PgPool, ids: &[EventId]) -> Result<Vec<Event>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let sql = format!(
        "SELECT {EVENT_COLUMNS} FROM events
         WHERE id BETWEEN $2 AND $3 AND id = ANY($1) AND payload_erased_at IS NULL"
    );
    let (first, last) = (ids.iter().min().copied(), ids.iter().max().copied());
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .bind(first)
        .bind(last)
        .fetch_all(pool)
        .await?;
    found.iter().map(rows::event).collect()
}

/// What was learnt about the receiver.
pub(super) async fn runtime(pool: &PgPool, id: SubscriptionId) -> Result<Runtime> {
    let found = sqlx::query("SELECT * FROM subscription_runtime WHERE subscription_id = $1")
        .bind(id.0)
        .fetch_optional(pool)
        .await?;
    found.as_ref().map_or(Ok(Runtime::default()), rows::runtime)
}

/// Pending deliveries of all subscriptions, up to a bound.
pub(super) async fn count_pending(pool: &PgPool, most: u32) -> Result<u64> {
    let counted: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT FROM pending_deliveries LIMIT $1) AS counted",
    )
    .bind(i64::from(most))
    .fetch_one(pool)
    .await?;
    Ok(counted.unsigned_abs())
}

/// A bounded count, the head of the index by age, and one row.
const STANDING: &str = "
SELECT
    (SELECT count(*) FROM (
        SELECT FROM pending_deliveries WHERE subscription_id = $1 LIMIT $2
    ) AS counted) AS pending,
    (SELECT created_at FROM pending_deliveries WHERE subscription_id = $1 ORDER BY seq LIMIT 1) AS oldest,
    r.error_at, r.error_status, r.error_kind, r.error_delivery, r.error_attempt
FROM (SELECT) AS always LEFT JOIN subscription_runtime r ON r.subscription_id = $1";

/// How a subscription stands.
pub(super) async fn standing(pool: &PgPool, id: SubscriptionId, most: u32) -> Result<Standing> {
    let row = sqlx::query(STANDING)
        .bind(id.0)
        .bind(i64::from(most))
        .fetch_one(pool)
        .await?;
    rows::standing(&row)
}
