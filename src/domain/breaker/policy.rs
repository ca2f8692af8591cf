//! When a breaker opens, for how long, and what closes it again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// From one cool-down to the next, while nothing recovers.
const GROWTH: u32 = 2;

/// The rules of one breaker. Fields are checked by [`BreakerSpec::validate`] and cannot be wrong
/// afterwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerPolicy {
    pub(super) enabled: bool,
    pub(super) consecutive_failures: u32,
    pub(super) failure_ratio: f64,
    pub(super) minimum_attempts: u32,
    pub(super) window: Duration,
    pub(super) cool_down: Duration,
    pub(super) cool_down_max: Duration,
    pub(super) probes: u32,
}

/// The rules as callers write them (`breaker`), every field optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Breaker)]
pub struct BreakerSpec {
    /// Whether there is a breaker at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Opens after this many failures in a row: 1 to 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100_000)]
    pub consecutive_failures: Option<u32>,
    /// Opens where this share of the attempts in the window failed: 0.01 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.01, maximum = 1)]
    pub failure_ratio: Option<f64>,
    /// Attempts in the window before the share counts: 1 to 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100_000)]
    pub minimum_attempts: Option<u32>,
    /// The window: 1 s to 1 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1_000, maximum = 3_600_000)]
    pub window_ms: Option<u64>,
    /// How long it stays open at first: 100 ms to 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 86_400_000)]
    pub cool_down_ms: Option<u64>,
    /// How long it stays open at most: `coolDownMs` to 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 86_400_000)]
    pub cool_down_max_ms: Option<u64>,
    /// Probes that have to succeed before it closes: 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub probes: Option<u32>,
}

/// What is wrong with the rules, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidBreaker {
    /// The field, as callers write it.
    pub field: &'static str,
    /// What it has to be.
    pub problem: String,
}

fn wrong(field: &'static str, problem: impl Into<String>) -> InvalidBreaker {
    InvalidBreaker {
        field,
        problem: problem.into(),
    }
}

fn within(field: &'static str, value: u64, low: u64, high: u64) -> Result<(), InvalidBreaker> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(wrong(
        field,
        format!("must be {low} to {high}, not {value}"),
    ))
}

impl BreakerSpec {
    /// Checks the spec and makes a policy of it, open fields taken from `default`.
    pub fn validate(&self, default: &BreakerPolicy) -> Result<BreakerPolicy, InvalidBreaker> {
        let millis =
            |own: Option<u64>, default: Duration| own.map_or(default, Duration::from_millis);
        let policy = BreakerPolicy {
            enabled: self.enabled.unwrap_or(default.enabled),
            consecutive_failures: self
                .consecutive_failures
                .unwrap_or(default.consecutive_failures),
            failure_ratio: self.failure_ratio.unwrap_or(default.failure_ratio),
            minimum_attempts: self.minimum_attempts.unwrap_or(default.minimum_attempts),
            window: millis(self.window_ms, default.window),
            cool_down: millis(self.cool_down_ms, default.cool_down),
            cool_down_max: millis(self.cool_down_max_ms, default.cool_down_max),
            probes: self.probes.unwrap_or(default.probes),
        };
        policy.checked()
    }
}

impl BreakerPolicy {
    /// 10 failures in a row, or half of at least 20 in 60 s; 30 s growing to 30 min; 3 probes.
    pub const STANDARD: Self = Self {
        enabled: true,
        consecutive_failures: 10,
        failure_ratio: 0.5,
        minimum_attempts: 20,
        window: Duration::from_secs(60),
        cool_down: Duration::from_secs(30),
        cool_down_max: Duration::from_secs(30 * 60),
        probes: 3,
    };

    fn checked(self) -> Result<Self, InvalidBreaker> {
        let in_a_row = u64::from(self.consecutive_failures);
        within("consecutiveFailures", in_a_row, 1, 100_000)?;
        if !(0.01..=1.0).contains(&self.failure_ratio) {
            let problem = format!("must be 0.01 to 1, not {}", self.failure_ratio);
            return Err(wrong("failureRatio", problem));
        }
        let minimum = u64::from(self.minimum_attempts);
        within("minimumAttempts", minimum, 1, 100_000)?;
        within("windowMs", millis(self.window), 1_000, HOUR_MS)?;
        within("coolDownMs", millis(self.cool_down), 100, DAY_MS)?;
        within("coolDownMaxMs", millis(self.cool_down_max), 100, DAY_MS)?;
        if self.cool_down_max < self.cool_down {
            let least = millis(self.cool_down);
            let problem = format!("must be at least coolDownMs ({least})");
            return Err(wrong("coolDownMaxMs", problem));
        }
        within("probes", u64::from(self.probes), 1, 100)?;
        Ok(self)
    }

    /// Whether there is a breaker at all.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Every field of the policy, as callers write it.
    pub fn to_spec(&self) -> BreakerSpec {
        BreakerSpec {
            enabled: Some(self.enabled),
            consecutive_failures: Some(self.consecutive_failures),
            failure_ratio: Some(self.failure_ratio),
            minimum_attempts: Some(self.minimum_attempts),
            window_ms: Some(millis(self.window)),
            cool_down_ms: Some(millis(self.cool_down)),
            cool_down_max_ms: Some(millis(self.cool_down_max)),
            probes: Some(self.probes),
        }
    }

    /// The cool-down when it opens for the `opened`-th time in a row (from 1), without spread.
    pub fn cool_down(&self, opened: u32) -> Duration {
        let grown = GROWTH.saturating_pow(opened.saturating_sub(1));
        self.cool_down.saturating_mul(grown).min(self.cool_down_max)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_field() {
        let cases = [
            (r#"{"consecutiveFailures":0}"#, "consecutiveFailures"),
            (r#"{"failureRatio":0}"#, "failureRatio"),
            (r#"{"failureRatio":1.1}"#, "failureRatio"),
            (r#"{"minimumAttempts":100001}"#, "minimumAttempts"),
            (r#"{"windowMs":999}"#, "windowMs"),
            (r#"{"coolDownMs":99}"#, "coolDownMs"),
            (r#"{"coolDownMs":1800001}"#, "coolDownMaxMs"),
            (r#"{"coolDownMaxMs":29999}"#, "coolDownMaxMs"),
            (r#"{"probes":101}"#, "probes"),
        ];
        for (text, field) in cases {
            let spec: BreakerSpec = serde_json::from_str(text).unwrap();
            let fault = spec.validate(&BreakerPolicy::STANDARD).unwrap_err();
            assert_eq!(fault.field, field, "{text}");
        }
    }

    #[test]
    fn a_spec_survives_the_round_trip_and_fills_what_it_leaves_open() {
        let standard = BreakerPolicy::STANDARD;
        let plain = BreakerSpec::default().validate(&standard);
        assert_eq!(plain, Ok(standard));
        let off: BreakerSpec = serde_json::from_str(r#"{"enabled":false}"#).unwrap();
        let off = off.validate(&standard).unwrap();
        assert!(!off.is_enabled());
        assert_eq!(off.to_spec().validate(&standard), Ok(off));
    }

    #[test]
    fn the_cool_down_doubles_up_to_its_bound() {
        let seconds: Vec<_> = [1, 2, 3, 6, 7, 8, u32::MAX]
            .map(|opened| BreakerPolicy::STANDARD.cool_down(opened).as_secs())
            .into();
        assert_eq!(seconds, [30, 60, 120, 960, 1800, 1800, 1800]);
    }
}
