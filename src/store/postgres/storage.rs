//! What lies in the database, as its catalogue and the sizes of its files tell it.

use std::collections::BTreeMap;

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{FromRow, Row};

use super::connect::Pools;
use super::partitions::span_of;
use crate::domain::retention::Span;
use crate::settings::StoreSettings;
use crate::store::{Connections, Result, Storage, StoredDatabase, TableSize, TimePart};

/// Tables of partitions that are looked at, newest first: three for each partition.
const MOST_TABLES: i64 = 3 * 100;

/// Rows are as the server counts along, and no lock outlives the look at a size. What is dropped
/// meanwhile has none.
const PARTS: &str = "
SELECT parent, name, pg_stat_get_live_tuples(oid) AS rows,
       coalesce(pg_total_relation_size(oid), 0) AS bytes
FROM (
    SELECT i.inhparent::regclass::text AS parent, c.relname::text AS name, c.oid
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ANY(ARRAY['events'::regclass, 'final_deliveries'::regclass,
                                  'attempts'::regclass]::oid[])
    ORDER BY substring(c.relname FROM '[0-9]+_[0-9]+$') DESC NULLS FIRST LIMIT $1
) AS part";

const WHOLE: &str = "
SELECT current_setting('server_version') AS version,
       pg_database_size(current_database()) AS database_bytes,
       pg_stat_get_live_tuples('pending_deliveries'::regclass) AS rows,
       pg_total_relation_size('pending_deliveries'::regclass) AS bytes";

impl FromRow<'_, PgRow> for TableSize {
    fn from_row(row: &PgRow) -> std::result::Result<Self, sqlx::Error> {
        Ok(Self {
            rows: row.try_get::<i64, _>("rows")?.unsigned_abs(),
            bytes: row.try_get::<i64, _>("bytes")?.unsigned_abs(),
        })
    }
}

/// How large it all is.
pub(super) async fn storage(pools: &Pools, settings: &StoreSettings) -> Result<Storage> {
    let whole = sqlx::query(WHOLE).fetch_one(&pools.reads).await?;
    Ok(Storage::Database(StoredDatabase {
        version: whole.try_get("version")?,
        bytes: whole.try_get::<i64, _>("database_bytes")?.unsigned_abs(),
        connections: connections(pools, settings),
        pending: TableSize::from_row(&whole)?,
        parts: parts(&pools.reads).await?,
    }))
}

fn connections(pools: &Pools, settings: &StoreSettings) -> Connections {
    let of = |count: fn(&PgPool) -> u64| count(&pools.work) + count(&pools.reads);
    Connections {
        open: of(|pool| u64::from(pool.size())),
        idle: of(|pool| u64::try_from(pool.num_idle()).unwrap_or_default()),
        most: u64::from(settings.max_connections),
    }
}

async fn parts(pool: &PgPool) -> Result<Vec<TimePart>> {
    let found = sqlx::query(PARTS).bind(MOST_TABLES).fetch_all(pool).await?;
    let mut parts: BTreeMap<Option<Span>, TimePart> = BTreeMap::new();
    for row in &found {
        let span = span_of(row.try_get("name")?);
        let part = parts.entry(span).or_insert(TimePart {
            span,
            events: TableSize::default(),
            deliveries: TableSize::default(),
            attempts: TableSize::default(),
        });
        let size = TableSize::from_row(row)?;
        match row.try_get::<&str, _>("parent")? {
            "events" => part.events = size,
            "final_deliveries" => part.deliveries = size,
            _ => part.attempts = size,
        }
    }
    // What lies in no span comes first, then the newest.
    let rest = parts.remove(&None);
    Ok(rest.into_iter().chain(parts.into_values().rev()).collect())
}
