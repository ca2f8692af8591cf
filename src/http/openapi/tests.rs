use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::http::routes::Route;
use crate::http::{HttpState, event_fields};

fn json() -> Value {
    serde_json::from_slice(&JSON).unwrap()
}

/// Every operation as "METHOD path".
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = ["get", "post", "put", "patch", "delete"];
    paths
        .iter()
        .flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations
                .filter(|(method, _)| methods.contains(&method.as_str()))
                .map(move |(method, one)| (format!("{} {path}", method.to_uppercase()), one))
        })
        .collect()
}

#[test]
fn the_document_and_the_table_name_the_same_routes() {
    let document = json();
    let described: BTreeSet<String> = operations(&document)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let known: BTreeSet<String> = guarded_routes()
        .iter()
        .chain(&open_routes())
        .map(|route| format!("{} {}", route.method, route.canonical()))
        .collect();
    let lacking: Vec<_> = known.difference(&described).collect();
    let invented: Vec<_> = described.difference(&known).collect();
    assert!(
        lacking.is_empty() && invented.is_empty(),
        "not described: {lacking:?}; described, but not there: {invented:?} (see http/openapi.rs)"
    );
}

#[test]
fn every_operation_says_what_it_takes_and_how_it_refuses() {
    let document = json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{name} has no summary");
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{name}: {id} stands twice");
        let is_open = operation["security"] == serde_json::json!([]);
        let mut expected = vec!["500", "503"];
        if !is_open {
            expected.extend(["401", "403", "429"]);
            let ways = operation["security"].as_array().unwrap();
            let routes = guarded_routes();
            let route = routes
                .iter()
                .find(|route| name == format!("{} {}", route.method, route.canonical()));
            let others = |route: &Route<HttpState>| {
                let others = route.or.iter().filter(|one| Some(**one) != route.scope);
                others.count()
            };
            let scopes = 1 + route.map_or(0, others);
            assert_eq!(
                ways.len(),
                4 * scopes,
                "{name}: each header and the cookie, for each scope"
            );
        }
        if name.contains('{') {
            expected.push("404");
        }
        if operation.get("requestBody").is_some() {
            expected.extend(["400", "408", "413", "415"]);
        }
        let answers = operation["responses"].as_object().unwrap();
        assert!(
            answers.keys().any(|code| code.starts_with(['2', '3'])),
            "{name}"
        );
        for code in expected {
            assert!(answers.contains_key(code), "{name} lacks {code}");
        }
        for (code, answer) in answers {
            let told = answer["description"].as_str().unwrap();
            assert!(!told.is_empty(), "{name} {code}");
            if code.starts_with(['4', '5']) {
                let content = answer["content"].as_object().unwrap();
                assert!(!content.is_empty(), "{name} {code} has no body");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|one| walk(one, found));
            }
            Value::Array(items) => items.iter().for_each(|one| walk(one, found)),
            _ => {}
        }
    }
    let document = json();
    let mut found = Vec::new();
    walk(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}

#[test]
fn the_document_knows_the_fields_of_an_event_that_are_read() {
    let document = json();
    let properties = &document["components"]["schemas"]["NewEvent"]["properties"];
    let properties = properties.as_object().unwrap();
    assert_eq!(properties.len(), event_fields::Field::COUNT);
    for name in properties.keys() {
        // Only a field that is read can be told to stand twice.
        let twice = format!(r#"{{"{name}": 1, "{name}": 1}}"#);
        let fields: event_fields::Fields<'_> = serde_json::from_str(&twice).unwrap();
        let told: Vec<_> = fields
            .given_twice
            .iter()
            .map(|field| field.name())
            .collect();
        assert_eq!(told, [name]);
    }
}

#[test]
fn the_document_knows_the_scopes_of_the_table() {
    let document = json();
    for route in guarded_routes() {
        let path = route.canonical().replace('/', "~1");
        let method = route.method.as_str().to_lowercase();
        let place = format!("/paths/{path}/{method}/security/0/bearer/0");
        let scope = route.scope.unwrap().as_str();
        assert_eq!(document.pointer(&place).unwrap(), scope, "{place}");
    }
}
