//! Signatures over the exact bytes sent, and the secrets behind them.
//!
//! `webhook-signature` is Standard Webhooks 1.0: over `id.timestamp.body`, `v1,` + base64 of
//! HMAC-SHA256, or `v1a,` + base64 of Ed25519 where the secret is a key pair. All else that is
//! signed (`X-Webhook-Signature`, own signature headers) is HMAC-SHA256 over the body, or over
//! `timestamp.body`, keyed with the secret's text as it was handed out, prefix included: that is
//! what the source systems' receivers do.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What every shared secret of ours begins with.
pub const SECRET_PREFIX: &str = "whsec_";
/// What a private Ed25519 key begins with. Such a key is made here and handed to nobody.
const PRIVATE_PREFIX: &str = "whsk_";
/// What a public Ed25519 key begins with.
const PUBLIC_PREFIX: &str = "whpk_";
/// Bytes of a secret that is any text.
const TEXT_BYTES: std::ops::RangeInclusive<usize> = 8..=512;

type HmacSha256 = Hmac<Sha256>;

/// How a secret signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HMAC-SHA256 with a secret that the receiver has too.
    Shared,
    /// Ed25519: the receiver has the public key alone.
    Ed25519,
}

impl Scheme {
    /// Every one, for parsers.
    pub const ALL: [Self; 2] = [Self::Shared, Self::Ed25519];

    /// The word used in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "hmac-sha256",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// A signing secret with its key schedules computed once.
#[derive(Clone)]
pub struct SigningSecret {
    text: Zeroizing<String>,
    key: Key,
}

#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "nearly all are of the large one")]
enum Key {
    Shared {
        /// Keyed with the bytes behind `whsec_`; those of the text where it has no such prefix.
        standard: HmacSha256,
        /// Keyed with the text.
        text: HmacSha256,
    },
    Ed25519(Box<SigningKey>),
}

/// Why a text is no secret. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// No `whsec_`, or what follows is not base64.
    #[error("must be '{SECRET_PREFIX}' followed by standard base64")]
    Form,
    /// Too short or too long (Standard Webhooks: 24 to 64 bytes).
    #[error("must hold 24 to 64 bytes, not {0}")]
    Length(usize),
    /// A text too short or too long.
    #[error("must be 8 to 512 bytes of text, not {0}")]
    Text(usize),
    /// Looks like half of a key pair.
    #[error(
        "must not begin with whsk_ or whpk_: key pairs are made here (\"signing\": \"ed25519\")"
    )]
    KeyPair,
}

impl SigningSecret {
    /// From random bytes (32 of them: Standard Webhooks asks for 24 to 64).
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self::shared(
            format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes.as_slice())),
            bytes.as_slice(),
        )
    }

    /// A secret of that scheme, from random bytes.
    pub fn made(scheme: Scheme, bytes: [u8; 32]) -> Self {
        match scheme {
            Scheme::Shared => Self::from_random(bytes),
            Scheme::Ed25519 => {
                let bytes = Zeroizing::new(bytes);
                Self {
                    text: format!("{PRIVATE_PREFIX}{}", STANDARD.encode(bytes.as_slice())).into(),
                    key: Key::Ed25519(Box::new(SigningKey::from_bytes(&bytes))),
                }
            }
        }
    }

    /// Reads a secret as it was handed out.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text
            .strip_prefix(SECRET_PREFIX)
            .ok_or(InvalidSecret::Form)?;
        let key = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| InvalidSecret::Form)?);
        if !(24..=64).contains(&key.len()) {
            return Err(InvalidSecret::Length(key.len()));
        }
        Ok(Self::shared(text.to_owned(), &key))
    }

    /// Takes over a secret that somebody else made: one of Standard Webhooks, or any text, which
    /// then signs with its own bytes everywhere.
    pub fn import(text: &str) -> Result<Self, InvalidSecret> {
        if text.starts_with(SECRET_PREFIX) {
            return Self::parse(text);
        }
        if text.starts_with(PRIVATE_PREFIX) || text.starts_with(PUBLIC_PREFIX) {
            return Err(InvalidSecret::KeyPair);
        }
        if !TEXT_BYTES.contains(&text.len()) {
            return Err(InvalidSecret::Text(text.len()));
        }
        Ok(Self::shared(text.to_owned(), text.as_bytes()))
    }

    /// Reads a secret as [`SigningSecret::expose`] gave it to the store.
    pub fn from_stored(text: &str) -> Result<Self, InvalidSecret> {
        let Some(encoded) = text.strip_prefix(PRIVATE_PREFIX) else {
            return Self::import(text);
        };
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| InvalidSecret::Form)?);
        let length = bytes.len();
        let seed = <[u8; 32]>::try_from(bytes.as_slice());
        let seed = seed.map_err(|_| InvalidSecret::Length(length))?;
        Ok(Self::made(Scheme::Ed25519, seed))
    }

    fn shared(text: String, key: &[u8]) -> Self {
        let keyed = |key: &[u8]| {
            HmacSha256::new_from_slice(key)
                .unwrap_or_else(|_| unreachable!("HMAC takes any key length"))
        };
        Self {
            key: Key::Shared {
                standard: keyed(key),
                text: keyed(text.as_bytes()),
            },
            text: Zeroizing::new(text),
        }
    }

    /// The secret as text: for the store, and where it is shared for the routes that show it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// How it signs.
    pub fn scheme(&self) -> Scheme {
        match &self.key {
            Key::Shared { .. } => Scheme::Shared,
            Key::Ed25519(_) => Scheme::Ed25519,
        }
    }

    /// What is handed to the receiver, where it is to have the same secret.
    pub fn handed_out(&self) -> Option<&str> {
        (self.scheme() == Scheme::Shared).then_some(self.expose())
    }

    /// What is handed to the receiver of a key pair.
    pub fn public_key(&self) -> Option<String> {
        match &self.key {
            Key::Shared { .. } => None,
            Key::Ed25519(key) => {
                let public = STANDARD.encode(key.verifying_key().as_bytes());
                Some(format!("{PUBLIC_PREFIX}{public}"))
            }
        }
    }

    /// The value of `webhook-signature`.
    pub fn sign(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let mut value = String::with_capacity(47);
        self.sign_onto(&mut value, id, unix_seconds, body);
        value
    }

    /// Adds one signature to the value of `webhook-signature`.
    pub fn sign_onto(&self, value: &mut String, id: &str, unix_seconds: i64, body: &[u8]) {
        let seconds = unix_seconds.to_string();
        match &self.key {
            Key::Shared { standard, .. } => {
                let mut mac = standard.clone();
                for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
                    mac.update(part);
                }
                value.push_str("v1,");
                STANDARD.encode_string(mac.finalize().into_bytes(), value);
            }
            Key::Ed25519(key) => {
                let parts = [id.as_bytes(), b".", seconds.as_bytes(), b".", body];
                value.push_str("v1a,");
                STANDARD.encode_string(key.sign(&parts.concat()).to_bytes(), value);
            }
        }
    }

    /// HMAC-SHA256 over the body, or over `timestamp.body`, keyed with the text; nothing of a key
    /// pair.
    pub fn mac(&self, timestamp: Option<&str>, body: &[u8]) -> Option<[u8; 32]> {
        let Key::Shared { text, .. } = &self.key else {
            return None;
        };
        let mut mac = text.clone();
        if let Some(timestamp) = timestamp {
            mac.update(timestamp.as_bytes());
            mac.update(b".");
        }
        mac.update(body);
        Some(mac.finalize().into_bytes().into())
    }

    /// The value of `X-Webhook-Signature`; nothing of a key pair.
    pub fn sign_body_hex(&self, body: &[u8]) -> Option<String> {
        self.mac(None, body).map(hex::encode)
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(********)")
    }
}

impl PartialEq for SigningSecret {
    fn eq(&self, other: &Self) -> bool {
        bool::from(subtle::ConstantTimeEq::ct_eq(
            self.text.as_bytes(),
            other.text.as_bytes(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is imported comes back from the store as it was, is never shown, and signs what a
        /// receiver checks who knows the standard alone.
        #[test]
        fn a_secret_is_read_as_it_was_written(
            text in prop_oneof![any::<String>(), "whsec_[A-Za-z0-9+/]{20,90}={0,2}", ".{8,40}"],
            id in "[a-z0-9-]{1,36}", seconds in any::<u32>(), body in any::<Vec<u8>>(),
        ) {
            let _ = SigningSecret::parse(&text);
            let _ = SigningSecret::from_stored(&text);
            let Ok(secret) = SigningSecret::import(&text) else { return Ok(()) };
            prop_assert_eq!(secret.expose(), &text);
            prop_assert_eq!(SigningSecret::from_stored(secret.expose()), Ok(secret.clone()));
            let shown = format!("{secret:?}");
            prop_assert!(!shown.contains(&text), "{}", shown);
            let key = match text.strip_prefix("whsec_") {
                Some(encoded) => STANDARD.decode(encoded).unwrap(),
                None => text.clone().into_bytes(),
            };
            let mut mac = HmacSha256::new_from_slice(&key).unwrap();
            mac.update(format!("{id}.{seconds}.").as_bytes());
            mac.update(&body);
            let value = secret.sign(&id, seconds.into(), &body);
            let signature = STANDARD.decode(value.strip_prefix("v1,").unwrap()).unwrap();
            prop_assert!(mac.verify_slice(&signature).is_ok());
        }

        #[test]
        fn a_key_pair_is_read_as_it_was_made(bytes in any::<[u8; 32]>()) {
            let made = SigningSecret::made(Scheme::Ed25519, bytes);
            prop_assert_eq!(SigningSecret::from_stored(made.expose()), Ok(made.clone()));
            prop_assert_eq!(SigningSecret::import(made.expose()), Err(InvalidSecret::KeyPair));
            let shared = SigningSecret::made(Scheme::Shared, bytes);
            prop_assert_eq!(SigningSecret::parse(shared.expose()), Ok(shared));
        }
    }

    #[test]
    fn signs_the_example_of_the_standard() {
        // Secret, id, time, body and signature as published in the Standard Webhooks test vector.
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn hex_signature_is_keyed_with_the_secret_as_text() {
        let secret = SigningSecret::from_random([7; 32]);
        let mut mac = HmacSha256::new_from_slice(secret.expose().as_bytes()).unwrap();
        mac.update(b"body");
        let expected: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(secret.sign_body_hex(b"body"), Some(expected));
    }

    #[test]
    fn secrets_are_checked_and_never_shown() {
        let secret = SigningSecret::from_random([1; 32]);
        assert_eq!(SigningSecret::parse(secret.expose()), Ok(secret.clone()));
        assert!(!format!("{secret:?}").contains("AQEB"));
        assert_eq!(
            SigningSecret::parse("whsec_AAAA"),
            Err(InvalidSecret::Length(3))
        );
        assert_eq!(SigningSecret::parse("secret"), Err(InvalidSecret::Form));
        assert_eq!(SigningSecret::parse("whsec_!"), Err(InvalidSecret::Form));
    }

    #[test]
    fn a_text_signs_with_its_own_bytes() {
        let secret = SigningSecret::import("partner key ü").unwrap();
        let mut mac = HmacSha256::new_from_slice("partner key ü".as_bytes()).unwrap();
        mac.update(b"id.7.body");
        let expected = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(secret.sign("id", 7, b"body"), format!("v1,{expected}"));
        let over_both = secret.mac(Some("7"), b"body").unwrap();
        let mut mac = HmacSha256::new_from_slice("partner key ü".as_bytes()).unwrap();
        mac.update(b"7.body");
        assert_eq!(over_both.as_slice(), mac.finalize().into_bytes().as_slice());
    }

    #[test]
    fn what_is_imported_has_bounds() {
        for good in ["8 bytes!", &"x".repeat(512), "\u{1f511}\u{1f511}"] {
            let secret = SigningSecret::import(good).unwrap();
            assert_eq!(SigningSecret::from_stored(secret.expose()), Ok(secret));
        }
        for (bad, why) in [
            ("7 bytes", InvalidSecret::Text(7)),
            (&"x".repeat(513), InvalidSecret::Text(513)),
            ("whsec_AAAAAAAA", InvalidSecret::Length(6)),
            ("whsec_no base64 at all!", InvalidSecret::Form),
            ("whsk_AAAAAAAAAAAA", InvalidSecret::KeyPair),
            ("whpk_AAAAAAAAAAAA", InvalidSecret::KeyPair),
        ] {
            assert_eq!(SigningSecret::import(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_key_pair_is_verified_with_its_public_half() {
        use ed25519_dalek::{Signature, Verifier, VerifyingKey};
        let secret = SigningSecret::made(Scheme::Ed25519, [3; 32]);
        let public = secret.public_key().unwrap();
        let public = STANDARD.decode(public.strip_prefix("whpk_").unwrap());
        let public = VerifyingKey::from_bytes(&public.unwrap().try_into().unwrap()).unwrap();
        let value = secret.sign("id", 7, b"body");
        let bytes = STANDARD
            .decode(value.strip_prefix("v1a,").unwrap())
            .unwrap();
        let signature = Signature::from_slice(&bytes).unwrap();
        public.verify(b"id.7.body", &signature).unwrap();
        assert!(public.verify(b"id.8.body", &signature).is_err());
        // The private half is for the store alone.
        assert_eq!(
            (secret.handed_out(), secret.sign_body_hex(b"")),
            (None, None)
        );
        assert_eq!(SigningSecret::from_stored(secret.expose()), Ok(secret));
    }
}
