//! Handing events over and telling the sender what became of them.
//!
//! A request's events are one unit unless the sender asks otherwise: all are accepted or none.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ApiError, Fault, Problem, Result, in_one_line};
use super::event_input::{Input, Item};
use crate::actors::{AcceptAnswer, NewEvent};
use crate::domain::event::Event;
use crate::domain::id::EventId;
use crate::domain::idempotency::ItemFate;

/// The database's own words are for the log: they may name what senders need not know.
const REFUSED: &str = "was refused by the database and would be refused again";

const KEY_CONFLICT: &str = "was used before for other content";
const TRY_AGAIN: &str = "temporarily unavailable";

/// The answer to who was not refused as a whole.
#[derive(Debug)]
pub struct Accepted {
    status: StatusCode,
    json: Vec<u8>,
}

impl Accepted {
    /// Bytes of a short answer; a longer one makes its room itself.
    const ROOM: usize = 256;

    fn new(status: StatusCode, view: &impl Serialize) -> Result<Self> {
        let mut json = Vec::with_capacity(Self::ROOM);
        match serde_json::to_writer(&mut json, view) {
            Ok(()) => Ok(Self { status, json }),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written");
                Err(ApiError::internal())
            }
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer with these headers and its own.
    pub fn into_response_with(self, mut headers: HeaderMap) -> Response {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        let mut response = Response::new(Body::from(self.json));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

/// All or nothing. `accept` hands a unit to the engine.
pub async fn accept_whole<F>(
    input: Input,
    accept: impl FnOnce(Vec<NewEvent>) -> F,
) -> Result<Accepted>
where
    F: Future<Output = AcceptAnswer>,
{
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
    let fates = accepted(accept(unit).await, input.is_batch)?;
    match (events.as_slice(), fates.as_slice()) {
        ([event], [fate]) if !input.is_batch => {
            Accepted::new(StatusCode::ACCEPTED, &SingleView::new(event, *fate))
        }
        _ => {
            let results = events.iter().zip(&fates);
            let view = BatchView {
                message: format!("All {} events successfully enqueued", events.len()),
                results: results
                    .map(|(event, fate)| ResultView::success(event, *fate))
                    .collect(),
            };
            Accepted::new(StatusCode::ACCEPTED, &view)
        }
    }
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
            Err(ApiError::new(Problem::IdempotencyConflict, message).with(faults))
        }
        AcceptAnswer::Refused(_) => Err(ApiError::invalid_body(vec![Fault::new("body", REFUSED)])),
        AcceptAnswer::Overloaded => Err(ApiError::new(
            Problem::Overloaded,
            "Too many events are waiting to be stored; try again soon",
        )),
        AcceptAnswer::Unavailable => Err(ApiError::unavailable(
            "The database did not answer in time; nothing was acknowledged; try again soon",
        )),
        AcceptAnswer::Draining => Err(ApiError::new(
            Problem::Stopping,
            "This node is stopping; try again soon",
        )),
    }
}

/// Each on its own (`?atomic=false`), handed over in their order.
pub async fn accept_each<F>(
    items: Vec<Item>,
    accept: impl Fn(Vec<NewEvent>) -> F,
) -> Result<Accepted>
where
    F: Future<Output = AcceptAnswer>,
{
    let results: Vec<ResultView> =
        join_all(items.into_iter().map(|item| accept_one(item, &accept))).await;
    let all = results.len();
    let turned_away = results.iter().filter(|result| result.turned_away).count();
    if turned_away == all {
        return Err(ApiError::unavailable(
            "No event could be stored; try again soon",
        ));
    }
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
    Accepted::new(code, &BatchView { message, results })
}

async fn accept_one<F>(item: Item, accept: &impl Fn(Vec<NewEvent>) -> F) -> ResultView
where
    F: Future<Output = AcceptAnswer>,
{
    let new = match item.event {
        Ok(new) => new,
        Err(faults) => return ResultView::failed(item.event_type, in_one_line(&faults)),
    };
    let event = new.event.clone();
    match accept(vec![new]).await {
        AcceptAnswer::Accepted(fates) => {
            ResultView::success(&event, fates.first().copied().unwrap_or(ItemFate::New))
        }
        AcceptAnswer::Conflict(_) => {
            ResultView::failed(item.event_type, format!("idempotencyKey {KEY_CONFLICT}"))
        }
        AcceptAnswer::Refused(_) => ResultView::failed(item.event_type, REFUSED.to_owned()),
        AcceptAnswer::Overloaded | AcceptAnswer::Unavailable | AcceptAnswer::Draining => {
            ResultView {
                turned_away: true,
                ..ResultView::failed(item.event_type, TRY_AGAIN.to_owned())
            }
        }
    }
}

/// What became of an item.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum ItemStatus {
    Success,
    Failed,
}

/// The id that an item goes by, and whether it was there before.
fn identity(event: &Event, fate: ItemFate) -> (EventId, bool) {
    match fate {
        ItemFate::New => (event.id, false),
        ItemFate::Duplicate(first) => (first, true),
    }
}

/// An event that is stored, and will be delivered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Accepted)]
pub struct SingleView<'a> {
    event_id: EventId,
    id: EventId,
    #[schema(value_type = String)]
    event_type: &'a str,
    #[schema(value_type = ItemStatus)]
    status: &'static str,
    duplicate: bool,
    message: &'static str,
}

impl<'a> SingleView<'a> {
    fn new(event: &'a Event, fate: ItemFate) -> Self {
        let (id, duplicate) = identity(event, fate);
        Self {
            event_id: id,
            id,
            event_type: event.event_type.as_str(),
            status: "success",
            duplicate,
            message: "Event accepted",
        }
    }
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AcceptedBatch)]
pub struct BatchView {
    message: String,
    results: Vec<ResultView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ItemResult)]
struct ResultView {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    event_id: Option<EventId>,
    #[schema(value_type = Option<String>)]
    event_type: Option<Arc<str>>,
    #[schema(value_type = ItemStatus)]
    status: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// Nothing is wrong with the item; another try may succeed.
    #[serde(skip)]
    turned_away: bool,
}

impl ResultView {
    fn failed(event_type: Option<Arc<str>>, error: String) -> Self {
        Self {
            event_id: None,
            event_type,
            status: "failed",
            duplicate: false,
            error: Some(error),
            turned_away: false,
        }
    }

    fn success(event: &Event, fate: ItemFate) -> Self {
        let (id, duplicate) = identity(event, fate);
        Self {
            event_id: Some(id),
            event_type: Some(event.event_type.shared()),
            status: "success",
            duplicate,
            error: None,
            turned_away: false,
        }
    }
}

#[cfg(test)]
mod tests;
