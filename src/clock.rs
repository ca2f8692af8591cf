//! The only reader of time and chance. Everything else receives them as values.
//!
//! `clippy.toml` bans the wall clock and random sources elsewhere.

#![allow(clippy::disallowed_methods)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::domain::Timestamp;

/// The wall clock.
pub fn now() -> Timestamp {
    Timestamp::from_micros(i64::try_from(since_epoch().as_micros()).unwrap_or(i64::MAX))
}

/// A point on the monotonic clock, for measuring durations.
pub fn instant() -> Instant {
    Instant::now()
}

/// A factor from 0.0 up to 1.0 for jitter.
pub fn chance() -> f64 {
    rand::random()
}

/// A new identifier: UUID version 7, increasing within this process. Its first 64 bits tell the
/// time to 250 ns and are never given twice by one process, so that ids made of them (a delivery's
/// of its event's) lie in order too. The rest is 62 random bits of this thread's generator, which
/// asks the system for a seed now and then and not for every id.
pub fn uuid() -> Uuid {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let tick = next_tick(&LAST, tick_of(since_epoch()));
    let head = ((tick >> TICK_BITS) << 16) | VERSION_7 | (tick & ((1 << TICK_BITS) - 1));
    Uuid::from_u64_pair(head, VARIANT | (rand::random::<u64>() >> 2))
}

/// Random bytes for secrets and keys, of a generator that the operating system seeds.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

/// Bits of a tick below its millisecond: all that a version 7 has room for before its variant.
const TICK_BITS: u32 = 12;
/// The version's place in the first 64 bits, and the variant's in the last.
const VERSION_7: u64 = 0x7000;
const VARIANT: u64 = 1 << 63;

fn since_epoch() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

/// Milliseconds, and 4,096ths of them.
fn tick_of(since_epoch: Duration) -> u64 {
    const NANOS_PER_MILLI: u64 = 1_000_000;
    let nanos = u64::from(since_epoch.subsec_nanos());
    let millis = since_epoch.as_secs() * 1_000 + nanos / NANOS_PER_MILLI;
    (millis << TICK_BITS) | (((nanos % NANOS_PER_MILLI) << TICK_BITS) / NANOS_PER_MILLI)
}

/// This tick, or the one after the last where the clock stood still or went back.
fn next_tick(last: &AtomicU64, now: u64) -> u64 {
    let mut seen = last.load(Ordering::Relaxed);
    loop {
        let next = now.max(seen + 1);
        match last.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return next,
            Err(other) => seen = other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::first_id;

    #[test]
    fn identifiers_of_many_threads_are_in_order_and_differ_in_their_first_half() {
        let make = || (0..10_000).map(|_| uuid()).collect::<Vec<_>>();
        let threads = [(); 4].map(|()| std::thread::spawn(make));
        let mut heads = Vec::new();
        for thread in threads {
            let made = thread.join().unwrap();
            assert!(made.is_sorted());
            heads.extend(made.iter().map(|id| id.as_u64_pair().0));
        }
        heads.sort_unstable();
        assert!(heads.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn an_identifier_tells_its_time() {
        let before = now();
        let id = uuid();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert!(first_id(before) <= id);
        let at = Duration::new(1_761_472_800, 123_999_999);
        assert_eq!(tick_of(at), (1_761_472_800_123 << 12) | 4_095);
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_identifier_twice() {
        let last = AtomicU64::new(0);
        let ticks = [100, 100, 50, 103].map(|now| next_tick(&last, now));
        assert_eq!(ticks, [100, 101, 102, 103]);
    }
}
