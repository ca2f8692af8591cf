//! Signature headers that a subscription names itself, beside the standard ones or instead of
//! them: receivers of other webhook systems verify what they always did.
//!
//! What is signed is keyed with the secret's text ([`super::signature`]).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::signature::SigningSecret;

/// Own signature headers of one subscription.
pub const MOST_OWN: usize = 4;
/// Characters of a prefix.
pub const LONGEST_PREFIX: usize = 64;

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SignatureEncoding)]
pub enum Encoding {
    /// Lower-case hex.
    #[default]
    Hex,
    /// Standard base64, padded.
    Base64,
}

impl Encoding {
    /// Every one, for parsers.
    pub const ALL: [Self; 2] = [Self::Hex, Self::Base64];

    /// The word used in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }
}

/// What is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Signed {
    /// The body.
    #[default]
    #[serde(rename = "body")]
    Body,
    /// The unix timestamp of the attempt, a dot and the body.
    #[serde(rename = "timestamp.body")]
    TimestampAndBody,
}

impl Signed {
    /// Every one, for parsers.
    pub const ALL: [Self; 2] = [Self::Body, Self::TimestampAndBody];

    /// The word used in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::TimestampAndBody => "timestamp.body",
        }
    }
}

/// Whether the standard signature headers are sent too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SignatureMode)]
pub enum Mode {
    /// They are.
    #[default]
    Beside,
    /// They are not: `webhook-signature`, `X-Webhook-Signature` and `X-Webhook-Timestamp` are left
    /// out. `webhook-id` and `webhook-timestamp` are always sent: by them duplicates are dropped.
    Instead,
}

impl Mode {
    /// Every one, for parsers.
    pub const ALL: [Self; 2] = [Self::Beside, Self::Instead];

    /// The word used in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Beside => "beside",
            Self::Instead => "instead",
        }
    }
}

/// One header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnSignature {
    /// Its name, in lower case.
    pub header: String,
    /// How it is written.
    pub encoding: Encoding,
    /// What stands before it in the value.
    pub prefix: String,
    /// What is signed.
    pub signs: Signed,
    /// A header with the unix timestamp of the attempt, in lower case.
    pub timestamp_header: Option<String>,
}

impl OwnSignature {
    /// Those of known systems, by name.
    pub const PRESETS: [(&str, &str, &str); 3] = [
        ("algohire", "x-algohire-signature", ""),
        ("recart", "x-recart-signature-256", ""),
        ("github", "x-hub-signature-256", "sha256="),
    ];

    /// A hex signature over the body.
    pub fn of_body(header: &str) -> Self {
        Self {
            header: header.to_owned(),
            encoding: Encoding::Hex,
            prefix: String::new(),
            signs: Signed::Body,
            timestamp_header: None,
        }
    }

    /// That of a known system.
    pub fn preset(name: &str) -> Option<Self> {
        let (_, header, prefix) = Self::PRESETS.iter().find(|(known, ..)| *known == name)?;
        let mut preset = Self::of_body(header);
        preset.prefix.push_str(prefix);
        Some(preset)
    }

    /// The header's value; nothing where the secret is a key pair.
    pub fn sign(&self, secret: &SigningSecret, timestamp: &str, body: &[u8]) -> Option<String> {
        let timestamp = (self.signs == Signed::TimestampAndBody).then_some(timestamp);
        let mac = secret.mac(timestamp, body)?;
        let mut value = String::with_capacity(self.prefix.len() + 64);
        value.push_str(&self.prefix);
        match self.encoding {
            Encoding::Hex => value.push_str(&hex::encode(mac)),
            Encoding::Base64 => STANDARD.encode_string(mac, &mut value),
        }
        Some(value)
    }
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnSignatures {
    /// Whether the standard ones are sent too.
    pub mode: Mode,
    /// At most [`MOST_OWN`].
    pub headers: Vec<OwnSignature>,
}

impl OwnSignatures {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Every name that they take, in lower case; one for timestamps may be named by several.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().flat_map(|one| {
            let timestamp = one.timestamp_header.as_deref();
            std::iter::once(one.header.as_str()).chain(timestamp)
        })
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    /// Written from the description of a header, not from the code above.
    fn verifies(own: &OwnSignature, key: &str, timestamp: &str, body: &[u8], value: &str) -> bool {
        let Some(signature) = value.strip_prefix(own.prefix.as_str()) else {
            return false;
        };
        let signature = match own.encoding {
            Encoding::Hex => hex::decode(signature).ok(),
            Encoding::Base64 => STANDARD.decode(signature).ok(),
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        if own.signs == Signed::TimestampAndBody {
            mac.update(format!("{timestamp}.").as_bytes());
        }
        mac.update(body);
        signature.is_some_and(|signature| mac.verify_slice(&signature).is_ok())
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_and_nothing_else_does(
            key in ".{8,60}",
            prefix in "[!-~]{0,64}",
            hex in any::<bool>(),
            signs in 0..2_usize,
            seconds in any::<u32>(),
            mut body in proptest::collection::vec(any::<u8>(), 1..200),
        ) {
            let own = OwnSignature {
                encoding: if hex { Encoding::Hex } else { Encoding::Base64 },
                prefix,
                signs: Signed::ALL[signs],
                ..OwnSignature::of_body("x-a")
            };
            let seconds = seconds.to_string();
            let secret = SigningSecret::import(&key);
            prop_assume!(secret.is_ok());
            let value = own.sign(&secret.unwrap(), &seconds, &body).unwrap();
            prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(verifies(&own, &key, &seconds, &body, &value));
            let other = format!("{key}x");
            prop_assert!(!verifies(&own, &other, &seconds, &body, &value));
            body[0] ^= 1;
            prop_assert!(!verifies(&own, &key, &seconds, &body, &value));
        }
    }

    #[test]
    fn presets_are_what_those_systems_send() {
        for (name, header, prefix) in OwnSignature::PRESETS {
            let preset = OwnSignature::preset(name).unwrap();
            assert_eq!(
                (preset.header.as_str(), preset.prefix.as_str()),
                (header, prefix)
            );
            assert_eq!(
                (preset.encoding, preset.signs),
                (Encoding::Hex, Signed::Body)
            );
        }
        assert_eq!(OwnSignature::preset("unknown"), None);
    }
}
