//! How the calls that are written once for both stores (`catalogue_calls`, `account_calls`) come by a
//! connection of this one.

use std::future::Future;

use sqlx::{Sqlite, Transaction};

use super::SqliteStore;
use super::connect::Writing;
use crate::store::Result;

/// For one statement that reads: a snapshot as any, which costs the same here.
pub(super) async fn reading(store: &SqliteStore) -> Result<Transaction<'static, Sqlite>> {
    store.pools.read().await
}

pub(super) use self::{reading as listing, reading as snapshot};

/// For a change.
pub(super) async fn writing(store: &SqliteStore) -> Result<Writing> {
    store.pools.write().await
}

/// Keeps what was done, or takes it back.
pub(super) async fn ended(transaction: Writing, is_done: bool) -> Result<()> {
    match is_done {
        true => transaction.commit().await,
        false => transaction.rollback().await,
    }
}

/// A file always answers.
pub(super) async fn answered<T>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    work.await
}
