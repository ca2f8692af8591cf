//! Bulk work: jobs, what they walk, and their batches.

use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, SqliteConnection};
use uuid::Uuid;

use super::accept::DRAW;
use super::bulk::Bulk;
use super::connect::Pools;
use super::read::page_of_ids;
use super::{id_list, moves, rows, statistics};
use crate::domain::Timestamp;
use crate::domain::id::{EventId, JobId, first_id};
use crate::domain::job::{EventHead, FinalDelivery, Job, JobState};
use crate::store::paging::{Listing, OLDER, YOUNGER};
use crate::store::rows::{At, NEW_JOB_COLUMNS, bind_new_job};
use crate::store::{
    EventWalk, JobBatch, JobCreated, JobFilter, JobMoved, JobStore, JobWork, Moved, Page,
    PageRequest, Replayed, Result, StoreError, UnarrivedWalk, codec,
};

const UNARRIVED: &str = "
SELECT id, state FROM final_deliveries INDEXED BY final_deliveries_unarrived
WHERE subscription_id = ? AND state <> 'delivered' AND id > ? AND id < ?
ORDER BY id LIMIT ?";

const HEAD_COLUMNS: &str = "id, event_type, tenant, received_at, ordering_key, \
    length(payload) AS payload_bytes";

/// Makes the deliveries that there are not. Their first round is the one that their events'
/// acceptance would have begun. An event may have been forgotten since it was picked.
static MAKE: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT INTO pending_deliveries (seq, id, event_id, subscription_id, due_at, created_at, \
         payload_bytes, round) SELECT * FROM (VALUES",
        8,
        ") WHERE EXISTS (
                 SELECT 1 FROM events
                 WHERE events.id = column3 AND events.payload_erased_at IS NULL
             )
             AND NOT EXISTS (SELECT 1 FROM final_deliveries WHERE final_deliveries.id = column2)
         ON CONFLICT DO NOTHING RETURNING id",
    )
});

#[async_trait]
impl JobStore for super::SqliteStore {
    async fn create_job(&self, job: &Job, most: u32) -> Result<JobCreated> {
        create(&self.pools, job, most).await
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>> {
        one(&self.pools, id).await
    }

    async fn open_jobs(&self, limit: u32) -> Result<Vec<Job>> {
        open(&self.pools, limit).await
    }

    async fn list_jobs(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
        list(&self.pools, filter, page).await
    }

    async fn move_job(&self, batch: &JobBatch) -> Result<JobMoved> {
        move_batch(&self.pools, batch).await
    }

    async fn end_job(
        &self,
        id: JobId,
        state: JobState,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<Moved> {
        end(&self.pools, id, state, error, now).await
    }

    async fn forget_jobs(&self, before: Timestamp, limit: u32) -> Result<u64> {
        forget(&self.pools, before, limit).await
    }

    async fn walk_unarrived(&self, walk: &UnarrivedWalk) -> Result<Vec<FinalDelivery>> {
        walk_unarrived(&self.pools, walk).await
    }

    async fn walk_events(&self, walk: &EventWalk) -> Result<Vec<EventHead>> {
        walk_events(&self.pools, walk).await
    }

    async fn event_heads(&self, ids: &[EventId]) -> Result<Vec<EventHead>> {
        event_heads(&self.pools, ids).await
    }
}

/// Jobs, newest first.
async fn list(pools: &Pools, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
    let mut snapshot = pools.read().await?;
    let page = page_of_ids(&mut snapshot, &Listing::jobs(filter, page)).await?;
    let found = sqlx::query(
        "SELECT * FROM jobs WHERE id IN (SELECT unhex(value) FROM json_each($1)) ORDER BY id DESC",
    )
    .bind(id_list(page.ids.iter().copied()))
    .fetch_all(&mut *snapshot)
    .await?;
    let rows = found.iter().map(rows::job).collect::<Result<_>>()?;
    Ok(page.with(rows))
}

/// Stores a new job, unless too many are open.
async fn create(pools: &Pools, job: &Job, most: u32) -> Result<JobCreated> {
    let mut transaction = pools.write().await?;
    let sql = format!(
        "INSERT INTO jobs ({NEW_JOB_COLUMNS})
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         WHERE (SELECT count(*) FROM (
             SELECT 1 FROM jobs INDEXED BY jobs_open WHERE finished_at IS NULL LIMIT $11
         )) < $11
         AND (
             SELECT count(*) FROM jobs INDEXED BY jobs_open
             JOIN subscriptions s ON s.id = jobs.subscription_id
             WHERE finished_at IS NULL
                 AND s.tenant = (SELECT tenant FROM subscriptions WHERE id = $2)
         ) < $12
         ON CONFLICT DO NOTHING"
    );
    let query = bind_new_job!(sqlx::query(AssertSqlSafe(sql)), job);
    let done = query
        .bind(i64::from(most))
        .bind(codec::share_of_tenant(most))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    if done.rows_affected() == 1 || one(pools, job.id).await?.is_some() {
        return Ok(JobCreated::Done);
    }
    Ok(JobCreated::TooMany)
}

/// One job.
async fn one(pools: &Pools, id: JobId) -> Result<Option<Job>> {
    let found = sqlx::query("SELECT * FROM jobs WHERE id = ?")
        .bind(id.0)
        .fetch_optional(&pools.readers)
        .await?;
    found.as_ref().map(rows::job).transpose()
}

/// Jobs that are not final, oldest first.
async fn open(pools: &Pools, limit: u32) -> Result<Vec<Job>> {
    let found = sqlx::query(
        "SELECT * FROM jobs INDEXED BY jobs_open WHERE finished_at IS NULL ORDER BY id LIMIT ?",
    )
    .bind(i64::from(limit))
    .fetch_all(&pools.readers)
    .await?;
    found.iter().map(rows::job).collect()
}

/// Moves a batch.
async fn move_batch(pools: &Pools, batch: &JobBatch) -> Result<JobMoved> {
    let mut transaction = pools.write().await?;
    let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM leases WHERE partition = 0")
        .fetch_one(&mut *transaction)
        .await?;
    if epoch != batch.epoch {
        return Err(StoreError::Fenced);
    }
    let subscription: Option<i64> =
        sqlx::query_scalar("SELECT version FROM subscriptions WHERE id = ?")
            .bind(batch.subscription.0)
            .fetch_optional(&mut *transaction)
            .await?;
    let job: Option<i64> =
        sqlx::query_scalar("SELECT version FROM jobs WHERE id = ? AND finished_at IS NULL")
            .bind(batch.job.0)
            .fetch_optional(&mut *transaction)
            .await?;
    if subscription != Some(batch.subscription_version) || job != Some(batch.version) {
        return Ok(JobMoved::Overtaken);
    }
    let moved = match &batch.work {
        JobWork::Retry(deliveries) => {
            let ids = deliveries.iter().map(|delivery| delivery.0);
            moves::retry(&mut transaction, ids, batch.now).await?
        }
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

async fn replay(
    connection: &mut SqliteConnection,
    batch: &JobBatch,
    events: &[Replayed],
) -> Result<u64> {
    let mut made: Vec<Uuid> = Vec::with_capacity(events.len());
    let last: i64 = sqlx::query_scalar(DRAW)
        .bind(codec::large(events.len() as u64))
        .fetch_one(&mut *connection)
        .await?;
    let mut places = last - codec::large(events.len() as u64)..last;
    for (sql, events) in MAKE.chunks(events) {
        let mut query = sqlx::query_scalar::<_, Uuid>(sql);
        for (one, place) in events.iter().zip(&mut places) {
            query = query
                .bind(place + 1)
                .bind(one.delivery.0)
                .bind(one.event.0)
                .bind(batch.subscription.0)
                .bind(At(batch.now))
                .bind(At(batch.now))
                .bind(one.payload_bytes)
                .bind(2);
        }
        made.extend(query.fetch_all(&mut *connection).await?);
    }
    if !made.is_empty() {
        statistics::note_made(connection, batch.subscription, made.len(), batch.now).await?;
    }
    let there = events
        .iter()
        .map(|one| one.delivery.0)
        .filter(|delivery| !made.contains(delivery));
    let again = moves::retry(connection, there, batch.now).await?;
    Ok(made.len() as u64 + again)
}

/// Ends a job that is not final.
async fn end(
    pools: &Pools,
    id: JobId,
    state: JobState,
    error: Option<&str>,
    now: Timestamp,
) -> Result<Moved> {
    let mut transaction = pools.write().await?;
    let done = sqlx::query(
        "UPDATE jobs SET state = ?, error = ?, finished_at = ?, version = version + 1
         WHERE id = ? AND finished_at IS NULL",
    )
    .bind(state.as_str())
    .bind(error)
    .bind(At(now))
    .bind(id.0)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(match done.rows_affected() {
        0 => Moved::Overtaken,
        _ => Moved::Done,
    })
}

/// Forgets a batch of jobs that became final long ago.
async fn forget(pools: &Pools, before: Timestamp, limit: u32) -> Result<u64> {
    let mut transaction = pools.write().await?;
    let done = sqlx::query(
        "DELETE FROM jobs WHERE id IN (
             SELECT id FROM jobs INDEXED BY jobs_finished
             WHERE finished_at < ? ORDER BY finished_at LIMIT ?
         )",
    )
    .bind(At(before))
    .bind(i64::from(limit))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(done.rows_affected())
}

/// One range of the index of what did not arrive.
async fn walk_unarrived(pools: &Pools, walk: &UnarrivedWalk) -> Result<Vec<FinalDelivery>> {
    let since = first_id(walk.since);
    let found = sqlx::query(UNARRIVED)
        .bind(walk.subscription.0)
        .bind(walk.after.map_or(since, |id| id.0.max(since)))
        .bind(first_id(walk.until))
        .bind(i64::from(walk.limit))
        .fetch_all(&pools.readers)
        .await?;
    found.iter().map(rows::final_delivery).collect()
}

/// One range of the events' ids, which begin with the time they were made.
async fn walk_events(pools: &Pools, walk: &EventWalk) -> Result<Vec<EventHead>> {
    let since = first_id(walk.since.minus(OLDER));
    let after = walk.after.map_or(since, |id| id.0.max(since));
    let sql =
        format!("SELECT {HEAD_COLUMNS} FROM events WHERE id > ? AND id < ? ORDER BY id LIMIT ?");
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(after)
        .bind(first_id(walk.until.plus(YOUNGER)))
        .bind(i64::from(walk.limit))
        .fetch_all(&pools.readers)
        .await?;
    found.iter().map(rows::event_head).collect()
}

/// These events without their payloads.
async fn event_heads(pools: &Pools, ids: &[EventId]) -> Result<Vec<EventHead>> {
    let sql = format!(
        "SELECT {HEAD_COLUMNS} FROM events
         WHERE id IN (SELECT unhex(value) FROM json_each(?)) ORDER BY id"
    );
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(id_list(ids.iter().map(|id| id.0)))
        .fetch_all(&pools.readers)
        .await?;
    found.iter().map(rows::event_head).collect()
}
