//! Attempts in, deliveries moved: one statement a group.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use sqlx::Row;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::operational;
use crate::domain::breaker::StoredBreaker;
use crate::domain::delivery::AttemptRecord;
use crate::domain::id::SubscriptionId;
use crate::domain::operational::OperationalEvent;
use crate::store::codec::{self, Learnt, OutcomeColumns};
use crate::store::rows::At;
use crate::store::{RecordGroup, Recorded, Result, StoreError};

/// The lease row stays locked until the commit: a takeover (an update of the unique key's
/// `epoch`) waits for it, and what comes after the takeover sees its epoch. A renewal does not
/// conflict. Rows come sorted by delivery, so that two groups never wait for each other.
///
/// The bounds `$36` and `$37` of the ids leave the partitions out that hold none of them: an array
/// would not. The rows are asked for by `id = ANY`, and `finished_at IS NULL` stands for pending, so that
/// the primary key is the only index that any plan can use: "pending" would let a plan made in
/// quiet times walk the whole backlog later.
static RECORD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH lease AS MATERIALIZED (SELECT epoch FROM leases WHERE partition = 0 FOR KEY SHARE),
moved AS (
    UPDATE deliveries d
    SET state = r.state, due_at = r.due_at, finished_at = r.finished_at, attempts = r.number,
        round = r.round, round_attempts = r.round_attempts, aged_us = r.aged_us,
        version = r.version, blocks = r.blocks
    FROM unnest($3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[], $7::timestamptz[],
            $8::int[], $9::int[], $10::int[], $11::bigint[], $12::bigint[], $43::timestamptz[])
        AS r (delivery_id, guard, state, due_at, finished_at, number, round, round_attempts,
            aged_us, version, blocks)
    WHERE d.id BETWEEN $36 AND $37 AND d.id = ANY($3) AND d.id = r.delivery_id AND d.version = r.guard
        AND d.finished_at IS NULL
        AND (SELECT epoch FROM lease) = $1
    RETURNING d.id
),
logged AS (
    INSERT INTO attempts (id, delivery_id, number, trigger, started_at, duration_us, name_us,
        connect_us, tls_us, first_byte_us, body_us, status, error_kind, error_message,
        request_headers, answer_headers, answer_body, answer_cut, stale)
    SELECT a.*, moved.id IS NULL
    FROM unnest($2::uuid[], $3::uuid[], $8::int[], $13::text[], $14::timestamptz[],
            $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[],
            $20::bigint[], $21::smallint[], $22::text[], $23::text[], $24::bytea[],
            $25::bytea[], $26::bytea[], $27::bool[])
        AS a (id, delivery_id, number, trigger, started_at, duration_us, name_us, connect_us,
            tls_us, first_byte_us, body_us, status, error_kind, error_message, request_headers,
            answer_headers, answer_body, answer_cut)
    LEFT JOIN moved ON moved.id = a.delivery_id
    ON CONFLICT (delivery_id, number, id) DO NOTHING
),
learnt AS (
    INSERT INTO subscription_runtime AS old (subscription_id, hold_until, tried_at, streak_from,
        failing_since, failed_at, exhausted, evidence, error_at, error_status, error_kind,
        error_delivery, error_attempt)
    SELECT h.*
    FROM unnest($28::uuid[], $29::timestamptz[], $30::timestamptz[], $31::timestamptz[],
            $32::timestamptz[], $33::timestamptz[], $34::int[], $35::text[],
            $38::timestamptz[], $39::smallint[], $40::text[], $41::uuid[], $42::uuid[]) AS h
    WHERE (SELECT epoch FROM lease) = $1
    ON CONFLICT (subscription_id) DO UPDATE
        SET hold_until = greatest(old.hold_until, excluded.hold_until),
            tried_at = greatest(old.tried_at, excluded.tried_at),
            streak_from = coalesce(excluded.streak_from, old.streak_from),
            failing_since = CASE WHEN excluded.streak_from IS NULL THEN old.failing_since
                ELSE excluded.failing_since END,
            failed_at = CASE WHEN excluded.streak_from IS NULL THEN old.failed_at
                ELSE excluded.failed_at END,
            exhausted = coalesce(excluded.exhausted, old.exhausted),
            evidence = coalesce(excluded.evidence, old.evidence),
            error_status = CASE WHEN excluded.error_at IS NULL THEN old.error_status
                ELSE excluded.error_status END,
            error_kind = CASE WHEN excluded.error_at IS NULL THEN old.error_kind
                ELSE excluded.error_kind END,
            error_delivery = coalesce(excluded.error_delivery, old.error_delivery),
            error_attempt = coalesce(excluded.error_attempt, old.error_attempt),
            error_at = coalesce(excluded.error_at, old.error_at)
),
{}
SELECT (SELECT epoch FROM lease) AS epoch, array(SELECT id FROM moved) AS moved",
        operational::waits(44, "moved")
    )
});

/// Fenced as a record is.
static KEEP_BREAKER: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
WITH lease AS MATERIALIZED (SELECT epoch FROM leases WHERE partition = 0 FOR KEY SHARE),
kept AS (
    INSERT INTO subscription_runtime (subscription_id, breaker_state, breaker_until,
        breaker_opened)
    SELECT $2, $3, $4, $5 FROM lease WHERE epoch = $1
    ON CONFLICT (subscription_id) DO UPDATE
        SET breaker_state = excluded.breaker_state, breaker_until = excluded.breaker_until,
            breaker_opened = excluded.breaker_opened
    RETURNING subscription_id AS id
),
{}
SELECT count(*) FROM kept",
        operational::waits(6, "kept")
    )
});

/// Keeps where a breaker is.
pub(super) async fn keep_breaker(
    pool: &PgPool,
    epoch: i64,
    id: SubscriptionId,
    breaker: &StoredBreaker,
    raises: &[Arc<OperationalEvent>],
) -> Result<()> {
    let raised: Vec<_> = raises.iter().map(|event| (id.0, event.as_ref())).collect();
    let query = sqlx::query(KEEP_BREAKER.as_str())
        .bind(epoch)
        .bind(id.0)
        .bind(breaker.state.as_str())
        .bind(breaker.until.map(At))
        .bind(codec::count(breaker.opened_in_a_row));
    let row = operational::bind(query, &raised).fetch_one(pool).await?;
    if row.try_get::<i64, _>(0)? == 0 {
        return Err(StoreError::Fenced);
    }
    Ok(())
}

/// Records a group. Answers for each record, in the group's order.
pub(super) async fn record(pool: &PgPool, group: &RecordGroup) -> Result<Vec<Recorded>> {
    let mut records: Vec<&AttemptRecord> = group.records.iter().map(AsRef::as_ref).collect();
    records.sort_unstable_by_key(|record| record.delivery.id);
    let (first, last) = (records.first().copied(), records.last().copied());
    let moves: Vec<_> = records
        .iter()
        .map(|record| {
            let settlement = record.verdict.settlement;
            settlement.state_and_due(record.delivery.due_at)
        })
        .collect();
    let raised: Vec<_> = records
        .iter()
        .filter_map(|record| Some((record.delivery.id.0, record.raises.as_deref()?)))
        .collect();
    let outcomes: Vec<_> = records.iter().copied().map(OutcomeColumns::of).collect();
    let learnt = Learnt::of(group)?;

    macro_rules! column {
        ($rows:expr, $row:pat => $value:expr) => {
            $rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    macro_rules! part {
        ($name:ident) => {
            column!(records, record => record.outcome.timing.$name.map(codec::micros))
        };
    }
    let query = sqlx::query(RECORD.as_str())
        .bind(group.epoch)
        .bind(column!(records, record => record.id.0))
        .bind(column!(records, record => record.delivery.id.0))
        .bind(column!(records, record => record.delivery.progress.version))
        .bind(column!(moves, (state, _) => state.as_str()))
        .bind(column!(moves, (_, due_at) => At(*due_at)))
        .bind(column!(moves, (state, _) => state.is_final().then_some(At(group.now))))
        .bind(column!(records, record => codec::count(record.number())))
        .bind(column!(records, record => codec::count(record.verdict.progress.round)))
        .bind(column!(records, record => codec::count(record.verdict.progress.round_attempts)))
        .bind(column!(records, record => codec::micros(record.verdict.progress.aged)))
        .bind(column!(records, record => record.verdict.progress.version))
        .bind(column!(records, record => record.trigger.as_str()))
        .bind(column!(records, record => At(record.outcome.started_at)))
        .bind(column!(records, record => codec::micros(record.outcome.duration)))
        .bind(part!(name))
        .bind(part!(connect))
        .bind(part!(tls))
        .bind(part!(first_byte))
        .bind(part!(body))
        .bind(column!(outcomes, outcome => outcome.status))
        .bind(column!(outcomes, outcome => outcome.error_kind))
        .bind(column!(outcomes, outcome => outcome.error_message.as_deref()))
        .bind(column!(outcomes, outcome => outcome.request_headers))
        .bind(column!(outcomes, outcome => outcome.answer_headers))
        .bind(column!(outcomes, outcome => outcome.answer_body))
        .bind(column!(outcomes, outcome => outcome.answer_cut))
        .bind(column!(learnt, one => one.subscription.0))
        .bind(column!(learnt, one => one.hold_until.map(At)))
        .bind(column!(learnt, one => one.tried_at.map(At)))
        .bind(column!(learnt, one => one.streak.map(|streak| At(streak.counted_from))))
        .bind(column!(learnt, one => one.streak.and_then(|streak| streak.failing_since).map(At)))
        .bind(column!(learnt, one => one.streak.and_then(|streak| streak.failed_at).map(At)))
        .bind(column!(learnt, one => one.streak.map(|streak| codec::count(streak.exhausted))))
        .bind(column!(learnt, one => one.evidence.as_deref()))
        .bind(first.map(|record| record.delivery.id.0))
        .bind(last.map(|record| record.delivery.id.0))
        .bind(column!(learnt, one => one.error_at().map(At)))
        .bind(column!(learnt, one => one.error_status()))
        .bind(column!(learnt, one =>
            one.failure.and_then(|record| record.outcome.error_kind())))
        .bind(column!(learnt, one => one.failure.map(|record| record.delivery.id.0)))
        .bind(column!(learnt, one => one.failure.map(|record| record.id.0)))
        .bind(column!(records, record => record.blocks.map(At)));
    let row = operational::bind(query, &raised).fetch_one(pool).await?;
    if row.try_get::<Option<i64>, _>("epoch")? != Some(group.epoch) {
        return Err(StoreError::Fenced);
    }
    let moved: HashSet<Uuid> = row.try_get::<Vec<Uuid>, _>("moved")?.into_iter().collect();
    let mut fates: Vec<Recorded> = group
        .records
        .iter()
        .map(|record| match moved.contains(&record.delivery.id.0) {
            true => Recorded::Moved,
            false => Recorded::Stale,
        })
        .collect();
    if group.rerun && fates.contains(&Recorded::Stale) {
        recall(pool, group, &mut fates).await?;
    }
    Ok(fates)
}

/// Gives the attempts that an earlier run recorded the fate they had then. A statement of its
/// own: the earlier run may have been committed while this one waited for its rows.
async fn recall(pool: &PgPool, group: &RecordGroup, fates: &mut [Recorded]) -> Result<()> {
    let missing: Vec<&AttemptRecord> = group
        .records
        .iter()
        .zip(fates.iter())
        .filter(|(_, fate)| **fate == Recorded::Stale)
        .map(|(record, _)| record.as_ref())
        .collect();
    let stood: HashMap<Uuid, bool> = sqlx::query_as(
        "SELECT a.id, a.stale
         FROM unnest($1::uuid[], $2::int[], $3::uuid[]) AS r (delivery_id, number, id)
         CROSS JOIN LATERAL (
             SELECT id, stale FROM attempts
             WHERE delivery_id = r.delivery_id AND number = r.number AND id = r.id LIMIT 1
         ) AS a",
    )
    .bind(
        missing
            .iter()
            .map(|record| record.delivery.id.0)
            .collect::<Vec<_>>(),
    )
    .bind(
        missing
            .iter()
            .map(|record| codec::count(record.number()))
            .collect::<Vec<_>>(),
    )
    .bind(missing.iter().map(|record| record.id.0).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?
    .into_iter()
    .collect();
    for (record, fate) in group.records.iter().zip(fates) {
        if stood.get(&record.id.0) == Some(&false) {
            *fate = Recorded::Moved;
        }
    }
    Ok(())
}
