//! Lines that do not go on: which they are, and what an operator does about them.
//!
//! A delivery that failed for good keeps its line where the subscription says so. A retry lets
//! it try again in its place; skipping or cancelling it lets the line go on without it.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::auth::Asking;
use super::bare::Bare;
use super::belonging;
use super::error::{ApiError, Result};
use super::paging::Query;
use super::path::PathId;
use super::to_the_end::to_the_end;
use super::view::DeliveryView;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, EventId, SubscriptionId};
use crate::domain::ordering::Line;
use crate::domain::subscription::Subscription;
use crate::store::{BlockingRow, DeliveryRow, Moved};

/// How often a step is tried again after somebody else moved the delivery.
const MAX_REREADS: usize = 5;

/// A line that does not go on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BlockedKey)]
struct BlockedKeyView<'a> {
    /// Null where all deliveries of the subscription go one after the other.
    ordering_key: Option<&'a str>,
    delivery_id: DeliveryId,
    event_id: EventId,
    /// How that delivery ended: the reason.
    #[schema(value_type = DeliveryState)]
    reason: &'static str,
    since: Timestamp,
}

/// A page of them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BlockedKeys)]
struct BlockedKeysView<'a> {
    data: Vec<BlockedKeyView<'a>>,
    next_cursor: Option<String>,
    /// Never: each row is found by the index.
    partial: bool,
    limit: u32,
}

/// `GET /subscriptions/{id}/blocked-keys`: in the order of the keys.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}/blocked-keys",
    tag = "subscriptions",
    summary = "List lines that wait for an operator",
    description = "In the order of their keys.",
    params(
        ("limit" = Option<u32>, Query, description = "How many rows a page has at most.", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "The `nextCursor` of the page before.", min_length = 1, pattern = "^[A-Za-z0-9_-]+$"),
    ),
    responses((status = 200, description = "A page of lines.", body = BlockedKeysView))
)]
pub async fn blocked_keys(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let mut query = Query::of(raw.as_deref(), &["limit", "cursor"]);
    let limit = query.limit();
    let after = query.parsed(&["cursor"], "a nextCursor of this list", read_cursor);
    query.done()?;
    let subscription = belonging::subscription(&app, &caller, SubscriptionId(id)).await?;
    let mut rows = blocking(&app, &subscription, after.as_ref(), limit + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let last = rows.last().filter(|_| more);
    let view = BlockedKeysView {
        next_cursor: last.map(|row| URL_SAFE_NO_PAD.encode(row.line.as_str())),
        data: rows.iter().map(BlockedKeyView::new).collect(),
        partial: false,
        limit,
    };
    Ok(Json(view).into_response())
}

/// Whether any line of a subscription waits for an operator.
pub async fn blocks_any(app: &HttpState, subscription: &Subscription) -> Result<bool> {
    let first = blocking(app, subscription, None, 1).await?;
    Ok(!first.is_empty())
}

/// Deliveries that keep their lines from going on, in the order of the lines.
pub async fn blocking(
    app: &HttpState,
    subscription: &Subscription,
    after: Option<&Line>,
    limit: u32,
) -> Result<Vec<BlockingRow>> {
    match subscription.ordering.name() {
        None => Ok(Vec::new()),
        Some(rule) => Ok(app
            .store
            .blocking(subscription.id, rule, after, limit)
            .await?),
    }
}

fn read_cursor(text: &str) -> Option<Line> {
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    // No line has no name.
    let is_line = !name.is_empty() && !name.contains('\0');
    is_line.then(|| Line::from_stored(&name))
}

impl<'a> BlockedKeyView<'a> {
    fn new(row: &'a BlockingRow) -> Self {
        Self {
            ordering_key: row.line.key(),
            delivery_id: row.delivery,
            event_id: row.event,
            reason: row.state.as_str(),
            since: row.since,
        }
    }
}

/// `POST /deliveries/{id}/skip`: what failed and blocks its line does so no more.
#[utoipa::path(
    post,
    path = "/deliveries/{id}/skip",
    tag = "deliveries",
    summary = "Let a line go on without a delivery",
    description = "What failed for good and blocks its line does so no more.",
    responses(
        (status = 200, description = "The delivery, skipped.", body = DeliveryView),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
        (status = 409, description = "It keeps no other from being sent."),
    )
)]
pub async fn skip(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: Bare,
) -> Result<Response> {
    let view = to_the_end(async move { skip_now(&app, &caller, DeliveryId(id)).await }).await?;
    Ok(Json(view).into_response())
}

async fn skip_now(app: &HttpState, caller: &Caller, id: DeliveryId) -> Result<DeliveryView> {
    for _ in 0..=MAX_REREADS {
        let row = belonging::delivery(app, caller, id).await?;
        if !is_blocking(app, &row).await? {
            let what_to_do = match row.state {
                DeliveryState::Pending => "; one that is still pending can be cancelled",
                _ => "",
            };
            return Err(ApiError::conflict(format!(
                "This delivery is {} and keeps no other from being sent{what_to_do}",
                row.state.as_str()
            )));
        }
        if let Some(view) = release(app, &row, DeliveryState::Skipped).await? {
            return Ok(view);
        }
    }
    Err(ApiError::conflict(
        "This delivery keeps moving; look at it and try again",
    ))
}

/// Whether a delivery keeps its line from going on, by the rule in force.
pub async fn is_blocking(app: &HttpState, row: &DeliveryRow) -> Result<bool> {
    if row.blocks.is_none() || !row.state.is_final() {
        return Ok(false);
    }
    let subscription = app.store.subscription(row.subscription_id).await?;
    Ok(subscription.is_some_and(|found| found.ordering.name() == row.blocks))
}

/// Lets the line of a delivery go on without it. `None` where it moved since it was read.
pub async fn release(
    app: &HttpState,
    row: &DeliveryRow,
    to: DeliveryState,
) -> Result<Option<DeliveryView>> {
    let version = row.progress.version;
    if app
        .store
        .release_line(row.id, version, to, clock::now())
        .await?
        == Moved::Overtaken
    {
        return Ok(None);
    }
    app.relay.deliveries_changed(row.subscription_id);
    let moved = app.store.delivery(row.id).await?;
    Ok(Some(DeliveryView::new(moved.as_ref().unwrap_or(row))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursors_survive_the_round_trip_and_reading_never_panics(
            line in any::<String>(), any in any::<String>(),
        ) {
            let read = read_cursor(&URL_SAFE_NO_PAD.encode(&line));
            let is_line = !line.is_empty() && !line.contains('\0');
            let expected = is_line.then_some(line.as_str());
            prop_assert_eq!(read.as_ref().map(Line::as_str), expected);
            let _ = read_cursor(&any);
        }
    }
}
