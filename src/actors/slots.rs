//! The node's own bound of attempts, shared fairly.
//!
//! A slot is held for the length of an HTTP call. What was sent and waits to be recorded is
//! bounded too: where the database is away, sending stops before memory fills with outcomes.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lane::Lane;
use crate::domain::admission::fair_share;
use crate::domain::id::SubscriptionId;

/// Outcomes waiting to be recorded, for each slot there is.
const UNRECORDED_PER_SLOT: usize = 4;

/// All slots of this engine.
#[derive(Debug)]
pub struct Slots {
    total: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    unrecorded: usize,
    /// Lanes that were refused a slot, first come first woken.
    queue: VecDeque<Arc<Lane>>,
    queued: HashSet<SubscriptionId>,
}

impl Slots {
    /// `total` calls at once.
    pub fn new(total: usize) -> Self {
        Self {
            total,
            state: Mutex::default(),
        }
    }

    /// A slot for this lane, or a place in the queue: the lane is woken when slots come free.
    pub fn take(self: &Arc<Self>, lane: &Arc<Lane>) -> Option<Slot> {
        let mut state = self.lock();
        let free = self.total - state.taken;
        let room = state.unrecorded < self.total * UNRECORDED_PER_SLOT;
        if room && (lane.calls() as usize) < fair_share(free) {
            state.taken += 1;
            return Some(Slot(Arc::clone(self)));
        }
        if state.queued.insert(lane.subscription()) {
            state.queue.push_back(Arc::clone(lane));
        }
        None
    }

    /// An outcome waits to be recorded.
    pub fn note_unrecorded(&self) {
        self.lock().unrecorded += 1;
    }

    /// Outcomes have been recorded, or given up.
    pub fn note_recorded(&self, count: usize) {
        let woken = {
            let mut state = self.lock();
            state.unrecorded = state.unrecorded.saturating_sub(count);
            state.next_in_queue(count)
        };
        wake(woken);
    }

    /// Slots taken and slots there are.
    pub fn usage(&self) -> (usize, usize) {
        (self.lock().taken, self.total)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_in_queue(&mut self, count: usize) -> Vec<Arc<Lane>> {
        let count = count.min(self.queue.len());
        let lanes: Vec<_> = self.queue.drain(..count).collect();
        for lane in &lanes {
            self.queued.remove(&lane.subscription());
        }
        lanes
    }
}

/// Outside of the lock: a lane that is woken may ask for a slot at once.
fn wake(lanes: Vec<Arc<Lane>>) {
    for lane in lanes {
        lane.wake();
    }
}

/// The right to make one HTTP call.
#[derive(Debug)]
pub struct Slot(Arc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        let woken = {
            let mut state = self.0.lock();
            state.taken -= 1;
            state.next_in_queue(1)
        };
        wake(woken);
    }
}
