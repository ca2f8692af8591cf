//! The only reader of time and chance. Everything else receives them as values.
//!
//! `clippy.toml` bans the wall clock and random sources elsewhere.

#![allow(clippy::disallowed_methods)]

use std::sync::{LazyLock, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::{ContextV7, Uuid};

use crate::domain::Timestamp;

/// The wall clock.
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
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
/// time to 250 ns, so that ids made of them (a delivery's of its event's) lie in order too.
pub fn uuid() -> Uuid {
    static CONTEXT: LazyLock<Mutex<ContextV7>> =
        LazyLock::new(|| Mutex::new(ContextV7::new().with_additional_precision()));
    Uuid::new_v7(uuid::Timestamp::now(&*CONTEXT))
}

/// Random bytes from the operating system, for secrets and keys.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}
