//! Changes that are asked for by their route alone.
//!
//! A query or a body that nobody reads was meant by whoever sent it: to cancel only some, to
//! pause for a while, to try without doing. So it is refused, and the change is not made.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;

use super::body;
use super::error::ApiError;
use super::json_fields::Fields;
use super::paging::Query;

/// Enough to say what is not known.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// A request without a query.
#[derive(Clone, Copy, Debug)]
pub struct NoQuery;

/// A request without a query, and without a body or with an empty one (`{}` or `null`).
#[derive(Clone, Copy, Debug)]
pub struct Bare;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Query::of(parts.uri.query(), &[]).done().map(|()| Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for Bare {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        Query::of(request.uri().query(), &[]).done()?;
        no_body(request).await.map(|()| Self)
    }
}

/// Refuses a body that says anything.
pub async fn no_body(request: Request) -> Result<(), ApiError> {
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let fields =
        Fields::of_body_or_none(&body).map_err(|fault| ApiError::invalid_body(vec![fault]))?;
    match fields.finish() {
        faults if faults.is_empty() => Ok(()),
        faults => Err(ApiError::invalid_body(faults)),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn read(path: &str, body: &'static str) -> Result<Bare, String> {
        let request = Request::post(path).body(Body::from(body)).unwrap();
        let read = Bare::from_request(request, &()).await;
        read.map_err(|error| format!("{} {error:?}", error.status()))
    }

    #[tokio::test]
    async fn what_nobody_would_read_is_refused() {
        for nothing in ["", " \n", "null", "{}", " {} "] {
            assert!(read("/pause", nothing).await.is_ok(), "{nothing:?}");
        }
        for (path, body, named) in [
            ("/pause?until=noon", "", "until is not known here"),
            ("/pause", r#"{"until":"noon"}"#, "until is not known here"),
            ("/pause", "[]", "body must be an object"),
            ("/pause", "until=noon", "body is not JSON"),
        ] {
            let error = read(path, body).await.unwrap_err();
            assert!(error.starts_with("400"), "{error}");
            assert!(error.contains(named), "{error}");
        }
    }
}
