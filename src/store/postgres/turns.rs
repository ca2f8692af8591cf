//! How the calls that are written once for both stores (`catalogue_calls`, `account_calls`) come by a
//! connection of this one.

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Transaction};

use super::PostgresStore;
use super::read::SNAPSHOT;
use crate::store::Result;

pub(super) use super::connect::answered;

/// For one statement that reads.
pub(super) async fn reading(store: &PostgresStore) -> Result<PoolConnection<Postgres>> {
    Ok(store.pools.work.acquire().await?)
}

/// For a list: a slow one keeps no commit waiting.
pub(super) async fn listing(store: &PostgresStore) -> Result<PoolConnection<Postgres>> {
    Ok(store.pools.reads.acquire().await?)
}

/// For several statements that see the same.
pub(super) async fn snapshot(store: &PostgresStore) -> Result<Transaction<'static, Postgres>> {
    Ok(store.pools.work.begin_with(SNAPSHOT).await?)
}

/// For a change.
pub(super) async fn writing(store: &PostgresStore) -> Result<Transaction<'static, Postgres>> {
    Ok(store.pools.work.begin().await?)
}

/// Keeps what was done, or takes it back.
pub(super) async fn ended(
    transaction: Transaction<'static, Postgres>,
    is_done: bool,
) -> Result<()> {
    match is_done {
        true => transaction.commit().await?,
        false => transaction.rollback().await?,
    }
    Ok(())
}
