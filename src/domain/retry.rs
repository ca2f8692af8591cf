//! When a failed delivery is tried again.
//!
//! A policy is either exponential or an explicit list of delays. Age counts the attempts' own
//! time and the delays planned between them, and nothing else: time a delivery was held by a
//! pause, a breaker, a deactivation, a `Retry-After` or a rate limit does not age it, because
//! none of that was planned by the schedule.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, SchemaType, Type};

/// How often and how long one delivery is tried. Fields are checked by [`RetryPolicy::new`]
/// and cannot be wrong afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    schedule: Schedule,
    jitter: f64,
    max_age: Option<Duration>,
}

/// The delays between attempts.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// `base × factor^(n-1)` after the n-th failed attempt, at most `cap`.
    Exponential {
        /// Delay after the first failure.
        base: Duration,
        /// Growth, 1 to 10.
        factor: f64,
        /// Longest delay.
        cap: Duration,
        /// Attempts in all, the first included.
        attempts: u32,
    },
    /// One delay before each further attempt; a list of n delays makes n + 1 attempts.
    Delays(Vec<Duration>),
}

/// The policy as callers write it (`retryPolicy`), every field optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = RetryPolicy)]
pub struct RetryPolicySpec {
    /// Attempts in all, the first included: 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub attempts: Option<u32>,
    /// Delay after the first failure: 100 ms to 24 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 86_400_000)]
    pub base_ms: Option<u64>,
    /// Growth from one delay to the next: 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    pub factor: Option<f64>,
    /// Longest delay: `baseMs` to 7 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 604_800_000)]
    pub cap_ms: Option<u64>,
    /// Explicit delays instead of the exponential fields: 0 to 99 of 0 to 7 days each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = delays)]
    pub delays_ms: Option<Vec<u64>>,
    /// Share by which a delay may be longer or shorter: 0 to 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 0.5)]
    pub jitter: Option<f64>,
    /// Age at which a delivery expires, counted from its first attempt: 1 s to 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1_000, maximum = 2_592_000_000u64)]
    pub max_age_ms: Option<u64>,
}

fn delays() -> Array {
    let delay = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(LONGEST_DELAY_MS));
    let text = "Explicit delays instead of the exponential fields: 0 to 99 of 0 to 7 days each.";
    let types = SchemaType::from_iter([Type::Array, Type::Null]);
    ArrayBuilder::new()
        .schema_type(types)
        .items(delay)
        .max_items(Some(MAX_ATTEMPTS as usize - 1))
        .description(Some(text))
        .build()
}

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidRetryPolicy {
    /// The field, as callers write it.
    pub field: &'static str,
    /// What it has to be.
    pub problem: String,
}

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const LONGEST_DELAY_MS: u64 = 7 * DAY_MS;
/// Attempts of one round at most.
pub const MAX_ATTEMPTS: u32 = 100;

impl RetryPolicySpec {
    /// This spec with every field that it leaves open taken from `fallback`. An explicit list
    /// of delays and the exponential fields exclude each other: naming one kind drops the
    /// other kind's fallback.
    pub fn or(self, fallback: &Self) -> Self {
        let exponential = self.attempts.is_some()
            || self.base_ms.is_some()
            || self.factor.is_some()
            || self.cap_ms.is_some();
        let explicit = self.delays_ms.is_some();
        let keep = |wanted: bool| {
            if wanted {
                fallback.clone()
            } else {
                Self::default()
            }
        };
        let old_exponential = keep(!explicit);
        Self {
            attempts: self.attempts.or(old_exponential.attempts),
            base_ms: self.base_ms.or(old_exponential.base_ms),
            factor: self.factor.or(old_exponential.factor),
            cap_ms: self.cap_ms.or(old_exponential.cap_ms),
            delays_ms: self.delays_ms.or(keep(!exponential).delays_ms),
            jitter: self.jitter.or(fallback.jitter),
            max_age_ms: self.max_age_ms.or(fallback.max_age_ms),
        }
    }

    /// Checks the spec and makes a policy of it, open fields taken from `default`.
    pub fn validate(&self, default: &RetryPolicy) -> Result<RetryPolicy, InvalidRetryPolicy> {
        if self.delays_ms.is_some() {
            let exponential = [
                ("attempts", self.attempts.is_some()),
                ("baseMs", self.base_ms.is_some()),
                ("factor", self.factor.is_some()),
                ("capMs", self.cap_ms.is_some()),
            ];
            if let Some((field, _)) = exponential.into_iter().find(|(_, set)| *set) {
                return Err(wrong(
                    field,
                    "cannot stand beside delaysMs; give one or the other",
                ));
            }
        }
        let filled = self.clone().or(&default.to_spec());
        RetryPolicy::from_filled(&filled)
    }
}

fn wrong(field: &'static str, problem: impl Into<String>) -> InvalidRetryPolicy {
    InvalidRetryPolicy {
        field,
        problem: problem.into(),
    }
}

fn within(field: &'static str, value: u64, low: u64, high: u64) -> Result<u64, InvalidRetryPolicy> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(wrong(
            field,
            format!("must be {low} to {high} (milliseconds), not {value}"),
        ))
    }
}

impl RetryPolicy {
    /// A policy from checked parts.
    pub fn new(
        schedule: Schedule,
        jitter: f64,
        max_age: Option<Duration>,
    ) -> Result<Self, InvalidRetryPolicy> {
        Self {
            schedule,
            jitter,
            max_age,
        }
        .checked()
    }

    fn from_filled(spec: &RetryPolicySpec) -> Result<Self, InvalidRetryPolicy> {
        let schedule = match &spec.delays_ms {
            Some(delays) => {
                Schedule::Delays(delays.iter().copied().map(Duration::from_millis).collect())
            }
            None => Schedule::Exponential {
                base: Duration::from_millis(spec.base_ms.unwrap_or(5_000)),
                factor: spec.factor.unwrap_or(2.0),
                cap: Duration::from_millis(spec.cap_ms.unwrap_or(HOUR_MS)),
                attempts: spec.attempts.unwrap_or(1),
            },
        };
        Self::new(
            schedule,
            spec.jitter.unwrap_or(0.0),
            spec.max_age_ms.map(Duration::from_millis),
        )
    }

    fn checked(self) -> Result<Self, InvalidRetryPolicy> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        match &self.schedule {
            Schedule::Exponential {
                base,
                factor,
                cap,
                attempts,
            } => {
                within("baseMs", millis(*base), 100, DAY_MS)?;
                within("capMs", millis(*cap), millis(*base), LONGEST_DELAY_MS)?;
                if !(1.0..=10.0).contains(factor) {
                    return Err(wrong("factor", format!("must be 1 to 10, not {factor}")));
                }
                if !(1..=MAX_ATTEMPTS).contains(attempts) {
                    return Err(wrong(
                        "attempts",
                        format!("must be 1 to {MAX_ATTEMPTS}, not {attempts}"),
                    ));
                }
            }
            Schedule::Delays(delays) => {
                if delays.len() >= MAX_ATTEMPTS as usize {
                    return Err(wrong(
                        "delaysMs",
                        format!("at most {} delays", MAX_ATTEMPTS - 1),
                    ));
                }
                for delay in delays {
                    within("delaysMs", millis(*delay), 0, LONGEST_DELAY_MS)?;
                }
            }
        }
        if !(0.0..=0.5).contains(&self.jitter) {
            return Err(wrong(
                "jitter",
                format!("must be 0 to 0.5, not {}", self.jitter),
            ));
        }
        if let Some(age) = self.max_age {
            within("maxAgeMs", millis(age), 1_000, 30 * DAY_MS)?;
        }
        Ok(self)
    }

    /// Every field of the policy, as callers write it.
    pub fn to_spec(&self) -> RetryPolicySpec {
        let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut spec = RetryPolicySpec {
            jitter: Some(self.jitter),
            max_age_ms: self.max_age.as_ref().map(millis),
            ..RetryPolicySpec::default()
        };
        match &self.schedule {
            Schedule::Exponential {
                base,
                factor,
                cap,
                attempts,
            } => {
                spec.attempts = Some(*attempts);
                spec.base_ms = Some(millis(base));
                spec.factor = Some(*factor);
                spec.cap_ms = Some(millis(cap));
            }
            Schedule::Delays(delays) => {
                spec.delays_ms = Some(delays.iter().map(millis).collect());
            }
        }
        spec
    }

    /// Attempts of one round, the first included.
    pub fn attempts(&self) -> u32 {
        match &self.schedule {
            Schedule::Exponential { attempts, .. } => *attempts,
            Schedule::Delays(delays) => delays.len() as u32 + 1,
        }
    }

    /// The age at which a delivery expires, where there is one.
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// The planned delay after the `failed`-th attempt of a round (from 1), or `None` where
    /// the attempts are used up. `chance` is 0.0 to 1.0: 0.5 is the delay without jitter.
    pub fn delay_after(&self, failed: u32, chance: f64) -> Option<Duration> {
        if failed >= self.attempts() {
            return None;
        }
        let plain = match &self.schedule {
            Schedule::Exponential {
                base, factor, cap, ..
            } => {
                let grown = base.as_secs_f64() * factor.powf(f64::from(failed.saturating_sub(1)));
                grown.min(cap.as_secs_f64())
            }
            Schedule::Delays(delays) => {
                delays.get(failed.saturating_sub(1) as usize)?.as_secs_f64()
            }
        };
        let spread = self.jitter.mul_add(2.0 * chance.clamp(0.0, 1.0) - 1.0, 1.0);
        Some(Duration::from_secs_f64(plain * spread))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exponential(attempts: u32, jitter: f64) -> RetryPolicy {
        let schedule = Schedule::Exponential {
            base: Duration::from_secs(5),
            factor: 2.0,
            cap: Duration::from_secs(60),
            attempts,
        };
        RetryPolicy::new(schedule, jitter, None).unwrap()
    }

    #[test]
    fn grows_by_the_factor_up_to_the_cap_and_ends() {
        let policy = exponential(7, 0.0);
        let delays: Vec<_> = (1..=7)
            .map(|n| policy.delay_after(n, 0.3).map(|d| d.as_secs()))
            .collect();
        assert_eq!(
            delays,
            [
                Some(5),
                Some(10),
                Some(20),
                Some(40),
                Some(60),
                Some(60),
                None
            ],
        );
    }

    #[test]
    fn a_list_of_n_delays_makes_n_plus_one_attempts() {
        let spec: RetryPolicySpec = serde_json::from_str(r#"{"delaysMs":[100,2000]}"#).unwrap();
        let policy = spec.validate(&exponential(9, 0.0)).unwrap();
        assert_eq!(policy.attempts(), 3);
        assert_eq!(policy.delay_after(1, 0.5), Some(Duration::from_millis(100)));
        assert_eq!(policy.delay_after(2, 0.5), Some(Duration::from_secs(2)));
        assert_eq!(policy.delay_after(3, 0.5), None);
    }

    #[test]
    fn faults_name_the_field() {
        let default = exponential(3, 0.1);
        let cases = [
            (r#"{"attempts":0}"#, "attempts"),
            (r#"{"attempts":101}"#, "attempts"),
            (r#"{"baseMs":99}"#, "baseMs"),
            (r#"{"baseMs":5000,"capMs":4000}"#, "capMs"),
            (r#"{"factor":0.5}"#, "factor"),
            (r#"{"jitter":0.6}"#, "jitter"),
            (r#"{"maxAgeMs":5}"#, "maxAgeMs"),
            (r#"{"delaysMs":[1],"factor":2}"#, "factor"),
            (r#"{"delaysMs":[604800001]}"#, "delaysMs"),
        ];
        for (text, field) in cases {
            let spec: RetryPolicySpec = serde_json::from_str(text).unwrap();
            assert_eq!(spec.validate(&default).unwrap_err().field, field, "{text}");
        }
    }

    #[test]
    fn a_spec_survives_the_round_trip() {
        let policy = exponential(4, 0.25);
        assert_eq!(
            RetryPolicySpec::default().validate(&policy),
            Ok(policy.clone())
        );
        assert_eq!(policy.to_spec().validate(&exponential(9, 0.0)), Ok(policy));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_share(
            failed in 1u32..40, jitter in 0.0f64..=0.5, chance in 0.0f64..=1.0,
        ) {
            let plain = exponential(50, 0.0).delay_after(failed, chance).unwrap().as_secs_f64();
            let jittered = exponential(50, jitter).delay_after(failed, chance).unwrap().as_secs_f64();
            prop_assert!(jittered >= plain * (1.0 - jitter) - 1e-6);
            prop_assert!(jittered <= plain * (1.0 + jitter) + 1e-6);
        }
    }
}
