//! What is too old to be kept and lies in no partition that could be dropped whole.

use sqlx::Executor;
use sqlx::postgres::PgPool;
use tracing::debug;
use uuid::Uuid;

use super::partitions;
use crate::domain::Timestamp;
use crate::domain::id::{DeliveryId, EventId, first_id};
use crate::store::rows::At;
use crate::store::{Forgotten, ForgottenAnswers, Result, StoreError};

/// A batch of the default partitions. An event's deliveries are found by the range of ids that
/// they can have.
const FORGET: &str = "
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS a (id, first, last)
),
done AS MATERIALIZED (
    SELECT d.* FROM asked CROSS JOIN LATERAL (
        SELECT id, event_id, subscription_id, blocks FROM final_deliveries_default
        WHERE id >= asked.first AND id <= asked.last AND event_id = asked.id OFFSET 0
    ) AS d
),
old AS MATERIALIZED (
    SELECT id FROM asked WHERE id <> ALL(ARRAY(
        SELECT p.event_id FROM asked CROSS JOIN LATERAL (
            SELECT event_id FROM pending_deliveries
            WHERE id >= asked.first AND id <= asked.last AND event_id = asked.id LIMIT 1
        ) AS p
    )) AND id <> ALL(ARRAY(
        SELECT event_id FROM done WHERE EXISTS (
            SELECT FROM subscriptions s
            WHERE s.id = done.subscription_id AND s.ordering_since = done.blocks
                AND s.state <> 'deleted'
        )
    ))
),
gone AS (
    DELETE FROM final_deliveries_default WHERE id = ANY(ARRAY(
        SELECT done.id FROM done JOIN old ON old.id = done.event_id
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

/// Whoever makes something pending reads this table first: a retry takes from it, a replay looks
/// into it. So with it locked nothing of what is judged can come back to life, and the
/// statement after it sees what did.
const LOCK: &str = "LOCK TABLE final_deliveries_default IN ACCESS EXCLUSIVE MODE";

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
        match batch(pool, &ids, &first, &last).await {
            Ok((events, deliveries, attempts)) => {
                forgotten.events += events.unsigned_abs();
                forgotten.deliveries += deliveries.unsigned_abs();
                forgotten.attempts += attempts.unsigned_abs();
            }
            Err(StoreError::Unavailable(reason))
                if reason.contains(partitions::LOCK_NOT_AVAILABLE) =>
            {
                debug!("old events without a partition are in use and go with a later round");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(forgotten)
}

async fn batch(
    pool: &PgPool,
    ids: &[Uuid],
    first: &[Uuid],
    last: &[Uuid],
) -> Result<(i64, i64, i64)> {
    let mut transaction = pool.begin().await?;
    transaction.execute(partitions::INSTANT).await?;
    transaction.execute(LOCK).await?;
    let counts = sqlx::query_as(FORGET)
        .bind(ids)
        .bind(first)
        .bind(last)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(counts)
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
