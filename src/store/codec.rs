//! How domain values lie in columns: what both stores share.
//!
//! Durations are whole microseconds. A subscription's lists and policies are JSON text.

mod record;
mod subscription;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{AcceptGroup, Result, StoreError};
use crate::domain::access::{Scope, Scopes};
use crate::domain::api_key::{KeyHash, PublicId};
use crate::domain::breaker::BreakerState;
use crate::domain::delivery::{DeliveryState, PendingDelivery};
use crate::domain::event_type::{EventPattern, OWN_SEGMENT};
use crate::domain::id::{AttemptId, EventId};
use crate::domain::idempotency::ContentHash;
use crate::domain::job::{JobState, Selection};
use crate::domain::operational::OperationalEvent;
use crate::domain::ordering::Line;
use crate::domain::outcome::Outcome;
use crate::domain::session::AdminKeyProof;
use crate::domain::subscription::{ChangedBy, SubscriptionState};
use crate::domain::tenant::{self, TenantLimits, TenantStatus};
use crate::domain::user::Role;

pub(super) use self::record::{Learnt, OutcomeColumns};
pub(super) use self::subscription::SubscriptionColumns;

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
