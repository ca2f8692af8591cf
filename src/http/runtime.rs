//! `GET /subscriptions/{id}/runtime`: how a subscription is doing at this moment.
//!
//! What the process that owns the deliveries knows live, and what every process can read from
//! the store: index probes and a bounded count. Where another process owns them, what only
//! that one knows is null, and `owner` says so.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::auth::Asking;
use super::belonging;
use super::error::Result;
use super::ordering;
use super::path::PathId;
use super::view::millis;
use crate::actors::{Live, LiveBreaker, Owner};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::breaker::BreakerState;
use crate::domain::id::{AttemptId, DeliveryId, SubscriptionId};
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::settings::Settings;
use crate::store::{LastFailure, Runtime, Standing};

/// Pending deliveries counted at most.
const MOST_COUNTED: u32 = 10_000;

/// All of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Runtime)]
struct RuntimeView {
    id: SubscriptionId,
    #[schema(value_type = SubscriptionState)]
    state: &'static str,
    state_reason: Option<String>,
    #[schema(value_type = OwnerWord)]
    owner: &'static str,
    breaker: BreakerView,
    hold_until: Option<Timestamp>,
    tokens_left: Option<u32>,
    in_flight: InFlightView,
    window: Option<WindowView>,
    backlog: BacklogView,
    drain: DrainView,
    last_error: Option<ErrorView>,
    restarts: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LiveBreaker)]
struct BreakerView {
    #[schema(value_type = BreakerState)]
    state: &'static str,
    next_probe_at: Option<Timestamp>,
    opened_in_a_row: u32,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InFlight)]
struct InFlightView {
    count: Option<u32>,
    most: u32,
    /// What is allowed at first, after a recovery.
    ramp: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuntimeWindow)]
struct WindowView {
    held: usize,
    waiting: usize,
    most: usize,
    caught_up: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Backlog)]
struct BacklogView {
    count: u64,
    /// There are more: the count ended there.
    at_least: bool,
    oldest_at: Option<Timestamp>,
    oldest_age_ms: Option<u64>,
    /// A line waits for an operator, and with it what is pending there.
    blocked: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Drain)]
struct DrainView {
    per_second: Option<f64>,
    estimate_ms: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LastError)]
struct ErrorView {
    at: Timestamp,
    kind: Option<String>,
    status: Option<u16>,
    delivery_id: DeliveryId,
    attempt_id: AttemptId,
}

/// Which process owns the deliveries: the one that answers, or another.
#[derive(ToSchema)]
#[schema(as = Owner, rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum OwnerWord {
    This,
    Another,
}

impl From<LastFailure> for ErrorView {
    fn from(failure: LastFailure) -> Self {
        Self {
            at: failure.at,
            kind: failure.kind,
            status: failure.status,
            delivery_id: failure.delivery,
            attempt_id: failure.attempt,
        }
    }
}

/// `GET /subscriptions/{id}/runtime`.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}/runtime",
    tag = "subscriptions",
    operation_id = "runtime",
    summary = "How a subscription is doing now",
    description = "What only the process that owns the deliveries knows is null elsewhere.",
    responses((status = 200, description = "How it is doing.", body = RuntimeView))
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
) -> Result<Response> {
    let found = belonging::subscription(&app, &caller, SubscriptionId(id)).await?;
    let stored = Stored {
        runtime: app.store.runtime(found.id).await?,
        standing: app.store.standing(found.id, MOST_COUNTED + 1).await?,
        blocked: ordering::blocks_any(&app, &found).await?,
    };
    let (owner, live) = (app.relay.owner(), app.relay.live(found.id));
    let now = clock::now();
    let view = view(&found, &app.settings, stored, owner, live, now);
    Ok(Json(view).into_response())
}

/// What the store knows.
struct Stored {
    runtime: Runtime,
    standing: Standing,
    /// Whether a line waits for an operator.
    blocked: bool,
}

fn view(
    subscription: &Subscription,
    settings: &Settings,
    stored: Stored,
    owner: Owner,
    live: Option<Live>,
    now: Timestamp,
) -> RuntimeView {
    let Stored {
        runtime,
        standing,
        blocked,
    } = stored;
    let breaker = breaker_of(&runtime, live.as_ref());
    let most = subscription.max_in_flight;
    let hold_until = live
        .as_ref()
        .and_then(|live| live.hold_until)
        .max(runtime.hold_until.filter(|until| *until > now));
    let flows = subscription.state.delivers()
        && breaker.state == BreakerState::Closed.as_str()
        && hold_until.is_none();
    let mut drain = drain(subscription, &standing, live.as_ref(), flows);
    if blocked && standing.pending > 0 {
        drain.estimate_ms = None;
    }
    let full = subscription.rate_limit.map(|limit| limit.burst());
    RuntimeView {
        id: subscription.id,
        state: subscription.state.as_str(),
        state_reason: subscription.state_change.reason.clone(),
        owner: match owner {
            Owner::This => "this",
            Owner::Another => "another",
        },
        breaker,
        hold_until,
        tokens_left: live.as_ref().and_then(|live| live.tokens.or(full)),
        in_flight: InFlightView {
            count: live.as_ref().map(|live| live.in_flight),
            most: most.unwrap_or(settings.delivery.max_in_flight),
            ramp: live.as_ref().and_then(|live| live.ramp),
        },
        window: live.as_ref().map(|live| WindowView {
            held: live.window.held,
            waiting: live.window.waiting,
            most: settings.delivery.window,
            caught_up: live.window.caught_up,
        }),
        backlog: BacklogView {
            count: standing.pending.min(MOST_COUNTED.into()),
            at_least: standing.pending > MOST_COUNTED.into(),
            oldest_at: standing.oldest,
            oldest_age_ms: standing.oldest.map(|oldest| millis(now.since(oldest))),
            blocked,
        },
        drain,
        last_error: standing.last_failure.map(ErrorView::from),
        restarts: live.map(|live| live.restarts),
    }
}

/// Live where there is an actor, as last kept otherwise.
fn breaker_of(stored: &Runtime, live: Option<&Live>) -> BreakerView {
    let kept = stored.breaker.map(|kept| LiveBreaker {
        state: kept.state,
        until: kept.until,
        opened_in_a_row: kept.opened_in_a_row,
    });
    let known = live.and_then(|live| live.breaker).or(kept);
    BreakerView {
        state: known
            .map_or(BreakerState::Closed, |known| known.state)
            .as_str(),
        next_probe_at: known.and_then(|known| known.until),
        opened_in_a_row: known.map_or(0, |known| known.opened_in_a_row),
    }
}

/// At the pace of late, or else at the rate that is allowed. Unknown while something holds the
/// subscription back or blocks a line of it, and where more is pending than was counted.
fn drain(
    subscription: &Subscription,
    standing: &Standing,
    live: Option<&Live>,
    flows: bool,
) -> DrainView {
    let allowed = subscription
        .rate_limit
        .map(|limit| f64::from(limit.limit) * 1_000.0 / limit.period_ms as f64);
    let per_second = live
        .filter(|_| flows)
        .and_then(|live| live.per_second.or(allowed));
    let counted = standing.pending <= MOST_COUNTED.into();
    let estimate = match (standing.pending, per_second) {
        (0, _) => Some(0),
        (pending, Some(per_second)) if counted => {
            Some((pending as f64 * 1_000.0 / per_second) as u64)
        }
        _ => None,
    };
    DrainView {
        per_second,
        estimate_ms: estimate,
    }
}
