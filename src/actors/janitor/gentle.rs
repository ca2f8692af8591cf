//! How the janitor works beside those who wait for their commits.
//!
//! A store has few hands (SQLite one), and whoever commits meanwhile waits for the batch that is
//! being removed. So a batch is as large as takes a few milliseconds here, whatever the disk, and
//! after each the janitor rests for some times as long.

use std::time::{Duration, Instant};

use crate::clock;

/// Rows of the first batch, and of the smallest and the largest.
const FIRST: u32 = 64;
const LEAST: u32 = 16;
const MOST: u32 = 1_000;
/// A batch that took less than this is followed by a larger one, ...
const SHORT: Duration = Duration::from_micros(1_000);
/// ... and one that took longer than this by a smaller one.
const LONG: Duration = Duration::from_micros(2_500);
/// For each part of the time at work, parts at rest.
const REST: u32 = 4;
/// The longest rest: one slow batch says nothing of the next.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// The size of batches that nobody notices, as far as it is known.
#[derive(Debug)]
pub(super) struct Gentle {
    rows: u32,
    began: Instant,
}

impl Gentle {
    pub(super) fn new() -> Self {
        Self {
            rows: FIRST,
            began: clock::instant(),
        }
    }

    /// Begins a batch: rows that it may have.
    pub(super) fn begin(&mut self) -> u32 {
        self.began = clock::instant();
        self.rows
    }

    /// Ends a batch, and rests.
    pub(super) async fn rest(&mut self) {
        let took = clock::instant().saturating_duration_since(self.began);
        tokio::time::sleep(self.learn(took)).await;
    }

    /// How long to rest after a batch that took so long.
    fn learn(&mut self, took: Duration) -> Duration {
        if took < SHORT {
            self.rows = (self.rows + self.rows / 2).min(MOST);
        } else if took > LONG {
            self.rows = (self.rows / 2).max(LEAST);
        }
        (took * REST).min(LONGEST_REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_while_they_are_short_and_shrink_where_they_are_long() {
        let mut gentle = Gentle::new();
        let rests: Vec<Duration> = [100, 2_000, 40_000, 90_000_000]
            .map(|micros| gentle.learn(Duration::from_micros(micros)))
            .into();
        let millis = |micros: u64| Duration::from_micros(micros);
        assert_eq!(rests[..3], [millis(400), millis(8_000), millis(160_000)]);
        assert_eq!(rests[3], LONGEST_REST);
        assert_eq!(gentle.rows, (FIRST + FIRST / 2) / 4);
        for _ in 0..20 {
            gentle.learn(LONG * 2);
        }
        assert_eq!(gentle.rows, LEAST);
        for _ in 0..20 {
            gentle.learn(SHORT / 2);
        }
        assert_eq!(gentle.rows, MOST);
    }
}
