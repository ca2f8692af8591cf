//! Who may call: whoever has the admin key of the settings, a key of the keyring, or the cookie of
//! somebody who is signed in (`auth/session.rs`).
//!
//! The check is a layer around every route but health, unknown routes included, so that a new
//! route cannot be forgotten and a stranger cannot tell which routes there are. A second one,
//! around each route, asks for the scope that the table of routes names, and how often the caller
//! may ask. The short way of `front.rs` makes both as well.
//!
//! Who holds a key that ended is told so. Everybody else hears the same, whatever they show.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::address::{Peer, TrustedProxies};
use super::error::{ApiError, Problem, Result};
use super::limiting::{Told, refusal};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::{Caller, Scope};
use crate::domain::api_key::KeyHash;
use crate::keyring::{Admission, Keyring};
use crate::limits::{Group, Limits, Verdict};
use crate::sessions::Sessions;
use crate::settings::Settings;

mod session;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");
/// Keys that one request may show; what comes behind them is not looked at.
const MOST_SHOWN: usize = 4;

/// The admin key's SHA-256: what comes in is compared in constant time, whatever its length.
#[derive(Clone, Copy)]
pub struct AdminKey(KeyHash);

impl AdminKey {
    /// Of the key itself.
    pub fn new(key: &str) -> Self {
        Self(KeyHash::of(key.as_bytes()))
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKey(********)")
    }
}

/// For how long somebody is let in: until then, as long as nothing changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Staying {
    /// Of the keyring and of the sessions.
    versions: (i64, i64),
    until: Option<Timestamp>,
}

/// Who is let in, and how often.
pub struct Gate {
    admin_key: AdminKey,
    admin: Arc<Caller>,
    keyring: Arc<Keyring>,
    sessions: Arc<Sessions>,
    limits: Arc<Limits>,
    proxies: TrustedProxies,
    secure_cookies: bool,
}

impl Gate {
    /// Made once.
    pub fn new(
        admin_key: AdminKey,
        keyring: Arc<Keyring>,
        sessions: Arc<Sessions>,
        limits: Arc<Limits>,
        settings: &Settings,
    ) -> Self {
        Self {
            admin_key,
            admin: Arc::new(Caller::admin()),
            keyring,
            sessions,
            limits,
            proxies: TrustedProxies::new(&settings.server),
            secure_cookies: settings.sessions.secure_cookies,
        }
    }

    /// The keys that callers show.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Who calls with the keys in these headers; refuses who has none that is good now.
    pub fn admit(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Arc<Caller>> {
        let now = clock::now();
        let mut refusal = None;
        let mut unknown = [None; MOST_SHOWN];
        for (shown, unknown) in shown_keys(headers).zip(&mut unknown) {
            let hash = KeyHash::of(shown);
            match self.keyring.admit(shown, &hash, now) {
                Admission::Admitted(caller) => return Ok(caller),
                Admission::Revoked(at) => refusal = Some(ended("was revoked", at)),
                Admission::Expired(at) => refusal = Some(ended("expired", at)),
                Admission::Unknown => *unknown = Some(hash),
            }
        }
        for hash in unknown.into_iter().flatten() {
            let origin = || self.proxies.origin(peer, headers);
            if let Some(wait) = self.limits.blocked_for(origin) {
                return Err(too_many_failures(wait));
            }
            if self.admin_key.0 == hash {
                return Ok(Arc::clone(&self.admin));
            }
            self.limits.note_failure(origin());
        }
        Err(refusal.unwrap_or_else(no_key))
    }

    /// Who signs in with this key.
    pub fn admit_key(&self, shown: &str, headers: &HeaderMap, peer: IpAddr) -> Result<Arc<Caller>> {
        let shown = HeaderValue::from_str(shown).map_err(|_| no_key())?;
        let mut only = HeaderMap::new();
        for name in [
            header::FORWARDED,
            HeaderName::from_static("x-forwarded-for"),
        ] {
            for line in headers.get_all(&name) {
                only.append(&name, line.clone());
            }
        }
        only.insert(API_KEY, shown);
        self.admit(&only, peer)
    }

    /// Whether a caller who was let in still would be, and with the same scopes, for those who stay
    /// long. Given what was answered the last time it costs next to nothing while nothing changes.
    pub fn stays(&self, caller: &Caller, last: Option<Staying>) -> Option<Staying> {
        if caller.key.is_none() && caller.session.is_none() {
            return Some(Staying::default());
        }
        let now = clock::now();
        // Before anything is looked at: what changes meanwhile is seen the next time.
        let versions = (self.keyring.version(), self.sessions.version());
        if let Some(last) = last
            && last.versions == versions
            && last.until.is_none_or(|end| end > now)
        {
            return Some(last);
        }
        let mut until = None;
        if let Some(key) = caller.key {
            until = self.keyring.good_until(key, now)?;
        }
        if let Some(session) = caller.session {
            let open = self.sessions.one(session, now)?;
            let is_same = |now: &Arc<Caller>| now.scopes == caller.scopes;
            open.caller.as_ref().is_none_or(is_same).then_some(())?;
            let end = self.sessions.ends_at(&open);
            until = Some(until.map_or(end, |until: Timestamp| until.min(end)));
        }
        Some(Staying { versions, until })
    }

    /// Whether requests of that group are limited at all.
    pub fn limits(&self, group: Group) -> bool {
        self.limits.apply_to(group)
    }

    /// Takes one request of a caller from their quotas.
    pub async fn take(
        &self,
        group: Group,
        caller: &Caller,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Verdict {
        let origin = self.proxies.origin(peer, headers);
        self.limits.take(group, caller, origin).await
    }
}

fn no_key() -> ApiError {
    ApiError::new(
        Problem::NoKey,
        "A valid key is required: Authorization: Bearer, X-API-Key or X-Service-Token",
    )
}

fn ended(how: &str, at: Timestamp) -> ApiError {
    let message = format!("This key {how} at {at}; ask for another one");
    ApiError::new(Problem::KeyEnded, message)
}

fn too_many_failures(wait: Duration) -> ApiError {
    let message = "Too many keys that are none were tried from this address \
                   (limits.failed_auth_per_address); wait as Retry-After says";
    ApiError::too_many_requests(message, wait).of_kind(Problem::TooManyKeys)
}

/// What stands in the headers that carry keys.
fn shown_keys(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = headers
        .get_all(header::AUTHORIZATION)
        .into_iter()
        .filter_map(|value| bearer_token(value.as_bytes()));
    let own = [API_KEY, SERVICE_TOKEN]
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        .map(|value| value.as_bytes());
    bearer.chain(own).filter(|shown| !shown.is_empty())
}

/// Whether there is a header for a key, whatever stands in it.
fn shows_key(headers: &HeaderMap) -> bool {
    let is_bearer = |value: &HeaderValue| {
        let scheme = value.as_bytes().get(..6);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
    };
    let authorizations = headers.get_all(header::AUTHORIZATION);
    headers.contains_key(API_KEY)
        || headers.contains_key(SERVICE_TOKEN)
        || authorizations.into_iter().any(is_bearer)
}

fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// Lets through who has a key or is signed in, and notes who it is.
pub async fn require_key(
    State(gate): State<Arc<Gate>>,
    Peer(peer): Peer,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    let caller = gate.let_in(request.method(), request.headers(), peer)?;
    request.extensions_mut().insert(Asking(caller));
    Ok(next.run(request).await)
}

/// Lets through who may do this, and not more often than they may.
pub async fn require_scope(
    State((scope, or, gate)): State<(Scope, &'static [Scope], Arc<Gate>)>,
    Asking(caller): Asking,
    Peer(peer): Peer,
    request: Request,
    next: Next,
) -> Result<Response> {
    if !or.iter().any(|other| caller.scopes.allow(*other)) {
        check_scope(&caller, scope)?;
    }
    let group = Group::of(scope, request.method().is_safe());
    if !gate.limits(group) {
        return Ok(next.run(request).await);
    }
    let verdict = gate.take(group, &caller, request.headers(), peer).await;
    let answer = match refusal(&verdict) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    Ok(Told::of(&verdict).with(answer))
}

/// 403 where this caller may not do this.
pub fn check_scope(caller: &Caller, scope: Scope) -> Result<()> {
    match caller.scopes.allow(scope) {
        true => Ok(()),
        false => {
            let who = match caller.user {
                Some(_) => "Your role",
                None => "This key",
            };
            let message = format!("{who} lacks the scope {}", scope.as_str());
            Err(ApiError::new(Problem::MissingScope, message))
        }
    }
}

/// 403 where this is everybody's, and the caller is one tenant's, whatever its scopes.
pub fn check_of_all(caller: &Caller, what: &str) -> Result<()> {
    match &caller.tenant {
        None => Ok(()),
        Some(_) => Err(ApiError::new(
            Problem::Forbidden,
            format!("A tenant's key cannot {what}: use one without a tenant"),
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
mod tests;
