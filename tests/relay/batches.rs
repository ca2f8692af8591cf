//! Arrays of events, and bodies at and beyond their bounds.

use serde_json::{Value, json};

use crate::support::relay::{rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    a_batch_is_answered_item_by_item,
    one_bad_item_refuses_the_whole_batch,
    without_atomicity_good_items_are_accepted,
    a_batch_has_bounds,
    what_is_too_large_is_refused_as_such,
    payloads_arrive_byte_for_byte,
    nesting_has_a_bound,
    what_is_no_event_is_refused_with_its_place,
);

const EVENTS: &str = "/api/v1/events";
const EACH: &str = "/api/v1/events?atomic=false";

async fn stored(relay: &Relay) -> usize {
    let page = relay.api.get("/api/v1/events?limit=100").await;
    rows(&page).len()
}

fn orders(count: usize) -> Value {
    let order = |n| json!({"eventType": "order.created", "data": {"orderId": format!("ord_{n}")}});
    (0..count).map(order).collect()
}

async fn a_batch_is_answered_item_by_item(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let batch = json!([
        {"eventType": "order.created", "data": {"orderId": "ord_12345", "value": 99.99}},
        {"eventType": "order.paid", "data": {"orderId": "ord_12345"}},
        {"eventType": "order.shipped", "data": {"orderId": "ord_12345"}},
    ]);
    for path in [EVENTS, EACH] {
        let answer = relay.api.post(202, path, &batch).await;
        assert_eq!(answer["message"], "All 3 events successfully enqueued");
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 3);
        for (result, sent) in results.iter().zip(batch.as_array().unwrap()) {
            // Exactly these three fields, as partners' clients know them.
            let expected = json!({
                "eventId": text(result, "eventId"),
                "eventType": sent["eventType"],
                "status": "success",
            });
            assert_eq!(*result, expected);
        }
        for (result, sent) in results.iter().zip(batch.as_array().unwrap()) {
            let delivery = relay.final_delivery(text(result, "eventId")).await;
            assert_eq!(delivery["status"], "delivered");
            let all = receiver.all();
            let got = all.iter().find(|one| one.event_id() == result["eventId"]);
            assert_eq!(got.unwrap().json()["data"], sent["data"]);
        }
    }
    assert_eq!(receiver.count(), 6);
}

async fn one_bad_item_refuses_the_whole_batch(profile: Profile) {
    let relay = Relay::start(profile).await;
    let good = json!({"eventType": "order.created", "data": {}});
    for (bad, place) in [
        (json!({"data": {}}), "[1].eventType"),
        (
            json!({"eventType": "order..created", "data": {}}),
            "[1].eventType",
        ),
        (json!({"eventType": "order.created"}), "[1].data"),
        (json!({"eventType": 7, "data": {}}), "[1].eventType"),
        (json!("order.created"), "[1]"),
    ] {
        let batch = json!([good, bad, good]);
        let answer = relay.api.post(400, EVENTS, &batch).await;
        let error = text(&answer, "error");
        assert!(
            error.starts_with("Invalid request body. Errors: "),
            "{error}"
        );
        assert!(error.contains(place), "{bad}: {error}");
        assert_eq!(answer["faults"][0]["path"], place, "{answer}");
    }
    // Every fault is named, not only the first.
    let answer = relay.api.post(400, EVENTS, &json!([{}, good, {}])).await;
    let error = text(&answer, "error");
    for place in ["[0].eventType", "[0].data", "[2].eventType", "[2].data"] {
        assert!(error.contains(place), "{error}");
    }
    assert_eq!(stored(&relay).await, 0);
}

async fn without_atomicity_good_items_are_accepted(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let good = json!({"eventType": "order.created", "data": {}});
    let bad = json!({"eventType": "not an event type", "data": {}});
    let answer = relay.api.post(207, EACH, &json!([good, bad, good])).await;
    assert_eq!(answer["message"], "2 of 3 events enqueued");
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<&str> = results.iter().map(|one| text(one, "status")).collect();
    assert_eq!(statuses, ["success", "failed", "success"]);
    assert_eq!(results[1]["eventType"], "not an event type");
    assert!(
        text(&results[1], "error").contains("[1].eventType"),
        "{answer}"
    );
    assert!(results[1].get("eventId").is_none());
    assert!(results[0].get("error").is_none());

    let events = receiver.received_events(2).await;
    assert!(events.contains_key(text(&results[0], "eventId")));
    assert!(events.contains_key(text(&results[2], "eventId")));
    // All bad is no success either, and still no 400: each stands for itself.
    let answer = relay.api.post(207, EACH, &json!([bad])).await;
    assert_eq!(answer["results"][0]["status"], "failed");
    relay.nothing_pending().await;
    assert_eq!(stored(&relay).await, 2);
}

async fn a_batch_has_bounds(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let answer = relay.api.post(400, EVENTS, &orders(101)).await;
    assert!(text(&answer, "error").contains("at most 100"), "{answer}");
    relay.api.post(400, EACH, &orders(101)).await;
    relay.api.post(400, EVENTS, &orders(0)).await;
    assert_eq!(stored(&relay).await, 0);

    let answer = relay.api.post(202, EVENTS, &orders(100)).await;
    assert_eq!(answer["results"].as_array().unwrap().len(), 100);
    assert_eq!(receiver.received_events(100).await.len(), 100);
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 100);
}

async fn what_is_too_large_is_refused_as_such(profile: Profile) {
    let bounds = [
        ("POSTHASTE_EVENTS__MAX_PAYLOAD_BYTES", "2048"),
        ("POSTHASTE_EVENTS__MAX_BODY_BYTES", "8192"),
    ];
    let relay = Relay::start_with(profile, &bounds).await;
    // With its quotes: exactly at the bound, and one byte beyond.
    let payload = |bytes: usize| "x".repeat(bytes - 2);
    let event = |bytes| json!({"eventType": "a", "data": payload(bytes)});
    relay.api.post(202, EVENTS, &event(2048)).await;
    let answer = relay.api.post(413, EVENTS, &event(2049)).await;
    assert!(text(&answer, "error").contains("2048"), "{answer}");
    let answer = relay
        .api
        .post(413, EVENTS, &json!([event(9), event(2049)]))
        .await;
    assert!(text(&answer, "error").contains("[1].data"), "{answer}");

    let five: Vec<Value> = (0..5).map(|_| event(2000)).collect();
    let answer = relay.api.post(413, EVENTS, &json!(five)).await;
    assert!(text(&answer, "error").contains("8192"), "{answer}");
    assert_eq!(stored(&relay).await, 1);
}

async fn payloads_arrive_byte_for_byte(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    for payload in [
        r#"{ "z" : 1.0,	"a":1E400, "a":-0.0 , "big":123456789012345678901234567890 }"#,
        "{\n  \"text\": \"\\u00e9 \\ud83d\\ude00 é 😀 \\/ \\u0000\"\r\n}",
        r#""\ud800 alone""#,
        r#"[ 0.10000000000000000000000000000001 , 1e-7, "" , [ ] , { } ]"#,
        "null",
        "false",
        "-0",
    ] {
        let count = receiver.count();
        let body = format!(r#"{{"eventType":"raw.bytes", "payload": {payload} }}"#);
        let (status, answer) = relay.api.post_raw(EVENTS, body).await;
        assert_eq!(status, 202, "{payload}: {answer}");
        let event = text(&answer, "eventId");

        let received = receiver.received(count + 1).await.remove(count);
        let body = std::str::from_utf8(&received.body).unwrap();
        let stands = format!(r#""data":{payload},"timestamp""#);
        assert!(body.contains(&stands), "{payload} in {body}");
        let shown = relay.api.get_text(&format!("{EVENTS}/{event}")).await;
        assert!(
            shown.contains(&format!(r#""payload":{payload},"#)),
            "{shown}"
        );
    }
}

async fn nesting_has_a_bound(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let event = |levels| format!(r#"{{"eventType":"deep","data":{}}}"#, nested(levels));

    let (status, answer) = relay.api.post_raw(EVENTS, event(129)).await;
    assert_eq!(status, 400);
    assert!(text(&answer, "error").contains("128 levels"), "{answer}");
    let (status, answer) = relay.api.post_raw(EVENTS, event(100_000)).await;
    assert_eq!(status, 400, "{answer}");
    let (status, answer) = relay.api.post_raw(EVENTS, event(128)).await;
    assert_eq!(status, 202, "{answer}");
    let received = receiver.received(1).await.remove(0);
    let body = std::str::from_utf8(&received.body).unwrap();
    assert!(body.contains(&nested(128)), "{body}");
    let path = format!("{EVENTS}/{}", text(&answer, "eventId"));
    assert!(relay.api.get_text(&path).await.contains(&nested(128)));
    // In a batch, whose own brackets do not count.
    let (status, answer) = relay
        .api
        .post_raw(EVENTS, format!("[{}]", event(128)))
        .await;
    assert_eq!(status, 202, "{answer}");
}

async fn what_is_no_event_is_refused_with_its_place(profile: Profile) {
    let relay = Relay::start(profile).await;
    for (body, word) in [
        ("", "empty"),
        ("  ", "empty"),
        ("{", "not JSON"),
        (r#"{"eventType":"a","data":{}} x"#, "not JSON"),
        ("7", "object or an array"),
        (r#"{"eventType":"a"}"#, "data is required"),
        (r#"{"eventType":"a","data":1,"payload":1}"#, "payload"),
        (
            r#"{"eventType":"a","eventType":"b","data":1}"#,
            "given twice",
        ),
        (r#"{"eventType":"posthaste.x","data":1}"#, "eventType"),
        (
            r#"{"eventType":"a","data":1,"occurredAt":"today"}"#,
            "occurredAt",
        ),
        (r#"{"eventType":"a","data":1,"source":"\u0000"}"#, "source"),
    ] {
        let (status, answer) = relay.api.post_raw(EVENTS, body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(text(&answer, "error").contains(word), "{body}: {answer}");
    }
    let not_text = relay.api.request(reqwest::Method::POST, EVENTS);
    let answer = not_text
        .body(b"{\"eventType\":\"\xff\"}".to_vec())
        .send()
        .await;
    assert_eq!(answer.unwrap().status(), 400);
    assert_eq!(stored(&relay).await, 0);
}
