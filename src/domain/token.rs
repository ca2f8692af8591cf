//! Tokens that the relay makes, shows once and keeps by their hash: of sessions, and of links that
//! can be used once.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::api_key::KeyHash;

/// What a token is good for: what it begins with, so that people and scanners for leaked secrets
/// recognise one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// In the cookie of somebody who is signed in.
    Session,
    /// In a link that can be used once: to set the relay up, or to take an invitation.
    Link,
}

impl TokenKind {
    fn mark(self) -> &'static str {
        match self {
            Self::Session => "phs_",
            Self::Link => "phl_",
        }
    }
}

/// A token that was just made: the only moment at which the relay knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken(String);

impl IssuedToken {
    /// Of 256 random bits.
    pub fn from_random(kind: TokenKind, secret: [u8; 32]) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(secret);
        Self(format!("{}{secret}", kind.mark()))
    }

    /// The token, for whoever is to have it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuedToken(********)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised_and_kept_by_its_hash_alone() {
        for (kind, mark) in [(TokenKind::Session, "phs_"), (TokenKind::Link, "phl_")] {
            let token = IssuedToken::from_random(kind, [7; 32]);
            assert!(token.expose().starts_with(mark));
            assert_eq!(token.expose().len(), 4 + 43);
            assert_eq!(token.hash(), KeyHash::of(token.expose().as_bytes()));
            assert!(!format!("{token:?}").contains(&token.expose()[4..]));
        }
    }
}
