//! Keys that callers show: `ph_` + eight characters that say which key + `_` + 256 random bits.
//!
//! A key is shown once, when it is made; what is kept is its SHA-256. The eight characters are
//! public: they find the key and let people recognise it. Nothing is learnt from them.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Timestamp;
use super::access::{Caller, Scopes};
use super::id::ApiKeyId;

/// What every key begins with, so that people and scanners for leaked secrets recognise one.
const MARK: &str = "ph_";
/// Digits of the public part: lower case, and none that is easily mistaken for another.
const DIGITS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const PUBLIC_LENGTH: usize = 8;

/// The part of a key that says which one it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicId([u8; PUBLIC_LENGTH]);

impl PublicId {
    /// Of 40 random bits.
    pub fn from_random(bytes: [u8; 5]) -> Self {
        let bits = bytes
            .iter()
            .fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        Self(std::array::from_fn(|place| {
            DIGITS[(bits >> (5 * place) & 31) as usize]
        }))
    }

    /// Reads it as it is stored.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; PUBLIC_LENGTH] = text.as_bytes().try_into().ok()?;
        let known = digits.iter().all(|digit| DIGITS.contains(digit));
        known.then_some(Self(digits))
    }

    /// The one that stands in a key, or in what looks like one.
    pub fn of_key(key: &[u8]) -> Option<Self> {
        let rest = key.strip_prefix(MARK.as_bytes())?;
        let (public, rest) = rest.split_at_checked(PUBLIC_LENGTH)?;
        let public = Self::parse(std::str::from_utf8(public).ok()?)?;
        (rest.first() == Some(&b'_')).then_some(public)
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for PublicId {
    /// What the key begins with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{}", self.as_str())
    }
}

impl fmt::Debug for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicId({self})")
    }
}

/// The SHA-256 of a key. The key is 256 random bits, so there is nothing to guess that a slow
/// hash would make dearer.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Of a key as it was given.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
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
impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyHash {}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(********)")
    }
}

/// A key that was just made: the only moment at which it is known.
pub struct IssuedKey {
    /// What is looked up.
    pub public: PublicId,
    text: String,
}

impl IssuedKey {
    /// Of random bits.
    pub fn from_random(public: [u8; 5], secret: [u8; 32]) -> Self {
        let public = PublicId::from_random(public);
        let text = format!("{public}_{}", URL_SAFE_NO_PAD.encode(secret));
        Self { public, text }
    }

    /// The key, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is kept of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.text.as_bytes())
    }
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuedKey({}_********)", self.public)
    }
}

/// What a key is good for at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It lets its holder in.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
}

impl KeyState {
    /// Every state, for parsers.
    pub const ALL: [Self; 3] = [Self::Active, Self::Expired, Self::Revoked];

    /// The word used in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// By which it is administered.
    pub id: ApiKeyId,
    /// For people.
    pub name: Arc<str>,
    /// By which it is found.
    pub public: PublicId,
    /// By which it is checked.
    pub hash: KeyHash,
    /// What its holder may do.
    pub scopes: Scopes,
    /// Whose things its holder sees.
    pub tenant: Option<Arc<str>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is good for nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// About when it was shown last.
    pub last_used_at: Option<Timestamp>,
    /// Raised with each change but a use.
    pub version: i64,
}

impl ApiKey {
    /// What it is good for now.
    pub fn state(&self, now: Timestamp) -> KeyState {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(end)) if end <= now => KeyState::Expired,
            _ => KeyState::Active,
        }
    }

    /// Since when, or from when on, it is good for nothing.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match (self.revoked_at, self.expires_at) {
            (Some(revoked), Some(expires)) => Some(revoked.min(expires)),
            (revoked, expires) => revoked.or(expires),
        }
    }

    /// Whoever holds it.
    pub fn caller(&self) -> Caller {
        Caller {
            key: Some(self.id),
            user: None,
            session: None,
            name: Arc::clone(&self.name),
            scopes: self.scopes,
            tenant: self.tenant.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_is_found_and_checked_by_what_is_kept_of_it(
            public in any::<[u8; 5]>(), secret in any::<[u8; 32]>(),
        ) {
            let issued = IssuedKey::from_random(public, secret);
            let key = issued.expose();
            prop_assert_eq!(key.len(), 3 + 8 + 1 + 43);
            prop_assert_eq!(PublicId::of_key(key.as_bytes()), Some(issued.public));
            prop_assert_eq!(PublicId::parse(issued.public.as_str()), Some(issued.public));
            prop_assert_eq!(KeyHash::of(key.as_bytes()), issued.hash());
            prop_assert_eq!(KeyHash::from_stored(issued.hash().as_bytes()), Some(issued.hash()));
            prop_assert_ne!(KeyHash::of(&key.as_bytes()[..key.len() - 1]), issued.hash());
            let shown = format!("{issued:?} {:?}", issued.hash());
            prop_assert!(!shown.contains(&key[12..]), "{}", shown);
        }

        #[test]
        fn reading_never_panics(text in any::<Vec<u8>>(), tail in any::<Vec<u8>>()) {
            let _ = PublicId::of_key(&text);
            let _ = PublicId::of_key(&[b"ph_", tail.as_slice()].concat());
        }
    }

    #[test]
    fn the_public_part_uses_all_its_bits() {
        let ids: std::collections::HashSet<PublicId> = (0..40)
            .map(|bit| PublicId::from_random((1_u64 << bit).to_be_bytes()[3..].try_into().unwrap()))
            .collect();
        assert_eq!(ids.len(), 40);
    }

    #[test]
    fn what_is_no_key_names_none() {
        for text in [
            "",
            "ph_",
            "ph_abcdefgh",
            "ph_abcdefg1_x",
            "ph_ABCDEFGH_x",
            "xx_abcdefgh_x",
        ] {
            assert_eq!(PublicId::of_key(text.as_bytes()), None, "{text}");
        }
        assert!(PublicId::of_key(b"ph_abcdefgh_").is_some());
    }

    #[test]
    fn a_key_ends_by_revocation_or_by_time() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let issued = IssuedKey::from_random([1; 5], [2; 32]);
        let mut key = ApiKey {
            id: ApiKeyId(uuid::Uuid::nil()),
            name: "n".into(),
            public: issued.public,
            hash: issued.hash(),
            scopes: Scopes::default(),
            tenant: None,
            created_at: at(0),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            version: 1,
        };
        assert_eq!(
            (key.state(Timestamp::MAX), key.ends_at()),
            (KeyState::Active, None)
        );
        key.expires_at = Some(at(10));
        assert_eq!(key.state(at(9)), KeyState::Active);
        assert_eq!(key.state(at(10)), KeyState::Expired);
        key.revoked_at = Some(at(20));
        assert_eq!(
            (key.state(at(5)), key.ends_at()),
            (KeyState::Revoked, Some(at(10)))
        );
    }
}
