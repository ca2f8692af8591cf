//! How often a caller may ask: so many requests per second, minute or hour.
//!
//! The generic cell rate algorithm: the quota comes back evenly, and what was not used can be
//! used at once, up to the burst. What is used of a quota is told as the time that it takes to
//! come back whole.

use std::time::Duration;

/// Requests at most, in a period or at once.
const MOST: u32 = 1_000_000;
/// How a quota is written.
const WANTED: &str = "0 for no limit, or requests per second, minute or hour, such as 100/minute or \
     50/second burst 200, each 1 to 1000000";

/// A limit on callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    count: u32,
    period: Duration,
    burst: u32,
}

/// What a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is within the quota.
    pub admitted: bool,
    /// Requests that would be let in right after it.
    pub remaining: u32,
    /// Until the next is let in, where this one was not; until all of the quota is back otherwise.
    pub wait: Duration,
}

impl Quota {
    /// Reads `100/minute` or `50/second burst 200`; `0` is no limit.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let wanted = || format!("must be {WANTED}");
        let mut words = text.split_whitespace();
        let rate = words.next().ok_or_else(wanted)?;
        let burst = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some("burst"), Some(burst), None) => Some(number(burst).ok_or_else(wanted)?),
            _ => return Err(wanted()),
        };
        if rate == "0" && burst.is_none() {
            return Ok(None);
        }
        let (count, period) = rate.split_once('/').ok_or_else(wanted)?;
        let count = number(count).ok_or_else(wanted)?;
        let period = Duration::from_secs(match period {
            "second" => 1,
            "minute" => 60,
            "hour" => 3_600,
            _ => return Err(wanted()),
        });
        Ok(Some(Self {
            count,
            period,
            burst: burst.unwrap_or(count),
        }))
    }

    /// Requests at once after a quiet time.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// The time in which one request comes back.
    pub fn interval(&self) -> Duration {
        self.period / self.count
    }

    /// The time in which all of it comes back.
    pub fn window(&self) -> Duration {
        self.period
            .mul_f64(f64::from(self.burst) / f64::from(self.count))
    }

    /// What a request meets where so much is used before it.
    pub fn standing(&self, used: Duration) -> Standing {
        let (interval, after) = (self.interval(), used + self.interval());
        match (interval * self.burst).checked_sub(after) {
            Some(left) => Standing {
                admitted: true,
                remaining: whole(left, interval),
                wait: after,
            },
            None => Standing {
                admitted: false,
                remaining: 0,
                wait: after - interval * self.burst,
            },
        }
    }

    /// What a request meets that is let in with so many left.
    pub fn admitted_with(&self, remaining: u32) -> Standing {
        Standing {
            admitted: true,
            remaining,
            wait: self.interval() * self.burst.saturating_sub(remaining),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    let number = text.parse().ok()?;
    (1..=MOST).contains(&number).then_some(number)
}

fn whole(left: Duration, interval: Duration) -> u32 {
    let whole = left.as_nanos() / interval.as_nanos().max(1);
    u32::try_from(whole).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quota(text: &str) -> Quota {
        Quota::parse(text).unwrap().unwrap()
    }

    #[test]
    fn quotas_are_read_and_the_rest_is_refused() {
        let minute = quota("100/minute");
        assert_eq!(minute.burst(), 100);
        assert_eq!(minute.interval(), Duration::from_millis(600));
        assert_eq!(minute.window(), Duration::from_secs(60));
        let second = quota("50/second burst 200");
        assert_eq!(second.burst(), 200);
        assert_eq!(second.window(), Duration::from_secs(4));
        assert_eq!(quota("3600/hour").interval(), Duration::from_secs(1));
        assert_eq!(Quota::parse("0"), Ok(None));
        for bad in [
            "",
            "100",
            "100/day",
            "0/minute",
            "-1/second",
            "1000001/second",
            "1/second burst 0",
            "1/second burst",
            "1/second 5",
            "1/second burst 5 6",
            "0 burst 5",
            "a/minute",
        ] {
            let problem = Quota::parse(bad).unwrap_err();
            assert!(problem.contains("100/minute"), "{bad}: {problem}");
        }
    }

    #[test]
    fn a_burst_is_let_in_and_the_next_one_waits() {
        let quota = quota("3/minute");
        let mut used = Duration::ZERO;
        for remaining in [2, 1, 0] {
            let standing = quota.standing(used);
            used += quota.interval();
            let expected = Standing {
                admitted: true,
                remaining,
                wait: used,
            };
            assert_eq!(standing, expected);
            assert_eq!(quota.admitted_with(remaining), expected);
        }
        let late = quota.standing(used - Duration::from_secs(5));
        assert_eq!((late.admitted, late.wait), (false, Duration::from_secs(15)));
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_let_in(
            count in 1..2_000_u32, burst in 1..2_000_u32, used in 0..10_000_000_u64,
        ) {
            let quota = quota(&format!("{count}/minute burst {burst}"));
            let used = Duration::from_micros(used);
            let standing = quota.standing(used);
            if !standing.admitted {
                prop_assert!(quota.standing(used.saturating_sub(standing.wait)).admitted);
            }
            prop_assert!(standing.remaining < burst);
        }

        #[test]
        fn reading_never_panics(text in any::<String>()) {
            let _ = Quota::parse(&text);
        }
    }
}
