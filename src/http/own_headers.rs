//! A subscription's own headers as they come in and as they are shown. Their values may be
//! credentials, so nobody gets to see them again.

use std::collections::BTreeMap;

use axum::http::HeaderName;
use serde_json::{Map, Value};

use super::error::Fault;
use super::text;

/// Stands for a value. Sent back, it means "keep the value that is stored".
pub const MASK: &str = "********";
/// Headers at most.
pub const MAX_HEADERS: usize = 20;
/// Characters of a name at most.
pub const MAX_NAME_BYTES: usize = 255;
/// Characters of a value at most.
pub const MAX_VALUE_BYTES: usize = 4_096;

/// Names that belong to the connection, to the message's framing, or to what we sign and say.
const REFUSED: [&str; 11] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// Signs the body; a signature header of a subscription's own may take its place.
pub const BODY_SIGNATURE: &str = "x-webhook-signature";
/// Stands beside it.
pub const BODY_TIMESTAMP: &str = "x-webhook-timestamp";
const REFUSED_PREFIXES: [&str; 2] = ["proxy-", "webhook-"];

/// Checked headers under lower-case names; `None` keeps the value that is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnHeaders(Vec<(String, Option<String>)>);

impl OwnHeaders {
    /// No headers.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Reads the object, or says all that is wrong with it.
    pub fn read(given: Map<String, Value>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        if given.len() > MAX_HEADERS {
            let message = format!("must be at most {MAX_HEADERS}, not {}", given.len());
            return Err(vec![Fault::new("headers", message)]);
        }
        let mut headers: Vec<(String, Option<String>)> = Vec::new();
        for (name, value) in given {
            let path = format!("headers.{}", text::cut(&name));
            match (check_name(&name), check_value(value)) {
                (Ok(name), _) if headers.iter().any(|(other, _)| *other == name) => {
                    faults.push(Fault::new(path, "is given twice (names ignore case)"));
                }
                (Ok(name), Ok(value)) => headers.push((name, value)),
                (name, value) => {
                    let problems = name.err().into_iter().chain(value.err());
                    faults.extend(problems.map(|problem| Fault::new(path.clone(), problem)));
                }
            }
        }
        if faults.is_empty() {
            Ok(Self(headers))
        } else {
            Err(faults)
        }
    }

    /// These headers with what is to be kept taken from `stored`.
    pub fn with_kept(
        &self,
        stored: &[(String, String)],
    ) -> Result<Vec<(String, String)>, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut headers = Vec::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            let kept = || {
                stored
                    .iter()
                    .find(|(other, _)| other == name)
                    .map(|(_, kept)| kept)
            };
            match value.as_ref().or_else(kept) {
                Some(value) => headers.push((name.clone(), value.clone())),
                None => faults.push(Fault::new(
                    format!("headers.{name}"),
                    "is masked and has no stored value to keep: give the value itself",
                )),
            }
        }
        if faults.is_empty() {
            Ok(headers)
        } else {
            Err(faults)
        }
    }
}

impl std::fmt::Debug for OwnHeaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// Headers as shown: names and no values.
pub fn masked(headers: &[(String, String)]) -> BTreeMap<&str, &'static str> {
    headers
        .iter()
        .map(|(name, _)| (name.as_str(), MASK))
        .collect()
}

/// Checks the name of an own signature header: it may take the place of what signs the body, and
/// nothing else of ours.
pub fn check_signature_name(name: &str) -> Result<String, String> {
    check_unreserved(name)
}

fn check_name(name: &str) -> Result<String, String> {
    let name = check_unreserved(name)?;
    if [BODY_SIGNATURE, BODY_TIMESTAMP].contains(&name.as_str()) {
        return Err(RESERVED.to_owned());
    }
    Ok(name)
}

const RESERVED: &str = "cannot be an own header: it is set by Posthaste or by the connection";

fn check_unreserved(name: &str) -> Result<String, String> {
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("must be at most {MAX_NAME_BYTES} characters long"));
    }
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| "is not the name of a header".to_owned())?
        .as_str()
        .to_owned();
    let is_refused = REFUSED.contains(&name.as_str())
        || REFUSED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix));
    if is_refused {
        return Err(RESERVED.to_owned());
    }
    Ok(name)
}

fn check_value(value: Value) -> Result<Option<String>, String> {
    let Value::String(value) = value else {
        return Err("must be a text".to_owned());
    };
    if value == MASK {
        return Ok(None);
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(format!(
            "must have at most {MAX_VALUE_BYTES} bytes, not {}",
            value.len()
        ));
    }
    if !value
        .bytes()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
    {
        return Err("must hold visible ASCII, spaces and tabs only".to_owned());
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<OwnHeaders, Vec<Fault>> {
        OwnHeaders::read(value.as_object().unwrap().clone())
    }

    #[test]
    fn names_that_are_ours_or_the_connections_are_refused() {
        for name in [
            "Connection",
            "keep-alive",
            "Proxy-Authorization",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "Host",
            "Content-Length",
            "content-type",
            "User-Agent",
            "webhook-id",
            "Webhook-Signature",
            "webhook-anything",
            "X-Webhook-Signature",
            "X-Webhook-Timestamp",
            "Expect",
            "",
            "a b",
            "a:b",
            "ü",
            "a\n",
        ] {
            let faults = read(json!({name: "v"})).unwrap_err();
            assert!(faults[0].path.starts_with("headers."), "{name}: {faults:?}");
        }
        let good = read(json!({"Authorization": "Bearer x", "X-Webhook-Source": "y"})).unwrap();
        let names: Vec<_> = good.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["authorization", "x-webhook-source"]);
    }

    #[test]
    fn values_are_one_line_of_ascii() {
        for bad in [
            json!(1),
            json!(null),
            json!("a\r\nb: c"),
            json!("ü"),
            json!("x".repeat(4_097)),
        ] {
            assert!(read(json!({"a": bad})).is_err());
        }
        assert!(read(json!({"a": "x".repeat(4_096), "b": "", "c": "a\tb ~"})).is_ok());
        assert!(read(json!({"a": "1", "A": "2"})).is_err());
        let many: Map<String, Value> = (0..21).map(|n| (format!("x-{n}"), json!("v"))).collect();
        assert!(OwnHeaders::read(many).is_err());
    }

    #[test]
    fn a_masked_value_keeps_the_stored_one() {
        let stored = vec![("a".to_owned(), "secret".to_owned())];
        assert_eq!(masked(&stored)["a"], MASK);
        let given = read(json!({"A": MASK, "b": "new"})).unwrap();
        let expected = vec![
            ("a".to_owned(), "secret".to_owned()),
            ("b".to_owned(), "new".to_owned()),
        ];
        assert_eq!(given.with_kept(&stored), Ok(expected));
        assert_eq!(given.with_kept(&[]).unwrap_err()[0].path, "headers.a");
        assert!(!format!("{given:?}").contains("new"));
    }
}
