//! A point in time, in whole microseconds since 1970-01-01T00:00:00Z.
//!
//! Microseconds are what both stores keep, so a timestamp read back equals the one written.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Microseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The last microsecond that RFC 3339 can write (9999-12-31T23:59:59.999999Z).
const LAST: i64 = 253_402_300_799_999_999;
/// The first microsecond that RFC 3339 can write (0000-01-01T00:00:00Z).
const FIRST: i64 = -62_167_219_200_000_000;

impl Timestamp {
    /// Further away than anything Posthaste schedules.
    pub const MAX: Self = Self(LAST);
    /// Before anything that Posthaste stores.
    pub const MIN: Self = Self(FIRST);

    /// From microseconds since the epoch, held within the years 0 to 9999.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(FIRST, LAST))
    }

    /// From the library's type, cut to whole microseconds.
    pub fn from_datetime(value: OffsetDateTime) -> Self {
        Self::from_micros((value.unix_timestamp_nanos() / 1_000) as i64)
    }

    /// Reads RFC 3339, for example `2025-10-26T10:00:00.000Z` or `2025-10-26T12:00:00+02:00`.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .map(Self::from_datetime)
    }

    /// Microseconds since the epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The library's type, for stores that speak it.
    pub fn to_datetime(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Later by `duration`, never past [`Timestamp::MAX`].
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(LAST))
    }

    /// Earlier by `duration`.
    pub fn minus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros).max(FIRST))
    }

    /// How long from `earlier` to here; zero where `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds: `2025-10-26T10:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let text = self.to_datetime().format(&format).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Milliseconds.
    const A_DAY: i64 = 86_400_000;

    proptest! {
        #[test]
        fn a_time_is_read_as_it_was_written(
            millis in (FIRST / 1_000 + A_DAY)..=(LAST / 1_000 - A_DAY), offset in -1_439i64..=1_439,
            text in any::<String>(), almost in "[0-9T:.Zz+ -]{0,40}",
        ) {
            let at = Timestamp::from_micros(millis * 1_000);
            prop_assert_eq!(Timestamp::parse_rfc3339(&at.to_string()), Some(at));
            // The same moment on another clock.
            let there = Timestamp::from_micros(at.as_micros() + offset * 60_000_000);
            let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs());
            let local = there.to_string().replace('Z', "");
            let local = format!("{local}{sign}{:02}:{:02}", minutes / 60, minutes % 60);
            let moved = there.as_micros() - offset * 60_000_000;
            let read = Timestamp::parse_rfc3339(&local);
            prop_assert_eq!(read, Some(Timestamp::from_micros(moved)));
            let _ = (Timestamp::parse_rfc3339(&text), Timestamp::parse_rfc3339(&almost));
        }
    }

    #[test]
    fn writes_and_reads_rfc3339() {
        let at = Timestamp::from_micros(1_761_472_800_123_456);
        assert_eq!(at.to_string(), "2025-10-26T10:00:00.123Z");
        let read = Timestamp::parse_rfc3339("2025-10-26T12:00:00.123456+02:00");
        assert_eq!(read, Some(at));
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
        let start = Timestamp::from_micros(5);
        assert_eq!(start.since(Timestamp::from_micros(9)), Duration::ZERO);
        assert_eq!(
            start.plus(Duration::from_micros(4)).since(start),
            Duration::from_micros(4)
        );
    }
}
