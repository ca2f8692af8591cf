//! What an outcome says to the breaker.

use std::time::Duration;

use crate::domain::outcome::{CallResult, FailureKind, Outcome};

/// What an outcome says about the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It works.
    Success,
    /// It does not.
    Failure,
    /// Nothing about whether it works: it named its own pace, it is gone for good, or the failure
    /// was ours.
    Silent,
}

impl Signal {
    /// Of an outcome. `hold_bound` is the longest `Retry-After` that is honoured: one that holds
    /// nobody is a plain failure.
    pub fn of(outcome: &Outcome, hold_bound: Duration) -> Self {
        if outcome.is_success() {
            return Self::Success;
        }
        let ours = matches!(&outcome.result, CallResult::Failure(failure)
            if matches!(failure.kind, FailureKind::Internal | FailureKind::Request));
        let held = outcome.hold(hold_bound).is_some_and(|hold| !hold.is_zero());
        if ours || held || outcome.is_gone() {
            Self::Silent
        } else {
            Self::Failure
        }
    }
}
