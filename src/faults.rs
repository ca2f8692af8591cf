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
    /// The root of the tree, as it hears of a child's death.
    Root,
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
    /// The start of an attempt: muted rather than panicking.
    Launch,
    /// An attempt's task, before the call.
    BeforeSend,
    /// An attempt's task, after the call.
    AfterSend,
    /// The actor of the jobs, as it handles a message.
    Jobs,
    /// The jobs' task, after the commit of a batch and before anybody hears of it.
    JobCommitted,
    /// A reactivation that skips what was held, before its first batch.
    Skipping,
    /// The hand-over of committed deliveries: muted rather than panicking.
    Handover,
    /// The task that keeps a breaker, before its commit.
    BreakerKeep,
    /// The outbox, as it handles a message.
    Outbox,
    /// The outbox's task, after it has read what waits and before that is accepted.
    OutboxRead,
    /// A look into the outbox: muted rather than panicking.
    OutboxMuted,
}

#[cfg(feature = "faults")]
impl Point {
    /// Whether an actor fails here as it handles a message, rather than a task at its work.
    fn is_of_an_actor(self) -> bool {
        matches!(
            self,
            Self::Subscription
                | Self::Dispatcher
                | Self::Ingest
                | Self::Recorder
                | Self::Jobs
                | Self::Outbox
        )
    }
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
        /// From now on every visit of these points may fail.
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
            chance.is_some_and(|chance| chance.strikes(point))
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
    use super::Point;

    /// Lets one visit in so many fail, drawn from a seed: the same seed gives the same run of
    /// draws. Which visit takes which draw is up to the order in which actors work.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Chance {
        state: u64,
        one_in: u64,
        of_actors: bool,
    }

    impl Chance {
        /// Written as `SEED:ONE_IN:WHERE`: two whole numbers, the second at least 1, and
        /// `actors` (as they handle messages) or `tasks` (around commits, calls and hand-overs).
        /// Apart, because messages are so many that the others would hardly have their turn.
        pub fn parse(text: &str) -> Result<Self, String> {
            let parts: Vec<&str> = text.split(':').collect();
            let parsed = match parts[..] {
                [seed, one_in, place @ ("actors" | "tasks")] => seed
                    .parse()
                    .ok()
                    .zip(one_in.parse().ok())
                    .map(|(state, one_in)| Self {
                        state,
                        one_in,
                        of_actors: place == "actors",
                    }),
                _ => None,
            };
            parsed
                .filter(|chance| chance.one_in > 0)
                .ok_or_else(|| format!("{text:?} is not SEED:ONE_IN:WHERE, as in 42:500:actors"))
        }

        /// Whether this visit of a point fails. Draws (SplitMix64) only where it could.
        pub(super) fn strikes(&mut self, point: Point) -> bool {
            // The root's death is the process's: killing that is another fault.
            if point == Point::Root || point.is_of_an_actor() != self.of_actors {
                return false;
            }
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

        fn draw(text: &str, point: Point) -> Vec<u32> {
            let mut chance = Chance::parse(text).unwrap();
            (0..100_000).filter(|_| chance.strikes(point)).collect()
        }

        #[test]
        fn one_visit_in_so_many_fails_and_the_seed_says_which() {
            let struck = draw("42:100:tasks", Point::BeforeSend);
            assert!((800..1_200).contains(&struck.len()), "{}", struck.len());
            assert_eq!(struck, draw("42:100:tasks", Point::RecorderCommit));
            assert_ne!(struck, draw("43:100:tasks", Point::BeforeSend));
            assert_eq!(struck, draw("42:100:actors", Point::Dispatcher));
            assert_eq!(draw("7:1:actors", Point::Ingest).len(), 100_000);
            assert!(draw("7:1:actors", Point::AfterSend).is_empty());
            assert!(draw("7:1:tasks", Point::Subscription).is_empty());
        }

        #[test]
        fn anything_else_is_refused() {
            for text in [
                "",
                "42",
                "42:5",
                ":5:tasks",
                "42:0:tasks",
                "a:5:tasks",
                "42:5:all",
            ] {
                assert!(Chance::parse(text).is_err(), "{text}");
            }
        }
    }
}
