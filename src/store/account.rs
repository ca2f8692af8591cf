//! What the stores and those who sign people in say to each other.
//!
//! Whoever changes something draws a version first. That takes the one row of `accounts`, so all
//! such changes go one after the other: what was looked at before a change still holds with it. What
//! is not done in the end is taken back with its version.

pub(super) mod calls;
pub(super) mod links;
pub(super) mod sessions;
pub(super) mod users;

use async_trait::async_trait;

use super::{Moved, Page, PageRequest, Result};
use crate::domain::Timestamp;
use crate::domain::api_key::KeyHash;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::Session;
use crate::domain::user::{PasswordHash, User};

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

/// The part of the store that keeps users, their links and sessions.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Whether there is any user.
    async fn any_user(&self) -> Result<bool>;

    /// Keeps a link that makes the first user, and of those before it so many that there are `most`.
    /// False, and nothing is kept, where there is a user.
    async fn keep_setup_link(&self, link: &Link, most: u32) -> Result<bool>;

    /// Whether that link makes the first user, and is good at `now`.
    async fn setup_link(&self, link: &KeyHash, now: Timestamp) -> Result<bool>;

    /// Stores the first user, by a link that is good at its time of making. Of several at once one
    /// gets through. Its `version` is drawn here, as that of every user below.
    async fn create_first_user(&self, user: &User, link: &KeyHash) -> Result<FirstUser>;

    /// Stores a new user, unless there are `most` already, and the link by which they come.
    async fn create_user(
        &self,
        user: &User,
        invitation: Option<&Link>,
        most: u32,
    ) -> Result<UserCreated>;

    /// One user.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// The user who has this address.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>>;

    /// Users, newest first.
    async fn list_users(&self, page: &PageRequest) -> Result<Page<User>>;

    /// Replaces name, role and state of a user whose stored version still is `user.version`. Ends their
    /// sessions and links where they are disabled. The last one who administers stays so.
    async fn update_user(&self, user: &User) -> Result<UserChanged>;

    /// Removes a user, and ends their sessions and links. The last one who administers stays.
    async fn delete_user(&self, id: UserId, now: Timestamp) -> Result<UserChanged>;

    /// Sets a user's password, and ends their links and all sessions but the one `spared`. `Overtaken`
    /// where there is no such user.
    async fn set_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        spared: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Moved>;

    /// Keeps a link by which a user sets name and password, in place of any before it. `Overtaken` where
    /// there is no such user, or they are disabled.
    async fn invite(&self, id: UserId, link: &Link) -> Result<Moved>;

    /// Whom a link invites that is good at `now`. Disabled users are not invited.
    async fn invited(&self, link: &KeyHash, now: Timestamp) -> Result<Option<User>>;

    /// Uses such a link up: sets the password, and the name where one is given, and ends the user's
    /// sessions. Of several at once one gets through.
    async fn take_invitation(
        &self,
        link: &KeyHash,
        name: Option<&str>,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<User>>;

    /// Notes when and from where a user signed in. Raises no version.
    async fn note_sign_in(&self, user: &User) -> Result<()>;

    /// Stores a new session and answers the version it drew. Of a user, nothing where they may not sign
    /// in any more, or their password is not this one. Past `most` open ones of the same owner the
    /// oldest are ended.
    async fn create_session(
        &self,
        session: &Session,
        password: Option<&PasswordHash>,
        most: u32,
    ) -> Result<Option<i64>>;

    /// Ends a session at `now`. `Overtaken` where somebody has done so, or there is none.
    async fn end_session(&self, id: SessionId, now: Timestamp) -> Result<Moved>;

    /// The sessions that changed after `version`; 0 asks for all that nobody ended. A change of a user
    /// is one of their sessions.
    async fn sessions_since(&self, version: i64) -> Result<SessionChanges>;

    /// The accounts' version, raised by every change of a user or a session: one cheap read.
    async fn sessions_version(&self) -> Result<i64>;

    /// Notes when these sessions were used, where that is later than what is noted, as a change of
    /// theirs: every process has to know. Those that are gone are passed over.
    async fn note_session_uses(&self, uses: &[(SessionId, Timestamp)]) -> Result<()>;

    /// Forgets up to `limit` sessions that ended before `ended_before` or were not used since
    /// `unused_since`, and says how many; and links that went out of use before.
    async fn forget_sessions(
        &self,
        ended_before: Timestamp,
        unused_since: Timestamp,
        limit: u32,
    ) -> Result<u64>;
}
