//! What happened, as numbers.
//!
//! [`Figures`] only grow: what is there now is what came in less what went out. So figures of any
//! parts of time, in any order, add up to the same. A [`Delta`] is what one commit brings; buckets of
//! [`Width`] are what many deltas come to, for a [`Scope`] each.

mod buckets;
mod delta;
mod histogram;
mod series;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use buckets::{Bucket, Key, Minutes, TenantOf};
pub use delta::Delta;
pub use histogram::Histogram;
pub use series::{Piece, Series, Window, cover};

use super::Timestamp;
use super::delivery::DeliveryState;
use super::id::SubscriptionId;
use super::outcome::{CallResult, FailureKind, Outcome};

/// Types of events that figures tell apart at most; the rest is counted together.
pub const MOST_TYPES: usize = 200;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeClass {
    /// Answered with a status of this hundred, 2 to 5.
    Answered(u8),
    /// Answered with any other status.
    Odd,
    /// Not answered.
    Failed(FailureKind),
}

impl OutcomeClass {
    /// Every class, in the order in which figures keep them. New ones go to the end.
    pub const ALL: [Self; 14] = [
        Self::Answered(2),
        Self::Answered(3),
        Self::Answered(4),
        Self::Answered(5),
        Self::Odd,
        Self::Failed(FailureKind::Timeout),
        Self::Failed(FailureKind::Name),
        Self::Failed(FailureKind::Connect),
        Self::Failed(FailureKind::Tls),
        Self::Failed(FailureKind::Reset),
        Self::Failed(FailureKind::Protocol),
        Self::Failed(FailureKind::AddressRefused),
        Self::Failed(FailureKind::Request),
        Self::Failed(FailureKind::Internal),
    ];

    /// Of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        match &outcome.result {
            CallResult::Failure(failure) => Self::Failed(failure.kind),
            CallResult::Answer(answer) => match answer.status / 100 {
                hundred @ 2..=5 => Self::Answered(hundred as u8),
                _ => Self::Odd,
            },
        }
    }

    /// The word used in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered(2) => "2xx",
            Self::Answered(3) => "3xx",
            Self::Answered(4) => "4xx",
            Self::Answered(5) => "5xx",
            Self::Answered(_) | Self::Odd => "otherStatus",
            Self::Failed(FailureKind::AddressRefused) => "addressRefused",
            Self::Failed(kind) => kind.as_str(),
        }
    }

    fn place(self) -> usize {
        let found = Self::ALL.iter().position(|one| *one == self);
        found.unwrap_or(4)
    }
}

fn place(state: DeliveryState) -> usize {
    let found = DeliveryState::ALL.iter().position(|one| *one == state);
    found.unwrap_or_default()
}

/// Events by type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Types {
    /// Each with how many; [`MOST_TYPES`] at most.
    pub known: BTreeMap<Arc<str>, u64>,
    /// How many of further types.
    pub others: u64,
}

impl Types {
    /// So many more of this type.
    pub fn add(&mut self, event_type: &Arc<str>, count: u64) {
        if let Some(known) = self.known.get_mut(event_type) {
            *known += count;
        } else if self.known.len() < MOST_TYPES {
            self.known.insert(Arc::clone(event_type), count);
        } else {
            self.others += count;
        }
    }
}

/// Numbers of one scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events accepted. Not counted by subscription.
    pub accepted: u64,
    /// Deliveries that came into each state, made in it or moved there, in the order of
    /// [`DeliveryState::ALL`].
    pub entered: [u64; DeliveryState::ALL.len()],
    /// Deliveries that left each state for another.
    pub left: [u64; DeliveryState::ALL.len()],
    /// Attempts recorded, in the order of [`OutcomeClass::ALL`].
    pub attempts: [u64; OutcomeClass::ALL.len()],
    /// Attempts among them that were not their delivery's first.
    pub retries: u64,
    /// From the acceptance of an event to the end of the attempt that brought it, in the first
    /// round of its delivery.
    pub latency: Histogram,
    /// How long attempts took.
    pub duration: Histogram,
    /// Events accepted, by type.
    pub types: Types,
}

impl Figures {
    /// Adds what happened elsewhere or at another time.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.retries += other.retries;
        let pairs = [
            (&mut self.entered[..], &other.entered[..]),
            (&mut self.left[..], &other.left[..]),
            (&mut self.attempts[..], &other.attempts[..]),
        ];
        for (ours, theirs) in pairs {
            for (our, their) in ours.iter_mut().zip(theirs) {
                *our += their;
            }
        }
        self.latency.add(&other.latency);
        self.duration.add(&other.duration);
        for (event_type, count) in &other.types.known {
            self.types.add(event_type, *count);
        }
        self.types.others += other.types.others;
    }

    /// So many deliveries went from this state, or were made, to that.
    pub fn note_move(&mut self, from: Option<DeliveryState>, to: DeliveryState, count: u64) {
        if let Some(from) = from {
            self.left[place(from)] += count;
        }
        self.entered[place(to)] += count;
    }

    /// Deliveries that came into this state.
    pub fn came_into(&self, state: DeliveryState) -> u64 {
        self.entered[place(state)]
    }

    /// Deliveries that are in this state after all that these figures count.
    pub fn now_in(&self, state: DeliveryState) -> u64 {
        let place = place(state);
        self.entered[place].saturating_sub(self.left[place])
    }

    /// Deliveries that were made.
    pub fn made(&self) -> u64 {
        let entered: u64 = self.entered.iter().sum();
        entered.saturating_sub(self.left.iter().sum())
    }

    /// Final deliveries that became pending again.
    pub fn reopened(&self) -> u64 {
        let finals = DeliveryState::ALL.into_iter().zip(self.left);
        let left: u64 = finals
            .filter(|(state, _)| state.is_final())
            .map(|(_, count)| count)
            .sum();
        left.min(self.came_into(DeliveryState::Pending))
    }

    /// Deliveries that ended without having arrived, their attempts or their time used up.
    pub fn ended_undelivered(&self) -> u64 {
        self.came_into(DeliveryState::Failed) + self.came_into(DeliveryState::Expired)
    }

    /// Of the deliveries that ended by themselves, the share that arrived; nothing where none did.
    pub fn success_rate(&self) -> Option<f64> {
        let delivered = self.came_into(DeliveryState::Delivered);
        share(delivered, delivered + self.ended_undelivered())
    }

    /// Attempts with their classes.
    pub fn attempts_by_class(&self) -> impl Iterator<Item = (OutcomeClass, u64)> {
        OutcomeClass::ALL.into_iter().zip(self.attempts)
    }

    /// Attempts of all classes.
    pub fn all_attempts(&self) -> u64 {
        self.attempts.iter().sum()
    }

    /// Of the attempts, the share that was not answered 2xx; nothing where there was none.
    pub fn failure_rate(&self) -> Option<f64> {
        let all = self.all_attempts();
        share(all - self.attempts[0], all)
    }

    /// Notes an attempt.
    pub fn note_attempt(&mut self, outcome: &Outcome, number: u32) {
        self.attempts[OutcomeClass::of(outcome).place()] += 1;
        self.retries += u64::from(number > 1);
        self.duration.note(outcome.duration);
    }
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

/// Whose numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Those of a tenant's events, and of the subscriptions that were its own then.
    Tenant(Arc<str>),
    /// Those of one subscription.
    Subscription(SubscriptionId),
}

/// How much time a bucket covers. Buckets begin where UTC's days, hours and minutes do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// All that ever was.
    Ever,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Width {
    /// Every width.
    pub const ALL: [Self; 4] = [Self::Ever, Self::Minute, Self::Hour, Self::Day];

    /// In minutes; 0 for all that ever was.
    pub fn minutes(self) -> i16 {
        match self {
            Self::Ever => 0,
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 1_440,
        }
    }

    /// The width of so many minutes.
    pub fn of_minutes(minutes: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.minutes() == minutes)
    }

    pub(crate) fn micros(self) -> i64 {
        i64::from(self.minutes()) * 60_000_000
    }

    /// Where the bucket begins that this moment lies in.
    pub fn start_of(self, at: Timestamp) -> Timestamp {
        match self {
            Self::Ever => Timestamp::default(),
            _ => Timestamp::from_micros(at.as_micros().div_euclid(self.micros()) * self.micros()),
        }
    }
}

#[cfg(test)]
mod tests;
