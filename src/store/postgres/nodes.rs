//! The processes that run, as they tell it. The server's clock says when: those of the nodes may
//! differ.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};

use super::connect::answered;
use super::rows;
use crate::domain::node::{Lease, NodeReport, Registry};
use crate::store::rows::bind_node;
use crate::store::{MOST_NODES, NodeStore, Result, Storage, codec};

#[async_trait]
impl NodeStore for super::PostgresStore {
    async fn beat(&self, node: &NodeReport, age: Duration, patience: Duration) -> Result<()> {
        answered(beat(&self.pools.work, node, age, patience)).await
    }

    async fn registry(&self) -> Result<Registry> {
        answered(registry(&self.pools.reads)).await
    }

    async fn remove_node(&self, name: &str) -> Result<()> {
        answered(remove(&self.pools.work, name)).await
    }

    async fn forget_nodes(&self, unseen: Duration, most: u32) -> Result<u64> {
        answered(forget(&self.pools.work, unseen, most)).await
    }

    async fn storage(&self) -> Result<Storage> {
        answered(super::storage::storage(&self.pools, &self.settings)).await
    }
}

/// Notes what a process tells, also where it is not known yet.
async fn beat(pool: &PgPool, node: &NodeReport, age: Duration, patience: Duration) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO nodes (name, host, version, role, profile, unwell, in_flight, most_in_flight,
             window_bytes, most_window_bytes, subscriptions, restarts, waiting, resident_bytes,
             patience_us, started_at, seen_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
             clock_timestamp() - $16 * interval '1 microsecond', clock_timestamp())
         ON CONFLICT (name) DO UPDATE SET
             unwell = excluded.unwell, in_flight = excluded.in_flight,
             most_in_flight = excluded.most_in_flight, window_bytes = excluded.window_bytes,
             most_window_bytes = excluded.most_window_bytes,
             subscriptions = excluded.subscriptions, restarts = excluded.restarts,
             waiting = excluded.waiting, resident_bytes = excluded.resident_bytes,
             patience_us = excluded.patience_us, seen_at = excluded.seen_at",
    );
    bind_node!(query, node, patience, age).execute(pool).await?;
    Ok(())
}

/// All of them, and who owns the deliveries.
async fn registry(pool: &PgPool) -> Result<Registry> {
    let found = sqlx::query(
        "SELECT *, (extract(epoch FROM clock_timestamp() - started_at) * 1000000)::bigint AS age_us,
             (extract(epoch FROM clock_timestamp() - seen_at) * 1000000)::bigint AS unseen_us,
             clock_timestamp() - seen_at >= patience_us * interval '1 microsecond' AS is_lost
         FROM (SELECT * FROM nodes ORDER BY seen_at DESC, name LIMIT $1) AS known
         ORDER BY started_at, name",
    )
    .bind(i64::from(MOST_NODES))
    .fetch_all(pool)
    .await?;
    let leases = sqlx::query(
        "SELECT partition, owner, epoch,
             (extract(epoch FROM expires_at - clock_timestamp()) * 1000000)::bigint AS left_us
         FROM leases ORDER BY partition",
    )
    .fetch_all(pool)
    .await?;
    Ok(Registry {
        nodes: found.iter().map(rows::node).collect::<Result<_>>()?,
        leases: leases.iter().map(lease).collect::<Result<_>>()?,
    })
}

fn lease(row: &PgRow) -> Result<Lease> {
    let left: Option<i64> = row.try_get("left_us")?;
    Ok(Lease {
        partition: u32::from(row.try_get::<i16, _>("partition")?.unsigned_abs()),
        owner: row.try_get("owner")?,
        epoch: row.try_get("epoch")?,
        left: left.map(codec::duration),
    })
}

/// Forgets a process that ends.
async fn remove(pool: &PgPool, name: &str) -> Result<()> {
    sqlx::query("DELETE FROM nodes WHERE name = $1")
        .bind(name)
        .execute(pool)
        .await?;
    Ok(())
}

/// Forgets those that were not seen for long, and the oldest of too many. Several may do so at
/// once: what one has in hand the others leave to it.
async fn forget(pool: &PgPool, unseen: Duration, most: u32) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM nodes WHERE name = ANY(ARRAY(
             SELECT name FROM nodes
             WHERE seen_at <= clock_timestamp() - $1 * interval '1 microsecond'
             OR name IN (SELECT name FROM nodes ORDER BY seen_at DESC, name OFFSET $2)
             FOR UPDATE SKIP LOCKED
         ))",
    )
    .bind(codec::micros(unseen))
    .bind(i64::from(most))
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
