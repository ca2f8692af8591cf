//! Every route there is, and what it takes to be let in.
//!
//! Routes stand under `/api/v1` and, for the systems that Posthaste replaces, under `/api`, some
//! of them under other names and at the root: [`BASES`], [`NAMES`] and [`AT_THE_ROOT`] are all that
//! there is of that. Everything but health and signing in needs a key, or a session, with the scope that
//! stands beside the route.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{self, MethodRouter};

use super::{
    HttpState, audit, dashboard, dashboard_files, deliveries, event_types, events, health, history,
    jobs, keys, links, metrics, nodes, openapi, ordering, reference, runtime, secrets, sessions,
    sign_in, statistics, stream, subscriptions, system, tenants, test_send, users,
};
use crate::domain::access::Scope;

/// Where the routes stand.
const BASES: [&str; 2] = [BASE, "/api"];
/// The canonical one.
const BASE: &str = "/api/v1";
/// Where events come in, mostly by the short way (`front.rs`).
pub(super) const EVENTS: &str = "/events";
/// What stands at the root alone, though it takes a key.
const AT_ROOT: [&str; 1] = [metrics::PATH];
/// Resources with a second name.
const NAMES: [(&str, &str); 2] = [("/subscriptions", "/webhooks"), ("/deliveries", "/logs")];
/// Resources that stand at the root as well, under these names.
const AT_THE_ROOT: [&str; 3] = ["/events", "/webhooks", "/logs"];

/// Routes that need the key, relative to each of the bases.
#[rustfmt::skip] // One route a line.
pub(super) fn guarded_routes() -> Vec<Route<HttpState>> {
    use Scope::{
        Admin, DeliveriesRead, DeliveriesWrite, EventsRead, EventsWrite, SubscriptionsRead,
        SubscriptionsWrite,
    };
    vec![
        Route::post(EVENTS, EventsWrite, events::create),
        Route::get(EVENTS, EventsRead, events::list),
        Route::get("/events/{id}", EventsRead, events::show),
        Route::get("/events/stats/summary", EventsRead, statistics::events_summary),
        Route::delete("/events/{id}/payload", Admin, events::erase_payload),
        Route::post("/event-types", Admin, event_types::create),
        Route::get("/event-types", EventsRead, event_types::list),
        Route::get("/event-types/{name}", EventsRead, event_types::show),
        Route::put("/event-types/{name}", Admin, event_types::replace),
        Route::patch("/event-types/{name}", Admin, event_types::change),
        Route::delete("/event-types/{name}", Admin, event_types::delete),
        Route::post("/subscriptions", SubscriptionsWrite, subscriptions::create),
        Route::get("/subscriptions", SubscriptionsRead, subscriptions::list),
        Route::get("/subscriptions/stats", DeliveriesRead, statistics::sparklines),
        Route::get("/subscriptions/{id}", SubscriptionsRead, subscriptions::show),
        Route::put("/subscriptions/{id}", SubscriptionsWrite, subscriptions::change),
        Route::patch("/subscriptions/{id}", SubscriptionsWrite, subscriptions::change),
        Route::delete("/subscriptions/{id}", SubscriptionsWrite, subscriptions::delete),
        Route::post("/subscriptions/{id}/pause", SubscriptionsWrite, subscriptions::pause),
        Route::post("/subscriptions/{id}/resume", SubscriptionsWrite, subscriptions::resume),
        Route::post("/subscriptions/{id}/reactivate", SubscriptionsWrite, subscriptions::reactivate),
        Route::post("/subscriptions/{id}/cancel-pending", DeliveriesWrite, subscriptions::cancel_pending),
        Route::get("/subscriptions/{id}/runtime", SubscriptionsRead, runtime::show),
        Route::post("/subscriptions/{id}/retry-failed", DeliveriesWrite, jobs::retry_failed),
        Route::post("/subscriptions/{id}/replay", DeliveriesWrite, jobs::replay),
        Route::get("/subscriptions/{id}/history", SubscriptionsRead, history::list),
        Route::get("/subscriptions/{id}/secret", SubscriptionsWrite, secrets::show),
        Route::post("/subscriptions/{id}/rotate-secret", SubscriptionsWrite, secrets::rotate),
        Route::get("/tenants/{id}/secret", Admin, secrets::show_of_tenant),
        Route::post("/tenants/{id}/secret", Admin, secrets::rotate_of_tenant),
        Route::get("/subscriptions/{id}/deliveries", DeliveriesRead, deliveries::list_of_subscription),
        Route::post("/subscriptions/{id}/retry/{event}", DeliveriesWrite, deliveries::retry_of_event),
        Route::get("/subscriptions/{id}/stats", DeliveriesRead, statistics::of_subscription),
        Route::get("/subscriptions/{id}/blocked-keys", DeliveriesRead, ordering::blocked_keys),
        Route::get("/deliveries", DeliveriesRead, deliveries::list),
        Route::get("/deliveries/stats/summary", DeliveriesRead, statistics::deliveries_summary),
        Route::get("/deliveries/{id}", DeliveriesRead, deliveries::show),
        Route::get("/deliveries/{id}/body", DeliveriesRead, deliveries::body),
        Route::post("/deliveries/{id}/retry", DeliveriesWrite, deliveries::retry),
        Route::post("/deliveries/{id}/cancel", DeliveriesWrite, deliveries::cancel),
        Route::post("/deliveries/{id}/skip", DeliveriesWrite, ordering::skip),
        Route::get("/dashboard/overview", DeliveriesRead, dashboard::overview),
        Route::get("/dashboard/metrics", DeliveriesRead, statistics::metrics),
        Route::get("/dashboard/recent-deliveries", DeliveriesRead, dashboard::recent),
        Route::post("/subscriptions/test", SubscriptionsWrite, test_send::unsaved),
        Route::post("/subscriptions/{id}/test", SubscriptionsWrite, test_send::stored),
        Route::get("/stream", EventsRead, stream::show).or(&[DeliveriesRead, SubscriptionsRead]),
        Route::get("/jobs", DeliveriesRead, jobs::list),
        Route::get("/jobs/{id}", DeliveriesRead, jobs::show),
        Route::post("/jobs/{id}/cancel", DeliveriesWrite, jobs::cancel),
        Route::post("/tenants", Admin, tenants::create),
        Route::get("/tenants", Admin, tenants::list),
        Route::get("/tenants/{id}", Admin, tenants::show),
        Route::put("/tenants/{id}", Admin, tenants::change),
        Route::patch("/tenants/{id}", Admin, tenants::change),
        Route::delete("/tenants/{id}", Admin, tenants::delete),
        Route::post("/keys", Admin, keys::create),
        Route::get("/keys", Admin, keys::list),
        Route::get("/keys/{id}", Admin, keys::show),
        Route::delete("/keys/{id}", Admin, keys::revoke),
        Route::delete("/session", EventsRead, sessions::sign_out).or(&Scope::ALL),
        Route::post("/session/password", EventsRead, sessions::change_password).or(&Scope::ALL),
        Route::get("/sessions", EventsRead, sessions::list).or(&Scope::ALL),
        Route::delete("/sessions/{id}", EventsRead, sessions::end).or(&Scope::ALL),
        Route::post("/users", Admin, users::create),
        Route::get("/users", Admin, users::list),
        Route::get("/users/{id}", Admin, users::show),
        Route::patch("/users/{id}", Admin, users::change),
        Route::delete("/users/{id}", Admin, users::delete),
        Route::post("/users/{id}/password", Admin, users::set_password),
        Route::get("/audit", Admin, audit::list),
        Route::get("/system", Admin, system::show),
        Route::get("/system/settings", Admin, system::settings),
        Route::get("/system/nodes", Admin, nodes::show),
        Route::get(metrics::PATH, Admin, metrics::show),
    ]
}

/// Routes that anyone may call, from the root.
pub(super) fn open_routes() -> Vec<Route<HttpState>> {
    vec![
        Route::open("/health", health::overview),
        Route::open("/api/v1/dashboard/health", health::of_dashboard),
        Route::open("/health/live", health::live),
        Route::open("/health/ready", health::ready),
        Route::open("/api/v1/openapi.json", openapi::show),
        Route::open("/api/v1/setup", links::setup),
        Route::open_post("/api/v1/setup", links::set_up),
        Route::open_post("/api/v1/invitation", links::take_invitation),
        Route::open("/api/v1/session", sessions::show),
        Route::open_post("/api/v1/session", sign_in::sign_in),
        Route::open("/docs", reference::moved),
        Route::open("/docs/", reference::page),
        Route::open("/docs/{file}", reference::file),
        Route::open("/", dashboard_files::from_root),
        Route::open("/ui", dashboard_files::from_short),
        Route::open("/ui/", dashboard_files::page),
        Route::open("/ui/{*path}", dashboard_files::file),
    ]
}

/// One method of one path.
pub(super) struct Route<S> {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// What a key has to be allowed; nothing where no key is needed.
    pub(super) scope: Option<Scope>,
    /// Any of these will do as well; the handler shows what each allows to see.
    pub(super) or: &'static [Scope],
    pub(super) handler: MethodRouter<S>,
}

macro_rules! methods {
    ($($name:ident $method:ident),*) => {
        impl<S: Clone + Send + Sync + 'static> Route<S> {
            $(pub(super) fn $name<T: 'static>(
                path: &'static str,
                scope: Scope,
                handler: impl Handler<T, S>,
            ) -> Self {
                let handler = routing::$name(handler);
                Self { method: Method::$method, path, scope: Some(scope), or: &[], handler }
            })*
        }
    };
}
methods!(get GET, post POST, put PUT, patch PATCH, delete DELETE);

impl<S: Clone + Send + Sync + 'static> Route<S> {
    /// A `GET` that anyone may call.
    pub(super) fn open<T: 'static>(path: &'static str, handler: impl Handler<T, S>) -> Self {
        Self {
            method: Method::GET,
            path,
            scope: None,
            or: &[],
            handler: routing::get(handler),
        }
    }

    /// A `POST` that anyone may call: by it somebody comes in who is nobody yet.
    pub(super) fn open_post<T: 'static>(path: &'static str, handler: impl Handler<T, S>) -> Self {
        Self {
            method: Method::POST,
            path,
            scope: None,
            or: &[],
            handler: routing::post(handler),
        }
    }
}

impl<S> Route<S> {
    /// The same for whoever has one of these scopes instead.
    pub(super) fn or(self, scopes: &'static [Scope]) -> Self {
        Self { or: scopes, ..self }
    }

    /// The path as a handler describes it: there is no word there for a parameter that may hold slashes.
    pub(super) fn described(&self) -> String {
        self.path.replace("{*", "{")
    }

    /// The path that the API's description names.
    pub(super) fn canonical(&self) -> String {
        let at_root = self.scope.is_none() || AT_ROOT.contains(&self.path);
        let base = if at_root { "" } else { BASE };
        format!("{base}{}", self.described())
    }

    /// Every path that leads to this route.
    pub(super) fn paths(&self) -> Vec<String> {
        if AT_ROOT.contains(&self.path) {
            return vec![self.path.to_owned()];
        }
        if self.scope.is_none() {
            let rest = self.path.strip_prefix(BASE);
            let everywhere = |rest| BASES.map(|base| format!("{base}{rest}")).to_vec();
            return rest.map_or_else(|| vec![self.path.to_owned()], everywhere);
        }
        let other = NAMES.iter().find_map(|(name, other)| {
            let rest = within(self.path, name)?;
            Some(format!("{other}{rest}"))
        });
        let names: Vec<String> = std::iter::once(self.path.to_owned()).chain(other).collect();
        let based = BASES
            .iter()
            .flat_map(|base| names.iter().map(move |name| format!("{base}{name}")));
        let is_at_the_root =
            |name: &&String| AT_THE_ROOT.iter().any(|at| within(name, at).is_some());
        based
            .chain(names.iter().filter(is_at_the_root).cloned())
            .collect()
    }
}

/// What follows a resource's name in a path of that resource.
fn within<'a>(path: &'a str, resource: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(resource)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}
