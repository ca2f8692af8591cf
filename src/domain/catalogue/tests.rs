use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::id::EventId;

fn entry(name: &str, schema: Option<Value>) -> EventTypeEntry {
    EventTypeEntry {
        name: EventType::from_stored(name),
        description: None,
        example: None,
        schema: schema.map(|schema| schema.to_string()),
        archived: false,
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
        version: 1,
    }
}

fn event(name: &str, payload: &Value) -> Event {
    Event {
        id: EventId(uuid::Uuid::nil()),
        tenant: None,
        event_type: EventType::from_stored(name),
        event_name: None,
        source: None,
        idempotency_key: None,
        ordering_key: None,
        occurred_at: None,
        received_at: Timestamp::default(),
        payload: Bytes::from(payload.to_string()),
    }
}

fn candidate() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["candidate"],
        "properties": {"candidate": {"$ref": "#/$defs/person"}},
        "$defs": {"person": {
            "type": "object",
            "properties": {"email": {"type": "string", "format": "email"}, "age": {"minimum": 0}},
        }},
    })
}

fn refusal(schema: &Value) -> String {
    Schema::parse(&schema.to_string()).unwrap_err().to_string()
}

#[test]
fn payloads_are_held_against_the_schema_of_their_type_and_faults_name_their_place() {
    let empty = Catalogue::new(UnknownTypes::Accept);
    assert!(!empty.checks_any());
    let (catalogue, unusable) = empty.of(
        7,
        &[
            entry("candidate.created", Some(candidate())),
            entry("free", None),
        ],
    );
    assert!(unusable.is_empty());
    assert_eq!(catalogue.version(), 7);
    assert!(catalogue.checks_any());
    let check = |name, payload: Value| catalogue.check(&event(name, &payload));
    let good = json!({"candidate": {"email": "a@example.com", "age": 3}});
    assert_eq!(check("candidate.created", good), Ok(()));
    for name in ["free", "not.known"] {
        assert_eq!(check(name, json!(5)), Ok(()));
    }
    let bad = json!({"candidate": {"email": "secret-value", "age": -1}});
    let Err(Mismatch::Payload(faults)) = check("candidate.created", bad) else {
        panic!("it does not match");
    };
    let places: Vec<&str> = faults.iter().map(|(place, _)| place.as_str()).collect();
    assert!(places.contains(&"/candidate/email") && places.contains(&"/candidate/age"));
    assert!(
        !format!("{faults:?}").contains("secret-value"),
        "{faults:?}"
    );
    assert!(matches!(
        check("candidate.created", json!({})),
        Err(Mismatch::Payload(faults)) if faults[0].0.is_empty() && faults[0].1.contains("candidate")
    ));
}

#[test]
fn unknown_and_archived_types_are_refused_only_where_that_is_set() {
    let archived = EventTypeEntry {
        archived: true,
        ..entry("old", Some(json!({"type": "object"})))
    };
    for unknown in UnknownTypes::ALL {
        let (catalogue, _) = Catalogue::new(unknown).of(1, std::slice::from_ref(&archived));
        assert!(catalogue.checks_any());
        let refuses = unknown == UnknownTypes::Refuse;
        let expected = |mismatch| if refuses { Err(mismatch) } else { Ok(()) };
        assert_eq!(
            catalogue.check(&event("new", &json!({}))),
            expected(Mismatch::Unknown)
        );
        assert_eq!(
            catalogue.check(&event("old", &json!({}))),
            expected(Mismatch::Archived)
        );
        // An archived type keeps its schema.
        assert!(catalogue.check(&event("old", &json!(1))).is_err());
        assert_eq!(UnknownTypes::parse(unknown.as_str()), Some(unknown));
    }
}

#[test]
fn a_deep_payload_is_refused_and_not_passed_over() {
    let (catalogue, _) =
        Catalogue::new(UnknownTypes::Accept).of(1, &[entry("deep", Some(json!(true)))]);
    let mut deep = event("deep", &json!(1));
    deep.payload = Bytes::from(format!("{}1{}", "[".repeat(128), "]".repeat(128)));
    let outcome = catalogue.check(&deep);
    assert!(
        matches!(&outcome, Err(Mismatch::Payload(faults)) if faults[0].1.contains("deep")),
        "{outcome:?}"
    );
}

#[test]
fn what_has_not_changed_is_not_compiled_anew() {
    let entries = [entry("a", Some(json!(true))), entry("b", Some(json!(true)))];
    let (first, _) = Catalogue::new(UnknownTypes::Accept).of(1, &entries);
    let mut changed = entries.clone();
    changed[1].version = 2;
    let (second, _) = first.of(2, &changed);
    let same = |name: &str| Arc::ptr_eq(&first.types[name], &second.types[name]);
    assert!(same("a") && !same("b"));
}

#[test]
fn schemas_are_bounded_and_refer_only_to_themselves() {
    for (schema, named) in [
        (json!(5), "must be an object"),
        (json!({"type": "nothing"}), "#/type"),
        (
            json!({"$ref": "https://example.com/x"}),
            "no other is ever fetched",
        ),
        (json!({"$ref": "#/$defs/missing"}), "not there"),
        (json!({"$ref": "#"}), "refers to itself"),
        (json!({"allOf": [{"$ref": "#"}]}), "refers to itself"),
        (
            json!({"$defs": {"tree": {"properties": {"left": {"$ref": "#/$defs/tree"}}}}}),
            "refers to itself",
        ),
        // Of an older dialect, and looked at all the same.
        (
            json!({"dependencies": {"a": {"$ref": "#"}}}),
            "refers to itself",
        ),
        (
            json!({"dependencies": {"a": {"$id": "https://e.com/a"}}}),
            "not supported",
        ),
        (json!({"items": [{"$ref": "#"}]}), "#/items"),
        (json!({"$dynamicRef": "#x"}), "not supported"),
        (
            json!({"properties": {"a": {"$id": "https://e.com/a"}}}),
            "not supported",
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            "2020-12",
        ),
        // Cannot be run in linear time.
        (json!({"pattern": "(?=a)b"}), "#/pattern"),
        (json!({"pattern": "((a{1000}){1000}){1000}"}), "#/pattern"),
    ] {
        let message = refusal(&schema);
        assert!(message.contains(named), "{schema}: {message}");
    }
    // Each level doubles what a check would do.
    let mut definitions = serde_json::Map::new();
    for level in 0..30 {
        let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
        definitions.insert(format!("l{level}"), json!({"anyOf": [next, next]}));
    }
    definitions.insert("l30".to_owned(), json!(true));
    let doubling = json!({"$ref": "#/$defs/l0", "$defs": definitions});
    assert!(refusal(&doubling).contains("parts"));
    let mut deep = json!(true);
    for _ in 0..40 {
        deep = json!({"not": deep});
    }
    assert!(refusal(&deep).contains("levels deep"));
    let long = json!({"description": "x".repeat(MAX_SCHEMA_BYTES)});
    assert!(refusal(&long).contains("bytes"));
}

#[test]
fn a_pattern_that_backtracks_elsewhere_is_linear_here() {
    let schema = Schema::parse(r#"{"pattern": "^(a+)+$"}"#).unwrap();
    let hostile = Value::String(format!("{}b", "a".repeat(100_000)));
    assert_eq!(schema.faults(&hostile, 10).len(), 1);
}

#[test]
fn names_with_slashes_and_percents_are_found() {
    let schema = json!({
        "$id": "https://example.com/mine",
        "properties": {"x": {"$ref": "#/$defs/a~1b%20c"}},
        "$defs": {"a/b c": {"type": "integer"}},
    });
    let schema = Schema::parse(&schema.to_string()).unwrap();
    assert!(schema.faults(&json!({"x": 1}), 10).is_empty());
    assert_eq!(schema.faults(&json!({"x": "1"}), 10)[0].0, "/x");
}

#[test]
fn faults_are_few_and_short() {
    let schema = json!({"items": {"enum": ["x".repeat(5_000)]}});
    let schema = Schema::parse(&schema.to_string()).unwrap();
    let faults = schema.faults(&json!(vec![1; 500]), 10);
    assert_eq!(faults.len(), 10);
    assert!(faults.iter().all(|(_, message)| message.len() < 1_000));
}

proptest! {
    #[test]
    fn reading_a_schema_never_panics(text in any::<String>(), pointer in "#?/?[%~/a-z0-9]{0,12}") {
        let _ = Schema::parse(&text);
        let referring = json!({"$ref": pointer, "$defs": {"a": {}}});
        let _ = Schema::parse(&referring.to_string());
    }
}
