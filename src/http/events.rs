//! Events: accepting them, and looking at them.

use axum::Json;
use axum::body::HttpBody;
use axum::extract::{RawQuery, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::audit::Note;
use super::auth::Asking;
use super::bare;
use super::belonging::{Listed, empty};
use super::body;
use super::body_budget::BodyAccount;
use super::connection_timer::ConnectionTimer;
use super::deliveries::deliveries_of_event;
use super::error::{ApiError, Fault, Problem, Result};
use super::event_answer::{Accepted, BatchView, SingleView, accept_each, accept_whole};
use super::event_input::{self, Arrival, Bounds, Sender};
use super::explain;
use super::openapi::PageParameters;
use super::openapi::bodies::EventsBody;
use super::paging::{PageView, Query};
use super::path::PathId;
use super::schema_check;
use super::search;
use super::to_the_end::to_the_end;
use super::view::EventView;
use crate::actors::{AcceptAnswer, EraseAnswer, NewEvent, Relay};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::id::{EventId, SubscriptionId};
use crate::domain::search::SearchQuery;
use crate::settings::EventSettings;
use crate::store::{EventFilter, EventRow};
use crate::traces::{Accepting, RequestTrace};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `POST /events` as it stands in the table of routes.
#[utoipa::path(
    post,
    path = "/events",
    tag = "events",
    summary = "Post one event or a batch",
    description = "Answered once everything is stored durably: 202 means that it will be delivered. A batch is atomic, unless `atomic=false` asks for each event on its own.",
    params(
        ("atomic" = Option<bool>, Query, description = "All events of a batch or none (the default), or each on its own."),
        ("Idempotency-Key" = Option<String>, Header, description = "The key of a single event; item n of a batch gets the key `K/n`.", min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]*[!-~])?$"),
    ),
    request_body(content = EventsBody, examples(
        ("one" = (summary = "One event", value = json!({"eventType": "candidate.created", "eventName": "Candidate John Doe Created", "payload": {"candidateId": "c-1"}, "source": "candidates-service"}))),
        ("batch" = (summary = "A batch", value = json!([{"eventType": "order.created", "data": {"orderId": "ord_12345", "value": 99.99}}, {"eventType": "order.paid", "data": {"orderId": "ord_12345"}}]))),
    )),
    responses(
        (status = 202, description = "Stored. A batch is answered with the results of its items.", body = AcceptedBody),
        (status = 207, description = "Some items of a batch are stored and some are not (`atomic=false`).", body = BatchView),
        (status = 422, description = "An idempotency key was used before for other content."),
    )
)]
pub async fn create(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    request: Request,
) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let account = parts.extensions.get::<BodyAccount>();
    let timer = ConnectionTimer::default();
    match accept(&app, &caller, &parts, body, account, &timer).await {
        Ok(accepted) => Ok(accepted.into_response_with(HeaderMap::new())),
        Err(refusal) => {
            app.relay.metrics().note_refused(refusal.problem().code());
            Err(refusal)
        }
    }
}

/// One object or an array. Answers once everything is durable.
pub async fn accept<B>(
    app: &HttpState,
    caller: &Caller,
    request: &Parts,
    body: B,
    account: Option<&BodyAccount>,
    timer: &ConnectionTimer,
) -> Result<Accepted>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let traces = app.relay.traces();
    let trace = traces.map(|traces| traces.request(&request.headers));
    let accepted = accept_now(app, caller, request, body, account, timer, trace.as_ref()).await;
    if let Some(trace) = trace {
        let status = accepted
            .as_ref()
            .map_or_else(ApiError::status, Accepted::status);
        trace.answered(status.as_u16());
    }
    accepted
}

async fn accept_now<B>(
    app: &HttpState,
    caller: &Caller,
    request: &Parts,
    body: B,
    account: Option<&BodyAccount>,
    timer: &ConnectionTimer,
    trace: Option<&RequestTrace>,
) -> Result<Accepted>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    if !app.settings.engine.role.accepts() {
        return Err(ApiError::new(
            Problem::WrongRole,
            "This process has the role deliver and accepts no events; send them to one that has \
             the role ingest or all",
        ));
    }
    let mut query = Query::of(request.uri.query(), &["atomic"]);
    let atomic = query.flag("atomic", true);
    query.done()?;
    let header_key = idempotency_header(&request.headers)?;
    let settings = &app.settings.events;
    let body = body::read_parts(&request.headers, body, account, settings.max_body_bytes).await?;
    let tenant = |id: &str| app.relay.tenant(id);
    let is_inactive = |id: &str| tenant(id).is_some_and(|tenant| tenant.is_inactive());
    let arrival = Arrival {
        now: clock::now(),
        sender: Sender {
            tenant: caller.tenant.as_ref(),
            must_name: settings.require_tenant,
            is_inactive: &is_inactive,
        },
        header_key: header_key.as_deref(),
        new_id: || EventId(clock::uuid()),
    };
    let input = event_input::parse(&body, &arrival, &Bounds::from(settings))
        .map_err(ApiError::invalid_body)?;
    drop(body);
    let input = schema_check::checked(app, input).await?;
    if let Some(own) = caller.tenant.as_deref().and_then(tenant) {
        app.tenant_rates.take(&own, input.items.len())?;
    }
    if input.is_batch && !atomic {
        // Many wait at once, which the connection's timer is not made for.
        let accept = async |unit: Vec<NewEvent>| {
            let _accepting = accepting(trace, &unit);
            app.relay.accept(unit).await
        };
        Box::pin(accept_each(input.items, accept)).await
    } else {
        accept_whole(input, |unit| accept_unit(&app.relay, unit, timer, trace)).await
    }
}

fn accepting(trace: Option<&RequestTrace>, unit: &[NewEvent]) -> Option<Accepting> {
    trace.map(|trace| trace.accepting(unit.iter().map(|new| new.event.id)))
}

async fn accept_unit(
    relay: &Relay,
    unit: Vec<NewEvent>,
    timer: &ConnectionTimer,
    trace: Option<&RequestTrace>,
) -> AcceptAnswer {
    let _accepting = accepting(trace, &unit);
    match relay.submit(unit) {
        Ok(waiting) => {
            let answer = timer.within(waiting.deadline, waiting.answer).await;
            answer
                .and_then(std::result::Result::ok)
                .unwrap_or(AcceptAnswer::Unavailable)
        }
        Err(refusal) => refusal,
    }
}

impl From<&EventSettings> for Bounds {
    fn from(settings: &EventSettings) -> Self {
        Self {
            max_batch: settings.max_batch,
            max_payload_bytes: settings.max_payload_bytes,
        }
    }
}

fn idempotency_header(headers: &HeaderMap) -> Result<Option<String>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).into_iter();
    let first = values.next();
    let fault = |message| {
        Err(ApiError::invalid_body(vec![Fault::new(
            "Idempotency-Key",
            message,
        )]))
    };
    if values.next().is_some() {
        return fault("is given twice");
    }
    match first.map(|value| std::str::from_utf8(value.as_bytes())) {
        None => Ok(None),
        Some(Ok(key)) => Ok(Some(key.to_owned())),
        Some(Err(_)) => fault("must be UTF-8"),
    }
}

/// The answer to a single event or to a batch.
#[derive(ToSchema)]
#[schema(as = AcceptedEvents)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum AcceptedBody<'a> {
    One(SingleView<'a>),
    Batch(BatchView),
}

/// `GET /events`: newest first. With `q`, a search.
#[utoipa::path(
    get,
    path = "/events",
    tag = "events",
    summary = "List events",
    description = "Newest first. With `q`, a search: it walks by time, looks at a bounded number of rows and answers `partial` where there may be more.",
    params(
        ("q" = Option<String>, Query, description = "Looks for text: up to 8 terms, all of which have to match, parted by blanks or in quotation marks. A term is part of what is shown or of the payload, an id, or a field (`payload.orderId=ord_1`). A search is followed by `nextCursor` alone.", min_length = 1, max_length = 255),
        ("eventType" = Option<String>, Query, description = "Only those of exactly that type.", min_length = 1, max_length = 255),
        ("source" = Option<String>, Query, description = "Only those of that source.", min_length = 1, max_length = 255),
        ("tenant" = Option<String>, Query, description = "Only those of that tenant.", min_length = 1, max_length = 255),
        ("clientId" = Option<String>, Query, description = "The same as `tenant`.", min_length = 1, max_length = 255),
        ("since" = Option<Timestamp>, Query, description = "Received at that moment or later."),
        ("until" = Option<Timestamp>, Query, description = "Received before that moment."),
        PageParameters,
    ),
    responses((status = 200, description = "A page of events.", body = PageView<EventView>))
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let filters = [
        "q",
        "eventType",
        "source",
        "tenant",
        "clientId",
        "since",
        "until",
    ];
    let mut query = Query::of_list(raw.as_deref(), &filters);
    let binding = query.binding("events");
    let search = query.parsed_or_said(&["q"], SearchQuery::parse);
    let listed = Listed::for_caller(&caller, query.text(&["tenant", "clientId"]));
    let mut filter = EventFilter {
        event_type: query.text(&["eventType"]),
        tenant: None,
        source: query.text(&["source"]),
        since: query.time("since"),
        until: query.time("until"),
    };
    if let Some(search) = search {
        let page = query.search_page(binding);
        query.done()?;
        let found = match listed {
            Listed::Of(tenant) => {
                filter.tenant = tenant;
                search::events(&app, &caller, &filter, search, page).await?
            }
            Listed::Nothing => search::Found::nothing(),
        };
        let ids: Vec<EventId> = found.ids;
        let rows = app.store.event_rows(&ids).await?;
        let view = PageView {
            data: rows.iter().map(EventView::of).collect(),
            next_cursor: found.next.map(|next| binding.cursor(next)),
            partial: found.partial,
            limit: page.limit,
        };
        return Ok(Json(view).into_response());
    }
    let request = query.page();
    query.done()?;
    let page = match listed {
        Listed::Of(tenant) => {
            filter.tenant = tenant;
            app.store.list_events(&filter, &request).await?
        }
        Listed::Nothing => empty(),
    };
    let view = PageView::new(&page, request.limit, EventView::of);
    Ok(Json(view).into_response())
}

async fn find(app: &HttpState, caller: &Caller, id: EventId) -> Result<EventRow> {
    let row = app.store.event(id).await?;
    row.filter(|row| caller.sees(row.event.tenant.as_deref()))
        .ok_or_else(|| ApiError::not_found("event"))
}

/// `GET /events/{id}`: one event with its newest deliveries. A tenant sees its own events, and those
/// without a tenant that were for a subscription of it: what they carry it was sent, or will be. With `subscription`, what became of it
/// for that one; with `explain`, for all of them, page by page.
#[utoipa::path(
    get,
    path = "/events/{id}",
    tag = "events",
    summary = "Show an event",
    description = "With `subscription`, also what became of it for that one; with `explain=true`, for all of them, page by page.",
    params(
        ("subscription" = Option<SubscriptionId>, Query, description = "Say why this subscription did or did not get it."),
        ("subscriptionId" = Option<SubscriptionId>, Query, description = "The same as `subscription`."),
        ("webhookId" = Option<SubscriptionId>, Query, description = "The same as `subscription`."),
        ("explain" = Option<bool>, Query, description = "Say it of every subscription, a page of them. `limit`, `cursor` and `offset` go with it alone."),
        PageParameters,
    ),
    responses((status = 200, description = "The event with its newest deliveries, at most 100.", body = EventView))
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let asked = ["subscription", "subscriptionId", "webhookId", "explain"];
    let mut query = Query::of_list(raw.as_deref(), &asked);
    let explained = explain::Asked::read(&mut query);
    query.done()?;
    let row = app.store.event(EventId(id)).await?;
    let of_tenant = |row: &EventRow| row.event.tenant.is_some();
    let visible = row.filter(|row| caller.sees(row.event.tenant.as_deref()) || !of_tenant(row));
    let row = visible.ok_or_else(|| ApiError::not_found("event"))?;
    let deliveries = deliveries_of_event(&app, &caller, row.event.id).await?;
    let of_another = !caller.sees(row.event.tenant.as_deref());
    if of_another && deliveries.is_empty() {
        return Err(ApiError::not_found("event"));
    }
    let explanations = explain::explain(&app, &caller, &row, explained).await?;
    let mut view = EventView::of(&row)
        .with_deliveries(deliveries)
        .with_explanations(explanations);
    if of_another {
        view = view.without_senders_key();
    }
    Ok(Json(view).into_response())
}

/// What became of an erasure.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ErasedEvent)]
struct ErasedView {
    id: EventId,
    payload_erased_at: Timestamp,
    /// Pending deliveries that were cancelled for it.
    cancelled: u64,
}

/// `DELETE /events/{id}/payload`: the payload and what receivers answered to it, for good. What is
/// pending is cancelled first with `cancelPending=true`, and stands against it otherwise.
#[utoipa::path(
    delete,
    path = "/events/{id}/payload",
    tag = "events",
    summary = "Erase an event's payload",
    description = "And what receivers answered to it, for good. The event itself stays.",
    params(("cancelPending" = Option<bool>, Query, description = "Cancel the deliveries of it that are pending, which stand against it otherwise.")),
    responses(
        (status = 200, description = "It is erased.", body = ErasedView),
        (status = 409, description = "Deliveries of it are pending, or an attempt is under way."),
    )
)]
pub async fn erase_payload(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    note: Note,
    request: Request,
) -> Result<Response> {
    let mut query = Query::of(request.uri().query(), &["cancelPending"]);
    let cancel_pending = query.flag("cancelPending", false);
    query.done()?;
    bare::no_body(request).await?;
    let id = find(&app, &caller, EventId(id)).await?.event.id;
    let audit = note.take();
    let erased = to_the_end(async move {
        let erased = app.relay.erase_payload(id, cancel_pending, &audit).await;
        Ok(erased?)
    });
    match erased.await? {
        EraseAnswer::Erased { at, cancelled } => {
            let view = ErasedView {
                id,
                payload_erased_at: at,
                cancelled,
            };
            Ok(Json(view).into_response())
        }
        EraseAnswer::Pending(pending) => Err(ApiError::conflict(format!(
            "{pending} deliveries of this event are pending and need its payload; wait for them, \
             or cancel them with it: ?cancelPending=true"
        ))),
        EraseAnswer::InFlight => Err(ApiError::conflict(
            "An attempt of a delivery of this event is being made right now; wait for its outcome \
             and ask again",
        )),
        EraseAnswer::Missing => Err(ApiError::not_found("event")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_key_is_one_text() {
        let read = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("idempotency-key", value.to_vec().try_into().unwrap());
            }
            idempotency_header(&headers)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"k"]), Ok(Some("k".to_owned())));
        assert_eq!(read(&["ü".as_bytes()]), Ok(Some("ü".to_owned())));
        assert!(read(&[b"k", b"l"]).is_err());
        assert!(read(&[b"\xff"]).is_err());
    }
}
