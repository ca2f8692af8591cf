//! All lanes of an engine.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::{Lane, locked};
use crate::actors::address::Address;
use crate::actors::dispatcher::DispatcherMessage;
use crate::delivery::payload::ByteBudget;
use crate::domain::id::SubscriptionId;

/// The lanes of this engine, one for each subscription whose actor lives.
#[derive(Debug)]
pub struct Lanes {
    bound: usize,
    budget: Arc<ByteBudget>,
    dispatcher: Address<DispatcherMessage>,
    lanes: Mutex<HashMap<SubscriptionId, Arc<Lane>>>,
}

impl Lanes {
    /// Each lane's window holds `bound` deliveries at most, and all of them what `budget` allows.
    pub fn new(
        bound: usize,
        budget: Arc<ByteBudget>,
        dispatcher: Address<DispatcherMessage>,
    ) -> Self {
        Self {
            bound,
            budget,
            dispatcher,
            lanes: Mutex::default(),
        }
    }

    /// The lane of a subscription whose actor lives.
    pub fn get(&self, id: SubscriptionId) -> Option<Arc<Lane>> {
        locked(&self.lanes).get(&id).cloned()
    }

    /// The lane of a subscription whose actor is about to live. A retired lane is replaced.
    pub fn open(&self, id: SubscriptionId) -> Arc<Lane> {
        let mut lanes = locked(&self.lanes);
        if let Some(lane) = lanes.get(&id)
            && !lane.retired.load(Ordering::Acquire)
        {
            return Arc::clone(lane);
        }
        let budget = Arc::clone(&self.budget);
        let lane = Arc::new(Lane::new(id, self.bound, budget, self.dispatcher.clone()));
        lanes.insert(id, Arc::clone(&lane));
        lane
    }

    /// Forgets a lane that has retired.
    pub fn close(&self, id: SubscriptionId) {
        let mut lanes = locked(&self.lanes);
        if lanes
            .get(&id)
            .is_some_and(|lane| lane.retired.load(Ordering::Acquire))
        {
            lanes.remove(&id);
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Lane>> {
        locked(&self.lanes).values().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        locked(&self.lanes).len()
    }
}
