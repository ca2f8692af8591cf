//! Rules that `utoipa` has no words for and JSON Schema has: between the fields of a body (what
//! excludes what, and what of several is needed), and values with a gap between them.
//!
//! What depends on what is stored, on the settings or on the time stands in no schema.

use serde_json::{Value, json};
use utoipa::openapi::schema::Object;
use utoipa::openapi::{OpenApi, RefOr, Schema};

use crate::domain::deactivation::policy::{FAILING_FOR_MS, TRIAL_INTERVAL_MS};

/// Adds them to the schemas of these names, or to those of their fields.
pub fn add(document: &mut OpenApi) {
    for (place, keyword, rule) in rules() {
        let (name, field) = place.split_once('.').unwrap_or((place, ""));
        let schemas = document.components.as_mut().map(|all| &mut all.schemas);
        let whole = schemas.and_then(|all| object(all.get_mut(name)?));
        let bound = match field {
            "" => whole,
            field => whole.and_then(|whole| object(whole.properties.get_mut(field)?)),
        };
        if let Some(bound) = bound {
            let rules = bound.extensions.get_or_insert_default();
            rules.insert(keyword.to_owned(), rule);
        }
    }
}

fn object(schema: &mut RefOr<Schema>) -> Option<&mut Object> {
    match schema {
        RefOr::T(Schema::Object(object)) => Some(object),
        _ => None,
    }
}

/// Place, keyword and what stands under it.
fn rules() -> [(&'static str, &'static str, Value); 11] {
    let named = |names: &[&str]| -> Vec<Value> {
        let each = names.iter().map(|name| json!({"required": [name]}));
        each.collect()
    };
    let off_or_from = |least: u64| json!([{"type": "null"}, {"maximum": 0}, {"minimum": least}]);
    // A field that is null is as good as one that is not given.
    let (whole, nothing) = (json!({"type": "integer"}), json!({"type": "null"}));
    [
        ("NewEvent", "oneOf", named(&["payload", "data"]).into()),
        (
            "NewTestSend",
            "anyOf",
            json!([{"properties": {"payload": nothing}}, {"properties": {"data": nothing}}]),
        ),
        ("NewKey", "oneOf", named(&["scopes", "preset"]).into()),
        (
            "SignIn",
            "oneOf",
            json!([
                {"required": ["email", "password"], "properties": {"key": false}},
                {"required": ["key"], "properties": {"email": false, "password": false}},
            ]),
        ),
        (
            "NewSignatureHeader",
            "anyOf",
            named(&["header", "preset"]).into(),
        ),
        (
            "LoneSignatureHeader",
            "anyOf",
            named(&["header", "preset"]).into(),
        ),
        (
            "Replay",
            "oneOf",
            json!([
                {
                    "required": ["eventIds"],
                    "properties": {"eventTypes": false, "since": false, "until": false},
                },
                {"required": ["since"], "properties": {"eventIds": false}},
            ]),
        ),
        (
            "IngestRate",
            "oneOf",
            json!([
                {
                    "required": ["perSecond"],
                    "properties": {"perSecond": whole, "perMinute": nothing},
                },
                {
                    "required": ["perMinute"],
                    "properties": {"perMinute": whole, "perSecond": nothing},
                },
            ]),
        ),
        (
            "RetryPolicy",
            "anyOf",
            json!([
                {"properties": {"delaysMs": nothing}},
                {
                    "properties": {
                        "attempts": nothing, "baseMs": nothing, "factor": nothing, "capMs": nothing,
                    },
                },
            ]),
        ),
        (
            "Deactivation.failingForMs",
            "anyOf",
            off_or_from(FAILING_FOR_MS.0),
        ),
        (
            "Deactivation.trialIntervalMs",
            "anyOf",
            off_or_from(TRIAL_INTERVAL_MS.0),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_stands_in_the_document_and_holds_the_fields_that_are_there() {
        let document = serde_json::to_value(super::super::document()).unwrap();
        for (name, keyword, rule) in rules() {
            let (name, field) = name.split_once('.').unwrap_or((name, ""));
            let mut schema = &document["components"]["schemas"][name];
            if !field.is_empty() {
                schema = &schema["properties"][field];
            }
            assert_eq!(schema[keyword], rule, "{name}.{field}");
            for way in rule.as_array().unwrap() {
                let required = way["required"].as_array().into_iter().flatten();
                let required = required.map(|name| name.as_str().unwrap());
                let properties = way["properties"].as_object().into_iter().flatten();
                let named = properties.map(|(name, _)| name.as_str()).chain(required);
                for field in named {
                    assert!(schema["properties"][field].is_object(), "{name}.{field}");
                }
            }
        }
    }

    #[test]
    fn examples_of_bodies_keep_the_rules() {
        let document = serde_json::to_value(super::super::document()).unwrap();
        let is_good = |name: &str, body: Value| {
            let whole = json!({
                "components": document["components"],
                "$ref": format!("#/components/schemas/{name}"),
            });
            jsonschema::is_valid(&whole, &body)
        };
        let since = "2025-10-26T10:00:00Z";
        let id = "0190b5a0-7a3c-7c1e-9d52-3f1b0c5d8e21";
        for (name, good, bad) in [
            (
                "NewEvent",
                json!({"eventType": "a", "data": null}),
                json!({"eventType": "a", "data": 1, "payload": 1}),
            ),
            (
                "NewKey",
                json!({"name": "n", "preset": "admin"}),
                json!({"name": "n", "preset": "admin", "scopes": ["admin"]}),
            ),
            (
                "NewSignatureHeader",
                json!({"preset": "github", "header": "x"}),
                json!({"prefix": "x"}),
            ),
            (
                "LoneSignatureHeader",
                json!({"header": "x", "mode": "instead"}),
                json!({"mode": "instead"}),
            ),
            (
                "Replay",
                json!({"since": since, "eventTypes": "a"}),
                json!({"since": since, "eventIds": [id]}),
            ),
            (
                "IngestRate",
                json!({"perSecond": 1, "perMinute": null}),
                json!({"burst": 1}),
            ),
            (
                "RetryPolicy",
                json!({"delaysMs": [1], "factor": null}),
                json!({"delaysMs": [1], "factor": 2}),
            ),
            (
                "Deactivation",
                json!({"failingForMs": 0, "trialIntervalMs": 100}),
                json!({"failingForMs": 999}),
            ),
        ] {
            assert!(is_good(name, good.clone()), "{name}: {good}");
            assert!(!is_good(name, bad.clone()), "{name}: {bad}");
        }
    }
}
