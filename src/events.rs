//! What the engine tells about itself, as it happens.
//!
//! One broadcast serves whoever wants to follow: what production emits is what tests wait on.
//! Nobody is waited for: a follower who falls behind misses facts and is told how many.

use tokio::sync::broadcast;

use crate::domain::Timestamp;
use crate::domain::breaker::BreakerState;
use crate::domain::delivery::Settlement;
use crate::domain::id::{DeliveryId, EventId, JobId, SubscriptionId};
use crate::domain::job::JobState;
use crate::domain::subscription::SubscriptionState;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineEvent {
    /// An event is durable.
    EventAccepted(EventId),
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
    },
    /// A subscription was created, changed or deleted, here or elsewhere.
    SubscriptionChanged {
        /// Which.
        subscription: SubscriptionId,
        /// Its state now.
        state: SubscriptionState,
    },
    /// A subscription asked to be left alone.
    SubscriptionHeld {
        /// Which.
        subscription: SubscriptionId,
        /// Until when.
        until: Timestamp,
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
        /// Its state now.
        state: JobState,
        /// Deliveries made or brought into their next round so far.
        done: u64,
        /// Left alone so far.
        skipped: u64,
    },
    /// An actor died and was started again.
    ActorRestarted(&'static str),
    /// All subscriptions were looked over for due deliveries.
    Swept,
    /// This node took over the deliveries.
    OwnershipTaken,
    /// This node does not own the deliveries any more.
    OwnershipLost,
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

    /// Follows from now on.
    pub fn follow(&self) -> broadcast::Receiver<EngineEvent> {
        self.0.subscribe()
    }
}
