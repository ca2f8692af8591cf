//! Sessions: somebody who signed in, as a user or with a key, and shows a cookie from then on.
//!
//! What is kept of the cookie's token is its SHA-256: it is 256 random bits. The token against
//! requests that other sites make (`X-CSRF-Token`) is derived from the cookie's own, so that it is
//! stored nowhere and nobody who reads the database can make one.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Timestamp;
use super::access::Caller;
use super::api_key::KeyHash;
use super::id::{ApiKeyId, SessionId, UserId};
use super::user::Role;

/// Characters kept of what a browser calls itself.
pub const MAX_USER_AGENT: usize = 255;

const CSRF: &[u8] = b"posthaste csrf token";
const ADMIN_KEY: &[u8] = b"posthaste admin key ";

/// A user as a session has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUser {
    /// Which.
    pub id: UserId,
    /// Who it is in the audit log.
    pub email: Arc<str>,
    /// For people.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
}

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionOwner {
    /// A user.
    User(SessionUser),
    /// Whoever has this key: the session may what the key may, as long as the key is good.
    Key(ApiKeyId),
    /// Whoever has the admin key of the settings, as long as it is the same.
    AdminKey(AdminKeyProof),
}

/// Made of a session's token and the admin key it was opened with. Checked only with the token at
/// hand: an admin key may be one that can be guessed, and from this nobody can try guesses.
#[derive(Clone, Copy)]
pub struct AdminKeyProof([u8; 32]);

impl AdminKeyProof {
    /// For that token and that admin key.
    pub fn new(token: &[u8], admin_key: &KeyHash) -> Self {
        Self(authenticated(token, &[ADMIN_KEY, admin_key.as_bytes()]))
    }

    /// As it is stored.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In constant time.
impl PartialEq for AdminKeyProof {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for AdminKeyProof {}

impl std::fmt::Debug for AdminKeyProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminKeyProof(********)")
    }
}

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// By which it is administered.
    pub id: SessionId,
    /// By which it is found.
    pub hash: KeyHash,
    /// Who signed in.
    pub owner: SessionOwner,
    /// When they did.
    pub created_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
    /// About when it was used last.
    pub last_used_at: Timestamp,
    /// The address it was opened from.
    pub address: String,
    /// What the browser called itself.
    pub user_agent: Option<String>,
    /// Of the accounts, when it was changed last.
    pub version: i64,
}

impl Session {
    /// When it ends where it was used last at `used`, and not after that.
    pub fn ends_at(&self, used: Timestamp, idle: Duration) -> Timestamp {
        self.expires_at.min(used.max(self.last_used_at).plus(idle))
    }

    /// Who calls in it, where that is a user: what a key's session may is the key's to say.
    pub fn caller(&self) -> Option<Caller> {
        let SessionOwner::User(user) = &self.owner else {
            return None;
        };
        Some(Caller {
            key: None,
            user: Some(user.id),
            session: Some(self.id),
            name: Arc::clone(&user.email),
            scopes: user.role.scopes(),
            tenant: None,
        })
    }
}

/// What `X-CSRF-Token` has to say in the session of that token.
pub fn csrf_token(token: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(authenticated(token, &[CSRF]))
}

/// Whether that is what it says. In constant time.
pub fn is_csrf_token(token: &[u8], given: &[u8]) -> bool {
    csrf_token(token).as_bytes().ct_eq(given).into()
}

fn authenticated(key: &[u8], texts: &[&[u8]]) -> [u8; 32] {
    // A key of this kind takes any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    texts.iter().for_each(|text| mac.update(text));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::{IssuedToken, TokenKind};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn session(owner: SessionOwner) -> Session {
        Session {
            id: SessionId(uuid::Uuid::from_u128(1)),
            hash: KeyHash::of(b"token"),
            owner,
            created_at: at(0),
            expires_at: at(1_000),
            last_used_at: at(10),
            address: "127.0.0.1".to_owned(),
            user_agent: None,
            version: 1,
        }
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_or_at_its_end() {
        let session = session(SessionOwner::Key(ApiKeyId(uuid::Uuid::nil())));
        let idle = Duration::from_secs(100);
        assert_eq!(
            session.ends_at(at(0), idle),
            at(110),
            "what is stored counts"
        );
        assert_eq!(session.ends_at(at(50), idle), at(150));
        assert_eq!(session.ends_at(at(950), idle), at(1_000));
        assert_eq!(session.caller(), None);
    }

    #[test]
    fn a_users_caller_is_named_by_the_address_and_has_the_roles_scopes() {
        let user = SessionUser {
            id: UserId(uuid::Uuid::from_u128(2)),
            email: "a@b.c".into(),
            name: "A".into(),
            role: Role::Viewer,
        };
        let session = session(SessionOwner::User(user));
        let caller = session.caller().unwrap();
        assert_eq!(&*caller.name, "a@b.c");
        assert_eq!(caller.scopes, Role::Viewer.scopes());
        assert_eq!(caller.session, Some(session.id));
        assert_eq!(caller.tenant, None);
    }

    #[test]
    fn tokens_against_other_sites_belong_to_one_session() {
        let tokens = [1, 2].map(|n| IssuedToken::from_random(TokenKind::Session, [n; 32]));
        let [one, other] = tokens.each_ref().map(|token| token.expose().as_bytes());
        let csrf = csrf_token(one);
        assert!(is_csrf_token(one, csrf.as_bytes()));
        for wrong in ["", &csrf[1..], &csrf_token(other), tokens[0].expose()] {
            assert!(!is_csrf_token(one, wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn a_proof_holds_for_one_token_and_one_admin_key() {
        let (one, other) = (KeyHash::of(b"one"), KeyHash::of(b"other"));
        let proof = AdminKeyProof::new(b"token", &one);
        assert_eq!(proof, AdminKeyProof::new(b"token", &one));
        assert_eq!(AdminKeyProof::from_stored(proof.as_bytes()), Some(proof));
        assert_ne!(proof, AdminKeyProof::new(b"token", &other));
        assert_ne!(proof, AdminKeyProof::new(b"other", &one));
    }
}
