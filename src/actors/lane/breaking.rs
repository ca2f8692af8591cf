//! A lane's breaker, and how far the store has it.

use std::sync::MutexGuard;

use super::{Lane, locked};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::breaker::{Breaker, Change, StoredBreaker};

/// How far a breaker is kept.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// The store's was taken up, where it had one.
    restored: bool,
    kept: u64,
    running: bool,
    /// Taken since, and when: not yet on their way to the store.
    steps: Vec<(Change, Timestamp)>,
}

/// What is to be kept of a breaker.
pub struct ToKeep {
    /// The breaker's at that moment.
    pub revision: u64,
    /// Where it is.
    pub breaker: StoredBreaker,
    /// The steps that led there since this was last asked.
    pub steps: Vec<(Change, Timestamp)>,
}

impl Lane {
    /// The breaker, for one short look.
    pub fn breaker(&self) -> MutexGuard<'_, Breaker> {
        locked(&self.breaker)
    }

    /// The breaker, for one short step, which is kept together with what it raises.
    pub fn step<T>(
        &self,
        step: impl FnOnce(&mut Breaker) -> (Option<Change>, T),
    ) -> (Option<Change>, T) {
        let mut keeping = locked(&self.keeping);
        let (change, seen) = step(&mut self.breaker());
        keeping
            .steps
            .extend(change.map(|change| (change, clock::now())));
        (change, seen)
    }

    /// Takes up what the store has kept of the breaker, unless this lane has done so before and
    /// knows better.
    pub fn restore_breaker(&self, stored: Option<StoredBreaker>) {
        let before = std::mem::replace(&mut locked(&self.keeping).restored, true);
        if let Some(stored) = stored.filter(|_| !before) {
            self.breaker().restore(stored);
        }
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
    pub fn to_keep(&self, kept: Option<u64>) -> Option<ToKeep> {
        let mut keeping = locked(&self.keeping);
        keeping.kept = kept.unwrap_or(keeping.kept);
        let breaker = self.breaker();
        keeping.running = breaker.revision() != keeping.kept;
        keeping.running.then(|| ToKeep {
            revision: breaker.revision(),
            breaker: breaker.stored(),
            steps: std::mem::take(&mut keeping.steps),
        })
    }

    /// Whether the breaker is being kept: until it is, another lane would take up an older one.
    pub fn is_keeping(&self) -> bool {
        locked(&self.keeping).running
    }
}
