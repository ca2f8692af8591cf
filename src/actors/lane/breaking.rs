//! A lane's breaker, and how far the store has it.

use std::sync::MutexGuard;

use super::{Lane, locked};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::breaker::{Breaker, Change, StoredBreaker};
use crate::domain::id::EventId;

/// How far a breaker is kept.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// The store's was taken up, where it had one.
    restored: bool,
    kept: u64,
    running: bool,
    /// Taken since.
    steps: Vec<Step>,
}

/// A step that a breaker took.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// From where to where.
    pub change: Change,
    /// When.
    pub at: Timestamp,
    /// The id of what it raises, so that keeping it twice tells it once.
    pub event: EventId,
    revision: u64,
}

/// What is to be kept of a breaker.
pub struct ToKeep {
    /// The breaker's at that moment.
    pub revision: u64,
    /// Where it is.
    pub breaker: StoredBreaker,
    /// The steps that led there from what is kept.
    pub steps: Vec<Step>,
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
        let mut breaker = self.breaker();
        let (change, seen) = step(&mut breaker);
        keeping.steps.extend(change.map(|change| Step {
            change,
            at: clock::now(),
            event: EventId(clock::uuid()),
            revision: breaker.revision(),
        }));
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
    pub fn to_keep(&self, kept: Option<u64>) -> Option<ToKeep> {
        let mut keeping = locked(&self.keeping);
        if let Some(kept) = kept {
            keeping.kept = kept;
            keeping.steps.retain(|step| step.revision > kept);
        }
        let breaker = self.breaker();
        keeping.running = breaker.revision() != keeping.kept;
        keeping.running.then(|| ToKeep {
            revision: breaker.revision(),
            breaker: breaker.stored(),
            steps: keeping.steps.clone(),
        })
    }

    /// Whoever kept the breaker is lost: the next look at it begins anew.
    pub fn lose_keeping(&self) {
        locked(&self.keeping).running = false;
    }

    /// Whether the breaker is being kept: until it is, another lane would take up an older one.
    pub fn is_keeping(&self) -> bool {
        locked(&self.keeping).running
    }
}
