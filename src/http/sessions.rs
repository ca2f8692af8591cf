//! Sessions: one's own looked at and ended, and those of others by who administers the relay.
//!
//! They are shown from memory, where all that are open are (`sessions.rs`).

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::address::Peer;
use super::audit::Note;
use super::auth::Asking;
use super::bare::{Bare, NoQuery};
use super::body;
use super::error::{ApiError, Fault, Problem, Result};
use super::limiting::refusal;
use super::openapi::PageParameters;
use super::openapi::bodies::NewPasswordBody;
use super::opening::without_cookie;
use super::paging::{PageView, Query};
use super::path::PathId;
use super::session_view::{CurrentSessionView, SessionView};
use super::sign_in_input::NewPassword;
use super::tenants;
use crate::clock;
use crate::domain::access::Caller;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::SessionOwner;
use crate::limits::network;
use crate::sessions::Open;
use crate::store::{Moved, Page, PageRequest, Position};

/// Enough for every field at its bound.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// `GET /session`. Anyone may ask: whoever opens the dashboard asks before they have signed in, and that
/// nobody has is an answer, not a fault.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "sessions",
    operation_id = "current",
    summary = "Show who is signed in",
    description = "And what they may, and the `csrfToken` that changes take. Null where the request brings neither a cookie nor a key.",
    responses(
        (status = 200, description = "The session of this request's cookie; null where nobody is signed in.", body = Option<CurrentSessionView>),
        (status = 400, description = "A query was sent, which nobody would read."),
        (status = 401, description = "The cookie's session has ended (`session-ended`), and so may its key (`key-ended`); or the request shows a key that is none."),
        (status = 403, description = "The tenant of the session's key is inactive."),
        (status = 404, description = "The request shows a key, and no session's cookie."),
        (status = 429, description = "Too many wrong keys came from this address (`too-many-keys`)."),
    )
)]
pub async fn show(
    State(app): State<HttpState>,
    Peer(peer): Peer,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let Some(caller) = app.gate.signed_in(&headers, peer)? else {
        return Ok(Json(None::<CurrentSessionView>).into_response());
    };
    tenants::check_active(&caller, |id| app.relay.tenant(id))?;
    let open = current(&app, &caller)?;
    let csrf = app.gate.csrf_token(&headers, peer);
    let csrf = csrf.ok_or_else(ApiError::internal)?;
    Ok(Json(CurrentSessionView::new(&open.session, &caller, csrf)).into_response())
}

/// `DELETE /session`: signs out.
#[utoipa::path(
    delete,
    path = "/session",
    tag = "sessions",
    operation_id = "sign_out",
    summary = "Sign out",
    responses(
        (status = 204, description = "The session has ended, and the cookie is taken away.", headers(("Set-Cookie" = String))),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
        (status = 404, description = "The request shows a key, and no session's cookie."),
    )
)]
pub async fn sign_out(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    Peer(peer): Peer,
    note: Note,
    headers: HeaderMap,
    _: Bare,
) -> Result<Response> {
    let open = current(&app, &caller)?;
    note.thing(open.session.id);
    end_now(&app, open.session.id).await?;
    Ok(without_cookie(&app, &headers, peer))
}

/// `POST /session/password`: one's own.
#[utoipa::path(
    post,
    path = "/session/password",
    tag = "sessions",
    operation_id = "change_password",
    summary = "Change one's own password",
    description = "Ends all other sessions of the user.",
    request_body(content = NewPasswordBody, example = json!({"current": "correct horse battery", "password": "another horse battery"})),
    responses(
        (status = 204, description = "It is changed."),
        (status = 403, description = "No user is signed in: keys have no passwords."),
        (status = 429, description = "Too many tries (`too-many-sign-ins`)."),
    )
)]
pub async fn change_password(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    Peer(peer): Peer,
    note: Note,
    _: NoQuery,
    headers: HeaderMap,
    request: Request,
) -> Result<StatusCode> {
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let input = NewPassword::parse(&body).map_err(ApiError::invalid_body)?;
    let Some(id) = caller.user else {
        let message = "Only users have passwords: sign in as one";
        return Err(ApiError::new(Problem::Forbidden, message));
    };
    note.thing(id);
    let user = app.store.user(id).await?;
    let user = user.ok_or_else(|| ApiError::not_found("user"))?;
    // As who signs in: whoever took a cookie along has no quota of their own for guesses.
    let place = network(app.gate.origin(&headers, peer));
    let known = user.knows(place).then_some(place);
    let verdict = app.gate.take_account(&user.email, known).await;
    refusal(&verdict).map_or(Ok(()), |error| Err(error.of_kind(Problem::TooManySignIns)))?;
    let is_right = app.passwords.check(input.current, user.password.clone());
    if !is_right.await? {
        let fault = Fault::new("current", "is not the password");
        return Err(ApiError::invalid_body(vec![fault]));
    }
    let password = app
        .passwords
        .hash_new(input.password, &user.email, &user.name)
        .await?;
    let set = app
        .store
        .set_password(id, &password, caller.session, clock::now());
    match set.await? {
        Moved::Done => app.relay.accounts_changed().await,
        Moved::Overtaken => return Err(ApiError::not_found("user")),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /sessions`: newest first.
#[utoipa::path(
    get,
    path = "/sessions",
    tag = "sessions",
    summary = "List open sessions",
    description = "One's own, newest first; who administers the relay sees all. Another process's may be missing for a second (ten without Redis).",
    params(
        ("user" = Option<UserId>, Query, description = "Only that user's."),
        PageParameters,
    ),
    responses((status = 200, description = "A page of sessions.", body = PageView<SessionView>))
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let mut query = Query::of_list(raw.as_deref(), &["user"]);
    let user: Option<UserId> = query.id(&["user"]);
    let request = query.page();
    query.done()?;
    let is_asked_for = |open: &Open| {
        user.is_none_or(
            |user| matches!(&open.session.owner, SessionOwner::User(one) if one.id == user),
        )
    };
    let mut all = app.gate.sessions().all(clock::now());
    all.retain(|open| is_asked_for(open) && may_know(&app, &caller, open));
    let page = page_of(all, &request);
    let view = |open: &Open| SessionView::new(open, app.gate.keyring(), caller.session);
    Ok(Json(PageView::new(&page, request.limit, view)).into_response())
}

/// `DELETE /sessions/{id}`.
#[utoipa::path(
    delete,
    path = "/sessions/{id}",
    tag = "sessions",
    operation_id = "end",
    summary = "End a session",
    description = "One's own, or any by who administers the relay: on every node within a second (ten without Redis).",
    responses(
        (status = 204, description = "It has ended."),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
    )
)]
pub async fn end(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: Bare,
) -> Result<StatusCode> {
    let open = app.gate.sessions().one(SessionId(id), clock::now());
    let open = open.filter(|open| may_know(&app, &caller, open));
    let open = open.ok_or_else(|| ApiError::not_found("session"))?;
    end_now(&app, open.session.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Run to its end by the layer that notes it.
async fn end_now(app: &HttpState, id: SessionId) -> Result<()> {
    app.relay.end_session(id, clock::now()).await?;
    tracing::info!(%id, "session.ended");
    Ok(())
}

fn current(app: &HttpState, caller: &Arc<Caller>) -> Result<Open> {
    let id = caller.session.ok_or_else(|| {
        let message = "There is no session: this request shows a key, and no session's cookie";
        ApiError::new(Problem::NotFound, message)
    })?;
    let open = app.gate.sessions().one(id, clock::now());
    open.ok_or_else(|| ApiError::not_found("session"))
}

/// Whether this session exists for that caller.
fn may_know(app: &HttpState, caller: &Caller, open: &Open) -> bool {
    let is_own = match &open.session.owner {
        SessionOwner::User(user) => caller.user == Some(user.id),
        SessionOwner::Key(id) => {
            // One whose key has ended is none any more.
            if app.gate.keyring().good_until(*id, clock::now()).is_none() {
                return false;
            }
            caller.key == Some(*id)
        }
        SessionOwner::AdminKey(_) => false,
    };
    is_own || caller.administers_all()
}

/// A page of what is in memory, newest first.
fn page_of(all: Vec<Open>, request: &PageRequest) -> Page<Open> {
    let after = request.after.map(|Position(id)| id);
    let behind = |open: &Open| after.is_none_or(|after| open.session.id.0 < after);
    let (limit, offset) = (request.limit as usize, request.offset as usize);
    let mut rows: Vec<Open> = all
        .into_iter()
        .filter(behind)
        .skip(offset)
        .take(limit + 1)
        .collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|open| Position(open.session.id.0));
    Page {
        next: last.filter(|_| more),
        rows,
        partial: false,
    }
}
