//! Personal data that is erased, and nothing that goes on without it.

use posthaste::events::EngineEvent;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::{Answer, status};
use crate::support::relay::{rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    an_erased_payload_is_gone_and_stays_gone,
    pending_deliveries_stand_against_it_or_are_cancelled;
    in_one_process: what_flies_ends_first,
);

fn path(event: &str) -> String {
    format!("/api/v1/events/{event}/payload")
}

async fn erase(relay: &Relay, status: u16, event: &str, query: &str) -> Value {
    let path = format!("{}{query}", path(event));
    relay.api.expect(status, Method::DELETE, &path, None).await
}

/// Says back what it was sent.
fn echoing(text: &'static str) -> Answer {
    let mut answer = status(200);
    *answer.body_mut() = text.into();
    answer
}

async fn an_erased_payload_is_gone_and_stays_gone(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::answering(|_, _| echoing("hello John Doe")).await;
    let to = relay.api.subscribe(&receiver, json!({})).await;
    let body = json!({"eventType": "candidate.created", "eventName": "Jane Roe Created",
        "payload": {"name": "John Doe"}});
    let event = relay.api.post(202, "/api/v1/events", &body).await;
    let event = text(&event, "eventId");
    let delivery = relay.final_delivery(event).await;
    assert_eq!(delivery["responseBody"], "hello John Doe");
    let erased = erase(&relay, 200, event, "").await;
    assert_eq!(erased["cancelled"], 0);

    let shown = relay.api.get_text(&format!("/api/v1/events/{event}")).await;
    assert!(!shown.contains("Doe") && !shown.contains("Roe"), "{shown}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["payload"], Value::Null);
    assert_eq!(shown["payloadErasedAt"], erased["payloadErasedAt"]);
    let delivery = relay.api.delivery_of(event).await;
    assert!(!delivery.to_string().contains("Doe"), "{delivery}");
    assert_eq!(delivery["status"], "delivered");

    let refused = relay.api.retry(409, &delivery).await;
    assert!(text(&refused, "error").contains("was erased"), "{refused}");
    let body = format!("/api/v1/deliveries/{}/body", text(&delivery, "id"));
    let refused = relay.api.expect(409, Method::GET, &body, None).await;
    assert!(text(&refused, "error").contains("was erased"), "{refused}");
    let replay = format!("{}/replay", to.path());
    let named = json!({"eventIds": [event]});
    let refused = relay.api.post(409, &replay, &named).await;
    assert!(text(&refused, "error").contains("was erased"), "{refused}");
    // Again: the same answer.
    assert_eq!(
        erase(&relay, 200, event, "").await["payloadErasedAt"],
        erased["payloadErasedAt"]
    );
    let unknown = "0190b5a0-0000-7000-8000-000000000000";
    erase(&relay, 404, unknown, "").await;
    let log = relay
        .api
        .get("/api/v1/audit?action=event.delete_payload")
        .await;
    assert_eq!(rows(&log).len(), 1, "{log}");
    assert_eq!(rows(&log)[0]["thingId"], event);
}

async fn pending_deliveries_stand_against_it_or_are_cancelled(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let to = relay
        .api
        .subscribe(&receiver, json!({"isActive": false}))
        .await;
    let event = relay
        .api
        .send("job.created", json!({"name": "John Doe"}))
        .await;
    let refused = erase(&relay, 409, &event, "").await;
    assert!(
        text(&refused, "error").contains("cancelPending=true"),
        "{refused}"
    );
    let shown = relay.api.get_text(&format!("/api/v1/events/{event}")).await;
    assert!(shown.contains("John Doe"));
    let erased = erase(&relay, 200, &event, "?cancelPending=true").await;
    assert_eq!(erased["cancelled"], 1);
    assert_eq!(relay.api.delivery_of(&event).await["status"], "cancelled");
    // What comes after it is delivered; it is not.
    let after = relay.api.send("job.created", json!({})).await;
    relay.api.put(&to.path(), &json!({"isActive": true})).await;
    relay.final_delivery(&after).await;
    let received = receiver.all();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].event_id(), after);
}

async fn what_flies_ends_first(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, gate) = Receiver::gated().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let event = relay.api.send("job.created", json!({})).await;
    receiver.received(1).await;
    let refused = erase(&relay, 409, &event, "?cancelPending=true").await;
    assert!(text(&refused, "error").contains("right now"), "{refused}");
    gate.open();
    relay.final_delivery(&event).await;
    erase(&relay, 200, &event, "").await;
}

/// Another process is sending while this one cancels and erases: its answer comes later, and goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_after_the_erasure_goes_as_well() {
    let quick = [("POSTHASTE_ENGINE__JANITOR_INTERVAL_MS", "1000")];
    let relay = Relay::start_with(Profile::Split, &quick).await;
    let (receiver, gate) = Receiver::gated().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let event = relay.api.send("job.created", json!({})).await;
    receiver.received(1).await;
    erase(&relay, 200, &event, "?cancelPending=true").await;
    gate.open();
    relay
        .until(
            "the late answer to go",
            |fact| matches!(fact, EngineEvent::Tidied(tidied) if tidied.late_answers == 1),
        )
        .await;
    let delivery = relay.api.delivery_of(&event).await;
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["stale"]), (1, &json!(true)));
    assert_eq!(attempts[0]["responseHeaders"], json!({}));
}
