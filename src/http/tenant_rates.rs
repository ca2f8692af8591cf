//! How fast a tenant may post, over all its keys.
//!
//! Counted by this process, in memory: several that accept allow as much each. A tenant without
//! such a limit costs nothing here. A request's events are taken together, before any of them is
//! accepted: all or none.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::error::{ApiError, Fault, Problem, Result};
use super::rate_limit_headers::RateHeaders;
use crate::domain::tenant::{IngestRate, Tenant};

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, NoOpMiddleware>;

/// The rates of all tenants that have one.
#[derive(Default)]
pub struct TenantRates(Mutex<HashMap<Arc<str>, Counted>>);

struct Counted {
    /// What is counted by; another rate is counted anew.
    rate: IngestRate,
    limiter: Arc<Limiter>,
}

impl TenantRates {
    /// Takes so many events of a tenant's rate; 429 where they are too many just now.
    pub fn take(&self, tenant: &Tenant, events: usize) -> Result<()> {
        let Some(rate) = tenant.limits.ingest_rate else {
            return Ok(());
        };
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        let Some(wanted) = NonZeroU32::new(events) else {
            return Ok(());
        };
        let limiter = self.limiter(&tenant.id, rate);
        match limiter.check_n(wanted) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_yet)) => {
                let reset = not_yet.wait_time_from(limiter.clock().now());
                Err(too_fast(rate, reset))
            }
            // Waiting would never help.
            Err(_) => Err(ApiError::invalid_body(vec![Fault::new(
                "body",
                format!(
                    "has {events} events, and the tenant's limits let at most {} in at once: \
                     send smaller batches",
                    rate.burst()
                ),
            )])),
        }
    }

    fn limiter(&self, tenant: &Arc<str>, rate: IngestRate) -> Arc<Limiter> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = counted.get(tenant)
            && known.rate == rate
        {
            return Arc::clone(&known.limiter);
        }
        let limiter = Arc::new(RateLimiter::direct(quota(rate)));
        let entry = Counted {
            rate,
            limiter: Arc::clone(&limiter),
        };
        counted.insert(Arc::clone(tenant), entry);
        limiter
    }
}

fn quota(rate: IngestRate) -> Quota {
    let count = |events| NonZeroU32::new(events).unwrap_or(NonZeroU32::MIN);
    let each = rate.period() / rate.events();
    let quota = Quota::with_period(each).unwrap_or(Quota::per_second(count(rate.events())));
    quota.allow_burst(count(rate.burst()))
}

fn too_fast(rate: IngestRate, reset: std::time::Duration) -> ApiError {
    let unit = match rate.per_second {
        Some(_) => "second",
        None => "minute",
    };
    let message = format!(
        "Too many events: this tenant may post {} per {unit}; try again in {} s",
        rate.events(),
        reset.as_secs_f64().ceil().max(1.0)
    );
    ApiError::new(Problem::TooManyRequests, message).with_rate(RateHeaders {
        policy: "tenant",
        quota: rate.burst(),
        window: rate
            .period()
            .mul_f64(f64::from(rate.burst()) / f64::from(rate.events())),
        remaining: 0,
        reset,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::tenant::{TenantLimits, TenantStatus};

    fn tenant(rate: &str) -> Tenant {
        Tenant {
            id: "t".into(),
            place: Uuid::nil(),
            name: "t".to_owned(),
            status: TenantStatus::Active,
            limits: TenantLimits {
                ingest_rate: serde_json::from_str(rate).unwrap(),
                ..TenantLimits::default()
            },
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            version: 1,
        }
    }

    #[test]
    fn a_burst_and_no_more() {
        let rates = TenantRates::default();
        let slow = tenant(r#"{"perMinute":1,"burst":3}"#);
        assert_eq!(rates.take(&slow, 2), Ok(()));
        let refused = rates.take(&slow, 2).unwrap_err();
        assert_eq!(refused.problem(), Problem::TooManyRequests);
        assert!(format!("{refused:?}").contains("1 per minute; try again in 60 s"));
        assert_eq!(
            rates.take(&slow, 1),
            Ok(()),
            "what was refused took nothing"
        );
        let never = rates.take(&slow, 4).unwrap_err();
        assert_eq!(never.problem(), Problem::InvalidBody);
        assert!(format!("{never:?}").contains("at most 3 in at once"));
        // Another rate is another count.
        let other = tenant(r#"{"perSecond":5}"#);
        assert_eq!(rates.take(&other, 5), Ok(()));
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let rates = TenantRates::default();
        assert_eq!(rates.take(&tenant("null"), usize::MAX), Ok(()));
        assert!(rates.0.lock().unwrap().is_empty());
    }
}
