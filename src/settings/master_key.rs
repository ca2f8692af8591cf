//! Master keys: what secrets are encrypted with where they lie in the database.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Characters of a key's id.
const LONGEST_ID: usize = 32;

/// A key and the id by which rows name it.
#[derive(Clone)]
pub struct MasterKey {
    /// Stored beside what it encrypts, so it is no secret.
    pub id: String,
    /// 256 bits.
    pub key: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// Reads `id:base64`. What is wrong is said without the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (id, encoded) = text
            .split_once(':')
            .ok_or("has no id: write ID:KEY, for example 2026-01:, and the key behind it")?;
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(1..=LONGEST_ID).contains(&id.len()) || !id.bytes().all(sound) {
            return Err("has an id that is not 1 to 32 letters, digits, - and _");
        }
        let bytes = STANDARD.decode(encoded).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| "has a key that is not standard base64")?;
        let key = <[u8; 32]>::try_from(bytes.as_slice());
        Ok(Self {
            id: id.to_owned(),
            key: Zeroizing::new(key.map_err(|_| "has a key that is not 32 bytes long")?),
        })
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({}, ********)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_is_read_as_it_was_written_and_reading_never_panics(
            id in "[A-Za-z0-9_-]{1,32}", key in any::<[u8; 32]>(), text in any::<String>(),
        ) {
            let read = MasterKey::parse(&format!("{id}:{}", STANDARD.encode(key))).unwrap();
            prop_assert_eq!((read.id, *read.key), (id, key));
            let _ = MasterKey::parse(&text);
            let _ = MasterKey::parse(&format!("a:{text}"));
        }
    }

    #[test]
    fn a_master_key_is_an_id_and_32_bytes() {
        let encoded = STANDARD.encode([7; 32]);
        let key = MasterKey::parse(&format!("2026-01:{encoded}")).unwrap();
        assert_eq!((key.id.as_str(), *key.key), ("2026-01", [7; 32]));
        assert!(!format!("{key:?}").contains(&encoded[..8]));
        for bad in [
            encoded.clone(),
            format!(":{encoded}"),
            format!("a b:{encoded}"),
            format!("{}:{encoded}", "x".repeat(33)),
            format!("a:{}", STANDARD.encode([7; 31])),
            "a:not base64".to_owned(),
        ] {
            assert!(MasterKey::parse(&bad).is_err(), "{bad}");
        }
    }
}
