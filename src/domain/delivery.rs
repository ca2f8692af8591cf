//! The life of a delivery: event × subscription, exactly one, ever.
//!
//! A delivery is pending, or final. Pending ones end as `delivered`, `failed` (attempts used
//! up), `expired` (age limit), `cancelled` or `skipped`; a final one becomes pending again only
//! by a retry, which raises its round. Every move raises `version`, and is made only where the
//! version still is the one that was read. `docs/delivery-states.md` has the picture.

use std::sync::Arc;
use std::time::Duration;

use super::Timestamp;
use super::id::{AttemptId, DeliveryId, EventId, SubscriptionId};
use super::operational::OperationalEvent;
use super::outcome::Outcome;
use super::retry::RetryPolicy;

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// To be delivered: now, later, or once what holds its subscription is gone.
    Pending,
    /// The receiver answered 2xx.
    Delivered,
    /// The attempts were used up.
    Failed,
    /// The age limit passed.
    Expired,
    /// Ended by an operator, or by its subscription's deletion.
    Cancelled,
    /// Held back by a rule, replayable.
    Skipped,
}

impl DeliveryState {
    /// Every state, for exhaustive tests and parsers.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Delivered,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
        Self::Skipped,
    ];

    /// The word used in tables, answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more happens by itself.
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }

    /// Whether a delivery may go from this state to that one. Only a retry leads out of a
    /// final state, and only to pending.
    pub fn may_become(self, next: Self, by_retry: bool) -> bool {
        match (self.is_final(), next) {
            (false, Self::Pending) => true,
            (false, _) => true,
            (true, Self::Pending) => by_retry,
            (true, _) => false,
        }
    }
}

/// What a delivery has behind it: all that decides about its next attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Attempts made so far, over all rounds: the number of the last one.
    pub attempts: u32,
    /// The round: 1, and one more for each retry by hand. What a replay makes begins with 2.
    pub round: u32,
    /// Attempts made in this round; the schedule counts these.
    pub round_attempts: u32,
    /// Age in this round: the attempts' own time and the delays planned between them.
    pub aged: Duration,
    /// Raised by every move; the guard of compare-and-set.
    pub version: i64,
}

/// A pending delivery as it goes from the store to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingDelivery {
    /// Its identity.
    pub id: DeliveryId,
    /// What to deliver.
    pub event_id: EventId,
    /// To whom.
    pub subscription_id: SubscriptionId,
    /// When it was or is due.
    pub due_at: Timestamp,
    /// What it has behind it.
    pub progress: Progress,
}

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The first attempt or the retry schedule.
    Schedule,
    /// Somebody asked for it.
    Manual,
    /// It probes a receiver whose breaker is half open, perhaps before its retry time.
    Probe,
    /// It tries a receiver whose subscription is deactivated.
    Trial,
}

impl Trigger {
    /// The word used in tables, answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Manual => "manual",
            Self::Probe => "probe",
            Self::Trial => "trial",
        }
    }
}

impl Progress {
    /// A delivery that was just made.
    pub fn new() -> Self {
        Self {
            round: 1,
            ..Self::default()
        }
    }

    /// Why the next attempt is made: the first of a later round was asked for by somebody.
    pub fn next_trigger(&self) -> Trigger {
        if self.round > 1 && self.round_attempts == 0 {
            Trigger::Manual
        } else {
            Trigger::Schedule
        }
    }

    /// The next round, asked for by hand: attempt numbers go on, the schedule starts anew.
    pub fn next_round(self) -> Self {
        Self {
            round: self.round.saturating_add(1),
            round_attempts: 0,
            aged: Duration::ZERO,
            version: self.version + 1,
            ..self
        }
    }
}

/// What we do next with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It arrived.
    Delivered,
    /// It is tried again then.
    RetryAt(Timestamp),
    /// The attempts are used up.
    Failed,
    /// The next attempt would come after the age limit.
    Expired,
}

/// An outcome's consequences: the delivery's next step, and what it means for the whole
/// subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The delivery's next step.
    pub settlement: Settlement,
    /// What the delivery has behind it now.
    pub progress: Progress,
    /// The receiver asked to be left alone until then.
    pub hold_until: Option<Timestamp>,
    /// The receiver said that it is gone (410).
    pub gone: bool,
}

impl Verdict {
    /// Whether it bears on more than this delivery's past: on when something is due, or on the
    /// whole subscription.
    pub fn bears_on_more(&self) -> bool {
        matches!(self.settlement, Settlement::RetryAt(_)) || self.hold_until.is_some() || self.gone
    }
}

impl Settlement {
    /// Whether the delivery ends without having arrived.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed | Self::Expired)
    }

    /// The state and due time that follow. A final delivery keeps the due time it had.
    pub fn state_and_due(&self, due_at: Timestamp) -> (DeliveryState, Timestamp) {
        match *self {
            Self::Delivered => (DeliveryState::Delivered, due_at),
            Self::RetryAt(at) => (DeliveryState::Pending, at),
            Self::Failed => (DeliveryState::Failed, due_at),
            Self::Expired => (DeliveryState::Expired, due_at),
        }
    }
}

/// Decides what follows from an outcome. `now` is when the call ended, `chance` is 0.0 to 1.0
/// for the jitter, `hold_bound` the longest `Retry-After` that is honoured.
pub fn settle(
    progress: &Progress,
    outcome: &Outcome,
    policy: &RetryPolicy,
    hold_bound: Duration,
    now: Timestamp,
    chance: f64,
) -> Verdict {
    let mut next = Progress {
        attempts: progress.attempts.saturating_add(1),
        round_attempts: progress.round_attempts.saturating_add(1),
        aged: progress.aged.saturating_add(outcome.duration),
        version: progress.version + 1,
        ..*progress
    };
    let hold_until = outcome.hold(bounded(hold_bound)).map(|wait| now.plus(wait));
    let settlement = if outcome.is_success() {
        Settlement::Delivered
    } else {
        match policy.delay_after(next.round_attempts, chance) {
            None => Settlement::Failed,
            Some(delay) => {
                next.aged = next.aged.saturating_add(delay);
                let expires = policy.max_age().is_some_and(|limit| next.aged > limit);
                if expires {
                    Settlement::Expired
                } else {
                    let planned = now.plus(delay);
                    Settlement::RetryAt(hold_until.map_or(planned, |hold| planned.max(hold)))
                }
            }
        }
    };
    Verdict {
        settlement,
        progress: next,
        hold_until,
        gone: outcome.is_gone(),
    }
}

/// Decides what follows from a trial. One that fails is an attempt in the log, but uses up no
/// retry, no age and no time of its delivery: the schedule of what is held goes on where it
/// stood, once its subscription is reactivated.
pub fn settle_trial(
    delivery: &PendingDelivery,
    outcome: &Outcome,
    hold_bound: Duration,
    now: Timestamp,
) -> Verdict {
    let progress = &delivery.progress;
    let settlement = match outcome.is_success() {
        true => Settlement::Delivered,
        false => Settlement::RetryAt(delivery.due_at),
    };
    Verdict {
        settlement,
        progress: Progress {
            attempts: progress.attempts.saturating_add(1),
            version: progress.version + 1,
            ..*progress
        },
        hold_until: outcome.hold(bounded(hold_bound)).map(|wait| now.plus(wait)),
        gone: outcome.is_gone(),
    }
}

fn bounded(hold_bound: Duration) -> Duration {
    hold_bound.min(Duration::from_secs(7 * 24 * 3600))
}

/// One attempt to be recorded, with the move that it makes.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRecord {
    /// Made before the call.
    pub id: AttemptId,
    /// The delivery as it was taken.
    pub delivery: PendingDelivery,
    /// Why it was made.
    pub trigger: Trigger,
    /// What the receiver did.
    pub outcome: Outcome,
    /// What follows.
    pub verdict: Verdict,
    /// What is told where this moves its delivery.
    pub raises: Option<Arc<OperationalEvent>>,
    /// The rule of order by which it keeps its line from going on.
    pub blocks: Option<Timestamp>,
}

impl AttemptRecord {
    /// The attempt's number, from 1, over all rounds.
    pub fn number(&self) -> u32 {
        self.verdict.progress.attempts
    }

    /// Whether what stands behind it in its line is next.
    pub fn passes_on(&self) -> bool {
        let again = matches!(self.verdict.settlement, Settlement::RetryAt(_));
        !again && self.blocks.is_none()
    }
}

#[cfg(test)]
mod tests;
