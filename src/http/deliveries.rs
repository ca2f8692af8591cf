//! Deliveries: looking at them, sending one again, and taking one back.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::auth::{Asking, check_scope};
use super::bare::Bare;
use super::belonging::{self, Listed, empty};
use super::error::{ApiError, Problem, Result};
use super::openapi::PageParameters;
use super::ordering;
use super::paging::{Binding, PageView, Query};
use super::path::{PathId, PathIds};
use super::search::{self, DeliverySearch};
use super::to_the_end::to_the_end;
use super::view::DeliveryView;
use crate::actors::{CancelAnswer, RetryAnswer};
use crate::domain::Timestamp;
use crate::domain::access::{Caller, Scope};
use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, EventId, SubscriptionId};
use crate::domain::job::EventHead;
use crate::domain::search::{SearchQuery, StatusClass};
use crate::domain::subscription::SubscriptionState;
use crate::store::read::MAX_PAGE;
use crate::store::{DeliveryFilter, PageRequest};

/// Attempts shown of one delivery at most.
const MAX_ATTEMPTS_SHOWN: u32 = 200;
/// How often a retry or cancellation reads again after somebody else moved the delivery.
const MAX_REREADS: usize = 5;
const IN_FLIGHT: &str = "An attempt of this delivery is being made right now; wait for its outcome";
const ERASED: &str = "The payload of this delivery's event was erased: there is nothing to send";
const KEEPS_MOVING: &str = "This delivery keeps moving; look at it and try again";

/// What every list of deliveries can be asked for.
const FILTERS: [&str; 9] = [
    "answers",
    "q",
    "status",
    "state",
    "statusClass",
    "eventId",
    "eventType",
    "since",
    "until",
];
/// Of these, what makes it a search.
const SEARCHED: [&str; 2] = ["q", "statusClass"];

/// `GET /deliveries`: newest first.
#[utoipa::path(
    get,
    path = "/deliveries",
    tag = "deliveries",
    summary = "List deliveries",
    description = "Newest first. With `q` or `statusClass`, a search: it walks by time, looks at a bounded number of rows and answers `partial` where there may be more.",
    params(
        ("q" = Option<String>, Query, description = "Looks for text: up to 8 terms, all of which have to match, parted by blanks or in quotation marks. A term is part of what is shown or, with `events:read`, of the event or its payload; an id; or, with that scope, a field (`payload.orderId=ord_1`). A search is followed by `nextCursor` alone.", min_length = 1, max_length = 255),
        ("statusClass" = Option<StatusClass>, Query, description = "Only those whose last attempt ended so: `2xx` and the like, a kind of failure (`timeout`), or `none` where there was none.", example = "5xx"),
        ("status" = Option<DeliveryState>, Query, description = "Only those in that state."),
        ("state" = Option<DeliveryState>, Query, description = "The same as `status`."),
        ("subscriptionId" = Option<SubscriptionId>, Query, description = "Only those of that subscription."),
        ("webhookId" = Option<SubscriptionId>, Query, description = "The same as `subscriptionId`."),
        ("tenant" = Option<String>, Query, description = "Only those of that tenant's subscriptions.", min_length = 1, max_length = 255),
        ("clientId" = Option<String>, Query, description = "The same as `tenant`.", min_length = 1, max_length = 255),
        ("eventId" = Option<EventId>, Query, description = "Only those of that event."),
        ("eventType" = Option<String>, Query, description = "Only those of events of exactly that type.", min_length = 1, max_length = 255),
        ("since" = Option<Timestamp>, Query, description = "Made at that moment or later."),
        ("until" = Option<Timestamp>, Query, description = "Made before that moment."),
        ("answers" = Option<bool>, Query, description = "With `false`, `responseHeaders` and `responseBody` are null: of a page they can come to 400 KiB."),
        PageParameters,
    ),
    responses((status = 200, description = "A page of deliveries.", body = PageView<DeliveryView>))
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let more = ["subscriptionId", "webhookId", "tenant", "clientId"];
    let mut query = Query::of_list(raw.as_deref(), &[&FILTERS[..], &more].concat());
    let binding = query.binding("deliveries");
    let subscription = query.id(&["subscriptionId", "webhookId"]);
    let listed = Listed::for_caller(&caller, query.text(&["tenant", "clientId"]));
    answer_list(&app, &caller, query, binding, subscription, listed).await
}

/// `GET /subscriptions/{id}/deliveries`: newest first.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}/deliveries",
    tag = "subscriptions",
    operation_id = "deliveries",
    summary = "List a subscription's deliveries",
    description = "Newest first. With `q` or `statusClass`, a search: it walks by time, looks at a bounded number of rows and answers `partial` where there may be more.",
    params(
        ("q" = Option<String>, Query, description = "Looks for text: up to 8 terms, all of which have to match, parted by blanks or in quotation marks. A term is part of what is shown or, with `events:read`, of the event or its payload; an id; or, with that scope, a field (`payload.orderId=ord_1`). A search is followed by `nextCursor` alone.", min_length = 1, max_length = 255),
        ("statusClass" = Option<StatusClass>, Query, description = "Only those whose last attempt ended so: `2xx` and the like, a kind of failure (`timeout`), or `none` where there was none.", example = "5xx"),
        ("status" = Option<DeliveryState>, Query, description = "Only those in that state."),
        ("state" = Option<DeliveryState>, Query, description = "The same as `status`."),
        ("eventId" = Option<EventId>, Query, description = "Only those of that event."),
        ("eventType" = Option<String>, Query, description = "Only those of events of exactly that type.", min_length = 1, max_length = 255),
        ("since" = Option<Timestamp>, Query, description = "Made at that moment or later."),
        ("until" = Option<Timestamp>, Query, description = "Made before that moment."),
        ("answers" = Option<bool>, Query, description = "With `false`, `responseHeaders` and `responseBody` are null: of a page they can come to 400 KiB."),
        PageParameters,
    ),
    responses((status = 200, description = "A page of deliveries.", body = PageView<DeliveryView>))
)]
pub async fn list_of_subscription(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let query = Query::of_list(raw.as_deref(), &FILTERS);
    let binding = query.binding(&id.to_string());
    let subscription = belonging::subscription(&app, &caller, SubscriptionId(id)).await?;
    let listed = Listed::Of(None);
    answer_list(&app, &caller, query, binding, Some(subscription.id), listed).await
}

async fn answer_list(
    app: &HttpState,
    caller: &Caller,
    mut query: Query,
    binding: Binding,
    subscription: Option<SubscriptionId>,
    listed: Listed,
) -> Result<Response> {
    let searches = query.has_any(&SEARCHED);
    let view = match query.flag("answers", true) {
        true => DeliveryView::new,
        false => DeliveryView::without_answer,
    };
    let tenant = match &listed {
        Listed::Of(tenant) => tenant.clone(),
        Listed::Nothing => None,
    };
    let words = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
    let filter = DeliveryFilter {
        subscription,
        tenant,
        event: query.id(&["eventId"]),
        event_type: query.text(&["eventType"]),
        state: query.parsed(
            &["status", "state"],
            &format!("one of {words}"),
            DeliveryState::parse,
        ),
        since: query.time("since"),
        until: query.time("until"),
    };
    if !searches {
        let request = query.page();
        query.done()?;
        let page = match listed {
            Listed::Of(_) => app.store.list_deliveries(&filter, &request).await?,
            Listed::Nothing => empty(),
        };
        return Ok(Json(PageView::new(&page, request.limit, view)).into_response());
    }
    let search = DeliverySearch {
        filter,
        query: query.parsed_or_said(&["q"], SearchQuery::parse),
        class: query.parsed(&["statusClass"], &StatusClass::words(), StatusClass::parse),
    };
    let page = query.search_page(binding);
    query.done()?;
    if search.query.as_ref().is_some_and(SearchQuery::names_fields)
        && !caller.scopes.allow(Scope::EventsRead)
    {
        let message = "q names a field of the payload: to look into payloads takes the scope \
                       events:read as well";
        return Err(ApiError::new(Problem::MissingScope, message));
    }
    let found = match listed {
        Listed::Of(_) => search::deliveries(app, caller, search, page).await?,
        Listed::Nothing => search::Found::nothing(),
    };
    let rows = app.store.delivery_rows(&found.ids).await?;
    let view = PageView {
        data: rows.iter().map(view).collect(),
        next_cursor: found.next.map(|next| binding.cursor(next)),
        partial: found.partial,
        limit: page.limit,
    };
    Ok(Json(view).into_response())
}

/// The newest deliveries of one event that exist for this caller, a page of them.
pub async fn deliveries_of_event(
    app: &HttpState,
    caller: &Caller,
    event: EventId,
) -> Result<Vec<DeliveryView>> {
    let filter = DeliveryFilter {
        event: Some(event),
        tenant: caller.tenant.as_deref().map(str::to_owned),
        ..DeliveryFilter::default()
    };
    let first = PageRequest {
        limit: MAX_PAGE,
        after: None,
        offset: 0,
    };
    let page = app.store.list_deliveries(&filter, &first).await?;
    Ok(page.rows.iter().map(DeliveryView::new).collect())
}

/// `GET /deliveries/{id}`: one delivery with its attempts.
#[utoipa::path(
    get,
    path = "/deliveries/{id}",
    tag = "deliveries",
    summary = "Show a delivery",
    responses((status = 200, description = "The delivery with its attempts, the newest 200 of them.", body = DeliveryView))
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
) -> Result<Response> {
    let id = DeliveryId(id);
    let row = belonging::delivery(&app, &caller, id).await?;
    let attempts = app.store.attempts(id, MAX_ATTEMPTS_SHOWN).await?;
    Ok(Json(DeliveryView::new(&row).with_attempts(&attempts)).into_response())
}

/// `GET /deliveries/{id}/body`: what the receiver is sent.
#[utoipa::path(
    get,
    path = "/deliveries/{id}/body",
    tag = "deliveries",
    operation_id = "body",
    summary = "Show the body of a delivery",
    description = "Byte for byte as the next attempt sends it, in the subscription's `payloadFormat`. Attempts before it sent the same, unless the format was changed in between.",
    responses(
        (status = 200, description = "The body.", content(
            (serde_json::Value = "application/json"),
            (serde_json::Value = "application/cloudevents+json"),
        )),
        (status = 403, description = "The key lacks `events:read`, which it takes as well: this is an event's payload."),
        (status = 409, description = "The payload was erased."),
    )
)]
pub async fn body(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
) -> Result<Response> {
    check_scope(&caller, Scope::EventsRead)?;
    let row = belonging::delivery(&app, &caller, DeliveryId(id)).await?;
    let event = app.store.event(row.event_id).await?;
    let subscription = app.store.subscription(row.subscription_id).await?;
    let (Some(event), Some(subscription)) = (event, subscription) else {
        return Err(ApiError::not_found("delivery"));
    };
    if event.payload_erased_at.is_some() {
        return Err(ApiError::conflict(ERASED));
    }
    let format = subscription.format;
    let media_type = HeaderValue::from_static(format.content_type());
    let body = format.body(&event.event);
    Ok(([(CONTENT_TYPE, media_type)], body).into_response())
}

/// `POST /deliveries/{id}/retry`: attempted now, in a new round.
#[utoipa::path(
    post,
    path = "/deliveries/{id}/retry",
    tag = "deliveries",
    summary = "Send a delivery again",
    description = "Attempted now, in a new round, whatever its state.",
    responses(
        (status = 202, description = "The delivery; the attempt is being made.", body = DeliveryView),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
        (status = 409, description = "An attempt is under way, a bound is reached, or the subscription gets nothing at present."),
    )
)]
pub async fn retry(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: Bare,
) -> Result<Response> {
    let view = to_the_end(async move { retry_now(&app, &caller, DeliveryId(id)).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

/// `POST /subscriptions/{id}/retry/{event}`: the same, for whom the delivery's own id is unknown.
#[utoipa::path(
    post,
    path = "/subscriptions/{id}/retry/{event}",
    tag = "subscriptions",
    summary = "Send an event to a subscription again",
    description = "What `POST /deliveries/{id}/retry` does, for the delivery of that event to that subscription.",
    responses(
        (status = 202, description = "The delivery; the attempt is being made.", body = DeliveryView),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
        (status = 409, description = "An attempt is under way, a bound is reached, or the subscription gets nothing at present."),
    )
)]
pub async fn retry_of_event(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathIds(subscription, event): PathIds,
    _: Bare,
) -> Result<Response> {
    let id = DeliveryId::of(EventId(event), SubscriptionId(subscription));
    let view = to_the_end(async move { retry_now(&app, &caller, id).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

async fn retry_now(app: &HttpState, caller: &Caller, id: DeliveryId) -> Result<DeliveryView> {
    for _ in 0..=MAX_REREADS {
        let row = belonging::delivery(app, caller, id).await?;
        let event = app.store.event_heads(&[row.event_id]).await?;
        if event.iter().any(EventHead::is_erased) {
            return Err(ApiError::conflict(ERASED));
        }
        let subscription = app.store.subscription(row.subscription_id).await?;
        let reason = subscription
            .as_ref()
            .and_then(|found| found.state_change.reason.as_deref());
        check_receiver(subscription.as_ref().map(|found| found.state), reason)?;
        let problem = match app.relay.retry(&row).await? {
            RetryAnswer::Done => {
                let moved = app.store.delivery(id).await?.unwrap_or(row);
                return Ok(DeliveryView::new(&moved));
            }
            RetryAnswer::Overtaken => continue,
            RetryAnswer::InFlight => IN_FLIGHT.to_owned(),
            RetryAnswer::AtBound(most) => format!(
                "The subscription has {most} attempts in flight, which is its bound (maxInFlight); \
                 wait for one to end"
            ),
            RetryAnswer::NodeAtBound(most) => format!(
                "The node has {most} attempts in flight or waiting to be recorded, which is its \
                 bound; wait for one to end"
            ),
        };
        return Err(ApiError::conflict(problem));
    }
    Err(ApiError::conflict(KEEPS_MOVING))
}

/// `POST /deliveries/{id}/cancel`: pending no more, and not sent unless it is retried.
#[utoipa::path(
    post,
    path = "/deliveries/{id}/cancel",
    tag = "deliveries",
    summary = "Cancel a pending delivery",
    responses(
        (status = 200, description = "The delivery, cancelled.", body = DeliveryView),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
        (status = 409, description = "It is not pending, or an attempt is under way."),
    )
)]
pub async fn cancel(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: Bare,
) -> Result<Response> {
    let view = to_the_end(async move { cancel_now(&app, &caller, DeliveryId(id)).await }).await?;
    Ok(Json(view).into_response())
}

async fn cancel_now(app: &HttpState, caller: &Caller, id: DeliveryId) -> Result<DeliveryView> {
    for _ in 0..=MAX_REREADS {
        let row = belonging::delivery(app, caller, id).await?;
        if ordering::is_blocking(app, &row).await? {
            match ordering::release(app, &row, DeliveryState::Cancelled).await? {
                Some(view) => return Ok(view),
                None => continue,
            }
        }
        if row.state.is_final() {
            return Err(ApiError::conflict(format!(
                "This delivery is {} already; only a pending one can be cancelled",
                row.state.as_str()
            )));
        }
        let version = row.progress.version;
        match app.relay.cancel(row.subscription_id, id, version).await? {
            CancelAnswer::Done => {
                let metrics = app.relay.metrics();
                metrics.note_ended(DeliveryState::Cancelled, 1);
                let moved = app.store.delivery(id).await?.unwrap_or(row);
                return Ok(DeliveryView::new(&moved));
            }
            CancelAnswer::InFlight => return Err(ApiError::conflict(IN_FLIGHT)),
            CancelAnswer::Overtaken => {}
        }
    }
    Err(ApiError::conflict(KEEPS_MOVING))
}

/// Says why nothing would be sent to a subscription in that state, and what to do about it.
fn check_receiver(state: Option<SubscriptionState>, reason: Option<&str>) -> Result<()> {
    let problem = match state {
        Some(SubscriptionState::Active) => return Ok(()),
        Some(SubscriptionState::Paused) => {
            "is paused: resume it first; what is pending then goes out"
        }
        Some(SubscriptionState::Deactivated) => "is deactivated: reactivate it first",
        Some(SubscriptionState::Suspended) => "is suspended: reactivate it first",
        Some(SubscriptionState::Deleted) | None => "is deleted: nothing can be sent to it any more",
    };
    let reason = reason.map_or_else(String::new, |reason| format!(" (reason: {reason})"));
    Err(ApiError::conflict(format!(
        "The subscription {problem}{reason}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_needs_a_subscription_that_is_delivered_to() {
        assert_eq!(
            check_receiver(Some(SubscriptionState::Active), None),
            Ok(())
        );
        let held = SubscriptionState::ALL
            .into_iter()
            .filter(|state| !state.delivers());
        for state in held.map(Some).chain([None]) {
            let error = check_receiver(state, Some("gone")).unwrap_err();
            assert_eq!(error.status(), StatusCode::CONFLICT);
            let word = state.unwrap_or(SubscriptionState::Deleted).as_str();
            assert!(format!("{error:?}").contains(word), "{error:?}");
            assert!(format!("{error:?}").contains("(reason: gone)"), "{error:?}");
        }
    }
}
