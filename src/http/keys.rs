//! Keys that callers show: made, listed, taken back.
//!
//! Nobody gives more than they have: a tenant's administrator makes and sees keys of that tenant
//! alone. A key is shown once, by the answer that makes it.

use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::auth::Asking;
use super::bare::{Bare, NoQuery};
use super::belonging::{Listed, empty};
use super::body;
use super::error::{ApiError, Problem, Result};
use super::key_input::{self, KeyInput};
use super::key_view::{KeyView, NewKeyView};
use super::openapi::PageParameters;
use super::openapi::bodies::NewKeyBody;
use super::paging::{PageView, Query};
use super::path::PathId;
use super::to_the_end::to_the_end;
use super::{HttpState, ShowsSecret};
use crate::clock;
use crate::domain::access::Caller;
use crate::domain::api_key::{ApiKey, IssuedKey};
use crate::domain::id::ApiKeyId;
use crate::store::{ApiKeyCreated, ApiKeyFilter};

/// Enough for every field at its bound.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Public parts that are tried: that of 40 random bits is taken already hardly ever.
const TRIES: usize = 3;

/// `POST /keys`: a new one. The only answer that shows it.
#[utoipa::path(
    post,
    path = "/keys",
    tag = "keys",
    summary = "Make a key",
    description = "The answer is the only one that shows the key. Nobody gives more than they have: a tenant's administrator makes keys of that tenant alone.",
    request_body(content = NewKeyBody, examples(
        ("preset" = (summary = "For a service that posts events", value = json!({"name": "orders-service", "preset": "service"}))),
        ("scopes" = (summary = "For a tenant, for a while", value = json!({"name": "acme", "scopes": ["subscriptions:read", "deliveries:read"], "clientId": "acme", "expiresAt": "2099-01-01T00:00:00Z"}))),
    )),
    responses(
        (status = 201, description = "The key, shown once.", body = NewKeyView, headers(("Location" = String, description = "Where it is looked at."))),
        (status = 403, description = "The key that asks lacks one of these scopes, or is of another tenant."),
        (status = 409, description = "There are as many keys as there may be (`auth.max_keys`)."),
    )
)]
pub async fn create(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let mut input = key_input::parse(&body, clock::now()).map_err(ApiError::invalid_body)?;
    // A tenant's administrator need not say whose key it is to be.
    input.tenant = input.tenant.or_else(|| caller.tenant.clone());
    check_grant(&caller, &input)?;
    let task = app.clone();
    let (issued, key) = to_the_end(async move { make(&task, input).await }).await?;
    let place = format!("/api/v1/keys/{}", key.id);
    let place = HeaderValue::from_str(&place).map_err(|_| ApiError::internal())?;
    let view = NewKeyView {
        key: issued.expose(),
        view: view(&app, &key),
    };
    let head = (Extension(ShowsSecret), [(header::LOCATION, place)]);
    Ok((StatusCode::CREATED, head, Json(view)).into_response())
}

fn check_grant(caller: &Caller, input: &KeyInput) -> Result<()> {
    if caller.may_grant(input.scopes, input.tenant.as_deref()) {
        return Ok(());
    }
    let message = match &caller.tenant {
        Some(tenant) if !caller.sees(input.tenant.as_deref()) => {
            format!("This key makes keys of the tenant {tenant} only")
        }
        _ => "A key cannot be given scopes that the key that makes it lacks".to_owned(),
    };
    Err(ApiError::new(Problem::Forbidden, message))
}

async fn make(app: &HttpState, input: KeyInput) -> Result<(IssuedKey, ApiKey)> {
    let most = app.settings.auth.max_keys;
    for _ in 0..TRIES {
        let issued = IssuedKey::from_random(clock::random_bytes(), clock::random_bytes());
        let key = ApiKey {
            id: ApiKeyId(clock::uuid()),
            name: input.name.clone(),
            public: issued.public,
            hash: issued.hash(),
            scopes: input.scopes,
            tenant: input.tenant.clone(),
            created_at: clock::now(),
            expires_at: input.expires_at,
            revoked_at: None,
            last_used_at: None,
            version: 0,
        };
        match app.store.create_api_key(&key, most).await? {
            ApiKeyCreated::Done => {
                app.relay.keys_changed().await;
                tracing::info!(id = %key.id, prefix = %key.public, "key.created");
                return Ok((issued, key));
            }
            ApiKeyCreated::Taken => {}
            ApiKeyCreated::TooMany => {
                return Err(ApiError::limit_reached(format!(
                    "There are as many keys as there may be: {most} (auth.max_keys), of one tenant a \
                     quarter of that; those that ended count until they are forgotten \
                     (auth.ended_keys_days)"
                )));
            }
        }
    }
    Err(ApiError::unavailable("No key could be made; try again"))
}

/// `GET /keys`: newest first, whatever their state.
#[utoipa::path(
    get,
    path = "/keys",
    tag = "keys",
    summary = "List keys",
    description = "Newest first, whatever their state; a tenant's administrator sees those of the tenant.",
    params(
        ("tenant" = Option<String>, Query, description = "Only those of that tenant.", min_length = 1, max_length = 255),
        ("clientId" = Option<String>, Query, description = "The same as `tenant`.", min_length = 1, max_length = 255),
        PageParameters,
    ),
    responses((status = 200, description = "A page of keys.", body = PageView<KeyView>))
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let mut query = Query::of_list(raw.as_deref(), &["tenant", "clientId"]);
    let listed = Listed::for_caller(&caller, query.text(&["tenant", "clientId"]));
    let request = query.page();
    query.done()?;
    let page = match listed {
        Listed::Of(tenant) => {
            let filter = ApiKeyFilter { tenant };
            app.store.list_api_keys(&filter, &request).await?
        }
        Listed::Nothing => empty(),
    };
    let page = PageView::new(&page, request.limit, |key| view(&app, key));
    Ok(Json(page).into_response())
}

/// `GET /keys/{id}`.
#[utoipa::path(
    get,
    path = "/keys/{id}",
    tag = "keys",
    summary = "Show a key",
    description = "All but the key itself.",
    responses(
        (status = 200, description = "What is known of the key.", body = KeyView),
        (status = 400, description = "A query was sent, which nobody would read."),
    )
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
) -> Result<Response> {
    let key = find(&app, &caller, ApiKeyId(id)).await?;
    Ok(Json(view(&app, &key)).into_response())
}

/// `DELETE /keys/{id}`: takes it back, for good. Once more changes nothing.
#[utoipa::path(
    delete,
    path = "/keys/{id}",
    tag = "keys",
    summary = "Revoke a key",
    description = "For good, on every node within a second (ten without Redis). Once more changes nothing.",
    responses(
        (status = 204, description = "It lets nobody in any more."),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
    )
)]
pub async fn revoke(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: Bare,
) -> Result<StatusCode> {
    let key = find(&app, &caller, ApiKeyId(id)).await?;
    let revoked = async move { Ok(app.relay.revoke_key(key.id, clock::now()).await?) };
    to_the_end(revoked).await?;
    tracing::info!(id = %key.id, prefix = %key.public, "key.revoked");
    Ok(StatusCode::NO_CONTENT)
}

/// A key that this caller may know of.
async fn find(app: &HttpState, caller: &Caller, id: ApiKeyId) -> Result<ApiKey> {
    let key = app.store.api_key(id).await?;
    key.filter(|key| caller.sees(key.tenant.as_deref()))
        .ok_or_else(|| ApiError::not_found("key"))
}

fn view(app: &HttpState, key: &ApiKey) -> KeyView {
    KeyView::new(key, app.gate.keyring(), clock::now())
}
