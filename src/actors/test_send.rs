//! Test sends: one call to a receiver, out of all that holds deliveries back, of which nothing
//! remains.
//!
//! A test passes by state, breaker, rate limit and order, takes no slot of an attempt and is told to
//! nobody but who asked. What bounds it is here: few at once on a node, fewer of one tenant, one at
//! a time of a subscription. Where it may go the transport says, as for any attempt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::handle::Relay;
use crate::delivery::deliver::{Receiver, TriedOut};
use crate::delivery::payload::LoadedEvent;
use crate::domain::event::Event;
use crate::domain::id::SubscriptionId;
use crate::domain::subscription::Subscription;
use crate::domain::tenant;

/// What is under way.
pub struct TestSends {
    slots: Semaphore,
    most_of_tenant: usize,
    of: Mutex<HashMap<SubscriptionId, Option<Arc<str>>>>,
}

/// What became of a test.
#[derive(Debug)]
pub enum TestAnswer {
    /// It was made.
    Made(Box<TriedOut>),
    /// One of this subscription is under way.
    UnderWay,
    /// So many are under way as may be, of all or of this tenant.
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
            most_of_tenant: tenant::share_of(most),
            of: Mutex::default(),
        }
    }

    fn begin(&self, id: SubscriptionId, whose: Option<&Arc<str>>) -> Result<Turn<'_>, TestAnswer> {
        let slot = self.slots.try_acquire().map_err(|_| TestAnswer::Full)?;
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if of.contains_key(&id) {
            return Err(TestAnswer::UnderWay);
        }
        let own = of.values().filter(|other| other.as_ref() == whose);
        if whose.is_some() && own.count() >= self.most_of_tenant {
            return Err(TestAnswer::Full);
        }
        of.insert(id, whose.cloned());
        Ok(Turn {
            sends: self,
            id,
            _slot: slot,
        })
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
        let _turn = match deps
            .test_sends
            .begin(subscription.id, subscription.tenant.as_ref())
        {
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
        let first = sends.begin(id(1), None).ok().unwrap();
        assert!(matches!(
            sends.begin(id(1), None),
            Err(TestAnswer::UnderWay)
        ));
        let second = sends.begin(id(2), None).ok().unwrap();
        assert!(matches!(sends.begin(id(3), None), Err(TestAnswer::Full)));
        drop(first);
        let again = sends.begin(id(1), None).ok().unwrap();
        drop((second, again));
        assert!(sends.begin(id(2), None).is_ok());
    }

    #[test]
    fn a_tenant_leaves_room_for_others() {
        let sends = TestSends::new(8);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let first = sends.begin(id(1), Some(&a)).ok().unwrap();
        let _second = sends.begin(id(2), Some(&a)).ok().unwrap();
        assert!(matches!(
            sends.begin(id(3), Some(&a)),
            Err(TestAnswer::Full)
        ));
        let _other = sends.begin(id(4), Some(&b)).ok().unwrap();
        let _free: Vec<_> = (5..10)
            .map(|number| sends.begin(id(number), None).ok().unwrap())
            .collect();
        drop(first);
        assert!(sends.begin(id(3), Some(&a)).is_ok());
    }
}
