//! What is shown of users: never their passwords, nor the links that they come by, but in the answer
//! that makes one.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Timestamp;
use crate::domain::id::UserId;
use crate::domain::token::IssuedToken;
use crate::domain::user::{Role, User, UserState};

/// Whether the first user is still to be made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Setup)]
pub struct SetupView {
    /// There is no user yet.
    pub needed: bool,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub struct UserView {
    id: UserId,
    email: String,
    name: String,
    #[schema(value_type = Role)]
    role: &'static str,
    #[schema(value_type = UserState)]
    state: &'static str,
    disabled: bool,
    last_sign_in_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl UserView {
    /// As they are now.
    pub fn new(user: &User) -> Self {
        Self {
            id: user.id,
            email: user.email.to_string(),
            name: user.name.to_string(),
            role: user.role.as_str(),
            state: user.state().as_str(),
            disabled: user.disabled_at.is_some(),
            last_sign_in_at: user.signed_in_at,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// A link by which a user sets name and password, shown once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Invitation)]
pub struct InvitationView {
    /// For `POST /api/v1/invitation`.
    token: String,
    /// The page that takes it, behind the relay's address.
    #[schema(examples("/ui/invitation#token=phl_…"))]
    path: String,
    expires_at: Timestamp,
}

impl InvitationView {
    /// Of a token that was just made.
    pub fn new(token: &IssuedToken, expires_at: Timestamp) -> Self {
        let token = token.expose();
        Self {
            path: format!("/ui/invitation#token={token}"),
            token: token.to_owned(),
            expires_at,
        }
    }
}

/// A user who was just made, or given a way in.
#[derive(Serialize, ToSchema)]
#[schema(as = InvitedUser)]
pub struct InvitedUserView {
    /// All that is shown later.
    #[serde(flatten)]
    pub user: UserView,
    /// Null where a password was given.
    pub invitation: Option<InvitationView>,
}
