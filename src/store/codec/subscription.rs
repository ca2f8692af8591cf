//! A subscription as it lies in its row.

use url::Url;

use super::{
    attempts, changed_by, count, damaged, duration, evidence, json, micros, parsed,
    subscription_state, uncount,
};
use crate::domain::Timestamp;
use crate::domain::event_type::EventPattern;
use crate::domain::id::SubscriptionId;
use crate::domain::ordering::{Ordering, OrderingFailure, OrderingRule};
use crate::domain::payload_format::PayloadFormat;
use crate::domain::signing::{SecretOwner, Signing};
use crate::domain::subscription::{Hold, StateChange, Subscription};
use crate::store::secret_box::{Label, SecretBox};
use crate::store::{Result, secrets};

/// A subscription as it lies in its row; `version` is drawn by the store.
pub(in crate::store) struct SubscriptionColumns {
    pub(in crate::store) id: SubscriptionId,
    pub(in crate::store) tenant: Option<String>,
    pub(in crate::store) name: String,
    pub(in crate::store) url: String,
    pub(in crate::store) event_types: String,
    pub(in crate::store) headers: String,
    pub(in crate::store) retry_policy: Option<String>,
    pub(in crate::store) timeout_us: Option<i64>,
    pub(in crate::store) max_in_flight: Option<i32>,
    pub(in crate::store) rate_limit: Option<String>,
    pub(in crate::store) breaker: Option<String>,
    pub(in crate::store) ordering: String,
    pub(in crate::store) ordering_failure: String,
    pub(in crate::store) ordering_since: Timestamp,
    pub(in crate::store) deactivation: Option<String>,
    pub(in crate::store) state: String,
    pub(in crate::store) state_at: Timestamp,
    pub(in crate::store) state_reason: Option<String>,
    pub(in crate::store) state_by: String,
    pub(in crate::store) state_evidence: String,
    pub(in crate::store) counted_from: Timestamp,
    pub(in crate::store) hold_full_since: Option<Timestamp>,
    pub(in crate::store) skip_through: Option<i64>,
    pub(in crate::store) payload_format: String,
    pub(in crate::store) signature: Option<String>,
    pub(in crate::store) secret_owner: String,
    pub(in crate::store) secret: String,
    /// Of another table; read only.
    pub(in crate::store) tenant_secrets: Option<String>,
    pub(in crate::store) created_at: Timestamp,
    pub(in crate::store) updated_at: Timestamp,
    pub(in crate::store) version: i64,
}

impl SubscriptionColumns {
    /// Of a subscription.
    pub(in crate::store) fn of(
        subscription: &Subscription,
        secret_box: &SecretBox,
    ) -> Result<Self> {
        let patterns: Vec<&str> = subscription
            .event_types
            .iter()
            .map(EventPattern::as_str)
            .collect();
        let owner = subscription.id.to_string();
        let label = |kind| Label {
            kind,
            owner: &owner,
        };
        let signing = &subscription.signing;
        Ok(Self {
            id: subscription.id,
            tenant: subscription.tenant.as_deref().map(str::to_owned),
            name: subscription.name.clone(),
            url: subscription.url.to_string(),
            event_types: json(&patterns)?,
            headers: secret_box.seal(label(secrets::HEADERS), &json(&subscription.headers)?)?,
            retry_policy: subscription.retry_policy.as_ref().map(json).transpose()?,
            timeout_us: subscription.timeout.map(micros),
            max_in_flight: subscription.max_in_flight.map(count),
            rate_limit: subscription.rate_limit.as_ref().map(json).transpose()?,
            breaker: subscription.breaker.as_ref().map(json).transpose()?,
            ordering: subscription.ordering.ordering.as_str().to_owned(),
            ordering_failure: subscription.ordering.failure.as_str().to_owned(),
            ordering_since: subscription.ordering.since,
            deactivation: subscription.deactivation.as_ref().map(json).transpose()?,
            state: subscription.state.as_str().to_owned(),
            state_at: subscription.state_change.at,
            state_reason: subscription.state_change.reason.clone(),
            state_by: subscription.state_change.by.as_str().to_owned(),
            state_evidence: evidence(&subscription.state_change.evidence)?,
            counted_from: subscription.counted_from,
            hold_full_since: subscription.hold.full_since,
            skip_through: subscription.hold.skip_through,
            payload_format: subscription.format.as_str().to_owned(),
            signature: (!signing.headers.is_empty())
                .then(|| json(&signing.headers))
                .transpose()?,
            secret_owner: signing.owner.as_str().to_owned(),
            secret: secrets::sealed(&signing.own, label(secrets::SECRET), secret_box)?,
            tenant_secrets: None,
            created_at: subscription.created_at,
            updated_at: subscription.updated_at,
            version: subscription.version,
        })
    }

    /// The subscription in this row.
    pub(in crate::store) fn into_subscription(
        self,
        secret_box: &SecretBox,
    ) -> Result<Subscription> {
        let owner = self.id.to_string();
        let label = |kind| Label {
            kind,
            owner: &owner,
        };
        let headers = secret_box.open(label(secrets::HEADERS), &self.headers)?;
        let tenant = match (&self.tenant, &self.tenant_secrets) {
            (Some(tenant), Some(stored)) => Some(secrets::opened(
                stored,
                secrets::of_tenant(tenant),
                secret_box,
            )?),
            _ => None,
        };
        let signing = Signing {
            own: secrets::opened(&self.secret, label(secrets::SECRET), secret_box)?,
            owner: SecretOwner::parse(&self.secret_owner).ok_or_else(|| {
                damaged(format_args!("owner of a secret {:?}", self.secret_owner))
            })?,
            tenant,
            headers: self
                .signature
                .as_deref()
                .map(parsed)
                .transpose()?
                .unwrap_or_default(),
        };
        let patterns: Vec<String> = parsed(&self.event_types)?;
        Ok(Subscription {
            id: self.id,
            tenant: self.tenant.map(Into::into),
            name: self.name,
            url: Url::parse(&self.url).map_err(damaged)?,
            event_types: patterns
                .iter()
                .map(|pattern| EventPattern::parse(pattern).map_err(damaged))
                .collect::<Result<_>>()?,
            headers: parsed(&headers)?,
            retry_policy: self.retry_policy.as_deref().map(parsed).transpose()?,
            timeout: self.timeout_us.map(duration),
            max_in_flight: self.max_in_flight.map(uncount),
            rate_limit: self.rate_limit.as_deref().map(parsed).transpose()?,
            breaker: self.breaker.as_deref().map(parsed).transpose()?,
            ordering: OrderingRule {
                ordering: Ordering::parse(&self.ordering)
                    .ok_or_else(|| damaged(format_args!("ordering {:?}", self.ordering)))?,
                failure: OrderingFailure::parse(&self.ordering_failure).ok_or_else(|| {
                    damaged(format_args!("ordering failure {:?}", self.ordering_failure))
                })?,
                since: self.ordering_since,
            },
            deactivation: self.deactivation.as_deref().map(parsed).transpose()?,
            state: subscription_state(&self.state)?,
            state_change: StateChange {
                at: self.state_at,
                reason: self.state_reason,
                by: changed_by(&self.state_by)?,
                evidence: attempts(&self.state_evidence)?,
            },
            counted_from: self.counted_from,
            hold: Hold {
                full_since: self.hold_full_since,
                skip_through: self.skip_through,
            },
            format: PayloadFormat::parse(&self.payload_format)
                .ok_or_else(|| damaged(format_args!("payload format {:?}", self.payload_format)))?,
            signing,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        })
    }
}
