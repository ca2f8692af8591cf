//! `GET /system`: the process that answers, as those see it who run it: its supervision tree, who
//! owns the deliveries, and how full it is. `GET /system/settings`: what is in force.
//!
//! All of it is of this process alone; behind a load balancer another one may answer next. What
//! several processes are together stands in `nodes.rs`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::auth::{Asking, check_of_all};
use super::error::Result;
use super::health::HealthView;
use super::view::millis;
use crate::actors::{ActorPicture, Queue, Tree};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::id::SubscriptionId;
use crate::metrics::Gauges;
use crate::settings::{Settings, Shown};

/// The process.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = System)]
pub struct SystemView {
    node: NodeView,
    ownership: OwnershipView,
    health: HealthView,
    load: LoadView,
    /// The children of the root, as far as this role has them.
    actors: Vec<ActorView>,
    subscriptions: SubscriptionActorsView,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Node)]
struct NodeView {
    /// What it calls itself to others: host, process and a number.
    name: String,
    version: &'static str,
    role: &'static str,
    #[schema(value_type = ProfileWord)]
    profile: &'static str,
    started_at: Timestamp,
    uptime_ms: u64,
    process_id: u32,
    /// Null where the system does not say.
    resident_bytes: Option<u64>,
}

/// Which store: SQLite, or Postgres.
#[derive(ToSchema)]
#[schema(as = Profile, rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum ProfileWord {
    Embedded,
    Distributed,
}

/// Who delivers: one process at a time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ownership)]
struct OwnershipView {
    /// This process does.
    delivers: bool,
    /// Rises when the deliveries change hands; null where this process never had them.
    epoch: Option<i64>,
    /// Who does instead; null where this process delivers, or nobody told.
    owner: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Load)]
struct LoadView {
    /// Attempts in flight.
    in_flight: UsageView,
    /// Bytes of payload in windows.
    window_bytes: UsageView,
    /// How long the oldest outcome has waited to be recorded.
    record_lag_ms: f64,
    /// Pending deliveries, counted up to a bound; null where the store did not say.
    pending: Option<u64>,
    /// How long a delivery could have been sent that was not.
    overdue_ms: f64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(super) struct UsageView {
    pub(super) count: u64,
    pub(super) most: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Actor)]
struct ActorView {
    name: &'static str,
    purpose: &'static str,
    /// Since when it lives; null between two lives.
    since: Option<Timestamp>,
    /// How often it was started again since the process began.
    restarts: u64,
    last_death: Option<DeathView>,
    /// What stands before it; null where it only tells itself what to do.
    waiting: Option<QueueView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActorDeath)]
struct DeathView {
    at: Timestamp,
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActorQueue)]
struct QueueView {
    /// `events`, `outcomes` or `messages`.
    of: &'static str,
    count: usize,
    /// How many there may be; null where other bounds hold it.
    most: Option<usize>,
}

/// The actors of subscriptions, children of the dispatcher.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionActors)]
struct SubscriptionActorsView {
    /// How many live; idle ones retire.
    live: usize,
    /// How often any of these was started again.
    restarts: u64,
    /// Those that were most often, up to 20.
    restarted: Vec<RestartedView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RestartedSubscription)]
struct RestartedView {
    id: SubscriptionId,
    restarts: u32,
}

impl SystemView {
    fn new(tree: Tree, health: HealthView, gauges: &Gauges, settings: &Settings) -> Self {
        let usage = |(count, most)| UsageView {
            count: wide(count),
            most: wide(most),
        };
        let restarted = tree.subscriptions.restarted.into_iter();
        Self {
            node: NodeView {
                name: tree.holder,
                version: env!("CARGO_PKG_VERSION"),
                role: settings.engine.role.as_str(),
                profile: settings.profile(),
                started_at: tree.started_at,
                uptime_ms: millis(clock::now().since(tree.started_at)),
                process_id: std::process::id(),
                resident_bytes: gauges.resident_bytes,
            },
            ownership: OwnershipView {
                delivers: tree.delivers,
                epoch: tree.epoch,
                owner: tree.owner,
            },
            health,
            load: LoadView {
                in_flight: usage(gauges.in_flight),
                window_bytes: usage(gauges.window_bytes),
                record_lag_ms: gauges.outcomes_lag * 1_000.0,
                pending: gauges.pending,
                overdue_ms: gauges.overdue * 1_000.0,
            },
            actors: tree.actors.into_iter().map(ActorView::new).collect(),
            subscriptions: SubscriptionActorsView {
                live: tree.subscriptions.live,
                restarts: tree.subscriptions.restarts,
                restarted: restarted
                    .map(|(id, restarts)| RestartedView { id, restarts })
                    .collect(),
            },
        }
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl ActorView {
    fn new(actor: ActorPicture) -> Self {
        Self {
            name: actor.name,
            purpose: actor.purpose,
            since: actor.since,
            restarts: actor.restarts,
            last_death: actor.last_death.map(|death| DeathView {
                at: death.at,
                reason: death.reason,
            }),
            waiting: actor
                .waiting
                .map(|Queue { of, count, most }| QueueView { of, count, most }),
        }
    }
}

/// Neither the node nor its settings are any tenant's.
pub(super) fn of_the_whole(caller: &Caller) -> Result<()> {
    check_of_all(caller, "look at the whole relay")
}

/// `GET /system`.
#[utoipa::path(
    get,
    path = "/system",
    tag = "relay",
    operation_id = "system",
    summary = "The process that answers: its supervision tree, who owns the deliveries, how full it is",
    responses((status = 200, description = "As it is at this moment.", body = SystemView))
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
) -> Result<Json<SystemView>> {
    of_the_whole(&caller)?;
    let gauges = app.relay.gauges().await;
    let health = HealthView::new(&app.relay.health().await, true);
    let tree = app.relay.tree();
    Ok(Json(SystemView::new(tree, health, &gauges, &app.settings)))
}

/// The settings in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettingsInForce)]
pub struct SettingsView {
    data: Vec<SettingView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Setting)]
struct SettingView {
    section: &'static str,
    key: &'static str,
    /// As TOML has it; secrets are masked.
    value: String,
    /// Where it came from: a file, the environment or a flag; null where it is the default.
    source: Option<String>,
}

impl From<Shown> for SettingView {
    fn from(shown: Shown) -> Self {
        Self {
            section: shown.section,
            key: shown.key,
            value: shown.value,
            source: shown.source,
        }
    }
}

/// `GET /system/settings`.
#[utoipa::path(
    get,
    path = "/system/settings",
    tag = "relay",
    operation_id = "settings",
    summary = "The settings in force, and where they came from",
    description = "In the order of config/default.toml, which says what each means. Secrets are masked.",
    responses((status = 200, description = "Those of the process that answers.", body = SettingsView))
)]
pub async fn settings(
    State(app): State<HttpState>,
    Asking(caller): Asking,
) -> Result<Json<SettingsView>> {
    of_the_whole(&caller)?;
    let data = app.settings.shown().into_iter().map(SettingView::from);
    Ok(Json(SettingsView {
        data: data.collect(),
    }))
}
