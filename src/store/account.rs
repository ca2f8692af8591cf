//! What the stores and those who sign people in say to each other.

use crate::domain::Timestamp;
use crate::domain::api_key::KeyHash;
use crate::domain::id::SessionId;
use crate::domain::session::Session;

/// A link that can be used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Of its token.
    pub hash: KeyHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// What became of the first user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstUser {
    /// It stands, and no link is left.
    Done,
    /// There is a user already.
    TooLate,
    /// There is no such link, or not any more.
    NoLink,
}

/// What became of a new user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserCreated {
    /// It stands.
    Done,
    /// Another user has this address.
    EmailTaken,
    /// There are so many as may be.
    TooMany,
}

/// What became of a change of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChanged {
    /// It stands, and drew that version.
    At(i64),
    /// The user has changed since, or there is none.
    Overtaken,
    /// Nobody would be left who administers.
    LastAdmin,
}

/// What changed of the sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionChanges {
    /// The accounts' version now.
    pub version: i64,
    /// Those that are open, as they are now.
    pub open: Vec<Session>,
    /// Those that somebody ended.
    pub ended: Vec<SessionId>,
}
