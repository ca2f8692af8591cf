//! Who is signed in, in memory, in front of the database.
//!
//! Every request with a cookie is let in or refused from here alone, as keys are from the keyring,
//! and it is kept up to date in the same way: a version, raised by every change of a user or a
//! session in the change's own transaction. A change of a user is one of their sessions, so that
//! nothing else has to be known here. Of what was fetched late nothing counts that is older than
//! what is known.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::api_key::KeyHash;
use crate::domain::id::SessionId;
use crate::domain::session::Session;

/// A use is noted where it is later than the last by more than so many microseconds.
const COARSE: i64 = 1_000_000;

/// See the module's documentation.
pub struct Sessions {
    entries: ArcSwap<Entries>,
    /// Held while a new map is made, so that no change is lost.
    changing: Mutex<()>,
    idle: Duration,
}

#[derive(Default)]
struct Entries {
    version: i64,
    /// By the hash of the token.
    sessions: HashMap<[u8; 32], Open>,
}

/// A session that is open.
#[derive(Clone)]
pub struct Open {
    /// As it is stored.
    pub session: Arc<Session>,
    /// Who calls in it, where that is a user.
    pub caller: Option<Arc<Caller>>,
    uses: Arc<Uses>,
}

/// When a session was used last, in microseconds since 1970.
struct Uses {
    last: AtomicI64,
    /// What of it the database has.
    stored: AtomicI64,
}

impl Sessions {
    /// None yet. They end when they were not used for as long as `idle`.
    pub fn new(idle: Duration) -> Self {
        Self {
            entries: ArcSwap::default(),
            changing: Mutex::default(),
            idle,
        }
    }

    /// The open session whose token has this hash.
    pub fn find(&self, hash: &KeyHash, now: Timestamp) -> Option<Open> {
        let entries = self.entries.load();
        let open = entries.sessions.get(hash.as_bytes())?;
        let is_it = open.session.hash == *hash && self.ends_at(open) > now;
        is_it.then(|| open.clone())
    }

    /// The open session with this id. Goes through all of them.
    pub fn one(&self, id: SessionId, now: Timestamp) -> Option<Open> {
        let entries = self.entries.load();
        let mut all = entries.sessions.values();
        let open = all.find(|open| open.session.id == id)?;
        (self.ends_at(open) > now).then(|| open.clone())
    }

    /// All that are open, newest first.
    pub fn all(&self, now: Timestamp) -> Vec<Open> {
        let entries = self.entries.load();
        let all = entries.sessions.values();
        let mut open: Vec<Open> = all
            .filter(|open| self.ends_at(open) > now)
            .cloned()
            .collect();
        open.sort_by_key(|open| std::cmp::Reverse(open.session.id));
        open
    }

    /// When it ends where it is not used any more.
    pub fn ends_at(&self, open: &Open) -> Timestamp {
        open.session.ends_at(open.last_use(), self.idle)
    }

    /// The version known here.
    pub fn version(&self) -> i64 {
        self.entries.load().version
    }

    /// Takes over what changed up to `version`: sessions as they are now, and those that ended.
    /// Says whether anything was new. Lets go of those whose time is over.
    pub fn apply(
        &self,
        version: i64,
        changed: &[Session],
        ended: &[SessionId],
        now: Timestamp,
    ) -> bool {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.entries.load();
        if version <= old.version {
            return false;
        }
        let ended: HashSet<SessionId> = ended.iter().copied().collect();
        let mut sessions = old.sessions.clone();
        sessions.retain(|_, open| !ended.contains(&open.session.id) && self.ends_at(open) > now);
        for session in changed {
            insert(&mut sessions, session);
        }
        self.entries.store(Arc::new(Entries { version, sessions }));
        true
    }

    /// A session was opened here, as the database has it already. Where what is known is as new, it is
    /// among that, or was ended meanwhile.
    pub fn add(&self, session: &Session) {
        self.change(|known, sessions| {
            if known < session.version {
                insert(sessions, session);
            }
        });
    }

    /// A session was ended, as the database has it already.
    pub fn end(&self, id: SessionId) {
        self.change(|_, sessions| sessions.retain(|_, open| open.session.id != id));
    }

    fn change(&self, change: impl FnOnce(i64, &mut HashMap<[u8; 32], Open>)) {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.entries.load();
        let mut sessions = old.sessions.clone();
        let version = old.version;
        change(version, &mut sessions);
        self.entries.store(Arc::new(Entries { version, sessions }));
    }

    /// Uses that the database does not have, and should: those that are later than what it has by
    /// an eighth of the time after which a session ends.
    pub fn unstored_uses(&self) -> Vec<(SessionId, Timestamp)> {
        let after = i64::try_from(self.idle.as_micros() / 8).unwrap_or(i64::MAX);
        self.uses_later_by(after)
    }

    /// All uses that the database does not have.
    pub fn all_unstored_uses(&self) -> Vec<(SessionId, Timestamp)> {
        self.uses_later_by(1)
    }

    fn uses_later_by(&self, least: i64) -> Vec<(SessionId, Timestamp)> {
        let entries = self.entries.load();
        let unstored = |open: &Open| {
            let last = open.uses.last.load(Ordering::Relaxed);
            let stored = open.uses.stored.load(Ordering::Relaxed);
            let is_news = last.saturating_sub(stored) >= least;
            is_news.then(|| (open.session.id, Timestamp::from_micros(last)))
        };
        entries.sessions.values().filter_map(unstored).collect()
    }

    /// The database has these now.
    pub fn note_stored(&self, uses: &[(SessionId, Timestamp)]) {
        let entries = self.entries.load();
        let stored: HashMap<_, _> = uses.iter().copied().collect();
        for open in entries.sessions.values() {
            if let Some(at) = stored.get(&open.session.id) {
                let at = at.as_micros();
                open.uses.stored.fetch_max(at, Ordering::Relaxed);
            }
        }
    }
}

fn insert(sessions: &mut HashMap<[u8; 32], Open>, session: &Session) {
    let key = *session.hash.as_bytes();
    let used = session.last_used_at.as_micros();
    let uses = match sessions.get(&key) {
        Some(known) => {
            known.uses.last.fetch_max(used, Ordering::Relaxed);
            known.uses.stored.fetch_max(used, Ordering::Relaxed);
            Arc::clone(&known.uses)
        }
        None => Arc::new(Uses {
            last: AtomicI64::new(used),
            stored: AtomicI64::new(used),
        }),
    };
    let open = Open {
        session: Arc::new(session.clone()),
        caller: session.caller().map(Arc::new),
        uses,
    };
    sessions.insert(key, open);
}

impl Open {
    /// Somebody calls in it.
    pub fn note_use(&self, now: Timestamp) {
        let now = now.as_micros();
        if now.saturating_sub(self.uses.last.load(Ordering::Relaxed)) >= COARSE {
            self.uses.last.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// When it was used last, as far as this node knows.
    pub fn last_use(&self) -> Timestamp {
        Timestamp::from_micros(self.uses.last.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{ApiKeyId, UserId};
    use crate::domain::session::{SessionOwner, SessionUser};
    use crate::domain::user::Role;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn session(number: u128, version: i64, role: Role) -> Session {
        Session {
            id: SessionId(uuid::Uuid::from_u128(number)),
            hash: KeyHash::of(&number.to_be_bytes()),
            owner: SessionOwner::User(SessionUser {
                id: UserId(uuid::Uuid::from_u128(9)),
                email: "a@b.c".into(),
                name: "A".into(),
                role,
            }),
            created_at: at(0),
            expires_at: at(1_000),
            last_used_at: at(0),
            address: "::1".to_owned(),
            user_agent: None,
            version,
        }
    }

    fn sessions() -> Sessions {
        Sessions::new(Duration::from_secs(100))
    }

    fn scopes(sessions: &Sessions, session: &Session, now: Timestamp) -> Option<usize> {
        let open = sessions.find(&session.hash, now)?;
        Some(open.caller.unwrap().scopes.iter().count())
    }

    #[test]
    fn a_session_is_found_until_it_ends_and_changes_with_its_user() {
        let sessions = sessions();
        let (one, other) = (session(1, 1, Role::Viewer), session(2, 2, Role::Admin));
        assert!(sessions.find(&one.hash, at(1)).is_none());
        assert!(sessions.apply(2, &[one.clone(), other.clone()], &[], at(1)));
        assert_eq!(scopes(&sessions, &one, at(1)), Some(3));
        let raised = session(1, 3, Role::Operator);
        assert!(sessions.apply(3, &[raised], &[other.id], at(1)));
        assert_eq!(scopes(&sessions, &one, at(1)), Some(6));
        assert_eq!(scopes(&sessions, &other, at(1)), None);
        sessions.end(one.id);
        assert_eq!(scopes(&sessions, &one, at(1)), None);
        assert_eq!(sessions.version(), 3);
    }

    #[test]
    fn what_was_fetched_late_brings_nothing_back() {
        let sessions = sessions();
        let one = session(1, 1, Role::Viewer);
        assert!(sessions.apply(2, &[], &[one.id], at(1)));
        assert!(!sessions.apply(1, std::slice::from_ref(&one), &[], at(1)));
        assert!(sessions.find(&one.hash, at(1)).is_none());
    }

    #[test]
    fn one_that_was_ended_before_it_is_told_of_stays_ended() {
        let sessions = sessions();
        let (one, other) = (session(1, 1, Role::Viewer), session(2, 3, Role::Viewer));
        assert!(sessions.apply(2, &[], &[one.id], at(1)));
        sessions.add(&one);
        assert!(sessions.find(&one.hash, at(1)).is_none());
        sessions.add(&other);
        assert!(sessions.find(&other.hash, at(1)).is_some());
    }

    #[test]
    fn a_session_that_is_used_goes_on_and_ends_at_its_end() {
        let sessions = sessions();
        let one = session(1, 1, Role::Viewer);
        sessions.add(&one);
        assert!(sessions.find(&one.hash, at(99)).is_some());
        assert!(sessions.find(&one.hash, at(100)).is_none());
        let open = sessions.find(&one.hash, at(99)).unwrap();
        open.note_use(at(99));
        assert_eq!(sessions.ends_at(&open), at(199));
        assert!(sessions.find(&one.hash, at(198)).is_some());
        open.note_use(at(990));
        assert_eq!(sessions.ends_at(&open), at(1_000));
        assert!(sessions.one(one.id, at(999)).is_some());
        assert!(sessions.one(one.id, at(1_000)).is_none());
        assert!(sessions.all(at(1_000)).is_empty());
        assert!(sessions.apply(5, &[], &[], at(1_000)));
        assert!(
            sessions.entries.load().sessions.is_empty(),
            "it is let go of"
        );
    }

    #[test]
    fn uses_are_stored_now_and_then_and_heard_from_elsewhere() {
        let sessions = sessions();
        let one = session(1, 1, Role::Viewer);
        sessions.add(&one);
        let open = sessions.find(&one.hash, at(1)).unwrap();
        open.note_use(at(12));
        assert!(sessions.unstored_uses().is_empty());
        assert_eq!(sessions.all_unstored_uses(), [(one.id, at(12))]);
        open.note_use(at(13));
        assert_eq!(sessions.unstored_uses(), [(one.id, at(13))]);
        sessions.note_stored(&[(one.id, at(13))]);
        assert!(sessions.all_unstored_uses().is_empty());
        let elsewhere = Session {
            last_used_at: at(80),
            version: 2,
            ..one.clone()
        };
        assert!(sessions.apply(2, &[elsewhere], &[], at(80)));
        assert!(sessions.find(&one.hash, at(179)).is_some());
        assert!(sessions.all_unstored_uses().is_empty());
    }

    #[test]
    fn a_keys_session_says_nothing_of_what_it_may() {
        let sessions = sessions();
        let one = Session {
            owner: SessionOwner::Key(ApiKeyId(uuid::Uuid::from_u128(3))),
            ..session(1, 1, Role::Viewer)
        };
        sessions.add(&one);
        assert!(sessions.find(&one.hash, at(1)).unwrap().caller.is_none());
    }
}
