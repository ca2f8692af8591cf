//! What a dashboard shows first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::auth::Asking;
use super::error::Result;
use super::health::HealthView;
use super::paging::Query;
use super::statistics::{read, scope_of};
use super::statistics_view::{FlowView, by_state};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::breaker::BreakerState;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, EventId, SubscriptionId};
use crate::domain::statistics::{Figures, Piece, Scope, Width, cover};
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::store::{CutBreaker, DeliveryFilter, DeliveryRow, PageRequest, StatisticsQuery, Whose};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Subscriptions shown that are in trouble.
const MOST_IN_TROUBLE: usize = 10;
/// Buckets and breakers looked through for them at most.
const MOST_LOOKED_AT: u32 = 5_000;
/// A tenant's subscriptions looked through for them, and for the oldest pending delivery, at most.
const MOST_OWN: usize = 1_000;
/// Attempts within two hours from which on a share of failures says something.
const FEW_ATTEMPTS: u64 = 5;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Overview)]
struct OverviewView {
    generated_at: Timestamp,
    subscriptions: SubscriptionsView,
    events: EventsView,
    deliveries: DeliveriesView,
    backlog: BacklogView,
    rates: RatesView,
    trouble: Vec<TroubleView>,
    health: HealthView,
    /// False where the newest of what happened is not counted in yet.
    complete: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SubscriptionCounts)]
struct SubscriptionsView {
    total: usize,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_state: BTreeMap<&'static str, usize>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EventCounts)]
struct EventsView {
    /// Since this was installed.
    ever: u64,
    /// Since midnight, UTC.
    today: u64,
    last24h: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeliveryCounts)]
struct DeliveriesView {
    #[schema(value_type = BTreeMap<String, u64>)]
    by_state: BTreeMap<&'static str, u64>,
    last24h: FlowView,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BacklogSummary)]
struct BacklogView {
    pending: u64,
    oldest_at: Option<Timestamp>,
    oldest_age_ms: Option<u64>,
}

/// Each second, over the last whole minute and the one that has begun.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Rates)]
struct RatesView {
    over_seconds: f64,
    events_per_second: f64,
    deliveries_per_second: f64,
    attempts_per_second: f64,
    failures_per_second: f64,
}

impl RatesView {
    fn new(figures: &Figures, over: Duration) -> Self {
        let seconds = over.as_secs_f64();
        let rate = |count: u64| (count as f64 / seconds * 1_000.0).round() / 1_000.0;
        Self {
            over_seconds: (seconds * 1_000.0).round() / 1_000.0,
            events_per_second: rate(figures.accepted),
            deliveries_per_second: rate(figures.came_into(DeliveryState::Delivered)),
            attempts_per_second: rate(figures.all_attempts()),
            failures_per_second: rate(figures.ended_undelivered()),
        }
    }
}

/// A subscription that an operator should look at.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Trouble)]
struct TroubleView {
    id: SubscriptionId,
    webhook_id: SubscriptionId,
    name: String,
    #[schema(value_type = SubscriptionState)]
    state: &'static str,
    state_reason: Option<String>,
    #[schema(value_type = BreakerState)]
    breaker: &'static str,
    open_until: Option<Timestamp>,
    /// Of its attempts in this hour and the one before.
    failure_rate: Option<f64>,
    attempts: u64,
}

/// `GET /dashboard/overview`.
#[utoipa::path(
    get,
    path = "/dashboard/overview",
    tag = "dashboard",
    summary = "Show the whole at a glance",
    description = "Of everything, or of what is the tenant's whose key it is. docs/statistics.md says what each number means.",
    responses(
        (status = 200, description = "The overview.", body = OverviewView),
        (status = 400, description = "A query was sent, which nobody would read."),
    )
)]
pub async fn overview(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    Query::of(raw.as_deref(), &[]).done()?;
    let now = clock::now();
    let seen = seen_by(&app, &caller);
    let day = cover(now.minus(DAY), now, Width::Minute);
    let today = cover(Width::Day.start_of(now), now, Width::Minute);
    let begun = Width::Minute.start_of(now).minus(MINUTE);
    let lately = cover(begun, now, Width::Minute);
    let mut pieces = vec![Piece::EVER];
    pieces.extend(day.iter().chain(&today).chain(&lately));
    let (found, trouble, oldest, health) = tokio::join!(
        read(&app, vec![scope_of(&caller)], pieces),
        in_trouble(&app, &caller, &seen, now),
        oldest_pending(&app, &caller, &seen),
        app.relay.health(),
    );
    let (found, oldest) = (found?, oldest?);
    let ever = found.sum(&[Piece::EVER]);
    let mut states: BTreeMap<&'static str, usize> = BTreeMap::new();
    for state in SubscriptionState::ALL {
        let count = seen.iter().filter(|one| one.state == state).count();
        if state != SubscriptionState::Deleted {
            states.insert(state.as_str(), count);
        }
    }
    let view = OverviewView {
        generated_at: now,
        subscriptions: SubscriptionsView {
            total: seen.len(),
            by_state: states,
        },
        events: EventsView {
            ever: ever.accepted,
            today: found.sum(&today).accepted,
            last24h: found.sum(&day).accepted,
        },
        deliveries: DeliveriesView {
            by_state: by_state(&ever),
            last24h: FlowView::new(&found.sum(&day)),
        },
        backlog: BacklogView {
            pending: ever.now_in(DeliveryState::Pending),
            oldest_at: oldest,
            oldest_age_ms: oldest
                .map(|oldest| u64::try_from(now.since(oldest).as_millis()).unwrap_or(u64::MAX)),
        },
        rates: RatesView::new(&found.sum(&lately), now.since(begun)),
        trouble: trouble?,
        health: HealthView::new(&health, caller.administers_all()),
        complete: !found.behind,
    };
    Ok(Json(view).into_response())
}

/// The subscriptions that are there for a caller.
fn seen_by(app: &HttpState, caller: &Caller) -> Vec<Arc<Subscription>> {
    let mut all = app.relay.subscriptions();
    all.retain(|one| caller.sees(one.tenant.as_deref()));
    all
}

async fn oldest_pending(
    app: &HttpState,
    caller: &Caller,
    seen: &[Arc<Subscription>],
) -> Result<Option<Timestamp>> {
    let own: Vec<SubscriptionId>;
    let of = match caller.tenant {
        None => None,
        Some(_) => {
            let ids = seen.iter().map(|one| one.id);
            own = ids.take(MOST_OWN).collect();
            Some(own.as_slice())
        }
    };
    Ok(app.store.oldest_pending_since(of).await?)
}

/// Those that a rule holds, then those whose breaker is not closed, then those that fail most.
async fn in_trouble(
    app: &HttpState,
    caller: &Caller,
    seen: &[Arc<Subscription>],
    now: Timestamp,
) -> Result<Vec<TroubleView>> {
    let piece = Piece {
        width: Width::Hour,
        from: Width::Hour.start_of(now).minus(HOUR),
        until: now.plus(HOUR),
    };
    let whose = match caller.tenant {
        None => Whose::Subscriptions {
            most: MOST_LOOKED_AT,
        },
        Some(_) => {
            let own = seen.iter().map(|one| Scope::Subscription(one.id));
            Whose::Scopes(own.take(MOST_OWN).collect())
        }
    };
    let query = StatisticsQuery {
        whose,
        pieces: vec![piece],
    };
    let (found, cut) = tokio::join!(
        app.store.statistics(&query),
        app.store.cut_breakers(MOST_LOOKED_AT)
    );
    let mut lately: HashMap<SubscriptionId, Figures> = HashMap::new();
    for bucket in found?.buckets {
        if let Scope::Subscription(id) = bucket.scope {
            lately.entry(id).or_default().add(&bucket.figures);
        }
    }
    let cut: HashMap<SubscriptionId, CutBreaker> = cut?
        .into_iter()
        .map(|one| (one.subscription, one))
        .collect();
    let mut trouble: Vec<_> = seen
        .iter()
        .filter_map(|one| Trouble::of(one, cut.get(&one.id), lately.get(&one.id)))
        .collect();
    trouble.sort_by(Trouble::worse_first);
    trouble.truncate(MOST_IN_TROUBLE);
    Ok(trouble.iter().map(Trouble::view).collect())
}

struct Trouble<'a> {
    subscription: &'a Subscription,
    breaker: Option<&'a CutBreaker>,
    failure_rate: Option<f64>,
    attempts: u64,
}

impl<'a> Trouble<'a> {
    fn of(
        subscription: &'a Subscription,
        breaker: Option<&'a CutBreaker>,
        lately: Option<&Figures>,
    ) -> Option<Self> {
        let attempts = lately.map_or(0, Figures::all_attempts);
        let failure_rate = lately.and_then(Figures::failure_rate);
        let fails = attempts >= FEW_ATTEMPTS && failure_rate.is_some_and(|rate| rate > 0.0);
        let trouble = subscription.is_held_by_rule() || breaker.is_some() || fails;
        trouble.then_some(Self {
            subscription,
            breaker,
            failure_rate,
            attempts,
        })
    }

    fn worse_first(&self, other: &Self) -> std::cmp::Ordering {
        let key = |one: &Self| {
            let held = one.subscription.is_held_by_rule();
            (
                held,
                one.breaker.is_some(),
                one.failure_rate.unwrap_or(0.0),
                one.attempts,
            )
        };
        let order = key(other).partial_cmp(&key(self));
        let order = order.unwrap_or(std::cmp::Ordering::Equal);
        order.then_with(|| self.subscription.id.cmp(&other.subscription.id))
    }

    fn view(&self) -> TroubleView {
        let subscription = self.subscription;
        TroubleView {
            id: subscription.id,
            webhook_id: subscription.id,
            name: subscription.name.clone(),
            state: subscription.state.as_str(),
            state_reason: subscription.state_change.reason.clone(),
            breaker: self
                .breaker
                .map_or("closed", |breaker| breaker.state.as_str()),
            open_until: self.breaker.and_then(|breaker| breaker.until),
            failure_rate: self.failure_rate,
            attempts: self.attempts,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecentDelivery)]
struct RecentView {
    id: DeliveryId,
    event_id: EventId,
    event_type: String,
    subscription_id: SubscriptionId,
    webhook_id: SubscriptionId,
    /// Null where the subscription is deleted.
    subscription_name: Option<String>,
    #[schema(value_type = DeliveryState)]
    state: &'static str,
    #[schema(value_type = DeliveryState)]
    status: &'static str,
    attempt_count: u32,
    http_status: Option<u16>,
    error: Option<String>,
    /// Of the last attempt.
    duration_ms: Option<f64>,
    last_attempt_at: Option<Timestamp>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
}

impl RecentView {
    fn new(row: DeliveryRow, subscription: Option<&Subscription>) -> Self {
        let last = row.last_attempt;
        Self {
            id: row.id,
            event_id: row.event_id,
            event_type: row.event_type,
            subscription_id: row.subscription_id,
            webhook_id: row.subscription_id,
            subscription_name: subscription.map(|one| one.name.clone()),
            state: row.state.as_str(),
            status: row.state.as_str(),
            attempt_count: row.progress.attempts,
            http_status: last.as_ref().and_then(|last| last.status),
            duration_ms: last
                .as_ref()
                .map(|last| last.duration.as_micros() as f64 / 1_000.0),
            last_attempt_at: last.as_ref().map(|last| last.started_at),
            error: last.and_then(|last| last.error_message),
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = RecentDeliveries)]
struct RecentsView {
    data: Vec<RecentView>,
    limit: u32,
    /// The walk ended at its bound before there were so many.
    partial: bool,
}

/// `GET /dashboard/recent-deliveries`: the newest, up to 100.
#[utoipa::path(
    get,
    path = "/dashboard/recent-deliveries",
    tag = "dashboard",
    operation_id = "recent_deliveries",
    summary = "List the newest deliveries",
    description = "With the names of their subscriptions.",
    params(("limit" = Option<u32>, Query, description = "How many at most; by default 50.", minimum = 1, maximum = 100)),
    responses((status = 200, description = "The newest deliveries.", body = RecentsView))
)]
pub async fn recent(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let mut query = Query::of(raw.as_deref(), &["limit"]);
    let limit = query.limit();
    query.done()?;
    let filter = DeliveryFilter {
        tenant: caller.tenant.as_deref().map(str::to_owned),
        ..DeliveryFilter::default()
    };
    let request = PageRequest {
        limit,
        after: None,
        offset: 0,
    };
    let page = app.store.list_deliveries(&filter, &request).await?;
    let named = |row: DeliveryRow| {
        let subscription = app.relay.subscription(row.subscription_id);
        RecentView::new(row, subscription.as_deref())
    };
    let view = RecentsView {
        data: page.rows.into_iter().map(named).collect(),
        limit,
        partial: page.partial,
    };
    Ok(Json(view).into_response())
}
