//! What is answered when a request cannot be served.
//!
//! Every error has one shape: the problem details of RFC 9457, with the list of faults beside
//! them where the request itself was wrong, and with the plain `error` that clients of the older
//! systems read. Failures of our own machinery are logged here, once, and never described to the
//! caller. The body is written by the frame, which knows the request's id.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub use super::problem::Problem;
use super::rate_limit_headers::RateHeaders;
use crate::store::StoreError;

/// The media type of problem details.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// What is in front of a request's id in a problem's `instance`.
const INSTANCE_PREFIX: &str = "urn:posthaste:request:";

/// One thing that is wrong with a request, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Where: a field (`[2].eventType`, `headers.host`), a query parameter or a header.
    #[schema(examples("[0].eventType"))]
    pub path: String,
    /// What it has to be instead.
    #[schema(examples("is required"))]
    pub message: String,
    /// Nothing is wrong but the size.
    #[serde(skip)]
    pub too_large: bool,
    /// Nothing is wrong but who asks: it is a tenant's that they may not speak for.
    #[serde(skip)]
    pub not_theirs: bool,
}

impl Fault {
    /// A fault at that place.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            too_large: false,
            not_theirs: false,
        }
    }

    /// Too much at that place.
    pub fn too_large(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            too_large: true,
            ..Self::new(path, message)
        }
    }

    /// A tenant at that place that the caller may not speak for.
    pub fn not_theirs(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            not_theirs: true,
            ..Self::new(path, message)
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.path, self.message)
    }
}

/// Faults as one line.
pub fn in_one_line(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    lines.join("; ")
}

/// An answer other than success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    problem: Problem,
    message: String,
    faults: Vec<Fault>,
    rate: Option<Box<RateHeaders>>,
    /// Seconds.
    retry_after: Option<u64>,
}

/// What handlers answer.
pub type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    /// An error without a list of faults.
    pub fn new(problem: impl Into<Problem>, message: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            message: message.into(),
            faults: Vec::new(),
            rate: None,
            retry_after: None,
        }
    }

    /// 400 for a body, naming every fault; 413 where sizes are all that is wrong, 403 where whose it is
    /// is.
    pub fn invalid_body(faults: Vec<Fault>) -> Self {
        let problem = if faults.iter().all(|fault| fault.too_large) {
            Problem::BodyTooLarge
        } else if faults.iter().all(|fault| fault.not_theirs) {
            let message = format!("Not allowed: {}", in_one_line(&faults));
            return Self::new(Problem::Forbidden, message).with(faults);
        } else {
            Problem::InvalidBody
        };
        let message = format!("Invalid request body. Errors: {}", in_one_line(&faults));
        Self::new(problem, message).with(faults)
    }

    /// 400 for a query, naming every fault.
    pub fn invalid_query(faults: Vec<Fault>) -> Self {
        let message = format!("Invalid query. Errors: {}", in_one_line(&faults));
        Self::new(Problem::InvalidQuery, message).with(faults)
    }

    /// This error with a list of faults beside it.
    pub fn with(self, faults: Vec<Fault>) -> Self {
        Self { faults, ..self }
    }

    /// This error with what it says about a rate.
    pub fn with_rate(self, rate: RateHeaders) -> Self {
        Self {
            rate: Some(Box::new(rate)),
            ..self
        }
    }

    /// 404.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            Problem::NotFound,
            format!("There is no {what} with this id"),
        )
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Problem::Conflict, message)
    }

    /// 503 with `Retry-After`: the same request may succeed soon.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Problem::Unavailable, message)
    }

    /// 429 with `Retry-After`: the caller asks too often.
    pub fn too_many_requests(message: impl Into<String>, wait: Duration) -> Self {
        // Rounded up, so that whoever waits as told is let in.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(Problem::TooManyRequests, message)
        }
    }

    /// This error under a code that says more.
    pub fn of_kind(self, problem: Problem) -> Self {
        Self { problem, ..self }
    }

    /// 409: there are as many as there may be.
    pub fn limit_reached(message: impl Into<String>) -> Self {
        Self::new(Problem::LimitReached, message)
    }

    /// 500: a bug of ours, or a damaged store. Says nothing more.
    pub fn internal() -> Self {
        Self::new(Problem::Internal, "Internal server error")
    }

    /// What is wrong.
    pub fn problem(&self) -> Problem {
        self.problem
    }

    /// The status that this becomes.
    pub fn status(&self) -> StatusCode {
        self.problem.status()
    }

    /// The body, for the request of that id.
    pub fn to_json(&self, request: &str) -> Value {
        serde_json::to_value(self.view(request)).unwrap_or_default()
    }

    fn view(&self, request: &str) -> ProblemView<'_> {
        ProblemView {
            problem_type: self.problem.uri(),
            title: self.problem.title(),
            status: self.status().as_u16(),
            code: self.problem.code(),
            detail: &self.message,
            instance: format!("{INSTANCE_PREFIX}{request}"),
            error: &self.message,
            faults: &self.faults,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                tracing::warn!(%error, "a request was turned away");
                Self::unavailable("The database is unavailable at the moment")
            }
            StoreError::Refused(_) | StoreError::Fenced | StoreError::Broken(_) => {
                tracing::error!(%error, "a request failed");
                Self::internal()
            }
        }
    }
}

/// Why a request was refused, as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView<'a> {
    /// The URI that names the kind of problem. It never changes.
    #[serde(rename = "type")]
    #[schema(examples("urn:posthaste:problem:invalid-body"))]
    problem_type: String,
    /// The kind of problem, for people.
    title: &'static str,
    /// The status, as in the answer's head.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The kind of problem in a word, for programs. It never changes.
    #[schema(examples("invalid-body"))]
    code: &'static str,
    /// What is wrong with this request, for people.
    detail: &'a str,
    /// The request: `X-Request-Id` behind a prefix.
    instance: String,
    /// The same as `detail`, for clients of older systems.
    error: &'a str,
    /// Every place that is wrong, where there are any.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    #[schema(value_type = Vec<Fault>, required = false)]
    faults: &'a [Fault],
}

/// Writes the body of an answer that is an error, now that the request's id is known.
pub fn written(response: Response, request: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let Some(error) = parts.extensions.remove::<ApiError>() else {
        return Response::from_parts(parts, body);
    };
    let json = serde_json::to_vec(&error.view(request)).unwrap_or_default();
    Response::from_parts(parts, Body::from(json))
}

/// The head of the answer; [`written`] adds the body.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static(MEDIA_TYPE);
        headers.insert(header::CONTENT_TYPE, media_type);
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(rate) = &self.rate {
            rate.write(headers);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named_with_their_places() {
        let error = ApiError::invalid_body(vec![
            Fault::new("[0].eventType", "is required"),
            Fault::new("[1].data", "is required"),
        ]);
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            error.message,
            "Invalid request body. Errors: [0].eventType is required; [1].data is required"
        );
    }

    #[test]
    fn whoever_waits_as_told_waits_long_enough() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let wait = Duration::from_millis(millis);
            let response = ApiError::too_many_requests("Slower", wait).into_response();
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(response.headers()[header::RETRY_AFTER], seconds);
        }
    }

    #[test]
    fn failures_of_the_store_are_not_described() {
        let broken = ApiError::from(StoreError::Broken("table x at /var/lib".into()));
        assert_eq!(broken, ApiError::internal());
        let away = ApiError::from(StoreError::Unavailable("host db-3".into()));
        assert!(!away.message.contains("db-3"));
        let response = away.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
