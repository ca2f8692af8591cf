//! What is shown of a test send: what was sent and what came of it. The values of own headers are
//! masked, as with any attempt.

use serde::Serialize;
use utoipa::ToSchema;

use super::view::{HeadersView, TimingView, lossy, millis, milliseconds};
use crate::delivery::deliver::TriedOut;
use crate::domain::Timestamp;
use crate::domain::id::EventId;
use crate::domain::outcome::CallResult;

/// See the module's documentation. Where there was no answer, `status` and all that begins with
/// `response` are null, and `error` says why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestSend)]
#[serde(rename_all = "camelCase")]
pub struct TestSendView {
    event_id: EventId,
    event_type: String,
    url: String,
    success: bool,
    status: Option<u16>,
    error_kind: Option<&'static str>,
    error: Option<String>,
    started_at: Timestamp,
    duration_ms: f64,
    timing: TimingView,
    /// The deadline that was in force.
    timeout_ms: u64,
    request_headers: HeadersView,
    request_body: String,
    response_headers: Option<HeadersView>,
    response_body: Option<String>,
    response_body_cut: Option<bool>,
}

impl TestSendView {
    /// Of one test.
    pub fn new(event_id: EventId, event_type: String, url: String, tried: &TriedOut) -> Self {
        let outcome = &tried.outcome;
        let answer = match &outcome.result {
            CallResult::Answer(answer) => Some(answer),
            CallResult::Failure(_) => None,
        };
        Self {
            event_id,
            event_type,
            url,
            success: outcome.is_success(),
            status: outcome.status(),
            error_kind: outcome.error_kind(),
            error: outcome.error_message(),
            started_at: outcome.started_at,
            duration_ms: milliseconds(outcome.duration),
            timing: TimingView::new(&outcome.timing),
            timeout_ms: millis(tried.timeout),
            request_headers: HeadersView::new(&outcome.request_headers.list()),
            request_body: lossy(&tried.body),
            response_headers: answer.map(|answer| HeadersView::new(&answer.headers.list())),
            response_body: answer.map(|answer| lossy(&answer.body)),
            response_body_cut: answer.map(|answer| answer.body_cut),
        }
    }
}
