//! Which process runs the subscriptions' actors: one owner from the first day.
//!
//! Embedded, the owner is whoever holds the lock on the data directory. Distributed, it is the
//! holder of a lease in the database, with an epoch that rises when the lease changes hands;
//! every move of a delivery is fenced by the epoch, so an owner that was away too long can
//! still record what it sent but moves nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use crate::clock;

/// What this process knows of its own ownership.
#[derive(Debug)]
pub struct Ownership {
    hold: watch::Sender<Option<Hold>>,
    /// Who had it instead of this process, as the store told last.
    other: ArcSwapOption<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Hold {
    epoch: i64,
    /// On our own clock, when the lease ends unless it is renewed; never where absent.
    until: Option<Instant>,
}

impl Ownership {
    /// Owned by nobody here.
    pub fn none() -> Self {
        Self {
            hold: watch::Sender::new(None),
            other: ArcSwapOption::empty(),
        }
    }

    /// Owned here. True where that is news: it was not before, or with another epoch, or had
    /// lapsed.
    pub fn hold(&self, epoch: i64, until: Option<Instant>) -> bool {
        let could = self.may_deliver();
        let before = self.hold.send_replace(Some(Hold { epoch, until }));
        self.other.store(None);
        !could || before.map(|hold| hold.epoch) != Some(epoch)
    }

    /// Owned by another process, not here. True where it was owned here.
    pub fn lose_to(&self, holder: String) -> bool {
        self.other.store(Some(Arc::new(holder)));
        self.hold.send_replace(None).is_some()
    }

    /// Which other process owns the deliveries, as it calls itself, if one is known to.
    pub fn other(&self) -> Option<Arc<String>> {
        self.other.load_full()
    }

    /// The epoch that outcomes are recorded with, also where the lease may have ended: then the
    /// store tells.
    pub fn epoch(&self) -> Option<i64> {
        self.hold.borrow().map(|hold| hold.epoch)
    }

    /// Whether nobody can take the deliveries from this process while it lives.
    pub fn is_for_good(&self) -> bool {
        self.hold.borrow().is_some_and(|hold| hold.until.is_none())
    }

    /// Whether an attempt may be started now: the lease has not ended on our own clock.
    pub fn may_deliver(&self) -> bool {
        self.hold.borrow().is_some_and(Hold::lasts)
    }

    /// Whether an attempt may be started now of what was read in that epoch.
    pub fn may_deliver_in(&self, epoch: Option<i64>) -> bool {
        self.hold
            .borrow()
            .is_some_and(|hold| Some(hold.epoch) == epoch && hold.lasts())
    }
}

impl Hold {
    fn lasts(self) -> bool {
        self.until.is_none_or(|until| clock::instant() < until)
    }
}

/// The lock on a data directory. The operating system lets go of it when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

/// Why the data directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process has it.
    #[error(
        "the data directory {directory} is in use by {holder}; stop that process, or give this one \
         another directory with POSTHASTE_DATA_DIR"
    )]
    Held {
        /// Which.
        directory: PathBuf,
        /// Who, as it told.
        holder: String,
    },
    /// It cannot be used.
    #[error("cannot lock the data directory {directory}: {source}")]
    Unusable {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl DataDirLock {
    /// Locks the directory, which has to exist, and leaves a note for whoever comes second.
    pub fn acquire(directory: &Path, note: &str) -> Result<Self, DataDirError> {
        let unusable = |source| DataDirError::Unusable {
            directory: directory.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options
            .open(directory.join("posthaste.lock"))
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    known => known.to_owned(),
                };
                return Err(DataDirError::Held {
                    directory: directory.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        file.set_len(0).map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        writeln!(file, "{note}").map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_in_an_earlier_epoch_is_not_sent_in_a_later_one() {
        let ownership = Ownership::none();
        assert!(!ownership.may_deliver_in(None), "nobody owns, nobody sends");
        assert!(ownership.hold(1, None));
        let read_in = ownership.epoch();
        assert!(ownership.may_deliver_in(read_in));
        // Another owner came and went, and nobody said so: the lease only changed its epoch.
        assert!(ownership.hold(3, None));
        assert!(ownership.may_deliver() && !ownership.may_deliver_in(read_in));
    }

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDirLock::acquire(directory.path(), "process 17").unwrap();
        let refused = DataDirLock::acquire(directory.path(), "process 18").unwrap_err();
        assert!(refused.to_string().contains("process 17"), "{refused}");
        drop(first);
        assert!(DataDirLock::acquire(directory.path(), "process 18").is_ok());
    }
}
