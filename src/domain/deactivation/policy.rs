//! The rules of deactivation and their bounds.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Deliveries in a row that a rule may ask for at most.
pub const MOST_EXHAUSTED: u32 = 1_000_000;
/// Bounds of the time without a success, where it is not 0.
pub const FAILING_FOR_MS: (u64, u64) = (1_000, 90 * DAY_MS);
/// Bounds of the time between two trials, where it is not 0.
pub const TRIAL_INTERVAL_MS: (u64, u64) = (100, 7 * DAY_MS);

/// The rules of one subscription. Checked by [`DeactivationSpec::validate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeactivationPolicy {
    exhausted_deliveries: u32,
    failing_for: Duration,
    trial_interval: Duration,
}

/// The rules as callers write them (`deactivation`), every field optional; 0 switches one off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Deactivation)]
pub struct DeactivationSpec {
    /// Deactivates after this many exhausted deliveries in a row: 0 to 1,000,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub exhausted_deliveries: Option<u32>,
    /// Deactivates after failing this long without one success: 0, or 1 s to 90 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 7_776_000_000u64)]
    pub failing_for_ms: Option<u64>,
    /// Time between two trials of a deactivated receiver: 0, or 100 ms to 7 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 604_800_000)]
    pub trial_interval_ms: Option<u64>,
}

/// What is wrong with the rules, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidDeactivation {
    /// The field, as callers write it.
    pub field: &'static str,
    /// What it has to be.
    pub problem: String,
}

impl DeactivationSpec {
    /// Checks the spec and makes a policy of it, open fields taken from `default`.
    pub fn validate(
        &self,
        default: &DeactivationPolicy,
    ) -> Result<DeactivationPolicy, InvalidDeactivation> {
        let exhausted = self
            .exhausted_deliveries
            .unwrap_or(default.exhausted_deliveries);
        if exhausted > MOST_EXHAUSTED {
            return Err(InvalidDeactivation {
                field: "exhaustedDeliveries",
                problem: format!("must be 0 to {MOST_EXHAUSTED}, not {exhausted}"),
            });
        }
        Ok(DeactivationPolicy {
            exhausted_deliveries: exhausted,
            failing_for: off_or_within(
                "failingForMs",
                self.failing_for_ms,
                FAILING_FOR_MS,
                default.failing_for,
            )?,
            trial_interval: off_or_within(
                "trialIntervalMs",
                self.trial_interval_ms,
                TRIAL_INTERVAL_MS,
                default.trial_interval,
            )?,
        })
    }
}

fn off_or_within(
    field: &'static str,
    value: Option<u64>,
    (low, high): (u64, u64),
    default: Duration,
) -> Result<Duration, InvalidDeactivation> {
    match value {
        None => Ok(default),
        Some(value) if value == 0 || (low..=high).contains(&value) => {
            Ok(Duration::from_millis(value))
        }
        Some(value) => Err(InvalidDeactivation {
            field,
            problem: format!("must be 0 (off) or {low} to {high}, not {value}"),
        }),
    }
}

impl DeactivationPolicy {
    /// 100 exhausted deliveries in a row, 5 days without a success, a trial each hour.
    pub const STANDARD: Self = Self {
        exhausted_deliveries: 100,
        failing_for: Duration::from_millis(5 * DAY_MS),
        trial_interval: Duration::from_millis(HOUR_MS),
    };

    /// Exhausted deliveries in a row that are too many; nothing where the rule is off.
    pub fn exhausted_deliveries(&self) -> Option<u32> {
        (self.exhausted_deliveries > 0).then_some(self.exhausted_deliveries)
    }

    /// Failing that is too long; nothing where the rule is off.
    pub fn failing_for(&self) -> Option<Duration> {
        (!self.failing_for.is_zero()).then_some(self.failing_for)
    }

    /// Time between two trials; nothing where there are none.
    pub fn trial_interval(&self) -> Option<Duration> {
        (!self.trial_interval.is_zero()).then_some(self.trial_interval)
    }

    /// Every field of the policy, as callers write it.
    pub fn to_spec(&self) -> DeactivationSpec {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        DeactivationSpec {
            exhausted_deliveries: Some(self.exhausted_deliveries),
            failing_for_ms: Some(millis(self.failing_for)),
            trial_interval_ms: Some(millis(self.trial_interval)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_field_and_zero_is_off() {
        let cases = [
            (r#"{"exhaustedDeliveries":1000001}"#, "exhaustedDeliveries"),
            (r#"{"failingForMs":999}"#, "failingForMs"),
            (r#"{"failingForMs":7776000001}"#, "failingForMs"),
            (r#"{"trialIntervalMs":99}"#, "trialIntervalMs"),
            (r#"{"trialIntervalMs":604800001}"#, "trialIntervalMs"),
        ];
        for (text, field) in cases {
            let spec: DeactivationSpec = serde_json::from_str(text).unwrap();
            let fault = spec.validate(&DeactivationPolicy::STANDARD).unwrap_err();
            assert_eq!(fault.field, field, "{text}");
        }
        let off = r#"{"exhaustedDeliveries":0,"failingForMs":0,"trialIntervalMs":0}"#;
        let off: DeactivationSpec = serde_json::from_str(off).unwrap();
        let off = off.validate(&DeactivationPolicy::STANDARD).unwrap();
        assert_eq!(off.exhausted_deliveries(), None);
        assert_eq!(off.failing_for(), None);
        assert_eq!(off.trial_interval(), None);
        assert_eq!(
            off.to_spec().validate(&DeactivationPolicy::STANDARD),
            Ok(off)
        );
    }

    #[test]
    fn what_is_left_open_follows_the_default() {
        let standard = DeactivationPolicy::STANDARD;
        assert_eq!(
            DeactivationSpec::default().validate(&standard),
            Ok(standard)
        );
        assert_eq!(standard.to_spec().validate(&standard), Ok(standard));
        let own: DeactivationSpec = serde_json::from_str(r#"{"failingForMs":60000}"#).unwrap();
        let own = own.validate(&standard).unwrap();
        assert_eq!(own.failing_for(), Some(Duration::from_secs(60)));
        assert_eq!(own.exhausted_deliveries(), Some(100));
    }
}
