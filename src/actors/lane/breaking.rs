//! A lane's breaker, and how far the store has it.

use std::sync::MutexGuard;

use super::{Lane, locked};
use crate::domain::breaker::{Breaker, StoredBreaker};

/// How far a breaker is kept.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// The store's was taken up, where it had one.
    restored: bool,
    kept: u64,
    running: bool,
}

impl Lane {
    /// The breaker, for one short look or step.
    pub fn breaker(&self) -> MutexGuard<'_, Breaker> {
        locked(&self.breaker)
    }

    /// Takes up what the store has kept of the breaker, unless this lane has done so before and
    /// knows better.
    pub fn restore_breaker(&self, stored: Option<StoredBreaker>) {
        let before = std::mem::replace(&mut locked(&self.keeping).restored, true);
        if let Some(stored) = stored.filter(|_| !before) {
            self.breaker().restore(stored);
        }
    }

    /// Whether the breaker is what the store has kept of it, or younger.
    pub fn has_restored(&self) -> bool {
        locked(&self.keeping).restored
    }

    /// Whether the breaker has to be kept and nobody does so yet: then the caller does.
    pub fn begin_keeping(&self) -> bool {
        let revision = self.breaker().revision();
        let mut keeping = locked(&self.keeping);
        let begins = !keeping.running && keeping.kept != revision;
        keeping.running |= begins;
        begins
    }

    /// What to keep after that revision is kept; nothing where that was the last.
    pub fn to_keep(&self, kept: Option<u64>) -> Option<(u64, StoredBreaker)> {
        let mut keeping = locked(&self.keeping);
        keeping.kept = kept.unwrap_or(keeping.kept);
        let breaker = self.breaker();
        keeping.running = breaker.revision() != keeping.kept;
        keeping
            .running
            .then(|| (breaker.revision(), breaker.stored()))
    }

    /// Whether the breaker is being kept: until it is, another lane would take up an older one.
    pub fn is_keeping(&self) -> bool {
        locked(&self.keeping).running
    }
}
