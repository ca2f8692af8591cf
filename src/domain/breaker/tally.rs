//! Successes and failures of a sliding window, in a few buckets: bounded, however many they are.

use std::time::Duration;

use crate::domain::Timestamp;

/// Parts of the window. One more is kept, so that what happened within one window is counted
/// whole wherever the borders of the buckets fall; the oldest counted is at most one part older.
const PARTS: usize = 6;

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    attempts: u32,
    failures: u32,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    width_us: i64,
    /// The number of the newest bucket, which lies at that number modulo the length.
    newest: i64,
    buckets: [Bucket; PARTS + 1],
}

impl Tally {
    pub(super) fn new(window: Duration) -> Self {
        let window_us = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        Self {
            width_us: (window_us / PARTS as i64).max(1),
            newest: i64::MIN,
            buckets: Default::default(),
        }
    }

    /// Counts one attempt. A clock that was set back counts into the newest bucket.
    pub(super) fn add(&mut self, now: Timestamp, failed: bool) {
        let length = self.buckets.len() as i64;
        let number = now.as_micros().div_euclid(self.width_us);
        if number > self.newest {
            let first = self.newest.saturating_add(1).max(number - length + 1);
            for passed in first..=number {
                self.buckets[passed.rem_euclid(length) as usize] = Bucket::default();
            }
            self.newest = number;
        }
        let bucket = &mut self.buckets[self.newest.rem_euclid(length) as usize];
        bucket.attempts = bucket.attempts.saturating_add(1);
        bucket.failures = bucket.failures.saturating_add(u32::from(failed));
    }

    /// Attempts and failures, counted up to the newest.
    pub(super) fn sums(&self) -> (u32, u32) {
        self.buckets
            .iter()
            .fold((0, 0), |(attempts, failures), bucket| {
                (
                    attempts.saturating_add(bucket.attempts),
                    failures.saturating_add(bucket.failures),
                )
            })
    }
}
