//! The description of the API, made from the code: OpenAPI 3.1 at `/api/v1/openapi.json`.
//!
//! How a route gets into it:
//!
//! - The handler has `#[utoipa::path(get, path = "/things/{id}", tag = "things", …)]` with the path
//!   as it stands in `routes.rs`, and is named in the list below.
//! - Its answers name their views, which derive `ToSchema`; a field that holds a word of the
//!   domain has `#[schema(value_type = ThatWord)]` (`words.rs` knows them, and the ids).
//! - A body that is read by hand has a type beside its reader that derives `ToSchema` and is never
//!   made; parameters of a query stand in `params(…)`, those of pages are [`PageParameters`].
//! - Everything that follows from the table of routes is added by `complete.rs`: the scope, the ids
//!   in the path, and every refusal that is not the handler's own (those it names itself).
//! - What all schemas of a kind have in common is added by `shared.rs`, and rules between the fields
//!   of a body by `rules.rs`.
//!
//! The tests hold both together: no route without an operation and none the other way round, and
//! `tests/relay/described.rs` sends every example and every field and parameter to a real relay.

pub mod bodies;
mod complete;
mod rules;
mod shared;
mod words;

pub use words::StreamTypes;

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoParams, Modify, OpenApi};

use super::cookie::{NAME, SECURE_NAME};
use super::error::ProblemView;
use super::routes::{guarded_routes, open_routes};
use super::{
    audit, dashboard, dashboard_files, deliveries, event_types, events, health, history, jobs,
    keys, links, metrics, nodes, ordering, reference, runtime, secrets, sessions, sign_in,
    statistics, stream, subscriptions, system, tenants, test_send, users,
};
use crate::domain::search::StatusClass;

#[derive(OpenApi)]
#[openapi(
    info(title = "Posthaste", description = ABOUT),
    servers((url = "/", description = "This relay")),
    tags(
        (name = "events", description = "What was received, and is relayed."),
        (name = "event-types", description = "The catalogue of what events may be, and what their payloads have to look like."),
        (name = "subscriptions", description = "Who wants which events, where and how. `/webhooks` is another name for `/subscriptions`."),
        (name = "deliveries", description = "An event on its way to a subscription: exactly one for each pair."),
        (name = "jobs", description = "Bulk work: many deliveries at once."),
        (name = "dashboard", description = "What a dashboard shows first."),
        (name = "tenants", description = "Whose events and subscriptions they are. `clientId` is another name for `tenant`."),
        (name = "keys", description = "What callers show to be let in."),
        (name = "users", description = "People who sign in with an e-mail address and a password."),
        (name = "sessions", description = "Signing in, and who is signed in. A session is in a cookie; with it, changes take the header `X-CSRF-Token`."),
        (name = "audit", description = "Who did what."),
        (name = "relay", description = "The relay itself."),
    ),
    paths(
        events::create, events::list, events::show, events::erase_payload,
        statistics::events_summary,
        event_types::create, event_types::list, event_types::show, event_types::replace,
        event_types::change, event_types::delete,
        subscriptions::create, subscriptions::list, subscriptions::show, subscriptions::change,
        subscriptions::delete, subscriptions::pause, subscriptions::resume,
        subscriptions::reactivate, subscriptions::cancel_pending,
        secrets::show, secrets::rotate, statistics::sparklines, statistics::of_subscription,
        runtime::show, history::list, jobs::retry_failed, jobs::replay,
        deliveries::list_of_subscription, ordering::blocked_keys,
        deliveries::list, deliveries::show, deliveries::body, deliveries::retry, deliveries::cancel, ordering::skip,
        statistics::deliveries_summary,
        jobs::list, jobs::show, jobs::cancel,
        dashboard::overview, dashboard::recent, statistics::metrics, health::of_dashboard,
        tenants::create, tenants::list, tenants::show, tenants::change, tenants::delete,
        secrets::show_of_tenant, secrets::rotate_of_tenant,
        keys::create, keys::list, keys::show, keys::revoke,
        users::create, users::list, users::show, users::change, users::delete,
        users::set_password, links::setup, links::set_up, links::take_invitation,
        sign_in::sign_in, sessions::show, sessions::sign_out, sessions::change_password,
        sessions::list, sessions::end,
        audit::list, stream::show, test_send::stored, test_send::unsaved,
        deliveries::retry_of_event,
        health::overview, health::live, health::ready, metrics::show,
        system::show, system::settings, nodes::show,
        show, reference::moved, reference::page, reference::file,
        dashboard_files::from_root, dashboard_files::from_short, dashboard_files::page,
        dashboard_files::file,
    ),
    components(schemas(ProblemView, bodies::SignatureBody, bodies::LoneSignatureBody, StatusClass, StreamTypes)),
    modifiers(&Keys),
)]
struct Described;

const ABOUT: &str = "A webhook relay: services post events, Posthaste stores them and delivers \
them, signed, until they arrive.\n\nEvery path under `/api/v1` answers under `/api` as well; \
`/webhooks` is another name for `/subscriptions`, `/logs` for `/deliveries`, and `/events`, `/webhooks` and `/logs` stand at the root too. A refusal is a problem as RFC 9457 has it, under \
a `code` that never changes (docs/errors.md lists all). Fields that an answer gains later are no \
change of the API: ignore what you do not know.";

/// The three headers that a key may come in, and the cookie of a session.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A key in `Authorization: Bearer`."));
        let header = |name: &str| {
            let mut value = ApiKeyValue::new(name);
            value.description = Some(format!("A key in `{name}`."));
            SecurityScheme::ApiKey(ApiKey::Header(value))
        };
        let mut cookie = ApiKeyValue::new(NAME);
        cookie.description = Some(format!(
            "A session, by `POST /api/v1/session`; `{SECURE_NAME}` over https. Changes take \
             `X-CSRF-Token` as well."
        ));
        let schemes = [
            SecurityScheme::Http(bearer.build()),
            header("X-API-Key"),
            header("X-Service-Token"),
            SecurityScheme::ApiKey(ApiKey::Cookie(cookie)),
        ];
        for (name, scheme) in complete::SCHEMES.into_iter().zip(schemes) {
            components.add_security_scheme(name, scheme);
        }
    }
}

/// The parameters that every list takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "says what `paging.rs` reads by hand")]
pub struct PageParameters {
    /// How many rows a page has at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[param(min_length = 1, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
    /// Rows to pass over. A cursor is better: it costs the same on every page.
    #[param(minimum = 0, maximum = 10_000, default = 0)]
    offset: Option<u32>,
}

/// The whole document.
pub fn document() -> Document {
    let mut document = Described::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").into();
    complete::complete(&mut document, &guarded_routes(), &open_routes());
    shared::add(&mut document);
    rules::add(&mut document);
    document
}

/// It does not change while the process lives.
static JSON: LazyLock<Bytes> =
    LazyLock::new(|| serde_json::to_vec(&document()).unwrap_or_default().into());

/// `GET /api/v1/openapi.json`.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "relay",
    operation_id = "openapi",
    summary = "This document",
    responses((status = 200, description = "The OpenAPI document.", body = serde_json::Value))
)]
pub async fn show() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], Body::from(JSON.clone())).into_response()
}

#[cfg(test)]
mod tests;
