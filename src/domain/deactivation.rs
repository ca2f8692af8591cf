//! When a subscription is taken out because its receiver keeps failing, and when it is tried again.
//!
//! Two rules: too many deliveries in a row were exhausted (failed or expired), or attempts have
//! been failing for too long without one success. Both are judged by a [`Streak`]: what failed
//! since the last success. A healthy receiver has none, so that nothing is written of it. Time is
//! that of the failures themselves: a relay that was stopped for a week, or a receiver that
//! nothing was sent to, does not fail meanwhile.

pub mod policy;

pub use policy::{DeactivationPolicy, DeactivationSpec, InvalidDeactivation};

use super::Timestamp;
use super::delivery::Settlement;
use super::id::AttemptId;
use super::outcome::{CallResult, FailureKind, Outcome};

/// The latest failed attempts that are kept as evidence.
pub const MOST_EVIDENCE: usize = 10;

/// What an attempt says about its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It works.
    Success,
    /// It does not. `exhausted`: this was the delivery's last attempt.
    Failure {
        /// The delivery failed or expired with it.
        exhausted: bool,
    },
    /// Nothing: the failure was ours.
    Nothing,
}

impl Told {
    /// Of an attempt. A receiver that names its pace (429 or 503 with `Retry-After`) fails too:
    /// one that does so for days is as good as gone.
    pub fn of(outcome: &Outcome, settlement: Settlement) -> Self {
        if outcome.is_success() {
            return Self::Success;
        }
        let ours = matches!(&outcome.result, CallResult::Failure(failure)
            if matches!(failure.kind, FailureKind::Internal | FailureKind::Request));
        if ours {
            return Self::Nothing;
        }
        let exhausted = matches!(settlement, Settlement::Failed | Settlement::Expired);
        Self::Failure { exhausted }
    }
}

/// The rule that took a subscription out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Too many deliveries in a row were exhausted.
    Exhausted,
    /// Failing for too long without one success.
    Failing,
}

/// What failed since the last success. Empty for a healthy receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    /// From when on its subscription counts failures (`Subscription::counted_from`): a streak
    /// from before is none any more.
    pub counted_from: Timestamp,
    /// The first failure.
    pub failing_since: Option<Timestamp>,
    /// The last failure.
    pub failed_at: Option<Timestamp>,
    /// Deliveries exhausted.
    pub exhausted: u32,
    /// The latest failed attempts, the newest last, at most [`MOST_EVIDENCE`].
    pub evidence: Vec<AttemptId>,
}

impl Streak {
    /// None yet.
    pub fn begin(counted_from: Timestamp) -> Self {
        Self {
            counted_from,
            ..Self::default()
        }
    }

    /// This one where it still counts, else none.
    pub fn since(self, counted_from: Timestamp) -> Self {
        match self.counted_from == counted_from {
            true => self,
            false => Self::begin(counted_from),
        }
    }

    /// Whether nothing failed since the last success.
    pub fn is_empty(&self) -> bool {
        self.failing_since.is_none()
    }

    /// Takes in what an attempt that ended at `at` told. False where nothing changed.
    pub fn note(&mut self, attempt: AttemptId, told: Told, at: Timestamp) -> bool {
        match told {
            Told::Nothing => false,
            Told::Success if self.is_empty() => false,
            Told::Success => {
                *self = Self::begin(self.counted_from);
                true
            }
            Told::Failure { exhausted } => {
                let since = self.failing_since.map_or(at, |since| since.min(at));
                self.failing_since = Some(since);
                self.failed_at = self.failed_at.max(Some(at));
                self.exhausted = self.exhausted.saturating_add(u32::from(exhausted));
                self.evidence.push(attempt);
                let surplus = self.evidence.len().saturating_sub(MOST_EVIDENCE);
                self.evidence.drain(..surplus);
                true
            }
        }
    }

    /// The rule that this breaks.
    pub fn breaks(&self, policy: &DeactivationPolicy) -> Option<Rule> {
        let (since, last) = (self.failing_since?, self.failed_at?);
        if policy
            .exhausted_deliveries()
            .is_some_and(|most| self.exhausted >= most)
        {
            return Some(Rule::Exhausted);
        }
        let longest = policy.failing_for()?;
        (last.since(since) >= longest).then_some(Rule::Failing)
    }
}

#[cfg(test)]
mod tests;
