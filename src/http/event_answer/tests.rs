use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::domain::Timestamp;
use crate::http::event_input::{Arrival, Bounds, Sender, parse};

fn input(body: &Value) -> Input {
    let arrival = Arrival {
        sender: Sender {
            tenant: None,
            must_name: false,
            is_inactive: &|_| false,
        },
        now: Timestamp::default(),
        header_key: None,
        new_id: || EventId(uuid::Uuid::from_u128(1)),
    };
    let bounds = Bounds {
        max_batch: 10,
        max_payload_bytes: 100,
    };
    parse(&Bytes::from(body.to_string()), &arrival, &bounds).unwrap()
}

async fn shown(answer: Result<Accepted>) -> (u16, Value) {
    let (parts, body) = match answer {
        Ok(accepted) => accepted.into_response_with(HeaderMap::new()).into_parts(),
        Err(error) => return (error.status().as_u16(), error.to_json("r")),
    };
    assert_eq!(parts.headers[header::CONTENT_TYPE], "application/json");
    let bytes = axum::body::to_bytes(body, 9_999).await.unwrap();
    (
        parts.status.as_u16(),
        serde_json::from_slice(&bytes).unwrap(),
    )
}

/// An engine that answers by the event's type.
async fn engine(unit: Vec<NewEvent>) -> AcceptAnswer {
    let fate = |new: &NewEvent| match new.event.event_type.as_str() {
        "again" => ItemFate::Duplicate(EventId(uuid::Uuid::from_u128(2))),
        _ => ItemFate::New,
    };
    match unit[0].event.event_type.as_str() {
        "busy" => AcceptAnswer::Overloaded,
        "away" => AcceptAnswer::Unavailable,
        "clash" => AcceptAnswer::Conflict(vec![0]),
        "bad" => AcceptAnswer::Refused("holds X".into()),
        _ => AcceptAnswer::Accepted(unit.iter().map(fate).collect()),
    }
}

fn event(event_type: &str) -> Value {
    json!({"eventType": event_type, "data": 1})
}

const FIRST: &str = "00000000-0000-0000-0000-000000000001";
const SECOND: &str = "00000000-0000-0000-0000-000000000002";

#[tokio::test]
async fn a_single_event_and_a_batch_are_answered_in_their_shapes() {
    let answer = shown(accept_whole(input(&event("again")), engine).await).await;
    let expected = json!({
        "eventId": SECOND, "id": SECOND, "eventType": "again", "status": "success",
        "duplicate": true, "message": "Event accepted",
    });
    assert_eq!(answer, (202, expected));
    let batch = json!([event("a"), event("again"), event("a")]);
    let answer = shown(accept_whole(input(&batch), engine).await).await;
    let expected = json!({
        "message": "All 3 events successfully enqueued",
        "results": [
            {"eventId": FIRST, "eventType": "a", "status": "success"},
            {"eventId": SECOND, "eventType": "again", "status": "success", "duplicate": true},
            {"eventId": FIRST, "eventType": "a", "status": "success"},
        ],
    });
    assert_eq!(answer, (202, expected));
}

#[tokio::test]
async fn one_faulty_item_refuses_the_batch() {
    let batch = json!([event("a"), {"eventType": "b"}, 7]);
    let never = |_| async { unreachable!("nothing is handed over") };
    let (status, body) = shown(accept_whole(input(&batch), never).await).await;
    assert_eq!(status, 400);
    assert_eq!(
        body["error"],
        "Invalid request body. Errors: [1].data is required (or payload, which means the same); \
         [2] must be an object"
    );
    assert_eq!(body["faults"][1]["path"], "[2]");
    let large = json!([event("a"), {"eventType": "b", "data": "x".repeat(100)}]);
    assert_eq!(shown(accept_whole(input(&large), never).await).await.0, 413);
}

#[tokio::test]
async fn items_on_their_own_succeed_and_fail_alone() {
    let batch =
        json!([event("a"), event("busy"), event("clash"), event("bad"), {"eventType": "b"}]);
    let (status, body) = shown(accept_each(input(&batch).items, engine).await).await;
    assert_eq!(status, 207);
    assert_eq!(body["message"], "1 of 5 events enqueued");
    let results = body["results"].as_array().unwrap();
    assert_eq!(
        results[0],
        json!({"eventId": FIRST, "eventType": "a", "status": "success"})
    );
    for (index, error) in [
        (1, "temporarily unavailable"),
        (2, "idempotencyKey was used before for other content"),
        (3, REFUSED),
        (4, "[4].data is required (or payload, which means the same)"),
    ] {
        assert_eq!(results[index]["error"], error);
        assert_eq!(results[index]["status"], "failed");
        assert!(results[index].get("eventId").is_none());
    }
    let fine = json!([event("a"), event("b")]);
    let (status, body) = shown(accept_each(input(&fine).items, engine).await).await;
    assert_eq!(
        (status, &body["message"]),
        (202, &json!("All 2 events successfully enqueued"))
    );
    let none = json!([event("busy"), event("away")]);
    assert_eq!(
        shown(accept_each(input(&none).items, engine).await).await.0,
        503
    );
}

#[test]
fn answers_for_units_of_which_nothing_is_stored() {
    for (answer, is_batch, status, word) in [
        (
            AcceptAnswer::Conflict(vec![2]),
            true,
            422,
            "[2].idempotencyKey was used",
        ),
        (
            AcceptAnswer::Conflict(vec![0]),
            false,
            422,
            "idempotencyKey was used",
        ),
        (
            AcceptAnswer::Refused("holds X".into()),
            false,
            400,
            "body was refused",
        ),
        (AcceptAnswer::Overloaded, false, 503, "waiting"),
        (
            AcceptAnswer::Unavailable,
            true,
            503,
            "nothing was acknowledged",
        ),
        (AcceptAnswer::Draining, true, 503, "stopping"),
    ] {
        let error = accepted(answer, is_batch).unwrap_err();
        assert_eq!(error.status().as_u16(), status, "{error:?}");
        assert!(format!("{error:?}").contains(word), "{error:?}");
    }
}
