//! What is shown of a subscription.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::own_headers::masked;
use super::view::millis;
use crate::domain::Timestamp;
use crate::domain::breaker::{BreakerPolicy, BreakerSpec, BreakerState, StoredBreaker};
use crate::domain::deactivation::{DeactivationPolicy, DeactivationSpec};
use crate::domain::id::{AttemptId, SubscriptionId};
use crate::domain::ordering::{Ordering, OrderingFailure};
use crate::domain::own_signature::OwnSignatures;
use crate::domain::payload_format::PayloadFormat;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retry::{RetryPolicy, RetryPolicySpec};
use crate::domain::signature::Scheme;
use crate::domain::signing::SecretOwner;
use crate::domain::subscription::{
    ChangedBy, REASON_BACKLOG_FULL, Subscription, SubscriptionState,
};

/// A subscription; its secret only where it was asked for, its headers' values never. A
/// setting that is null follows the default; `effective` says what is in force.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Subscription)]
pub struct SubscriptionView<'a> {
    id: SubscriptionId,
    name: &'a str,
    url: &'a str,
    #[schema(value_type = Vec<String>)]
    event_types: Vec<&'a str>,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    headers: BTreeMap<&'a str, &'static str>,
    #[schema(value_type = Option<RetryPolicySpec>)]
    retry_policy: Option<&'a RetryPolicySpec>,
    timeout_ms: Option<u64>,
    max_in_flight: Option<u32>,
    rate_limit: Option<RateLimit>,
    breaker: Option<BreakerSpec>,
    #[schema(value_type = Ordering)]
    ordering: &'static str,
    #[schema(value_type = OrderingFailure)]
    ordering_failure: &'static str,
    deactivation: Option<DeactivationSpec>,
    #[schema(value_type = PayloadFormat)]
    payload_format: &'static str,
    /// Own signature headers; null where there are none.
    signature: Option<&'a OwnSignatures>,
    /// How the newest secret signs.
    #[schema(value_type = Scheme)]
    signing: &'static str,
    #[schema(value_type = SecretOwner)]
    secret_from: &'static str,
    /// Of a key pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    public_key: Option<String>,
    effective: EffectiveView,
    is_active: bool,
    #[schema(value_type = SubscriptionState)]
    state: &'static str,
    state_reason: Option<&'a str>,
    state_changed_at: Timestamp,
    #[schema(value_type = ChangedBy)]
    state_changed_by: &'static str,
    #[schema(value_type = Vec<AttemptId>)]
    state_evidence: &'a [AttemptId],
    /// Null where no rule holds it, and it is not being emptied since one did.
    hold: Option<HoldView>,
    client_id: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    breaker_state: Option<BreakerStateView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<&'a str>,
}

/// What is held while a rule holds a subscription, or until what it held is less.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Hold)]
struct HoldView {
    /// As much is held as may be: what comes in now is skipped.
    full: bool,
    full_since: Option<Timestamp>,
    /// Why nothing more is held.
    reason: Option<&'static str>,
    /// It is being reactivated, and what was held is being skipped before.
    skipping: bool,
}

/// Where a breaker is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BreakerStanding)]
struct BreakerStateView {
    #[schema(value_type = BreakerState)]
    state: &'static str,
    /// The end of the cool-down, while open.
    open_until: Option<Timestamp>,
    /// How many times it opened without a recovery between.
    opened_in_a_row: u32,
}

/// What holds where a subscription has no own setting.
#[derive(Clone, Copy)]
pub struct Defaults<'a> {
    /// The retry policy.
    pub retry: &'a RetryPolicy,
    /// The breaker's rules.
    pub breaker: &'a BreakerPolicy,
    /// The rules of deactivation.
    pub deactivation: &'a DeactivationPolicy,
    /// The total deadline of an attempt.
    pub timeout: Duration,
    /// Attempts in flight.
    pub max_in_flight: u32,
}

/// Settings in force.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EffectiveSettings)]
struct EffectiveView {
    retry_policy: RetryPolicySpec,
    timeout_ms: u64,
    max_in_flight: u32,
    breaker: BreakerSpec,
    deactivation: DeactivationSpec,
}

impl HoldView {
    fn of(subscription: &Subscription) -> Option<Self> {
        let hold = subscription.hold;
        let view = Self {
            full: hold.full_since.is_some(),
            full_since: hold.full_since,
            reason: hold.full_since.map(|_| REASON_BACKLOG_FULL),
            skipping: hold.skip_through.is_some(),
        };
        (subscription.is_held_by_rule() || view.full).then_some(view)
    }
}

impl<'a> SubscriptionView<'a> {
    /// Without the secret.
    pub fn new(subscription: &'a Subscription, defaults: Defaults<'_>) -> Self {
        let signing = &subscription.signing;
        let timeout = subscription.timeout.unwrap_or(defaults.timeout);
        let in_flight = subscription.max_in_flight.unwrap_or(defaults.max_in_flight);
        Self {
            id: subscription.id,
            name: &subscription.name,
            url: subscription.url.as_str(),
            event_types: subscription
                .event_types
                .iter()
                .map(|pattern| pattern.as_str())
                .collect(),
            headers: masked(&subscription.headers),
            retry_policy: subscription.retry_policy.as_ref(),
            timeout_ms: subscription.timeout.map(millis),
            max_in_flight: subscription.max_in_flight,
            rate_limit: subscription.rate_limit,
            breaker: subscription.breaker,
            ordering: subscription.ordering.ordering.as_str(),
            ordering_failure: subscription.ordering.failure.as_str(),
            deactivation: subscription.deactivation,
            payload_format: subscription.format.as_str(),
            signature: (!signing.headers.is_empty()).then_some(&signing.headers),
            signing: signing.secrets().newest().scheme().as_str(),
            secret_from: signing.owner.as_str(),
            public_key: signing.secrets().newest().public_key(),
            effective: EffectiveView {
                retry_policy: subscription.policy(defaults.retry).to_spec(),
                timeout_ms: millis(timeout),
                max_in_flight: in_flight,
                breaker: subscription.breaker_policy(defaults.breaker).to_spec(),
                deactivation: subscription
                    .deactivation_policy(defaults.deactivation)
                    .to_spec(),
            },
            is_active: subscription.state.delivers(),
            state: subscription.state.as_str(),
            state_reason: subscription.state_change.reason.as_deref(),
            state_changed_at: subscription.state_change.at,
            state_changed_by: subscription.state_change.by.as_str(),
            state_evidence: &subscription.state_change.evidence,
            hold: HoldView::of(subscription),
            client_id: subscription.tenant.as_deref(),
            created_at: subscription.created_at,
            updated_at: subscription.updated_at,
            breaker_state: None,
            secret: None,
        }
    }

    /// With where its breaker is, as last kept.
    pub fn with_breaker_state(self, kept: Option<StoredBreaker>) -> Self {
        let state = BreakerStateView {
            state: kept
                .map_or(BreakerState::Closed, |kept| kept.state)
                .as_str(),
            open_until: kept.and_then(|kept| kept.until),
            opened_in_a_row: kept.map_or(0, |kept| kept.opened_in_a_row),
        };
        Self {
            breaker_state: Some(state),
            ..self
        }
    }

    /// With the secret, where it is one to hand out: for the answer to a creation.
    pub fn with_secret(self, subscription: &'a Subscription) -> Self {
        Self {
            secret: subscription.signing.secrets().newest().handed_out(),
            ..self
        }
    }
}
