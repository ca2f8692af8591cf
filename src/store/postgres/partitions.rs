//! Partitions of time: made ahead of need, dropped whole when they are old.
//!
//! Events, final deliveries and attempts have the same partitions, told apart by the suffix of their
//! names, and all three are made and dropped in one transaction. That takes the parents' locks for an
//! instant, and whoever waits for a lock makes all others wait behind it: so it waits a tenth of
//! a second at most, and whoever asked asks again later.
//!
//! No partition is made over rows that the default one holds already: those stay there until
//! they are old, and what is left of the span around them gets partitions.

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Executor};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::debug;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::id::first_id;
use crate::domain::retention::Span;
use crate::store::{Forgotten, Result, StoreError};

/// How long a lock on the parents may be waited for: nothing moves meanwhile.
pub(super) const INSTANT: &str = "SET LOCAL lock_timeout = '100ms'";
/// The SQLSTATE of a lock that was not to be had in time.
pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
/// Whoever makes or drops partitions takes turns. The numbers are the relay's own, as in
/// `accept.rs`, and one more.
const TAKE_TURNS: &str = "SELECT pg_advisory_xact_lock(1886352244, 2)";
/// The tables, each with the column whose range parts it. All three are written once and hardly
/// ever changed, so that the server's own ideas of when to tidy up serve.
const TABLES: [(&str, &str); 3] = [
    ("events", "id"),
    ("final_deliveries", "id"),
    ("attempts", "delivery_id"),
];
/// Cuts of one span around rows in the default partition, before it is left for the next round.
const MAX_CUTS: usize = 48;
/// A partition's name ends with the hours (UTC) that it begins and ends with.
const HOUR: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day][hour]");

/// Makes the partitions that the present and the near future lack, and says how many.
pub(super) async fn make_room(
    pool: &PgPool,
    now: Timestamp,
    width: std::time::Duration,
) -> Result<u32> {
    let existing = spans(&mut *pool.acquire().await?).await?;
    if Span::missing(&existing, now, width).is_empty() {
        return Ok(0);
    }
    let mut transaction = pool.begin().await?;
    transaction.execute(TAKE_TURNS).await?;
    transaction.execute(INSTANT).await?;
    // Another process may have made them meanwhile.
    let existing = spans(&mut transaction).await?;
    let mut made = 0;
    for span in Span::missing(&existing, now, width) {
        for span in free_parts(&mut transaction, span).await? {
            make(&mut transaction, span).await?;
            made += 1;
        }
    }
    transaction.commit().await?;
    Ok(made)
}

/// Drops the partitions that were over by `before`, but those that something needs. One that is in
/// use stays for now.
pub(super) async fn drop_old(pool: &PgPool, before: Timestamp) -> Result<Forgotten> {
    let mut dropped = Forgotten::default();
    for span in spans(&mut *pool.acquire().await?).await? {
        // Looked at without any lock first: most rounds end here.
        if !span.is_before(before) || is_needed(&mut *pool.acquire().await?, span).await? {
            continue;
        }
        match drop_one(pool, span, &mut dropped).await {
            Err(StoreError::Unavailable(reason)) if reason.contains(LOCK_NOT_AVAILABLE) => {
                debug!("an old partition is in use and goes with a later round");
            }
            outcome => outcome?,
        }
    }
    Ok(dropped)
}

async fn drop_one(pool: &PgPool, span: Span, dropped: &mut Forgotten) -> Result<()> {
    let mut transaction = pool.begin().await?;
    transaction.execute(TAKE_TURNS).await?;
    if !spans(&mut transaction).await?.contains(&span) {
        return Ok(());
    }
    let [events, deliveries, attempts] = estimates(&mut transaction, span).await?;
    transaction.execute(INSTANT).await?;
    // All at once and before anything else: a statement that is under way ends first, and one
    // that comes then finds either all three or none. Whatever makes something pending names one
    // of them: acceptance and replays the events, a retry the final deliveries that it takes from.
    transaction
        .execute(
            "LOCK TABLE ONLY events, ONLY final_deliveries, ONLY attempts IN ACCESS EXCLUSIVE MODE",
        )
        .await?;
    // A retry may have come since. From here on none can.
    if is_needed(&mut transaction, span).await? {
        return Ok(());
    }
    let names = TABLES.map(|(table, _)| name(table, span));
    let sql = format!("DROP TABLE {}", names.join(", "));
    transaction.execute(AssertSqlSafe(sql)).await?;
    transaction.commit().await?;
    dropped.partitions += 1;
    dropped.events += events;
    dropped.deliveries += deliveries;
    dropped.attempts += attempts;
    Ok(())
}

/// The spans that have partitions, in order.
async fn spans(connection: &mut PgConnection) -> Result<Vec<Span>> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'final_deliveries'::regclass",
    )
    .fetch_all(connection)
    .await?;
    let mut spans: Vec<Span> = names.iter().filter_map(|name| span_of(name)).collect();
    spans.sort_unstable();
    Ok(spans)
}

/// What of a span no row in the default partitions lies in.
async fn free_parts(connection: &mut PgConnection, span: Span) -> Result<Vec<Span>> {
    let mut free = Vec::new();
    let mut left = Some(span);
    for _ in 0..MAX_CUTS {
        let Some(part) = left else { break };
        let Some(taken) = first_in_default(connection, part).await? else {
            free.push(part);
            break;
        };
        let [before, after] = part.without_hour_of(taken);
        free.extend(before);
        left = after;
    }
    Ok(free)
}

/// When the first row of that span came that the default partitions hold.
async fn first_in_default(connection: &mut PgConnection, span: Span) -> Result<Option<Timestamp>> {
    let mut first = None;
    for (table, column) in TABLES {
        let sql = format!(
            "SELECT {column} FROM {table}_default WHERE {column} >= $1 AND {column} < $2
             ORDER BY {column} LIMIT 1"
        );
        let found: Option<Uuid> = sqlx::query_scalar(AssertSqlSafe(sql))
            .persistent(false)
            .bind(first_id(span.from))
            .bind(first_id(span.to))
            .fetch_optional(&mut *connection)
            .await?;
        let millis = found.map(|id| (id.as_u128() >> 80) as i64);
        first = [first, millis].into_iter().flatten().min();
    }
    Ok(first.map(|millis| Timestamp::from_micros(millis * 1_000)))
}

async fn make(connection: &mut PgConnection, span: Span) -> Result<()> {
    for (table, _) in TABLES {
        let sql = format!(
            "CREATE TABLE {} PARTITION OF {table} FOR VALUES FROM ('{}') TO ('{}')",
            name(table, span),
            first_id(span.from),
            first_id(span.to),
        );
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    Ok(())
}

/// Whether something of that time is pending, or keeps others from being sent.
async fn is_needed(connection: &mut PgConnection, span: Span) -> Result<bool> {
    let finals = name("final_deliveries", span);
    let sql = format!(
        "SELECT (SELECT id FROM pending_deliveries WHERE id >= $1 AND id < $2
                 ORDER BY id LIMIT 1) IS NOT NULL
             OR EXISTS (
                 SELECT FROM {finals} d
                 JOIN subscriptions s ON s.id = d.subscription_id AND s.ordering_since = d.blocks
                 WHERE d.blocks IS NOT NULL AND s.state <> 'deleted'
             )"
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .bind(first_id(span.from))
        .bind(first_id(span.to))
        .fetch_one(connection)
        .await?)
}

async fn estimates(connection: &mut PgConnection, span: Span) -> Result<[u64; 3]> {
    let mut rows = [0; 3];
    for ((table, _), rows) in TABLES.into_iter().zip(&mut rows) {
        let count: i64 = sqlx::query_scalar("SELECT pg_stat_get_live_tuples(to_regclass($1))")
            .bind(name(table, span))
            .fetch_one(&mut *connection)
            .await?;
        *rows = u64::try_from(count).unwrap_or(0);
    }
    Ok(rows)
}

fn name(table: &str, span: Span) -> String {
    let hour = |moment: Timestamp| moment.to_datetime().format(HOUR).unwrap_or_default();
    format!("{table}_{}_{}", hour(span.from), hour(span.to))
}

pub(super) fn span_of(name: &str) -> Option<Span> {
    let mut parts = name.rsplit('_');
    let [to, from] = [parts.next()?, parts.next()?].map(moment);
    Some(Span {
        from: from?,
        to: to?,
    })
}

fn moment(hour: &str) -> Option<Timestamp> {
    // The library reads no time of day that lacks its minutes.
    let format = format_description!("[year][month][day][hour][minute]");
    let parsed = time::PrimitiveDateTime::parse(&format!("{hour}00"), format).ok()?;
    let parsed: OffsetDateTime = parsed.assume_utc();
    Some(Timestamp::from_datetime(parsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_known_by_its_name() {
        let at = |hours: i64| Timestamp::from_micros(1_761_472_800_000_000 + hours * 3_600_000_000);
        let span = Span {
            from: at(0),
            to: at(120),
        };
        assert_eq!(name("events", span), "events_2025102610_2025103110");
        assert_eq!(
            span_of("final_deliveries_2025102610_2025103110"),
            Some(span)
        );
        assert_eq!(span_of("final_deliveries_default"), None);
        assert_eq!(span_of("final_deliveries"), None);
    }
}
