//! What is answered when a request cannot be served.
//!
//! Every error has one shape, `{"error": "…"}`, with the list of faults beside it where the
//! request itself was wrong. Failures of our own machinery are logged here, once, and never
//! described to the caller.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::rate_limit_headers::RateHeaders;
use crate::store::StoreError;

/// One thing that is wrong with a request, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: a field (`[2].eventType`, `headers.host`), a query parameter or a header.
    pub path: String,
    /// What it has to be instead.
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
    status: StatusCode,
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
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            faults: Vec::new(),
            rate: None,
            retry_after: None,
        }
    }

    /// 400 for a body, naming every fault; 413 where sizes are all that is wrong, 403 where whose it is
    /// is.
    pub fn invalid_body(faults: Vec<Fault>) -> Self {
        let status = if faults.iter().all(|fault| fault.too_large) {
            StatusCode::PAYLOAD_TOO_LARGE
        } else if faults.iter().all(|fault| fault.not_theirs) {
            let message = format!("Not allowed: {}", in_one_line(&faults));
            return Self::new(StatusCode::FORBIDDEN, message).with(faults);
        } else {
            StatusCode::BAD_REQUEST
        };
        let message = format!("Invalid request body. Errors: {}", in_one_line(&faults));
        Self::new(status, message).with(faults)
    }

    /// 400 for a query, naming every fault.
    pub fn invalid_query(faults: Vec<Fault>) -> Self {
        let message = format!("Invalid query. Errors: {}", in_one_line(&faults));
        Self::new(StatusCode::BAD_REQUEST, message).with(faults)
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
            StatusCode::NOT_FOUND,
            format!("There is no {what} with this id"),
        )
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 503 with `Retry-After`: the same request may succeed soon.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 429 with `Retry-After`: the caller asks too often.
    pub fn too_many_requests(message: impl Into<String>, wait: Duration) -> Self {
        // Rounded up, so that whoever waits as told is let in.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, message)
        }
    }

    /// 500: a bug of ours, or a damaged store. Says nothing more.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
    }

    /// The status that this becomes.
    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.status
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

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    faults: &'a [Fault],
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(Body {
            error: &self.message,
            faults: &self.faults,
        });
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(rate) = &self.rate {
            rate.write(headers);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
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
