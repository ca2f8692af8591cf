//! What a lane knows of failures: the streak as it is stored, and when an operator was last told.

use std::time::{Duration, Instant};

use super::{Lane, locked};
use crate::domain::Timestamp;
use crate::domain::deactivation::Streak;

/// At most one line in this time tells of deliveries that finally failed.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The streak as the store has it, and the epoch in which that was so: another owner may have
    /// written another one since.
    streak: Option<(i64, Streak)>,
    /// Somebody sees to the deactivation already.
    deactivating: bool,
    warned: Option<Instant>,
    unmentioned: u64,
}

impl Lane {
    /// Takes up what the store had in that epoch, unless this lane knows it.
    pub fn know_streak(&self, epoch: i64, stored: Streak) {
        let mut failures = locked(&self.failures);
        let known = failures.streak.as_ref().map(|(epoch, _)| *epoch);
        if known != Some(epoch) {
            failures.streak = Some((epoch, stored));
        }
    }

    /// The streak as the store has it, where that is known for that epoch.
    pub fn streak(&self, epoch: i64) -> Option<Streak> {
        let failures = locked(&self.failures);
        let known = failures.streak.as_ref();
        known
            .filter(|(known, _)| *known == epoch)
            .map(|(_, streak)| streak.clone())
    }

    /// Whether nothing failed since the last success, for all that is known: then a further
    /// success changes nothing.
    pub fn is_healthy(&self, epoch: i64, counted_from: Timestamp) -> bool {
        let failures = locked(&self.failures);
        failures.streak.as_ref().is_some_and(|(known, streak)| {
            *known == epoch && (streak.is_empty() || streak.counted_from != counted_from)
        })
    }

    /// This streak is committed.
    pub fn note_streak(&self, epoch: i64, streak: Streak) {
        locked(&self.failures).streak = Some((epoch, streak));
    }

    /// Whether the caller is the one to see to the deactivation.
    pub fn begin_deactivating(&self) -> bool {
        !std::mem::replace(&mut locked(&self.failures).deactivating, true)
    }

    /// It is seen to.
    pub fn end_deactivating(&self) {
        locked(&self.failures).deactivating = false;
    }

    /// A delivery finally failed. Where an operator is to be told: how many failed since the last
    /// time, this one included.
    pub fn note_final_failure(&self, now: Instant) -> Option<u64> {
        let mut failures = locked(&self.failures);
        failures.unmentioned += 1;
        let due = failures
            .warned
            .is_none_or(|warned| now.saturating_duration_since(warned) >= BETWEEN_WARNINGS);
        due.then(|| {
            failures.warned = Some(now);
            std::mem::take(&mut failures.unmentioned)
        })
    }
}
