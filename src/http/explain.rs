//! Why a subscription did or did not get an event, and what holds a delivery that is pending.
//!
//! Whether it was to get one is decided by the same function that acceptance matches with, on what
//! the subscription is now: what it was when the event came is not kept. What holds a delivery is
//! what its actor would find, as far as this process knows: all of it where it owns the deliveries,
//! what is stored otherwise.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::error::{ApiError, Result};
use super::ordering;
use super::paging::{PageView, Query, write_cursor};
use crate::actors::Live;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::{Caller, Scope};
use crate::domain::breaker::BreakerState;
use crate::domain::delivery::DeliveryState;
use crate::domain::event_type::EventPattern;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::domain::subscription::{Subscription, SubscriptionState, WhyNot};
use crate::store::{BlockingRow, DeliveryRow, EventRow, PageRequest, Runtime};

/// Lines that are looked through for the one that a delivery stands in.
const MOST_BLOCKED: u32 = 1_000;

/// What a request asks to be explained.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// One subscription.
    One(SubscriptionId),
    /// All of them, a page.
    All(PageRequest),
}

impl Asked {
    /// Reads what was asked for.
    pub fn read(query: &mut Query) -> Self {
        let one = query.id(&["subscription", "subscriptionId", "webhookId"]);
        let all = query.flag("explain", false) && one.is_none();
        if !all {
            query.refuse_page("goes with explain=true alone: a page of subscriptions");
        }
        let page = query.page();
        match one {
            Some(one) => Self::One(one),
            None if all => Self::All(page),
            None => Self::Nothing,
        }
    }
}

/// What became of an event for one subscription.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Explanation)]
pub struct ExplanationView {
    subscription_id: SubscriptionId,
    webhook_id: SubscriptionId,
    name: String,
    /// A delivery of it was made.
    matched: bool,
    /// The state of that delivery, or why there is none.
    reason: &'static str,
    /// The same in a sentence.
    detail: String,
    delivery_id: Option<DeliveryId>,
    /// What the subscription wants now, where that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    patterns: Option<Vec<String>>,
    /// What holds the delivery, where it is pending.
    held_by: Vec<HeldView>,
}

/// Something that holds a delivery.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HeldBy)]
struct HeldView {
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// The delivery that has to come first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    behind: Option<DeliveryId>,
}

impl HeldView {
    fn by(by: &'static str) -> Self {
        Self {
            by,
            until: None,
            reason: None,
            behind: None,
        }
    }

    fn until(by: &'static str, until: Option<Timestamp>) -> Self {
        Self {
            until,
            ..Self::by(by)
        }
    }
}

/// What was asked for. Where another tenant is the reason, administrators alone are told.
pub async fn explain(
    app: &HttpState,
    caller: &Caller,
    event: &EventRow,
    asked: Asked,
) -> Result<Option<PageView<ExplanationView>>> {
    let (subscriptions, next, partial, limit) = match asked {
        Asked::Nothing => return Ok(None),
        Asked::One(id) => {
            let found = app.store.subscription(id).await?;
            let found = found.filter(|found| may_be_told(caller, found, event));
            let found = found.ok_or_else(|| ApiError::not_found("subscription"))?;
            (vec![found], None, false, 1)
        }
        Asked::All(request) => {
            let tenant = caller.tenant.as_deref();
            let mut page = app.store.list_subscriptions(tenant, &request).await?;
            page.rows.retain(|found| may_be_told(caller, found, event));
            (page.rows, page.next, page.partial, request.limit)
        }
    };
    let of = |one: &Subscription| DeliveryId::of(event.event.id, one.id);
    let ids: Vec<DeliveryId> = subscriptions.iter().map(of).collect();
    let rows = app.store.delivery_rows(&ids).await?;
    let mut rows: HashMap<DeliveryId, DeliveryRow> =
        rows.into_iter().map(|row| (row.id, row)).collect();
    let mut data = Vec::with_capacity(subscriptions.len());
    for subscription in &subscriptions {
        data.push(match rows.remove(&of(subscription)) {
            Some(row) => with_delivery(app, subscription, &row).await?,
            None => without_delivery(subscription, event),
        });
    }
    Ok(Some(PageView {
        data,
        next_cursor: next.map(write_cursor),
        partial,
        limit,
    }))
}

fn may_be_told(caller: &Caller, subscription: &Subscription, event: &EventRow) -> bool {
    caller.sees(subscription.tenant.as_deref())
        && (caller.scopes.allow(Scope::Admin)
            || subscription.why_not(&event.event) != Some(WhyNot::OtherTenant))
}

fn without_delivery(subscription: &Subscription, event: &EventRow) -> ExplanationView {
    let received = event.event.received_at;
    let (reason, detail) = match subscription.why_not(&event.event) {
        Some(why) => {
            let detail = match why {
                WhyNot::Deleted => "The subscription is deleted, and had no delivery of this event",
                WhyNot::OtherTenant => {
                    "The event belongs to a tenant, and the subscription to another or to none"
                }
                WhyNot::OwnEventRules => {
                    "Posthaste's own events go to subscriptions without a tenant only, and never \
                     to the one that they are about"
                }
                WhyNot::NoMatch => "None of the subscription's patterns matches the event's type",
            };
            (why.as_str(), detail)
        }
        None if subscription.created_at > received => (
            "created_later",
            "The subscription was made after the event came; a replay brings it",
        ),
        None if subscription.updated_at > received => (
            "changed_later",
            "The subscription would get this event now, and was changed after it came; a replay \
             brings it",
        ),
        None => (
            "unknown",
            "The subscription would get this event now, and nothing says why it did not then",
        ),
    };
    let texts = |pattern: &EventPattern| pattern.as_str().to_owned();
    let patterns = || subscription.event_types.iter().map(texts).collect();
    ExplanationView {
        subscription_id: subscription.id,
        webhook_id: subscription.id,
        name: subscription.name.clone(),
        matched: false,
        reason,
        detail: detail.to_owned(),
        delivery_id: None,
        patterns: (reason == WhyNot::NoMatch.as_str()).then(patterns),
        held_by: Vec::new(),
    }
}

async fn with_delivery(
    app: &HttpState,
    subscription: &Subscription,
    row: &DeliveryRow,
) -> Result<ExplanationView> {
    let last = row.last_attempt.as_ref();
    let error = last.and_then(|attempt| attempt.error_message.as_deref());
    let held_by = match row.state {
        DeliveryState::Pending => holds(app, subscription, row).await?,
        _ => Vec::new(),
    };
    let detail = match row.state {
        DeliveryState::Delivered => "It was delivered".to_owned(),
        DeliveryState::Skipped => {
            "It was held back by a rule and skipped; a retry or a replay sends it".to_owned()
        }
        DeliveryState::Cancelled => {
            "It was cancelled: by an operator, or because its subscription was deleted".to_owned()
        }
        DeliveryState::Failed => format!(
            "Its attempts are used up; the last one ended so: {}",
            error.unwrap_or("nothing is known")
        ),
        DeliveryState::Expired => "It became too old before it could be delivered".to_owned(),
        DeliveryState::Pending => {
            let holds: Vec<&str> = held_by.iter().map(|held| held.by).collect();
            match holds.as_slice() {
                [] => "It is about to be sent".to_owned(),
                holds => format!("It is pending: {}", holds.join(", ")),
            }
        }
    };
    Ok(ExplanationView {
        subscription_id: subscription.id,
        webhook_id: subscription.id,
        name: subscription.name.clone(),
        matched: true,
        reason: row.state.as_str(),
        detail,
        delivery_id: Some(row.id),
        patterns: None,
        held_by,
    })
}

/// What is known of what may hold a delivery.
struct Facts<'a> {
    subscription: &'a Subscription,
    row: &'a DeliveryRow,
    runtime: Runtime,
    live: Option<Live>,
    /// An attempt of it is being made or recorded.
    flying: bool,
    /// The first of its line that is pending.
    head: Option<DeliveryId>,
    /// What failed and keeps its line from going on.
    blocking: Option<BlockingRow>,
    /// As many attempts are in flight as the node may have.
    node_at_bound: bool,
    max_in_flight: u32,
    now: Timestamp,
}

async fn holds(
    app: &HttpState,
    subscription: &Subscription,
    row: &DeliveryRow,
) -> Result<Vec<HeldView>> {
    let line = row
        .line
        .as_ref()
        .filter(|_| subscription.ordering.name().is_some());
    let (mut head, mut blocking) = (None, None);
    if let Some(line) = line {
        let first = [(line.clone(), i64::MIN)];
        let first = app.store.lines_after(subscription.id, &first, 1).await?;
        head = first.first().map(|(_, row)| row.delivery.id);
        let rows = ordering::blocking(app, subscription, None, MOST_BLOCKED).await?;
        blocking = rows.into_iter().find(|blocking| blocking.line == *line);
    }
    let standard = app.settings.delivery.max_in_flight;
    let facts = Facts {
        subscription,
        row,
        runtime: app.store.runtime(subscription.id).await?,
        live: app.relay.live(subscription.id),
        flying: app.relay.is_flying(subscription.id, row.id) == Some(true),
        head,
        blocking,
        node_at_bound: app.relay.is_at_bound(),
        max_in_flight: subscription.max_in_flight.unwrap_or(standard),
        now: clock::now(),
    };
    Ok(facts.holds())
}

impl Facts<'_> {
    /// Everything that holds the delivery, what takes longest to pass first.
    fn holds(&self) -> Vec<HeldView> {
        if self.flying {
            return vec![HeldView::by("in_flight")];
        }
        let mut holds = Vec::new();
        let reason = self.subscription.state_change.reason.clone();
        match self.subscription.state {
            SubscriptionState::Active => {}
            held => holds.push(HeldView {
                reason,
                ..HeldView::by(held.as_str())
            }),
        }
        if let Some(blocking) = &self.blocking {
            holds.push(HeldView {
                behind: Some(blocking.delivery),
                reason: Some(blocking.state.as_str().to_owned()),
                ..HeldView::by("blocked_line")
            });
        } else if let Some(head) = self.head.filter(|head| *head != self.row.id) {
            holds.push(HeldView {
                behind: Some(head),
                ..HeldView::by("behind_in_line")
            });
        }
        holds.extend(self.breaker());
        let live = self.live.as_ref();
        let hold_until = live.and_then(|live| live.hold_until);
        let hold_until = hold_until.max(self.runtime.hold_until);
        if hold_until.is_some_and(|until| until > self.now) {
            holds.push(HeldView::until("retry_after", hold_until));
        }
        if self.row.due_at > self.now {
            holds.push(HeldView::until("retry_at", Some(self.row.due_at)));
        }
        if let Some(wait) = live.and_then(|live| live.token_in) {
            holds.push(HeldView::until("rate_limit", Some(self.now.plus(wait))));
        }
        // All of this passes by itself and is worth a word only where nothing else is in the way.
        if holds.is_empty()
            && let Some(live) = live
        {
            let most = live.ramp.unwrap_or(u32::MAX).min(self.max_in_flight);
            if live.in_flight >= most {
                holds.push(HeldView::by("max_in_flight"));
            } else if self.node_at_bound {
                holds.push(HeldView::by("node_at_bound"));
            }
        }
        holds
    }

    fn breaker(&self) -> Option<HeldView> {
        let live = self.live.as_ref().and_then(|live| live.breaker);
        let stored = self.runtime.breaker;
        let (state, until) = match (live, stored) {
            (Some(live), _) => (live.state, live.until),
            (None, Some(stored)) => (stored.state, stored.until),
            (None, None) => return None,
        };
        match state {
            BreakerState::Closed => None,
            BreakerState::Open => Some(HeldView::until("breaker_open", until)),
            BreakerState::HalfOpen => Some(HeldView::by("breaker_probing")),
        }
    }
}
