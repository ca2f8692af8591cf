//! Tenants: made, looked at, changed, deleted; and whether they may call at all.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::auth::Asking;
use super::bare::NoQuery;
use super::belonging::empty;
use super::body;
use super::error::{ApiError, Problem, Result};
use super::openapi::PageParameters;
use super::openapi::bodies::{TenantBody, TenantStatusWord};
use super::paging::{PageView, Query};
use super::tenant_input::TenantInput;
use super::text;
use super::to_the_end::to_the_end;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::tenant::{IngestRate, Tenant, TenantLimits};
use crate::store::{Changed, Page, StoreError, TenantDeleted, TenantLeftovers};

/// Enough for every field at its bound.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How often a change reads again after somebody else's.
const MAX_REREADS: usize = 10;

/// How a tenant that is registered is found, in memory.
pub type FindTenant = Arc<dyn Fn(&str) -> Option<Arc<Tenant>> + Send + Sync>;

/// Lets through whose tenant is not inactive.
pub async fn require_active(
    State(find): State<FindTenant>,
    Asking(caller): Asking,
    request: Request,
    next: Next,
) -> Result<Response> {
    check_active(&caller, &*find)?;
    Ok(next.run(request).await)
}

/// 403 where the caller's tenant is inactive.
pub fn check_active(caller: &Caller, find: impl Fn(&str) -> Option<Arc<Tenant>>) -> Result<()> {
    let known = caller.tenant.as_deref().and_then(find);
    match known.filter(|tenant| tenant.is_inactive()) {
        None => Ok(()),
        Some(tenant) => Err(ApiError::new(Problem::InactiveTenant, inactive(&tenant.id))),
    }
}

/// Why what a tenant brings, or what is brought for it, is refused.
pub fn inactive(tenant: &str) -> String {
    format!("tenant {} is inactive", text::cut(tenant))
}

/// The id in a path. What is no text that a tenant can have names nothing that exists: 404.
#[derive(Clone, Debug)]
pub struct TenantId(String);

impl<S: Send + Sync> FromRequestParts<S> for TenantId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        let id = read.ok().filter(|Path(id)| text::check(id).is_ok());
        id.map(|Path(id)| Self(id))
            .ok_or_else(|| ApiError::not_found("tenant"))
    }
}

/// A tenant.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Tenant)]
struct TenantView<'a> {
    id: &'a str,
    name: &'a str,
    #[schema(value_type = TenantStatusWord)]
    status: &'static str,
    limits: LimitsView,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What it may at most; null for no limit.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TenantLimits)]
struct LimitsView {
    ingest_rate: Option<IngestRate>,
    max_subscriptions: Option<u32>,
    max_backlog: Option<u64>,
}

impl<'a> TenantView<'a> {
    fn new(tenant: &'a Tenant) -> Self {
        let TenantLimits {
            ingest_rate,
            max_subscriptions,
            max_backlog,
        } = tenant.limits;
        Self {
            id: &tenant.id,
            name: &tenant.name,
            status: tenant.status.as_str(),
            limits: LimitsView {
                ingest_rate,
                max_subscriptions,
                max_backlog,
            },
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
        }
    }
}

/// A tenant does not administer tenants, not even itself.
fn check_administrator(caller: &Caller) -> Result<()> {
    match &caller.tenant {
        None => Ok(()),
        Some(_) => Err(ApiError::new(
            Problem::Forbidden,
            "A tenant's key cannot change tenants: use one without a tenant",
        )),
    }
}

async fn find(app: &HttpState, caller: &Caller, TenantId(id): &TenantId) -> Result<Tenant> {
    let found = match caller.sees(Some(id)) {
        true => app.store.tenant(id).await?,
        false => None,
    };
    found.ok_or_else(|| ApiError::not_found("tenant"))
}

/// `POST /tenants`.
#[utoipa::path(
    post,
    path = "/tenants",
    tag = "tenants",
    summary = "Register a tenant",
    description = "Gives the tenant a name, a status and limits. Takes a key without a tenant.",
    request_body(content = TenantBody, example = json!({"id": "acme", "name": "Acme Ltd", "limits": {"ingestRate": {"perMinute": 6000}, "maxSubscriptions": 20, "maxBacklog": 100000}})),
    responses(
        (status = 201, description = "The tenant.", body = TenantView),
        (status = 403, description = "The key is of a tenant, and tenants do not administer tenants."),
        (status = 409, description = "There is a tenant with this id already."),
    )
)]
pub async fn create(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    check_administrator(&caller)?;
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let input = TenantInput::parse(&body).map_err(ApiError::invalid_body)?;
    let tenant = input.into_new(clock::uuid(), clock::now());
    let made = to_the_end(async move { store_new(&app, tenant).await }).await?;
    Ok((StatusCode::CREATED, Json(TenantView::new(&made))).into_response())
}

async fn store_new(app: &HttpState, tenant: Tenant) -> Result<Tenant> {
    let made = match app.store.create_tenant(&tenant).await {
        // The commit's fate may be unknown.
        Err(StoreError::Unavailable(reason)) => match app.store.tenant(&tenant.id).await {
            Ok(Some(stored)) => stored.place == tenant.place,
            _ => return Err(StoreError::Unavailable(reason).into()),
        },
        made => made?.is_some(),
    };
    app.relay.tenant_changed().await;
    match made {
        true => Ok(tenant),
        false => Err(ApiError::conflict(format!(
            "There is a tenant with the id {} already; change it by PATCH",
            text::cut(&tenant.id)
        ))),
    }
}

/// `GET /tenants`: newest first; a tenant's key sees its own.
#[utoipa::path(
    get,
    path = "/tenants",
    tag = "tenants",
    summary = "List tenants",
    description = "Newest first; a tenant's key sees its own alone.",
    params(PageParameters),
    responses((status = 200, description = "A page of tenants.", body = PageView<TenantView>))
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let mut query = Query::of_list(raw.as_deref(), &[]);
    let request = query.page();
    query.done()?;
    let page = match &caller.tenant {
        None => app.store.list_tenants(&request).await?,
        Some(_) if request.after.is_some() || request.offset > 0 => empty(),
        Some(own) => Page {
            rows: app.store.tenant(own).await?.into_iter().collect(),
            ..empty()
        },
    };
    Ok(Json(PageView::new(&page, request.limit, TenantView::new)).into_response())
}

/// `GET /tenants/{id}`.
#[utoipa::path(
    get,
    path = "/tenants/{id}",
    tag = "tenants",
    summary = "Show a tenant",
    params(("id" = String, Path, description = "The tenant's id, as events carry it.", min_length = 1, max_length = 255)),
    responses((status = 200, description = "The tenant.", body = TenantView))
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    id: TenantId,
) -> Result<Response> {
    let tenant = find(&app, &caller, &id).await?;
    Ok(Json(TenantView::new(&tenant)).into_response())
}

/// `PUT` and `PATCH /tenants/{id}`: what is given is merged in.
#[utoipa::path(
    method(put, patch),
    path = "/tenants/{id}",
    tag = "tenants",
    summary = "Change a tenant",
    description = "What is given is merged in; a limit that is null is lifted. Takes a key without a tenant.",
    params(("id" = String, Path, description = "The tenant's id, as events carry it.", min_length = 1, max_length = 255)),
    request_body(content = TenantBody, example = json!({"status": "active", "limits": {"maxBacklog": null}})),
    responses(
        (status = 200, description = "The tenant as it is now.", body = TenantView),
        (status = 403, description = "The key is of this tenant, and tenants do not administer tenants."),
        (status = 409, description = "Others keep changing it."),
    )
)]
pub async fn change(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    id: TenantId,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    find(&app, &caller, &id).await?;
    check_administrator(&caller)?;
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let input = TenantInput::parse(&body).map_err(ApiError::invalid_body)?;
    let changed = async move { update(&app, &caller, &id, &input).await };
    let changed = to_the_end(changed).await?;
    Ok(Json(TenantView::new(&changed)).into_response())
}

async fn update(
    app: &HttpState,
    caller: &Caller,
    id: &TenantId,
    input: &TenantInput,
) -> Result<Tenant> {
    for _ in 0..=MAX_REREADS {
        let stored = find(app, caller, id).await?;
        let next = input.merged_into(&stored, clock::now());
        let next = next.map_err(ApiError::invalid_body)?;
        let changed = match next == stored {
            true => Ok(Changed::At(stored.version)),
            false => app.store.update_tenant(&next).await,
        };
        // Told even where nobody knows whether it was stored.
        app.relay.tenant_changed().await;
        if let Changed::At(_) = changed? {
            return Ok(next);
        }
    }
    Err(keeps_changing())
}

/// `DELETE /tenants/{id}`: only where nothing of it is left.
#[utoipa::path(
    delete,
    path = "/tenants/{id}",
    tag = "tenants",
    summary = "Delete a tenant",
    description = "Only where nothing of it is left. Takes a key without a tenant.",
    params(("id" = String, Path, description = "The tenant's id, as events carry it.", min_length = 1, max_length = 255)),
    responses(
        (status = 204, description = "It is deleted."),
        (status = 400, description = "A query was sent, which nobody would read."),
        (status = 403, description = "The key is of this tenant, and tenants do not administer tenants."),
        (status = 409, description = "Something of it is left; `detail` says what."),
    )
)]
pub async fn delete(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    id: TenantId,
    _: NoQuery,
) -> Result<StatusCode> {
    find(&app, &caller, &id).await?;
    check_administrator(&caller)?;
    to_the_end(async move { delete_now(&app, &caller, &id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_now(app: &HttpState, caller: &Caller, id: &TenantId) -> Result<()> {
    for _ in 0..=MAX_REREADS {
        let stored = find(app, caller, id).await?;
        let deleted = app
            .store
            .delete_tenant(&stored.id, stored.version, clock::now())
            .await;
        app.relay.tenant_changed().await;
        match deleted? {
            TenantDeleted::Done => return Ok(()),
            TenantDeleted::Left(left) => return Err(ApiError::conflict(left_over(&left))),
            TenantDeleted::Overtaken => {}
        }
    }
    Err(keeps_changing())
}

fn keeps_changing() -> ApiError {
    ApiError::conflict("This tenant keeps being changed by others; try again")
}

/// What is left, and what to do about it.
fn left_over(left: &TenantLeftovers) -> String {
    let mut what = Vec::new();
    if left.subscriptions > 0 {
        what.push(format!(
            "{} subscriptions (delete them)",
            left.subscriptions
        ));
    }
    if left.keys > 0 {
        what.push(format!("{} keys (revoke them)", left.keys));
    }
    if left.deliveries {
        what.push("deliveries of its subscriptions (they go with their events)".to_owned());
    }
    if left.events {
        what.push("events (they go when they are older than retention.days)".to_owned());
    }
    format!(
        "This tenant still has {}; until nothing is left, set its status to inactive instead",
        what.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_named() {
        let left = TenantLeftovers {
            subscriptions: 2,
            keys: 3,
            deliveries: false,
            events: true,
        };
        let text = left_over(&left);
        assert!(text.contains("2 subscriptions"), "{text}");
        assert!(text.contains("3 keys"), "{text}");
        assert!(text.contains("events (they go"), "{text}");
        assert!(!text.contains("deliveries"), "{text}");
    }
}
