//! Statistics: deltas folded into buckets, and both read together.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{Executor, Row};
use uuid::Uuid;

use super::connect::answered;
use super::read::SNAPSHOT;
use crate::domain::Timestamp;
use crate::domain::id::SubscriptionId;
use crate::domain::statistics::{Figures, Key, Minutes, TenantOf, Width};
use crate::store::rows::At;
use crate::store::statistics::{
    self, DeltaRow, MOST_UNFOLDED, Statistics, StatisticsQuery, Whose, figures_bytes, scope,
    scope_text, width,
};
use crate::store::{CutBreaker, Folded, Result, StatisticsStore, codec};

/// Whoever folds does so alone: it reads buckets and writes them again. The first number is the
/// relay's own, as in `accept.rs`.
const ALONE: &str = "SELECT pg_try_advisory_xact_lock(1886352244, 18)";

/// The oldest of what is not folded. By its key: what is committed late, with a smaller number than
/// what was folded already, is found by the next fold.
const DELTAS: &str = "
SELECT seq, at, body, subscription_id, from_state, to_state, tenant, event_type, moved
FROM statistic_deltas ORDER BY seq LIMIT $1";

const TAKE: &str = "DELETE FROM statistic_deltas WHERE seq = ANY($1)";

/// These buckets, each by its key.
const STAND: &str = "
SELECT s.* FROM unnest($1::text[], $2::smallint[], $3::timestamptz[]) AS k (scope, width, start)
CROSS JOIN LATERAL (
    SELECT scope, width, start, body FROM statistics
    WHERE scope = k.scope AND width = k.width AND start = k.start LIMIT 1
) AS s";

const KEEP: &str = "
INSERT INTO statistics (scope, width, start, body)
SELECT * FROM unnest($1::text[], $2::smallint[], $3::timestamptz[], $4::bytea[])
ON CONFLICT (scope, width, start) DO UPDATE SET body = excluded.body";

/// A range of the key for each scope.
const OF_SCOPES: &str = "
SELECT b.* FROM unnest($1::text[]) AS k (scope)
CROSS JOIN LATERAL (
    SELECT scope, width, start, body FROM statistics
    WHERE scope = k.scope AND width = $2 AND start >= $3 AND start < $4
    ORDER BY start OFFSET 0
) AS b";

/// A range of the index by time, whose condition stands here so that it serves.
const OF_SUBSCRIPTIONS: &str = "
SELECT scope, width, start, body FROM statistics
WHERE width = $1 AND start >= $2 AND start < $3 AND scope >= 's' AND scope < 't'
    AND length(scope) > 0
ORDER BY width, start DESC, scope LIMIT $4";

const FORGET: &str = "
DELETE FROM statistics WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM statistics WHERE width = $1 AND start < $2 AND length(scope) > 0
    ORDER BY width, start, scope LIMIT $3
))";

const OLDEST: &str = "SELECT created_at FROM pending_deliveries ORDER BY id LIMIT 1";

const OLDEST_OF: &str = "
SELECT min(p.created_at) FROM unnest($1::uuid[]) AS k (id)
CROSS JOIN LATERAL (
    SELECT created_at FROM pending_deliveries WHERE subscription_id = k.id ORDER BY seq LIMIT 1
) AS p";

const CUT: &str = "
SELECT subscription_id, breaker_state, breaker_until FROM subscription_runtime
WHERE breaker_state <> 'closed' ORDER BY subscription_id LIMIT $1";

/// What must not grow with the tables, for tests: each with arguments, and the index that serves it.
pub const PLANS: [(&str, &str, &str); 7] = [
    (DELTAS, "(10)", "statistic_deltas_pkey"),
    (TAKE, "(ARRAY[1, 2]::bigint[])", "statistic_deltas_pkey"),
    (
        STAND,
        "(ARRAY['all'], ARRAY[1::smallint], ARRAY[now()])",
        "statistics_pkey",
    ),
    (
        OF_SCOPES,
        "(ARRAY['all', 'tx'], 60, now() - interval '1 day', now())",
        "statistics_pkey",
    ),
    (
        OF_SUBSCRIPTIONS,
        "(60, now() - interval '1 day', now(), 10)",
        "statistics_of_time",
    ),
    (FORGET, "(60, now(), 10)", "statistics_of_time"),
    (CUT, "(10)", "subscription_runtime_cut"),
];

#[async_trait]
impl StatisticsStore for super::PostgresStore {
    async fn fold_statistics(&self, limit: u32) -> Result<Folded> {
        answered(fold(&self.pools.work, limit)).await
    }

    async fn statistics(&self, query: &StatisticsQuery) -> Result<Statistics> {
        answered(read(&self.pools.reads, query)).await
    }

    async fn forget_statistics(&self, width: Width, before: Timestamp, limit: u32) -> Result<u64> {
        answered(forget(&self.pools.work, width, before, limit)).await
    }

    async fn oldest_pending_since(
        &self,
        of: Option<&[SubscriptionId]>,
    ) -> Result<Option<Timestamp>> {
        answered(oldest(&self.pools.reads, of)).await
    }

    async fn cut_breakers(&self, limit: u32) -> Result<Vec<CutBreaker>> {
        answered(cut(&self.pools.reads, limit)).await
    }
}

/// Folds a batch. None where another is at it.
async fn fold(pool: &PgPool, limit: u32) -> Result<Folded> {
    let mut transaction = pool.begin().await?;
    let alone: bool = sqlx::query_scalar(ALONE)
        .fetch_one(&mut *transaction)
        .await?;
    if !alone {
        return Ok(Folded::default());
    }
    let found = sqlx::query(DELTAS)
        .bind(i64::from(limit))
        .fetch_all(&mut *transaction)
        .await?;
    if found.is_empty() {
        return Ok(Folded::default());
    }
    let rows = found.iter().map(delta_row).collect::<Result<Vec<_>>>()?;
    let (minutes, taken) = statistics::gather(rows, true)?;
    let taken: Vec<i64> = found[..taken]
        .iter()
        .map(|row| row.try_get("seq"))
        .collect::<std::result::Result<_, _>>()?;
    let tenants = tenants(&mut transaction, &minutes).await?;
    let fresh = minutes.buckets(&tenants, |_| true);
    let (scopes, widths, starts) = columns(fresh.keys());
    let stand = sqlx::query(STAND)
        .bind(&scopes)
        .bind(&widths)
        .bind(&starts)
        .fetch_all(&mut *transaction)
        .await?;
    let mut bodies = fresh;
    for row in &stand {
        let (key, figures) = bucket(row)?;
        bodies.entry(key).or_default().add(&figures);
    }
    sqlx::query(KEEP)
        .bind(scopes)
        .bind(widths)
        .bind(starts)
        .bind(bodies.values().map(figures_bytes).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
    let folded = Folded::of(taken.len(), found.len(), limit);
    sqlx::query(TAKE)
        .bind(taken)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(folded)
}

fn columns<'a>(keys: impl Iterator<Item = &'a Key>) -> (Vec<String>, Vec<i16>, Vec<At>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for (scope, width, start) in keys {
        columns.0.push(scope_text(scope));
        columns.1.push(width.minutes());
        columns.2.push(At(*start));
    }
    columns
}

/// Buckets as of one moment, with what is not folded yet.
async fn read(pool: &PgPool, query: &StatisticsQuery) -> Result<Statistics> {
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    let mut folded = BTreeMap::new();
    for piece in &query.pieces {
        let found = match &query.whose {
            Whose::Scopes(scopes) => {
                sqlx::query(OF_SCOPES)
                    .bind(scopes.iter().map(scope_text).collect::<Vec<_>>())
                    .bind(piece.width.minutes())
                    .bind(At(piece.from))
                    .bind(At(piece.until))
                    .fetch_all(&mut *snapshot)
                    .await?
            }
            Whose::Subscriptions { most } => {
                sqlx::query(OF_SUBSCRIPTIONS)
                    .bind(piece.width.minutes())
                    .bind(At(piece.from))
                    .bind(At(piece.until))
                    .bind(i64::from(*most))
                    .fetch_all(&mut *snapshot)
                    .await?
            }
        };
        for row in &found {
            let (key, figures) = bucket(row)?;
            folded.insert(key, figures);
        }
    }
    let mut found = sqlx::query(DELTAS)
        .bind(i64::from(MOST_UNFOLDED) + 1)
        .fetch_all(&mut *snapshot)
        .await?;
    let behind = found.len() > MOST_UNFOLDED as usize;
    found.truncate(MOST_UNFOLDED as usize);
    let rows = found.iter().map(delta_row).collect::<Result<Vec<_>>>()?;
    let (minutes, _) = statistics::gather(rows, false)?;
    let tenants = match query.names_tenants() {
        true => tenants(&mut snapshot, &minutes).await?,
        false => TenantOf::new(),
    };
    let unfolded = minutes.buckets(&tenants, |key| query.wants(key));
    Ok(Statistics {
        behind,
        ..Statistics::of(folded, unfolded)
    })
}

async fn tenants(connection: &mut PgConnection, minutes: &Minutes) -> Result<TenantOf> {
    let ids: Vec<Uuid> = minutes.subscriptions().map(|id| id.0).collect();
    let found: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT id, tenant FROM subscriptions WHERE id = ANY($1) AND tenant IS NOT NULL",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let tenant = |(id, tenant): (Uuid, String)| (SubscriptionId(id), Arc::from(tenant));
    Ok(found.into_iter().map(tenant).collect())
}

fn bucket(row: &PgRow) -> Result<(Key, Figures)> {
    let start: At = row.try_get("start")?;
    let key = (
        scope(row.try_get("scope")?)?,
        width(row.try_get("width")?)?,
        start.0,
    );
    Ok((key, statistics::figures(row.try_get("body")?)?))
}

fn delta_row(row: &PgRow) -> Result<DeltaRow> {
    let subscription: Option<Uuid> = row.try_get("subscription_id")?;
    Ok(DeltaRow {
        at: row.try_get::<Option<At>, _>("at")?.map(|at| at.0),
        body: row.try_get("body")?,
        subscription: subscription.map(SubscriptionId),
        from: row.try_get("from_state")?,
        to: row.try_get("to_state")?,
        tenant: row.try_get("tenant")?,
        event_type: row.try_get("event_type")?,
        moved: row.try_get("moved")?,
    })
}

/// Forgets a batch of old buckets.
async fn forget(pool: &PgPool, width: Width, before: Timestamp, limit: u32) -> Result<u64> {
    let done = sqlx::query(FORGET)
        .bind(width.minutes())
        .bind(At(before))
        .bind(i64::from(limit))
        .execute(pool)
        .await?;
    Ok(done.rows_affected())
}

/// When the oldest of what is pending was made: one step into the key, or one for each of these.
async fn oldest(pool: &PgPool, of: Option<&[SubscriptionId]>) -> Result<Option<Timestamp>> {
    let found: Option<Option<At>> = match of {
        None => sqlx::query_scalar(OLDEST).fetch_optional(pool).await?,
        Some(ids) => {
            let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
            let query = sqlx::query_scalar(OLDEST_OF).bind(ids);
            query.fetch_optional(pool).await?
        }
    };
    Ok(found.flatten().map(|at| at.0))
}

/// Breakers that are not closed.
async fn cut(pool: &PgPool, limit: u32) -> Result<Vec<CutBreaker>> {
    let found: Vec<(Uuid, String, Option<At>)> = sqlx::query_as(CUT)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    let breaker = |(id, state, until): (Uuid, String, Option<At>)| {
        Ok(CutBreaker {
            subscription: SubscriptionId(id),
            state: codec::breaker_state(&state)?,
            until: until.map(|at| at.0),
        })
    };
    found.into_iter().map(breaker).collect()
}

/// Notes, within a transaction, that so many deliveries were made pending.
pub(super) async fn note_made(
    connection: &mut PgConnection,
    subscription: SubscriptionId,
    count: usize,
    at: Timestamp,
) -> Result<()> {
    let note = sqlx::query(
        "INSERT INTO statistic_deltas (at, subscription_id, to_state, moved)
         VALUES ($1, $2, 'pending', $3)",
    )
    .bind(At(at))
    .bind(subscription.0)
    .bind(codec::large(count as u64));
    connection.execute(note).await?;
    Ok(())
}
