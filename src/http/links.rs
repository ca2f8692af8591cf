//! Coming in by a link that can be used once: as the first user, or invited. Whoever does so is signed in.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::address::Peer;
use super::bare::NoQuery;
use super::error::{ApiError, Problem, Result};
use super::openapi::bodies::{InvitationBody, SetupBody};
use super::opening::{Origin, audit, begin, note_sign_in, of_user, open, take_sign_in};
use super::session_view::CurrentSessionView;
use super::sign_in_input::Link;
use super::to_the_end::to_the_end;
use super::user_view::SetupView;
use crate::clock;
use crate::domain::api_key::KeyHash;
use crate::domain::id::UserId;
use crate::domain::user::{Role, User};
use crate::limits::network;
use crate::store::FirstUser;

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
    let password = app.passwords.hash_new(input.password, &email, &name);
    let password = password.await?;
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
    let password = app
        .passwords
        .hash_new(input.password, &invited.email, shown);
    let password = password.await?;
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

fn link_ended() -> ApiError {
    ApiError::new(
        Problem::LinkEnded,
        "This link was used, replaced or is too old: a start without users prints another one, and \
         whoever administers users makes another invitation",
    )
}
