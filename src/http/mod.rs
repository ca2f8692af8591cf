//! The way in over HTTP. This page is the table of contents: every route there is.
//!
//! Routes stand under `/api/v1` and, for the systems that Posthaste replaces, under `/api`.
//! Everything but health needs a key. What a handler decides is written in its resource's
//! file; what every request goes through, in `frame.rs` and `auth.rs`; how it comes here, in
//! `server.rs`, `connection.rs` and `front.rs`.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{self, MethodRouter};
use url::Url;

use crate::actors::Relay;
use crate::settings::Settings;
use crate::store::Store;

mod auth;
mod bare;
mod body;
mod body_budget;
mod connection;
mod connection_timer;
mod deliveries;
mod error;
mod event_answer;
mod event_fields;
pub mod event_input;
mod events;
mod frame;
mod front;
mod health;
mod history;
mod job_input;
mod job_view;
mod jobs;
mod json_fields;
mod ordering;
mod own_headers;
mod paging;
mod path;
mod runtime;
pub mod server;
mod subscription_input;
mod subscription_view;
mod subscriptions;
mod text;
mod to_the_end;
mod view;
mod write_deadline;

pub use auth::AdminKey;
use body_budget::BodyBudget;
use error::ApiError;
use frame::Bounds;
use front::Front;

/// What the handlers work with.
#[derive(Clone)]
pub struct HttpState {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The actors.
    pub relay: Relay,
    /// Who may call.
    pub admin_key: AdminKey,
    /// What is in force.
    pub settings: Arc<Settings>,
    /// Which receivers are allowed.
    pub guard: Arc<dyn UrlGuard>,
}

/// Says whether a receiver's URL may be stored. What its name resolves to is looked at when
/// it is called.
pub trait UrlGuard: Send + Sync + 'static {
    /// `Err` says what is wrong, in words that follow on "url".
    fn check(&self, url: &Url) -> Result<(), String>;
}

/// Where the routes stand.
const BASES: [&str; 2] = ["/api/v1", "/api"];
/// Where events come in, mostly by the short way (`front.rs`).
const EVENTS: &str = "/events";
/// Resources with a second name.
const ALIASES: [(&str, &str); 1] = [("/subscriptions", "/webhooks")];

/// Routes that need the key, relative to each of the bases.
fn guarded_routes() -> Vec<Route<HttpState>> {
    vec![
        Route::post(EVENTS, events::create),
        Route::get(EVENTS, events::list),
        Route::get("/events/{id}", events::show),
        Route::post("/subscriptions", subscriptions::create),
        Route::get("/subscriptions", subscriptions::list),
        Route::get("/subscriptions/{id}", subscriptions::show),
        Route::put("/subscriptions/{id}", subscriptions::change),
        Route::patch("/subscriptions/{id}", subscriptions::change),
        Route::delete("/subscriptions/{id}", subscriptions::delete),
        Route::post("/subscriptions/{id}/pause", subscriptions::pause),
        Route::post("/subscriptions/{id}/resume", subscriptions::resume),
        Route::post("/subscriptions/{id}/reactivate", subscriptions::reactivate),
        Route::post(
            "/subscriptions/{id}/cancel-pending",
            subscriptions::cancel_pending,
        ),
        Route::get("/subscriptions/{id}/runtime", runtime::show),
        Route::post("/subscriptions/{id}/retry-failed", jobs::retry_failed),
        Route::post("/subscriptions/{id}/replay", jobs::replay),
        Route::get("/subscriptions/{id}/history", history::list),
        Route::get("/subscriptions/{id}/secret", subscriptions::secret),
        Route::get(
            "/subscriptions/{id}/deliveries",
            deliveries::list_of_subscription,
        ),
        Route::get("/subscriptions/{id}/blocked-keys", ordering::blocked_keys),
        Route::get("/deliveries", deliveries::list),
        Route::get("/deliveries/{id}", deliveries::show),
        Route::post("/deliveries/{id}/retry", deliveries::retry),
        Route::post("/deliveries/{id}/cancel", deliveries::cancel),
        Route::post("/deliveries/{id}/skip", ordering::skip),
        Route::get("/jobs", jobs::list),
        Route::get("/jobs/{id}", jobs::show),
        Route::post("/jobs/{id}/cancel", jobs::cancel),
    ]
}

/// Routes that anyone may call, from the root.
fn open_routes() -> Vec<Route<HttpState>> {
    vec![
        Route::get("/health", health::overview),
        Route::get("/health/live", health::live),
        Route::get("/health/ready", health::ready),
    ]
}

/// All of it.
pub fn front(state: HttpState) -> Front {
    let server = &state.settings.server;
    let bounds = Bounds {
        time: server.request_timeout,
        bodies: BodyBudget::new(server.max_request_bytes),
    };
    let key = state.admin_key;
    let router = assemble(guarded_routes(), open_routes(), key, bounds.clone());
    Front {
        router: router.with_state(state.clone()),
        short: Route::post(EVENTS, events::create).paths(),
        bounds,
        state,
    }
}

/// One method of one path.
struct Route<S> {
    /// For the tests, which walk the table.
    #[cfg_attr(not(test), expect(dead_code))]
    method: Method,
    path: &'static str,
    handler: MethodRouter<S>,
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {
        impl<S: Clone + Send + Sync + 'static> Route<S> {
            $(fn $name<T: 'static>(path: &'static str, handler: impl Handler<T, S>) -> Self {
                Self { method: Method::$method, path, handler: routing::$name(handler) }
            })*
        }
    };
}
methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE);

impl<S> Route<S> {
    /// Every path that leads to this route.
    fn paths(&self) -> Vec<String> {
        let alias = ALIASES.iter().find_map(|(name, alias)| {
            let rest = self.path.strip_prefix(name)?;
            Some(format!("{alias}{rest}"))
        });
        let names: Vec<String> = std::iter::once(self.path.to_owned()).chain(alias).collect();
        BASES
            .iter()
            .flat_map(|base| names.iter().map(move |name| format!("{base}{name}")))
            .collect()
    }
}

fn assemble<S: Clone + Send + Sync + 'static>(
    guarded: Vec<Route<S>>,
    open: Vec<Route<S>>,
    key: AdminKey,
    bounds: Bounds,
) -> Router<S> {
    let mut behind_key = Router::new();
    for route in guarded {
        for path in route.paths() {
            behind_key = behind_key.route(&path, route.handler.clone());
        }
    }
    let behind_key = behind_key
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_route)
        .layer(from_fn_with_state(key, auth::require_key));
    open.into_iter()
        .fold(Router::new(), |router, route| {
            router.route(route.path, route.handler)
        })
        .method_not_allowed_fallback(wrong_method)
        .merge(behind_key)
        .layer(from_fn_with_state(bounds, frame::frame))
}

async fn no_route() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "There is no such route")
}

/// Answered with `Allow`, which the router adds.
async fn wrong_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "This route does not take that method",
    )
}

#[cfg(test)]
mod tests;
