//! From somebody who has shown who they are to a session and its cookie.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::body;
use super::cookie;
use super::error::{ApiError, Problem, Result};
use super::frame::RequestName;
use super::limiting::{Told, refusal};
use super::session_view::CurrentSessionView;
use crate::clock;
use crate::domain::access::Caller;
use crate::domain::audit::AuditEntry;
use crate::domain::id::SessionId;
use crate::domain::session::{MAX_USER_AGENT, Session, SessionOwner, SessionUser, csrf_token};
use crate::domain::token::{IssuedToken, TokenKind};
use crate::domain::user::{PasswordHash, User};
use crate::limits::network;

/// Enough for every field at its bound.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// Where a request to sign in comes from.
pub struct Origin {
    /// Who is at the other end of the connection.
    pub peer: IpAddr,
    /// What it says.
    pub headers: HeaderMap,
    /// Its name.
    pub request: Arc<str>,
}

/// Somebody who may have a session now.
pub struct Welcome {
    /// Whose session it will be.
    pub owner: SessionOwner,
    /// Who calls in it: the session's id comes with the session.
    pub caller: Caller,
    /// The password that was shown, as it is kept.
    pub password: Option<PasswordHash>,
    /// What will stand in the cookie.
    pub token: IssuedToken,
}

/// The request in parts: nobody else's page made it.
pub async fn begin(
    app: &HttpState,
    peer: IpAddr,
    request: Request,
) -> Result<(Origin, bytes::Bytes)> {
    app.gate.check_page(request.headers(), peer)?;
    let name = request.extensions().get::<RequestName>();
    let from = Origin {
        peer,
        headers: request.headers().clone(),
        request: name.map_or_else(|| "".into(), |name| Arc::clone(&name.0)),
    };
    let body = body::read(request, MAX_BODY_BYTES).await?;
    Ok((from, body))
}

/// Counts a try of an address, and says whether it may be made.
pub async fn take_sign_in(app: &HttpState, from: &Origin) -> Result<Told> {
    let verdict = app.gate.take_sign_in(&from.headers, from.peer).await;
    match refusal(&verdict) {
        Some(error) => Err(error.of_kind(Problem::TooManySignIns)),
        None => Ok(Told::of(&verdict)),
    }
}

/// As whom a user comes in.
pub fn of_user(user: &User) -> Welcome {
    Welcome {
        owner: SessionOwner::User(SessionUser {
            id: user.id,
            email: Arc::clone(&user.email),
            name: Arc::clone(&user.name),
            role: user.role,
        }),
        caller: Caller {
            key: None,
            user: Some(user.id),
            session: None,
            name: Arc::clone(&user.email),
            scopes: user.role.scopes(),
            tenant: None,
        },
        password: user.password.clone(),
        token: new_token(),
    }
}

/// Of a session to come.
pub fn new_token() -> IssuedToken {
    IssuedToken::from_random(TokenKind::Session, clock::random_bytes())
}

/// Opens a session and answers with its cookie.
pub async fn open(
    app: &HttpState,
    from: &Origin,
    status: StatusCode,
    welcome: Welcome,
) -> Result<Response> {
    let Welcome {
        owner,
        mut caller,
        password,
        token,
    } = welcome;
    let now = clock::now();
    let settings = app.settings.sessions;
    let mut expires_at = now.plus(settings.lifetime);
    if let Some(key) = caller.key {
        // It ends with its key anyhow; so its cookie does as well.
        let end = app.gate.keyring().good_until(key, now).flatten();
        expires_at = end.map_or(expires_at, |end| end.min(expires_at));
    }
    let mut session = Session {
        id: SessionId(clock::uuid()),
        hash: token.hash(),
        owner,
        created_at: now,
        expires_at,
        last_used_at: now,
        address: app.gate.origin(&from.headers, from.peer).to_string(),
        user_agent: user_agent(&from.headers),
        version: 0,
    };
    let most = settings.max_per_owner;
    let made = app.store.create_session(&session, password.as_ref(), most);
    // Disabled, or given another password, while this one was checked.
    session.version = made.await?.ok_or_else(refused)?;
    app.relay.session_opened(&session).await;
    tracing::info!(id = %session.id, "session.opened");
    caller.session = Some(session.id);
    let entry = entry(
        from,
        &caller,
        "session.create",
        "session",
        session.id.to_string(),
    );
    keep(app, entry).await;
    let secure = app.gate.is_secure(&from.headers, from.peer);
    let lasts = std::time::Duration::from_micros(
        u64::try_from(expires_at.as_micros() - now.as_micros()).unwrap_or(0),
    );
    let cookie = cookie::set(token.expose(), secure, lasts).ok_or_else(ApiError::internal)?;
    let csrf = csrf_token(token.expose().as_bytes());
    let view = CurrentSessionView::new(&session, &caller, csrf);
    Ok((status, [(header::SET_COOKIE, cookie)], Json(view)).into_response())
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(header::USER_AGENT)?.to_str().ok()?;
    let kept: String = given.chars().take(MAX_USER_AGENT).collect();
    (!kept.is_empty()).then_some(kept)
}

/// When and from where; nobody waits in vain for it.
pub async fn note_sign_in(app: &HttpState, from: &Origin, user: &User) {
    let place = network(app.gate.origin(&from.headers, from.peer));
    let noted = User {
        places: user.places_with(place),
        signed_in_at: Some(clock::now()),
        ..user.clone()
    };
    if let Err(problem) = app.store.note_sign_in(&noted).await {
        tracing::warn!(%problem, "when a user signed in is not noted");
    }
}

/// Notes what somebody did who had no session yet.
pub async fn audit(app: &HttpState, from: &Origin, user: &User, action: &str, thing: String) {
    let caller = of_user(user).caller;
    keep(app, entry(from, &caller, action, "user", thing)).await;
}

fn entry(from: &Origin, caller: &Caller, action: &str, thing: &str, id: String) -> AuditEntry {
    AuditEntry {
        id: clock::uuid(),
        at: clock::now(),
        caller: caller.name.to_string(),
        key_id: caller.key.map(|id| id.to_string()),
        user_id: caller.user.map(|id| id.to_string()),
        tenant: caller.tenant.as_deref().map(str::to_owned),
        action: action.to_owned(),
        thing: thing.to_owned(),
        thing_id: Some(id),
        changes: None,
        request_id: from.request.to_string(),
    }
}

/// What was done stays done where it cannot be noted.
async fn keep(app: &HttpState, entry: AuditEntry) {
    if let Err(problem) = app.store.audit(&entry).await {
        let AuditEntry {
            action, thing_id, ..
        } = entry;
        tracing::error!(%problem, action, thing_id, "audit.lost");
    }
}

/// Nobody is told what was wrong.
pub fn refused() -> ApiError {
    let message = "The e-mail address or the password is wrong";
    ApiError::new(Problem::SignInRefused, message)
}

/// An answer that takes the cookie away.
pub fn without_cookie(app: &HttpState, headers: &HeaderMap, peer: IpAddr) -> Response {
    let cookie: Option<HeaderValue> = cookie::clear(app.gate.is_secure(headers, peer));
    let mut answer = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = cookie {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}
