//! Reading the rules of deactivation.

use super::{Fields, Rules};
use crate::domain::deactivation::DeactivationSpec;

/// Reads them; open fields follow the default.
pub(super) fn read(
    fields: &mut Fields,
    name: &'static str,
    rules: Rules<'_>,
) -> Option<DeactivationSpec> {
    let mut given = fields.object(name)?;
    let millis = |given: &mut Fields, name| given.nullable(name, Fields::count::<u64>).flatten();
    let spec = DeactivationSpec {
        exhausted_deliveries: given
            .nullable("exhaustedDeliveries", Fields::count::<u32>)
            .flatten(),
        failing_for_ms: millis(&mut given, "failingForMs"),
        trial_interval_ms: millis(&mut given, "trialIntervalMs"),
    };
    if let Err(problem) = spec.validate(rules.deactivation) {
        given.fault(problem.field, problem.problem);
    }
    fields.adopt(given).then_some(spec)
}
