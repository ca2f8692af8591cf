//! One file, one write at a time, a few readers.
//!
//! Two connections write: the thread that accepts and records (`writer.rs`), and one for all that is
//! rarer. They take turns, fairly; SQLite's own lock would let them wait in sleeps.

use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Sqlite, Transaction};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::checkpoint::Checkpointer;
use super::writer::{Writer, Written};
use crate::settings::StoreSettings;
use crate::store::secret_box::SecretBox;
use crate::store::{Result, StoreError};

/// The file's name in the data directory.
const FILE: &str = "posthaste.db";
/// Another program (a backup, a shell) may hold the file this long before a call gives up.
const BUSY: Duration = Duration::from_secs(5);
/// Readers: lists and pages; each is short.
const READERS: u32 = 4;
/// KiB of pages that each writer keeps: the ends of all its indexes should fit. What does not is
/// in the system's cache, a copy away.
const WRITER_CACHE_KIB: u32 = 8_192;
/// KiB of pages that each reader keeps.
const READER_CACHE_KIB: u32 = 2_048;
/// A log that once grew longer, behind a long read, is cut back to this.
const LOG_BYTES: u32 = 64 << 20;
/// The rarer writer moves a log of so many pages itself: it may be the only one who writes.
const OVERDUE_PAGES: u32 = 16_384;

/// The writers and the readers of one file.
pub(super) struct Pools {
    hot: Writer,
    /// One connection: SQLite lets one write at a time, and here they queue fairly.
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    file: File,
    turn: Arc<Turn<()>>,
    patience: Duration,
    pub(super) secret_box: SecretBox,
}

/// A transaction that may write, and the turn for it.
pub(super) struct Writing {
    transaction: Transaction<'static, Sqlite>,
    /// Given back last.
    _turn: OwnedMutexGuard<()>,
}

impl Writing {
    /// Makes it durable.
    pub(super) async fn commit(self) -> Result<()> {
        Ok(self.transaction.commit().await?)
    }

    /// Takes it back.
    pub(super) async fn rollback(self) -> Result<()> {
        Ok(self.transaction.rollback().await?)
    }
}

impl Deref for Writing {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

impl Pools {
    /// A transaction that may write. It holds the write lock from its begin on, so it cannot
    /// fail half-way for having read before another wrote.
    pub(super) async fn write(&self) -> Result<Writing> {
        let turn = Arc::clone(&self.turn).lock_owned();
        let Ok(turn) = tokio::time::timeout(self.patience, turn).await else {
            let reason = "the database was busy for too long";
            return Err(StoreError::Unavailable(reason.to_owned()));
        };
        Ok(Writing {
            transaction: self.writer.begin_with("BEGIN IMMEDIATE").await?,
            _turn: turn,
        })
    }

    /// Runs this in a transaction of the thread that accepts and records.
    pub(super) async fn write_hot<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<Written<T>> + Send + 'static,
    ) -> Result<T> {
        self.hot.write(work).await
    }

    /// A snapshot to read from.
    pub(super) async fn read(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.readers.begin().await?)
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.file.0
    }

    /// Ends all connections. The writer last: it moves the log into the file and tidies up.
    pub(super) async fn close(&self) {
        self.hot.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The file, for connections that are not a pool's.
#[derive(Clone)]
pub(super) struct File(PathBuf);

impl File {
    /// The one at this path.
    #[cfg(test)]
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// A connection as durable as the pools'.
    pub(super) fn connect(&self) -> Result<rusqlite::Connection> {
        let connection = rusqlite::Connection::open_with_flags(
            &self.0,
            rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1;
             PRAGMA foreign_keys = OFF; PRAGMA temp_store = memory;
             PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = {LOG_BYTES};
             PRAGMA cache_size = -{WRITER_CACHE_KIB}"
        ))?;
        Ok(connection)
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
        .pragma("checkpoint_fullfsync", "1")
        .pragma("wal_autocheckpoint", OVERDUE_PAGES.to_string())
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
    let readers = options
        .pragma("cache_size", format!("-{READER_CACHE_KIB}"))
        .pragma("query_only", "1");
    let readers = pool(READERS).connect_lazy_with(readers);
    let turn = Arc::default();
    let file = File(path);
    let started = Checkpointer::start(file.clone(), Arc::clone(&turn))
        .and_then(|checkpointer| Writer::start(file.clone(), Arc::clone(&turn), checkpointer));
    Ok(Pools {
        hot: started.map_err(|error| StoreError::Unavailable(error.to_string()))?,
        writer,
        readers,
        file,
        turn,
        patience: settings.acquire_timeout,
        secret_box: SecretBox::new(&settings.master_keys),
    })
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
