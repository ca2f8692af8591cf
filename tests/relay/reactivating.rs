//! The way back for what a rule has taken out.

use posthaste::domain::subscription::SubscriptionState;
use posthaste::events::EngineEvent;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::status;
use crate::support::relay::{Subscribed, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(what_was_gone_is_reactivated_by_one_call_and_nothing_else_is);

async fn call(relay: &Relay, code: u16, subscribed: &Subscribed, verb: &str) -> Value {
    let path = format!("{}/{verb}", subscribed.path());
    relay.api.expect(code, Method::POST, &path, None).await
}

async fn what_was_gone_is_reactivated_by_one_call_and_nothing_else_is(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver =
        Receiver::answering(|number, _| status(if number == 0 { 410 } else { 200 })).await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let refused = call(&relay, 409, &subscribed, "reactivate").await;
    assert!(text(&refused, "error").contains("is active"), "{refused}");

    let event = relay.api.send("a.b", json!({})).await;
    relay
        .until("the deactivation", |fact| {
            let state = SubscriptionState::Deactivated;
            matches!(fact, EngineEvent::SubscriptionChanged { state: told, .. } if *told == state)
        })
        .await;
    // A pause does not hide why it is held, and is not answered as if it had been made: a trial
    // could end it. A reactivation is the way back.
    let refused = call(&relay, 409, &subscribed, "pause").await;
    assert!(
        text(&refused, "error").contains("is deactivated"),
        "{refused}"
    );
    let held = relay.api.subscription(&subscribed).await;
    assert_eq!(held["state"], "deactivated");
    let active = call(&relay, 200, &subscribed, "reactivate").await;
    assert_eq!(active["state"], "active");
    assert_eq!(active["stateReason"], Value::Null);
    let delivered = relay.final_delivery(&event).await;
    assert_eq!(delivered["status"], "delivered");

    call(&relay, 200, &subscribed, "pause").await;
    let refused = call(&relay, 409, &subscribed, "reactivate").await;
    assert!(text(&refused, "error").contains("resume it"), "{refused}");
    let shown = relay.api.subscription(&subscribed).await;
    assert_eq!(shown["state"], "paused");
    relay.api.delete(&subscribed).await;
    call(&relay, 404, &subscribed, "reactivate").await;
}
