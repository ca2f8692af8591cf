//! Reading what a new key is to be from a request's body.

use std::sync::Arc;

use serde_json::Value;

use super::error::Fault;
use super::json_fields::Fields;
use crate::domain::Timestamp;
use crate::domain::access::{Preset, Scope, Scopes};

/// A checked body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInput {
    /// For people.
    pub name: Arc<str>,
    /// What its holder may do.
    pub scopes: Scopes,
    /// Whose things its holder sees.
    pub tenant: Option<Arc<str>>,
    /// From when on it is good for nothing.
    pub expires_at: Option<Timestamp>,
}

/// Reads a new key: a name, scopes or the name of a set of them, and what else there is to say.
pub fn parse(body: &[u8], now: Timestamp) -> Result<KeyInput, Vec<Fault>> {
    let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
    if fields.lacks("name") {
        fields.fault("name", "is required");
    }
    let name = fields.text("name");
    let scopes = match (fields.lacks("scopes"), fields.lacks("preset")) {
        (true, true) => {
            fields.fault("scopes", "is required where there is no preset");
            None
        }
        (false, false) => {
            fields.fault("preset", "cannot stand beside scopes, which say it all");
            let _ = (fields.take("preset"), fields.take("scopes"));
            None
        }
        (false, true) => read_scopes(&mut fields),
        (true, false) => read_preset(&mut fields),
    };
    // Named, so that an unknown field is told all there are.
    let _ = (fields.take("scopes"), fields.take("preset"));
    let tenant = read_tenant(&mut fields);
    let expires_at = fields.nullable("expiresAt", Fields::time).flatten();
    if expires_at.is_some_and(|end| end <= now) {
        fields.fault("expiresAt", "must be in the future");
    }
    let faults = fields.finish();
    match (name, scopes) {
        (Some(name), Some(scopes)) if faults.is_empty() => Ok(KeyInput {
            name: name.into(),
            scopes,
            tenant,
            expires_at,
        }),
        _ => Err(faults),
    }
}

fn read_scopes(fields: &mut Fields) -> Option<Scopes> {
    let Some(Value::Array(given)) = fields.take("scopes") else {
        fields.fault("scopes", "must be a list of scopes");
        return None;
    };
    let known = given.iter().map(|word| Scope::parse(word.as_str()?));
    match known.collect::<Option<Scopes>>() {
        Some(scopes) if !scopes.is_empty() => Some(scopes),
        _ => {
            let words = Scope::ALL.map(Scope::as_str).join(", ");
            fields.fault("scopes", format!("must be one or more of {words}"));
            None
        }
    }
}

fn read_preset(fields: &mut Fields) -> Option<Scopes> {
    let given = fields.take("preset")?;
    let preset = given.as_str().and_then(Preset::parse);
    if preset.is_none() {
        let words = Preset::ALL.map(Preset::as_str).join(", ");
        fields.fault("preset", format!("must be one of {words}"));
    }
    preset.map(Preset::scopes)
}

fn read_tenant(fields: &mut Fields) -> Option<Arc<str>> {
    let client = fields.nullable("clientId", Fields::text).flatten();
    let tenant = fields.nullable("tenant", Fields::text).flatten();
    if client.is_some() && tenant.is_some() && client != tenant {
        fields.fault("tenant", "contradicts clientId, which means the same");
    }
    client.or(tenant).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn a_key_is_read_as_it_was_asked_for_and_reading_never_panics(
            bytes in any::<Vec<u8>>(), name in any::<String>(), tenant in any::<Option<String>>(),
            scopes in prop::sample::subsequence(Scope::ALL.to_vec(), 0..=Scope::ALL.len()),
        ) {
            let now = Timestamp::default();
            let _ = parse(&bytes, now);
            let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            let body = json!({"name": name, "tenant": tenant, "scopes": words}).to_string();
            let sound = |text: &String| super::super::text::check(text).is_ok();
            let expected = sound(&name) && tenant.iter().all(sound) && !scopes.is_empty();
            let read = parse(body.as_bytes(), now);
            prop_assert_eq!(read.is_ok(), expected, "{}", body);
            if let Ok(input) = read {
                prop_assert_eq!(&*input.name, &name);
                prop_assert_eq!(input.tenant.as_deref(), tenant.as_deref());
                prop_assert_eq!(input.scopes, scopes.into_iter().collect());
            }
        }
    }

    fn read(body: Value) -> Result<KeyInput, String> {
        let now = Timestamp::parse_rfc3339("2025-10-26T10:00:00Z").unwrap();
        parse(body.to_string().as_bytes(), now).map_err(|faults| format!("{faults:?}"))
    }

    #[test]
    fn a_key_has_a_name_and_scopes_or_a_preset() {
        let plain = read(json!({"name": "n", "scopes": ["events:write", "admin"]})).unwrap();
        let scopes = [Scope::EventsWrite, Scope::Admin].into_iter().collect();
        let expected = KeyInput {
            name: "n".into(),
            scopes,
            tenant: None,
            expires_at: None,
        };
        assert_eq!(plain, expected);
        for preset in Preset::ALL {
            let made = read(json!({"name": "n", "preset": preset.as_str()})).unwrap();
            assert_eq!(made.scopes, preset.scopes());
        }
        let whole = json!({
            "name": "n", "preset": "client", "clientId": "acme", "tenant": "acme",
            "expiresAt": "2025-10-26T10:00:01Z",
        });
        let whole = read(whole).unwrap();
        assert_eq!(whole.tenant.as_deref(), Some("acme"));
        assert_eq!(
            whole.expires_at,
            Timestamp::parse_rfc3339("2025-10-26T10:00:01Z")
        );
        let nulls = json!({"name": "n", "preset": "client", "tenant": null, "expiresAt": null});
        assert_eq!(read(nulls).unwrap().tenant, None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let with = |field: &str, value: Value| {
            let mut body = json!({"name": "n", "scopes": ["admin"]});
            body[field] = value;
            body
        };
        for (body, named) in [
            (json!({}), "name"),
            (json!({"name": "n"}), "scopes"),
            (json!([]), "body"),
            (with("name", json!("")), "name"),
            (with("name", json!("x".repeat(256))), "name"),
            (with("name", json!("a\nb")), "name"),
            (with("scopes", json!([])), "events:write, events:read"),
            (with("scopes", json!("admin")), "scopes"),
            (with("scopes", json!(["admin", "root"])), "scopes"),
            (with("scopes", json!([7])), "scopes"),
            (with("preset", json!("admin")), "preset"),
            (
                json!({"name": "n", "preset": "root"}),
                "service, client, admin",
            ),
            (with("tenant", json!(7)), "tenant"),
            (
                json!({"name": "n", "preset": "admin", "tenant": "a", "clientId": "b"}),
                "contradicts",
            ),
            (with("expiresAt", json!("2025-10-26T10:00:00Z")), "future"),
            (with("expiresAt", json!("soon")), "RFC 3339"),
            (
                with("expires", json!("soon")),
                "scopes, preset, clientId, tenant, expiresAt",
            ),
        ] {
            let error = read(body.clone()).unwrap_err();
            assert!(error.contains(named), "{body}: {error}");
        }
    }
}
