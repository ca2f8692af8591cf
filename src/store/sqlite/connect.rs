//! One file, one writer, a few readers.

use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Sqlite, Transaction};

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
    };
    let writer = options
        .clone()
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"));
    let writer = pool(1).connect_with(writer).await?;
    let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "1"));
    Ok(Pools { writer, readers })
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
