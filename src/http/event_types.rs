//! The catalogue of event types. Events are checked against it in `schema_check.rs`.
//!
//! It is everybody's: whoever posts is held to it, so nobody who is one tenant's changes it.

use axum::Json;
use axum::extract::{FromRequestParts, Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::HttpState;
use super::audit::Note;
use super::auth::{Asking, check_of_all};
use super::bare::{Bare, NoQuery};
use super::body;
use super::error::{ApiError, Fault, Problem, Result};
use super::json_fields::Fields;
use super::openapi::bodies::{EventTypeBody, NewEventTypeBody};
use super::paging::{PageView, Query};
use super::to_the_end::to_the_end;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::audit::AuditEntry;
use crate::domain::catalogue::{
    EventTypeEntry, MAX_DESCRIPTION, MAX_EXAMPLE_BYTES, MAX_TYPES, Schema,
};
use crate::domain::event_type::EventType;
use crate::store::CatalogueChange;

/// Enough for every field at its bound.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// How often a change reads again after somebody else's.
const MAX_REREADS: usize = 10;

/// The name in a path. What is no event type names nothing that exists: 404.
pub struct PathName(EventType);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Path::<String>::from_request_parts(parts, state)
            .await
            .ok()
            .and_then(|Path(text)| EventType::parse(&text).ok())
            .map(Self)
            .ok_or_else(not_found)
    }
}

fn not_found() -> ApiError {
    ApiError::new(Problem::NotFound, "There is no event type with this name")
}

/// A type as shown. Example and schema are as they came.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventType)]
struct EventTypeView<'a> {
    name: &'a str,
    description: Option<&'a str>,
    /// As it came; null where there is none.
    #[schema(value_type = serde_json::Value)]
    example: Option<&'a RawValue>,
    /// A JSON Schema that payloads have to fit; null where there is none.
    #[schema(value_type = serde_json::Value)]
    schema: Option<&'a RawValue>,
    archived: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> EventTypeView<'a> {
    fn new(entry: &'a EventTypeEntry) -> Self {
        let json = |text: &'a Option<String>| serde_json::from_str(text.as_deref()?).ok();
        Self {
            name: entry.name.as_str(),
            description: entry.description.as_deref(),
            example: json(&entry.example),
            schema: json(&entry.schema),
            archived: entry.archived,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
        }
    }
}

/// What a request says of a type; `Some(None)` takes away.
#[derive(Clone, Debug, Default)]
struct Given {
    name: Option<EventType>,
    description: Option<Option<String>>,
    example: Option<Option<String>>,
    schema: Option<Option<String>>,
    archived: Option<bool>,
}

impl Given {
    /// Reads a body. `named`: it has to say which type it is about.
    fn parse(body: &[u8], named: bool) -> std::result::Result<Self, Vec<Fault>> {
        let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
        let mut given = Self::default();
        if let Some(text) = fields.any_text("name") {
            match EventType::parse(&text) {
                Ok(name) => given.name = Some(name),
                Err(problem) => fields.fault("name", problem.to_string()),
            }
        } else if named && fields.lacks("name") {
            fields.fault("name", "is required: a type such as candidate.created");
        }
        given.description = fields.nullable("description", Fields::any_text);
        if let Some(Some(text)) = &given.description
            && (text.chars().count() > MAX_DESCRIPTION || text.contains('\0'))
        {
            let message =
                format!("must have at most {MAX_DESCRIPTION} characters, none of them NUL");
            fields.fault("description", message);
        }
        // As text, as it came: a value would lose the order of fields and the digits of numbers.
        given.example = raw(&mut fields, body, "example");
        if let Some(Some(text)) = &given.example
            && text.len() > MAX_EXAMPLE_BYTES
        {
            let message = format!("must have at most {MAX_EXAMPLE_BYTES} bytes");
            fields.fault("example", message);
        }
        given.schema = raw(&mut fields, body, "schema");
        if let Some(Some(text)) = &given.schema
            && let Err(problem) = Schema::parse(text)
        {
            fields.fault("schema", problem.to_string());
        }
        given.archived = fields.flag("archived");
        match fields.finish() {
            faults if faults.is_empty() => Ok(given),
            faults => Err(faults),
        }
    }

    /// This merged into what is stored.
    fn merged_into(self, stored: EventTypeEntry, now: Timestamp) -> EventTypeEntry {
        EventTypeEntry {
            description: self.description.unwrap_or(stored.description),
            example: self.example.unwrap_or(stored.example),
            schema: self.schema.unwrap_or(stored.schema),
            archived: self.archived.unwrap_or(stored.archived),
            updated_at: now,
            ..stored
        }
    }

    /// A type of which this is all.
    fn alone(self, name: EventType, now: Timestamp) -> EventTypeEntry {
        EventTypeEntry {
            name,
            description: self.description.flatten(),
            example: self.example.flatten(),
            schema: self.schema.flatten(),
            archived: self.archived.unwrap_or(false),
            created_at: now,
            updated_at: now,
            version: 0,
        }
    }
}

/// The text of a field that may hold any JSON; `null` takes it away.
fn raw(fields: &mut Fields, body: &[u8], name: &'static str) -> Option<Option<String>> {
    let value = fields.take(name)?;
    if value.is_null() {
        return Some(None);
    }
    let all: Option<std::collections::HashMap<String, &RawValue>> =
        serde_json::from_slice(body).ok();
    let text = all.and_then(|all| Some(all.get(name)?.get().to_owned()));
    Some(Some(text.unwrap_or_else(|| value.to_string())))
}

fn check_administrator(caller: &Caller) -> Result<()> {
    check_of_all(caller, "change the catalogue of event types")
}

/// `POST /event-types`: a new one.
#[utoipa::path(
    post,
    path = "/event-types",
    tag = "event-types",
    summary = "Make an event type",
    request_body(content = NewEventTypeBody, example = json!({"name": "order.created", "description": "An order was placed.", "example": {"orderId": "ord_12345", "value": 99.99}, "schema": {"type": "object", "required": ["orderId"]}})),
    responses(
        (status = 201, description = "The type.", body = EventTypeView),
        (status = 403, description = "The key is of a tenant, and the catalogue is everybody's."),
        (status = 409, description = "There is one with this name already, or there are as many as there may be."),
    )
)]
pub async fn create(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    note: Note,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    check_administrator(&caller)?;
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let mut given = Given::parse(&body, true).map_err(ApiError::invalid_body)?;
    let name = given.name.take().ok_or_else(ApiError::internal)?;
    note.thing(&name);
    let entry = given.alone(name, clock::now());
    let audit = note.take();
    let view = to_the_end(async move {
        match keep(&app, &entry, &audit).await? {
            CatalogueChange::At(_) => Ok(Json(EventTypeView::new(&entry)).into_response()),
            CatalogueChange::Full => Err(full()),
            CatalogueChange::Overtaken => Err(ApiError::conflict(
                "There is an event type with this name already; change it by PATCH",
            )),
        }
    });
    Ok((StatusCode::CREATED, view.await?).into_response())
}

/// `PUT /event-types/{name}`: makes it what is given, whether it was there or not.
#[utoipa::path(
    put,
    path = "/event-types/{name}",
    tag = "event-types",
    summary = "Make an event type what is given",
    description = "What is not given it has no more. It need not be there before.",
    params(("name" = String, Path, description = "The type.", min_length = 1, max_length = 255, example = "order.created")),
    request_body(content = EventTypeBody, example = json!({"description": "An order was placed.", "schema": {"type": "object", "required": ["orderId"]}})),
    responses(
        (status = 200, description = "The type as it is now.", body = EventTypeView),
        (status = 201, description = "The type, which is new.", body = EventTypeView),
        (status = 403, description = "The key is of a tenant, and the catalogue is everybody's."),
        (status = 409, description = "There are as many as there may be, or others keep changing it."),
    )
)]
pub async fn replace(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathName(name): PathName,
    note: Note,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    check_administrator(&caller)?;
    let given = read_change(&name, request).await?;
    let audit = note.take();
    to_the_end(async move {
        for _ in 0..=MAX_REREADS {
            let stored = app.store.event_type(name.as_str()).await?;
            let made = given.clone().alone(name.clone(), clock::now());
            let (code, entry) = match stored {
                None => (StatusCode::CREATED, made),
                Some(stored) => {
                    let made = EventTypeEntry {
                        created_at: stored.created_at,
                        version: stored.version,
                        ..made
                    };
                    (StatusCode::OK, made)
                }
            };
            match keep(&app, &entry, &audit).await? {
                CatalogueChange::At(_) => {
                    return Ok((code, Json(EventTypeView::new(&entry))).into_response());
                }
                CatalogueChange::Full => return Err(full()),
                CatalogueChange::Overtaken => {}
            }
        }
        Err(keeps_changing())
    })
    .await
}

/// `PATCH /event-types/{name}`: what is given is merged in.
#[utoipa::path(
    patch,
    path = "/event-types/{name}",
    tag = "event-types",
    summary = "Change an event type",
    description = "What is given is merged in; null takes away.",
    params(("name" = String, Path, description = "The type.", min_length = 1, max_length = 255, example = "order.created")),
    request_body(content = EventTypeBody, example = json!({"archived": true})),
    responses(
        (status = 200, description = "The type as it is now.", body = EventTypeView),
        (status = 403, description = "The key is of a tenant, and the catalogue is everybody's."),
        (status = 409, description = "Others keep changing it."),
    )
)]
pub async fn change(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathName(name): PathName,
    note: Note,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    check_administrator(&caller)?;
    let given = read_change(&name, request).await?;
    let audit = note.take();
    to_the_end(async move {
        for _ in 0..=MAX_REREADS {
            let stored = app.store.event_type(name.as_str()).await?;
            let stored = stored.ok_or_else(not_found)?;
            let entry = given.clone().merged_into(stored, clock::now());
            if let CatalogueChange::At(_) = keep(&app, &entry, &audit).await? {
                return Ok(Json(EventTypeView::new(&entry)).into_response());
            }
        }
        Err(keeps_changing())
    })
    .await
}

async fn read_change(name: &EventType, request: Request) -> Result<Given> {
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let given = Given::parse(&body, false).map_err(ApiError::invalid_body)?;
    if given.name.as_ref().is_some_and(|given| given != name) {
        let message = "cannot be changed: make a new type and archive this one";
        return Err(ApiError::invalid_body(vec![Fault::new("name", message)]));
    }
    Ok(given)
}

async fn keep(
    app: &HttpState,
    entry: &EventTypeEntry,
    audit: &AuditEntry,
) -> Result<CatalogueChange> {
    let kept = app.store.keep_event_type(entry, MAX_TYPES, audit).await;
    // Told even where nobody knows whether it was stored.
    app.relay.catalogue_changed().await;
    Ok(kept?)
}

fn full() -> ApiError {
    ApiError::limit_reached(format!(
        "There are {MAX_TYPES} event types, which is the bound; delete one first"
    ))
}

fn keeps_changing() -> ApiError {
    ApiError::conflict("This event type keeps being changed by others; try again")
}

/// `DELETE /event-types/{name}`. Events that were accepted stay.
#[utoipa::path(
    delete,
    path = "/event-types/{name}",
    tag = "event-types",
    summary = "Delete an event type",
    description = "Events of it that were accepted stay.",
    params(("name" = String, Path, description = "The type.", min_length = 1, max_length = 255, example = "order.created")),
    responses(
        (status = 204, description = "It is deleted."),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
        (status = 403, description = "The key is of a tenant, and the catalogue is everybody's."),
        (status = 409, description = "Others keep changing it."),
    )
)]
pub async fn delete(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathName(name): PathName,
    note: Note,
    _: Bare,
) -> Result<StatusCode> {
    check_administrator(&caller)?;
    let audit = note.take();
    to_the_end(async move {
        for _ in 0..=MAX_REREADS {
            let stored = app.store.event_type(name.as_str()).await?;
            let version = stored.ok_or_else(not_found)?.version;
            let removed = app.store.remove_event_type(name.as_str(), version, &audit);
            let removed = removed.await;
            app.relay.catalogue_changed().await;
            if let CatalogueChange::At(_) = removed? {
                return Ok(StatusCode::NO_CONTENT);
            }
        }
        Err(keeps_changing())
    })
    .await
}

/// `GET /event-types/{name}`. The catalogue is everybody's.
#[utoipa::path(
    get,
    path = "/event-types/{name}",
    tag = "event-types",
    summary = "Show an event type",
    params(("name" = String, Path, description = "The type.", min_length = 1, max_length = 255, example = "order.created")),
    responses((status = 200, description = "The type.", body = EventTypeView))
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(_): Asking,
    PathName(name): PathName,
) -> Result<Response> {
    let entry = app.store.event_type(name.as_str()).await?;
    let entry = entry.ok_or_else(not_found)?;
    Ok(Json(EventTypeView::new(&entry)).into_response())
}

/// `GET /event-types`: in the order of their names.
#[utoipa::path(
    get,
    path = "/event-types",
    tag = "event-types",
    summary = "List event types",
    description = "In the order of their names. The catalogue is everybody's.",
    params(
        ("limit" = Option<u32>, Query, description = "How many rows a page has at most.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "The `nextCursor` of the page before.", min_length = 1, pattern = "^[A-Za-z0-9_-]+$"),
    ),
    responses((status = 200, description = "A page of types.", body = PageView<EventTypeView>))
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(_): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let mut query = Query::of(raw.as_deref(), &["limit", "cursor"]);
    let limit = query.limit();
    let after = query.parsed(&["cursor"], "a nextCursor of this list", read_cursor);
    query.done()?;
    let after = after.as_ref().map(EventType::as_str);
    let mut rows = app.store.list_event_types(after, limit + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let last = rows.last().filter(|_| more);
    let view = PageView {
        next_cursor: last.map(|row| URL_SAFE_NO_PAD.encode(row.name.as_str())),
        data: rows.iter().map(EventTypeView::new).collect(),
        // Never: each row is found by the key.
        partial: false,
        limit,
    };
    Ok(Json(view).into_response())
}

fn read_cursor(text: &str) -> Option<EventType> {
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    EventType::parse(&name).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults_of(body: &str) -> String {
        let faults = Given::parse(body.as_bytes(), true).unwrap_err();
        super::super::error::in_one_line(&faults)
    }

    #[test]
    fn what_is_given_is_checked_and_kept_as_it_came() {
        let body = r#"{"name":"a.b","example":{"z":1.0,"a":1e400},"schema":{"type":"object"}}"#;
        let given = Given::parse(body.as_bytes(), true).unwrap_or_default();
        let example = given.example.flatten();
        // A number past every bound is no value, and is refused below.
        assert_eq!(example.as_deref(), None);
        let body = r#"{"name":"a.b","example":{"z":1.00, "a":2},"schema":{ "type":"object"}}"#;
        let given = Given::parse(body.as_bytes(), true).unwrap();
        assert_eq!(
            given.example.flatten().as_deref(),
            Some(r#"{"z":1.00, "a":2}"#)
        );
        assert_eq!(
            given.schema.flatten().as_deref(),
            Some(r#"{ "type":"object"}"#)
        );
        for (body, named) in [
            ("{}", "name is required"),
            (r#"{"name":"a b"}"#, "name must be segments"),
            (r#"{"name":"posthaste.x"}"#, "name must not begin"),
            (r#"{"name":"a","schema":{"type":"no"}}"#, "schema at #/type"),
            (
                r#"{"name":"a","schema":"text"}"#,
                "schema must be an object",
            ),
            (r#"{"name":"a","shema":{}}"#, "shema is not known here"),
            (
                r#"{"name":"a","archived":1}"#,
                "archived must be true or false",
            ),
        ] {
            let faults = faults_of(body);
            assert!(faults.contains(named), "{body}: {faults}");
        }
    }

    #[test]
    fn null_takes_away_and_absent_leaves() {
        let now = Timestamp::default();
        let full = r#"{"name":"a","description":"d","example":1,"schema":true,"archived":true}"#;
        let stored = Given::parse(full.as_bytes(), true).unwrap();
        let stored = stored.alone(EventType::parse("a").unwrap(), now);
        let change = |body: &str| {
            let given = Given::parse(body.as_bytes(), false).unwrap();
            given.merged_into(stored.clone(), now)
        };
        assert_eq!(change("{}"), stored);
        let bare = change(r#"{"description":null,"example":null,"schema":null,"archived":false}"#);
        assert_eq!(
            (bare.description, bare.example, bare.schema),
            (None, None, None)
        );
        assert!(!bare.archived);
    }

    proptest! {
        #[test]
        fn cursors_survive_the_round_trip_and_reading_never_panics(
            name in "[a-z_]{1,9}(\\.[a-z0-9-]{1,9}){0,4}", any in any::<String>(),
        ) {
            let cursor = URL_SAFE_NO_PAD.encode(&name);
            prop_assert_eq!(read_cursor(&cursor).map(|read| read.to_string()), Some(name));
            let _ = read_cursor(&any);
            let _ = Given::parse(any.as_bytes(), false);
        }
    }
}
