//! `/metrics`: what Prometheus reads.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::HttpState;
use super::auth::{Asking, check_of_all};
use super::error::{ApiError, Result};
use crate::metrics::MEDIA_TYPE;

/// Where it stands on its own listener, and behind a key on the main one.
pub const PATH: &str = "/metrics";

/// `GET /metrics`.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "relay",
    operation_id = "metrics",
    summary = "Numbers for Prometheus",
    description = "In the OpenMetrics text format; docs/operations.md says what each means. Also without a key at `metrics.listen`, where that is set.",
    responses((
        status = 200,
        description = "All metrics of this process.",
        body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    ))
)]
pub async fn show(State(app): State<HttpState>, Asking(caller): Asking) -> Result<Response> {
    check_of_all(&caller, "read the metrics of the whole relay")?;
    alone(State(app)).await
}

/// The same for whoever reaches the listener of its own.
async fn alone(State(app): State<HttpState>) -> Result<Response> {
    let gauges = app.relay.gauges().await;
    let text = app.relay.metrics().text(&gauges).map_err(|problem| {
        tracing::error!(%problem, "the metrics cannot be written");
        ApiError::internal()
    })?;
    let media_type = HeaderValue::from_static(MEDIA_TYPE);
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

/// Nothing but this, for a listener of its own.
pub fn router() -> Router<HttpState> {
    Router::new().route(PATH, get(alone))
}
