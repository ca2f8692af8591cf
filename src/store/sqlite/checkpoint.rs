//! Moves the log into the file, beside the writers.
//!
//! A checkpoint made by whoever's commit finds the log long holds everybody up while it writes
//! and syncs the file. Here a thread of its own moves the most of it while writing goes on, then
//! takes the writers' turn for the little that was added meanwhile. With that the log is moved as
//! a whole, and the next write begins it anew: so it cannot grow for ever under a load that never
//! pauses. Only a reader that holds an old snapshot keeps the log from being moved; readers are
//! short (`connect.rs`).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::Mutex as Turn;
use tracing::warn;

use super::connect::File;
use crate::store::Result;

/// The way to the thread.
pub(super) struct Checkpointer {
    bell: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpointer {
    /// Starts the thread.
    pub(super) fn start(file: File, turn: Arc<Turn<()>>) -> std::io::Result<Self> {
        let (bell, rung) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("sqlite-log".to_owned())
            .spawn(move || serve(&file, &turn, &rung))?;
        Ok(Self { bell, thread })
    }

    /// The log has grown.
    pub(super) fn ring(&self) {
        // Full: it was rung for already.
        let _ = self.bell.try_send(());
    }

    /// Ends the thread and its connection.
    pub(super) fn close(self) {
        drop(self.bell);
        // It has nothing to say in the end, nor where it panicked.
        let _ = self.thread.join();
    }
}

fn serve(file: &File, turn: &Turn<()>, rung: &Receiver<()>) {
    let mut connection = None;
    while rung.recv().is_ok() {
        if let Err(problem) = checkpoint(file, &mut connection, turn) {
            warn!(%problem, "the log of the database could not be moved into its file; trying again when it has grown");
            connection = None;
        }
    }
}

fn checkpoint(file: &File, slot: &mut Option<Connection>, turn: &Turn<()>) -> Result<()> {
    let connection = match slot {
        Some(connection) => connection,
        None => slot.insert(file.connect()?),
    };
    move_log(connection)?;
    let _turn = turn.blocking_lock();
    move_log(connection)
}

/// As far as readers allow, waiting for nobody.
fn move_log(connection: &Connection) -> Result<()> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILL: &str = "INSERT INTO bulk VALUES (zeroblob(400000))";

    #[test]
    fn the_log_is_moved_as_a_whole_so_that_the_next_write_begins_it_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("any.db");
        let log = directory.path().join("any.db-wal");
        let length = || std::fs::metadata(&log).unwrap().len();
        let make = "PRAGMA journal_mode = WAL; CREATE TABLE bulk (bytes BLOB)";
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch(make).unwrap();
        writer
            .execute_batch("PRAGMA wal_autocheckpoint = 0")
            .unwrap();
        let (file, turn, mut slot) = (File::at(path), Turn::new(()), None);
        writer.execute_batch(FILL).unwrap();
        let after_one = length();
        for _ in 0..5 {
            checkpoint(&file, &mut slot, &turn).unwrap();
            writer.execute_batch(FILL).unwrap();
        }
        assert!(length() <= after_one, "{} after {after_one}", length());
    }

    #[test]
    fn a_reader_that_stays_keeps_the_log_only_as_long_as_it_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("any.db");
        let log = directory.path().join("any.db-wal");
        let length = || std::fs::metadata(&log).unwrap().len();
        let make = "PRAGMA journal_mode = WAL; CREATE TABLE bulk (bytes BLOB)";
        let (writer, reader) = (
            Connection::open(&path).unwrap(),
            Connection::open(&path).unwrap(),
        );
        writer.execute_batch(make).unwrap();
        writer
            .execute_batch("PRAGMA wal_autocheckpoint = 0")
            .unwrap();
        let (file, turn, mut slot) = (File::at(path), Turn::new(()), None);
        let read = "BEGIN; SELECT count(*) FROM bulk";
        reader.execute_batch(read).unwrap();
        for _ in 0..3 {
            writer.execute_batch(FILL).unwrap();
            checkpoint(&file, &mut slot, &turn).unwrap();
        }
        let grown = length();
        reader.execute_batch("COMMIT").unwrap();
        for _ in 0..5 {
            checkpoint(&file, &mut slot, &turn).unwrap();
            writer.execute_batch(FILL).unwrap();
        }
        assert!(length() <= grown, "{} after {grown}", length());
    }
}
