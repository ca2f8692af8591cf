//! The token bucket that paces a subscription.
//!
//! Generic cell rate algorithm: one number, the time at which the bucket would be full again.
//! It is kept in units of 1/limit of a nanosecond, so the rate is exact over any length of
//! time: no rounding adds up.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `limit` attempts per `period`, at most `burst` of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = RateLimit)]
pub struct RateLimit {
    /// Attempts per period: 1 to 100,000.
    #[schema(minimum = 1, maximum = 100_000)]
    pub limit: u32,
    /// The period in milliseconds: 1,000 (the default, also where it is null) to 86,400,000.
    #[serde(default = "one_second")]
    #[schema(minimum = 1_000, maximum = 86_400_000, nullable = true)]
    pub period_ms: u64,
    /// Attempts at once after a quiet time: 1 to 100,000; by default what one second allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100_000)]
    pub burst: Option<u32>,
}

fn one_second() -> u64 {
    1_000
}

impl RateLimit {
    /// Says what is wrong with the limit, field first.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(1..=100_000).contains(&self.limit) {
            return Err(("limit", format!("must be 1 to 100000, not {}", self.limit)));
        }
        if !(1_000..=86_400_000).contains(&self.period_ms) {
            return Err((
                "periodMs",
                format!("must be 1000 to 86400000, not {}", self.period_ms),
            ));
        }
        match self.burst {
            Some(burst) if !(1..=100_000).contains(&burst) => {
                Err(("burst", format!("must be 1 to 100000, not {burst}")))
            }
            _ => Ok(()),
        }
    }

    /// The burst in force.
    pub fn burst(&self) -> u32 {
        let per_second = u64::from(self.limit)
            .saturating_mul(1_000)
            .div_ceil(self.period_ms.max(1));
        self.burst.unwrap_or(per_second.clamp(1, 100_000) as u32)
    }
}

/// The bucket of one subscription. Time is an argument and may stand still or jump forward;
/// it never runs backwards (it is the monotonic clock's).
#[derive(Clone, Debug)]
pub struct TokenBucket {
    limit: RateLimit,
    start: Instant,
    /// When the bucket is full again, in nanoseconds × limit since `start`.
    full_at: u128,
}

impl TokenBucket {
    /// A full bucket.
    pub fn full(limit: RateLimit, now: Instant) -> Self {
        Self {
            limit,
            start: now,
            full_at: 0,
        }
    }

    /// An empty bucket: how a restarted actor begins, since what its predecessor used is lost.
    pub fn empty(limit: RateLimit, now: Instant) -> Self {
        let mut bucket = Self::full(limit, now);
        bucket.full_at = bucket.capacity();
        bucket
    }

    /// The limit that this bucket holds.
    pub fn limit(&self) -> RateLimit {
        self.limit
    }

    /// One token, in the bucket's unit: the period's nanoseconds.
    fn token(&self) -> u128 {
        u128::from(self.limit.period_ms) * 1_000_000
    }

    fn capacity(&self) -> u128 {
        self.token() * u128::from(self.limit.burst())
    }

    fn units(&self, now: Instant) -> u128 {
        now.saturating_duration_since(self.start).as_nanos() * u128::from(self.limit.limit)
    }

    /// Whole tokens there are now.
    pub fn available(&self, now: Instant) -> u32 {
        let missing = self.full_at.saturating_sub(self.units(now));
        (self.capacity().saturating_sub(missing) / self.token()) as u32
    }

    /// Takes one token, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.available(now) == 0 {
            return false;
        }
        self.full_at = self.full_at.max(self.units(now)) + self.token();
        true
    }

    /// Takes one token whether there is one or not: what comes next waits for it.
    pub fn owe(&mut self, now: Instant) {
        self.full_at = self.full_at.max(self.units(now)) + self.token();
    }

    /// How long until there is a token; zero where there is one.
    pub fn wait(&self, now: Instant) -> Duration {
        let missing = self.full_at.saturating_sub(self.units(now));
        let units = (missing + self.token()).saturating_sub(self.capacity());
        let nanos = units.div_ceil(u128::from(self.limit.limit));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whether nothing would be lost by forgetting this bucket.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= self.units(now)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(limit: u32, period_ms: u64, burst: u32) -> RateLimit {
        RateLimit {
            limit,
            period_ms,
            burst: Some(burst),
        }
    }

    #[test]
    fn waits_exactly_one_token() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(limit(3, 1_000, 1), start);
        assert!(bucket.take(start));
        assert!(!bucket.take(start));
        let wait = bucket.wait(start);
        assert_eq!(wait, Duration::from_nanos(333_333_334));
        assert!(!bucket.take(start + wait - Duration::from_nanos(1)));
        assert!(bucket.take(start + wait));
        assert_eq!(
            TokenBucket::empty(limit(3, 1_000, 2), start).available(start),
            0
        );
    }

    proptest! {
        /// Over any stretch, never more than the burst plus what the rate allows; and a taker
        /// who takes whenever a token is there gets all that the rate allows.
        #[test]
        fn exact_over_time(
            rate in 1u32..5_000, period_ms in 1_000u64..100_000, burst in 1u32..50,
            steps in prop::collection::vec(0u64..50_000_000, 1..200),
        ) {
            let start = Instant::now();
            let mut bucket = TokenBucket::full(limit(rate, period_ms, burst), start);
            let mut elapsed = Duration::ZERO;
            let mut taken = 0u128;
            for step in steps {
                let wait = bucket.wait(start + elapsed);
                elapsed += wait.max(Duration::from_nanos(step));
                if !wait.is_zero() {
                    prop_assert!(bucket.available(start + elapsed) >= 1);
                }
                while bucket.take(start + elapsed) {
                    taken += 1;
                }
                let earned =
                    elapsed.as_nanos() * u128::from(rate) / (u128::from(period_ms) * 1_000_000);
                prop_assert!(taken <= u128::from(burst) + earned);
            }
        }

        /// A taker who never lets the bucket overflow gets exactly burst + floor(rate × time).
        #[test]
        fn nothing_is_lost_to_rounding(rate in 1u32..1_000, takes in 1usize..500) {
            let start = Instant::now();
            let mut bucket = TokenBucket::full(limit(rate, 1_000, 1), start);
            let mut elapsed = Duration::ZERO;
            for _ in 0..takes {
                elapsed += bucket.wait(start + elapsed);
                prop_assert!(bucket.take(start + elapsed));
            }
            let exact = (takes as u128 - 1) * 1_000_000_000 / u128::from(rate);
            // Each wait is rounded up to a whole nanosecond, and no wait inherits the last one's.
            prop_assert!(elapsed.as_nanos() >= exact);
            prop_assert!(elapsed.as_nanos() <= exact + 1 + takes as u128);
        }
    }

    #[test]
    fn a_token_that_is_owed_is_waited_for() {
        let now = Instant::now();
        let mut bucket = TokenBucket::full(limit(1, 1_000, 1), now);
        assert!(bucket.take(now));
        bucket.owe(now);
        assert_eq!(bucket.available(now), 0);
        assert_eq!(bucket.wait(now), Duration::from_secs(2));
        assert!(bucket.take(now + Duration::from_secs(2)));
    }
}
