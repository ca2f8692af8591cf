//! Reading the rules of deactivation.

use std::ops::RangeInclusive;

use super::{Fields, Rules};
use crate::domain::deactivation::DeactivationSpec;

/// Reads them; open fields follow the default.
pub(super) fn read(
    fields: &mut Fields,
    name: &'static str,
    rules: Rules<'_>,
) -> Option<DeactivationSpec> {
    const ANY: RangeInclusive<u64> = 0..=u32::MAX as u64 * 1_000;
    let mut given = fields.object(name)?;
    let millis = |given: &mut Fields, name| {
        given
            .nullable(name, |given, name| given.whole::<u64>(name, ANY))
            .flatten()
    };
    let spec = DeactivationSpec {
        exhausted_deliveries: given
            .nullable("exhaustedDeliveries", |given, name| {
                given.whole::<u32>(name, 0..=u32::MAX.into())
            })
            .flatten(),
        failing_for_ms: millis(&mut given, "failingForMs"),
        trial_interval_ms: millis(&mut given, "trialIntervalMs"),
    };
    if let Err(problem) = spec.validate(rules.deactivation) {
        given.fault(problem.field, problem.problem);
    }
    fields.adopt(given).then_some(spec)
}
