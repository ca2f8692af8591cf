//! Events: accepting them, and looking at them.

use axum::Json;
use axum::body::HttpBody;
use axum::extract::{RawQuery, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::HttpState;
use super::auth::Asking;
use super::body;
use super::body_budget::BodyAccount;
use super::connection_timer::ConnectionTimer;
use super::deliveries::deliveries_of_event;
use super::error::{ApiError, Fault, Result};
use super::event_answer::{Accepted, accept_each, accept_whole};
use super::event_input::{self, Arrival, Bounds};
use super::paging::{PageView, Query};
use super::path::PathId;
use super::view::EventView;
use crate::actors::{AcceptAnswer, NewEvent, Relay};
use crate::clock;
use crate::domain::access::Caller;
use crate::domain::id::EventId;
use crate::settings::EventSettings;
use crate::store::EventFilter;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `POST /events` as it stands in the table of routes.
pub async fn create(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    request: Request,
) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let account = parts.extensions.get::<BodyAccount>();
    let timer = ConnectionTimer::default();
    let accepted = accept(&app, &caller, &parts, body, account, &timer).await?;
    Ok(accepted.into_response_with(HeaderMap::new()))
}

/// One object or an array. Answers once everything is durable.
pub async fn accept<B>(
    app: &HttpState,
    _caller: &Caller,
    request: &Parts,
    body: B,
    account: Option<&BodyAccount>,
    timer: &ConnectionTimer,
) -> Result<Accepted>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    if !app.settings.engine.role.accepts() {
        return Err(ApiError::unavailable(
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
    let arrival = Arrival {
        now: clock::now(),
        header_key: header_key.as_deref(),
        new_id: || EventId(clock::uuid()),
    };
    let input = event_input::parse(&body, &arrival, &Bounds::from(settings))
        .map_err(ApiError::invalid_body)?;
    drop(body);
    if input.is_batch && !atomic {
        // Many wait at once, which the connection's timer is not made for.
        Box::pin(accept_each(input.items, |unit| app.relay.accept(unit))).await
    } else {
        accept_whole(input, |unit| accept_unit(&app.relay, unit, timer)).await
    }
}

async fn accept_unit(relay: &Relay, unit: Vec<NewEvent>, timer: &ConnectionTimer) -> AcceptAnswer {
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

/// `GET /events`: newest first.
pub async fn list(State(app): State<HttpState>, RawQuery(raw): RawQuery) -> Result<Response> {
    let filters = [
        "eventType",
        "source",
        "tenant",
        "clientId",
        "since",
        "until",
    ];
    let mut query = Query::of_list(raw.as_deref(), &filters);
    let filter = EventFilter {
        event_type: query.text(&["eventType"]),
        tenant: query.text(&["tenant", "clientId"]),
        source: query.text(&["source"]),
        since: query.time("since"),
        until: query.time("until"),
    };
    let request = query.page();
    query.done()?;
    let page = app.store.list_events(&filter, &request).await?;
    let view = PageView::new(&page, request.limit, |row| EventView::new(&row.event));
    Ok(Json(view).into_response())
}

/// `GET /events/{id}`: one event with its newest deliveries.
pub async fn show(State(app): State<HttpState>, PathId(id): PathId) -> Result<Response> {
    let row = app.store.event(EventId(id)).await?;
    let row = row.ok_or_else(|| ApiError::not_found("event"))?;
    let deliveries = deliveries_of_event(&app, row.event.id).await?;
    let view = EventView::new(&row.event).with_deliveries(deliveries);
    Ok(Json(view).into_response())
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
