//! The keys of an installation, in memory, in front of the database.
//!
//! Every request is let in or refused from here alone: a database that is away changes nothing
//! for keys that are known. The keyring has a version, raised by every change in the change's own
//! transaction; whoever hears of a change, or looks now and then, fetches what came since
//! (`actors/keys.rs`). Changes may come twice or late: of a key the highest version counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::api_key::{ApiKey, KeyHash, PublicId};
use crate::domain::id::ApiKeyId;

/// A use is noted where it is later than the last by more than so many microseconds, so that a
/// key that many use at once is not written to by each of them.
const COARSE: i64 = 1_000_000;

/// See the module's documentation.
#[derive(Default)]
pub struct Keyring {
    entries: ArcSwap<Entries>,
    /// Held while a new map is made, so that no change is lost.
    changing: Mutex<()>,
}

#[derive(Default)]
struct Entries {
    version: i64,
    keys: HashMap<PublicId, Entry>,
    by_id: HashMap<ApiKeyId, PublicId>,
}

impl Entries {
    fn new(version: i64, keys: HashMap<PublicId, Entry>) -> Self {
        let by_id = keys.iter().map(|(public, entry)| (entry.id, *public));
        Self {
            version,
            by_id: by_id.collect(),
            keys,
        }
    }

    fn one(&self, id: ApiKeyId) -> Option<&Entry> {
        self.keys.get(self.by_id.get(&id)?)
    }
}

#[derive(Clone)]
struct Entry {
    id: ApiKeyId,
    hash: KeyHash,
    caller: Arc<Caller>,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
    version: i64,
    uses: Arc<Uses>,
}

/// When a key was used last, in microseconds since 1970.
#[derive(Default)]
struct Uses {
    last: AtomicI64,
    /// What of it the database has.
    stored: AtomicI64,
}

/// What becomes of whoever shows a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// They are let in.
    Admitted(Arc<Caller>),
    /// They hold the key, which was taken back then.
    Revoked(Timestamp),
    /// They hold the key, whose time was over then.
    Expired(Timestamp),
    /// There is no such key.
    Unknown,
}

impl Keyring {
    /// Looks for the key that has this hash. Who does not hold a key learns nothing about it.
    pub fn admit(&self, given: &[u8], hash: &KeyHash, now: Timestamp) -> Admission {
        let Some(public) = PublicId::of_key(given) else {
            return Admission::Unknown;
        };
        let entries = self.entries.load();
        let entry = entries.keys.get(&public);
        match entry.filter(|entry| entry.hash == *hash) {
            Some(entry) => entry.admission(now),
            None => Admission::Unknown,
        }
    }

    /// What becomes of whoever showed that key before.
    pub fn admit_again(&self, id: ApiKeyId, now: Timestamp) -> Admission {
        let entries = self.entries.load();
        let entry = entries.one(id);
        entry.map_or(Admission::Unknown, |entry| entry.admission(now))
    }

    /// What a key is called, whatever its state.
    pub fn name(&self, id: ApiKeyId) -> Option<Arc<str>> {
        let entries = self.entries.load();
        entries.one(id).map(|entry| Arc::clone(&entry.caller.name))
    }

    /// Whether a key that was good when it was shown still is, and until when it will be, if not
    /// for good.
    pub fn good_until(&self, id: ApiKeyId, now: Timestamp) -> Option<Option<Timestamp>> {
        let entries = self.entries.load();
        let entry = entries.one(id)?;
        let ended = entry.revoked_at.is_some() || entry.expires_at.is_some_and(|end| end <= now);
        (!ended).then_some(entry.expires_at)
    }

    /// The version known here.
    pub fn version(&self) -> i64 {
        self.entries.load().version
    }

    /// Takes over what changed up to `version`, and lets go of keys that ended before
    /// `ended_before`. Says whether anything was new.
    pub fn apply(&self, version: i64, changed: &[ApiKey], ended_before: Timestamp) -> bool {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.entries.load();
        let is_new = |key: &&ApiKey| {
            let known = old.keys.get(&key.public);
            known.is_none_or(|known| known.version < key.version)
        };
        let new: Vec<&ApiKey> = changed.iter().filter(is_new).collect();
        if new.is_empty() && version <= old.version {
            return false;
        }
        let mut keys = old.keys.clone();
        for key in new {
            let uses = keys.get(&key.public).map(|known| Arc::clone(&known.uses));
            let entry = Entry::new(key, uses.unwrap_or_default());
            keys.insert(key.public, entry);
        }
        keys.retain(|_, entry| entry.ends_at.is_none_or(|end| end >= ended_before));
        let version = old.version.max(version);
        self.entries.store(Arc::new(Entries::new(version, keys)));
        true
    }

    /// That key was taken back, as the database has it already.
    pub fn revoke(&self, id: ApiKeyId, now: Timestamp) {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.entries.load();
        let mut keys = old.keys.clone();
        if let Some(entry) = keys.values_mut().find(|entry| entry.id == id) {
            entry.revoked_at.get_or_insert(now);
            let version = old.version;
            self.entries.store(Arc::new(Entries::new(version, keys)));
        }
    }

    /// When this node saw that key used last.
    pub fn last_use(&self, public: PublicId) -> Option<Timestamp> {
        let entries = self.entries.load();
        let last = entries.keys.get(&public)?.uses.last.load(Ordering::Relaxed);
        (last > 0).then(|| Timestamp::from_micros(last))
    }

    /// Uses that the database does not have yet.
    pub fn unstored_uses(&self) -> Vec<(ApiKeyId, Timestamp)> {
        let entries = self.entries.load();
        let unstored = |entry: &Entry| {
            let last = entry.uses.last.load(Ordering::Relaxed);
            let is_news = last > entry.uses.stored.load(Ordering::Relaxed);
            is_news.then(|| (entry.id, Timestamp::from_micros(last)))
        };
        entries.keys.values().filter_map(unstored).collect()
    }

    /// The database has these now.
    pub fn note_stored(&self, uses: &[(ApiKeyId, Timestamp)]) {
        let entries = self.entries.load();
        let stored: HashMap<_, _> = uses.iter().copied().collect();
        for entry in entries.keys.values() {
            if let Some(at) = stored.get(&entry.id) {
                let at = at.as_micros();
                entry.uses.stored.fetch_max(at, Ordering::Relaxed);
            }
        }
    }
}

impl Entry {
    fn new(key: &ApiKey, uses: Arc<Uses>) -> Self {
        Self {
            id: key.id,
            hash: key.hash,
            caller: Arc::new(key.caller()),
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            ends_at: key.ends_at(),
            version: key.version,
            uses,
        }
    }

    /// What becomes of its holder.
    fn admission(&self, now: Timestamp) -> Admission {
        if let Some(revoked) = self.revoked_at {
            return Admission::Revoked(revoked);
        }
        if let Some(end) = self.expires_at.filter(|end| *end <= now) {
            return Admission::Expired(end);
        }
        self.uses.note(now);
        Admission::Admitted(Arc::clone(&self.caller))
    }
}

impl Uses {
    fn note(&self, now: Timestamp) {
        let now = now.as_micros();
        if now.saturating_sub(self.last.load(Ordering::Relaxed)) >= COARSE {
            self.last.store(now, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Preset;
    use crate::domain::api_key::IssuedKey;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn issue(number: u8) -> (IssuedKey, ApiKey) {
        let issued = IssuedKey::from_random([number; 5], [number; 32]);
        let key = ApiKey {
            id: ApiKeyId(uuid::Uuid::from_u128(number.into())),
            name: "a key".into(),
            public: issued.public,
            hash: issued.hash(),
            scopes: Preset::Service.scopes(),
            tenant: Some("t".into()),
            created_at: at(0),
            expires_at: Some(at(100)),
            revoked_at: None,
            last_used_at: None,
            version: 1,
        };
        (issued, key)
    }

    fn show(keyring: &Keyring, text: &str, now: Timestamp) -> Admission {
        let hash = KeyHash::of(text.as_bytes());
        keyring.admit(text.as_bytes(), &hash, now)
    }

    #[test]
    fn the_holder_alone_is_let_in_until_the_key_ends() {
        let keyring = Keyring::default();
        let (issued, mut key) = issue(1);
        assert_eq!(show(&keyring, issued.expose(), at(1)), Admission::Unknown);
        assert!(keyring.apply(1, std::slice::from_ref(&key), at(0)));
        let caller = Arc::new(key.caller());
        assert_eq!(
            show(&keyring, issued.expose(), at(1)),
            Admission::Admitted(caller)
        );
        let forged = format!("{}x", &issued.expose()[..issued.expose().len() - 1]);
        assert_eq!(show(&keyring, &forged, at(1)), Admission::Unknown);
        assert_eq!(show(&keyring, &forged, at(200)), Admission::Unknown);
        assert_eq!(
            show(&keyring, issued.expose(), at(100)),
            Admission::Expired(at(100))
        );
        key.revoked_at = Some(at(50));
        key.version = 2;
        assert!(keyring.apply(2, &[key], at(0)));
        assert_eq!(
            show(&keyring, issued.expose(), at(1)),
            Admission::Revoked(at(50))
        );
        assert_eq!(show(&keyring, &forged, at(1)), Admission::Unknown);
    }

    #[test]
    fn a_revocation_holds_before_its_change_is_fetched() {
        let keyring = Keyring::default();
        let (issued, key) = issue(1);
        keyring.apply(1, std::slice::from_ref(&key), at(0));
        keyring.revoke(key.id, at(5));
        assert_eq!(
            show(&keyring, issued.expose(), at(6)),
            Admission::Revoked(at(5))
        );
        assert_eq!(keyring.version(), 1, "the change is still fetched");
    }

    #[test]
    fn who_stays_is_told_until_when() {
        let keyring = Keyring::default();
        let (_, expiring) = issue(1);
        let lasting = ApiKey {
            expires_at: None,
            ..issue(2).1
        };
        let (id, lasting_id) = (expiring.id, lasting.id);
        keyring.apply(1, &[expiring, lasting], at(0));
        assert_eq!(keyring.good_until(id, at(99)), Some(Some(at(100))));
        assert_eq!(keyring.good_until(id, at(100)), None);
        assert_eq!(keyring.good_until(lasting_id, at(100)), Some(None));
        keyring.revoke(lasting_id, at(101));
        assert_eq!(keyring.good_until(lasting_id, at(102)), None);
        assert_eq!(keyring.good_until(issue(3).1.id, at(0)), None);
    }

    #[test]
    fn a_late_change_does_not_undo_a_newer_one() {
        let keyring = Keyring::default();
        let (issued, old) = issue(1);
        let new = ApiKey {
            version: 5,
            revoked_at: Some(at(9)),
            ..old.clone()
        };
        assert!(keyring.apply(5, &[new], at(0)));
        assert!(!keyring.apply(1, &[old], at(0)));
        assert_eq!(keyring.version(), 5);
        assert_eq!(
            show(&keyring, issued.expose(), at(10)),
            Admission::Revoked(at(9))
        );
        // What ended long ago is not kept for ever.
        assert!(keyring.apply(6, &[], at(10)));
        assert_eq!(show(&keyring, issued.expose(), at(10)), Admission::Unknown);
    }

    #[test]
    fn uses_are_coarse_and_stored_once() {
        let keyring = Keyring::default();
        let (issued, key) = issue(1);
        let (id, public) = (key.id, key.public);
        keyring.apply(1, std::slice::from_ref(&key), at(0));
        assert_eq!(
            (keyring.last_use(public), keyring.unstored_uses()),
            (None, vec![])
        );
        show(&keyring, issued.expose(), at(7));
        show(&keyring, issued.expose(), Timestamp::from_micros(7_999_999));
        assert_eq!(keyring.last_use(public), Some(at(7)));
        let uses = keyring.unstored_uses();
        assert_eq!(uses, [(id, at(7))]);
        show(&keyring, issued.expose(), at(9));
        keyring.note_stored(&uses);
        // A change of the key loses no use of it.
        keyring.apply(2, &[ApiKey { version: 2, ..key }], at(0));
        assert_eq!(keyring.unstored_uses(), [(id, at(9))]);
        keyring.note_stored(&[(id, at(9))]);
        assert_eq!(keyring.unstored_uses(), []);
    }
}
