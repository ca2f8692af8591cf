//! `POST /subscriptions/{id}/test` and `POST /subscriptions/test`: one call to a receiver, now, and
//! what comes of it. Nothing of it is stored or counted, and nothing holds it back.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::auth::Asking;
use super::bare::NoQuery;
use super::belonging;
use super::body;
use super::error::{ApiError, Result};
use super::openapi::bodies::{NewSubscriptionBody, TestSendBody};
use super::path::PathId;
use super::subscriptions::read_new;
use super::test_send_input::TestSendInput;
use super::test_send_view::TestSendView;
use crate::actors::TestAnswer;
use crate::clock;
use crate::domain::event::Event;
use crate::domain::id::{EventId, SubscriptionId};
use crate::domain::subscription::Subscription;

/// Room for everything beside the payload.
const BESIDES_PAYLOAD: usize = 4 * 1024;
/// What of a request's time the call may take, so that its outcome can still be answered.
const SHARE_OF_TIME: f64 = 0.9;

/// `POST /subscriptions/{id}/test`.
#[utoipa::path(
    post,
    path = "/subscriptions/{id}/test",
    tag = "subscriptions",
    operation_id = "test",
    summary = "Send a test to a subscription's receiver",
    description = "One signed call with the header `webhook-test: true`, now, whatever holds deliveries back. Nothing is stored or counted.",
    request_body(content = Option<TestSendBody>, example = json!({"eventType": "job.created", "payload": {"jobId": 7}})),
    responses(
        (status = 200, description = "What was sent and what came of it, whatever that was.", body = TestSendView),
        (status = 409, description = "A test of this subscription is under way."),
    )
)]
pub async fn stored(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let max_payload = app.settings.events.max_payload_bytes;
    let body = body::read(request, max_payload.saturating_add(BESIDES_PAYLOAD)).await?;
    let input = TestSendInput::parse(&body, max_payload).map_err(ApiError::invalid_body)?;
    let subscription = belonging::subscription(&app, &caller, SubscriptionId(id)).await?;
    send(&app, &subscription, &input).await
}

/// `POST /subscriptions/test`: of one that is not stored, and not by this either.
#[utoipa::path(
    post,
    path = "/subscriptions/test",
    tag = "subscriptions",
    operation_id = "test_unsaved",
    summary = "Send a test to a receiver before subscribing it",
    description = "The body is that of `POST /subscriptions`; nothing of it is stored.",
    request_body(content = NewSubscriptionBody, example = json!({
        "name": "HRMS", "url": "https://hrms.example.com/webhooks", "eventTypes": ["candidate.*"],
    })),
    responses(
        (status = 200, description = "What was sent and what came of it, whatever that was.", body = TestSendView),
        (status = 409, description = "A test of this subscription is under way."),
    )
)]
pub async fn unsaved(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let subscription = read_new(&app, &caller, request).await?;
    send(&app, &subscription, &TestSendInput::default()).await
}

async fn send(
    app: &HttpState,
    subscription: &Subscription,
    input: &TestSendInput,
) -> Result<Response> {
    let event = Event {
        id: EventId(clock::uuid()),
        tenant: subscription.tenant.as_ref().map(Arc::clone),
        event_type: input.event_type(subscription),
        event_name: Some("Test send".to_owned()),
        source: None,
        idempotency_key: None,
        ordering_key: None,
        occurred_at: None,
        received_at: clock::now(),
        payload: input.payload(),
    };
    let (id, event_type) = (event.id, event.event_type.to_string());
    let most: Duration = app.settings.server.request_timeout.mul_f64(SHARE_OF_TIME);
    match app.relay.test_send(subscription, event, most).await {
        TestAnswer::Made(tried) => {
            let url = subscription.url.to_string();
            Ok(Json(TestSendView::new(id, event_type, url, &tried)).into_response())
        }
        TestAnswer::UnderWay => Err(ApiError::conflict(
            "A test of this subscription is under way; wait for its answer",
        )),
        TestAnswer::Full => Err(ApiError::unavailable(
            "As many tests are under way as may be (delivery.max_test_sends, of one tenant a quarter \
             of that); try again soon",
        )),
        TestAnswer::Draining => Err(ApiError::unavailable("The relay is stopping")),
    }
}
