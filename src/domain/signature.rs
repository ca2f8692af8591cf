//! Signatures over the exact bytes sent, and the secrets behind them.
//!
//! `webhook-signature` is Standard Webhooks 1.0: `v1,` + base64 of HMAC-SHA256 over
//! `id.timestamp.body`, keyed with the bytes behind `whsec_`. `X-Webhook-Signature` is the
//! older convention of the source systems: lower-case hex of HMAC-SHA256 over the body alone,
//! keyed with the secret's text as it was handed out, prefix included.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What every secret of ours begins with.
pub const SECRET_PREFIX: &str = "whsec_";

type HmacSha256 = Hmac<Sha256>;

/// A subscription's signing secret with both key schedules computed once.
#[derive(Clone)]
pub struct SigningSecret {
    text: Zeroizing<String>,
    standard: HmacSha256,
    body_only: HmacSha256,
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
}

impl SigningSecret {
    /// From random bytes (32 of them: Standard Webhooks asks for 24 to 64).
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self::build(
            format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes.as_slice())),
            bytes.as_slice(),
        )
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
        Ok(Self::build(text.to_owned(), &key))
    }

    fn build(text: String, key: &[u8]) -> Self {
        let keyed = |key: &[u8]| {
            HmacSha256::new_from_slice(key)
                .unwrap_or_else(|_| unreachable!("HMAC takes any key length"))
        };
        Self {
            standard: keyed(key),
            body_only: keyed(text.as_bytes()),
            text: Zeroizing::new(text),
        }
    }

    /// The secret as it is handed out, for the route that shows it and for the store.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The value of `webhook-signature`.
    pub fn sign(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let mut mac = self.standard.clone();
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(unix_seconds.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        let mut value = String::with_capacity(47);
        value.push_str("v1,");
        STANDARD.encode_string(mac.finalize().into_bytes(), &mut value);
        value
    }

    /// The value of `X-Webhook-Signature`.
    pub fn sign_body_hex(&self, body: &[u8]) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut mac = self.body_only.clone();
        mac.update(body);
        let mut hex = String::with_capacity(64);
        for byte in mac.finalize().into_bytes() {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        hex
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
    use super::*;

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
        assert_eq!(secret.sign_body_hex(b"body"), expected);
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
}
