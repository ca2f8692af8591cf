//! Reading the rules of a breaker.

use super::{Fields, Rules};
use crate::domain::breaker::BreakerSpec;

/// Reads them; open fields follow the default.
pub(super) fn read(
    fields: &mut Fields,
    name: &'static str,
    rules: Rules<'_>,
) -> Option<BreakerSpec> {
    let mut given = fields.object(name)?;
    let count = |given: &mut Fields, name| given.nullable(name, Fields::count::<u32>).flatten();
    let millis = |given: &mut Fields, name| count(given, name).map(u64::from);
    let spec = BreakerSpec {
        enabled: given.nullable("enabled", Fields::flag).flatten(),
        consecutive_failures: count(&mut given, "consecutiveFailures"),
        failure_ratio: given.nullable("failureRatio", Fields::number).flatten(),
        minimum_attempts: count(&mut given, "minimumAttempts"),
        window_ms: millis(&mut given, "windowMs"),
        cool_down_ms: millis(&mut given, "coolDownMs"),
        cool_down_max_ms: millis(&mut given, "coolDownMaxMs"),
        probes: count(&mut given, "probes"),
    };
    if let Err(problem) = spec.validate(rules.breaker) {
        given.fault(problem.field, problem.problem);
    }
    fields.adopt(given).then_some(spec)
}
