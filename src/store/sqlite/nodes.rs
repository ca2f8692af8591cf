//! The process that runs, and those before it: the file has one at a time, so whoever is known but
//! the last is lost.

use std::time::Duration;

use async_trait::async_trait;

use super::connect::Pools;
use super::rows;
use crate::domain::node::{Lease, NodeReport, Registry};
use crate::store::rows::bind_node;
use crate::store::{MOST_NODES, NodeStore, Result, Storage, codec};

#[async_trait]
impl NodeStore for super::SqliteStore {
    async fn beat(&self, node: &NodeReport, age: Duration, patience: Duration) -> Result<()> {
        beat(&self.pools, node, age, patience).await
    }

    async fn registry(&self) -> Result<Registry> {
        registry(&self.pools).await
    }

    async fn remove_node(&self, name: &str) -> Result<()> {
        remove(&self.pools, name).await
    }

    async fn forget_nodes(&self, unseen: Duration, most: u32) -> Result<u64> {
        forget(&self.pools, unseen, most).await
    }

    async fn storage(&self) -> Result<Storage> {
        super::storage::storage(&self.pools).await
    }
}

/// Notes what a process tells, also where it is not known yet. The first beat makes it the last one
/// that has the file.
async fn beat(pools: &Pools, node: &NodeReport, age: Duration, patience: Duration) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO nodes (name, host, version, role, profile, unwell, in_flight, most_in_flight,
             window_bytes, most_window_bytes, subscriptions, restarts, waiting, resident_bytes,
             patience_us, started_at, seen_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
             clock.now - $16, clock.now
         FROM (SELECT CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER) AS now) AS clock
         WHERE true
         ON CONFLICT (name) DO UPDATE SET
             unwell = excluded.unwell, in_flight = excluded.in_flight,
             most_in_flight = excluded.most_in_flight, window_bytes = excluded.window_bytes,
             most_window_bytes = excluded.most_window_bytes,
             subscriptions = excluded.subscriptions, restarts = excluded.restarts,
             waiting = excluded.waiting, resident_bytes = excluded.resident_bytes,
             patience_us = excluded.patience_us, seen_at = excluded.seen_at",
    );
    let mut transaction = pools.write().await?;
    bind_node!(query, node, patience, age)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// All of them. Whoever has the file owns the deliveries.
async fn registry(pools: &Pools) -> Result<Registry> {
    let mut snapshot = pools.read().await?;
    let found = sqlx::query(
        "SELECT known.*, clock.now - started_at AS age_us, clock.now - seen_at AS unseen_us,
             clock.now - seen_at >= patience_us OR id < (SELECT max(id) FROM nodes) AS is_lost
         FROM (SELECT * FROM nodes ORDER BY id DESC LIMIT $1) AS known,
             (SELECT CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER) AS now) AS clock
         ORDER BY id",
    )
    .bind(i64::from(MOST_NODES))
    .fetch_all(&mut *snapshot)
    .await?;
    let epoch = sqlx::query_scalar("SELECT epoch FROM leases WHERE partition = 0")
        .fetch_one(&mut *snapshot)
        .await?;
    let nodes = found.iter().map(rows::node).collect::<Result<Vec<_>>>()?;
    let lease = Lease {
        partition: 0,
        owner: nodes.last().map(|last| last.report.name.clone()),
        epoch,
        left: None,
    };
    Ok(Registry {
        nodes,
        leases: vec![lease],
    })
}

/// Forgets a process that ends.
async fn remove(pools: &Pools, name: &str) -> Result<()> {
    let mut transaction = pools.write().await?;
    sqlx::query("DELETE FROM nodes WHERE name = ?")
        .bind(name)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Forgets those that were not seen for long, and the oldest of too many.
async fn forget(pools: &Pools, unseen: Duration, most: u32) -> Result<u64> {
    let mut transaction = pools.write().await?;
    let done = sqlx::query(
        "DELETE FROM nodes
         WHERE seen_at <= CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER) - $1
         OR id NOT IN (SELECT id FROM nodes ORDER BY id DESC LIMIT $2)",
    )
    .bind(codec::micros(unseen))
    .bind(i64::from(most))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(done.rows_affected())
}
