//! Ids and names in paths.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use uuid::Uuid;

use super::error::{ApiError, Problem};
use super::text;

/// The id in a path. What is no UUID names nothing that exists: 404.
#[derive(Clone, Copy, Debug)]
pub struct PathId(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::<String>::from_request_parts(parts, state)
            .await
            .ok()
            .and_then(|Path(text)| Uuid::parse_str(&text).ok())
            .map(Self)
            .ok_or_else(no_such_id)
    }
}

/// Two ids in a path, by the same rule.
#[derive(Clone, Copy, Debug)]
pub struct PathIds(pub Uuid, pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let texts = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Ok(Path((one, other))) = texts else {
            return Err(no_such_id());
        };
        match (Uuid::parse_str(&one), Uuid::parse_str(&other)) {
            (Ok(one), Ok(other)) => Ok(Self(one, other)),
            _ => Err(no_such_id()),
        }
    }
}

fn no_such_id() -> ApiError {
    ApiError::new(
        Problem::NotFound,
        "There is nothing with this id: ids are UUIDs",
    )
}

/// A name in a path. What cannot be one names nothing that exists: 404.
#[derive(Clone, Debug)]
pub struct PathName(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::<String>::from_request_parts(parts, state)
            .await
            .ok()
            .filter(|Path(name)| text::check(name).is_ok())
            .map(|Path(name)| Self(name))
            .ok_or_else(|| {
                let problem = "There is nothing with this name: names are 1 to 255 characters";
                ApiError::new(Problem::NotFound, problem)
            })
    }
}
