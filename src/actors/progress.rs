//! Whether the node gets on with what is due, as the last sweep saw it.
//!
//! Measured where the subscriptions are looked over anyway; who asks for the node's health only
//! reads it. What waits because a breaker, a pause, a `Retry-After`, a rate or a cap holds it
//! back is not overdue.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::deps::Deps;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::id::SubscriptionId;

/// A sweep that is later than this many intervals is missing.
const MISSED_SWEEPS: u32 = 3;
/// A sweep may take this long.
const SWEEP: Duration = Duration::from_secs(30);

/// The delivery that waits the longest although nothing is against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Since when it could have been sent.
    pub since: Timestamp,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Progress(Mutex<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    /// When this process last became the owner: before, it could send nothing.
    owner: Option<(i64, Timestamp)>,
    measured: Instant,
    overdue: Option<Overdue>,
}

impl Progress {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self(Mutex::new(State {
            owner: None,
            measured: clock::instant(),
            overdue: None,
        }))
    }

    /// What was overdue at the last sweep; `Err` where the last sweep is too long ago.
    pub fn overdue(&self, deps: &Deps) -> Result<Option<Overdue>, Duration> {
        let state = *self.lock();
        let age = clock::instant().saturating_duration_since(state.measured);
        let late = deps.settings.engine.sweep_interval * MISSED_SWEEPS + SWEEP;
        match age > late && deps.ownership.may_deliver() {
            true => Err(age),
            false => Ok(state.overdue),
        }
    }

    /// A sweep has begun, in this epoch.
    pub(super) fn measure(&self, deps: &Deps, now: Timestamp) -> Measure {
        let epoch = deps.ownership.epoch().unwrap_or_default();
        let mut state = self.lock();
        let owner = state.owner.filter(|(known, _)| *known == epoch);
        let (_, since) = *state.owner.insert(owner.unwrap_or((epoch, now)));
        Measure {
            owner_since: since,
            now,
            instant: clock::instant(),
            overdue: None,
        }
    }

    /// It has ended.
    pub(super) fn measured(&self, measure: Measure) {
        let mut state = self.lock();
        state.measured = clock::instant();
        state.overdue = measure.overdue;
    }

    /// This process delivers nothing: nothing is overdue here.
    pub(super) fn stands_by(&self) {
        let mut state = self.lock();
        state.owner = None;
        state.measured = clock::instant();
        state.overdue = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one sweep sees.
pub(super) struct Measure {
    owner_since: Timestamp,
    now: Timestamp,
    instant: Instant,
    overdue: Option<Overdue>,
}

impl Measure {
    /// Looks at an active subscription whose earliest pending delivery is due then.
    pub(super) fn look(&mut self, deps: &Deps, subscription: SubscriptionId, due: Timestamp) {
        // One that a rule took out is tried once in a while, which nobody waits for.
        let known = deps.directory.get(subscription);
        let Some(known) = known.filter(|known| known.state.delivers() && due < self.now) else {
            return;
        };
        let due = due.max(self.owner_since);
        // In an order most of what is due waits for what comes before it. What its window has
        // in its queue may go.
        let ordered = known.ordering.name().is_some();
        let since = match deps.lanes.get(subscription) {
            Some(lane) if ordered && lane.window().waiting() == 0 => None,
            Some(lane) => lane.idle_since(due, self.now, self.instant),
            None => (!ordered).then_some(due),
        };
        let (slots, all_slots) = deps.slots.usage();
        let Some(since) = since.filter(|_| slots < all_slots) else {
            return;
        };
        if self.overdue.is_none_or(|known| since < known.since) {
            self.overdue = Some(Overdue {
                subscription,
                since,
            });
        }
    }
}
