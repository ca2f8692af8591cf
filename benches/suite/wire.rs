//! What sender and receiver agree on: an event with its number and the time it was due, on a
//! clock that all processes of this machine share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Bytes of padding in a payload, as in the figures of the systems compared with.
const PADDING: usize = 200;
/// The longest latency told apart, in microseconds.
const LONGEST: u64 = 600_000_000;

/// Nanoseconds since 1970: the clock that processes have in common.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = now.expect("a time after 1970").as_nanos();
    u64::try_from(nanoseconds).expect("a time before 2554")
}

/// Seconds between two readings of [`now`].
pub fn seconds(from: u64, until: u64) -> f64 {
    Duration::from_nanos(until.saturating_sub(from)).as_secs_f64()
}

/// An event as it is posted.
pub fn event(kind: &str, number: u64, due: u64) -> String {
    format!(
        r#"{{"eventType":"{kind}","payload":{{"number":{number},"due":{due},"padding":"{:x<PADDING$}"}}}}"#,
        ""
    )
}

/// The number and the due time in whatever was made of an event on its way.
pub fn stamp(body: &[u8]) -> Option<(u64, u64)> {
    const NUMBER: &[u8] = b"\"number\":";
    const DUE: &[u8] = b",\"due\":";
    let at = body.windows(NUMBER.len()).position(|part| part == NUMBER)?;
    let (number, rest) = digits(&body[at + NUMBER.len()..])?;
    let (due, _) = digits(rest.strip_prefix(DUE)?)?;
    Some((number, due))
}

fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

/// Latencies, in microseconds.
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds in order"))
    }
}

impl Latencies {
    /// Counts what was due then and happened now.
    pub fn record(&mut self, due: u64, now: u64) {
        self.0
            .saturating_record((now.saturating_sub(due) / 1_000).max(1));
    }

    /// Takes in others.
    pub fn add(&mut self, others: &Self) {
        self.0.add(&others.0).expect("the same bounds");
    }

    /// What they come to.
    pub fn spread(&self) -> Spread {
        Spread {
            p50: self.0.value_at_quantile(0.5),
            p90: self.0.value_at_quantile(0.9),
            p99: self.0.value_at_quantile(0.99),
            max: self.0.max(),
        }
    }
}

/// Percentiles of latencies, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Spread {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub max: u64,
}
