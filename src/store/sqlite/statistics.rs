//! Statistics: deltas folded into buckets, and both read together.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::connect::Pools;
use super::id_list;
use super::writer::Written;
use crate::domain::Timestamp;
use crate::domain::id::SubscriptionId;
use crate::domain::statistics::{Delta, Figures, Key, Minutes, TenantOf, Width};
use crate::store::rows::At;
use crate::store::statistics::{
    self, DeltaRow, MOST_UNFOLDED, Statistics, StatisticsQuery, Whose, delta_bytes, figures_bytes,
    scope, scope_text, width,
};
use crate::store::{CutBreaker, Folded, Result, StatisticsStore, codec};

const DELTAS: &str = "
SELECT seq, at, body, subscription_id, from_state, to_state, tenant, event_type, moved
FROM statistic_deltas ORDER BY seq LIMIT ?";

/// One write at a time, so nothing with a smaller number comes late, and nobody else folded.
const TAKE: &str = "DELETE FROM statistic_deltas WHERE seq <= ?";
const FOLDED: &str = "UPDATE statistic_folds SET number = number + 1 WHERE number = ?";

const STANDS: &str = "SELECT body FROM statistics WHERE scope = ? AND width = ? AND start = ?";
const KEEP: &str = "
INSERT INTO statistics (scope, width, start, body) VALUES (?, ?, ?, ?)
ON CONFLICT (scope, width, start) DO UPDATE SET body = excluded.body";

const OF_SCOPES: &str = "
SELECT scope, width, start, body FROM statistics
WHERE scope IN (SELECT value FROM json_each(?1)) AND width = ?2 AND start >= ?3 AND start < ?4";

const OF_SUBSCRIPTIONS: &str = "
SELECT scope, width, start, body FROM statistics INDEXED BY statistics_of_time
WHERE width = ? AND start >= ? AND start < ? AND scope >= 's' AND scope < 't'
ORDER BY start DESC, scope LIMIT ?";

const FORGET: &str = "
DELETE FROM statistics WHERE (scope, width, start) IN (
    SELECT scope, width, start FROM statistics INDEXED BY statistics_of_time
    WHERE width = ? AND start < ? ORDER BY start LIMIT ?
)";

const OLDEST: &str = "SELECT created_at FROM pending_deliveries INDEXED BY pending_deliveries_id ORDER BY id LIMIT 1";

const OLDEST_OF: &str = "
SELECT min((
    SELECT created_at FROM pending_deliveries INDEXED BY pending_deliveries_age
    WHERE subscription_id = unhex(k.value) ORDER BY seq LIMIT 1
)) FROM json_each(?) AS k";

const CUT: &str = "
SELECT subscription_id, breaker_state, breaker_until
FROM subscription_runtime INDEXED BY subscription_runtime_cut
WHERE breaker_state <> 'closed' ORDER BY subscription_id LIMIT ?";

const TENANTS: &str = "
SELECT id, tenant FROM subscriptions
WHERE id IN (SELECT unhex(value) FROM json_each(?)) AND tenant IS NOT NULL";

#[async_trait]
impl StatisticsStore for super::SqliteStore {
    async fn fold_statistics(&self, limit: u32) -> Result<Folded> {
        fold(&self.pools, limit).await
    }

    async fn statistics(&self, query: &StatisticsQuery) -> Result<Statistics> {
        read(&self.pools, query).await
    }

    async fn forget_statistics(&self, width: Width, before: Timestamp, limit: u32) -> Result<u64> {
        forget(&self.pools, width, before, limit).await
    }

    async fn oldest_pending_since(
        &self,
        of: Option<&[SubscriptionId]>,
    ) -> Result<Option<Timestamp>> {
        oldest(&self.pools, of).await
    }

    async fn cut_breakers(&self, limit: u32) -> Result<Vec<CutBreaker>> {
        cut(&self.pools, limit).await
    }
}

/// Adds what a group comes to, within its transaction.
pub(super) fn note(connection: &Connection, delta: &Delta, at: Timestamp) -> Result<()> {
    let body = delta_bytes(delta);
    if !body.is_empty() {
        connection
            .prepare_cached("INSERT INTO statistic_deltas (at, body) VALUES (?, ?)")?
            .execute(params![at.as_micros(), body])?;
    }
    Ok(())
}

/// Notes, within a transaction, that so many deliveries were made pending.
pub(super) async fn note_made(
    connection: &mut SqliteConnection,
    subscription: SubscriptionId,
    count: usize,
    at: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO statistic_deltas (at, subscription_id, to_state, moved)
         VALUES (?, ?, 'pending', ?)",
    )
    .bind(At(at))
    .bind(subscription.0)
    .bind(codec::large(count as u64))
    .execute(connection)
    .await?;
    Ok(())
}

/// Folds a batch. What it comes to is worked out from a snapshot,
/// so that the one writer is held for the writing alone. None where another folded meanwhile.
async fn fold(pools: &Pools, limit: u32) -> Result<Folded> {
    let mut snapshot = pools.read().await?;
    let number: i64 = sqlx::query_scalar("SELECT number FROM statistic_folds")
        .fetch_one(&mut *snapshot)
        .await?;
    let found = sqlx::query(DELTAS)
        .bind(i64::from(limit))
        .fetch_all(&mut *snapshot)
        .await?;
    let rows = found.iter().map(delta_row).collect::<Result<Vec<_>>>()?;
    let (minutes, taken) = statistics::gather(rows, true)?;
    let Some(last) = taken.checked_sub(1).and_then(|last| found.get(last)) else {
        return Ok(Folded::default());
    };
    let folded = Folded::of(taken, found.len(), limit);
    let last: i64 = last.try_get("seq")?;
    let tenants = tenants(&mut snapshot, &minutes).await?;
    drop(snapshot);
    let fresh = minutes.buckets(&tenants, |_| true);
    let keep = move |connection: &Connection| {
        let mine = connection.prepare_cached(FOLDED)?.execute([number])?;
        if mine == 0 {
            return Ok(Written::Undone(Folded::default()));
        }
        for ((scope, width, start), mut figures) in fresh {
            let (scope, width, start) = (scope_text(&scope), width.minutes(), start.as_micros());
            let stands: Option<Vec<u8>> = connection
                .prepare_cached(STANDS)?
                .query_row(params![scope, width, start], |row| row.get(0))
                .optional()?;
            if let Some(stands) = stands {
                figures.add(&statistics::figures(&stands)?);
            }
            connection.prepare_cached(KEEP)?.execute(params![
                scope,
                width,
                start,
                figures_bytes(&figures)
            ])?;
        }
        connection.prepare_cached(TAKE)?.execute([last])?;
        Ok(Written::Kept(folded))
    };
    pools.write_hot(keep).await
}

/// Buckets as of one moment, with what is not folded yet.
async fn read(pools: &Pools, query: &StatisticsQuery) -> Result<Statistics> {
    let mut snapshot = pools.read().await?;
    let mut folded = BTreeMap::new();
    for piece in &query.pieces {
        let found = match &query.whose {
            Whose::Scopes(scopes) => {
                let scopes: Vec<String> = scopes.iter().map(scope_text).collect();
                sqlx::query(OF_SCOPES)
                    .bind(serde_json::to_string(&scopes).unwrap_or_default())
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

async fn tenants(connection: &mut SqliteConnection, minutes: &Minutes) -> Result<TenantOf> {
    let found: Vec<(Uuid, String)> = sqlx::query_as(TENANTS)
        .bind(id_list(minutes.subscriptions().map(|id| id.0)))
        .fetch_all(connection)
        .await?;
    let tenant = |(id, tenant): (Uuid, String)| (SubscriptionId(id), Arc::from(tenant));
    Ok(found.into_iter().map(tenant).collect())
}

fn bucket(row: &SqliteRow) -> Result<(Key, Figures)> {
    let start: At = row.try_get("start")?;
    let key = (
        scope(row.try_get("scope")?)?,
        width(row.try_get("width")?)?,
        start.0,
    );
    Ok((key, statistics::figures(row.try_get("body")?)?))
}

fn delta_row(row: &SqliteRow) -> Result<DeltaRow> {
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
async fn forget(pools: &Pools, width: Width, before: Timestamp, limit: u32) -> Result<u64> {
    let mut transaction = pools.write().await?;
    let done = sqlx::query(FORGET)
        .bind(width.minutes())
        .bind(At(before))
        .bind(i64::from(limit))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(done.rows_affected())
}

/// When the oldest of what is pending was made.
async fn oldest(pools: &Pools, of: Option<&[SubscriptionId]>) -> Result<Option<Timestamp>> {
    let query = match of {
        None => sqlx::query_scalar(OLDEST),
        Some(ids) => sqlx::query_scalar(OLDEST_OF).bind(id_list(ids.iter().map(|id| id.0))),
    };
    let found: Option<Option<At>> = query.fetch_optional(&pools.readers).await?;
    Ok(found.flatten().map(|at| at.0))
}

/// Breakers that are not closed.
async fn cut(pools: &Pools, limit: u32) -> Result<Vec<CutBreaker>> {
    let found: Vec<(Uuid, String, Option<At>)> = sqlx::query_as(CUT)
        .bind(i64::from(limit))
        .fetch_all(&pools.readers)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::plans;

    #[tokio::test]
    async fn nothing_is_read_but_by_index() {
        for (sql, searched) in [
            (OF_SCOPES, "(scope=? AND width=? AND start>? AND start<?)"),
            (
                OF_SUBSCRIPTIONS,
                "statistics_of_time (width=? AND start>? AND start<?)",
            ),
            (FORGET, "statistics_of_time (width=? AND start<?)"),
            (STANDS, "(scope=? AND width=? AND start=?)"),
            (TAKE, "(rowid<?)"),
            (OLDEST, "pending_deliveries_id"),
            (OLDEST_OF, "pending_deliveries_age (subscription_id=?)"),
            (CUT, "subscription_runtime_cut"),
            (TENANTS, "(id=?)"),
        ] {
            let steps = plans::of(sql).await;
            assert!(
                steps.iter().any(|step| step.contains(searched)),
                "{sql}: {steps:?}"
            );
            let walks =
                |step: &&String| step.starts_with("SCAN statistics") && !step.contains("INDEX");
            assert_eq!(steps.iter().find(walks), None, "{sql}");
        }
    }
}
