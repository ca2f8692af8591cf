//! Attempts in, deliveries moved: one transaction a group.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::bulk::Bulk;
use super::connect::Pools;
use super::operational;
use crate::domain::breaker::StoredBreaker;
use crate::domain::delivery::AttemptRecord;
use crate::domain::id::SubscriptionId;
use crate::domain::operational::OperationalEvent;
use crate::store::codec::{self, Learnt, OutcomeColumns};
use crate::store::rows::At;
use crate::store::{RecordGroup, Recorded, Result, StoreError};

/// The columns of a list of values are called `column1` and so on. `finished_at IS NULL` stands
/// for pending, so that the id's index is the only one that a plan can use: "pending" would let it
/// walk all that is pending, of whomever.
static MOVE: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "UPDATE deliveries
         SET state = r.column3, due_at = r.column4, finished_at = r.column5,
             attempts = r.column6, round = r.column7, round_attempts = r.column8,
             aged_us = r.column9, version = r.column10, blocks = r.column11
         FROM (VALUES",
        11,
        ") AS r
         WHERE deliveries.id = r.column1 AND deliveries.version = r.column2
             AND deliveries.finished_at IS NULL
         RETURNING deliveries.id",
    )
});

static LOG: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT INTO attempts (id, delivery_id, number, trigger, started_at, duration_us, \
         name_us, connect_us, tls_us, first_byte_us, body_us, status, error_kind, \
         error_message, request_headers, answer_headers, answer_body, answer_cut, stale) VALUES",
        19,
        "ON CONFLICT DO NOTHING",
    )
});

/// SQLite's `max` of two is NULL where one is; 0 stands for none there, and is none again.
const LEARN: &str = "
INSERT INTO subscription_runtime (subscription_id, hold_until, tried_at, streak_from,
    failing_since, failed_at, exhausted, evidence)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (subscription_id) DO UPDATE
    SET hold_until = nullif(max(coalesce(hold_until, 0), coalesce(excluded.hold_until, 0)), 0),
        tried_at = nullif(max(coalesce(tried_at, 0), coalesce(excluded.tried_at, 0)), 0),
        streak_from = coalesce(excluded.streak_from, streak_from),
        failing_since = CASE WHEN excluded.streak_from IS NULL THEN failing_since
            ELSE excluded.failing_since END,
        failed_at = CASE WHEN excluded.streak_from IS NULL THEN failed_at
            ELSE excluded.failed_at END,
        exhausted = coalesce(excluded.exhausted, exhausted),
        evidence = coalesce(excluded.evidence, evidence)";

/// After the one above, which makes the row.
const LEARN_FAILURE: &str = "
UPDATE subscription_runtime
SET error_at = ?, error_status = ?, error_kind = ?, error_delivery = ?, error_attempt = ?
WHERE subscription_id = ?";

const KEEP_BREAKER: &str = "
INSERT INTO subscription_runtime (subscription_id, breaker_state, breaker_until, breaker_opened)
SELECT $2, $3, $4, $5 FROM leases WHERE partition = 0 AND epoch = $1
ON CONFLICT (subscription_id) DO UPDATE
    SET breaker_state = excluded.breaker_state, breaker_until = excluded.breaker_until,
        breaker_opened = excluded.breaker_opened";

/// Records a group. Answers for each record, in the group's order.
pub(super) async fn record(pools: &Pools, group: &RecordGroup) -> Result<Vec<Recorded>> {
    let mut transaction = pools.write().await?;
    let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM leases WHERE partition = 0")
        .fetch_one(&mut *transaction)
        .await?;
    let owned = epoch == group.epoch;
    let moved = if owned {
        move_deliveries(&mut transaction, group).await?
    } else {
        HashSet::new()
    };
    let mut fates = Vec::with_capacity(group.records.len());
    for record in &group.records {
        let moves = moved.contains(&record.delivery.id.0);
        let moved_before = !moves && group.rerun && stands_moved(&mut transaction, record).await?;
        fates.push(if moves || moved_before {
            Recorded::Moved
        } else {
            Recorded::Stale
        });
    }
    log_attempts(&mut transaction, group, &fates).await?;
    if owned {
        for record in &group.records {
            let moves = moved.contains(&record.delivery.id.0);
            if let Some(event) = record.raises.as_ref().filter(|_| moves) {
                operational::wait(&mut transaction, event).await?;
            }
        }
        for one in Learnt::of(group)? {
            let streak = one.streak;
            sqlx::query(LEARN)
                .bind(one.subscription.0)
                .bind(one.hold_until.map(At))
                .bind(one.tried_at.map(At))
                .bind(streak.map(|streak| At(streak.counted_from)))
                .bind(streak.and_then(|streak| streak.failing_since).map(At))
                .bind(streak.and_then(|streak| streak.failed_at).map(At))
                .bind(streak.map(|streak| codec::count(streak.exhausted)))
                .bind(one.evidence.as_deref())
                .execute(&mut *transaction)
                .await?;
            if let Some(failure) = one.failure {
                sqlx::query(LEARN_FAILURE)
                    .bind(one.error_at().map(At))
                    .bind(one.error_status())
                    .bind(failure.outcome.error_kind())
                    .bind(failure.delivery.id.0)
                    .bind(failure.id.0)
                    .bind(one.subscription.0)
                    .execute(&mut *transaction)
                    .await?;
            }
        }
    }
    transaction.commit().await?;
    if owned {
        Ok(fates)
    } else {
        Err(StoreError::Fenced)
    }
}

/// Keeps where a breaker is.
pub(super) async fn keep_breaker(
    pools: &Pools,
    epoch: i64,
    id: SubscriptionId,
    breaker: &StoredBreaker,
    raises: &[Arc<OperationalEvent>],
) -> Result<()> {
    let mut transaction = pools.write().await?;
    let done = sqlx::query(KEEP_BREAKER)
        .bind(epoch)
        .bind(id.0)
        .bind(breaker.state.as_str())
        .bind(breaker.until.map(At))
        .bind(codec::count(breaker.opened_in_a_row))
        .execute(&mut *transaction)
        .await?;
    if done.rows_affected() == 0 {
        transaction.rollback().await?;
        return Err(StoreError::Fenced);
    }
    for event in raises {
        operational::wait(&mut transaction, event).await?;
    }
    Ok(transaction.commit().await?)
}

async fn move_deliveries(
    connection: &mut SqliteConnection,
    group: &RecordGroup,
) -> Result<HashSet<Uuid>> {
    let mut moved = HashSet::with_capacity(group.records.len());
    for (sql, records) in MOVE.chunks(&group.records) {
        let mut query = sqlx::query(sql);
        for record in records {
            let progress = &record.verdict.progress;
            let settlement = record.verdict.settlement;
            let (state, due_at) = settlement.state_and_due(record.delivery.due_at);
            query = query
                .bind(record.delivery.id.0)
                .bind(record.delivery.progress.version)
                .bind(state.as_str())
                .bind(At(due_at))
                .bind(state.is_final().then_some(At(group.now)))
                .bind(codec::count(progress.attempts))
                .bind(codec::count(progress.round))
                .bind(codec::count(progress.round_attempts))
                .bind(codec::micros(progress.aged))
                .bind(progress.version)
                .bind(record.blocks.map(At));
        }
        for row in query.fetch_all(&mut *connection).await? {
            moved.insert(row.try_get::<Uuid, _>(0)?);
        }
    }
    Ok(moved)
}

/// Whether an earlier run of unknown fate recorded this attempt and moved its delivery.
async fn stands_moved(connection: &mut SqliteConnection, record: &AttemptRecord) -> Result<bool> {
    let stale: Option<bool> = sqlx::query_scalar(
        "SELECT stale FROM attempts WHERE delivery_id = ? AND number = ? AND id = ?",
    )
    .bind(record.delivery.id.0)
    .bind(codec::count(record.number()))
    .bind(record.id.0)
    .fetch_optional(connection)
    .await?;
    Ok(stale == Some(false))
}

async fn log_attempts(
    connection: &mut SqliteConnection,
    group: &RecordGroup,
    fates: &[Recorded],
) -> Result<()> {
    let rows: Vec<_> = group.records.iter().zip(fates).collect();
    for (sql, rows) in LOG.chunks(&rows) {
        let mut query = sqlx::query(sql);
        for (record, fate) in rows {
            let timing = &record.outcome.timing;
            let columns = OutcomeColumns::of(record);
            query = query
                .bind(record.id.0)
                .bind(record.delivery.id.0)
                .bind(codec::count(record.number()))
                .bind(record.trigger.as_str())
                .bind(At(record.outcome.started_at))
                .bind(codec::micros(record.outcome.duration))
                .bind(timing.name.map(codec::micros))
                .bind(timing.connect.map(codec::micros))
                .bind(timing.tls.map(codec::micros))
                .bind(timing.first_byte.map(codec::micros))
                .bind(timing.body.map(codec::micros))
                .bind(columns.status)
                .bind(columns.error_kind)
                .bind(columns.error_message)
                .bind(columns.request_headers)
                .bind(columns.answer_headers)
                .bind(columns.answer_body)
                .bind(columns.answer_cut)
                .bind(**fate == Recorded::Stale);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;

    use super::*;
    use crate::store::sqlite::MIGRATIONS;

    #[tokio::test]
    async fn a_move_finds_its_deliveries_by_their_ids_whatever_else_is_pending() {
        let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        MIGRATIONS.run(&mut database).await.unwrap();
        for rows in [1, 4, 16, 64] {
            let rows = vec![(); rows];
            let (sql, _) = MOVE.chunks(&rows).next().unwrap();
            let explained = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let plan = sqlx::query(explained).fetch_all(&mut database).await;
            let steps: Vec<String> = plan.unwrap().iter().map(|row| row.get("detail")).collect();
            let of_deliveries = |step: &&String| step.contains("deliveries");
            let found: Vec<_> = steps.iter().filter(of_deliveries).collect();
            assert_eq!(found.len(), 1, "{steps:?}");
            assert!(found[0].ends_with("(id=?)"), "{steps:?}");
        }
    }
}
