//! What every request goes through, whatever its route: a name, a time limit, a net under
//! panics, and headers that every answer carries.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use super::body_budget::{BodyAccount, BodyBudget};
use super::error::{self, ApiError, Problem};
use crate::clock;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a request id that is taken over from the caller at most.
const MAX_REQUEST_ID: usize = 128;

/// The name of a request, for handlers that note it.
#[derive(Clone, Debug)]
pub struct RequestName(pub Arc<str>);

/// What requests are held within.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The time of one, its body included.
    pub time: Duration,
    /// The bodies of all.
    pub bodies: Arc<BodyBudget>,
}

/// Runs one request within its bounds and answers it whatever happens.
pub async fn frame(State(bounds): State<Bounds>, mut request: Request, next: Next) -> Response {
    let frame = Frame::around(&bounds, request.headers(), request.body());
    request.extensions_mut().insert(frame.account.clone());
    request
        .extensions_mut()
        .insert(RequestName(frame.shown_id().into()));
    // The route's pattern and not the path: a query or a path may hold what nobody should log.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!(
        "request",
        id = frame.shown_id(),
        method = %request.method(),
        route = route.as_ref().map_or("", MatchedPath::as_str),
    );
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    let in_time = async { tokio::time::timeout(bounds.time, handled).await };
    let answer = async {
        let mut response = frame.answer(in_time.await.ok());
        harmless_in_browsers(&mut response);
        tracing::debug!(status = response.status().as_u16(), "request.answered");
        response
    };
    answer.instrument(span).await
}

/// What keeps an answer harmless where a browser shows it. What the short way of events answers to
/// senders who may, which no browser shows, does without; refusals may be shown: a form can post there.
const FOR_BROWSERS: [(HeaderName, &str); 3] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
];

fn harmless_in_browsers(response: &mut Response) {
    for (name, value) in FOR_BROWSERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().entry(name).or_insert(value);
    }
}

/// What is around one request.
pub struct Frame {
    id: HeaderValue,
    /// For the request's body.
    pub account: BodyAccount,
}

impl Frame {
    /// Around a request that has just come.
    pub fn around(bounds: &Bounds, headers: &HeaderMap, body: &impl HttpBody) -> Self {
        let account = bounds.bodies.open_account();
        if body.is_end_stream() {
            account.set_whole();
        }
        let id = request_id(headers);
        Self { id, account }
    }

    /// The request's name, for logs.
    pub fn shown_id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    /// The answer: what the handler made, where it neither panicked nor ran out of time (`None`).
    pub fn answer(self, handled: Option<thread::Result<Response>>) -> Response {
        let mut response = match handled {
            Some(Ok(response)) => response,
            Some(Err(_)) => {
                tracing::error!("a handler panicked");
                ApiError::internal().into_response()
            }
            None if self.account.is_whole() => {
                tracing::warn!("a request took too long");
                ApiError::unavailable(
                    "The request took too long; nothing was acknowledged, try again",
                )
                .into_response()
            }
            None => ApiError::new(
                Problem::SlowBody,
                "The request's body did not arrive in time",
            )
            .into_response(),
        };
        if !response.status().is_success() {
            response = error::written(response, self.shown_id());
            harmless_in_browsers(&mut response);
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, self.id);
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        response
    }
}

/// The caller's own id where it is harmless to log and repeat, a new one otherwise.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_sane = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte))
    };
    headers
        .get(REQUEST_ID)
        .filter(is_sane)
        .cloned()
        .unwrap_or_else(|| {
            let mut text = Uuid::encode_buffer();
            HeaderValue::from_str(clock::uuid().as_hyphenated().encode_lower(&mut text))
                .unwrap_or_else(|_| HeaderValue::from_static("none"))
        })
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::{get, post};
    use futures_util::stream;
    use tower::ServiceExt;

    use super::*;
    use crate::http::body;

    async fn answer(request: Request) -> Response {
        let bounds = Bounds {
            time: Duration::from_millis(20),
            bodies: BodyBudget::new(1_000),
        };
        Router::new()
            .route("/fine", get(async || "fine"))
            .route("/panic", get(async || -> String { panic!("secret") }))
            .route(
                "/hang",
                get(async || -> String { std::future::pending().await }),
            )
            .route(
                "/read",
                post(async |request: Request| body::read(request, 9).await.map(|_| "read")),
            )
            .layer(from_fn_with_state(bounds, frame))
            .oneshot(request)
            .await
            .unwrap()
    }

    fn at(path: &str) -> Request {
        Request::get(path).body(Body::empty()).unwrap()
    }

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 9_999)
            .await
            .unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_answered_without_its_message() {
        let response = answer(at("/panic")).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()[header::CONTENT_TYPE], error::MEDIA_TYPE);
        let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        let expected = serde_json::json!({
            "type": "urn:posthaste:problem:internal",
            "title": "Internal server error",
            "status": 500,
            "code": "internal",
            "detail": "Internal server error",
            "instance": format!("urn:posthaste:request:{id}"),
            "error": "Internal server error",
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn slow_handlers_and_slow_senders_are_told_apart() {
        let response = answer(at("/hang")).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let never = stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let request = Request::post("/read")
            .body(Body::from_stream(never))
            .unwrap();
        assert_eq!(answer(request).await.status(), StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn a_sane_request_id_is_kept_and_another_replaced() {
        for (given, kept) in [("abc-1.2:3", true), ("a b", false), ("<script>", false)] {
            let mut request = at("/fine");
            request
                .headers_mut()
                .insert(REQUEST_ID, given.parse().unwrap());
            let response = answer(request).await;
            let id = response.headers()[REQUEST_ID].to_str().unwrap();
            assert_eq!(id == given, kept, "{given}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        }
        let fresh = answer(at("/fine")).await;
        assert_eq!(fresh.headers()[REQUEST_ID].len(), 36);
    }
}
