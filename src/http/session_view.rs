//! What is shown of sessions: never their tokens, but the second one to who is in the session.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Timestamp;
use crate::domain::access::{Caller, Scope};
use crate::domain::id::{ApiKeyId, SessionId, UserId};
use crate::domain::session::{Session, SessionOwner, SessionUser};
use crate::domain::user::Role;
use crate::keyring::Keyring;
use crate::sessions::Open;

/// The user who is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionUserView {
    id: UserId,
    email: String,
    name: String,
    #[schema(value_type = Role)]
    role: &'static str,
}

impl SessionUserView {
    fn new(user: &SessionUser) -> Self {
        Self {
            id: user.id,
            email: user.email.to_string(),
            name: user.name.to_string(),
            role: user.role.as_str(),
        }
    }
}

/// The key that somebody is signed in with.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionKeyView {
    id: ApiKeyId,
    name: String,
}

/// Who is signed in, and what they may.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CurrentSession)]
pub struct CurrentSessionView {
    id: SessionId,
    /// Null where somebody signed in with a key.
    user: Option<SessionUserView>,
    /// Null where a user signed in, or somebody with the admin key of the settings.
    key: Option<SessionKeyView>,
    /// The user's or the key's.
    name: String,
    /// The user's; null where somebody signed in with a key.
    #[schema(value_type = Option<Role>)]
    role: Option<&'static str>,
    #[schema(value_type = Vec<Scope>)]
    scopes: Vec<&'static str>,
    /// Whose things are seen; all where null.
    tenant: Option<String>,
    /// What requests that change something have to send as `X-CSRF-Token`.
    csrf_token: String,
    /// When it ends at the latest; sooner where it is not used (`sessions.idle_ms`).
    expires_at: Timestamp,
}

impl CurrentSessionView {
    /// Of whoever calls in it.
    pub fn new(session: &Session, caller: &Caller, csrf_token: String) -> Self {
        let user = user(session);
        let key = caller.key.map(|id| SessionKeyView {
            id,
            name: caller.name.to_string(),
        });
        Self {
            id: session.id,
            name: user.map_or(&caller.name, |user| &user.name).to_string(),
            role: user.map(|user| user.role.as_str()),
            user: user.map(SessionUserView::new),
            key,
            scopes: caller.scopes.iter().map(Scope::as_str).collect(),
            tenant: caller.tenant.as_deref().map(str::to_owned),
            csrf_token,
            expires_at: session.expires_at,
        }
    }
}

fn user(session: &Session) -> Option<&SessionUser> {
    match &session.owner {
        SessionOwner::User(user) => Some(user),
        SessionOwner::Key(_) | SessionOwner::AdminKey(_) => None,
    }
}

/// A session as listed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct SessionView {
    id: SessionId,
    /// Null where somebody signed in with a key.
    user: Option<SessionUserView>,
    /// Null where a user signed in, or somebody with the admin key of the settings.
    key: Option<SessionKeyView>,
    created_at: Timestamp,
    /// As far as this node knows.
    last_used_at: Timestamp,
    /// When it ends at the latest.
    expires_at: Timestamp,
    /// Where somebody signed in from.
    address: String,
    /// What their browser called itself.
    user_agent: Option<String>,
    /// It is the one of this request.
    current: bool,
}

impl SessionView {
    /// As it is now.
    pub fn new(open: &Open, keyring: &Keyring, current: Option<SessionId>) -> Self {
        let session = &*open.session;
        let key = match session.owner {
            SessionOwner::Key(id) => keyring.name(id).map(|name| SessionKeyView {
                id,
                name: name.to_string(),
            }),
            SessionOwner::User(_) | SessionOwner::AdminKey(_) => None,
        };
        Self {
            id: session.id,
            user: user(session).map(SessionUserView::new),
            key,
            created_at: session.created_at,
            last_used_at: open.last_use(),
            expires_at: session.expires_at,
            address: session.address.clone(),
            user_agent: session.user_agent.clone(),
            current: current == Some(session.id),
        }
    }
}
