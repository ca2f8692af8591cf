//! Places where a test may make the engine fail.
//!
//! A build without the `faults` feature has only the empty functions: the hooks cost nothing
//! and cannot be set. Faults belong to one engine, so that several fit in one test process.
//!
//! Stories arm single points. The chaos suite lets points of the real binary panic by chance:
//! see [`Chance`].

#[cfg(feature = "faults")]
pub use armed::Faults;
#[cfg(feature = "faults")]
pub use chance::Chance;
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

    use super::{Chance, Point};
    use crate::domain::id::SubscriptionId;

    /// What fails next.
    #[derive(Debug, Default)]
    pub struct Faults(Mutex<Armed>);

    #[derive(Debug, Default)]
    struct Armed {
        /// How often each point still fails, for all or for one subscription.
        times: HashMap<(Point, Option<SubscriptionId>), u32>,
        chance: Option<Chance>,
    }

    impl Faults {
        /// From now on every visit of every point may fail.
        pub fn leave_to(&self, chance: Chance) {
            self.lock().chance = Some(chance);
        }

        /// The next `times` visits of this point fail.
        pub fn arm(&self, point: Point, times: u32) {
            self.lock().times.insert((point, None), times);
        }

        /// The next `times` visits of this point on behalf of one subscription fail.
        pub fn arm_for(&self, point: Point, subscription: SubscriptionId, times: u32) {
            self.lock().times.insert((point, Some(subscription)), times);
        }

        /// Visits that still fail.
        pub fn left(&self, point: Point) -> u32 {
            let armed = self.lock();
            armed.times.get(&(point, None)).copied().unwrap_or(0)
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
            let mut armed = self.lock();
            if let Some(times) = armed.times.get_mut(&(point, subscription))
                && *times > 0
            {
                *times -= 1;
                return true;
            }
            // A visit on behalf of a subscription asks for all as well: it takes one chance.
            let chance = armed.chance.as_mut().filter(|_| subscription.is_none());
            chance.is_some_and(Chance::strikes)
        }

        fn lock(&self) -> std::sync::MutexGuard<'_, Armed> {
            self.0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

#[cfg(feature = "faults")]
mod chance {
    /// Lets one visit in so many fail, drawn from a seed: the same seed gives the same run of
    /// draws. Which point takes which draw is up to the order in which actors work.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Chance {
        state: u64,
        one_in: u64,
    }

    impl Chance {
        /// Written as `SEED:ONE_IN`, both whole numbers, the second at least 1.
        pub fn parse(text: &str) -> Result<Self, String> {
            let parsed = text.split_once(':').and_then(|(seed, one_in)| {
                let (state, one_in) = (seed.parse().ok()?, one_in.parse().ok()?);
                (one_in > 0).then_some(Self { state, one_in })
            });
            parsed.ok_or_else(|| format!("{text:?} is not SEED:ONE_IN, as in 42:500"))
        }

        /// Draws once (SplitMix64).
        pub(super) fn strikes(&mut self) -> bool {
            self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut drawn = self.state;
            drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (drawn ^ (drawn >> 31)).is_multiple_of(self.one_in)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn one_visit_in_so_many_fails_and_the_seed_says_which() {
            let draw = |text: &str| {
                let mut chance = Chance::parse(text).unwrap();
                (0..100_000)
                    .filter(|_| chance.strikes())
                    .collect::<Vec<u32>>()
            };
            let struck = draw("42:100");
            assert!((800..1_200).contains(&struck.len()), "{}", struck.len());
            assert_eq!(struck, draw("42:100"));
            assert_ne!(struck, draw("43:100"));
            assert_eq!(draw("7:1").len(), 100_000);
        }

        #[test]
        fn anything_else_is_refused() {
            for text in ["", "42", "42:", ":5", "42:0", "a:5", "42:5:1", "-1:5"] {
                assert!(Chance::parse(text).is_err(), "{text}");
            }
        }
    }
}
