//! Who wants which events, where and how.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::Timestamp;
use super::breaker::{BreakerPolicy, BreakerSpec};
use super::deactivation::{DeactivationPolicy, DeactivationSpec, Rule};
use super::event::Event;
use super::event_type::{EventPattern, EventType};
use super::id::{AttemptId, SubscriptionId};
use super::ordering::{Ordering, OrderingFailure, OrderingRule};
use super::own_signature::OwnSignatures;
use super::payload_format::PayloadFormat;
use super::rate_limit::RateLimit;
use super::retry::{RetryPolicy, RetryPolicySpec};
use super::signing::{SecretOwner, Signing};

/// A subscription as stored. `None` in a setting means "the default in force".
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Its identity.
    pub id: SubscriptionId,
    /// Whose it is (`clientId`).
    pub tenant: Option<Arc<str>>,
    /// A name for people.
    pub name: String,
    /// Where deliveries go.
    pub url: Url,
    /// What it wants.
    pub event_types: Vec<EventPattern>,
    /// Own headers, sent with every attempt, values shown to nobody.
    pub headers: Vec<(String, String)>,
    /// Own retry policy, as given: open fields follow the default.
    pub retry_policy: Option<RetryPolicySpec>,
    /// Own total deadline of an attempt.
    pub timeout: Option<Duration>,
    /// Own bound of attempts in flight.
    pub max_in_flight: Option<u32>,
    /// Own pace.
    pub rate_limit: Option<RateLimit>,
    /// Own breaker, as given: open fields follow the default.
    pub breaker: Option<BreakerSpec>,
    /// In which order it gets what.
    pub ordering: OrderingRule,
    /// Own rules of deactivation, as given: open fields follow the default.
    pub deactivation: Option<DeactivationSpec>,
    /// Whether and why it is delivered to.
    pub state: SubscriptionState,
    /// Since when it has that state, and why.
    pub state_change: StateChange,
    /// From when on its failures count: it was made, became active, or got another address.
    pub counted_from: Timestamp,
    /// What is held while a rule holds it.
    pub hold: Hold,
    /// What its deliveries look like.
    pub format: PayloadFormat,
    /// How they are signed.
    pub signing: Signing,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The directory's version that its last change drew; also the guard against lost updates.
    pub version: i64,
}

/// The state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionState {
    /// Delivered to.
    Active,
    /// Held by an operator.
    Paused,
    /// Held by a rule, with a reason.
    Deactivated,
    /// Held because its actor kept crashing.
    Suspended,
    /// Tombstoned.
    Deleted,
}

impl SubscriptionState {
    /// Every state, for exhaustive tests and parsers.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Paused,
        Self::Deactivated,
        Self::Suspended,
        Self::Deleted,
    ];

    /// The word used in tables, answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Deactivated => "deactivated",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether attempts may be made now.
    pub fn delivers(self) -> bool {
        self == Self::Active
    }
}

/// Since when a subscription has its state, why, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateChange {
    /// When it changed.
    pub at: Timestamp,
    /// A stable word where a rule did it: `gone` (410), `exhausted`, `failing`, `crashing`.
    pub reason: Option<String>,
    /// Who or what did it.
    pub by: ChangedBy,
    /// The attempts that led to it, the newest last.
    pub evidence: Vec<AttemptId>,
}

/// Who or what changed a subscription's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangedBy {
    /// Somebody who called the API.
    #[default]
    Operator,
    /// A rule of Posthaste's.
    Rule,
    /// An attempt of a deactivated subscription that succeeded.
    Trial,
}

impl ChangedBy {
    /// Every one, for parsers.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Rule, Self::Trial];

    /// The word used in tables, answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Rule => "rule",
            Self::Trial => "trial",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }
}

/// What is held while a rule holds a subscription; empty in any other state, but that one of a
/// tenant's that is full stays full until it is found to have room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// Since when as much is held as may be: what comes in now is skipped.
    pub full_since: Option<Timestamp>,
    /// It is being reactivated without what was held: what stands up to this place in the order
    /// of acceptance is skipped first.
    pub skip_through: Option<i64>,
}

/// One change of a subscription's state, as its history has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The version that the change drew: the order of the changes.
    pub version: i64,
    /// The state before; none where it was made.
    pub from: Option<SubscriptionState>,
    /// The state after.
    pub to: SubscriptionState,
    /// When, why and by whom.
    pub change: StateChange,
}

/// The receiver answered 410.
pub const REASON_GONE: &str = "gone";
/// The subscription's actor kept crashing.
pub const REASON_CRASHING: &str = "crashing";
/// Too many deliveries in a row were exhausted.
pub const REASON_EXHAUSTED: &str = "exhausted";
/// Its attempts were failing for too long without one success.
pub const REASON_FAILING: &str = "failing";
/// As much is held as may be.
pub const REASON_BACKLOG_FULL: &str = "backlog_full";

impl Rule {
    /// The reason of a deactivation by this rule.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Exhausted => REASON_EXHAUSTED,
            Self::Failing => REASON_FAILING,
        }
    }
}

/// What a request may change; absent means "leave as it is".
#[derive(Clone, Debug, Default)]
pub struct SubscriptionChange {
    /// New name.
    pub name: Option<String>,
    /// New receiver.
    pub url: Option<Url>,
    /// New patterns.
    pub event_types: Option<Vec<EventPattern>>,
    /// New own headers, all of them.
    pub headers: Option<Vec<(String, String)>>,
    /// New retry policy; `Some(None)` returns to the default.
    pub retry_policy: Option<Option<RetryPolicySpec>>,
    /// New deadline; `Some(None)` returns to the default.
    pub timeout: Option<Option<Duration>>,
    /// New bound in flight; `Some(None)` returns to the default.
    pub max_in_flight: Option<Option<u32>>,
    /// New pace; `Some(None)` lifts the limit.
    pub rate_limit: Option<Option<RateLimit>>,
    /// New breaker; `Some(None)` returns to the default.
    pub breaker: Option<Option<BreakerSpec>>,
    /// What goes one after the other.
    pub ordering: Option<Ordering>,
    /// What becomes of a line whose head has failed.
    pub ordering_failure: Option<OrderingFailure>,
    /// New rules of deactivation; `Some(None)` returns to the default.
    pub deactivation: Option<Option<DeactivationSpec>>,
    /// What its deliveries look like.
    pub format: Option<PayloadFormat>,
    /// New signature headers, all of them.
    pub signature: Option<OwnSignatures>,
    /// Whose secrets sign.
    pub secret_owner: Option<SecretOwner>,
    /// New tenant; `Some(None)` takes it away.
    pub tenant: Option<Option<Arc<str>>>,
    /// `true` resumes or reactivates, `false` pauses.
    pub active: Option<bool>,
}

/// A state asked for that the present one does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {from} subscription cannot become {to}", from = .from.as_str(), to = .to.as_str())]
pub struct InvalidTransition {
    /// The state it has.
    pub from: SubscriptionState,
    /// The state asked for.
    pub to: SubscriptionState,
}

impl Subscription {
    /// Whether this subscription gets that event. The state plays no part: what is held back
    /// is held as a pending delivery, never forgotten. Only a deleted one gets nothing.
    pub fn wants(&self, event: &Event) -> bool {
        self.state != SubscriptionState::Deleted
            && self.is_reached_by(event.tenant.as_deref())
            && self.may_hear(&event.event_type, event.ordering_key.as_deref())
            && self
                .event_types
                .iter()
                .any(|pattern| pattern.matches(&event.event_type))
    }

    /// An event with a tenant reaches that tenant's subscriptions, one without reaches all.
    pub fn is_reached_by(&self, tenant: Option<&str>) -> bool {
        tenant.is_none() || tenant == self.tenant.as_deref()
    }

    /// What Posthaste itself tells is for those without a tenant, and never for the one that it
    /// is about. All else is for everybody.
    pub fn may_hear(&self, event_type: &EventType, ordering_key: Option<&str>) -> bool {
        // The key of one of its own is the subscription that it is about.
        let subject = || ordering_key?.parse().ok();
        !event_type.is_own() || (self.tenant.is_none() && subject() != Some(self.id))
    }

    /// Whether it names events that Posthaste itself raises.
    pub fn names_operational_events(&self) -> bool {
        self.event_types.iter().any(EventPattern::names_own)
    }

    /// The retry policy in force. A stored policy was checked against the default of its day;
    /// where a new default contradicts it, the new default wins over failing deliveries.
    pub fn policy(&self, default: &RetryPolicy) -> RetryPolicy {
        self.retry_policy
            .as_ref()
            .and_then(|spec| spec.validate(default).ok())
            .unwrap_or_else(|| default.clone())
    }

    /// The breaker's rules in force, by the same reasoning.
    pub fn breaker_policy(&self, default: &BreakerPolicy) -> BreakerPolicy {
        self.breaker
            .and_then(|spec| spec.validate(default).ok())
            .unwrap_or(*default)
    }

    /// The rules of deactivation in force, by the same reasoning.
    pub fn deactivation_policy(&self, default: &DeactivationPolicy) -> DeactivationPolicy {
        self.deactivation
            .and_then(|spec| spec.validate(default).ok())
            .unwrap_or(*default)
    }

    /// Whether a rule holds it: what comes in is held within bounds. What an operator pauses is
    /// held without.
    pub fn is_held_by_rule(&self) -> bool {
        matches!(
            self.state,
            SubscriptionState::Deactivated | SubscriptionState::Suspended
        )
    }

    /// Whether what comes in now is skipped, because as much is held as may be.
    pub fn skips(&self) -> bool {
        let bounded = self.is_held_by_rule() || self.tenant.is_some();
        bounded && self.hold.full_since.is_some()
    }

    /// The time between two trials, where it is tried at all: it is deactivated, its receiver has
    /// not said that it is gone, and it is not about to be reactivated.
    pub fn trial_interval(&self, default: &DeactivationPolicy) -> Option<Duration> {
        let tried = self.state == SubscriptionState::Deactivated
            && self.state_change.reason.as_deref() != Some(REASON_GONE)
            && self.hold.skip_through.is_none();
        tried.then(|| self.deactivation_policy(default).trial_interval())?
    }

    /// This subscription with `change` merged in at `now`.
    pub fn changed(
        &self,
        change: SubscriptionChange,
        now: Timestamp,
    ) -> Result<Self, InvalidTransition> {
        let mut next = match change.active {
            Some(true) => self.moved_to(SubscriptionState::Active, None, now)?,
            Some(false) => self.moved_to(SubscriptionState::Paused, None, now)?,
            None => self.clone(),
        };
        next.name = change.name.unwrap_or(next.name);
        if let Some(url) = change.url
            && url != next.url
        {
            next.url = url;
            next.counted_from = now;
        }
        next.event_types = change.event_types.unwrap_or(next.event_types);
        next.headers = change.headers.unwrap_or(next.headers);
        next.retry_policy = change.retry_policy.unwrap_or(next.retry_policy);
        next.timeout = change.timeout.unwrap_or(next.timeout);
        next.max_in_flight = change.max_in_flight.unwrap_or(next.max_in_flight);
        next.rate_limit = change.rate_limit.unwrap_or(next.rate_limit);
        next.breaker = change.breaker.unwrap_or(next.breaker);
        let failure = change.ordering_failure;
        next.ordering = next.ordering.changed(change.ordering, failure, now);
        next.deactivation = change.deactivation.unwrap_or(next.deactivation);
        next.format = change.format.unwrap_or(next.format);
        next.signing.headers = change.signature.unwrap_or(next.signing.headers);
        next.signing.owner = change.secret_owner.unwrap_or(next.signing.owner);
        if let Some(tenant) = change.tenant
            && tenant != next.tenant
        {
            next.tenant = tenant;
            // Another's secrets are not known here.
            next.signing.tenant = None;
        }
        next.updated_at = now;
        Ok(next)
    }

    /// This subscription in another state, by an operator where there is no reason, else by a
    /// rule. Asking for the state it has changes nothing, so pausing twice keeps the first time
    /// and reason. A deleted one stays deleted. Pausing what a rule holds leaves it held by the
    /// rule: the reason must not get lost.
    pub fn moved_to(
        &self,
        to: SubscriptionState,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, InvalidTransition> {
        let by = match reason {
            Some(_) => ChangedBy::Rule,
            None => ChangedBy::Operator,
        };
        let change = StateChange {
            at: now,
            reason: reason.map(str::to_owned),
            by,
            evidence: Vec::new(),
        };
        self.moved_by(to, change)
    }

    /// As [`Subscription::moved_to`], by this change. Of a deactivated one 410 is news: there
    /// is nothing to be tried any more.
    pub fn moved_by(
        &self,
        to: SubscriptionState,
        change: StateChange,
    ) -> Result<Self, InvalidTransition> {
        use SubscriptionState::{Active, Deactivated, Deleted, Paused, Suspended};
        let mut next = self.clone();
        let is_gone = |change: &StateChange| change.reason.as_deref() == Some(REASON_GONE);
        match (self.state, to) {
            (Deactivated, Deactivated) if is_gone(&change) && !is_gone(&self.state_change) => {}
            (from, to) if from == to => return Ok(next),
            (Deleted, _) => return Err(InvalidTransition { from: Deleted, to }),
            (Deactivated | Suspended, Paused) => return Ok(next),
            (_, Active | Paused | Deactivated | Suspended | Deleted) => {}
        }
        if self.state != to {
            // Only a tenant can have a bound on what it has pending whatever the state. Were that
            // forgotten, each reactivation would let as much come in again.
            let full_since = self.hold.full_since;
            next.hold = Hold {
                full_since: full_since.filter(|_| self.tenant.is_some() && to != Deleted),
                skip_through: None,
            };
        }
        if to == Active {
            next.counted_from = change.at;
        }
        next.state = to;
        next.updated_at = change.at;
        next.state_change = change;
        Ok(next)
    }
}

#[cfg(test)]
mod tests;
