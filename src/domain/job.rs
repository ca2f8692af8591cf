//! Bulk work that an operator asked for: many deliveries sent again, at a pace of its own.
//!
//! A job names a finite set (what stood when it was made) and walks it once, in order, behind a
//! cursor. Deliveries that it moves become pending like any other, so pause, breaker, rate limit
//! and retries hold for them. There is one delivery per event and subscription, always: where
//! there is none it is made, a final one begins its next round, a pending one is left alone.

use std::time::Duration;

use uuid::Uuid;

use super::Timestamp;
use super::delivery::DeliveryState;
use super::event_type::{EventPattern, EventType};
use super::id::{DeliveryId, EventId, JobId, SubscriptionId};
use super::subscription::Subscription;

/// Deliveries in one batch at most.
pub const MAX_BATCH: u32 = 500;
/// Batches in a second, where the rate allows more than one delivery in each.
const BATCHES_PER_SECOND: u32 = 4;

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waits for its first batch.
    Queued,
    /// Has begun.
    Running,
    /// Came to its end.
    Completed,
    /// An operator ended it.
    Cancelled,
    /// Could not go on.
    Failed,
}

impl JobState {
    /// Every state, for exhaustive tests and parsers.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Completed,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The word used in tables, answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more happens.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What a job moves.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// Deliveries of the subscription in these final states.
    States(Vec<DeliveryState>),
    /// These events, sorted by id, each once.
    EventIds(Vec<EventId>),
    /// Events of these types.
    EventTypes(Vec<EventPattern>),
}

impl Selection {
    /// The word used in tables, answers and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::States(_) => "retry_failed",
            Self::EventIds(_) | Self::EventTypes(_) => "replay",
        }
    }
}

/// The states that a bulk retry may bring back; what was delivered is replayed by its event.
pub const RETRIABLE: [DeliveryState; 4] = [
    DeliveryState::Failed,
    DeliveryState::Expired,
    DeliveryState::Skipped,
    DeliveryState::Cancelled,
];

/// How many there are, as counted when the job was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// So many were counted.
    pub count: u64,
    /// The count ended at its bound: there may be more.
    pub at_least: bool,
}

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// To whom.
    pub subscription_id: SubscriptionId,
    /// What.
    pub selection: Selection,
    /// Of events accepted at or after.
    pub since: Timestamp,
    /// Of events accepted before.
    pub until: Timestamp,
    /// Deliveries per second at most.
    pub rate: u32,
    /// Its state.
    pub state: JobState,
    /// Why it failed.
    pub error: Option<String>,
    /// How many there are.
    pub total: Total,
    /// Deliveries made or brought into their next round.
    pub done: u64,
    /// Left alone, because they were pending already.
    pub skipped: u64,
    /// The delivery or event that its walk has come to; absent before its first batch.
    pub cursor: Option<Uuid>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its first batch was done.
    pub started_at: Option<Timestamp>,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
    /// Raised by every move; the guard of compare-and-set.
    pub version: i64,
}

impl Job {
    /// Deliveries in one batch.
    pub fn batch(&self) -> usize {
        (self.rate / BATCHES_PER_SECOND).clamp(1, MAX_BATCH) as usize
    }

    /// How long to wait from the beginning of a batch of so many to that of the next.
    pub fn pause_after(&self, moved: usize) -> Duration {
        let nanos = 1_000_000_000u64 * moved as u64;
        Duration::from_nanos(nanos.div_ceil(u64::from(self.rate.max(1))))
    }
}

/// A final delivery as a job looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalDelivery {
    /// Which.
    pub id: DeliveryId,
    /// Its state.
    pub state: DeliveryState,
}

/// An event as a job looks at it: everything but what it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHead {
    /// Which.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// Whose.
    pub tenant: Option<String>,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// Its ordering key.
    pub ordering_key: Option<String>,
    /// Bytes of its payload.
    pub payload_bytes: i32,
}

impl EventHead {
    /// Whether a replay may bring this event to that subscription: one that is for it, unless its
    /// payload was erased.
    pub fn may_reach(&self, subscription: &Subscription) -> bool {
        !self.is_erased() && self.is_for(subscription)
    }

    /// Whether that subscription may know of this event: of another tenant's never, of one of
    /// Posthaste's own only where the subscription names it and may hear it.
    pub fn is_for(&self, subscription: &Subscription) -> bool {
        let named = |pattern: &EventPattern| pattern.matches(&self.event_type);
        let key = self.ordering_key.as_deref();
        subscription.is_reached_by(self.tenant.as_deref())
            && subscription.may_hear(&self.event_type, key)
            && (!self.event_type.is_own() || subscription.event_types.iter().any(named))
    }

    /// Whether its payload was erased: an accepted one has a byte at least.
    pub fn is_erased(&self) -> bool {
        self.payload_bytes == 0
    }

    /// Whether the event is of a time and a type that the job asks for.
    pub fn is_wanted_by(&self, job: &Job) -> bool {
        let in_time = job.since <= self.received_at && self.received_at < job.until;
        match &job.selection {
            Selection::States(_) => false,
            Selection::EventIds(ids) => ids.binary_search(&self.id).is_ok(),
            Selection::EventTypes(patterns) => {
                in_time && patterns.iter().any(|one| one.matches(&self.event_type))
            }
        }
    }
}

/// What a batch takes of the rows that were walked.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken<T> {
    /// In order.
    pub rows: Vec<T>,
    /// The row that the walk has come to.
    pub cursor: Option<Uuid>,
    /// There is nothing behind it.
    pub complete: bool,
}

/// Takes up to `most` rows that are `wanted` of those that were walked, in order. `short`: there
/// was nothing behind the last of them.
pub fn take<T>(
    walked: Vec<T>,
    short: bool,
    most: usize,
    id_of: impl Fn(&T) -> Uuid,
    wanted: impl Fn(&T) -> bool,
) -> Taken<T> {
    let mut taken = Taken {
        rows: Vec::new(),
        cursor: None,
        complete: short,
    };
    for row in walked {
        if taken.rows.len() == most {
            // Where this is the first that is left, the walk ends before it.
            taken.complete = false;
            break;
        }
        taken.cursor = Some(id_of(&row));
        if wanted(&row) {
            taken.rows.push(row);
        }
    }
    taken
}

#[cfg(test)]
mod tests;
