//! Events: accepting them, and looking at them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use serde::Serialize;

use super::HttpState;
use super::body;
use super::deliveries::deliveries_of_event;
use super::error::{ApiError, Fault, Result, in_one_line};
use super::event_input::{self, Arrival, Bounds, Input, Item};
use super::paging::{PageView, Query};
use super::path::PathId;
use super::view::EventView;
use crate::actors::{AcceptAnswer, NewEvent};
use crate::clock;
use crate::domain::event::Event;
use crate::domain::id::EventId;
use crate::domain::idempotency::ItemFate;
use crate::settings::EventSettings;
use crate::store::EventFilter;

const KEY_CONFLICT: &str = "was used before for other content";
const TRY_AGAIN: &str = "temporarily unavailable";

/// `POST /events`: one object or an array. Answers once everything is durable.
pub async fn create(
    State(app): State<HttpState>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response> {
    let mut query = Query::of(raw.as_deref(), &["atomic"]);
    let atomic = query.flag("atomic", true);
    query.done()?;
    let header_key = idempotency_header(request.headers())?;
    let settings = &app.settings.events;
    let body = body::read(request, settings.max_body_bytes).await?;
    let arrival = Arrival {
        now: clock::now(),
        header_key: header_key.as_deref(),
        new_id: || EventId(clock::uuid()),
    };
    let input = event_input::parse(&body, &arrival, &Bounds::from(settings))
        .map_err(ApiError::invalid_body)?;
    drop(body);
    if input.is_batch && !atomic {
        accept_each(&app, input.items).await
    } else {
        accept_whole(&app, input).await
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
    let mut values = headers.get_all("idempotency-key").into_iter();
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

/// All or nothing.
async fn accept_whole(app: &HttpState, input: Input) -> Result<Response> {
    let mut unit = Vec::with_capacity(input.items.len());
    let mut faults = Vec::new();
    for item in input.items {
        match item.event {
            Ok(event) => unit.push(event),
            Err(of_item) => faults.extend(of_item),
        }
    }
    if !faults.is_empty() {
        return Err(ApiError::invalid_body(faults));
    }
    let events: Vec<Arc<Event>> = unit.iter().map(|new| new.event.clone()).collect();
    let fates = accepted(app.relay.accept(unit).await, input.is_batch)?;
    let answer = match (events.as_slice(), fates.as_slice()) {
        ([event], [fate]) if !input.is_batch => Json(SingleView::new(event, *fate)).into_response(),
        _ => {
            let results = events.iter().zip(&fates);
            Json(BatchView {
                message: format!("All {} events successfully enqueued", events.len()),
                results: results
                    .map(|(event, fate)| ResultView::success(event, *fate))
                    .collect(),
            })
            .into_response()
        }
    };
    Ok((StatusCode::ACCEPTED, answer).into_response())
}

/// The items' fates, or the answer for a unit of which nothing is stored.
fn accepted(answer: AcceptAnswer, is_batch: bool) -> Result<Vec<ItemFate>> {
    match answer {
        AcceptAnswer::Accepted(fates) => Ok(fates),
        AcceptAnswer::Conflict(items) => {
            let path = |index| match is_batch {
                true => format!("[{index}].idempotencyKey"),
                false => "idempotencyKey".to_owned(),
            };
            let faults: Vec<Fault> = items
                .into_iter()
                .map(|index| Fault::new(path(index), KEY_CONFLICT))
                .collect();
            let message = format!("Idempotency key conflict: {}", in_one_line(&faults));
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message).with(faults))
        }
        AcceptAnswer::Refused(reason) => {
            Err(ApiError::invalid_body(vec![Fault::new("body", reason)]))
        }
        AcceptAnswer::Overloaded => Err(ApiError::unavailable(
            "Too many events are waiting to be stored; try again soon",
        )),
        AcceptAnswer::Unavailable => Err(ApiError::unavailable(
            "The database did not answer in time; nothing was acknowledged; try again soon",
        )),
        AcceptAnswer::Draining => Err(ApiError::unavailable(
            "This node is stopping; try again soon",
        )),
    }
}

/// Each on its own (`?atomic=false`).
async fn accept_each(app: &HttpState, items: Vec<Item>) -> Result<Response> {
    let handed_over = items.into_iter().map(|item| async {
        match item.event {
            Err(faults) => ItemAnswer::failed(item.event_type, in_one_line(&faults)),
            Ok(new) => accept_one(app, new).await,
        }
    });
    let answers = join_all(handed_over).await;
    let all = answers.len();
    let turned_away = answers.iter().filter(|answer| answer.turned_away).count();
    if turned_away == all {
        return Err(ApiError::unavailable(
            "No event could be stored; try again soon",
        ));
    }
    let results: Vec<ResultView> = answers.into_iter().map(|answer| answer.view).collect();
    let stored = results
        .iter()
        .filter(|result| result.error.is_none())
        .count();
    let (code, message) = if stored == all {
        (
            StatusCode::ACCEPTED,
            format!("All {all} events successfully enqueued"),
        )
    } else {
        (
            StatusCode::MULTI_STATUS,
            format!("{stored} of {all} events enqueued"),
        )
    };
    Ok((code, Json(BatchView { message, results })).into_response())
}

async fn accept_one(app: &HttpState, new: NewEvent) -> ItemAnswer {
    let event = new.event.clone();
    let event_type = Some(event.event_type.as_str().to_owned());
    match app.relay.accept(vec![new]).await {
        AcceptAnswer::Accepted(fates) => {
            let fate = fates.first().copied().unwrap_or(ItemFate::New);
            ItemAnswer {
                view: ResultView::success(&event, fate),
                turned_away: false,
            }
        }
        AcceptAnswer::Conflict(_) => {
            ItemAnswer::failed(event_type, format!("idempotencyKey {KEY_CONFLICT}"))
        }
        AcceptAnswer::Refused(reason) => ItemAnswer::failed(event_type, reason),
        AcceptAnswer::Overloaded | AcceptAnswer::Unavailable | AcceptAnswer::Draining => {
            ItemAnswer {
                turned_away: true,
                ..ItemAnswer::failed(event_type, TRY_AGAIN.to_owned())
            }
        }
    }
}

/// What became of one item.
struct ItemAnswer {
    view: ResultView,
    /// Nothing is wrong with the item; another try may succeed.
    turned_away: bool,
}

impl ItemAnswer {
    fn failed(event_type: Option<String>, error: String) -> Self {
        let view = ResultView {
            event_id: None,
            event_type,
            status: "failed",
            duplicate: false,
            error: Some(error),
        };
        Self {
            view,
            turned_away: false,
        }
    }
}

/// The id that an item goes by, and whether it was there before.
fn identity(event: &Event, fate: ItemFate) -> (EventId, bool) {
    match fate {
        ItemFate::New => (event.id, false),
        ItemFate::Duplicate(first) => (first, true),
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SingleView {
    event_id: EventId,
    id: EventId,
    event_type: String,
    status: &'static str,
    duplicate: bool,
    message: &'static str,
}

impl SingleView {
    fn new(event: &Event, fate: ItemFate) -> Self {
        let (id, duplicate) = identity(event, fate);
        Self {
            event_id: id,
            id,
            event_type: event.event_type.as_str().to_owned(),
            status: "success",
            duplicate,
            message: "Event accepted",
        }
    }
}

#[derive(Debug, Serialize)]
struct BatchView {
    message: String,
    results: Vec<ResultView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultView {
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    event_type: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl ResultView {
    fn success(event: &Event, fate: ItemFate) -> Self {
        let (id, duplicate) = identity(event, fate);
        Self {
            event_id: Some(id),
            event_type: Some(event.event_type.as_str().to_owned()),
            status: "success",
            duplicate,
            error: None,
        }
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

/// `GET /events/{id}`: one event with its first deliveries.
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
    fn answers_for_units_of_which_nothing_is_stored() {
        for (answer, is_batch, status, word) in [
            (
                AcceptAnswer::Conflict(vec![2]),
                true,
                422,
                "[2].idempotencyKey was used",
            ),
            (
                AcceptAnswer::Conflict(vec![0]),
                false,
                422,
                "idempotencyKey was used",
            ),
            (
                AcceptAnswer::Refused("holds X".into()),
                false,
                400,
                "body holds X",
            ),
            (AcceptAnswer::Overloaded, false, 503, "waiting"),
            (
                AcceptAnswer::Unavailable,
                true,
                503,
                "nothing was acknowledged",
            ),
            (AcceptAnswer::Draining, true, 503, "stopping"),
        ] {
            let error = accepted(answer, is_batch).unwrap_err();
            assert_eq!(error.status().as_u16(), status, "{error:?}");
            assert!(format!("{error:?}").contains(word), "{error:?}");
        }
    }

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
