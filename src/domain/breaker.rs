//! The circuit breaker of one subscription.
//!
//! Closed, attempts flow. After too many failures it opens: no attempt is made, and none is used
//! up, until the cool-down is over, which doubles each time nothing has recovered meanwhile. Then
//! it is half open: one attempt at a time probes the receiver, and a counted few successes close
//! it. A failed probe opens it again. Once closed, traffic ramps up instead of bursting, and only
//! when the ramp is behind it counts as recovered.
//!
//! Every attempt carries a [`Pass`] of the time at which it was let through: what it tells counts
//! only while the breaker is still where it was then, so an attempt that began before the breaker
//! opened is no probe.

mod policy;
mod signal;
mod tally;

pub use policy::{BreakerPolicy, BreakerSpec, InvalidBreaker};
pub use signal::Signal;

use self::tally::Tally;
use super::Timestamp;

/// Attempts allowed in flight when a breaker has just closed.
const RAMP_BEGINS: u32 = 2;
/// The ramp is not behind before it allowed this many, however few may be in flight: fewer
/// successes prove no recovery.
const RAMP_ENDS_AT_LEAST: u32 = 16;
/// Share by which a cool-down may be shorter, so that the breakers of one receiver do not all
/// probe it at the same moment.
const SPREAD: f64 = 0.2;

/// Where a breaker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Attempts flow.
    Closed,
    /// No attempt is made.
    Open,
    /// Single attempts probe the receiver.
    HalfOpen,
}

impl BreakerState {
    /// Every state, for exhaustive tests and parsers.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The word used in tables, answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// What the breaker allows now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Attempts, this many in flight at most where traffic ramps up.
    Flow(Option<u32>),
    /// No attempt before that time.
    Cut(Timestamp),
    /// One probe.
    Probe,
    /// Nothing before the probe in flight has ended.
    Probing,
}

/// Goes with an attempt from its start to its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    generation: u64,
    kind: PassKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PassKind {
    /// Let through because attempts flow.
    Flow,
    /// Let through to probe the receiver.
    Probe,
    /// Passed by: somebody asked for this very attempt.
    Manual,
}

impl Pass {
    /// Whether the attempt is a probe.
    pub fn is_probe(&self) -> bool {
        self.kind == PassKind::Probe
    }
}

/// A step from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it was.
    pub from: BreakerState,
    /// What it is now.
    pub to: StoredBreaker,
}

/// What is kept of a breaker across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBreaker {
    /// Where it is.
    pub state: BreakerState,
    /// The end of the cool-down, while open.
    pub until: Option<Timestamp>,
    /// How many times it opened without a recovery between.
    pub opened_in_a_row: u32,
}

/// Successes still to come before the full bound is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ramp {
    allowed: u32,
    successes: u32,
}

#[derive(Clone, Debug)]
enum Stage {
    Closed {
        failures_in_a_row: u32,
        tally: Tally,
        ramp: Option<Ramp>,
    },
    Open {
        until: Timestamp,
    },
    HalfOpen {
        successes: u32,
        probing: bool,
    },
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    max_in_flight: u32,
    stage: Stage,
    opened_in_a_row: u32,
    generation: u64,
    revision: u64,
}

impl Breaker {
    /// Closed. `max_in_flight` is the subscription's bound, where its ramp ends.
    pub fn new(policy: BreakerPolicy, max_in_flight: u32) -> Self {
        Self {
            policy,
            max_in_flight,
            stage: closed(&policy, None),
            opened_in_a_row: 0,
            generation: 0,
            revision: 0,
        }
    }

    /// Other rules from here on. What was counted under other rules is forgotten.
    pub fn configure(&mut self, policy: BreakerPolicy, max_in_flight: u32) {
        self.max_in_flight = max_in_flight;
        if self.policy != policy {
            self.policy = policy;
            if let Stage::Closed { ramp, .. } = self.stage {
                self.stage = closed(&policy, ramp);
            }
        }
    }

    /// Takes up what an earlier life left.
    pub fn restore(&mut self, stored: StoredBreaker) {
        self.opened_in_a_row = stored.opened_in_a_row;
        self.generation += 1;
        self.stage = match (stored.state, stored.until) {
            (BreakerState::Open, Some(until)) => Stage::Open { until },
            (BreakerState::Closed, _) => {
                closed(&self.policy, (stored.opened_in_a_row > 0).then(Ramp::begin))
            }
            (BreakerState::Open, None) | (BreakerState::HalfOpen, _) => half_open(),
        };
    }

    /// What an earlier life leaves.
    pub fn stored(&self) -> StoredBreaker {
        StoredBreaker {
            state: self.state(),
            until: match self.stage {
                Stage::Open { until } => Some(until),
                _ => None,
            },
            opened_in_a_row: self.opened_in_a_row,
        }
    }

    /// Raised whenever [`Breaker::stored`] changes by a step.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Where it is.
    pub fn state(&self) -> BreakerState {
        match self.stage {
            Stage::Closed { .. } => BreakerState::Closed,
            Stage::Open { .. } => BreakerState::Open,
            Stage::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// What it allows.
    pub fn gate(&self) -> Gate {
        match self.stage {
            Stage::Closed { ramp, .. } => Gate::Flow(ramp.map(|ramp| ramp.allowed)),
            Stage::Open { until } => Gate::Cut(until),
            Stage::HalfOpen { probing: true, .. } => Gate::Probing,
            Stage::HalfOpen { probing: false, .. } => Gate::Probe,
        }
    }

    /// Time has passed, or the rules have changed.
    pub fn tick(&mut self, now: Timestamp) -> Option<Change> {
        if !self.policy.enabled {
            if self.opened_in_a_row == 0 && self.state() == BreakerState::Closed {
                return None;
            }
            self.opened_in_a_row = 0;
            return self.step(closed(&self.policy, None));
        }
        if let Stage::Open { until } = &mut self.stage {
            // A clock that was set back, or a shorter cool-down since.
            let longest = self.policy.cool_down(self.opened_in_a_row);
            *until = (*until).min(now.plus(longest));
            if *until <= now {
                return self.step(half_open());
            }
        }
        None
    }

    /// There is another receiver now: what was learnt of the old one is no reason to wait.
    pub fn probe_now(&mut self) -> Option<Change> {
        match self.stage {
            Stage::Open { .. } => self.step(half_open()),
            _ => None,
        }
    }

    /// Lets an attempt through, if the gate allows one. How many may be in flight while closed is
    /// the caller's to hold.
    pub fn start(&mut self) -> Option<Pass> {
        let kind = match &mut self.stage {
            Stage::Closed { .. } => PassKind::Flow,
            Stage::HalfOpen { probing, .. } if !*probing => {
                *probing = true;
                PassKind::Probe
            }
            Stage::Open { .. } | Stage::HalfOpen { .. } => return None,
        };
        Some(Pass {
            generation: self.generation,
            kind,
        })
    }

    /// An attempt that somebody asked for passes whatever the gate says, and takes no probe's
    /// place. See [`Breaker::note`] for what it tells.
    pub fn pass_by(&self) -> Pass {
        Pass {
            generation: self.generation,
            kind: PassKind::Manual,
        }
    }

    /// An attempt ended without telling anything, as if it had not been let through.
    pub fn abandon(&mut self, pass: Pass) {
        if let Stage::HalfOpen { probing, .. } = &mut self.stage
            && pass.generation == self.generation
            && pass.is_probe()
        {
            *probing = false;
        }
    }

    /// Takes in what an attempt told. `chance` is 0.0 to 1.0: how much shorter a cool-down is.
    ///
    /// One that passed by counts as any while the breaker is closed. While it is not, its success
    /// counts as a probe's, and ends a cool-down; its failure tells nothing new: whoever tries
    /// whether a receiver is back must not keep it cut off for longer.
    pub fn note(
        &mut self,
        pass: Pass,
        signal: Signal,
        now: Timestamp,
        chance: f64,
    ) -> Option<Change> {
        if pass.generation != self.generation {
            return None;
        }
        let manual = pass.kind == PassKind::Manual;
        match (&mut self.stage, signal) {
            (Stage::Open { .. }, Signal::Success) if manual => self.probed(1),
            (Stage::HalfOpen { successes, .. }, Signal::Success) if manual => {
                let successes = *successes + 1;
                self.probed(successes)
            }
            (Stage::HalfOpen { .. }, _) if manual => None,
            (Stage::Closed { .. }, Signal::Silent) | (Stage::Open { .. }, _) => None,
            (
                Stage::Closed {
                    failures_in_a_row,
                    tally,
                    ramp,
                },
                Signal::Success,
            ) => {
                *failures_in_a_row = 0;
                tally.add(now, false);
                let end = self.max_in_flight.max(RAMP_ENDS_AT_LEAST);
                if ramp.as_mut().is_some_and(|ramp| ramp.climb() >= end) {
                    *ramp = None;
                    self.opened_in_a_row = 0;
                    self.revision += 1;
                }
                None
            }
            (
                Stage::Closed {
                    failures_in_a_row,
                    tally,
                    ..
                },
                Signal::Failure,
            ) => {
                *failures_in_a_row = failures_in_a_row.saturating_add(1);
                tally.add(now, true);
                let (attempts, failures) = tally.sums();
                let policy = &self.policy;
                let share = f64::from(failures) / f64::from(attempts.max(1));
                let trips = *failures_in_a_row >= policy.consecutive_failures
                    || (attempts >= policy.minimum_attempts && share >= policy.failure_ratio);
                (policy.enabled && trips).then(|| self.open(1, now, chance))?
            }
            (Stage::HalfOpen { successes, probing }, Signal::Success) => {
                *probing = false;
                let successes = *successes + 1;
                self.probed(successes)
            }
            (Stage::HalfOpen { .. }, Signal::Failure) => self.open(1, now, chance),
            // It told nothing: the same wait again, no longer one.
            (Stage::HalfOpen { .. }, Signal::Silent) => self.open(0, now, chance),
        }
    }

    /// So many probes in a row have succeeded.
    fn probed(&mut self, so_far: u32) -> Option<Change> {
        if so_far >= self.policy.probes {
            return self.step(closed(&self.policy, Some(Ramp::begin())));
        }
        match &mut self.stage {
            Stage::HalfOpen { successes, .. } => {
                *successes = so_far;
                None
            }
            _ => self.step(Stage::HalfOpen {
                successes: so_far,
                probing: false,
            }),
        }
    }

    fn open(&mut self, more: u32, now: Timestamp, chance: f64) -> Option<Change> {
        self.opened_in_a_row = self.opened_in_a_row.saturating_add(more).max(1);
        let plain = self.policy.cool_down(self.opened_in_a_row);
        let wait = plain.mul_f64(1.0 - SPREAD * chance.clamp(0.0, 1.0));
        self.step(Stage::Open {
            until: now.plus(wait),
        })
    }

    fn step(&mut self, stage: Stage) -> Option<Change> {
        let from = self.state();
        self.stage = stage;
        self.generation += 1;
        self.revision += 1;
        let to = self.stored();
        (from != to.state).then_some(Change { from, to })
    }
}

impl Ramp {
    fn begin() -> Self {
        Self {
            allowed: RAMP_BEGINS,
            successes: 0,
        }
    }

    /// One more success; how many are allowed now.
    fn climb(&mut self) -> u32 {
        self.successes += 1;
        if self.successes >= self.allowed {
            self.allowed = self.allowed.saturating_mul(2);
            self.successes = 0;
        }
        self.allowed
    }
}

fn closed(policy: &BreakerPolicy, ramp: Option<Ramp>) -> Stage {
    Stage::Closed {
        failures_in_a_row: 0,
        tally: Tally::new(policy.window),
        ramp,
    }
}

fn half_open() -> Stage {
    Stage::HalfOpen {
        successes: 0,
        probing: false,
    }
}

#[cfg(test)]
mod tests;
