//! The thread that writes what comes most: events accepted, outcomes recorded.
//!
//! A call is one closure, run with prepared statements on the thread's own connection: one
//! hand-over, however many rows. Calls that wait when the thread comes round share a transaction,
//! and so one sync of the disk, each within a savepoint of its own: what one takes back is its own.
//! Nothing is answered before the commit; an error of the commit is everybody's.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use rusqlite::hooks::Wal;
use tokio::sync::{Mutex as Turn, oneshot};

use super::checkpoint::Checkpointer;
use super::connect::File;
use crate::store::failure::of_sqlite_code;
use crate::store::{Result, StoreError};

/// Calls that share a transaction at most.
const MOST_CALLS: usize = 8;
/// Statements that stay prepared; there are fewer.
const STATEMENTS: usize = 64;
/// Pages that the log grows by between two calls for a checkpoint (16 MiB). A page written often is
/// moved into the file once for all its writes, so a longer log costs less; recovery after a crash
/// reads it.
const CHECKPOINT_PAGES: i32 = 4_096;
/// A log so long is checkpointed by whoever writes: the thread that should have done it is gone.
const OVERDUE_PAGES: i32 = 8 * CHECKPOINT_PAGES;

thread_local! {
    /// Pages in the log after this thread's last commit.
    static LOG_PAGES: Cell<i32> = const { Cell::new(0) };
}

/// What a call answers, and whether what it wrote stays.
pub(super) enum Written<T> {
    /// It stays.
    Kept(T),
    /// It is taken back.
    Undone(T),
}

/// The way to the thread.
pub(super) struct Writer {
    calls: Mutex<Option<Sender<Box<dyn Call>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

trait Call: Send {
    /// Runs it and says whether what it wrote stays.
    fn run(&mut self, connection: &Connection) -> bool;
    fn answer(self: Box<Self>, committed: &Result<()>);
}

struct Asked<T, W> {
    work: Option<W>,
    done: Option<Result<Written<T>>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, W> Call for Asked<T, W>
where
    T: Send,
    W: FnOnce(&Connection) -> Result<Written<T>> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.done = self.work.take().map(|work| work(connection));
        matches!(self.done, Some(Ok(Written::Kept(_))))
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        let answer = match (self.done, committed) {
            (Some(Ok(Written::Undone(value))), _) | (Some(Ok(Written::Kept(value))), Ok(())) => {
                Ok(value)
            }
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.clone()),
            (None, Ok(())) => Err(gone()),
        };
        // Nobody waits any more where the caller was dropped.
        let _ = self.answer.send(answer);
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("the writer of the database has ended".to_owned())
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error() {
            Some(failure) => of_sqlite_code(failure.extended_code, &error.to_string()),
            None => Self::Broken(error.to_string()),
        }
    }
}

impl Writer {
    /// Starts the thread. It writes while it has `turn`, and rings when the log has grown.
    pub(super) fn start(
        file: File,
        turn: Arc<Turn<()>>,
        checkpointer: Checkpointer,
    ) -> std::io::Result<Self> {
        let (calls, asked) = channel();
        let thread = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || Served::new(file, turn, checkpointer).serve(&asked))?;
        Ok(Self {
            calls: Mutex::new(Some(calls)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs this in a transaction of the thread's.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<Written<T>> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let call = Box::new(Asked {
            work: Some(work),
            done: None,
            answer,
        });
        if !self.ask(call) {
            return Err(gone());
        }
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    fn ask(&self, call: Box<dyn Call>) -> bool {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.as_ref().is_some_and(|calls| calls.send(call).is_ok())
    }

    /// Ends the thread once it has done what it was asked, and closes its connection.
    pub(super) async fn close(&self) {
        let locked = self.calls.lock();
        locked.unwrap_or_else(PoisonError::into_inner).take();
        let locked = self.thread.lock();
        let thread = locked.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It has nothing to say in the end, nor where it panicked.
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

/// What the thread works with.
struct Served {
    file: File,
    connection: Option<Connection>,
    turn: Arc<Turn<()>>,
    checkpointer: Checkpointer,
    /// The log was so long at the last commit, and is checkpointed when it is this long.
    log_pages: i32,
    checkpoint_at: i32,
}

impl Served {
    fn new(file: File, turn: Arc<Turn<()>>, checkpointer: Checkpointer) -> Self {
        Self {
            file,
            connection: None,
            turn,
            checkpointer,
            log_pages: 0,
            checkpoint_at: CHECKPOINT_PAGES,
        }
    }

    fn serve(mut self, asked: &Receiver<Box<dyn Call>>) {
        while let Ok(first) = asked.recv() {
            let turn = Arc::clone(&self.turn);
            let turn = turn.blocking_lock();
            let mut calls = vec![first];
            calls.extend(asked.try_iter().take(MOST_CALLS - 1));
            let run = AssertUnwindSafe(|| self.transact(&mut calls));
            let committed = catch_unwind(run).unwrap_or_else(|_| {
                self.connection = None;
                Err(StoreError::Broken("a write panicked".to_owned()))
            });
            drop(turn);
            for call in calls {
                call.answer(&committed);
            }
            self.note_log();
        }
        drop(self.connection);
        self.checkpointer.close();
    }

    /// All in one transaction. Whatever fails, none is left open.
    fn transact(&mut self, calls: &mut [Box<dyn Call>]) -> Result<()> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(&self.file)?,
        };
        let committed = commit(&connection, calls);
        if connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok() {
            self.connection = Some(connection);
        }
        committed
    }

    /// Rings for a checkpoint, once for each stretch that the log grows by: while a long reader
    /// keeps it from being moved, asking at every commit would help nobody.
    fn note_log(&mut self) {
        let pages = LOG_PAGES.get();
        if pages < self.log_pages {
            self.checkpoint_at = CHECKPOINT_PAGES;
        }
        self.log_pages = pages;
        if pages >= self.checkpoint_at {
            self.checkpoint_at = pages.saturating_add(CHECKPOINT_PAGES);
            self.checkpointer.ring();
        }
    }
}

fn open(file: &File) -> Result<Connection> {
    let connection = file.connect()?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.wal_hook(Some(|wal: &Wal, pages| {
        LOG_PAGES.set(pages);
        if pages > OVERDUE_PAGES {
            // Busy where somebody is at it after all.
            let _ = wal.checkpoint();
        }
        Ok(())
    }));
    Ok(connection)
}

fn commit(connection: &Connection, calls: &mut [Box<dyn Call>]) -> Result<()> {
    let run = |sql| connection.prepare_cached(sql)?.execute([]).map(drop);
    run("BEGIN IMMEDIATE")?;
    let alone = calls.len() == 1;
    for call in calls {
        if !alone {
            run("SAVEPOINT call")?;
        }
        let kept = call.run(connection);
        if connection.is_autocommit() {
            // On a full disk or a failed write SQLite ends the transaction by itself.
            let reason = "a failed write ended the transaction";
            return Err(StoreError::Unavailable(reason.to_owned()));
        }
        if alone && !kept {
            return Ok(run("ROLLBACK")?);
        }
        if !kept {
            run("ROLLBACK TO call")?;
        }
        if !alone {
            run("RELEASE call")?;
        }
    }
    Ok(run("COMMIT")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::store::sqlite::connect::{self, Pools};

    const TABLE: &str = "CREATE TABLE notes (text TEXT NOT NULL UNIQUE)";

    async fn pools(directory: &tempfile::TempDir) -> Pools {
        let place = directory.path().display().to_string();
        let settings = Settings::load(None, [("POSTHASTE_DATA_DIR", place)], false).unwrap();
        connect::open(&settings.store).await.unwrap()
    }

    async fn note(pools: &Pools, text: &'static str) -> Result<()> {
        let insert = move |connection: &Connection| {
            connection.execute("INSERT INTO notes VALUES (?)", [text])?;
            Ok(Written::Kept(()))
        };
        pools.write_hot(insert).await
    }

    async fn notes(pools: &Pools) -> Vec<String> {
        let all = sqlx::query_scalar("SELECT text FROM notes ORDER BY text");
        all.fetch_all(&pools.readers).await.unwrap()
    }

    async fn make_table(pools: &Pools) {
        let make = |connection: &Connection| Ok(Written::Kept(connection.execute_batch(TABLE)?));
        pools.write_hot(make).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_call_takes_back_is_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let pools = pools(&directory).await;
        make_table(&pools).await;
        let undone = |connection: &Connection| {
            connection.execute("INSERT INTO notes VALUES ('undone')", [])?;
            Ok(Written::Undone(7))
        };
        // All of them wait for the turn, so they share a transaction.
        let turn = pools.write().await.unwrap();
        let (first, taken_back, refused, last, ()) = tokio::join!(
            note(&pools, "first"),
            pools.write_hot(undone),
            note(&pools, "first"),
            note(&pools, "last"),
            async { turn.rollback().await.unwrap() },
        );
        first.unwrap();
        assert_eq!(taken_back.unwrap(), 7);
        assert!(
            matches!(refused, Err(StoreError::Refused(_))),
            "{refused:?}"
        );
        last.unwrap();
        assert_eq!(notes(&pools).await, ["first", "last"]);
        pools.close().await;
    }

    #[tokio::test]
    async fn a_call_that_panics_leaves_nothing_and_ends_no_later_one() {
        let directory = tempfile::tempdir().unwrap();
        let pools = pools(&directory).await;
        make_table(&pools).await;
        let panics = |connection: &Connection| -> Result<Written<()>> {
            connection.execute("INSERT INTO notes VALUES ('lost')", [])?;
            panic!("as a bug would")
        };
        let answer = pools.write_hot(panics).await;
        assert!(matches!(answer, Err(StoreError::Broken(_))), "{answer:?}");
        note(&pools, "kept").await.unwrap();
        assert_eq!(notes(&pools).await, ["kept"]);
        pools.close().await;
    }

    #[tokio::test]
    async fn a_full_disk_fails_the_write_and_no_later_one() {
        let directory = tempfile::tempdir().unwrap();
        let pools = pools(&directory).await;
        make_table(&pools).await;
        let fill = |connection: &Connection| {
            connection.execute_batch("PRAGMA max_page_count = 8")?;
            let fill = "INSERT INTO notes VALUES (zeroblob(1000000))";
            Ok(Written::Kept(connection.execute(fill, [])?))
        };
        let full = pools.write_hot(fill).await;
        assert!(matches!(full, Err(StoreError::Unavailable(reason)) if reason.contains("full")));
        let room = |connection: &Connection| {
            connection.execute_batch("PRAGMA max_page_count = 1000000")?;
            Ok(Written::Undone(()))
        };
        pools.write_hot(room).await.unwrap();
        note(&pools, "kept").await.unwrap();
        assert_eq!(notes(&pools).await, ["kept"]);
        pools.close().await;
    }

    #[tokio::test]
    async fn nothing_is_written_once_it_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        let pools = pools(&directory).await;
        make_table(&pools).await;
        pools.close().await;
        let late = note(&pools, "late").await;
        assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    }
}
