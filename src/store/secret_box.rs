//! What is secret, as it lies in a column: encrypted where there is a master key, else plain.
//!
//! AES-256-GCM with a random nonce. Whose secret it is and of what kind is authenticated with it,
//! so a value that was moved to another row does not open. A value names the master key that it
//! was sealed with: several can be in use while one replaces another.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Result, StoreError};
use crate::clock;
use crate::settings::MasterKey;

/// What a sealed value begins with; a plain one is JSON or begins with `whsec_`.
const SEALED: &str = "sealed:1:";
const NONCE_BYTES: usize = 12;

/// Whose secret a value is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label<'a> {
    /// A column: `subscriptions.secret`.
    pub(super) kind: &'static str,
    /// The row's key.
    pub(super) owner: &'a str,
}

impl std::fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.kind, self.owner)
    }
}

/// Seals and opens.
pub(super) struct SecretBox {
    /// The first one seals.
    keys: Vec<(String, Aes256Gcm)>,
}

impl SecretBox {
    pub(super) fn new(keys: &[MasterKey]) -> Self {
        let ready = |key: &MasterKey| (key.id.clone(), Aes256Gcm::new((&*key.key).into()));
        Self {
            keys: keys.iter().map(ready).collect(),
        }
    }

    /// Whether anything is encrypted at all.
    pub(super) fn encrypts(&self) -> bool {
        !self.keys.is_empty()
    }

    /// A value as it is to be stored.
    pub(super) fn seal(&self, label: Label<'_>, plain: &str) -> Result<String> {
        let Some((id, cipher)) = self.keys.first() else {
            return Ok(plain.to_owned());
        };
        let nonce: [u8; NONCE_BYTES] = clock::random_bytes();
        let associated = label.to_string();
        let payload = Payload {
            msg: plain.as_bytes(),
            aad: associated.as_bytes(),
        };
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload);
        let sealed =
            sealed.map_err(|_| StoreError::Refused(format!("{label} cannot be encrypted")))?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Ok(format!("{SEALED}{id}:{}", STANDARD.encode(bytes)))
    }

    /// The value behind what is stored.
    pub(super) fn open(&self, label: Label<'_>, stored: &str) -> Result<Zeroizing<String>> {
        let Some(sealed) = stored.strip_prefix(SEALED) else {
            return Ok(stored.to_owned().into());
        };
        let (id, encoded) = sealed.split_once(':').unwrap_or((sealed, ""));
        let Some((_, cipher)) = self.keys.iter().find(|(known, _)| known == id) else {
            return Err(StoreError::Broken(format!(
                "{label} is encrypted with the master key {id:?}, which secrets.master_keys does \
                 not have: add it behind the first one (POSTHASTE_SECRETS__MASTER_KEYS)"
            )));
        };
        let tampered = || {
            StoreError::Broken(format!(
                "{label} cannot be decrypted with the master key {id:?}: the row was changed, or \
                 that id stands for another key now"
            ))
        };
        let bytes = STANDARD.decode(encoded).map_err(|_| tampered())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(tampered)?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| tampered())?;
        let associated = label.to_string();
        let payload = Payload {
            msg: sealed,
            aad: associated.as_bytes(),
        };
        let plain = cipher.decrypt(&Nonce::from(nonce), payload);
        let plain = String::from_utf8(plain.map_err(|_| tampered())?);
        plain.map(Zeroizing::new).map_err(|_| tampered())
    }

    /// The value sealed anew, where it is not sealed with the first key.
    pub(super) fn resealed(&self, label: Label<'_>, stored: &str) -> Result<Option<String>> {
        let current = self.keys.first().is_some_and(|(id, _)| {
            let sealed = stored.strip_prefix(SEALED);
            sealed
                .and_then(|sealed| sealed.strip_prefix(id.as_str()))
                .is_some_and(|rest| rest.starts_with(':'))
        });
        match current {
            true => self.open(label, stored).map(|_| None),
            false => self.seal(label, &self.open(label, stored)?).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: Label<'_> = Label {
        kind: "subscriptions.secret",
        owner: "one",
    };

    fn keys(ids: &[(&str, u8)]) -> SecretBox {
        let key = |(id, byte): &(&str, u8)| MasterKey {
            id: (*id).to_owned(),
            key: Zeroizing::new([*byte; 32]),
        };
        SecretBox::new(&ids.iter().map(key).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_in_its_place_alone() {
        let sealed = keys(&[("a", 1)]).seal(LABEL, "whsec_plain").unwrap();
        assert!(sealed.starts_with("sealed:1:a:") && !sealed.contains("plain"));
        let later = keys(&[("b", 2), ("a", 1)]);
        assert_eq!(*later.open(LABEL, &sealed).unwrap(), "whsec_plain");
        // Twice the same is not the same twice.
        assert_ne!(
            sealed,
            keys(&[("a", 1)]).seal(LABEL, "whsec_plain").unwrap()
        );
        for elsewhere in [
            Label {
                owner: "two",
                ..LABEL
            },
            Label {
                kind: "subscriptions.headers",
                ..LABEL
            },
        ] {
            assert!(later.open(elsewhere, &sealed).is_err());
        }
        let missing = keys(&[("b", 2)])
            .open(LABEL, &sealed)
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("\"a\"") && missing.contains("secrets.master_keys"),
            "{missing}"
        );
        let wrong = keys(&[("a", 3)])
            .open(LABEL, &sealed)
            .unwrap_err()
            .to_string();
        assert!(wrong.contains("another key"), "{wrong}");
        for at in ["sealed:1:a:".len(), sealed.len() - 5] {
            let mut tampered = sealed.clone().into_bytes();
            tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(tampered).unwrap();
            assert!(later.open(LABEL, &tampered).is_err(), "{at}");
        }
        for damaged in ["sealed:1:", "sealed:1:a", "sealed:1:a:", "sealed:1:a:AAAA"] {
            assert!(later.open(LABEL, damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn without_a_key_all_is_plain_and_a_new_key_takes_over() {
        let plain = keys(&[]);
        assert_eq!(plain.seal(LABEL, "[]").unwrap(), "[]");
        assert_eq!(*plain.open(LABEL, "[]").unwrap(), "[]");
        let first = keys(&[("a", 1)]);
        let sealed = first.resealed(LABEL, "[]").unwrap().unwrap();
        assert_eq!(first.resealed(LABEL, &sealed).unwrap(), None);
        let second = keys(&[("ab", 2), ("a", 1)]);
        let moved = second.resealed(LABEL, &sealed).unwrap().unwrap();
        assert_eq!(*keys(&[("ab", 2)]).open(LABEL, &moved).unwrap(), "[]");
        assert!(plain.open(LABEL, &moved).is_err());
    }
}
