//! Whether a subscription may make an attempt now, and if not, what it waits for.

use std::time::{Duration, Instant};

use super::Timestamp;
use super::rate_limit::TokenBucket;
use super::subscription::SubscriptionState;

/// All that decides about the next attempt of a subscription.
#[derive(Debug)]
pub struct Situation<'a> {
    /// Its state.
    pub state: SubscriptionState,
    /// The receiver asked to be left alone until then.
    pub hold_until: Option<Timestamp>,
    /// Its pace, where it has one.
    pub bucket: Option<&'a TokenBucket>,
    /// Its attempts in flight.
    pub in_flight: u32,
    /// Its bound of them.
    pub max_in_flight: u32,
    /// The wall clock.
    pub now: Timestamp,
    /// The monotonic clock, for the bucket.
    pub instant: Instant,
}

/// What a subscription may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Make an attempt.
    Go,
    /// Look again after this long.
    Wait(Duration),
    /// An attempt of its own has to end first.
    AwaitOwnSlot,
    /// Nothing until its state changes: hold nothing in memory.
    Held,
}

/// Decides, strongest reason first.
pub fn admit(situation: &Situation<'_>) -> Admission {
    if !situation.state.delivers() {
        return Admission::Held;
    }
    if let Some(hold) = situation.hold_until
        && hold > situation.now
    {
        return Admission::Wait(hold.since(situation.now));
    }
    if situation.in_flight >= situation.max_in_flight {
        return Admission::AwaitOwnSlot;
    }
    match situation
        .bucket
        .map(|bucket| bucket.wait(situation.instant))
    {
        Some(wait) if !wait.is_zero() => Admission::Wait(wait),
        _ => Admission::Go,
    }
}

/// How many of the node's slots one subscription may hold while `free` are free: a quarter of
/// them, and always one where there is one. As slots fill, everybody's share shrinks, so that
/// a newcomer finds some.
pub fn fair_share(free: usize) -> usize {
    (free / 4).max(usize::from(free > 0))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::domain::rate_limit::RateLimit;

    #[test]
    fn the_strongest_reason_wins() {
        let instant = Instant::now();
        let now = Timestamp::from_micros(1_000_000);
        let limit = RateLimit {
            limit: 1,
            period_ms: 1_000,
            burst: Some(1),
        };
        let full = TokenBucket::full(limit, instant);
        let empty = TokenBucket::empty(limit, instant);
        let later = Some(now.plus(Duration::from_secs(9)));
        let (active, paused) = (SubscriptionState::Active, SubscriptionState::Paused);
        let cases = [
            (active, None, None, 0, Admission::Go),
            (active, None, Some(&full), 1, Admission::Go),
            (active, Some(now), Some(&full), 1, Admission::Go),
            (
                active,
                None,
                Some(&empty),
                1,
                Admission::Wait(Duration::from_secs(1)),
            ),
            (active, None, Some(&empty), 2, Admission::AwaitOwnSlot),
            (
                active,
                later,
                Some(&full),
                0,
                Admission::Wait(Duration::from_secs(9)),
            ),
            (paused, later, Some(&empty), 2, Admission::Held),
        ];
        for (state, hold_until, bucket, in_flight, expected) in cases {
            let situation = Situation {
                state,
                hold_until,
                bucket,
                in_flight,
                max_in_flight: 2,
                now,
                instant,
            };
            assert_eq!(admit(&situation), expected, "{situation:?}");
        }
    }

    #[test]
    fn shares_shrink_as_slots_fill_but_the_last_slot_is_still_given() {
        let shares: Vec<_> = [0, 1, 3, 4, 8, 1024].map(fair_share).into();
        assert_eq!(shares, [0, 1, 1, 1, 2, 256]);
    }
}
