//! The way in over HTTP.
//!
//! Which routes there are stands in `routes.rs`, the table of contents. What a handler decides
//! is written in its resource's file; what every request goes through, in `frame.rs` and
//! `auth.rs`; how it comes here, in `server.rs`, `connection.rs` and `front.rs`.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use axum::middleware::from_fn_with_state;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::CorsLayer;
use url::Url;

use crate::actors::Relay;
use crate::domain::access::Scope;
use crate::settings::Settings;
use crate::store::Store;
use crate::stream::Streams;

mod address;
mod audit;
mod auth;
mod bare;
mod belonging;
mod body;
mod body_budget;
mod connection;
mod connection_timer;
mod cookie;
mod cross_origin;
mod dashboard;
mod dashboard_files;
mod deliveries;
mod error;
mod event_answer;
mod event_fields;
pub mod event_input;
mod event_types;
mod events;
mod explain;
mod frame;
mod front;
mod health;
mod history;
mod job_input;
mod job_view;
mod jobs;
mod json_fields;
mod key_input;
mod key_view;
mod keys;
mod limiting;
mod links;
mod metrics;
mod nodes;
mod openapi;
mod opening;
mod ordering;
mod own_headers;
mod paging;
mod passwords;
mod path;
mod problem;
mod rate_limit_headers;
mod reference;
mod routes;
mod runtime;
mod schema_check;
mod search;
mod search_turns;
mod secrets;
pub mod server;
mod session_view;
mod sessions;
mod sign_in;
mod sign_in_input;
mod statistics;
mod statistics_view;
mod stream;
mod stream_filter;
mod subscription_input;
mod subscription_view;
mod subscriptions;
mod system;
mod tenant_input;
mod tenant_rates;
mod tenants;
mod test_send;
mod test_send_input;
mod test_send_view;
mod text;
mod to_the_end;
mod user_input;
mod user_view;
mod users;
mod view;
mod write_deadline;

use audit::{Audited, Log};
pub use auth::{AdminKey, Gate};
use body_budget::BodyBudget;
use error::{ApiError, Problem};
use frame::Bounds;
use front::Front;
pub use passwords::Passwords;
use routes::{EVENTS, Route, guarded_routes, open_routes};
pub use tenant_rates::TenantRates;
use tenants::FindTenant;

/// What the handlers work with.
#[derive(Clone)]
pub struct HttpState {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The actors.
    pub relay: Relay,
    /// Who may call, and how often.
    pub gate: Arc<Gate>,
    /// What is in force.
    pub settings: Arc<Settings>,
    /// Which receivers are allowed.
    pub guard: Arc<dyn UrlGuard>,
    /// How fast tenants may post.
    pub tenant_rates: Arc<TenantRates>,
    /// What happens, for those who look on.
    pub streams: Streams,
    /// Checks the passwords of users.
    pub passwords: Arc<Passwords>,
}

/// Says whether a receiver's URL may be stored. What its name resolves to is looked at when
/// it is called.
pub trait UrlGuard: Send + Sync + 'static {
    /// `Err` says what is wrong, in words that follow on "url".
    fn check(&self, url: &Url) -> Result<(), String>;
}

/// All of it.
pub fn front(state: HttpState) -> Front {
    let server = &state.settings.server;
    let bounds = Bounds {
        time: server.request_timeout,
        bodies: BodyBudget::new(server.max_request_bytes),
    };
    let cross_origin = cross_origin::layer(&server.cors_origins);
    let is_cross_origin = cross_origin.is_some();
    let around = Around {
        bounds: bounds.clone(),
        cross_origin,
    };
    let router = assemble(guarded_routes(), open_routes(), Door::of(&state), around);
    Front {
        router: router.with_state(state.clone()),
        short: Route::post(EVENTS, Scope::EventsWrite, events::create).paths(),
        bounds,
        is_cross_origin,
        state,
    }
}

/// What stands before the routes that need a key.
#[derive(Clone)]
struct Door {
    /// Who may call, and how often.
    gate: Arc<Gate>,
    /// Whose keys are refused because their tenant is inactive.
    tenants: FindTenant,
    /// Where it is written what callers do.
    log: Log,
}

impl Door {
    fn of(state: &HttpState) -> Self {
        let relay = state.relay.clone();
        let store = Arc::clone(&state.store);
        Self {
            gate: Arc::clone(&state.gate),
            tenants: Arc::new(move |id| relay.tenant(id)),
            log: Arc::new(move |entry| {
                let store = Arc::clone(&store);
                Box::pin(async move { store.audit(&entry).await })
            }),
        }
    }
}

/// The metrics alone, without a key: for a listener of their own.
pub fn metrics_front(state: HttpState) -> Router {
    let server = &state.settings.server;
    let bounds = Bounds {
        time: server.request_timeout,
        bodies: BodyBudget::new(server.max_request_bytes),
    };
    metrics::router()
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(bounds, frame::frame))
        .with_state(state)
}

/// The description of the API.
pub fn api_document() -> utoipa::openapi::OpenApi {
    openapi::document()
}

/// Answers of fewer bytes are sent as they are.
const COMPRESSED_FROM: u64 = 1_024;

/// Marks an answer that shows a secret. It is not compressed: its length would tell how alike the
/// secret is to what a caller put beside it.
#[derive(Clone, Copy, Debug)]
struct ShowsSecret;

/// What is around all routes.
struct Around {
    bounds: Bounds,
    /// For browsers, where any origin is allowed.
    cross_origin: Option<CorsLayer>,
}

fn assemble<S: Clone + Send + Sync + 'static>(
    guarded: Vec<Route<S>>,
    open: Vec<Route<S>>,
    door: Door,
    around: Around,
) -> Router<S> {
    let behind: HashSet<String> = guarded.iter().map(Route::canonical).collect();
    let mut behind_key = Router::new();
    for route in guarded {
        let scope = route.scope.unwrap_or(Scope::Admin);
        let mut handler = route.handler.clone();
        if let Some(audited) = Audited::of(&door.log, &route.method, route.path) {
            handler = handler.layer(from_fn_with_state(audited, audit::keep));
        }
        let handler = handler.layer(from_fn_with_state(
            (scope, route.or, Arc::clone(&door.gate)),
            auth::require_scope,
        ));
        for path in route.paths() {
            behind_key = behind_key.route(&path, handler.clone());
        }
    }
    let behind_key = behind_key
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_route)
        .layer(from_fn_with_state(door.tenants, tenants::require_active))
        .layer(from_fn_with_state(door.gate, auth::require_key));
    let add = |mut router: Router<S>, routes: Vec<Route<S>>| {
        for route in routes {
            for path in route.paths() {
                router = router.route(&path, route.handler.clone());
            }
        }
        router
    };
    // What a path does not take is said by one of the two: where other methods of it stand behind the
    // door, by that one.
    let (shared, alone) = open
        .into_iter()
        .partition(|route| behind.contains(&route.canonical()));
    let router = add(Router::new(), alone).method_not_allowed_fallback(wrong_method);
    let mut router = add(router, shared).merge(behind_key);
    if let Some(layer) = around.cross_origin {
        router = router.layer(layer);
    }
    // An event stream must not wait for a compressor to have enough of it.
    let worth_it = SizeAbove::new(COMPRESSED_FROM)
        .and(NotForContentType::GRPC)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("font/"))
        .and(NotForContentType::SSE)
        .and(
            |_: StatusCode, _: Version, _: &HeaderMap, marks: &Extensions| {
                marks.get::<ShowsSecret>().is_none()
            },
        );
    router
        .layer(from_fn_with_state(around.bounds, frame::frame))
        .layer(CompressionLayer::new().compress_when(worth_it))
}

async fn no_route() -> ApiError {
    ApiError::new(
        Problem::NoSuchRoute,
        "There is no such route; /docs lists all",
    )
}

/// Answered with `Allow`, which the router adds.
async fn wrong_method() -> ApiError {
    ApiError::new(
        Problem::MethodNotAllowed,
        "This route does not take that method; Allow names those that it takes",
    )
}

#[cfg(test)]
mod tests;
