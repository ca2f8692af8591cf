//! What Posthaste tells about itself, as ordinary events.
//!
//! A state change, a breaker's step or a delivery's end says here, and nowhere else, which
//! operational event it raises. The event is stored with the change itself and accepted later
//! like any sender's event, so it is lost only where the change is. No chain of them feeds
//! itself: the failure of an operational event's delivery raises nothing, nor do the breaker's
//! steps of a subscription that names operational events, and no event reaches the
//! subscription that it is about (`docs/operational-events.md`).

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::Timestamp;
use super::breaker::{BreakerState, Change};
use super::delivery::AttemptRecord;
use super::event::Event;
use super::event_type::{EventPattern, EventType};
use super::id::{AttemptId, DeliveryId, EventId, SubscriptionId};
use super::subscription::{Subscription, SubscriptionState};

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A rule holds a subscription: deactivated, or suspended.
    SubscriptionDeactivated,
    /// What a rule held is delivered to again.
    SubscriptionReactivated,
    /// A breaker opened.
    BreakerOpened,
    /// A breaker that had opened closed.
    BreakerClosed,
    /// A delivery ended undelivered: attempts used up, or age limit passed.
    DeliveryFailed,
}

impl Topic {
    /// Every topic, for exhaustive tests and checks of patterns.
    pub const ALL: [Self; 5] = [
        Self::SubscriptionDeactivated,
        Self::SubscriptionReactivated,
        Self::BreakerOpened,
        Self::BreakerClosed,
        Self::DeliveryFailed,
    ];

    /// The event type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SubscriptionDeactivated => "posthaste.subscription.deactivated",
            Self::SubscriptionReactivated => "posthaste.subscription.reactivated",
            Self::BreakerOpened => "posthaste.breaker.opened",
            Self::BreakerClosed => "posthaste.breaker.closed",
            Self::DeliveryFailed => "posthaste.delivery.failed",
        }
    }

    fn event_type(self) -> EventType {
        EventType::from_stored(self.as_str())
    }

    /// Whether a pattern wants any of them.
    pub fn any_matches(pattern: &EventPattern) -> bool {
        Self::ALL
            .iter()
            .any(|topic| pattern.matches(&topic.event_type()))
    }
}

/// An event about a subscription, not yet accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationalEvent {
    /// The event's id from the moment it is raised, so that accepting it twice is accepting it
    /// once.
    pub id: EventId,
    /// What is told.
    pub event_type: EventType,
    /// About whom.
    pub subscription_id: SubscriptionId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// JSON.
    pub payload: Bytes,
}

impl OperationalEvent {
    /// The event as it is accepted. It has no tenant, for it is no tenant's to receive, and its
    /// ordering key is the subscription it is about.
    pub fn into_event(self, received_at: Timestamp) -> Event {
        Event {
            id: self.id,
            tenant: None,
            event_type: self.event_type,
            event_name: None,
            source: Some("posthaste".to_owned()),
            idempotency_key: None,
            ordering_key: Some(self.subscription_id.to_string()),
            occurred_at: Some(self.occurred_at),
            received_at,
            payload: self.payload,
        }
    }

    /// What a change of a subscription's state raises. What an operator does on purpose, a
    /// pause or a deletion, raises nothing.
    pub fn of_state_change(
        id: EventId,
        before: &Subscription,
        after: &Subscription,
    ) -> Option<Self> {
        // Of what is held already, another reason is news: there may be no trial any more.
        let reason = |of: &Subscription| of.state_change.reason.clone();
        if before.state == after.state && reason(before) == reason(after) {
            return None;
        }
        use SubscriptionState::{Active, Deactivated, Suspended};
        let since = after.state_change.at;
        match (before.state, after.state) {
            (_, Deactivated | Suspended) => {
                let data = DeactivatedData {
                    about: About::of(after),
                    state: after.state.as_str(),
                    reason: after.state_change.reason.as_deref(),
                    evidence: &after.state_change.evidence,
                    since,
                };
                let topic = Topic::SubscriptionDeactivated;
                Some(Self::new(id, topic, after, since, &data))
            }
            (Deactivated | Suspended, Active) => {
                let data = ReactivatedData {
                    about: About::of(after),
                    state: after.state.as_str(),
                    by: after.state_change.by.as_str(),
                    since,
                    previous_state: before.state.as_str(),
                    held_reason: before.state_change.reason.as_deref(),
                    held_since: before.state_change.at,
                };
                let topic = Topic::SubscriptionReactivated;
                Some(Self::new(id, topic, after, since, &data))
            }
            _ => None,
        }
    }

    /// What a breaker's step at `now` raises: an outage begins once and ends once, and the
    /// probes that fail in between say nothing new.
    pub fn of_breaker_step(
        id: EventId,
        subscription: &Subscription,
        change: &Change,
        now: Timestamp,
    ) -> Option<Self> {
        if subscription.names_operational_events() {
            return None;
        }
        let topic = match (change.from, change.to.state) {
            (BreakerState::Closed, BreakerState::Open) => Topic::BreakerOpened,
            (BreakerState::Open | BreakerState::HalfOpen, BreakerState::Closed) => {
                Topic::BreakerClosed
            }
            _ => return None,
        };
        let data = BreakerData {
            about: About::of(subscription),
            since: now,
            until: change.to.until,
            opened_in_a_row: change.to.opened_in_a_row,
        };
        Some(Self::new(id, topic, subscription, now, &data))
    }

    /// What an attempt raises that ends its delivery undelivered, at `now`. `event_type` is that
    /// of the event that did not arrive.
    pub fn of_failed_delivery(
        id: EventId,
        subscription: &Subscription,
        event_type: &EventType,
        record: &AttemptRecord,
        now: Timestamp,
    ) -> Option<Self> {
        let settlement = record.verdict.settlement;
        if event_type.is_own() || !settlement.is_failure() {
            return None;
        }
        let (state, _) = settlement.state_and_due(record.delivery.due_at);
        let data = FailedData {
            about: About::of(subscription),
            delivery_id: record.delivery.id,
            event_id: record.delivery.event_id,
            event_type: event_type.as_str(),
            status: state.as_str(),
            round: record.verdict.progress.round,
            attempts: record.number(),
            last_attempt: LastAttempt {
                id: record.id,
                status: record.outcome.status(),
                error_kind: record.outcome.error_kind(),
            },
            since: now,
        };
        Some(Self::new(
            id,
            Topic::DeliveryFailed,
            subscription,
            now,
            &data,
        ))
    }

    fn new(
        id: EventId,
        topic: Topic,
        subscription: &Subscription,
        occurred_at: Timestamp,
        data: &impl Serialize,
    ) -> Self {
        Self {
            id,
            event_type: topic.event_type(),
            subscription_id: subscription.id,
            occurred_at,
            // Texts, numbers and times always become JSON.
            payload: serde_json::to_vec(data).unwrap_or_default().into(),
        }
    }
}

/// Whom an event is about. Neither address nor headers: they may hold secrets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct About {
    subscription_id: SubscriptionId,
    subscription_name: String,
    tenant: Option<Arc<str>>,
}

impl About {
    fn of(subscription: &Subscription) -> Self {
        Self {
            subscription_id: subscription.id,
            subscription_name: subscription.name.clone(),
            tenant: subscription.tenant.clone(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeactivatedData<'a> {
    #[serde(flatten)]
    about: About,
    state: &'static str,
    reason: Option<&'a str>,
    evidence: &'a [AttemptId],
    since: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReactivatedData<'a> {
    #[serde(flatten)]
    about: About,
    state: &'static str,
    by: &'static str,
    since: Timestamp,
    previous_state: &'static str,
    held_reason: Option<&'a str>,
    held_since: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BreakerData {
    #[serde(flatten)]
    about: About,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    opened_in_a_row: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedData<'a> {
    #[serde(flatten)]
    about: About,
    delivery_id: DeliveryId,
    event_id: EventId,
    event_type: &'a str,
    status: &'static str,
    round: u32,
    attempts: u32,
    last_attempt: LastAttempt,
    since: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LastAttempt {
    id: AttemptId,
    status: Option<u16>,
    error_kind: Option<&'static str>,
}

#[cfg(test)]
mod tests;
