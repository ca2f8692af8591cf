//! Who may call: for now whoever has the admin key.
//!
//! The check is a layer around every route but health, unknown routes included, so that a new
//! route cannot be forgotten and a stranger cannot tell which routes there are. A second one,
//! around each route, asks for the scope that the table of routes names. The short way of
//! `front.rs` makes both as well.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::error::{ApiError, Problem, Result};
use crate::domain::access::{Caller, Scope};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");

/// The admin key's SHA-256: what comes in is compared in constant time, whatever its length.
#[derive(Clone, Copy)]
pub struct AdminKey([u8; 32]);

impl AdminKey {
    /// Of the key itself.
    pub fn new(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Who calls with these headers; refuses who does not have the key.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>> {
        match self.is_in(headers) {
            true => Ok(Arc::new(Caller::admin())),
            false => Err(ApiError::new(
                Problem::NoKey,
                "A valid key is required: Authorization: Bearer, X-API-Key or X-Service-Token",
            )),
        }
    }

    /// Whether one of the headers that carry keys carries this one.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let bearer = headers
            .get_all(header::AUTHORIZATION)
            .into_iter()
            .filter_map(|value| bearer_token(value.as_bytes()));
        let own = [API_KEY, SERVICE_TOKEN]
            .into_iter()
            .flat_map(|name| headers.get_all(name))
            .map(|value| value.as_bytes());
        let matched = bearer.chain(own).fold(Choice::from(0), |matched, given| {
            matched | Sha256::digest(given).as_slice().ct_eq(&self.0)
        });
        matched.into()
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey(********)")
    }
}

fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// Lets through who has the key, and notes who it is.
pub async fn require_key(
    State(key): State<AdminKey>,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    let caller = key.caller(request.headers())?;
    request.extensions_mut().insert(Asking(caller));
    Ok(next.run(request).await)
}

/// Lets through who may do this.
pub async fn require_scope(
    State(scope): State<Scope>,
    Asking(caller): Asking,
    request: Request,
    next: Next,
) -> Result<Response> {
    check_scope(&caller, scope)?;
    Ok(next.run(request).await)
}

/// 403 where this caller may not do this.
pub fn check_scope(caller: &Caller, scope: Scope) -> Result<()> {
    match caller.scopes.allow(scope) {
        true => Ok(()),
        false => Err(ApiError::new(
            Problem::MissingScope,
            format!("This key lacks the scope {}", scope.as_str()),
        )),
    }
}

/// Who makes a request, for handlers behind a key.
#[derive(Clone, Debug)]
pub struct Asking(pub Arc<Caller>);

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        // Only a route that stands outside of the layer has none.
        let asking = parts.extensions.get::<Self>().cloned();
        asking.ok_or_else(ApiError::internal)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn admits(headers: &[(&str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect();
        AdminKey::new("right").is_in(&headers)
    }

    #[test]
    fn the_key_is_taken_from_three_headers_and_no_other() {
        for good in [
            [("authorization", "Bearer right")].as_slice(),
            &[("authorization", "bearer  right")],
            &[("x-api-key", "right")],
            &[("X-Api-Key", "right")],
            &[("x-service-token", "right")],
            &[("x-api-key", "wrong"), ("x-service-token", "right")],
            &[("authorization", "Basic cmlnaHQ="), ("x-api-key", "right")],
        ] {
            assert!(admits(good), "{good:?}");
        }
        for bad in [
            [].as_slice(),
            &[("authorization", "Bearer wrong")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "right")],
            &[("authorization", "Basic right")],
            &[("x-api-key", "")],
            &[("x-api-key", "righ")],
            &[("x-api-key", "rightt")],
            &[("x-api-key", "RIGHT")],
            &[("x-service-token", "Bearer right")],
            &[("cookie", "right")],
        ] {
            assert!(!admits(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", AdminKey::new("x")), "AdminKey(********)");
    }
}
