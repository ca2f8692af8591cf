//! What this process knows of a subscription at this moment.

use std::time::Duration;

use super::handle::Relay;
use super::lane::Snapshot;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::breaker::BreakerState;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::domain::rate_limit::TokenBucket;

/// Who runs the subscriptions' actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This process.
    This,
    /// Another one, or none.
    Another,
}

/// A subscription's live state, in the process that owns it.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Its breaker; absent where no actor runs: then the store knows.
    pub breaker: Option<LiveBreaker>,
    /// The receiver asked to be left alone until then.
    pub hold_until: Option<Timestamp>,
    /// Tokens of its rate limit; absent where no actor runs, because all are left then.
    pub tokens: Option<u32>,
    /// How long until the next token, where none is left.
    pub token_in: Option<Duration>,
    /// HTTP calls under way.
    pub in_flight: u32,
    /// Of what is allowed while traffic ramps up after a recovery.
    pub ramp: Option<u32>,
    /// What is held in memory.
    pub window: LiveWindow,
    /// Deliveries that came to an end of late, per second.
    pub per_second: Option<f64>,
    /// Times that its actor died since it began to work.
    pub restarts: u32,
}

/// Where a breaker is.
#[derive(Clone, Copy, Debug)]
pub struct LiveBreaker {
    /// Its state.
    pub state: BreakerState,
    /// The end of the cool-down, while open.
    pub until: Option<Timestamp>,
    /// Times in a row that it opened without a recovery between.
    pub opened_in_a_row: u32,
}

/// A window.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveWindow {
    /// Deliveries held, those in flight included.
    pub held: usize,
    /// Waiting for their attempt.
    pub waiting: usize,
    /// Everything due is held.
    pub caught_up: bool,
}

impl Relay {
    /// Who runs the actors.
    pub fn owner(&self) -> Owner {
        match self.deps.ownership.may_deliver() {
            true => Owner::This,
            false => Owner::Another,
        }
    }

    /// Whether an attempt of a delivery is being made or recorded; `None` where another process knows.
    pub fn is_flying(&self, id: SubscriptionId, delivery: DeliveryId) -> Option<bool> {
        if self.owner() == Owner::Another {
            return None;
        }
        let lane = self.deps.lanes.get(id);
        Some(lane.is_some_and(|lane| lane.is_flying(delivery)))
    }

    /// Whether as many attempts are in flight as this node may have.
    pub fn is_at_bound(&self) -> bool {
        let (taken, all) = self.deps.slots.usage();
        taken >= all
    }

    /// The live state of a subscription; `None` where another process has it.
    pub fn live(&self, id: SubscriptionId) -> Option<Live> {
        if self.owner() == Owner::Another {
            return None;
        }
        let instant = clock::instant();
        let Some(lane) = self.deps.lanes.get(id) else {
            return Some(Live::default());
        };
        let Snapshot {
            shown,
            breaker,
            ramp,
            calls,
            held,
            waiting,
            caught_up,
            per_second,
            restarts,
        } = lane.snapshot(instant);
        let now = clock::now();
        let tokens = |bucket: &TokenBucket| bucket.available(instant);
        Some(Live {
            breaker: Some(LiveBreaker {
                state: breaker.state,
                until: breaker.until,
                opened_in_a_row: breaker.opened_in_a_row,
            }),
            hold_until: shown.hold_until.filter(|until| *until > now),
            tokens: shown.bucket.as_ref().map(tokens),
            token_in: shown
                .bucket
                .as_ref()
                .map(|bucket| bucket.wait(instant))
                .filter(|wait| !wait.is_zero()),
            in_flight: calls,
            ramp,
            window: LiveWindow {
                held,
                waiting,
                caught_up,
            },
            per_second,
            restarts,
        })
    }
}
