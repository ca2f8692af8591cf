//! Who did what: a layer around every route that changes something, and the log to look at.
//!
//! The layer stands around each route of the table whose method is not `GET`, but for the posting
//! of events, and around those that show a secret. So no route can be forgotten: what is noted
//! comes from the route itself: action and thing from its method and path, what changed from the
//! body that is read, the id of what was made from the answer. An entry is written once the request has succeeded, in the same task, which runs to its end even where the
//! caller hangs up; where the change has a transaction of its own for it, in that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, RawQuery, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

use super::HttpState;
use super::auth::Asking;
use super::error::{ApiError, Result};
use super::frame::RequestName;
use super::openapi::PageParameters;
use super::paging::{PageView, Query};
use super::routes::EVENTS;
use super::to_the_end::to_the_end;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::audit::{AuditEntry, MAX_CHANGES};
use crate::store::{AuditFilter, StoreError};

/// Where entries go.
pub type Log = Arc<
    dyn Fn(AuditEntry) -> BoxFuture<'static, std::result::Result<(), StoreError>> + Send + Sync,
>;

/// Fields whose values are shown in the log; of all others only that they were given.
const SHOWN: [&str; 30] = [
    "active",
    "archived",
    "breaker",
    "clientId",
    "deactivation",
    "description",
    "disabled",
    "email",
    "eventIds",
    "eventTypes",
    "expiresAt",
    "held",
    "isActive",
    "limits",
    "maxInFlight",
    "name",
    "ordering",
    "orderingFailure",
    "payloadFormat",
    "rate",
    "rateLimit",
    "retryPolicy",
    "role",
    "scopes",
    "since",
    "states",
    "status",
    "tenant",
    "timeoutMs",
    "until",
];
/// Bytes of an answer that tells what was made.
const MAX_ANSWER: usize = 16 << 20;
/// What stands in the log for a value that is not shown.
const HIDDEN: &str = "***";

/// What the layer around one route knows.
#[derive(Clone)]
pub struct Audited {
    log: Log,
    action: Arc<str>,
    thing: Arc<str>,
}

impl Audited {
    /// For a route, if its requests are noted at all.
    pub fn of(log: &Log, method: &Method, path: &str) -> Option<Self> {
        let shows_secret = path.ends_with("/secret");
        let posts_events = *method == Method::POST && path == EVENTS;
        if posts_events || (*method == Method::GET && !shows_secret) {
            return None;
        }
        let (thing, action) = names(method, path);
        Some(Self {
            log: Arc::clone(log),
            action: action.into(),
            thing: thing.into(),
        })
    }
}

/// The kind of thing that a route is about, and what it does to it: `subscription` and
/// `subscription.pause` for `POST /subscriptions/{id}/pause`.
fn names(method: &Method, path: &str) -> (String, String) {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let resource = segments.next().unwrap_or_default().replace('-', "_");
    let thing = match resource.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => resource.strip_suffix('s').unwrap_or(&resource).to_owned(),
    };
    let rest: Vec<String> = segments
        .filter(|segment| !segment.starts_with('{'))
        .map(|segment| segment.replace('-', "_"))
        .collect();
    let what = match (method.as_str(), rest.as_slice()) {
        ("POST", []) => "create".to_owned(),
        ("PUT" | "PATCH", []) => "change".to_owned(),
        ("DELETE", []) => "delete".to_owned(),
        ("POST", rest) => rest.join("_"),
        ("PUT" | "PATCH", rest) => format!("change_{}", rest.join("_")),
        ("DELETE", rest) => format!("delete_{}", rest.join("_")),
        (_, rest) => format!("show_{}", rest.join("_")),
    };
    let action = format!("{thing}.{what}");
    (thing, action)
}

/// What is noted of one request.
#[derive(Clone, Debug)]
pub struct Note(Arc<Mutex<Noted>>);

#[derive(Debug)]
struct Noted {
    entry: AuditEntry,
    /// It is kept already, or there is nothing to keep.
    done: bool,
}

impl Note {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thing that it was done to, where the path does not say.
    pub fn thing(&self, id: impl ToString) {
        self.lock().entry.thing_id = Some(id.to_string());
    }

    /// What was asked for: a JSON object, of which secrets are left out. What is only tried is not
    /// noted.
    pub fn body(&self, body: &[u8]) {
        if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
            let mut noted = self.lock();
            noted.done |= fields.get("dryRun") == Some(&Value::Bool(true));
            noted.entry.changes = (!fields.is_empty()).then(|| changes(fields));
        }
    }

    /// The entry, for whoever keeps it in the transaction of the change.
    pub fn take(&self) -> AuditEntry {
        let mut noted = self.lock();
        noted.done = true;
        noted.entry.clone()
    }

    fn left(&self) -> Option<AuditEntry> {
        let noted = self.lock();
        (!noted.done).then(|| noted.entry.clone())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Note {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        // Only a route that stands outside of the layer has none.
        let note = parts.extensions.get::<Self>().cloned();
        note.ok_or_else(ApiError::internal)
    }
}

/// The fields that were given, with those values that may be shown.
fn changes(fields: Map<String, Value>) -> String {
    let shown = |(name, value): (String, Value)| {
        let value = match value {
            Value::String(text) if name == "url" => Value::String(without_path(&text)),
            value if SHOWN.contains(&name.as_str()) => value,
            _ => Value::String(HIDDEN.to_owned()),
        };
        (name, value)
    };
    let names: Vec<String> = fields.keys().cloned().collect();
    let fields: Map<String, Value> = fields.into_iter().map(shown).collect();
    let text = Value::Object(fields).to_string();
    if text.len() <= MAX_CHANGES {
        return text;
    }
    let hidden = |name| (name, Value::String(HIDDEN.to_owned()));
    let mut short = Map::new();
    let mut length = 2;
    for name in names {
        length += name.len() + HIDDEN.len() + 8;
        if length > MAX_CHANGES {
            break;
        }
        let (name, value) = hidden(name);
        short.insert(name, value);
    }
    Value::Object(short).to_string()
}

/// A receiver's path and query may hold a secret.
fn without_path(url: &str) -> String {
    let origin = Url::parse(url).map(|url| url.origin().ascii_serialization());
    origin.unwrap_or_else(|_| HIDDEN.to_owned())
}

/// Notes what a request did, once it has done it.
pub async fn keep(
    State(audited): State<Audited>,
    Asking(caller): Asking,
    path: std::result::Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    let name = request.extensions().get::<RequestName>();
    // What is no text is refused by the route itself.
    let id = path
        .iter()
        .flatten()
        .next()
        .map(|(_, value)| match Uuid::parse_str(value) {
            Ok(id) => id.to_string(),
            Err(_) => value.to_owned(),
        });
    let entry = AuditEntry {
        id: clock::uuid(),
        at: clock::now(),
        caller: caller.name.to_string(),
        key_id: caller.key.map(|id| id.to_string()),
        user_id: caller.user.map(|id| id.to_string()),
        tenant: caller.tenant.as_deref().map(str::to_owned),
        action: audited.action.to_string(),
        thing: audited.thing.to_string(),
        thing_id: id,
        changes: None,
        request_id: name.map_or_else(String::new, |name| name.0.to_string()),
    };
    let note = Note(Arc::new(Mutex::new(Noted { entry, done: false })));
    request.extensions_mut().insert(note.clone());
    to_the_end(async move {
        let mut response = next.run(request).await;
        let left = note.left().filter(|_| response.status().is_success());
        if let Some(mut entry) = left {
            if entry.thing_id.is_none() {
                (response, entry.thing_id) = made(response).await?;
            }
            write(&audited.log, entry).await;
        }
        Ok(response)
    })
    .await
}

/// The answer, and what it says that was made.
async fn made(response: Response) -> Result<(Response, Option<String>)> {
    #[derive(Deserialize)]
    struct Made {
        id: Option<String>,
        name: Option<String>,
    }
    let (parts, body) = response.into_parts();
    // It is in memory already, and as long as what was asked for.
    let body = to_bytes(body, MAX_ANSWER).await.map_err(|error| {
        tracing::error!(%error, "an answer cannot be read");
        ApiError::internal()
    })?;
    let made: Option<Made> = serde_json::from_slice(&body).ok();
    let id = made.and_then(|made| made.id.or(made.name));
    Ok((Response::from_parts(parts, Body::from(body)), id))
}

/// What was done stays done where it cannot be noted: then it stands in the process's own log.
async fn write(log: &Log, entry: AuditEntry) {
    let noted = entry.clone();
    if let Err(problem) = log(entry).await {
        let AuditEntry {
            caller,
            action,
            thing_id,
            request_id,
            ..
        } = noted;
        tracing::error!(%problem, caller, action, thing_id, request_id, "audit.lost");
    }
}

/// An entry as shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
struct EntryView<'a> {
    #[schema(value_type = String, format = Uuid)]
    id: Uuid,
    at: Timestamp,
    /// The name of the key, or the user's e-mail address.
    caller: &'a str,
    /// Null for a user, and for the admin key of the settings.
    key_id: Option<&'a str>,
    /// Null for a key.
    user_id: Option<&'a str>,
    /// The key's.
    tenant: Option<&'a str>,
    #[schema(examples("subscription.pause"))]
    action: &'a str,
    /// The kind of thing that it was done to.
    #[schema(examples("subscription"))]
    thing: &'a str,
    thing_id: Option<&'a str>,
    /// The fields that were given, what may be secret hidden; null where there were none.
    #[schema(value_type = serde_json::Value)]
    changes: Option<&'a RawValue>,
    request_id: &'a str,
}

impl<'a> EntryView<'a> {
    fn new(entry: &'a AuditEntry) -> Self {
        let changes = entry.changes.as_deref();
        Self {
            id: entry.id,
            at: entry.at,
            caller: &entry.caller,
            key_id: entry.key_id.as_deref(),
            user_id: entry.user_id.as_deref(),
            tenant: entry.tenant.as_deref(),
            action: &entry.action,
            thing: &entry.thing,
            thing_id: entry.thing_id.as_deref(),
            changes: changes.and_then(|text| serde_json::from_str(text).ok()),
            request_id: &entry.request_id,
        }
    }
}

/// `GET /audit`: newest first. A tenant's caller sees what its own keys did.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "audit",
    summary = "List who did what",
    description = "Newest first. A tenant's administrator sees what the tenant's own keys did.",
    params(
        ("action" = Option<String>, Query, description = "Only that action, such as `subscription.pause`.", min_length = 1, max_length = 255),
        ("thing" = Option<String>, Query, description = "Only what was done to that kind of thing.", min_length = 1, max_length = 255),
        ("thingId" = Option<String>, Query, description = "Only what was done to that thing.", min_length = 1, max_length = 255),
        ("caller" = Option<String>, Query, description = "Only what keys of that name, or the user with that e-mail address, did.", min_length = 1, max_length = 255),
        ("since" = Option<Timestamp>, Query, description = "Done at that moment or later."),
        ("until" = Option<Timestamp>, Query, description = "Done before that moment."),
        PageParameters,
    ),
    responses((status = 200, description = "A page of entries.", body = PageView<EntryView>))
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let filters = ["action", "thing", "thingId", "caller", "since", "until"];
    let mut query = Query::of_list(raw.as_deref(), &filters);
    let filter = AuditFilter {
        action: query.text(&["action"]),
        thing: query.text(&["thing"]),
        thing_id: query.text(&["thingId"]),
        caller: query.text(&["caller"]),
        tenant: caller.tenant.as_deref().map(str::to_owned),
        since: query.time("since"),
        until: query.time("until"),
    };
    let request = query.page();
    query.done()?;
    let page = app.store.list_audit(&filter, &request).await?;
    Ok(Json(PageView::new(&page, request.limit, EntryView::new)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_named_after_their_routes() {
        for (method, path, thing, action) in [
            (
                Method::POST,
                "/subscriptions",
                "subscription",
                "subscription.create",
            ),
            (
                Method::PATCH,
                "/subscriptions/{id}",
                "subscription",
                "subscription.change",
            ),
            (
                Method::POST,
                "/subscriptions/{id}/cancel-pending",
                "subscription",
                "subscription.cancel_pending",
            ),
            (
                Method::DELETE,
                "/events/{id}/payload",
                "event",
                "event.delete_payload",
            ),
            (
                Method::PUT,
                "/event-types/{name}",
                "event_type",
                "event_type.change",
            ),
            (
                Method::POST,
                "/deliveries/{id}/retry",
                "delivery",
                "delivery.retry",
            ),
            (
                Method::GET,
                "/subscriptions/{id}/secret",
                "subscription",
                "subscription.show_secret",
            ),
        ] {
            assert_eq!(names(&method, path), (thing.to_owned(), action.to_owned()));
        }
    }

    #[test]
    fn no_secret_is_noted_and_no_entry_grows_for_ever() {
        let fields = |value: Value| match value {
            Value::Object(fields) => fields,
            _ => unreachable!("an object"),
        };
        let given = serde_json::json!({
            "name": "HRMS", "secret": "whsec_x", "headers": {"authorization": "Bearer y"},
            "url": "https://user:pass@example.com/hook?token=z", "maxInFlight": 3,
        });
        let text = changes(fields(given));
        for shown in [
            "HRMS",
            "\"maxInFlight\":3",
            "https://example.com\"",
            "headers",
            "secret",
        ] {
            assert!(text.contains(shown), "{text}");
        }
        for hidden in ["whsec_x", "Bearer", "pass", "token"] {
            assert!(!text.contains(hidden), "{text}");
        }
        let long = serde_json::json!({"name": "x".repeat(MAX_CHANGES), "other": 1});
        let text = changes(fields(long));
        assert!(text.len() <= MAX_CHANGES && text.contains("name") && text.contains("other"));
        let many: Map<String, Value> = (0..5_000).map(|n| (format!("f{n}"), Value::Null)).collect();
        assert!(changes(many).len() <= MAX_CHANGES);
    }
}
