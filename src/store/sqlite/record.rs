//! Attempts in, deliveries moved: one transaction a group.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::connect::Pools;
use super::writer::Written;
use super::{operational, statistics};
use crate::domain::Timestamp;
use crate::domain::breaker::StoredBreaker;
use crate::domain::delivery::AttemptRecord;
use crate::domain::id::SubscriptionId;
use crate::domain::operational::OperationalEvent;
use crate::domain::statistics::Delta;
use crate::store::codec::{self, Learnt, OutcomeColumns};
use crate::store::rows::At;
use crate::store::{RecordGroup, Recorded, Result, StoreError};

/// A delivery ends where it stands as it was read: copied into the table of what is final, then
/// taken out of that of what is pending.
const COPY: &str = "
INSERT INTO final_deliveries (seq, id, event_id, subscription_id, created_at, payload_bytes, line,
    state, due_at, finished_at, attempts, round, round_attempts, aged_us, version, blocks)
SELECT seq, id, event_id, subscription_id, created_at, payload_bytes, line,
    ?, ?, ?, ?, ?, ?, ?, ?, ?
FROM pending_deliveries WHERE subscription_id = ? AND id = ? AND version = ?";

const TAKE_OUT: &str = "DELETE FROM pending_deliveries WHERE subscription_id = ? AND id = ?";

/// A delivery that stays pending.
const PUT_OFF: &str = "
UPDATE pending_deliveries
SET due_at = ?, attempts = ?, round = ?, round_attempts = ?, aged_us = ?, version = ?
WHERE subscription_id = ? AND id = ? AND version = ?";

const LOG: &str = "
INSERT INTO attempts (id, delivery_id, number, round, trigger, started_at, duration_us, name_us,
    connect_us, tls_us, first_byte_us, body_us, status, error_kind, error_message, request_headers,
    answer_headers, answer_body, answer_cut, stale)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING";

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
    let group = group.clone();
    let fates = pools
        .write_hot(move |connection| record_in(connection, &group).map(Written::Kept))
        .await?;
    fates.ok_or(StoreError::Fenced)
}

/// Nothing where the epoch is another: then all is in the log as stale.
fn record_in(connection: &Connection, group: &RecordGroup) -> Result<Option<Vec<Recorded>>> {
    let epoch: i64 = connection
        .prepare_cached("SELECT epoch FROM leases WHERE partition = 0")?
        .query_row([], |row| row.get(0))?;
    let owned = epoch == group.epoch;
    let mut fates = Vec::with_capacity(group.records.len());
    let mut delta = Delta::default();
    for record in &group.records {
        let moves = owned && move_delivery(connection, record, group.now)?;
        if moves {
            delta.note_settled(record);
        }
        let moved_before = !moves && group.rerun && stands_moved(connection, record)?;
        fates.push(if moves || moved_before {
            Recorded::Moved
        } else {
            Recorded::Stale
        });
        if let Some(event) = record.raises.as_ref().filter(|_| moves) {
            operational::wait_hot(connection, event)?;
        }
    }
    log_attempts(connection, group, &fates, &mut delta)?;
    statistics::note(connection, &delta, group.now)?;
    if owned {
        learn(connection, group)?;
    }
    Ok(owned.then_some(fates))
}

fn learn(connection: &Connection, group: &RecordGroup) -> Result<()> {
    for one in Learnt::of(group)? {
        let streak = one.streak;
        connection.prepare_cached(LEARN)?.execute(params![
            one.subscription.0.as_bytes(),
            one.hold_until.map(Timestamp::as_micros),
            one.tried_at.map(Timestamp::as_micros),
            streak.map(|streak| streak.counted_from.as_micros()),
            streak
                .and_then(|streak| streak.failing_since)
                .map(Timestamp::as_micros),
            streak
                .and_then(|streak| streak.failed_at)
                .map(Timestamp::as_micros),
            streak.map(|streak| codec::count(streak.exhausted)),
            one.evidence.as_deref(),
        ])?;
        if let Some(failure) = one.failure {
            connection.prepare_cached(LEARN_FAILURE)?.execute(params![
                one.error_at().map(Timestamp::as_micros),
                one.error_status(),
                failure.outcome.error_kind(),
                failure.delivery.id.0.as_bytes(),
                failure.id.0.as_bytes(),
                one.subscription.0.as_bytes(),
            ])?;
        }
    }
    Ok(())
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
    transaction.commit().await
}

/// Whether it stood as it was read.
fn move_delivery(connection: &Connection, record: &AttemptRecord, now: Timestamp) -> Result<bool> {
    let (delivery, progress) = (&record.delivery, &record.verdict.progress);
    let settlement = record.verdict.settlement;
    let (state, due_at) = settlement.state_and_due(delivery.due_at);
    let (subscription, id) = (delivery.subscription_id.0, delivery.id.0);
    if !state.is_final() {
        let moved = connection.prepare_cached(PUT_OFF)?.execute(params![
            due_at.as_micros(),
            codec::count(progress.attempts),
            codec::count(progress.round),
            codec::count(progress.round_attempts),
            codec::micros(progress.aged),
            progress.version,
            subscription.as_bytes(),
            id.as_bytes(),
            delivery.progress.version,
        ])?;
        return Ok(moved == 1);
    }
    let moved = connection.prepare_cached(COPY)?.execute(params![
        state.as_str(),
        due_at.as_micros(),
        now.as_micros(),
        codec::count(progress.attempts),
        codec::count(progress.round),
        codec::count(progress.round_attempts),
        codec::micros(progress.aged),
        progress.version,
        record.blocks.map(Timestamp::as_micros),
        subscription.as_bytes(),
        id.as_bytes(),
        delivery.progress.version,
    ])?;
    if moved == 0 {
        return Ok(false);
    }
    connection
        .prepare_cached(TAKE_OUT)?
        .execute(params![subscription.as_bytes(), id.as_bytes()])?;
    Ok(true)
}

/// Whether an earlier run of unknown fate recorded this attempt and moved its delivery.
fn stands_moved(connection: &Connection, record: &AttemptRecord) -> Result<bool> {
    let stale: Option<bool> = connection
        .prepare_cached(
            "SELECT stale FROM attempts WHERE delivery_id = ? AND number = ? AND id = ?",
        )?
        .query_row(
            params![
                record.delivery.id.0.as_bytes(),
                codec::count(record.number()),
                record.id.0.as_bytes(),
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(stale == Some(false))
}

/// Counts those that were not there from an earlier run.
fn log_attempts(
    connection: &Connection,
    group: &RecordGroup,
    fates: &[Recorded],
    delta: &mut Delta,
) -> Result<()> {
    let mut log = connection.prepare_cached(LOG)?;
    for (record, fate) in group.records.iter().zip(fates) {
        let timing = &record.outcome.timing;
        let columns = OutcomeColumns::of(record);
        let logged = log.execute(params![
            record.id.0.as_bytes(),
            record.delivery.id.0.as_bytes(),
            codec::count(record.number()),
            codec::count(record.verdict.progress.round),
            record.trigger.as_str(),
            record.outcome.started_at.as_micros(),
            codec::micros(record.outcome.duration),
            timing.name.map(codec::micros),
            timing.connect.map(codec::micros),
            timing.tls.map(codec::micros),
            timing.first_byte.map(codec::micros),
            timing.body.map(codec::micros),
            columns.status,
            columns.error_kind,
            columns.error_message,
            columns.request_headers,
            columns.answer_headers,
            columns.answer_body,
            columns.answer_cut,
            *fate == Recorded::Stale,
        ])?;
        if logged == 1 {
            delta.note_attempt(record);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::plans;

    #[tokio::test]
    async fn a_delivery_is_found_by_its_key_whatever_else_is_pending() {
        for sql in [COPY, TAKE_OUT, PUT_OFF] {
            let steps = plans::of(sql).await;
            assert_eq!(steps.len(), 1, "{steps:?}");
            let key = "USING PRIMARY KEY (subscription_id=? AND id=?)";
            assert!(steps[0].ends_with(key), "{steps:?}");
        }
    }
}
