//! Signing in: with an e-mail address and a password, with a key, by the link of a first start, or by
//! an invitation. All four end in the same: a session, and its cookie.
//!
//! Whoever tries learns nothing but whether it worked: a user whom there is not is answered as a wrong
//! password is, and no sooner. Tries are limited by address and by user.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use zeroize::Zeroizing;

use super::HttpState;
use super::address::Peer;
use super::bare::NoQuery;
use super::body;
use super::cookie;
use super::error::{ApiError, Fault, Problem, Result};
use super::frame::RequestName;
use super::limiting::{Told, refusal};
use super::openapi::bodies::{InvitationBody, SetupBody, SignInBody};
use super::session_view::CurrentSessionView;
use super::sign_in_input::{Link, SignIn};
use super::tenants;
use super::to_the_end::to_the_end;
use super::user_view::SetupView;
use crate::clock;
use crate::domain::access::Caller;
use crate::domain::api_key::KeyHash;
use crate::domain::audit::AuditEntry;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::{MAX_USER_AGENT, Session, SessionOwner, SessionUser, csrf_token};
use crate::domain::token::{IssuedToken, TokenKind};
use crate::domain::user::{self, PasswordHash, Role, User};
use crate::limits::network;
use crate::store::FirstUser;

/// Enough for every field at its bound.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// Where a request to sign in comes from.
struct Origin {
    peer: IpAddr,
    headers: HeaderMap,
    request: Arc<str>,
}

/// Somebody who may have a session now.
struct Welcome {
    owner: SessionOwner,
    /// Who calls in it: the session's id comes with the session.
    caller: Caller,
    /// The password that was shown, as it is kept.
    password: Option<PasswordHash>,
    token: IssuedToken,
}

/// `GET /setup`.
#[utoipa::path(
    get,
    path = "/api/v1/setup",
    tag = "sessions",
    operation_id = "setup",
    summary = "Whether there is no user yet",
    description = "Where there is none, the relay prints a link at its start that makes the first one.",
    responses((status = 200, description = "Whether the first user is still to be made.", body = SetupView))
)]
pub async fn setup(State(app): State<HttpState>, _: NoQuery) -> Result<Response> {
    let needed = !app.store.any_user().await?;
    Ok(Json(SetupView { needed }).into_response())
}

/// `POST /setup`: the first user, an administrator, who is signed in by it.
#[utoipa::path(
    post,
    path = "/api/v1/setup",
    tag = "sessions",
    operation_id = "set_up",
    summary = "Make the first user",
    description = "By the token of the link that the relay printed at its start. The user administers, and is signed in.",
    request_body(content = SetupBody, example = json!({"token": "phl_…", "email": "ada@example.com", "name": "Ada", "password": "correct horse battery"})),
    responses(
        (status = 201, description = "The session; its token is in the cookie.", body = CurrentSessionView, headers(("Set-Cookie" = String))),
        (status = 403, description = "The token is none, or not any more (`link-ended`); or a page of another origin asks (`cross-site`)."),
        (status = 409, description = "There is a user already."),
        (status = 429, description = "Too many tries from this address (`too-many-sign-ins`)."),
    )
)]
pub async fn set_up(
    State(app): State<HttpState>,
    Peer(peer): Peer,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let (from, body) = begin(&app, peer, request).await?;
    let limited = take_sign_in(&app, &from).await?;
    let input = Link::parse(&body, true).map_err(ApiError::invalid_body)?;
    let done = to_the_end(async move { make_first_user(&app, &from, input).await }).await?;
    Ok(limited.with(done))
}

async fn make_first_user(app: &HttpState, from: &Origin, input: Link) -> Result<Response> {
    let now = clock::now();
    let link = KeyHash::of(input.token.as_bytes());
    let too_late = || ApiError::conflict("There is a user already: sign in, or be invited");
    if app.store.any_user().await? {
        return Err(too_late());
    }
    // Before anything is hashed, which takes long.
    if !app.store.setup_link(&link, now).await? {
        return Err(link_ended());
    }
    let email = input.email.unwrap_or_default();
    let name = input.name.unwrap_or_else(|| email.clone());
    let password = hash_new(app, input.password, &email, &name).await?;
    let place = network(app.gate.origin(&from.headers, from.peer));
    let user = User {
        id: UserId(clock::uuid()),
        email: email.into(),
        name: name.into(),
        role: Role::Admin,
        disabled_at: None,
        password: Some(password),
        places: vec![place],
        signed_in_at: Some(now),
        created_at: clock::now(),
        updated_at: now,
        version: 0,
    };
    match app.store.create_first_user(&user, &link).await? {
        FirstUser::Done => {}
        FirstUser::TooLate => return Err(too_late()),
        FirstUser::NoLink => return Err(link_ended()),
    }
    tracing::info!(id = %user.id, "user.created");
    audit(app, from, &user, "user.set_up", user.id.to_string()).await;
    open(app, from, StatusCode::CREATED, of_user(&user)).await
}

/// `POST /invitation`: sets name and password of an invited user, who is signed in by it.
#[utoipa::path(
    post,
    path = "/api/v1/invitation",
    tag = "sessions",
    operation_id = "take_invitation",
    summary = "Take an invitation",
    description = "By the token of its link: sets the user's password, and the name where one is given. The user is signed in.",
    request_body(content = InvitationBody, example = json!({"token": "phl_…", "name": "Grace", "password": "correct horse battery"})),
    responses(
        (status = 200, description = "The session; its token is in the cookie.", body = CurrentSessionView, headers(("Set-Cookie" = String))),
        (status = 403, description = "The token is none, or not any more (`link-ended`); or a page of another origin asks (`cross-site`)."),
        (status = 429, description = "Too many tries from this address (`too-many-sign-ins`)."),
    )
)]
pub async fn take_invitation(
    State(app): State<HttpState>,
    Peer(peer): Peer,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let (from, body) = begin(&app, peer, request).await?;
    let limited = take_sign_in(&app, &from).await?;
    let input = Link::parse(&body, false).map_err(ApiError::invalid_body)?;
    let done = to_the_end(async move { come_in(&app, &from, input).await }).await?;
    Ok(limited.with(done))
}

async fn come_in(app: &HttpState, from: &Origin, input: Link) -> Result<Response> {
    let link = KeyHash::of(input.token.as_bytes());
    let invited = app.store.invited(&link, clock::now()).await?;
    let invited = invited.ok_or_else(link_ended)?;
    let name = input.name.as_deref();
    let shown = name.unwrap_or(&invited.name);
    let password = hash_new(app, input.password, &invited.email, shown).await?;
    let taken = app
        .store
        .take_invitation(&link, name, &password, clock::now());
    let user = taken.await?.ok_or_else(link_ended)?;
    app.relay.accounts_changed().await;
    audit(
        app,
        from,
        &user,
        "user.take_invitation",
        user.id.to_string(),
    )
    .await;
    note_sign_in(app, from, &user).await;
    open(app, from, StatusCode::OK, of_user(&user)).await
}

/// `POST /session`.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "sessions",
    operation_id = "sign_in",
    summary = "Sign in",
    description = "With an e-mail address and a password, or with a key: then the session may what the key may, and ends with it.",
    request_body(content = SignInBody, examples(
        ("password" = (summary = "As a user", value = json!({"email": "ada@example.com", "password": "correct horse battery"}))),
        ("key" = (summary = "With a key", value = json!({"key": "ph_…"}))),
    )),
    responses(
        (status = 200, description = "The session; its token is in the cookie.", body = CurrentSessionView, headers(("Set-Cookie" = String))),
        (status = 401, description = "The address or the password is wrong (`sign-in-refused`), or the key is none (`key-required`, `key-ended`)."),
        (status = 403, description = "A page of another origin asks (`cross-site`), or the key's tenant is inactive."),
        (status = 429, description = "Too many tries from this address, or for this user (`too-many-sign-ins`)."),
    )
)]
pub async fn sign_in(
    State(app): State<HttpState>,
    Peer(peer): Peer,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let (from, body) = begin(&app, peer, request).await?;
    let limited = take_sign_in(&app, &from).await?;
    let input = SignIn::parse(&body).map_err(ApiError::invalid_body)?;
    let done = to_the_end(async move {
        let welcome = match input {
            SignIn::Password(email, password) => {
                with_password(&app, &from, email, password).await?
            }
            SignIn::Key(key) => with_key(&app, &from, &key)?,
        };
        open(&app, &from, StatusCode::OK, welcome).await
    })
    .await?;
    Ok(limited.with(done))
}

async fn with_password(
    app: &HttpState,
    from: &Origin,
    email: String,
    password: Zeroizing<String>,
) -> Result<Welcome> {
    // What is no address is nobody's, and is answered no sooner.
    let email = user::email(&email).unwrap_or(email);
    let user = app.store.user_by_email(&email).await?;
    let origin = app.gate.origin(&from.headers, from.peer);
    let place = network(origin);
    let known = user.as_ref().is_some_and(|user| user.knows(place));
    let verdict = app.gate.take_account(&email, known.then_some(place)).await;
    refusal(&verdict).map_or(Ok(()), |error| Err(error.of_kind(Problem::TooManySignIns)))?;
    let enabled = user.filter(|user| user.disabled_at.is_none());
    let hash = enabled.as_ref().and_then(|user| user.password.clone());
    let is_right = app.passwords.check(password, hash).await?;
    let Some(user) = enabled.filter(|_| is_right) else {
        tracing::info!(%origin, "sign_in.refused");
        return Err(refused());
    };
    note_sign_in(app, from, &user).await;
    Ok(of_user(&user))
}

fn with_key(app: &HttpState, from: &Origin, key: &str) -> Result<Welcome> {
    let caller = app.gate.admit_key(key, &from.headers, from.peer)?;
    tenants::check_active(&caller, |id| app.relay.tenant(id))?;
    let token = new_token();
    let owner = match caller.key {
        Some(id) => SessionOwner::Key(id),
        None => SessionOwner::AdminKey(app.gate.prove_admin_key(token.expose().as_bytes())),
    };
    Ok(Welcome {
        owner,
        caller: (*caller).clone(),
        password: None,
        token,
    })
}

fn of_user(user: &User) -> Welcome {
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

fn new_token() -> IssuedToken {
    IssuedToken::from_random(TokenKind::Session, clock::random_bytes())
}

/// Opens a session and answers with its cookie.
async fn open(
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
async fn note_sign_in(app: &HttpState, from: &Origin, user: &User) {
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

/// The request in parts: nobody else's page made it.
async fn begin(app: &HttpState, peer: IpAddr, request: Request) -> Result<(Origin, bytes::Bytes)> {
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

async fn take_sign_in(app: &HttpState, from: &Origin) -> Result<Told> {
    let verdict = app.gate.take_sign_in(&from.headers, from.peer).await;
    match refusal(&verdict) {
        Some(error) => Err(error.of_kind(Problem::TooManySignIns)),
        None => Ok(Told::of(&verdict)),
    }
}

/// Checks and hashes a new password.
pub async fn hash_new(
    app: &HttpState,
    password: Zeroizing<String>,
    email: &str,
    name: &str,
) -> Result<PasswordHash> {
    user::check_password(&password, email, name)
        .map_err(|problem| ApiError::invalid_body(vec![Fault::new("password", problem)]))?;
    app.passwords.hash(password).await
}

async fn audit(app: &HttpState, from: &Origin, user: &User, action: &str, thing: String) {
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

fn refused() -> ApiError {
    let message = "The e-mail address or the password is wrong";
    ApiError::new(Problem::SignInRefused, message)
}

fn link_ended() -> ApiError {
    ApiError::new(
        Problem::LinkEnded,
        "This link was used, replaced or is too old: a start without users prints another one, and \
         whoever administers users makes another invitation",
    )
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
