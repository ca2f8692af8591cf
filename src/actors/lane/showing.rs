//! What a lane shows of itself to people and to the node's health.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Lane, locked};
use crate::domain::Timestamp;
use crate::domain::breaker::{Gate, StoredBreaker};
use crate::domain::pace::Pace;
use crate::domain::rate_limit::TokenBucket;

/// What the actor holds itself, as it last looked.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The receiver asked to be left alone until then.
    pub hold_until: Option<Timestamp>,
    /// Its rate limiter, where it has one.
    pub bucket: Option<TokenBucket>,
    /// Attempts that it may have in flight.
    pub bound: u32,
}

/// A lane at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What its actor holds.
    pub shown: Shown,
    /// Where its breaker is.
    pub breaker: StoredBreaker,
    /// Attempts under way that its breaker allows, where traffic ramps up.
    pub ramp: Option<u32>,
    /// HTTP calls under way.
    pub calls: u32,
    /// Deliveries held in memory.
    pub held: usize,
    /// Of these, waiting for their attempt.
    pub waiting: usize,
    /// Everything due is held.
    pub caught_up: bool,
    /// Deliveries that came to an end of late, per second.
    pub per_second: Option<f64>,
    /// Times that its actor died since the lane is there.
    pub restarts: u32,
}

/// What a lane counts.
#[derive(Debug, Default)]
pub(super) struct Showing {
    shown: Shown,
    pace: Pace,
    /// When an attempt was last begun or recorded, or what held it back was last seen to.
    moved: Option<Timestamp>,
}

impl Lane {
    /// The actor has looked: this is what it holds.
    pub fn show(&self, shown: Shown) {
        self.bound.store(shown.bound, Ordering::Release);
        locked(&self.showing).shown = shown;
    }

    /// Something got on: an attempt was begun, or one was recorded.
    pub fn note_move(&self, now: Timestamp) {
        locked(&self.showing).moved = Some(now);
    }

    /// A delivery came to its end.
    pub(super) fn note_end(&self, at: Instant) {
        locked(&self.showing).pace.count(at);
    }

    /// The actor died and begins another life.
    pub fn note_restart(&self) {
        self.restarts.fetch_add(1, Ordering::AcqRel);
    }

    /// Times that its actor died.
    pub fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Acquire)
    }

    /// All of it.
    pub fn snapshot(&self, instant: Instant) -> Snapshot {
        let (breaker, gate) = {
            let breaker = self.breaker();
            (breaker.stored(), breaker.gate())
        };
        let ramp = match gate {
            Gate::Flow(ramp) => ramp,
            Gate::Probe | Gate::Probing | Gate::Cut(_) => None,
        };
        let (held, waiting, caught_up) = {
            let window = self.window();
            (window.held(), window.waiting(), window.is_caught_up())
        };
        let showing = locked(&self.showing);
        Snapshot {
            shown: showing.shown.clone(),
            breaker,
            ramp,
            calls: self.calls(),
            held,
            waiting,
            caught_up,
            per_second: showing.pace.per_second(instant),
            restarts: self.restarts(),
        }
    }

    /// Since when it could get on with what is due and does not: later than `due`, where it was
    /// at work since. `None` where something holds it back.
    pub fn idle_since(
        &self,
        due: Timestamp,
        now: Timestamp,
        instant: Instant,
    ) -> Option<Timestamp> {
        let gate = self.breaker().gate();
        let bound = match gate {
            Gate::Flow(ramp) => ramp,
            Gate::Probe => None,
            Gate::Probing | Gate::Cut(_) => return None,
        };
        {
            let window = self.window();
            if window.is_caught_up() && window.waiting() == 0 {
                // All that is due flies.
                return None;
            }
        }
        let showing = locked(&self.showing);
        let shown = &showing.shown;
        let held = shown.hold_until.is_some_and(|until| until > now)
            || shown
                .bucket
                .as_ref()
                .is_some_and(|bucket| bucket.available(instant) == 0)
            || (shown.bound > 0 && self.calls() >= bound.unwrap_or(u32::MAX).min(shown.bound));
        (!held).then(|| showing.moved.map_or(due, |moved| moved.max(due)))
    }
}
