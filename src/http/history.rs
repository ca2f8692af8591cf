//! The history of a subscription's states.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::auth::Asking;
use super::belonging;
use super::error::Result;
use super::openapi::PageParameters;
use super::paging::{PageView, Query};
use super::path::PathId;
use crate::domain::Timestamp;
use crate::domain::id::{AttemptId, SubscriptionId};
use crate::domain::subscription::{ChangedBy, HistoryEntry, SubscriptionState};

/// One change. Where only the hold became full, `from` and `to` are the same.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
struct EntryView<'a> {
    at: Timestamp,
    /// Null where it was made.
    #[schema(value_type = Option<SubscriptionState>)]
    from: Option<&'static str>,
    #[schema(value_type = SubscriptionState)]
    to: &'static str,
    reason: Option<&'a str>,
    #[schema(value_type = ChangedBy)]
    by: &'static str,
    /// Ids of the attempts that led to it, the newest last.
    #[schema(value_type = Vec<AttemptId>)]
    evidence: &'a [AttemptId],
}

impl<'a> EntryView<'a> {
    fn new(entry: &'a HistoryEntry) -> Self {
        Self {
            at: entry.change.at,
            from: entry.from.map(SubscriptionState::as_str),
            to: entry.to.as_str(),
            reason: entry.change.reason.as_deref(),
            by: entry.change.by.as_str(),
            evidence: &entry.change.evidence,
        }
    }
}

/// `GET /subscriptions/{id}/history`: newest first; of deleted ones too.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}/history",
    tag = "subscriptions",
    operation_id = "history",
    summary = "List a subscription's changes of state",
    description = "Newest first; of deleted subscriptions too.",
    params(PageParameters),
    responses((status = 200, description = "A page of changes.", body = PageView<EntryView>))
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let mut query = Query::of_list(raw.as_deref(), &[]);
    let request = query.page();
    query.done()?;
    let id = SubscriptionId(id);
    belonging::subscription_or_tombstone(&app, &caller, id).await?;
    let page = app.store.history(id, &request).await?;
    Ok(Json(PageView::new(&page, request.limit, EntryView::new)).into_response())
}
