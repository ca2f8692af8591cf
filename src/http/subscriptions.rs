//! Subscriptions: made, looked at, changed, held, released, deleted.
//!
//! Changes are made where the stored version still is the one that was read, and again where
//! it was not, so that two of them never undo one another. A change is answered only when the
//! actors know of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Asking;
use super::bare::{Bare, NoQuery};
use super::belonging::{self, Listed, empty};
use super::body;
use super::error::{ApiError, Fault, Result};
use super::json_fields::Fields;
use super::openapi::PageParameters;
use super::openapi::bodies::{NewSubscriptionBody, ReactivationBody, SubscriptionBody};
use super::paging::{PageView, Query};
use super::path::PathId;
use super::secrets;
use super::subscription_input::{Rules, Seed, parse_change, parse_new};
use super::subscription_view::{Defaults, SubscriptionView};
use super::to_the_end::to_the_end;
use super::{HttpState, ShowsSecret};
use crate::clock;
use crate::domain::access::Caller;
use crate::domain::id::{EventId, SubscriptionId};
use crate::domain::operational::OperationalEvent;
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::store::{Changed, StoreError};

/// Enough for every field at its bound.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// How often a change reads again after somebody else's.
const MAX_REREADS: usize = 10;
/// How long a caller waits for the last of many cancellations.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

impl HttpState {
    fn rules<'a>(&'a self, caller: &'a Caller) -> Rules<'a> {
        let delivery = &self.settings.delivery;
        Rules {
            tenant: caller.tenant.as_ref(),
            retry: &self.settings.retry,
            breaker: &self.settings.breaker,
            deactivation: &self.settings.deactivation,
            max_in_flight: delivery.max_in_flight_total.min(delivery.window),
            retention: self.settings.retention,
            allow_http: self.settings.address_guard.allow_http,
            guard: self.guard.as_ref(),
        }
    }

    fn view<'a>(&self, subscription: &'a Subscription) -> SubscriptionView<'a> {
        let defaults = Defaults {
            retry: &self.settings.retry,
            breaker: &self.settings.breaker,
            deactivation: &self.settings.deactivation,
            timeout: self.settings.delivery.timeout,
            max_in_flight: self.settings.delivery.max_in_flight,
        };
        SubscriptionView::new(subscription, defaults)
    }
}

/// `POST /subscriptions`: the answer shows the secret.
#[utoipa::path(
    post,
    path = "/subscriptions",
    tag = "subscriptions",
    summary = "Make a subscription",
    description = "The answer shows the secret that its deliveries are signed with.",
    request_body(content = NewSubscriptionBody, examples(
        ("plain" = (summary = "As most are", value = json!({"name": "HRMS Integration", "url": "https://hrms.example.com/webhooks", "eventTypes": ["candidate.created", "candidate.updated"]}))),
        ("signed" = (summary = "With a format and a signature header of its own", value = json!({"name": "Mirror", "url": "https://mirror.example.com/in", "eventTypes": ["order.*"], "payloadFormat": "cloudevents", "secret": "made-elsewhere-1", "signature": {"mode": "beside", "headers": ["github", {"header": "x-mirror-signature", "encoding": "base64", "signs": "timestamp.body", "timestampHeader": "x-mirror-timestamp"}]}}))),
    )),
    responses(
        (status = 201, description = "The subscription, with its secret.", body = SubscriptionView),
        (status = 409, description = "The tenant has as many subscriptions as it may have."),
    )
)]
pub async fn create(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let subscription = read_new(&app, &caller, request).await?;
    let task = app.clone();
    let stored = to_the_end(async move { store_new(&task, subscription).await }).await?;
    let view = app.view(&stored).with_secret(&stored);
    let answer = (StatusCode::CREATED, Extension(ShowsSecret), Json(view));
    Ok(answer.into_response())
}

/// A new subscription as its body has it, not stored yet.
pub async fn read_new(app: &HttpState, caller: &Caller, request: Request) -> Result<Subscription> {
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let seed = Seed {
        id: SubscriptionId(clock::uuid()),
        random: clock::random_bytes(),
        now: clock::now(),
    };
    let rules = app.rules(caller);
    let new = parse_new(&body, rules, seed).map_err(ApiError::invalid_body)?;
    let of_tenant = secrets::of_tenant(app, caller, new.tenant_asked()).await?;
    new.with_tenants(of_tenant.map(|(_, secrets)| secrets))
        .map_err(ApiError::invalid_body)
}

async fn store_new(app: &HttpState, subscription: Subscription) -> Result<Subscription> {
    let id = subscription.id;
    let named = subscription.tenant.as_deref();
    let tenant = named.and_then(|tenant| app.relay.tenant(tenant));
    let most = tenant.and_then(|tenant| tenant.limits.max_subscriptions);
    let stored = match most {
        None => app.store.create_subscription(&subscription).await.map(Some),
        Some(most) => {
            let store = &app.store;
            store.create_subscription_within(&subscription, most).await
        }
    };
    match stored {
        Ok(Some(_)) => {}
        Ok(None) => return Err(at_bound(most.unwrap_or_default())),
        Err(error) => {
            // The commit's fate may be unknown. Had it taken place, a caller who tries again would
            // end up with two subscriptions, and every event twice.
            let unknown = matches!(error, StoreError::Unavailable(_));
            if !unknown || !matches!(app.store.subscription(id).await, Ok(Some(_))) {
                return Err(error.into());
            }
        }
    }
    app.relay.subscription_changed(id).await;
    Ok(subscription)
}

fn at_bound(most: u32) -> ApiError {
    ApiError::limit_reached(format!(
        "This tenant has {most} subscriptions, which is its bound (limits.maxSubscriptions); delete \
         one, or have the bound raised"
    ))
}

/// `GET /subscriptions`: newest first.
#[utoipa::path(
    get,
    path = "/subscriptions",
    tag = "subscriptions",
    summary = "List subscriptions",
    description = "Newest first.",
    params(
        ("clientId" = Option<String>, Query, description = "Only those of that tenant.", min_length = 1, max_length = 255),
        ("tenant" = Option<String>, Query, description = "The same as `clientId`.", min_length = 1, max_length = 255),
        PageParameters,
    ),
    responses(
        (status = 200, description = "A page of subscriptions.", body = PageView<SubscriptionView>),
    )
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let mut query = Query::of_list(raw.as_deref(), &["clientId", "tenant"]);
    let listed = Listed::for_caller(&caller, query.text(&["clientId", "tenant"]));
    let request = query.page();
    query.done()?;
    let page = match listed {
        Listed::Of(tenant) => {
            let store = &app.store;
            store
                .list_subscriptions(tenant.as_deref(), &request)
                .await?
        }
        Listed::Nothing => empty(),
    };
    let view = PageView::new(&page, request.limit, |row| app.view(row));
    Ok(Json(view).into_response())
}

/// `GET /subscriptions/{id}`: also shows where its breaker is.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}",
    tag = "subscriptions",
    summary = "Show a subscription",
    responses(
        (status = 200, description = "The subscription, and where its breaker is.", body = SubscriptionView),
    )
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
) -> Result<Response> {
    let found = belonging::subscription(&app, &caller, SubscriptionId(id)).await?;
    let runtime = app.store.runtime(found.id).await?;
    let view = app.view(&found).with_breaker_state(runtime.breaker);
    Ok(Json(view).into_response())
}

/// `PUT` and `PATCH /subscriptions/{id}`: what is given is merged in.
#[utoipa::path(
    method(put, patch),
    path = "/subscriptions/{id}",
    tag = "subscriptions",
    summary = "Change a subscription",
    description = "What is given is merged in. What answers show and nobody can set may come back and is passed over.",
    request_body(content = SubscriptionBody, example = json!({"isActive": false})),
    responses(
        (status = 200, description = "The subscription as it is now.", body = SubscriptionView),
        (status = 409, description = "Its state does not allow this, others keep changing it, or it has deliveries and another tenant is named."),
    )
)]
pub async fn change(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let rules = app.rules(&caller);
    let input = parse_change(&body, rules).map_err(ApiError::invalid_body)?;
    let stored = belonging::subscription(&app, &caller, SubscriptionId(id)).await?;
    let asked = input.tenant_asked(&stored);
    let of_tenant = secrets::of_tenant(&app, &caller, asked.as_ref()).await?;
    answer_update(app, caller, id, move |stored| {
        input
            .merged_into(stored, of_tenant.as_ref(), clock::now())
            .map_err(ApiError::invalid_body)
    })
    .await
}

/// `POST /subscriptions/{id}/pause`: deliveries are held, none is lost.
#[utoipa::path(
    post,
    path = "/subscriptions/{id}/pause",
    tag = "subscriptions",
    summary = "Pause a subscription",
    description = "Its deliveries are held; none is lost.",
    responses(
        (status = 200, description = "The subscription, paused.", body = SubscriptionView),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
        (status = 409, description = "A rule holds it: reactivate it first."),
    )
)]
pub async fn pause(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: Bare,
) -> Result<Response> {
    answer_update(app, caller, id, paused).await
}

/// `POST /subscriptions/{id}/resume`: also takes back a deactivation or suspension.
#[utoipa::path(
    post,
    path = "/subscriptions/{id}/resume",
    tag = "subscriptions",
    summary = "Resume a subscription",
    description = "Also takes back a deactivation or suspension.",
    responses(
        (status = 200, description = "The subscription, active.", body = SubscriptionView),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
        (status = 409, description = "Its state does not allow this, or others keep changing it."),
    )
)]
pub async fn resume(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: Bare,
) -> Result<Response> {
    answer_update(app, caller, id, |stored| {
        moved(stored, SubscriptionState::Active)
    })
    .await
}

/// What becomes of what was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Send,
    Skip,
}

/// Reads the body of a reactivation, which may be absent.
fn parse_held(body: &[u8]) -> std::result::Result<Held, Vec<Fault>> {
    let mut fields = Fields::of_body_or_none(body).map_err(|fault| vec![fault])?;
    let held = match fields.any_text("held").as_deref() {
        None | Some("send") => Held::Send,
        Some("skip") => Held::Skip,
        Some(_) => {
            fields.fault("held", "must be send or skip");
            Held::Send
        }
    };
    match fields.finish() {
        faults if faults.is_empty() => Ok(held),
        faults => Err(faults),
    }
}

/// What became of what was held.
#[derive(Serialize, ToSchema)]
#[schema(as = Skipped)]
struct SkippedView {
    /// Deliveries skipped so far.
    skipped: u64,
    /// False while the rest goes on being skipped; the subscription becomes active then.
    complete: bool,
}

/// A subscription that was reactivated; `held` is there where that was without what was held.
#[derive(Serialize, ToSchema)]
#[schema(as = Reactivated)]
struct ReactivatedView<'a> {
    #[serde(flatten)]
    subscription: SubscriptionView<'a>,
    #[schema(required = false)]
    held: SkippedView,
}

/// `POST /subscriptions/{id}/reactivate`: takes back a deactivation or suspension, and nothing
/// else. What was held is sent, or skipped: 202 where that takes longer than a caller should
/// wait.
#[utoipa::path(
    post,
    path = "/subscriptions/{id}/reactivate",
    tag = "subscriptions",
    summary = "Reactivate a subscription",
    description = "Takes back a deactivation or suspension, and nothing else. What was held is sent, or skipped.",
    request_body(content = Option<ReactivationBody>, example = json!({"held": "skip"})),
    responses(
        (status = 200, description = "The subscription, active.", body = ReactivatedView),
        (status = 202, description = "What was held is still being skipped; it becomes active then.", body = ReactivatedView),
        (status = 409, description = "It is neither deactivated nor suspended."),
    )
)]
pub async fn reactivate(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let body = body::read(request, MAX_BODY_BYTES).await?;
    match parse_held(&body).map_err(ApiError::invalid_body)? {
        Held::Send => answer_update(app, caller, id, reactivated).await,
        Held::Skip => {
            let work =
                async move { reactivate_without_held(&app, &caller, SubscriptionId(id)).await };
            to_the_end(work).await
        }
    }
}

fn paused(stored: &Subscription) -> Result<Subscription> {
    if stored.is_held_by_rule() {
        // It stays as it is, and a trial may reactivate it: no pause that was answered 200.
        let (state, reason) = (stored.state.as_str(), &stored.state_change.reason);
        let reason = reason.as_deref().unwrap_or("unknown");
        return Err(ApiError::conflict(format!(
            "This subscription is {state} (reason: {reason}): reactivate it before it is paused"
        )));
    }
    moved(stored, SubscriptionState::Paused)
}

fn reactivated(stored: &Subscription) -> Result<Subscription> {
    let problem = match stored.state {
        SubscriptionState::Deactivated | SubscriptionState::Suspended => {
            return moved(stored, SubscriptionState::Active);
        }
        SubscriptionState::Active => "is active: there is nothing to take back",
        SubscriptionState::Paused => "is paused: resume it instead",
        SubscriptionState::Deleted => "is deleted",
    };
    Err(ApiError::conflict(format!("This subscription {problem}")))
}

async fn reactivate_without_held(
    app: &HttpState,
    caller: &Caller,
    id: SubscriptionId,
) -> Result<Response> {
    reactivated(&belonging::subscription(app, caller, id).await?)?;
    let patience = CANCEL_PATIENCE.min(app.settings.server.request_timeout / 2);
    let answer = app.relay.reactivate_without_held(id, patience).await?;
    let code = match answer.complete {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let stored = belonging::subscription(app, caller, id).await?;
    let view = ReactivatedView {
        subscription: app.view(&stored),
        held: SkippedView {
            skipped: answer.skipped,
            complete: answer.complete,
        },
    };
    Ok((code, Json(view)).into_response())
}

/// What became of the pending deliveries of a subscription.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CancelledPending)]
struct CancelledView {
    subscription_id: SubscriptionId,
    cancelled: u64,
    /// Left alone, because an attempt of them was being made; null where this process does not
    /// know, because another one delivers.
    in_flight: Option<usize>,
    /// False while the rest goes on being cancelled.
    complete: bool,
}

/// `POST /subscriptions/{id}/cancel-pending`: all that waits, whatever holds it. 202 where that
/// takes longer than a caller should wait.
#[utoipa::path(
    post,
    path = "/subscriptions/{id}/cancel-pending",
    tag = "subscriptions",
    summary = "Cancel all that waits",
    responses(
        (status = 200, description = "All are cancelled.", body = CancelledView),
        (status = 202, description = "The rest goes on being cancelled.", body = CancelledView),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
    )
)]
pub async fn cancel_pending(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: Bare,
) -> Result<Response> {
    let id = SubscriptionId(id);
    let id = belonging::subscription(&app, &caller, id).await?.id;
    let patience = CANCEL_PATIENCE.min(app.settings.server.request_timeout / 2);
    let answer = app.relay.cancel_pending(id, patience).await?;
    let code = match answer.complete {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let view = CancelledView {
        subscription_id: id,
        cancelled: answer.cancelled,
        in_flight: answer.in_flight,
        complete: answer.complete,
    };
    Ok((code, Json(view)).into_response())
}

/// `DELETE /subscriptions/{id}`: tombstones; what is pending is cancelled.
#[utoipa::path(
    delete,
    path = "/subscriptions/{id}",
    tag = "subscriptions",
    summary = "Delete a subscription",
    responses(
        (status = 204, description = "It is deleted; what was pending is cancelled."),
        (status = 409, description = "Others keep changing it."),
    )
)]
pub async fn delete(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
) -> Result<StatusCode> {
    let deleted = |stored: &Subscription| moved(stored, SubscriptionState::Deleted);
    let work = async move { update(&app, &caller, SubscriptionId(id), deleted).await };
    to_the_end(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn moved(stored: &Subscription, to: SubscriptionState) -> Result<Subscription> {
    stored
        .moved_to(to, None, clock::now())
        .map_err(|problem| ApiError::conflict(problem.to_string()))
}

async fn answer_update(
    app: HttpState,
    caller: Arc<Caller>,
    id: uuid::Uuid,
    change: impl Fn(&Subscription) -> Result<Subscription> + Send + Sync + 'static,
) -> Result<Response> {
    let task = app.clone();
    let id = SubscriptionId(id);
    let updated = to_the_end(async move { update(&task, &caller, id, change).await }).await?;
    Ok(Json(app.view(&updated)).into_response())
}

/// Nobody inherits what another was sent.
fn has_deliveries() -> ApiError {
    ApiError::conflict(
        "This subscription has deliveries, which stay with whose it was: make another one for the \
         other tenant, and delete this one",
    )
}

pub(super) async fn update(
    app: &HttpState,
    caller: &Caller,
    id: SubscriptionId,
    change: impl Fn(&Subscription) -> Result<Subscription> + Send + Sync,
) -> Result<Subscription> {
    for _ in 0..=MAX_REREADS {
        let stored = belonging::subscription(app, caller, id).await?;
        let next = change(&stored)?;
        let changed = if next == stored {
            Ok(Changed::At(stored.version))
        } else {
            let event = EventId(clock::uuid());
            let raises = OperationalEvent::of_state_change(event, &stored, &next);
            if next.tenant == stored.tenant {
                app.store.update_subscription(&next, raises.as_ref()).await
            } else {
                let handed = app.store.hand_subscription_over(&next, raises.as_ref());
                match handed.await {
                    Ok(None) => return Err(has_deliveries()),
                    Ok(Some(changed)) => Ok(changed),
                    Err(problem) => Err(problem),
                }
            }
        };
        // Told even where nothing changed or nobody knows whether it did: an earlier change
        // may have been stored and never told.
        if !matches!(changed, Ok(Changed::Overtaken)) {
            app.relay.subscription_changed(id).await;
        }
        match changed? {
            Changed::At(_) => return Ok(next),
            Changed::Overtaken => {}
        }
    }
    Err(ApiError::conflict(
        "This subscription keeps being changed by others; try again",
    ))
}
