//! Bulk work: jobs, what they walk, and their batches.

use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::connect::answered;
use super::read::{SNAPSHOT, page_of_ids};
use super::{moves, rows, statistics};
use crate::domain::Timestamp;
use crate::domain::id::{DeliveryId, EventId, JobId, first_id};
use crate::domain::job::{EventHead, FinalDelivery, Job, JobState};
use crate::store::paging::{Listing, OLDER, YOUNGER};
use crate::store::rows::{At, NEW_JOB_COLUMNS, bind_new_job};
use crate::store::{
    EventWalk, JobBatch, JobCreated, JobFilter, JobMoved, JobStore, JobWork, Moved, Page,
    PageRequest, Replayed, Result, StoreError, UnarrivedWalk, codec,
};

/// The words of the partial index, so that it serves. Subscription and id are compared as one, so
/// that it is the only one that can: a plan made while a partition was empty would walk the ids of
/// all subscriptions otherwise.
const UNARRIVED: &str = "
SELECT id, state FROM final_deliveries
WHERE (subscription_id, id) > ($1, $2) AND (subscription_id, id) < ($1, $3)
    AND state <> 'delivered'
ORDER BY subscription_id, id LIMIT $4";

const HEAD_COLUMNS: &str = "id, event_type, tenant, received_at, ordering_key, \
    octet_length(payload) AS payload_bytes";

/// Begins the next round of final deliveries; in the order of their subscription they stand as
/// after a single retry. All batches lock them in the same order: partition by partition, in each
/// by id.
static RETRY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH gone AS (
    DELETE FROM final_deliveries WHERE id = ANY($1) AND payload_bytes > 0 RETURNING *
),
{}
SELECT count(*) FROM begun_again",
        moves::begun_again("$2")
    )
});

/// Makes the deliveries that there are not, in the order given. Their first round is the one that
/// their events' acceptance would have begun. An event may have been forgotten since it was picked:
/// looked at again here, where its partition cannot go any more, nor its payload be erased.
///
/// A delivery is made by the acceptance of its event, which is committed here, or by a batch like
/// this one. Those for one subscription take turns ([`move_batch`]), so that this statement sees
/// what the one before it made, whichever table that is in by now.
const MAKE: &str = "
INSERT INTO pending_deliveries (id, event_id, subscription_id, due_at, created_at, payload_bytes,
    round)
SELECT r.id, r.event_id, $1, $2, $2, r.payload_bytes, 2
FROM unnest($3::uuid[], $4::uuid[], $5::int[])
    WITH ORDINALITY AS r (id, event_id, payload_bytes, place)
WHERE (
        SELECT e.id FROM events e WHERE e.id = r.event_id AND e.payload_erased_at IS NULL FOR SHARE
    ) IS NOT NULL
    AND (SELECT f.id FROM final_deliveries f WHERE f.id = r.id) IS NULL
ORDER BY r.place
ON CONFLICT DO NOTHING
RETURNING id";

#[async_trait]
impl JobStore for super::PostgresStore {
    async fn create_job(&self, job: &Job, most: u32) -> Result<JobCreated> {
        answered(create(&self.pools.work, job, most)).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        answered(one(&self.pools.work, id)).await
    }

    async fn open_jobs(&self, limit: u32) -> Result<Vec<Job>> {
        answered(open(&self.pools.work, limit)).await
    }

    async fn list_jobs(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
        answered(list(&self.pools.reads, filter, page)).await
    }

    async fn move_job(&self, batch: &JobBatch) -> Result<JobMoved> {
        answered(move_batch(&self.pools.work, batch)).await
    }

    async fn end_job(
        &self,
        id: JobId,
        state: JobState,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<Moved> {
        answered(end(&self.pools.work, id, state, error, now)).await
    }

    async fn forget_jobs(&self, before: Timestamp, limit: u32) -> Result<u64> {
        answered(forget(&self.pools.work, before, limit)).await
    }

    async fn walk_unarrived(&self, walk: &UnarrivedWalk) -> Result<Vec<FinalDelivery>> {
        answered(walk_unarrived(&self.pools.work, walk)).await
    }

    async fn walk_events(&self, walk: &EventWalk) -> Result<Vec<EventHead>> {
        answered(walk_events(&self.pools.work, walk)).await
    }

    async fn event_heads(&self, ids: &[EventId]) -> Result<Vec<EventHead>> {
        answered(event_heads(&self.pools.work, ids)).await
    }
}

/// Jobs, newest first.
async fn list(pool: &PgPool, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    let page = page_of_ids(&mut snapshot, &Listing::jobs(filter, page)).await?;
    let found = sqlx::query("SELECT * FROM jobs WHERE id = ANY($1) ORDER BY id DESC")
        .bind(&page.ids)
        .fetch_all(&mut *snapshot)
        .await?;
    let rows = found.iter().map(rows::job).collect::<Result<_>>()?;
    Ok(page.with(rows))
}

/// Stores a new job, unless too many are open.
async fn create(pool: &PgPool, job: &Job, most: u32) -> Result<JobCreated> {
    let sql = format!(
        "INSERT INTO jobs ({NEW_JOB_COLUMNS})
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         WHERE (SELECT count(*) FROM (
             SELECT FROM jobs WHERE finished_at IS NULL ORDER BY id LIMIT $11
         ) AS open) < $11
         AND (
             SELECT count(*) FROM jobs JOIN subscriptions s ON s.id = jobs.subscription_id
             WHERE finished_at IS NULL
                 AND s.tenant = (SELECT tenant FROM subscriptions WHERE id = $2)
         ) < $12
         ON CONFLICT (id) DO NOTHING"
    );
    let query = bind_new_job!(sqlx::query(AssertSqlSafe(sql)), job);
    let done = query
        .bind(i64::from(most))
        .bind(codec::share_of_tenant(most))
        .execute(pool)
        .await?;
    if done.rows_affected() == 1 || one(pool, job.id).await?.is_some() {
        return Ok(JobCreated::Done);
    }
    Ok(JobCreated::TooMany)
}

/// One job.
async fn one(pool: &PgPool, id: JobId) -> Result<Option<Job>> {
    let found = sqlx::query("SELECT * FROM jobs WHERE id = $1")
        .bind(id.0)
        .fetch_optional(pool)
        .await?;
    found.as_ref().map(rows::job).transpose()
}

/// Jobs that are not final, oldest first.
async fn open(pool: &PgPool, limit: u32) -> Result<Vec<Job>> {
    let found = sqlx::query("SELECT * FROM jobs WHERE finished_at IS NULL ORDER BY id LIMIT $1")
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    found.iter().map(rows::job).collect()
}

/// Moves a batch. The rows that guard it are locked first: lease, subscription, job. That of the
/// subscription is locked so that no other batch for it is under way.
async fn move_batch(pool: &PgPool, batch: &JobBatch) -> Result<JobMoved> {
    let mut transaction = pool.begin().await?;
    let epoch: Option<i64> =
        sqlx::query_scalar("SELECT epoch FROM leases WHERE partition = 0 FOR KEY SHARE")
            .fetch_optional(&mut *transaction)
            .await?;
    if epoch != Some(batch.epoch) {
        return Err(StoreError::Fenced);
    }
    let subscription: Option<i64> =
        sqlx::query_scalar("SELECT version FROM subscriptions WHERE id = $1 FOR NO KEY UPDATE")
            .bind(batch.subscription.0)
            .fetch_optional(&mut *transaction)
            .await?;
    let job: Option<i64> = sqlx::query_scalar(
        "SELECT version FROM jobs WHERE id = $1 AND finished_at IS NULL FOR UPDATE",
    )
    .bind(batch.job.0)
    .fetch_optional(&mut *transaction)
    .await?;
    if subscription != Some(batch.subscription_version) || job != Some(batch.version) {
        return Ok(JobMoved::Overtaken);
    }
    let moved = match &batch.work {
        JobWork::Retry(deliveries) => retry(&mut transaction, deliveries, batch.now).await?,
        JobWork::Replay(events) => replay(&mut transaction, batch, events).await?,
    };
    let skipped = (batch.work.len() as u64).saturating_sub(moved);
    let state = match batch.complete {
        true => JobState::Completed,
        false => JobState::Running,
    };
    sqlx::query(
        "UPDATE jobs
         SET done = done + $2, skipped = skipped + $3, cursor = coalesce($4, cursor),
             state = $5, version = version + 1, started_at = coalesce(started_at, $6),
             finished_at = $7
         WHERE id = $1",
    )
    .bind(batch.job.0)
    .bind(codec::large(moved))
    .bind(codec::large(skipped))
    .bind(batch.cursor)
    .bind(state.as_str())
    .bind(At(batch.now))
    .bind(batch.complete.then_some(At(batch.now)))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(JobMoved::Done { moved, skipped })
}

async fn retry(
    connection: &mut PgConnection,
    deliveries: &[DeliveryId],
    now: Timestamp,
) -> Result<u64> {
    let ids: Vec<Uuid> = deliveries.iter().map(|id| id.0).collect();
    let moved: i64 = sqlx::query_scalar(RETRY.as_str())
        .bind(ids)
        .bind(At(now))
        .fetch_one(connection)
        .await?;
    Ok(moved.unsigned_abs())
}

async fn replay(
    connection: &mut PgConnection,
    batch: &JobBatch,
    events: &[Replayed],
) -> Result<u64> {
    let made: Vec<Uuid> = sqlx::query_scalar(MAKE)
        .bind(batch.subscription.0)
        .bind(At(batch.now))
        .bind(events.iter().map(|one| one.delivery.0).collect::<Vec<_>>())
        .bind(events.iter().map(|one| one.event.0).collect::<Vec<_>>())
        .bind(
            events
                .iter()
                .map(|one| one.payload_bytes)
                .collect::<Vec<_>>(),
        )
        .fetch_all(&mut *connection)
        .await?;
    if !made.is_empty() {
        statistics::note_made(connection, batch.subscription, made.len(), batch.now).await?;
    }
    let there: Vec<DeliveryId> = events
        .iter()
        .filter(|one| !made.contains(&one.delivery.0))
        .map(|one| one.delivery)
        .collect();
    let again = retry(connection, &there, batch.now).await?;
    Ok(made.len() as u64 + again)
}

/// Ends a job that is not final.
async fn end(
    pool: &PgPool,
    id: JobId,
    state: JobState,
    error: Option<&str>,
    now: Timestamp,
) -> Result<Moved> {
    let done = sqlx::query(
        "UPDATE jobs SET state = $2, error = $3, finished_at = $4, version = version + 1
         WHERE id = $1 AND finished_at IS NULL",
    )
    .bind(id.0)
    .bind(state.as_str())
    .bind(error)
    .bind(At(now))
    .execute(pool)
    .await?;
    Ok(match done.rows_affected() {
        0 => Moved::Overtaken,
        _ => Moved::Done,
    })
}

/// Forgets a batch of jobs that became final long ago.
async fn forget(pool: &PgPool, before: Timestamp, limit: u32) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM jobs WHERE id = ANY(ARRAY(
             SELECT id FROM jobs WHERE finished_at < $1 ORDER BY finished_at LIMIT $2
         ))",
    )
    .bind(At(before))
    .bind(i64::from(limit))
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// One range of the index of what did not arrive.
async fn walk_unarrived(pool: &PgPool, walk: &UnarrivedWalk) -> Result<Vec<FinalDelivery>> {
    let since = first_id(walk.since);
    let found = sqlx::query(UNARRIVED)
        .bind(walk.subscription.0)
        .bind(walk.after.map_or(since, |id| id.0.max(since)))
        .bind(first_id(walk.until))
        .bind(i64::from(walk.limit))
        .fetch_all(pool)
        .await?;
    found.iter().map(rows::final_delivery).collect()
}

/// One range of the events' ids, which begin with the time they were made.
async fn walk_events(pool: &PgPool, walk: &EventWalk) -> Result<Vec<EventHead>> {
    let since = first_id(walk.since.minus(OLDER));
    let after = walk.after.map_or(since, |id| id.0.max(since));
    let sql =
        format!("SELECT {HEAD_COLUMNS} FROM events WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3");
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(after)
        .bind(first_id(walk.until.plus(YOUNGER)))
        .bind(i64::from(walk.limit))
        .fetch_all(pool)
        .await?;
    found.iter().map(rows::event_head).collect()
}

/// These events without their payloads.
async fn event_heads(pool: &PgPool, ids: &[EventId]) -> Result<Vec<EventHead>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let sql = format!("SELECT {HEAD_COLUMNS} FROM events WHERE id = ANY($1) ORDER BY id");
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .fetch_all(pool)
        .await?;
    found.iter().map(rows::event_head).collect()
}
