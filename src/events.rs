//! What the engine tells about itself, as it happens.
//!
//! One broadcast serves whoever wants to follow: what production emits is what tests wait on.
//! Nobody is waited for: a follower who falls behind misses facts and is told how many.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::domain::Timestamp;
use crate::domain::breaker::BreakerState;
use crate::domain::delivery::{Settlement, Trigger};
use crate::domain::event::Event;
use crate::domain::event_type::EventType;
use crate::domain::id::{AttemptId, DeliveryId, EventId, JobId, SubscriptionId};
use crate::domain::job::JobState;
use crate::domain::subscription::SubscriptionState;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineEvent {
    /// An event is durable.
    EventAccepted(Arc<AcceptedEvent>),
    /// An attempt is recorded.
    AttemptRecorded {
        /// Of this delivery.
        delivery: DeliveryId,
        /// Of this event.
        event: EventId,
        /// For this subscription.
        subscription: SubscriptionId,
        /// The attempt's number.
        number: u32,
        /// What follows.
        settlement: Settlement,
        /// The delivery had moved on meanwhile.
        stale: bool,
        /// How it went.
        attempt: Arc<ToldAttempt>,
    },
    /// A subscription was created, changed or deleted, here or elsewhere.
    SubscriptionChanged {
        /// Which.
        subscription: SubscriptionId,
        /// Its state now.
        state: SubscriptionState,
        /// Whose it is.
        tenant: Option<Arc<str>>,
    },
    /// A subscription asked to be left alone.
    SubscriptionHeld {
        /// Which.
        subscription: SubscriptionId,
        /// Until when.
        until: Timestamp,
    },
    /// All that a subscription has pending stands in line for its rule of order.
    LinedUp {
        /// Whose.
        subscription: SubscriptionId,
    },
    /// A delivery has failed for good, and keeps those behind it in its line.
    LineBlocked {
        /// Whose.
        subscription: SubscriptionId,
        /// Which failed.
        delivery: DeliveryId,
    },
    /// A subscription's breaker took a step.
    BreakerChanged {
        /// Which.
        subscription: SubscriptionId,
        /// Where it was.
        from: BreakerState,
        /// Where it is now.
        to: BreakerState,
    },
    /// Pending deliveries are cancelled: by an operator, or because their subscription is deleted.
    DeliveriesCancelled {
        /// Whose.
        subscription: SubscriptionId,
        /// How many.
        count: u64,
    },
    /// A job took a step: a batch of it is committed, or it ended.
    JobMoved {
        /// Which.
        job: JobId,
        /// Of this subscription.
        subscription: SubscriptionId,
        /// Its state now.
        state: JobState,
        /// Deliveries made or brought into their next round so far.
        done: u64,
        /// Left alone so far.
        skipped: u64,
    },
    /// What was held is skipped, because its subscription is reactivated without it.
    DeliveriesSkipped {
        /// Whose.
        subscription: SubscriptionId,
        /// How many.
        count: u64,
    },
    /// What was held has been held for too long.
    DeliveriesExpired {
        /// Whose.
        subscription: SubscriptionId,
        /// How many.
        count: u64,
    },
    /// Keys were made or revoked, here or elsewhere.
    KeysChanged {
        /// The keyring's version now.
        version: i64,
    },
    /// Users changed, or sessions were opened or ended, here or elsewhere.
    SessionsChanged {
        /// The accounts' version now.
        version: i64,
    },
    /// An actor died and was started again.
    ActorRestarted(&'static str),
    /// The janitor has made a round.
    Tidied(Tidied),
    /// What was counted lies in buckets: so many deltas.
    StatisticsFolded(u32),
    /// All subscriptions were looked over for due deliveries.
    Swept,
    /// This node took over the deliveries.
    OwnershipTaken,
    /// This node does not own the deliveries any more.
    OwnershipLost,
}

/// An event without its payload: many facts wait for followers, and are to weigh little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedEvent {
    /// Which.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// A name for people.
    pub event_name: Option<String>,
    /// Who sent it.
    pub source: Option<String>,
    /// Whose subscriptions it may reach.
    pub tenant: Option<Arc<str>>,
    /// When it was accepted.
    pub received_at: Timestamp,
}

impl From<&Event> for AcceptedEvent {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id,
            event_type: event.event_type.clone(),
            event_name: event.event_name.clone(),
            source: event.source.clone(),
            tenant: event.tenant.clone(),
            received_at: event.received_at,
        }
    }
}

/// How an attempt went, without anything that it carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldAttempt {
    /// Which.
    pub id: AttemptId,
    /// Why it was made.
    pub trigger: Trigger,
    /// When the call began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The status answered, where there was one.
    pub status: Option<u16>,
    /// The class of error, where it was no success.
    pub error_kind: Option<&'static str>,
    /// One sentence on it.
    pub error: Option<String>,
}

/// What one round of the janitor removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Idempotency keys past their time.
    pub keys: u64,
    /// Jobs that ended long ago.
    pub jobs: u64,
    /// Callers' keys that ended long ago.
    pub api_keys: u64,
    /// Sessions that ended.
    pub sessions: u64,
    /// Deliveries that still pointed at deleted subscriptions, cancelled.
    pub cancelled: u64,
    /// Deliveries held for longer than they may be, expired.
    pub expired: u64,
    /// Events past their time. Where whole partitions went, about as many; the same holds for
    /// deliveries and attempts.
    pub events: u64,
    /// Their deliveries.
    pub deliveries: u64,
    /// The attempts of these.
    pub attempts: u64,
    /// Partitions of time that went whole.
    pub partitions: u64,
    /// Attempts whose answer went sooner.
    pub answers: u64,
    /// Buckets of statistics past their time.
    pub statistics: u64,
    /// Answers that were recorded after their event's payload was erased, and went as well.
    pub late_answers: u64,
    /// Entries of the audit log past their time.
    pub audit: u64,
}

/// Where facts are told.
#[derive(Clone, Debug)]
pub struct EngineEvents(broadcast::Sender<EngineEvent>);

impl EngineEvents {
    /// Followers may fall behind by `capacity` facts.
    pub fn new(capacity: usize) -> Self {
        Self(broadcast::Sender::new(capacity))
    }

    /// Tells a fact. It is made only where somebody follows.
    pub fn tell(&self, fact: impl FnOnce() -> EngineEvent) {
        if self.0.receiver_count() > 0 {
            // An error means that the last follower has just left.
            let _ = self.0.send(fact());
        }
    }

    /// How many follow. While nobody does, telling costs a look at this.
    pub fn followers(&self) -> usize {
        self.0.receiver_count()
    }

    /// Follows from now on.
    pub fn follow(&self) -> broadcast::Receiver<EngineEvent> {
        self.0.subscribe()
    }
}
