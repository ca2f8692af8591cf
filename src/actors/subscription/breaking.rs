//! The breaker in the actor's hands: what it lets through, and what is paged meanwhile.
//!
//! Open, nothing stays in memory beyond what flies: the window is dropped, takes no offer and is
//! not filled. Half open, a page is the one oldest pending delivery, due or not. A page that was
//! asked for in another state than it arrives in is not taken.

use super::State;
use crate::actors::breaking;
use crate::domain::Timestamp;
use crate::domain::breaker::{BreakerState, Gate};
use crate::domain::subscription::Subscription;

impl State {
    /// The bound of attempts in flight.
    pub(super) fn bound(&self, subscription: &Subscription) -> u32 {
        let default = self.deps.settings.delivery.max_in_flight;
        subscription.max_in_flight.unwrap_or(default)
    }

    /// The subscription changed, or this actor is new: its rules are these.
    pub(super) fn configure_breaker(&self, subscription: &Subscription) {
        let policy = subscription.breaker_policy(&self.deps.settings.breaker);
        let moved = self.ready.as_ref().is_some_and(|(known, _)| {
            let reactivated = known.is_held_by_rule() && subscription.state.delivers();
            reactivated || known.url != subscription.url
        });
        let change = {
            let mut breaker = self.lane.breaker();
            breaker.configure(policy, self.bound(subscription));
            if moved { breaker.probe_now() } else { None }
        };
        breaking::note(&self.deps, &self.lane, change);
    }

    /// What the breaker allows now. Where it took a step, what was paged before it is dropped.
    pub(super) fn gate(&mut self, now: Timestamp) -> Gate {
        let (change, gate, revision) = {
            let mut breaker = self.lane.breaker();
            let change = breaker.tick(now);
            (change, breaker.gate(), breaker.revision())
        };
        if self.breaker_seen != Some(revision) {
            self.breaker_seen = Some(revision);
            self.lane.window().flush();
        }
        breaking::note(&self.deps, &self.lane, change);
        gate
    }

    /// What to page now: the oldest for a probe, what is due, or nothing.
    pub(super) fn wanted_page(&self) -> Option<Wanted> {
        if !self.runtime_known {
            return Some(Wanted::Due);
        }
        let gate = self.lane.breaker().gate();
        match gate {
            Gate::Flow(_) => Some(Wanted::Due),
            Gate::Probe if self.lane.window().waiting() == 0 => Some(Wanted::Oldest),
            Gate::Probe | Gate::Probing | Gate::Cut(_) => None,
        }
    }

    /// Whether a page still is what the breaker wants.
    pub(super) fn wants(&self, page: Wanted) -> bool {
        match self.lane.breaker().state() {
            BreakerState::Closed => page == Wanted::Due,
            BreakerState::HalfOpen => page == Wanted::Oldest,
            BreakerState::Open => false,
        }
    }

    /// A delivery waits for its retry since an attempt failed: a probe need not wait so long.
    pub(super) fn note_retry(&self) {
        if self.lane.breaker().state() == BreakerState::HalfOpen {
            self.lane.window().decline();
        }
    }
}

/// What a page brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What is due.
    Due,
    /// The oldest that is pending, due or not, and no more.
    Oldest,
}
