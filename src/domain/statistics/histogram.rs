//! How long things took, in buckets that grow with what they hold.
//!
//! Each doubling is cut into eight parts, so a bucket is at most an eighth of its beginning wide, and
//! its middle is off by a sixteenth at most, from microseconds to weeks. Only buckets with something
//! in them are kept.

use std::collections::BTreeMap;
use std::time::Duration;

const PARTS_BITS: u32 = 3;
const PARTS: u64 = 1 << PARTS_BITS;

/// How many took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many, by the number of their bucket.
    pub counts: BTreeMap<u16, u64>,
    /// The sum of all, in microseconds.
    pub sum: u64,
}

impl Histogram {
    /// One took this long.
    pub fn note(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        *self.counts.entry(bucket_of(micros)).or_default() += 1;
        self.sum = self.sum.saturating_add(micros);
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            *self.counts.entry(*bucket).or_default() += count;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How long they took on average.
    pub fn mean(&self) -> Option<Duration> {
        let count = self.count();
        (count > 0).then(|| Duration::from_micros(self.sum / count))
    }

    /// How long the quickest so many hundredths took at most, to a sixteenth.
    pub fn percentile(&self, hundredths: u64) -> Option<Duration> {
        let wanted = (self.count() * hundredths).div_ceil(100).max(1);
        let mut passed = 0;
        self.counts.iter().find_map(|(bucket, count)| {
            passed += count;
            (passed >= wanted).then(|| Duration::from_micros(middle_of(*bucket)))
        })
    }
}

fn bucket_of(micros: u64) -> u16 {
    let doublings = (micros | 1).ilog2();
    let bucket = match doublings.checked_sub(PARTS_BITS) {
        None => micros,
        Some(shift) => u64::from(shift) * PARTS + (micros >> shift),
    };
    bucket as u16
}

fn middle_of(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let Some(shift) = (bucket / PARTS).checked_sub(1) else {
        return bucket;
    };
    let begins = (PARTS + bucket % PARTS).checked_shl(shift as u32);
    begins.map_or(u64::MAX, |begins| begins + ((1u64 << shift) >> 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_middle_is_off_by_a_sixteenth_at_most(micros in 0u64..1 << 50) {
            let middle = middle_of(bucket_of(micros));
            prop_assert!(middle.abs_diff(micros) <= micros / 16 + 1, "{micros}: {middle}");
            prop_assert!(bucket_of(micros) <= bucket_of(micros + 1));
        }

        #[test]
        fn percentiles_are_those_of_the_sorted_list(mut all in prop::collection::vec(0u64..1 << 40, 1..200)) {
            let mut histogram = Histogram::default();
            for micros in &all {
                histogram.note(Duration::from_micros(*micros));
            }
            all.sort_unstable();
            prop_assert_eq!(histogram.count(), all.len() as u64);
            for hundredths in [1, 50, 95, 99, 100] {
                let place = (all.len() * hundredths).div_ceil(100).max(1) - 1;
                let exact = all[place];
                let told = histogram.percentile(hundredths as u64).unwrap().as_micros() as u64;
                prop_assert!(told.abs_diff(exact) <= exact / 16 + 1, "p{hundredths} {exact}: {told}");
            }
        }
    }

    #[test]
    fn of_nothing_nothing_is_told_and_the_longest_has_its_place() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.percentile(50), histogram.mean()), (None, None));
        histogram.note(Duration::MAX);
        assert!(histogram.percentile(50) > Some(Duration::from_secs(1 << 40)));
    }
}
