//! The OpenAPI document of a running relay, and what differs from it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Relay;

/// The document of a relay.
pub struct Document(Value);

impl Document {
    /// Fetched without a key.
    pub async fn of(relay: &Relay) -> Self {
        let url = format!("{}/api/v1/openapi.json", relay.api.base);
        let answer = reqwest::get(url).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/json");
        Self(answer.json().await.unwrap())
    }

    /// Every operation with its method and path.
    pub fn operations(&self) -> Vec<(Method, &str, &Value)> {
        let paths = self.0["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().iter().filter_map(|(name, one)| {
                    let method = Method::from_bytes(name.to_uppercase().as_bytes()).ok()?;
                    one["responses"]
                        .is_object()
                        .then_some((method, path.as_str(), one))
                })
            })
            .collect()
    }

    pub fn operation(&self, method: &Method, path: &str) -> &Value {
        let found = self.operations();
        let found = found
            .into_iter()
            .find(|one| one.0 == *method && one.1 == path);
        found
            .unwrap_or_else(|| panic!("{method} {path} is not described"))
            .2
    }

    /// What a reference stands for.
    pub fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.0.pointer(&reference[1..]).unwrap(),
            None => schema,
        }
    }

    /// Says where an answer differs from the schema of that status.
    pub fn differences(
        &self,
        operation: &Value,
        status: u16,
        media: &str,
        body: &Value,
    ) -> Vec<String> {
        let answer = &operation["responses"][status.to_string()];
        let schema = answer["content"][media]["schema"].clone();
        assert!(
            schema.is_object(),
            "{status} {media} is not described: {answer}"
        );
        let mut components = self.0["components"].clone();
        for one in components["schemas"].as_object_mut().unwrap().values_mut() {
            close(one);
        }
        // Parts of a whole may have fields beside them.
        for part in parts_of_wholes(&self.0) {
            let name = part.rsplit('/').next().unwrap();
            let part = components["schemas"][name].as_object_mut().unwrap();
            part.remove("unevaluatedProperties");
        }
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": components,
            "allOf": [schema],
        });
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&whole)
            .unwrap();
        let told = validator.iter_errors(body);
        told.map(|one| format!("{}: {one}", one.instance_path()))
            .collect()
    }
}

/// What an answer holds must be named: else a new field could be forgotten.
fn close(schema: &mut Value) {
    let fields = schema.as_object_mut().unwrap();
    let is_map = fields.contains_key("additionalProperties");
    if !is_map && (fields.contains_key("properties") || fields.contains_key("allOf")) {
        fields.insert("unevaluatedProperties".into(), false.into());
    }
}

fn parts_of_wholes(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match value {
        Value::Object(fields) => {
            let parts = fields.get("allOf").and_then(Value::as_array);
            let names = parts
                .into_iter()
                .flatten()
                .filter_map(|one| one["$ref"].as_str());
            found.extend(names.map(str::to_owned));
            found.extend(fields.values().flat_map(parts_of_wholes));
        }
        Value::Array(items) => found.extend(items.iter().flat_map(parts_of_wholes)),
        _ => {}
    }
    found
}
