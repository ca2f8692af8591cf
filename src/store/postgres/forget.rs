//! What is too old to be kept and lies in no partition that could be dropped whole.

use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::partitions;
use crate::domain::Timestamp;
use crate::domain::id::{DeliveryId, EventId, first_id};
use crate::store::rows::At;
use crate::store::{Forgotten, ForgottenAnswers, Result};

/// A batch of the default partitions in one commit. An event's deliveries are found by the range
/// of ids that they can have, and locked before they are judged: a retry may be under way.
const FORGET: &str = "
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS a (id, first, last)
),
locked AS MATERIALIZED (
    SELECT d.* FROM asked CROSS JOIN LATERAL (
        SELECT id, event_id, subscription_id, state, blocks FROM deliveries_default
        WHERE id >= asked.first AND id <= asked.last AND event_id = asked.id FOR UPDATE
    ) AS d
),
old AS MATERIALIZED (
    SELECT id FROM asked WHERE id <> ALL(ARRAY(
        SELECT event_id FROM locked WHERE state = 'pending' OR EXISTS (
            SELECT FROM subscriptions s
            WHERE s.id = locked.subscription_id AND s.ordering_since = locked.blocks
                AND s.state <> 'deleted'
        )
    ))
),
gone AS (
    DELETE FROM deliveries_default WHERE id = ANY(ARRAY(
        SELECT locked.id FROM locked JOIN old ON old.id = locked.event_id
    )) RETURNING id
),
gone_attempts AS (
    DELETE FROM attempts_default WHERE delivery_id = ANY(ARRAY(SELECT id FROM gone)) RETURNING 1
),
gone_events AS (
    DELETE FROM events_default WHERE id = ANY(ARRAY(SELECT id FROM old)) RETURNING 1
)
SELECT (SELECT count(*) FROM gone_events), (SELECT count(*) FROM gone),
    (SELECT count(*) FROM gone_attempts)";

/// Old partitions, then one batch of what lies in none.
pub(super) async fn events(
    pool: &PgPool,
    before: Timestamp,
    after: Option<EventId>,
    limit: u32,
) -> Result<Forgotten> {
    let mut forgotten = match after {
        None => partitions::drop_old(pool, before).await?,
        Some(_) => Forgotten::default(),
    };
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM events_default WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3",
    )
    .bind(after.map_or(Uuid::nil(), |id| id.0))
    .bind(first_id(before))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    let (first, last): (Vec<Uuid>, Vec<Uuid>) = ids
        .iter()
        .map(|id| DeliveryId::range_of(EventId(*id)))
        .map(|(first, last)| (first.0, last.0))
        .unzip();
    if ids.len() == limit as usize {
        forgotten.next = ids.last().copied().map(EventId);
    }
    if !ids.is_empty() {
        let (events, deliveries, attempts): (i64, i64, i64) = sqlx::query_as(FORGET)
            .bind(ids)
            .bind(first)
            .bind(last)
            .fetch_one(pool)
            .await?;
        forgotten.events += events.unsigned_abs();
        forgotten.deliveries += deliveries.unsigned_abs();
        forgotten.attempts += attempts.unsigned_abs();
    }
    Ok(forgotten)
}

/// One batch of answers.
pub(super) async fn answers(
    pool: &PgPool,
    before: Timestamp,
    after: Option<DeliveryId>,
    limit: u32,
) -> Result<ForgottenAnswers> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM deliveries WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3",
    )
    .bind(after.map_or(Uuid::nil(), |id| id.0))
    .bind(first_id(before))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    let (Some(first), Some(last)) = (ids.first().copied(), ids.last().copied()) else {
        return Ok(ForgottenAnswers::default());
    };
    let full = ids.len() == limit as usize;
    let done = sqlx::query(
        "UPDATE attempts SET answer_body = '', answer_headers = ''
         WHERE delivery_id >= $1 AND delivery_id <= $2 AND started_at < $3
             AND (answer_body <> '' OR answer_headers <> '')",
    )
    .bind(first)
    .bind(last)
    .bind(At(before))
    .execute(pool)
    .await?;
    Ok(ForgottenAnswers {
        attempts: done.rows_affected(),
        next: full.then_some(DeliveryId(last)),
    })
}
