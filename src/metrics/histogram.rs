//! A histogram of atomic numbers: that of the library takes a lock for each value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// The sum is kept in millionths: seconds to the microsecond.
const MILLIONTHS: f64 = 1_000_000.0;

/// Values counted by the bound that they are within. A scrape that comes between the steps of one
/// value sees it half; the next one sees it whole.
#[derive(Clone, Debug)]
pub(super) struct Histogram(Arc<Values>);

#[derive(Debug)]
struct Values {
    bounds: &'static [f64],
    /// One for each bound, and one for what is past all of them.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    /// Of ascending bounds.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self(Arc::new(Values {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// Counts a value.
    pub(super) fn observe(&self, value: f64) {
        let values = &*self.0;
        let place = values.bounds.partition_point(|bound| *bound < value);
        values.counts[place].fetch_add(1, Ordering::Relaxed);
        let millionths = (value * MILLIONTHS) as u64;
        values.sum.fetch_add(millionths, Ordering::Relaxed);
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let values = &*self.0;
        let bounds = values.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = values.counts.iter().map(|one| one.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = values.sum.load(Ordering::Relaxed) as f64 / MILLIONTHS;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_the_first_bound_that_it_is_not_past() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.0, 1.0, 1.5, 2.0, 2.000_001, 99.0] {
            histogram.observe(value);
        }
        let counts = histogram.0.counts.iter();
        let counts: Vec<u64> = counts.map(|one| one.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [2, 2, 2]);
        assert_eq!(histogram.0.sum.load(Ordering::Relaxed), 105_500_001);
    }
}
