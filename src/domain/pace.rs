//! How many deliveries came to an end of late, per second.
//!
//! Two windows of ten seconds, the one under way and the one before it: constant memory, and an
//! estimate that follows within seconds.

use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(10);

/// See the module's documentation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    begun: Option<Instant>,
    now: u32,
    before: Option<u32>,
}

impl Pace {
    /// One more came to its end.
    pub fn count(&mut self, at: Instant) {
        self.turn(at);
        self.begun.get_or_insert(at);
        self.now = self.now.saturating_add(1);
    }

    /// Ends per second; `None` where there were none of late.
    pub fn per_second(mut self, at: Instant) -> Option<f64> {
        self.turn(at);
        let counted = f64::from(self.now) + f64::from(self.before.unwrap_or(0));
        let window = self
            .begun
            .map_or(Duration::ZERO, |begun| at.saturating_duration_since(begun));
        let earlier = self.before.map_or(Duration::ZERO, |_| WINDOW);
        // A first second would let one delivery look like thousands.
        let seconds = (window + earlier).as_secs_f64().max(1.0);
        (counted > 0.0).then_some(counted / seconds)
    }

    fn turn(&mut self, at: Instant) {
        let Some(begun) = self.begun else { return };
        let passed = at.saturating_duration_since(begun);
        if passed >= 2 * WINDOW {
            *self = Self::default();
        } else if passed >= WINDOW {
            *self = Self {
                begun: Some(begun + WINDOW),
                now: 0,
                before: Some(self.now),
            };
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "some point in time to begin with"
)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::default();
        assert_eq!(pace.per_second(start), None);
        for second in 0..10 {
            for _ in 0..3 {
                pace.count(at(second));
            }
        }
        assert_eq!(pace.per_second(at(10)), Some(3.0));
        assert_eq!(pace.per_second(at(15)), Some(2.0));
        pace.count(at(15));
        assert_eq!(pace.per_second(at(20)), Some(1.0 / 10.0));
        assert_eq!(pace.per_second(at(40)), None, "long ago");
    }

    #[test]
    fn a_single_one_is_no_thousand() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.count(start);
        assert_eq!(pace.per_second(start + Duration::from_millis(1)), Some(1.0));
    }
}
