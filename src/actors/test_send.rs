//! Test sends: one call to a receiver, out of all that holds deliveries back, of which nothing
//! remains.
//!
//! A test passes by state, breaker, rate limit and order, takes no slot of an attempt and is told to
//! nobody but who asked. What bounds it is here: few at once on a node, one at a time of a
//! subscription. Where it may go the transport says, as for any attempt.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::handle::Relay;
use crate::delivery::deliver::{Receiver, TriedOut};
use crate::delivery::payload::LoadedEvent;
use crate::domain::event::Event;
use crate::domain::id::SubscriptionId;
use crate::domain::subscription::Subscription;

/// What is under way.
pub struct TestSends {
    slots: Semaphore,
    of: Mutex<HashSet<SubscriptionId>>,
}

/// What became of a test.
#[derive(Debug)]
pub enum TestAnswer {
    /// It was made.
    Made(Box<TriedOut>),
    /// One of this subscription is under way.
    UnderWay,
    /// So many are under way as may be.
    Full,
    /// The node stops.
    Draining,
}

/// One test; it ends with this.
struct Turn<'a> {
    sends: &'a TestSends,
    id: SubscriptionId,
    _slot: SemaphorePermit<'a>,
}

impl TestSends {
    /// So many at once.
    pub fn new(most: usize) -> Self {
        Self {
            slots: Semaphore::new(most),
            of: Mutex::default(),
        }
    }

    fn begin(&self, id: SubscriptionId) -> Result<Turn<'_>, TestAnswer> {
        let slot = self.slots.try_acquire().map_err(|_| TestAnswer::Full)?;
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        match of.insert(id) {
            true => Ok(Turn {
                sends: self,
                id,
                _slot: slot,
            }),
            false => Err(TestAnswer::UnderWay),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let of = &self.sends.of;
        let mut of = of.lock().unwrap_or_else(PoisonError::into_inner);
        of.remove(&self.id);
    }
}

impl Relay {
    /// Sends an event that is stored nowhere to a subscription, which need not be stored either,
    /// and waits for what comes of it, `most` at the longest.
    pub async fn test_send(
        &self,
        subscription: &Subscription,
        event: Event,
        most: Duration,
    ) -> TestAnswer {
        let deps = &self.deps;
        if deps.is_draining() {
            return TestAnswer::Draining;
        }
        let _turn = match deps.test_sends.begin(subscription.id) {
            Ok(turn) => turn,
            Err(refusal) => return refusal,
        };
        let settings = &deps.settings;
        let receiver = Receiver::prepare(subscription, &settings.delivery, &settings.retry);
        let event = LoadedEvent::in_flight(event);
        let tried = deps.courier.try_out(&receiver, &event, most).await;
        TestAnswer::Made(Box::new(tried))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> SubscriptionId {
        SubscriptionId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn one_at_a_time_of_a_subscription_and_few_of_all() {
        let sends = TestSends::new(2);
        let first = sends.begin(id(1)).ok().unwrap();
        assert!(matches!(sends.begin(id(1)), Err(TestAnswer::UnderWay)));
        let second = sends.begin(id(2)).ok().unwrap();
        assert!(matches!(sends.begin(id(3)), Err(TestAnswer::Full)));
        drop(first);
        let again = sends.begin(id(1)).ok().unwrap();
        drop((second, again));
        assert!(sends.begin(id(2)).is_ok());
    }
}
