//! How domain values lie in columns: what both stores share.
//!
//! Durations are whole microseconds. A subscription's lists and policies are JSON text.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use super::secret_box::{Label, SecretBox};
use super::{AcceptGroup, RecordGroup, Result, StoreError, secrets};
use crate::domain::Timestamp;
use crate::domain::access::{Scope, Scopes};
use crate::domain::api_key::{KeyHash, PublicId};
use crate::domain::breaker::BreakerState;
use crate::domain::deactivation::Streak;
use crate::domain::delivery::{AttemptRecord, DeliveryState, PendingDelivery, Trigger};
use crate::domain::event_type::{EventPattern, OWN_SEGMENT};
use crate::domain::id::{AttemptId, EventId, SubscriptionId};
use crate::domain::idempotency::ContentHash;
use crate::domain::job::{JobState, Selection};
use crate::domain::operational::OperationalEvent;
use crate::domain::ordering::{Line, Ordering, OrderingFailure, OrderingRule};
use crate::domain::outcome::{CallResult, Outcome};
use crate::domain::payload_format::PayloadFormat;
use crate::domain::session::AdminKeyProof;
use crate::domain::signing::{SecretOwner, Signing};
use crate::domain::subscription::{ChangedBy, Hold, StateChange, Subscription, SubscriptionState};
use crate::domain::tenant::{self, TenantLimits, TenantStatus};
use crate::domain::user::Role;

/// A stored value that cannot be read: a bug, or a damaged database.
pub(super) fn damaged(what: impl std::fmt::Display) -> StoreError {
    StoreError::Broken(format!("a stored value cannot be read: {what}"))
}

/// Whole microseconds; what does not fit is longer than anything Posthaste waits for.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The duration behind [`micros`].
pub(super) fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// What of a bound one tenant may take, to be bound to a statement.
pub(super) fn share_of_tenant(most: u32) -> i64 {
    i64::try_from(tenant::share_of(most as usize)).unwrap_or(i64::MAX)
}

/// A count as the stores keep it.
pub(super) fn count(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// The count behind [`count`].
pub(super) fn uncount(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// Scopes as their words.
pub(super) fn scopes_text(scopes: Scopes) -> String {
    let words: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
    words.join(" ")
}

/// The scopes behind [`scopes_text`]. A word that is not known would be a right that nobody checks.
pub(super) fn scopes(text: &str) -> Result<Scopes> {
    let scope = |word| Scope::parse(word).ok_or_else(|| damaged("a scope"));
    text.split_whitespace().map(scope).collect()
}

/// The public part of a key.
pub(super) fn public_id(text: &str) -> Result<PublicId> {
    PublicId::parse(text).ok_or_else(|| damaged("the public part of a key"))
}

/// The hash of a key.
pub(super) fn key_hash(bytes: &[u8]) -> Result<KeyHash> {
    KeyHash::from_stored(bytes).ok_or_else(|| damaged("the hash of a key"))
}

/// A user's role.
pub(super) fn role(word: &str) -> Result<Role> {
    Role::parse(word).ok_or_else(|| damaged("a role"))
}

/// Places as their addresses.
pub(super) fn places_text(places: &[IpAddr]) -> String {
    let places: Vec<String> = places.iter().map(IpAddr::to_string).collect();
    places.join(" ")
}

/// The places behind [`places_text`].
pub(super) fn places(text: &str) -> Result<Vec<IpAddr>> {
    let place = |word: &str| word.parse().map_err(|_| damaged("a place"));
    text.split_whitespace().map(place).collect()
}

/// What shows a session's admin key.
pub(super) fn admin_key_proof(bytes: &[u8]) -> Result<AdminKeyProof> {
    AdminKeyProof::from_stored(bytes).ok_or_else(|| damaged("the proof of a session"))
}

/// Bytes of a payload as the stores keep it.
pub(super) fn size(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// Where each of a group's deliveries stands, in their order, and then those skipped.
pub(super) fn lines(group: &AcceptGroup) -> Vec<Option<Line>> {
    if group.ordered.is_empty() {
        return vec![None; group.deliveries.len() + group.skipped.len()];
    }
    let keys: HashMap<EventId, Option<&str>> = group
        .events
        .iter()
        .map(|event| (event.id, event.ordering_key.as_deref()))
        .collect();
    let line = |delivery: &PendingDelivery| {
        let ordering = group.ordered.get(&delivery.subscription_id)?;
        ordering.line(keys.get(&delivery.event_id).copied().flatten())
    };
    let all = group.deliveries.iter().chain(&group.skipped);
    all.map(line).collect()
}

/// A tenant inside a key, where "none" must not equal any tenant's name.
pub(super) fn tenant_key(tenant: Option<&str>) -> String {
    tenant.map_or_else(String::new, |tenant| format!("={tenant}"))
}

/// The tenant behind [`tenant_key`].
pub(super) fn tenant_of_key(text: &str) -> Option<&str> {
    text.strip_prefix('=')
}

/// SHA-256 as stored.
pub(super) fn content_hash(bytes: &[u8]) -> Result<ContentHash> {
    bytes
        .try_into()
        .map_err(|_| damaged("a content hash that is not 32 bytes long"))
}

/// A delivery's state as stored.
pub(super) fn delivery_state(word: &str) -> Result<DeliveryState> {
    DeliveryState::parse(word).ok_or_else(|| damaged(format_args!("delivery state {word:?}")))
}

/// Where a breaker is, as stored.
pub(super) fn breaker_state(word: &str) -> Result<BreakerState> {
    BreakerState::parse(word).ok_or_else(|| damaged(format_args!("breaker state {word:?}")))
}

/// A count that may exceed four bytes, as the stores keep it.
pub(super) fn large(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A job's state as stored.
pub(super) fn job_state(word: &str) -> Result<JobState> {
    JobState::parse(word).ok_or_else(|| damaged(format_args!("job state {word:?}")))
}

/// A job's selection as it lies in its row.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StoredSelection {
    States(Vec<String>),
    EventIds(Vec<EventId>),
    EventTypes(Vec<String>),
}

/// A job's selection as text.
pub(super) fn selection_text(selection: &Selection) -> Result<String> {
    let stored = match selection {
        Selection::States(states) => {
            StoredSelection::States(states.iter().map(|one| one.as_str().to_owned()).collect())
        }
        Selection::EventIds(ids) => StoredSelection::EventIds(ids.clone()),
        Selection::EventTypes(types) => {
            StoredSelection::EventTypes(types.iter().map(|one| one.as_str().to_owned()).collect())
        }
    };
    json(&stored)
}

/// The selection behind [`selection_text`].
pub(super) fn selection(text: &str) -> Result<Selection> {
    Ok(match parsed(text)? {
        StoredSelection::States(words) => {
            let states = words.iter().map(|word| delivery_state(word));
            Selection::States(states.collect::<Result<_>>()?)
        }
        StoredSelection::EventIds(ids) => Selection::EventIds(ids),
        StoredSelection::EventTypes(texts) => {
            let patterns = texts.iter().map(|text| EventPattern::parse(text));
            Selection::EventTypes(
                patterns
                    .collect::<std::result::Result<_, _>>()
                    .map_err(damaged)?,
            )
        }
    })
}

/// A subscription's state, as stored.
pub(super) fn subscription_state(word: &str) -> Result<SubscriptionState> {
    SubscriptionState::parse(word)
        .ok_or_else(|| damaged(format_args!("subscription state {word:?}")))
}

/// A tenant's status, as stored.
pub(super) fn tenant_status(word: &str) -> Result<TenantStatus> {
    TenantStatus::parse(word).ok_or_else(|| damaged(format_args!("tenant status {word:?}")))
}

/// A tenant's limits as text.
pub(super) fn tenant_limits_text(limits: &TenantLimits) -> Result<String> {
    json(limits)
}

/// The limits behind [`tenant_limits_text`].
pub(super) fn tenant_limits(text: &str) -> Result<TenantLimits> {
    parsed(text)
}

/// Who changed it, as stored.
pub(super) fn changed_by(word: &str) -> Result<ChangedBy> {
    ChangedBy::parse(word).ok_or_else(|| damaged(format_args!("author of a change {word:?}")))
}

/// Ids of attempts as the stores keep them.
pub(super) fn evidence(attempts: &[AttemptId]) -> Result<String> {
    json(attempts)
}

/// The ids behind [`evidence`].
pub(super) fn attempts(text: &str) -> Result<Vec<AttemptId>> {
    parsed(text)
}

/// What went wrong, as text: Postgres refuses NUL in it, and the words of a library may quote the
/// receiver.
pub(super) fn error_message(outcome: &Outcome) -> Option<String> {
    let message = outcome.error_message()?;
    Some(message.replace('\0', "\u{fffd}"))
}

/// What an attempt's outcome comes to in columns.
pub(super) struct OutcomeColumns<'a> {
    pub(super) request_headers: &'a [u8],
    pub(super) status: Option<i16>,
    pub(super) error_kind: Option<&'static str>,
    pub(super) error_message: Option<String>,
    pub(super) answer_headers: &'a [u8],
    pub(super) answer_body: &'a [u8],
    pub(super) answer_cut: bool,
}

impl<'a> OutcomeColumns<'a> {
    /// Of a record.
    pub(super) fn of(record: &'a AttemptRecord) -> Self {
        let outcome = &record.outcome;
        let answer = match &outcome.result {
            CallResult::Answer(answer) => Some(answer),
            CallResult::Failure(_) => None,
        };
        Self {
            request_headers: outcome.request_headers.as_block(),
            status: outcome
                .status()
                .and_then(|status| i16::try_from(status).ok()),
            error_kind: outcome.error_kind(),
            error_message: error_message(outcome),
            answer_headers: answer.map_or(&[][..], |answer| answer.headers.as_block()),
            answer_body: answer.map_or(&[][..], |answer| &answer.body),
            answer_cut: answer.is_some_and(|answer| answer.body_cut),
        }
    }
}

/// What a group of attempts tells about one subscription.
pub(super) struct Learnt<'a> {
    pub(super) subscription: SubscriptionId,
    /// The receiver asked to be left alone until then.
    pub(super) hold_until: Option<Timestamp>,
    /// It was tried while deactivated.
    pub(super) tried_at: Option<Timestamp>,
    /// What failed since the last success, where that changes.
    pub(super) streak: Option<&'a Streak>,
    /// That streak's evidence.
    pub(super) evidence: Option<String>,
    /// The failed attempt that began last.
    pub(super) failure: Option<&'a AttemptRecord>,
}

impl<'a> Learnt<'a> {
    /// One for each subscription that anything was learnt of, in the order of their ids.
    pub(super) fn of(group: &'a RecordGroup) -> Result<Vec<Self>> {
        let mut all = BTreeMap::new();
        for record in &group.records {
            let tried_at = (record.trigger == Trigger::Trial).then_some(record.outcome.started_at);
            let hold_until = record.verdict.hold_until;
            let failed = !record.outcome.is_success();
            if failed || tried_at.is_some() || hold_until.is_some() {
                let one = Self::entry(&mut all, record.delivery.subscription_id);
                let later =
                    |known: &AttemptRecord| known.outcome.started_at <= record.outcome.started_at;
                if failed && one.failure.is_none_or(later) {
                    one.failure = Some(record);
                }
                one.hold_until = one.hold_until.max(hold_until);
                one.tried_at = one.tried_at.max(tried_at);
            }
        }
        for (subscription, streak) in &group.streaks {
            let one = Self::entry(&mut all, *subscription);
            one.streak = Some(streak);
            one.evidence = Some(evidence(&streak.evidence)?);
        }
        Ok(all.into_values().collect())
    }

    fn entry(all: &mut BTreeMap<SubscriptionId, Self>, subscription: SubscriptionId) -> &mut Self {
        all.entry(subscription).or_insert(Self {
            subscription,
            hold_until: None,
            tried_at: None,
            streak: None,
            evidence: None,
            failure: None,
        })
    }

    /// When that attempt began.
    pub(super) fn error_at(&self) -> Option<Timestamp> {
        self.failure.map(|record| record.outcome.started_at)
    }

    /// The status that it was answered with.
    pub(super) fn error_status(&self) -> Option<i16> {
        let status = self.failure.and_then(|record| record.outcome.status());
        status.and_then(|status| i16::try_from(status).ok())
    }
}

/// A subscription as it lies in its row; `version` is drawn by the store.
pub(super) struct SubscriptionColumns {
    pub(super) id: SubscriptionId,
    pub(super) tenant: Option<String>,
    pub(super) name: String,
    pub(super) url: String,
    pub(super) event_types: String,
    pub(super) headers: String,
    pub(super) retry_policy: Option<String>,
    pub(super) timeout_us: Option<i64>,
    pub(super) max_in_flight: Option<i32>,
    pub(super) rate_limit: Option<String>,
    pub(super) breaker: Option<String>,
    pub(super) ordering: String,
    pub(super) ordering_failure: String,
    pub(super) ordering_since: Timestamp,
    pub(super) deactivation: Option<String>,
    pub(super) state: String,
    pub(super) state_at: Timestamp,
    pub(super) state_reason: Option<String>,
    pub(super) state_by: String,
    pub(super) state_evidence: String,
    pub(super) counted_from: Timestamp,
    pub(super) hold_full_since: Option<Timestamp>,
    pub(super) skip_through: Option<i64>,
    pub(super) payload_format: String,
    pub(super) signature: Option<String>,
    pub(super) secret_owner: String,
    pub(super) secret: String,
    /// Of another table; read only.
    pub(super) tenant_secrets: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) version: i64,
}

impl SubscriptionColumns {
    /// Of a subscription.
    pub(super) fn of(subscription: &Subscription, secret_box: &SecretBox) -> Result<Self> {
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
    pub(super) fn into_subscription(self, secret_box: &SecretBox) -> Result<Subscription> {
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

/// How the patterns that name an operational event's kind begin in a subscription's list of
/// patterns, which is JSON.
pub(super) fn kind_named(event: &OperationalEvent) -> String {
    let kind = event.event_type.as_str().split('.').nth(1);
    format!("\"{OWN_SEGMENT}.{}.", kind.unwrap_or_default())
}

/// How those begin that name operational events of any kind.
pub(super) fn any_kind_named() -> String {
    format!("\"{OWN_SEGMENT}.*")
}

pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Refused(error.to_string()))
}

pub(super) fn parsed<T: DeserializeOwned>(text: &str) -> Result<T> {
    // The error of serde_json may quote the text, and own headers are secret.
    serde_json::from_str(text).map_err(|error| damaged(format_args!("{:?}", error.classify())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_is_no_name_of_a_tenant() {
        for tenant in [None, Some(""), Some("="), Some("t")] {
            assert_eq!(tenant_of_key(&tenant_key(tenant)), tenant);
        }
        assert_ne!(tenant_key(None), tenant_key(Some("")));
    }
}
