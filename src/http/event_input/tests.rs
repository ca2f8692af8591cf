use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

const BOUNDS: Bounds = Bounds {
    max_batch: 3,
    max_payload_bytes: 300,
};

fn parse_with(body: &[u8], header_key: Option<&str>) -> Result<Input, Vec<Fault>> {
    let arrival = Arrival {
        sender: Sender {
            tenant: None,
            must_name: false,
            is_inactive: &|_| false,
        },
        now: Timestamp::from_micros(7),
        header_key,
        new_id: || EventId(uuid::Uuid::from_u128(9)),
    };
    parse(&Bytes::copy_from_slice(body), &arrival, &BOUNDS)
}

fn events(body: &str, header_key: Option<&str>) -> Vec<NewEvent> {
    let input = parse_with(body.as_bytes(), header_key).unwrap();
    input
        .items
        .into_iter()
        .map(|item| item.event.unwrap())
        .collect()
}

/// Every fault of a body, as one line each.
fn faults_with(body: &str, header_key: Option<&str>) -> Vec<String> {
    let faults = match parse_with(body.as_bytes(), header_key) {
        Err(faults) => faults,
        Ok(input) => input
            .items
            .into_iter()
            .filter_map(|item| item.event.err())
            .flatten()
            .collect(),
    };
    faults.iter().map(Fault::to_string).collect()
}

fn faults(body: &str) -> Vec<String> {
    faults_with(body, None)
}

fn keys(body: &str, header_key: &str) -> Vec<Option<String>> {
    let events = events(body, Some(header_key));
    events
        .iter()
        .map(|new| new.event.idempotency_key.as_deref().map(str::to_owned))
        .collect()
}

fn nested(levels: usize) -> String {
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    format!(r#"{{"eventType":"a","data":{open}{close}}}"#)
}

#[test]
fn requests_of_the_source_systems_are_read() {
    let s2 = r#"{"eventType":"candidate.created","eventName":"Candidate John Doe Created",
        "payload":{"id":1},"source":"candidates-service"}"#;
    let event = events(s2, None).remove(0).event;
    assert_eq!(event.event_type.as_str(), "candidate.created");
    assert_eq!(
        event.event_name.as_deref(),
        Some("Candidate John Doe Created")
    );
    assert_eq!(event.source.as_deref(), Some("candidates-service"));
    assert_eq!(event.received_at, Timestamp::from_micros(7));

    let s3 = r#"{"eventType":"job.created","payload":{"jobId":"123"},"idempotencyKey":"k","clientId":"c"}"#;
    let event = events(s3, None).remove(0).event;
    assert_eq!(event.idempotency_key.as_deref(), Some("k"));
    assert_eq!(event.tenant.as_deref(), Some("c"));

    let s5 = r#"[{"eventType":"order.created","data":{"orderId":"ord_12345","value":99.99}}]"#;
    let event = events(s5, None).remove(0).event;
    assert_eq!(event.payload, r#"{"orderId":"ord_12345","value":99.99}"#);
}

#[test]
fn every_field_is_read() {
    let body = r#"{"eventType":"a.b","data":1,"eventName":"n","source":"s","idempotencyKey":"k",
        "orderingKey":"o","tenant":"t","occurredAt":"2025-10-26T12:00:00+02:00","else":[{}]}"#;
    let event = events(body, None).remove(0).event;
    assert_eq!(event.ordering_key.as_deref(), Some("o"));
    assert_eq!(event.tenant.as_deref(), Some("t"));
    assert_eq!(
        event.occurred_at.unwrap().to_string(),
        "2025-10-26T10:00:00.000Z"
    );
    let nulls = r#"{"eventType":"a","data":null,"eventName":null,"source":null,"idempotencyKey":null,
        "orderingKey":null,"tenant":null,"clientId":null,"occurredAt":null}"#;
    let event = events(nulls, None).remove(0).event;
    assert_eq!(event.payload, "null");
    assert_eq!((&event.tenant, &event.idempotency_key), (&None, &None));
}

#[test]
fn payloads_stay_the_bytes_that_came() {
    for payload in [
        r#"{ "b" : 1.0, "a":"\u00e9\/", "n":123456789012345678901234567890, "e": 1E+400 }"#,
        "[\n\t1 ,\r\n2 ]",
        r#""\ud800""#,
        r#"{"a":1,"a":2}"#,
        "null",
        "\"é\"",
        "-0",
    ] {
        let single = format!(r#" {{ "data" : {payload} , "eventType":"a"}} "#);
        assert_eq!(events(&single, None)[0].event.payload, payload);
        let batch = format!(r#"[{single},{{"eventType":"a","payload":{payload}}}]"#);
        for new in events(&batch, None) {
            assert_eq!(new.event.payload, payload);
        }
    }
}

#[test]
fn a_payload_shares_the_body_only_where_it_is_large_and_most_of_it() {
    for (payload, body, shares) in [
        (SHARED_FROM, SHARED_FROM * 2, true),
        (SHARED_FROM, SHARED_FROM * 2 + 2, false),
        (SHARED_FROM - 1, SHARED_FROM, false),
    ] {
        let body = Bytes::from("x".repeat(body));
        let text = std::str::from_utf8(&body[..payload]).unwrap();
        let kept = kept(&body, text);
        assert_eq!(kept.as_ptr() == body.as_ptr(), shares, "{payload}");
        assert_eq!(kept, text);
    }
}

#[test]
fn every_fault_is_named_with_its_place() {
    let long = "x".repeat(256);
    let cases: Vec<(String, Vec<&str>)> = vec![
        ("".into(), vec!["body is empty"]),
        (" \n".into(), vec!["body is empty"]),
        (
            "{".into(),
            vec!["body is not JSON: EOF while parsing an object at line 1 column 1"],
        ),
        (
            "\n{\"a\":1,}".into(),
            vec!["body is not JSON: trailing comma at line 2 column 8"],
        ),
        ("[1,2".into(), vec!["body is not JSON: EOF"]),
        ("nope".into(), vec!["body is not JSON"]),
        (
            r#"{"eventType":"a","data":1} x"#.into(),
            vec!["body is not JSON: trailing characters"],
        ),
        (
            r#"{"eventType":"a","data":01}"#.into(),
            vec!["body is not JSON"],
        ),
        (
            "\"text\"".into(),
            vec!["body must be an object or an array"],
        ),
        ("17".into(), vec!["body must be an object or an array"]),
        ("[]".into(), vec!["body must hold at least one event"]),
        (
            "[0,0,0,0]".into(),
            vec!["body must hold at most 3 events, not 4"],
        ),
        (
            "{}".into(),
            vec!["eventType is required", "data is required"],
        ),
        (
            "[{},0,[]]".into(),
            vec![
                "[0].eventType is required",
                "[0].data is required",
                "[1] must be an object",
                "[2] must be an object",
            ],
        ),
        (
            r#"{"eventType":1,"data":1}"#.into(),
            vec!["eventType must be a text"],
        ),
        (
            r#"{"eventType":null,"data":1}"#.into(),
            vec!["eventType is required"],
        ),
        (
            r#"{"eventType":"a b","data":1}"#.into(),
            vec!["eventType must be segments"],
        ),
        (
            r#"{"eventType":"posthaste.x","data":1}"#.into(),
            vec!["eventType must not begin"],
        ),
        (
            r#"{"eventType":"a","data":1,"payload":1}"#.into(),
            vec!["data cannot stand beside payload"],
        ),
        (
            r#"{"eventType":"a","data":1,"source":""}"#.into(),
            vec!["source must be 1 to 255"],
        ),
        (
            r#"{"eventType":"a","data":1,"source":7}"#.into(),
            vec!["source must be a text"],
        ),
        (
            r#"{"eventType":"a","data":1,"source":"\ud800"}"#.into(),
            vec!["source must be a text"],
        ),
        (
            r#"{"eventType":"a","data":1,"eventName":"a\u0000"}"#.into(),
            vec!["eventName must not hold control"],
        ),
        (
            format!(r#"{{"eventType":"a","data":1,"orderingKey":"{long}"}}"#),
            vec!["orderingKey must be 1 to 255"],
        ),
        (
            format!(r#"{{"eventType":"a","data":1,"idempotencyKey":"{long}"}}"#),
            vec!["idempotencyKey must be 1 to 255"],
        ),
        (
            r#"{"eventType":"a","data":1,"tenant":"x","clientId":"y"}"#.into(),
            vec!["clientId contradicts tenant"],
        ),
        (
            r#"{"eventType":"a","data":1,"occurredAt":"yesterday"}"#.into(),
            vec!["occurredAt must be a time"],
        ),
        (
            r#"{"eventType":"a","data":1,"occurredAt":5}"#.into(),
            vec!["occurredAt must be a text"],
        ),
        (
            r#"{"eventType":"a","data":1,"eventType":"a","data":1}"#.into(),
            vec!["eventType is given twice", "data is given twice"],
        ),
        (
            r#"{"eventType":"a","data":1,"event\u0054ype":"a"}"#.into(),
            vec!["eventType is given twice"],
        ),
        (nested(129), vec!["data must nest at most 128 levels deep"]),
        (
            format!(r#"{{"eventType":"a","data":"{}"}}"#, "x".repeat(299)),
            vec!["data must have at most 300 bytes, not 301"],
        ),
    ];
    for (body, expected) in cases {
        let found = faults(&body);
        assert_eq!(found.len(), expected.len(), "{body}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{body}: {found}");
        }
    }
    assert_eq!(faults(&nested(128)), Vec::<String>::new());
    let bad = parse_with(b"{\"eventType\":\"\xff\",\"data\":1}", None).unwrap_err();
    assert_eq!(
        bad[0].to_string(),
        "body is not JSON: not UTF-8 after byte 14"
    );
}

#[test]
fn a_single_object_takes_the_header_key_and_an_array_numbers_it() {
    let plain = r#"{"eventType":"a","data":1}"#;
    let own = r#"{"eventType":"a","data":1,"idempotencyKey":"own"}"#;
    let some = |key: &str| Some(key.to_owned());
    assert_eq!(keys(plain, "K"), [some("K")]);
    assert_eq!(keys(own, "own"), [some("own")]);
    assert_eq!(
        keys(&format!("[{plain},{own},{plain}]"), "K"),
        [some("K/0"), some("own"), some("K/2")]
    );
    assert_eq!(
        faults_with(own, Some("K")),
        ["idempotencyKey contradicts the Idempotency-Key header"]
    );
    let long = "k".repeat(254);
    assert_eq!(keys(plain, &long), [Some(long.clone())]);
    assert_eq!(
        faults_with(&format!("[{plain},{{}}]"), Some(&long)),
        [
            "Idempotency-Key must be 1 to 255 characters long, not 256",
            "[1].eventType is required",
            "[1].data is required (or payload, which means the same)",
        ]
    );
}

#[test]
fn content_is_the_item_as_sent() {
    let content = |body: &str| events(body, Some("K"))[0].content;
    let item = r#"{"eventType":"a","data":1}"#;
    assert_eq!(content(item), <[u8; 32]>::from(Sha256::digest(item)));
    assert_eq!(content(item), content(&format!(" {item}\n")));
    assert_eq!(content(item), content(&format!("[ {item} ]")));
    assert_ne!(content(item), content(r#"{"eventType":"a","data": 1}"#));
    assert_ne!(
        content(item),
        content(r#"{"eventType":"a","data":1,"unknown":0}"#)
    );
}

#[test]
fn a_faulty_item_still_tells_its_type() {
    let input = parse_with(br#"[{"eventType":"a b"},{"eventType":3}]"#, None).unwrap();
    let types: Vec<_> = input
        .items
        .iter()
        .map(|item| item.event_type.as_deref())
        .collect();
    assert_eq!(types, [Some("a b"), None]);
}

/// JSON of some shape, or nearly.
fn jsonish() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        "[\\[\\]{},:\" ]{0,4}",
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let name = prop_oneof![
            Just("eventType".to_owned()),
            Just("data".to_owned()),
            Just("payload".to_owned()),
            Just("idempotencyKey".to_owned()),
            any::<String>(),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((name, inner), 0..5).prop_map(|fields| {
                let fields: Vec<_> = fields
                    .into_iter()
                    .map(|(name, value)| format!("{}:{value}", serde_json::Value::from(name)))
                    .collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in any::<Vec<u8>>(), key in any::<Option<String>>()) {
        let _ = parse_with(&bytes, key.as_deref());
    }

    #[test]
    fn parsing_json_never_panics(text in jsonish(), key in any::<Option<String>>()) {
        let _ = parse_with(text.as_bytes(), key.as_deref());
    }

    /// Items get the header's key as it is, or numbered; one that would be too long is refused.
    #[test]
    fn a_headers_key_goes_to_every_item(key in any::<String>(), long in "[!-~]{250,257}") {
        for key in [key, long] {
            for (body, expected) in [
                (r#"{"eventType":"a","data":1}"#, vec![key.clone()]),
                (
                    r#"[{"eventType":"a","data":1},{"eventType":"a","data":1}]"#,
                    vec![format!("{key}/0"), format!("{key}/1")],
                ),
            ] {
                let sound = text::check(expected.last().unwrap()).is_ok();
                let read = parse_with(body.as_bytes(), Some(&key));
                prop_assert_eq!(read.is_ok(), sound);
                if sound {
                    let expected: Vec<_> = expected.into_iter().map(Some).collect();
                    prop_assert_eq!(keys(body, &key), expected);
                }
            }
        }
    }

    /// A text is read from its place in the body as any reader of JSON would read it.
    #[test]
    fn texts_mean_what_they_mean_in_json(text in any::<String>(), other in jsonish()) {
        let quoted = serde_json::Value::from(text).to_string();
        for raw in [quoted.as_str(), other.trim(), r#""\u0061\"\\""#, r#""\ud800""#, "\"\""] {
            if serde_json::from_str::<IgnoredAny>(raw).is_err() {
                continue;
            }
            let expected = serde_json::from_str::<String>(raw).ok();
            prop_assert_eq!(read_text(raw).map(Cow::into_owned), expected);
        }
    }

    /// Whatever JSON a payload is, its bytes come through.
    #[test]
    fn payloads_come_through(text in jsonish(), gap in "[ \n\t]{0,3}") {
        prop_assume!(serde_json::from_str::<IgnoredAny>(&text).is_ok());
        prop_assume!(text.trim_ascii().len() <= 300);
        let body = format!(r#"{{"eventType":"a","data":{gap}{text}{gap}}}"#);
        let event = events(&body, None).remove(0).event;
        prop_assert_eq!(&event.payload[..], text.trim_ascii().as_bytes());
    }
}
