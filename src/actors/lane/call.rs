//! An HTTP call under way, as its lane counts it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Lane;
use crate::domain::Timestamp;
use crate::domain::breaker::{Change, Pass, Signal};
use crate::domain::delivery::Verdict;
use crate::domain::id::AttemptId;

/// A call under way: counts against the subscription's bound until it is dropped.
#[derive(Debug)]
pub struct Call {
    lane: Arc<Lane>,
    /// Until the breaker has heard what came of it.
    pass: Option<Pass>,
}

impl Call {
    /// Counts one more call; one without a pass tells the breaker nothing.
    pub fn start(lane: &Arc<Lane>, pass: Option<Pass>) -> Self {
        lane.calls.fetch_add(1, Ordering::AcqRel);
        Self {
            lane: Arc::clone(lane),
            pass,
        }
    }

    /// See [`Lane::hear`].
    pub fn hear(&self, attempt: AttemptId, verdict: &Verdict) {
        self.lane.hear(attempt, verdict);
    }

    /// Tells the breaker what the call says about the receiver.
    pub fn judge(&mut self, signal: Signal, now: Timestamp, chance: f64) -> Option<Change> {
        let pass = self.pass.take()?;
        self.lane.breaker().note(pass, signal, now, chance)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.lane.breaker().abandon(pass);
        }
        self.lane.calls.fetch_sub(1, Ordering::AcqRel);
        self.lane.wake();
    }
}
