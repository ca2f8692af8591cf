//! Attempts in, deliveries moved: one statement a group.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use sqlx::Row;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgBindIterExt, PgPool, PgRow};
use uuid::Uuid;

use super::columns::{names, sparse, unnested};
use super::moves::CARRIED;
use super::operational;
use crate::domain::breaker::StoredBreaker;
use crate::domain::delivery::AttemptRecord;
use crate::domain::id::SubscriptionId;
use crate::domain::operational::OperationalEvent;
use crate::domain::outcome::CallResult;
use crate::domain::statistics::Delta;
use crate::store::codec::{self, Learnt};
use crate::store::rows::At;
use crate::store::statistics::{delta_bytes, of_records};
use crate::store::{RecordGroup, Recorded, Result, StoreError};

/// Parameters 1 and 2 are the epoch and the group's `now`.
const MOVES: [(&str, &str); 9] = [
    ("uuid", "id"),
    ("bigint", "guard"),
    ("text", "state"),
    ("timestamptz", "due_at"),
    ("int", "attempts"),
    ("int", "round"),
    ("int", "round_attempts"),
    ("bigint", "aged_us"),
    ("bigint", "version"),
];
const FIRST_OF_MOVES: usize = 3;
/// The number of an attempt is what its delivery has made with it, and its round the delivery's, so
/// both share a parameter.
const NUMBER: usize = FIRST_OF_MOVES + 4;
const ROUND: usize = FIRST_OF_MOVES + 5;
const ATTEMPTS: [(&str, &str); 16] = [
    ("uuid", "id"),
    ("text", "trigger"),
    ("timestamptz", "started_at"),
    ("bigint", "duration_us"),
    ("bigint", "name_us"),
    ("bigint", "connect_us"),
    ("bigint", "tls_us"),
    ("bigint", "first_byte_us"),
    ("bigint", "body_us"),
    ("smallint", "status"),
    ("text", "error_kind"),
    ("text", "error_message"),
    ("bytea", "request_headers"),
    ("bytea", "answer_headers"),
    ("bytea", "answer_body"),
    ("bool", "answer_cut"),
];
const FIRST_OF_ATTEMPTS: usize = FIRST_OF_MOVES + MOVES.len();
/// What the group comes to. Run again: what each attempt does, then what each move does.
const STATISTICS: usize = FIRST_OF_ATTEMPTS + ATTEMPTS.len();
/// Which rule of order a delivery that failed blocks its line by.
const BLOCKS: usize = STATISTICS + 1;
const LEARNT: [(&str, &str); 13] = [
    ("uuid", "subscription_id"),
    ("timestamptz", "hold_until"),
    ("timestamptz", "tried_at"),
    ("timestamptz", "streak_from"),
    ("timestamptz", "failing_since"),
    ("timestamptz", "failed_at"),
    ("int", "exhausted"),
    ("text", "evidence"),
    ("timestamptz", "error_at"),
    ("smallint", "error_status"),
    ("text", "error_kind"),
    ("uuid", "error_delivery"),
    ("uuid", "error_attempt"),
];
const FIRST_OF_LEARNT: usize = BLOCKS + 1;

/// What a group is about, beyond deliveries that all become final and tell nothing.
#[derive(Clone, Copy)]
struct Form {
    /// Retries, blocked lines, what was learnt, operational events.
    more: bool,
    /// Some of it was recorded before, or does not move its delivery.
    again: bool,
}

/// What is counted of a group. As a rule all of it is recorded now and moves its delivery, and what
/// that comes to is worked out beforehand. Where it turns out otherwise, the row lacks its body, which
/// the table refuses, and all of this is taken back and run anew: then every attempt counts where it
/// was not there, and every move where it is made.
fn counted(form: Form) -> String {
    if !form.again {
        return format!(
            "counted AS (
    INSERT INTO statistic_deltas (at, body)
    SELECT $2, CASE WHEN all_of_them THEN ${STATISTICS}::bytea END FROM compared
    WHERE cardinality(${FIRST_OF_MOVES}::uuid[]) > 0
)"
        );
    }
    format!(
        "counted AS (
    INSERT INTO statistic_deltas (at, body)
    SELECT $2, a.body
    FROM unnest(${FIRST_OF_ATTEMPTS}::uuid[],
        (${STATISTICS}::bytea[])[:cardinality(${FIRST_OF_MOVES}::uuid[])]) AS a (id, body)
    WHERE a.id IN (SELECT id FROM logged)
    UNION ALL
    SELECT $2, m.body
    FROM unnest(${FIRST_OF_MOVES}::uuid[],
        (${STATISTICS}::bytea[])[cardinality(${FIRST_OF_MOVES}::uuid[]) + 1:]) AS m (id, body)
    WHERE m.id IN (SELECT id FROM moved) AND octet_length(m.body) > 0
)"
    )
}

/// Whether a group was taken back because it has to be looked at record by record.
fn is_not_whole(error: &dyn DatabaseError) -> bool {
    error.is_unique_violation() || error.constraint() == Some("statistic_deltas_form")
}

/// The lease row stays locked until the commit: a takeover (an update of the unique key's
/// `epoch`) waits for it, and what comes after the takeover sees its epoch. A renewal does not
/// conflict. Rows come sorted by delivery, so that two groups never wait for each other; where two
/// parts of the statement move them, they are locked first.
///
/// Which attempts are stale is only looked for where not all deliveries moved.
fn recording(form: Form) -> String {
    let stale = "CASE WHEN (SELECT all_of_them FROM compared) THEN false
        ELSE a.delivery_id NOT IN (SELECT id FROM moved) END";
    let again = match form.again {
        true => "ON CONFLICT (delivery_id, number, id) DO NOTHING RETURNING id",
        false => "",
    };
    let moves = unnested(FIRST_OF_MOVES, &MOVES);
    let moved_now = "d.id = r.id AND d.version = r.guard AND (SELECT epoch FROM lease) = $1";
    let (locked, rows, blocks, is_final, kept, more) = if form.more {
        (
            format!(
                "locked AS MATERIALIZED (
    SELECT id FROM pending_deliveries WHERE id = ANY(${FIRST_OF_MOVES}) ORDER BY id FOR UPDATE
),"
            ),
            "ARRAY(SELECT id FROM locked)".to_owned(),
            format!(", unnest(${BLOCKS}::timestamptz[]) AS blocks"),
            "AND r.state <> 'pending'",
            format!(
                "kept AS (
    UPDATE pending_deliveries d
    SET due_at = r.due_at, attempts = r.attempts, round = r.round,
        round_attempts = r.round_attempts, aged_us = r.aged_us, version = r.version
    FROM (SELECT {moves}) AS r
    WHERE d.id = ANY(ARRAY(SELECT id FROM locked)) AND {moved_now} AND r.state = 'pending'
    RETURNING d.id
),
moved AS NOT MATERIALIZED (SELECT id FROM gone UNION ALL SELECT id FROM kept),"
            ),
            format!(
                "{}{},",
                learnt(),
                operational::waits(FIRST_OF_LEARNT + LEARNT.len(), "moved")
            ),
        )
    } else {
        (
            String::new(),
            format!("${FIRST_OF_MOVES}"),
            ", NULL::timestamptz AS blocks".to_owned(),
            "",
            "moved AS NOT MATERIALIZED (SELECT id FROM gone),".to_owned(),
            String::new(),
        )
    };
    format!(
        "
WITH lease AS MATERIALIZED (SELECT epoch FROM leases WHERE partition = 0 FOR KEY SHARE),
{locked}
gone AS (
    DELETE FROM pending_deliveries d USING (SELECT {moves}{blocks}) AS r
    WHERE d.id = ANY({rows}) AND {moved_now} {is_final}
    RETURNING {}, d.line, r.due_at, r.attempts, r.round, r.round_attempts, r.aged_us, r.version,
        r.state, r.blocks
),
{kept}
compared AS MATERIALIZED (
    SELECT count(*) = cardinality(${FIRST_OF_MOVES}::uuid[]) AS all_of_them FROM moved
),
{more}
ended AS (
    INSERT INTO final_deliveries ({CARRIED}, line, due_at, attempts, round, round_attempts,
        aged_us, version, state, blocks, finished_at)
    SELECT *, $2 FROM gone
),
logged AS (
    INSERT INTO attempts ({}, delivery_id, number, round, stale)
    SELECT a.*, {stale}
    FROM (SELECT {}, unnest(${FIRST_OF_MOVES}::uuid[]) AS delivery_id,
        unnest(${NUMBER}::int[]) AS number, unnest(${ROUND}::int[]) AS round) AS a
    {again}
),
{}
SELECT (SELECT epoch FROM lease) AS epoch,
    CASE WHEN NOT (SELECT all_of_them FROM compared)
        THEN array(SELECT id FROM moved) END AS moved",
        format_args!("d.{}", CARRIED.replace(", ", ", d.")),
        names(&ATTEMPTS),
        unnested(FIRST_OF_ATTEMPTS, &ATTEMPTS),
        counted(form),
    )
}

/// What was learnt of subscriptions.
fn learnt() -> String {
    format!(
        "learnt AS (
    INSERT INTO subscription_runtime AS old ({})
    SELECT h.* FROM (SELECT {}) AS h
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
",
        names(&LEARNT),
        unnested(FIRST_OF_LEARNT, &LEARNT),
    )
}

static FORMS: LazyLock<[String; 4]> = LazyLock::new(|| {
    std::array::from_fn(|number| {
        recording(Form {
            more: number & 1 != 0,
            again: number & 2 != 0,
        })
    })
});

impl Form {
    fn sql(self) -> &'static str {
        &FORMS[usize::from(self.more) + 2 * usize::from(self.again)]
    }
}

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
///
/// That an attempt stands already, though nobody said that this is run again, or that a delivery has
/// moved on, is left to the database to say, as in `accept.rs`.
pub(super) async fn record(pool: &PgPool, group: &RecordGroup) -> Result<Vec<Recorded>> {
    let again = group.rerun;
    let row = match run(pool, group, again).await? {
        Err(error) if !again && is_not_whole(&*error) => run(pool, group, true)
            .await?
            .map_err(sqlx::Error::Database)?,
        row => row.map_err(sqlx::Error::Database)?,
    };
    if row.try_get::<Option<i64>, _>("epoch")? != Some(group.epoch) {
        return Err(StoreError::Fenced);
    }
    let Some(moved) = row.try_get::<Option<Vec<Uuid>>, _>("moved")? else {
        return Ok(vec![Recorded::Moved; group.records.len()]);
    };
    let moved: HashSet<Uuid> = moved.into_iter().collect();
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

/// The statement's row, or what the database had against it.
async fn run(
    pool: &PgPool,
    group: &RecordGroup,
    again: bool,
) -> Result<std::result::Result<PgRow, Box<dyn DatabaseError>>> {
    let mut records: Vec<&AttemptRecord> = group.records.iter().map(AsRef::as_ref).collect();
    records.sort_unstable_by_key(|record| record.delivery.id);
    let records = records.iter().copied();
    let moves = records.clone().map(|record| {
        let settlement = record.verdict.settlement;
        settlement.state_and_due(record.delivery.due_at)
    });
    let raised: Vec<_> = records
        .clone()
        .filter_map(|record| Some((record.delivery.id.0, record.raises.as_deref()?)))
        .collect();
    let learnt = Learnt::of(group)?;
    let blocks = records.clone().map(|record| record.blocks.map(At));
    let form = Form {
        more: !raised.is_empty()
            || !learnt.is_empty()
            || moves.clone().any(|(state, _)| !state.is_final())
            || blocks.clone().any(|blocks| blocks.is_some()),
        again,
    };

    macro_rules! column {
        ($rows:expr, $row:pat => $value:expr) => {
            $rows.clone().map(|$row| $value).bind_iter()
        };
    }
    macro_rules! sparse_column {
        ($rows:expr, $row:pat => $value:expr) => {
            sparse($rows.clone().map(|$row| $value)).bind_iter()
        };
    }
    macro_rules! part {
        ($name:ident) => {
            sparse_column!(records, record => record.outcome.timing.$name.map(codec::micros))
        };
    }
    let answers = records.clone().map(|record| match &record.outcome.result {
        CallResult::Answer(answer) => Some(answer),
        CallResult::Failure(_) => None,
    });
    let mut query = sqlx::query(form.sql())
        .bind(group.epoch)
        .bind(At(group.now))
        .bind(column!(records, record => record.delivery.id.0))
        .bind(column!(records, record => record.delivery.progress.version))
        .bind(column!(moves, (state, _) => state.as_str()))
        .bind(column!(moves, (_, due_at) => At(due_at)))
        .bind(column!(records, record => codec::count(record.number())))
        .bind(column!(records, record => codec::count(record.verdict.progress.round)))
        .bind(column!(records, record => codec::count(record.verdict.progress.round_attempts)))
        .bind(column!(records, record => codec::micros(record.verdict.progress.aged)))
        .bind(column!(records, record => record.verdict.progress.version))
        .bind(column!(records, record => record.id.0))
        .bind(column!(records, record => record.trigger.as_str()))
        .bind(column!(records, record => At(record.outcome.started_at)))
        .bind(column!(records, record => codec::micros(record.outcome.duration)))
        .bind(part!(name))
        .bind(part!(connect))
        .bind(part!(tls))
        .bind(part!(first_byte))
        .bind(part!(body))
        .bind(sparse_column!(records, record =>
            record.outcome.status().and_then(|status| i16::try_from(status).ok())))
        .bind(sparse_column!(records, record => record.outcome.error_kind()))
        .bind(sparse_column!(records, record => codec::error_message(&record.outcome)))
        .bind(column!(records, record => record.outcome.request_headers.as_block()))
        .bind(column!(answers, answer =>
            answer.map_or(&[][..], |answer| answer.headers.as_block())))
        .bind(column!(answers, answer => answer.map_or(&[][..], |answer| &answer.body[..])))
        .bind(column!(answers, answer => answer.is_some_and(|answer| answer.body_cut)));
    query = match again {
        true => query.bind(
            each_counted(&records)
                .iter()
                .map(delta_bytes)
                .collect::<Vec<_>>(),
        ),
        false => query.bind(delta_bytes(&of_records(records.clone()))),
    };
    if form.more {
        let learnt = learnt.iter();
        query = query
            .bind(sparse(blocks).bind_iter())
            .bind(column!(learnt, one => one.subscription.0))
            .bind(column!(learnt, one => one.hold_until.map(At)))
            .bind(column!(learnt, one => one.tried_at.map(At)))
            .bind(column!(learnt, one => one.streak.map(|streak| At(streak.counted_from))))
            .bind(column!(learnt, one => one.streak.and_then(|one| one.failing_since).map(At)))
            .bind(column!(learnt, one => one.streak.and_then(|one| one.failed_at).map(At)))
            .bind(column!(learnt, one => one.streak.map(|one| codec::count(one.exhausted))))
            .bind(column!(learnt, one => one.evidence.as_deref()))
            .bind(column!(learnt, one => one.error_at().map(At)))
            .bind(column!(learnt, one => one.error_status()))
            .bind(column!(learnt, one =>
                one.failure.and_then(|record| record.outcome.error_kind())))
            .bind(column!(learnt, one => one.failure.map(|record| record.delivery.id.0)))
            .bind(column!(learnt, one => one.failure.map(|record| record.id.0)));
        query = operational::bind(query, &raised);
    }
    match query.fetch_one(pool).await {
        Ok(row) => Ok(Ok(row)),
        Err(sqlx::Error::Database(error)) => Ok(Err(error)),
        Err(error) => Err(error.into()),
    }
}

/// What each attempt comes to, and then what each move does.
fn each_counted<'a>(records: &(impl Iterator<Item = &'a AttemptRecord> + Clone)) -> Vec<Delta> {
    let counted = |note: fn(&mut Delta, &AttemptRecord)| {
        records.clone().map(move |record| {
            let mut delta = Delta::default();
            note(&mut delta, record);
            delta
        })
    };
    counted(Delta::note_attempt)
        .chain(counted(Delta::note_settled))
        .collect()
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
