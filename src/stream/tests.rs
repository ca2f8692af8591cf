use serde_json::json;

use super::*;
use crate::events::EngineEvent;

fn nth(text: &str) -> Fact {
    Fact::of_stream(Kind::Reset, &json!({"n": text}))
}

#[test]
fn what_another_node_says_reads_back_as_it_was_and_never_as_two_lines() {
    let fact = Fact {
        kind: Kind::EventAccepted,
        tenant: Some("t".into()),
        subscription: None,
        ..nth("a\nb")
    };
    let message = message::Message {
        from: Uuid::from_u128(1),
        run: u64::MAX,
        first: 7,
        facts: vec![fact],
    };
    let written = message::written(&message);
    let read: message::Message = serde_json::from_slice(&written).unwrap();
    assert_eq!(
        (read.from, read.run, read.first),
        (message.from, u64::MAX, 7)
    );
    let fact = &read.facts[0];
    assert_eq!(fact.kind, Kind::EventAccepted);
    assert_eq!(fact.tenant.as_deref(), Some("t"));
    assert_eq!(fact.data.get(), r#"{"n":"a\nb"}"#);
    assert!(fact.is_one_line());
    let spread = "{\"kind\":\"reset\",\"data\":{\n\"n\":1}}";
    let fact: Fact = serde_json::from_str(spread).unwrap();
    assert!(!fact.is_one_line());
}

#[test]
fn what_is_told_weighs_little_while_it_waits_for_followers() {
    // The queue of facts has room for thousands of them, and is made at the start.
    assert!(
        size_of::<EngineEvent>() <= 128,
        "{}",
        size_of::<EngineEvent>()
    );
}
