//! A Postman collection (2.1) made of the OpenAPI document: one folder for each tag, one request
//! for each operation, or for each example of its body.

use serde_json::{Map, Value, json};

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

/// All of it. Address and key are the collection's variables.
pub(super) fn collection(document: &Value) -> Value {
    let tags = document["tags"].as_array();
    let folders = tags.into_iter().flatten().map(|tag| {
        json!({
            "name": tag["name"],
            "description": tag["description"],
            "item": requests(document, &tag["name"]),
        })
    });
    json!({
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [
            {"key": "token", "value": "{{key}}", "type": "string"},
        ]},
        "variable": [
            {"key": "base", "value": "http://localhost:8080"},
            {"key": "key", "value": ""},
        ],
        "item": folders.collect::<Vec<_>>(),
    })
}

/// Those of one tag, in the document's order.
fn requests(document: &Value, tag: &Value) -> Vec<Value> {
    let paths = document["paths"].as_object();
    paths
        .into_iter()
        .flatten()
        .flat_map(|(path, item)| {
            let operations = item.as_object().into_iter().flatten();
            operations
                .filter(|(_, operation)| operation["tags"][0] == *tag)
                .flat_map(|(method, operation)| of_operation(method, path, operation))
        })
        .collect()
}

fn of_operation(method: &str, path: &str, operation: &Value) -> Vec<Value> {
    let summary = operation["summary"].as_str().unwrap_or_default();
    let bodies = examples(operation);
    let made = |name: String, body: Option<&Value>| {
        let mut request = json!({
            "method": method.to_uppercase(),
            "header": headers(operation, body.is_some()),
            "url": url(path, operation),
            "description": operation["description"],
        });
        if let Some(body) = body {
            let raw = serde_json::to_string_pretty(body).unwrap_or_default();
            request["body"] =
                json!({"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}});
        }
        if operation["security"].as_array().is_some_and(Vec::is_empty) {
            request["auth"] = json!({"type": "noauth"});
        }
        json!({"name": name, "request": request})
    };
    match bodies.as_slice() {
        [] => vec![made(summary.to_owned(), None)],
        [(_, only)] => vec![made(summary.to_owned(), Some(only))],
        several => several
            .iter()
            .map(|(name, body)| made(format!("{summary}: {name}"), Some(body)))
            .collect(),
    }
}

/// The examples of the body, each with its name.
fn examples(operation: &Value) -> Vec<(String, &Value)> {
    let content = &operation["requestBody"]["content"]["application/json"];
    let several = content["examples"].as_object();
    let named = several.into_iter().flatten().map(|(name, one)| {
        let name = one["summary"].as_str().unwrap_or(name).to_lowercase();
        (name, &one["value"])
    });
    let one = content.get("example").map(|one| (String::new(), one));
    named.chain(one).collect()
}

fn parameters<'a>(operation: &'a Value, place: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = operation["parameters"].as_array();
    all.into_iter()
        .flatten()
        .filter(move |one| one["in"] == place)
}

fn headers(operation: &Value, has_body: bool) -> Vec<Value> {
    let json = has_body.then(|| json!({"key": "Content-Type", "value": "application/json"}));
    json.into_iter()
        .chain(parameters(operation, "header").map(switched_off))
        .collect()
}

/// There to be switched on.
fn switched_off(parameter: &Value) -> Value {
    json!({
        "key": parameter["name"],
        "value": "",
        "description": parameter["description"],
        "disabled": true,
    })
}

fn url(path: &str, operation: &Value) -> Value {
    let parts = path.split('/').skip(1).map(|part| {
        let name = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'));
        name.map_or_else(|| part.to_owned(), |name| format!(":{name}"))
    });
    let parts: Vec<String> = parts.collect();
    let mut url = Map::new();
    url.insert(
        "raw".into(),
        format!("{{{{base}}}}/{}", parts.join("/")).into(),
    );
    url.insert("host".into(), json!(["{{base}}"]));
    url.insert("path".into(), json!(parts));
    let mut add = |name: &str, values: Vec<Value>| {
        if !values.is_empty() {
            url.insert(name.into(), values.into());
        }
    };
    add(
        "query",
        parameters(operation, "query").map(switched_off).collect(),
    );
    let in_path = parameters(operation, "path");
    let in_path = in_path
        .map(|one| json!({"key": one["name"], "value": "", "description": one["description"]}));
    add("variable", in_path.collect());
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collection_in_the_documents_is_the_current_one() {
        let made = collection(&crate::engine::api_document().unwrap());
        let kept = include_str!("../../docs/posthaste.postman_collection.json");
        let kept: Value = serde_json::from_str(kept).unwrap();
        assert!(
            kept == made,
            "it has changed: run `make postman` and commit what comes of it"
        );
    }

    #[test]
    fn every_operation_is_in_a_folder() {
        let document = crate::engine::api_document().unwrap();
        let made = collection(&document);
        let folders = made["item"].as_array().unwrap();
        let requests: usize = folders
            .iter()
            .map(|folder| folder["item"].as_array().unwrap().len())
            .sum();
        let items = document["paths"].as_object().unwrap().values();
        let operations: usize = items.map(|item| item.as_object().unwrap().len()).sum();
        assert!(
            operations > 30 && requests >= operations,
            "{requests} {operations}"
        );
    }
}
