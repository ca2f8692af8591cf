//! Signing in: with an e-mail address and a password, or with a key. In `links.rs` people come in by a
//! link. All of it ends in the same: a session, and its cookie (`opening.rs`).
//!
//! Whoever tries learns nothing but whether it worked: a user whom there is not is answered as a wrong
//! password is, and no sooner. Tries are limited by address and by user.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use zeroize::Zeroizing;

use super::HttpState;
use super::address::Peer;
use super::bare::NoQuery;
use super::error::{ApiError, Problem, Result};
use super::limiting::refusal;
use super::openapi::bodies::SignInBody;
use super::opening::{
    Origin, Welcome, begin, new_token, note_sign_in, of_user, open, refused, take_sign_in,
};
use super::session_view::CurrentSessionView;
use super::sign_in_input::SignIn;
use super::tenants;
use super::to_the_end::to_the_end;
use crate::domain::session::SessionOwner;
use crate::domain::user;
use crate::limits::network;

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
