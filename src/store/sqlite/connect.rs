//! One file, one writer, a few readers.

use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Sqlite, Transaction};

use crate::settings::StoreSettings;
use crate::store::{Result, StoreError};

/// The file's name in the data directory.
const FILE: &str = "posthaste.db";
/// Another program (a backup, a shell) may hold the file this long before a call gives up.
const BUSY: Duration = Duration::from_secs(5);
/// Readers: lists and pages; each is short.
const READERS: u32 = 4;
/// KiB of pages that the writer keeps: the ends of all its indexes should fit.
const WRITER_CACHE_KIB: u32 = 65_536;
/// Pages in the log before they are moved into the file (16 MiB). A page written often is
/// moved once for all its writes, so a longer log costs less; recovery after a crash reads it.
const CHECKPOINT_PAGES: u32 = 4_096;
/// A log that once grew longer, behind a long read, is cut back to this.
const LOG_BYTES: u32 = 64 << 20;

/// The writer and the readers of one file.
pub(super) struct Pools {
    /// One connection: SQLite lets one write at a time, and here they queue fairly.
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

impl Pools {
    /// A transaction that may write. It holds the write lock from its begin on, so it cannot
    /// fail half-way for having read before another wrote.
    pub(super) async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A snapshot to read from.
    pub(super) async fn read(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.readers.begin().await?)
    }
}

/// Opens the file, making it where it is missing, readable by its owner alone.
///
/// Statistics are never gathered (`ANALYZE`, `PRAGMA optimize`): the pending index swings between
/// empty and all there is, and plans must not depend on when somebody looked.
pub(super) async fn open(settings: &StoreSettings) -> Result<Pools> {
    let path = settings.data_dir.join(FILE);
    make_private(&settings.data_dir, &path).map_err(|error| {
        StoreError::Unavailable(format!("cannot open {}: {error}", path.display()))
    })?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL: every commit is on disk before it is answered. NORMAL would lose the last ones.
        .synchronous(SqliteSynchronous::Full)
        // macOS: fsync alone leaves the data in the drive's cache.
        .pragma("fullfsync", "1")
        .auto_vacuum(SqliteAutoVacuum::None)
        .busy_timeout(BUSY)
        .foreign_keys(false)
        .pragma("temp_store", "memory")
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("journal_size_limit", LOG_BYTES.to_string())
        .disable_statement_logging();
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(settings.acquire_timeout)
            // A connection is a thread with its prepared statements; neither grows stale.
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(is_sound(connection)))
    };
    let writer = options
        .clone()
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"));
    let writer = pool(1).connect_with(writer).await?;
    let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "1"));
    Ok(Pools { writer, readers })
}

/// Whether a connection may be used again. On a full disk or a failed write SQLite ends the
/// transaction by itself; the library then fails to end it a second time and believes for ever
/// that one is open. Such a connection is replaced.
async fn is_sound(connection: &mut SqliteConnection) -> std::result::Result<bool, sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // The end of a transaction that was only dropped may still be on its way.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// SQLite gives its log the rights of the file, so making the file first is enough.
fn make_private(directory: &Path, file: &Path) -> io::Result<()> {
    let mut directories = std::fs::DirBuilder::new();
    directories.recursive(true);
    let mut files = std::fs::OpenOptions::new();
    files.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
        directories.mode(0o700).create(directory)?;
        let file = files.mode(0o600).open(file)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    {
        directories.create(directory)?;
        files.open(file).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[tokio::test]
    async fn a_full_disk_costs_the_connection_and_no_later_write() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display().to_string();
        let settings = Settings::load(None, [("POSTHASTE_DATA_DIR", place)], false).unwrap();
        let pools = open(&settings.store).await.unwrap();
        // Bounds this very connection: the next one finds room again.
        let mut bounded = pools.writer.acquire().await.unwrap();
        let pragmas = "PRAGMA max_page_count = 8; CREATE TABLE bulk (bytes BLOB)";
        sqlx::raw_sql(pragmas).execute(&mut *bounded).await.unwrap();
        drop(bounded);
        let fill = "INSERT INTO bulk VALUES (zeroblob(1000000))";

        let mut transaction = pools.write().await.unwrap();
        let full = sqlx::query(fill)
            .execute(&mut *transaction)
            .await
            .unwrap_err();
        assert!(matches!(full.into(), StoreError::Unavailable(reason) if reason.contains("full")));
        drop(transaction);

        let mut transaction = pools.write().await.unwrap();
        sqlx::query(fill).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }
}
