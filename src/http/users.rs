//! Users: made or invited, listed, changed, removed. Whoever administers the relay does so; a tenant
//! has keys, not users. The last one who administers stays.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use zeroize::Zeroizing;

use super::HttpState;
use super::auth::Asking;
use super::bare::{Bare, NoQuery};
use super::body;
use super::error::{ApiError, Problem, Result};
use super::openapi::PageParameters;
use super::openapi::bodies::{NewUserBody, UserChangeBody, UserPasswordBody};
use super::paging::{PageView, Query};
use super::path::PathId;
use super::user_input::{self, NewUser, UserChange};
use super::user_view::{InvitationView, InvitedUserView, UserView};
use crate::clock;
use crate::domain::access::Caller;
use crate::domain::id::UserId;
use crate::domain::token::{IssuedToken, TokenKind};
use crate::domain::user::User;
use crate::store::{Link, Moved, UserChanged, UserCreated};

/// Enough for every field at its bound.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// Times that a user is read again where somebody else changed it meanwhile.
const MAX_REREADS: usize = 3;

/// `POST /users`: with a password, or by an invitation.
#[utoipa::path(
    post,
    path = "/users",
    tag = "users",
    summary = "Make a user",
    description = "With a password, or without one: then the answer has the token of a link by which the user sets it, once. Takes a key or a user without a tenant.",
    request_body(content = NewUserBody, examples(
        ("invitation" = (summary = "By invitation", value = json!({"email": "grace@example.com", "name": "Grace", "role": "operator"}))),
        ("password" = (summary = "With a password", value = json!({"email": "ada@example.com", "name": "Ada", "role": "admin", "password": "correct horse battery"}))),
    )),
    responses(
        (status = 201, description = "The user, and the invitation, shown once.", body = InvitedUserView, headers(("Location" = String, description = "Where the user is looked at."))),
        (status = 403, description = "A tenant's key asks."),
        (status = 409, description = "There is a user with this address, or as many as there may be (`users.max`)."),
    )
)]
pub async fn create(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    check_administrator(&caller)?;
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let input = NewUser::parse(&body).map_err(ApiError::invalid_body)?;
    let password = match input.password {
        Some(password) => Some(
            app.passwords
                .hash_new(password, &input.email, &input.name)
                .await?,
        ),
        None => None,
    };
    let invitation = password.is_none().then(|| Invitation::new(&app));
    let now = clock::now();
    let user = User {
        id: UserId(clock::uuid()),
        email: input.email.into(),
        name: input.name.into(),
        role: input.role,
        disabled_at: None,
        password,
        places: Vec::new(),
        signed_in_at: None,
        created_at: now,
        updated_at: now,
        version: 0,
    };
    let most = app.settings.users.max;
    let link = invitation.as_ref().map(|invitation| &invitation.link);
    match app.store.create_user(&user, link, most).await? {
        UserCreated::Done => {}
        UserCreated::EmailTaken => {
            let message = "There is a user with this e-mail address already";
            return Err(ApiError::conflict(message));
        }
        UserCreated::TooMany => {
            let message = format!("There are {most} users, which is the bound (users.max)");
            return Err(ApiError::limit_reached(message));
        }
    }
    tracing::info!(id = %user.id, "user.created");
    let place = format!("/api/v1/users/{}", user.id);
    let place = HeaderValue::from_str(&place).map_err(|_| ApiError::internal())?;
    let view = Json(invited(&user, invitation.as_ref()));
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], view).into_response())
}

/// `GET /users`: newest first.
#[utoipa::path(
    get,
    path = "/users",
    tag = "users",
    summary = "List users",
    description = "Newest first. Takes a key or a user without a tenant.",
    params(PageParameters),
    responses(
        (status = 200, description = "A page of users.", body = PageView<UserView>),
        (status = 403, description = "A tenant's key asks."),
    )
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    check_administrator(&caller)?;
    let mut query = Query::of_list(raw.as_deref(), &[]);
    let request = query.page();
    query.done()?;
    let page = app.store.list_users(&request).await?;
    Ok(Json(PageView::new(&page, request.limit, UserView::new)).into_response())
}

/// `GET /users/{id}`.
#[utoipa::path(
    get,
    path = "/users/{id}",
    tag = "users",
    summary = "Show a user",
    responses(
        (status = 200, description = "The user.", body = UserView),
        (status = 400, description = "A query was sent, which nobody would read."),
        (status = 403, description = "A tenant's key asks."),
    )
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
) -> Result<Response> {
    check_administrator(&caller)?;
    let user = find(&app, UserId(id)).await?;
    Ok(Json(UserView::new(&user)).into_response())
}

/// `PATCH /users/{id}`: what is given is merged in.
#[utoipa::path(
    patch,
    path = "/users/{id}",
    tag = "users",
    operation_id = "change",
    summary = "Change a user",
    description = "Another role is in force on every node within a second (ten without Redis); a disabled user's sessions end.",
    request_body(content = UserChangeBody, example = json!({"role": "viewer", "disabled": false})),
    responses(
        (status = 200, description = "The user as they are now.", body = UserView),
        (status = 403, description = "A tenant's key asks."),
        (status = 409, description = "Nobody would be left who administers, or others keep changing the user."),
    )
)]
pub async fn change(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    check_administrator(&caller)?;
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let change = UserChange::parse(&body).map_err(ApiError::invalid_body)?;
    for _ in 0..=MAX_REREADS {
        let stored = find(&app, UserId(id)).await?;
        let next = change.merged_into(&stored, clock::now());
        let changed = match next == stored {
            true => UserChanged::At(stored.version),
            false => app.store.update_user(&next).await?,
        };
        match changed {
            UserChanged::At(_) => {
                app.relay.accounts_changed().await;
                return Ok(Json(UserView::new(&next)).into_response());
            }
            UserChanged::LastAdmin => return Err(last_admin("disabled or given another role")),
            UserChanged::Overtaken => {}
        }
    }
    Err(ApiError::conflict(
        "Others keep changing this user; try again",
    ))
}

/// `DELETE /users/{id}`.
#[utoipa::path(
    delete,
    path = "/users/{id}",
    tag = "users",
    summary = "Remove a user",
    description = "For good: the sessions end, and the address is free. The audit log keeps it.",
    responses(
        (status = 204, description = "They are removed."),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
        (status = 403, description = "A tenant's key asks."),
        (status = 409, description = "Nobody would be left who administers."),
    )
)]
pub async fn delete(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: Bare,
) -> Result<StatusCode> {
    check_administrator(&caller)?;
    match app.store.delete_user(UserId(id), clock::now()).await? {
        UserChanged::At(_) => app.relay.accounts_changed().await,
        UserChanged::LastAdmin => return Err(last_admin("removed")),
        UserChanged::Overtaken => return Err(ApiError::not_found("user")),
    }
    tracing::info!(%id, "user.removed");
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /users/{id}/password`: sets it, or makes a link by which the user does.
#[utoipa::path(
    post,
    path = "/users/{id}/password",
    tag = "users",
    operation_id = "set_password",
    summary = "Give a user a new way in",
    description = "With a password, it is set and the user's sessions end. Without one, the answer has the token of a link by which the user sets it, once; until then nothing changes.",
    request_body(content = Option<UserPasswordBody>, examples(
        ("invitation" = (summary = "By a link", value = json!({}))),
        ("password" = (summary = "With a password", value = json!({"password": "correct horse battery"}))),
    )),
    responses(
        (status = 200, description = "The user, and the invitation, shown once.", body = InvitedUserView),
        (status = 403, description = "A tenant's key asks."),
        (status = 409, description = "The user is disabled, and cannot be invited."),
    )
)]
pub async fn set_password(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    check_administrator(&caller)?;
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let password = user_input::password(&body).map_err(ApiError::invalid_body)?;
    let user = find(&app, UserId(id)).await?;
    let invitation = match password {
        Some(password) => {
            set_now(&app, &user, password).await?;
            None
        }
        None => Some(invite(&app, &user).await?),
    };
    // What it is now: the password may have made the user an active one.
    let user = find(&app, user.id).await?;
    Ok(Json(invited(&user, invitation.as_ref())).into_response())
}

async fn set_now(app: &HttpState, user: &User, password: Zeroizing<String>) -> Result<()> {
    let password = app
        .passwords
        .hash_new(password, &user.email, &user.name)
        .await?;
    let set = app
        .store
        .set_password(user.id, &password, None, clock::now());
    match set.await? {
        Moved::Done => app.relay.accounts_changed().await,
        Moved::Overtaken => return Err(ApiError::not_found("user")),
    }
    Ok(())
}

async fn invite(app: &HttpState, user: &User) -> Result<Invitation> {
    if user.disabled_at.is_some() {
        return Err(ApiError::conflict(
            "This user is disabled: enable them before they are invited",
        ));
    }
    let invitation = Invitation::new(app);
    match app.store.invite(user.id, &invitation.link).await? {
        Moved::Done => Ok(invitation),
        Moved::Overtaken => Err(ApiError::not_found("user")),
    }
}

/// A link that was just made.
struct Invitation {
    token: IssuedToken,
    link: Link,
}

impl Invitation {
    fn new(app: &HttpState) -> Self {
        let token = IssuedToken::from_random(TokenKind::Link, clock::random_bytes());
        let now = clock::now();
        let link = Link {
            hash: token.hash(),
            created_at: now,
            expires_at: now.plus(app.settings.users.invitation),
        };
        Self { token, link }
    }
}

fn invited(user: &User, invitation: Option<&Invitation>) -> InvitedUserView {
    let view = |made: &Invitation| InvitationView::new(&made.token, made.link.expires_at);
    InvitedUserView {
        user: UserView::new(user),
        invitation: invitation.map(view),
    }
}

async fn find(app: &HttpState, id: UserId) -> Result<User> {
    let found = app.store.user(id).await?;
    found.ok_or_else(|| ApiError::not_found("user"))
}

/// A tenant does not administer who signs in.
fn check_administrator(caller: &Caller) -> Result<()> {
    match &caller.tenant {
        None => Ok(()),
        Some(_) => Err(ApiError::new(
            Problem::Forbidden,
            "A tenant's key cannot administer users: use one without a tenant",
        )),
    }
}

fn last_admin(done: &str) -> ApiError {
    ApiError::conflict(format!(
        "This user is the last one who administers, and cannot be {done}: make another user an \
         admin before, who has taken the invitation"
    ))
}
