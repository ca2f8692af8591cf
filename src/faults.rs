//! Places where a test may make the engine fail.
//!
//! A build without the `faults` feature has only the empty functions: the hooks cost nothing
//! and cannot be set. Faults belong to one engine, so that several fit in one test process.

#[cfg(feature = "faults")]
pub use armed::Faults;
#[cfg(not(feature = "faults"))]
pub use unarmed::Faults;

/// A place that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// The subscription actor, as it handles a message.
    Subscription,
    /// The dispatcher, as it handles a message.
    Dispatcher,
    /// The ingest actor, as it handles a message.
    Ingest,
    /// The ingest task, after its commit and before anybody hears of it.
    IngestCommitted,
    /// The recorder, as it handles a message.
    Recorder,
    /// The recorder's task, before its commit.
    RecorderCommit,
    /// The recorder's task, after its commit and before anybody hears of it.
    RecorderCommitted,
    /// An attempt's task, before the call.
    BeforeSend,
    /// An attempt's task, after the call.
    AfterSend,
    /// A reactivation that skips what was held, before its first batch.
    Skipping,
    /// The hand-over of committed deliveries: muted rather than panicking.
    Handover,
}

#[cfg(not(feature = "faults"))]
mod unarmed {
    use crate::domain::id::SubscriptionId;

    /// Nothing ever fails on purpose.
    #[derive(Debug, Default)]
    pub struct Faults {}

    impl Faults {
        /// Does nothing.
        #[inline(always)]
        pub fn panic_at(&self, _point: super::Point) {}

        /// Does nothing.
        #[inline(always)]
        pub fn panic_for(&self, _point: super::Point, _subscription: SubscriptionId) {}

        /// Nothing is muted.
        #[inline(always)]
        pub fn muted(&self, _point: super::Point) -> bool {
            false
        }
    }
}

#[cfg(feature = "faults")]
mod armed {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use super::Point;
    use crate::domain::id::SubscriptionId;

    /// How often each point still fails, for all or for one subscription.
    #[derive(Debug, Default)]
    pub struct Faults(Mutex<HashMap<(Point, Option<SubscriptionId>), u32>>);

    impl Faults {
        /// The next `times` visits of this point fail.
        pub fn arm(&self, point: Point, times: u32) {
            self.lock().insert((point, None), times);
        }

        /// The next `times` visits of this point on behalf of one subscription fail.
        pub fn arm_for(&self, point: Point, subscription: SubscriptionId, times: u32) {
            self.lock().insert((point, Some(subscription)), times);
        }

        /// Visits that still fail.
        pub fn left(&self, point: Point) -> u32 {
            self.lock().get(&(point, None)).copied().unwrap_or(0)
        }

        /// Panics, if this point is armed.
        pub fn panic_at(&self, point: Point) {
            if self.fires(point, None) {
                panic!("injected fault at {point:?}");
            }
        }

        /// Panics, if this point is armed, for all or for this subscription.
        pub fn panic_for(&self, point: Point, subscription: SubscriptionId) {
            self.panic_at(point);
            if self.fires(point, Some(subscription)) {
                panic!("injected fault at {point:?} of {subscription}");
            }
        }

        /// Whether this point is muted now.
        pub fn muted(&self, point: Point) -> bool {
            self.fires(point, None)
        }

        fn fires(&self, point: Point, subscription: Option<SubscriptionId>) -> bool {
            match self.lock().get_mut(&(point, subscription)) {
                Some(times) if *times > 0 => {
                    *times -= 1;
                    true
                }
                _ => false,
            }
        }

        fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Point, Option<SubscriptionId>), u32>> {
            self.0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}
