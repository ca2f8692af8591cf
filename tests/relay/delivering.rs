//! Accept and deliver.

use serde_json::json;

use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(an_event_goes_in_and_a_signed_webhook_comes_out);

async fn an_event_goes_in_and_a_signed_webhook_comes_out(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let event = relay
        .api
        .send("candidate.created", json!({"name": "John Doe"}))
        .await;

    let received = receiver.received(1).await.remove(0);
    assert_eq!(received.event_id(), event);
    let body = received.json();
    assert_eq!(body["eventId"], event);
    assert_eq!(body["eventType"], "candidate.created");
    assert_eq!(body["data"], json!({"name": "John Doe"}));

    let webhook = standardwebhooks::Webhook::new(&subscribed.secret).unwrap();
    webhook.verify(&received.body, &received.headers).unwrap();

    relay.recorded(1).await;
    let delivery = relay.api.delivery_of(&event).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["attempts"][0]["number"], 1);
    assert_eq!(delivery["attempts"][0]["status"], 200);
}
