//! An actor that keeps crashing costs its own subscription a pause, and nobody else anything.

use posthaste::domain::id::SubscriptionId;
use posthaste::faults::Point;
use reqwest::Method;
use serde_json::json;

use crate::support::flow::pour;
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    a_subscription_that_keeps_crashing_is_suspended_alone,
    a_muted_hand_over_is_healed_by_the_sweeper,
);

async fn a_subscription_that_keeps_crashing_is_suspended_alone(profile: Profile) {
    // No sweep comes to help.
    let more = [
        ("POSTHASTE_ENGINE__RESTART_LIMIT", "3"),
        ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "300000"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let (receiver, healthy_receiver) = (Receiver::ok().await, Receiver::ok().await);
    let crashing = relay.api.subscribe(&receiver, json!({})).await;
    relay.api.subscribe(&healthy_receiver, json!({})).await;

    let id: SubscriptionId = crashing.id.parse().unwrap();
    let faults = relay.engine().faults();
    faults.arm_for(Point::Subscription, id, u32::MAX);
    let mut sent = pour(&relay.api, 40).await;
    let path = format!("/api/v1/subscriptions/{}", crashing.id);
    let suspended = relay
        .api
        .until_get(&path, "the suspension", |view| view["state"] == "suspended")
        .await;
    assert_eq!(suspended["stateReason"], "crashing");
    assert_eq!(suspended["isActive"], false);

    sent.extend(pour(&relay.api, 40).await);
    let tally = healthy_receiver.received_events(80).await;
    assert!(tally.values().all(|times| *times == 1));
    assert_eq!(receiver.count(), 0);
    relay.api.get("/health/live").await;

    faults.arm_for(Point::Subscription, id, 0);
    let path = format!("{path}/reactivate");
    let active = relay.api.expect(200, Method::POST, &path, None).await;
    assert_eq!(active["state"], "active");
    let tally = receiver.received_events(80).await;
    assert!(
        tally
            .iter()
            .all(|(id, times)| *times == 1 && sent.contains(id))
    );
    relay.api.settled(&crashing.id).await;
    assert_eq!(relay.api.consistent_log(&crashing.id).await.len(), 80);
}

async fn a_muted_hand_over_is_healed_by_the_sweeper(profile: Profile) {
    let more = [
        ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "200"),
        ("POSTHASTE_ENGINE__RETIRE_AFTER_MS", "100"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    // While its actor lives it is offered what is committed; a retired one has to be woken.
    relay
        .api
        .until_get("/health", "the actor to retire", |health| {
            let detail = health["components"]["deliveries"]["detail"].as_str();
            detail.unwrap().contains(" 0 subscriptions busy")
        })
        .await;
    let faults = relay.engine().faults();
    faults.arm(Point::Handover, 1_000);
    relay.api.send("a.b", json!(1)).await;
    assert_eq!(faults.left(Point::Handover), 999, "nobody was told");
    receiver.received(1).await;
    relay.api.settled(&subscribed.id).await;
    assert_eq!(receiver.count(), 1);
}
