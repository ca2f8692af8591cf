//! Attempts counted by subscription, where the settings ask for it.
//!
//! The first so many that are attempted get a label of their own and keep it while the process
//! lives; all others share one, so that the number of series is bounded whatever comes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::domain::id::SubscriptionId;

/// The label of those that have none of their own.
const OTHER: &str = "other";

type Labels = [(&'static str, String); 2];

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct PerSubscription {
    family: Family<Labels, Counter>,
    most: usize,
    known: Mutex<HashMap<SubscriptionId, Pair>>,
    others: Pair,
}

#[derive(Clone, Debug)]
struct Pair {
    succeeded: Counter,
    failed: Counter,
}

impl Pair {
    fn of(family: &Family<Labels, Counter>, subscription: &str) -> Self {
        let counter = |result: &str| {
            family.get_or_create_owned(&[
                ("subscription", subscription.to_owned()),
                ("result", result.to_owned()),
            ])
        };
        Self {
            succeeded: counter("success"),
            failed: counter("failure"),
        }
    }
}

impl PerSubscription {
    /// Up to `most` labels.
    pub(super) fn registered(most: usize, registry: &mut Registry) -> Self {
        let family = Family::default();
        let help = "Attempts recorded, by subscription and whether they succeeded";
        registry.register("subscription_attempts", help, family.clone());
        Self {
            others: Pair::of(&family, OTHER),
            known: Mutex::default(),
            most,
            family,
        }
    }

    /// An attempt of that subscription was recorded.
    pub(super) fn note(&self, subscription: SubscriptionId, succeeded: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = if known.len() < self.most {
            known
                .entry(subscription)
                .or_insert_with(|| Pair::of(&self.family, &subscription.to_string()))
        } else {
            known.get(&subscription).unwrap_or(&self.others)
        };
        match succeeded {
            true => pair.succeeded.inc(),
            false => pair.failed.inc(),
        };
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn labels_are_bounded_and_nothing_goes_uncounted() {
        let mut registry = Registry::default();
        let each = PerSubscription::registered(2, &mut registry);
        for number in [1, 2, 3, 1, 4, 3] {
            each.note(SubscriptionId(Uuid::from_u128(number)), number != 2);
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let value = |labels: &str| {
            let line = format!("subscription_attempts_total{{{labels}}} ");
            let found = text.lines().find_map(|one| one.strip_prefix(&line));
            found.and_then(|value| value.parse::<u64>().ok())
        };
        let id = |number| Uuid::from_u128(number).to_string();
        let labels = |id: &str, result| format!(r#"subscription="{id}",result="{result}""#);
        assert_eq!(value(&labels(&id(1), "success")), Some(2), "{text}");
        assert_eq!(value(&labels(&id(2), "failure")), Some(1));
        assert_eq!(value(&labels(&id(3), "success")), None);
        assert_eq!(value(&labels("other", "success")), Some(3));
    }
}
