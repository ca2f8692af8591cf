//! Whether a subscription may make an attempt now, and if not, what it waits for.

use std::time::{Duration, Instant};

use super::Timestamp;
use super::breaker::Gate;
use super::rate_limit::TokenBucket;
use super::subscription::SubscriptionState;

/// All that decides about the next attempt of a subscription.
#[derive(Debug)]
pub struct Situation<'a> {
    /// Its state.
    pub state: SubscriptionState,
    /// What its breaker allows.
    pub gate: Gate,
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
    if let Gate::Cut(until) = situation.gate {
        return Admission::Wait(until.since(situation.now));
    }
    if let Some(hold) = situation.hold_until
        && hold > situation.now
    {
        return Admission::Wait(hold.since(situation.now));
    }
    if situation.gate == Gate::Probing || situation.in_flight >= allowed_in_flight(situation) {
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

/// The subscription's own bound, or less while traffic ramps up.
fn allowed_in_flight(situation: &Situation<'_>) -> u32 {
    match situation.gate {
        Gate::Flow(Some(most)) => situation.max_in_flight.min(most),
        _ => situation.max_in_flight,
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
        let flow = Gate::Flow(None);
        let open = Gate::Cut(now.plus(Duration::from_secs(5)));
        let five = Admission::Wait(Duration::from_secs(5));
        let cases = [
            (active, flow, None, None, 0, Admission::Go),
            (active, flow, None, Some(&full), 1, Admission::Go),
            (active, flow, Some(now), Some(&full), 1, Admission::Go),
            (
                active,
                flow,
                None,
                Some(&empty),
                1,
                Admission::Wait(Duration::from_secs(1)),
            ),
            (active, flow, None, Some(&empty), 2, Admission::AwaitOwnSlot),
            (
                active,
                flow,
                later,
                Some(&full),
                0,
                Admission::Wait(Duration::from_secs(9)),
            ),
            (active, Gate::Probe, None, None, 1, Admission::Go),
            (active, Gate::Probe, None, None, 2, Admission::AwaitOwnSlot),
            (
                active,
                Gate::Probing,
                None,
                None,
                0,
                Admission::AwaitOwnSlot,
            ),
            (active, Gate::Flow(Some(1)), None, None, 0, Admission::Go),
            (
                active,
                Gate::Flow(Some(1)),
                None,
                None,
                1,
                Admission::AwaitOwnSlot,
            ),
            (active, open, later, Some(&empty), 2, five),
            (paused, open, later, Some(&empty), 2, Admission::Held),
        ];
        for (state, gate, hold_until, bucket, in_flight, expected) in cases {
            let situation = Situation {
                state,
                gate,
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
