//! Why a subscription did not get an event, and what holds what is pending.

use serde_json::{Value, json};

use crate::support::receiver::status;
use crate::support::relay::{Subscribed, rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    every_subscription_is_told_of,
    what_holds_a_pending_delivery_is_told,
    a_line_tells_who_is_first,
);

async fn why(relay: &Relay, event: &str, to: &Subscribed) -> Value {
    let path = format!("/api/v1/events/{event}?subscription={}", to.id);
    let shown = relay.api.get(&path).await;
    let explained = rows(&shown["explanations"]);
    assert_eq!(explained.len(), 1, "{shown}");
    assert_eq!(explained[0]["subscriptionId"], to.id.as_str());
    explained[0].clone()
}

fn held(explained: &Value) -> Vec<&str> {
    let held = explained["heldBy"].as_array().unwrap();
    held.iter().map(|one| text(one, "by")).collect()
}

async fn every_subscription_is_told_of(profile: Profile) {
    let relay = Relay::start(profile).await;
    let good = Receiver::ok().await;
    let bad = Receiver::answering(|_, _| status(500)).await;
    let got = relay.api.subscribe(&good, json!({})).await;
    let once = json!({"retryPolicy": {"delaysMs": []}});
    let failed = relay.api.subscribe(&bad, once).await;
    let deaf = relay
        .api
        .subscribe(&good, json!({"eventTypes": ["order.*", "job.x"]}))
        .await;
    let other = relay
        .api
        .subscribe(&good, json!({"clientId": "other"}))
        .await;
    let later_wants = relay
        .api
        .subscribe(&good, json!({"eventTypes": ["x"]}))
        .await;
    let gone = relay
        .api
        .subscribe(&good, json!({"eventTypes": ["x"]}))
        .await;
    let event = json!({"eventType": "job.created", "payload": {}, "tenant": "acme"});
    let plain = relay.api.send("job.created", json!({})).await;
    let event = relay.api.post(202, "/api/v1/events", &event).await;
    let event = text(&event, "eventId");
    relay.nothing_pending().await;
    let later = relay.api.subscribe(&good, json!({})).await;
    relay
        .api
        .put(&later_wants.path(), &json!({"eventTypes": ["job.*"]}))
        .await;
    relay.api.delete(&gone).await;

    for (to, reason, matched) in [
        (&got, "delivered", true),
        (&failed, "failed", true),
        (&deaf, "no_match", false),
        (&other, "delivered", true),
        (&later_wants, "changed_later", false),
        (&later, "created_later", false),
        (&gone, "deleted", false),
    ] {
        let explained = why(&relay, &plain, to).await;
        assert_eq!(
            (text(&explained, "reason"), &explained["matched"]),
            (reason, &json!(matched))
        );
        assert_eq!(explained["deliveryId"].is_string(), matched, "{explained}");
        assert_eq!(held(&explained), [] as [&str; 0]);
    }
    let deaf_one = why(&relay, &plain, &deaf).await;
    assert_eq!(deaf_one["patterns"], json!(["order.*", "job.x"]));
    assert_eq!(why(&relay, event, &got).await["reason"], "other_tenant");
    let unknown = format!("/api/v1/events/{plain}?subscription={plain}");
    relay
        .api
        .expect(404, reqwest::Method::GET, &unknown, None)
        .await;

    let pointless = format!("/api/v1/events/{plain}?limit=3");
    relay
        .api
        .expect(400, reqwest::Method::GET, &pointless, None)
        .await;

    // All of them, page by page; deleted ones are left out.
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/events/{plain}?explain=true&limit=4{cursor}");
        let page = relay.api.get(&path).await["explanations"].clone();
        names.extend(
            rows(&page)
                .iter()
                .map(|row| text(row, "subscriptionId").to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let newest_first = [&later, &later_wants, &other, &deaf, &failed, &got];
    assert_eq!(names, newest_first.map(|one| one.id.clone()));
    let shown = relay.api.get(&format!("/api/v1/events/{plain}")).await;
    assert_eq!(shown.get("explanations"), None);
}

async fn what_holds_a_pending_delivery_is_told(profile: Profile) {
    let relay = Relay::start(profile).await;
    let good = Receiver::ok().await;
    let bad = Receiver::answering(|_, _| status(500)).await;
    let slow = json!({"retryPolicy": {"delaysMs": [3600000]}, "eventTypes": ["slow"]});
    let waits = relay.api.subscribe(&bad, slow).await;
    let breaker = json!({
        "eventTypes": ["broken"], "breaker": {"consecutiveFailures": 1},
        "retryPolicy": {"delaysMs": [3600000]},
    });
    let broken = relay.api.subscribe(&bad, breaker).await;
    let limited = json!({
        "eventTypes": ["limited"], "rateLimit": {"limit": 1, "periodMs": 86400000, "burst": 1},
    });
    let limited = relay.api.subscribe(&good, limited).await;
    let paused = json!({"isActive": false, "eventTypes": ["paused"]});
    let paused = relay.api.subscribe(&good, paused).await;
    let asking = Receiver::answering(|_, _| {
        let mut answer = status(429);
        answer
            .headers_mut()
            .insert("retry-after", "600".parse().unwrap());
        answer
    });
    let asking = asking.await;
    let asks = relay
        .api
        .subscribe(&asking, json!({"eventTypes": ["asks"]}))
        .await;
    let (gated, gate) = Receiver::gated().await;
    let flies = relay
        .api
        .subscribe(&gated, json!({"eventTypes": ["flies"], "maxInFlight": 1}))
        .await;

    let event = relay.api.send("paused", json!({})).await;
    let explained = why(&relay, &event, &paused).await;
    assert_eq!(
        (text(&explained, "reason"), held(&explained)),
        ("pending", vec!["paused"])
    );

    let event = relay.api.send("slow", json!({})).await;
    relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 1)
        .await;
    let explained = relay.look_until("the retry's time", async || {
        let explained = why(&relay, &event, &waits).await;
        (held(&explained) == ["retry_at"]).then_some(explained)
    });
    assert!(explained.await["heldBy"][0]["until"].is_string());

    let event = relay.api.send("broken", json!({})).await;
    let explained = relay.look_until("the breaker to open", async || {
        let explained = why(&relay, &event, &broken).await;
        held(&explained)
            .contains(&"breaker_open")
            .then_some(explained)
    });
    assert!(explained.await["heldBy"][0]["until"].is_string());

    let event = relay.api.send("asks", json!({})).await;
    let asked = relay.look_until("the receiver's wish", async || {
        let explained = why(&relay, &event, &asks).await;
        held(&explained).contains(&"retry_after").then_some(())
    });
    asked.await;

    let first = relay.api.send("limited", json!({})).await;
    relay.final_delivery(&first).await;
    let second = relay.api.send("limited", json!({})).await;
    let explained = relay.look_until("no token to be left", async || {
        let explained = why(&relay, &second, &limited).await;
        (held(&explained) == ["rate_limit"]).then_some(explained)
    });
    assert!(explained.await["heldBy"][0]["until"].is_string());

    let flying = relay.api.send("flies", json!({})).await;
    gated.received(1).await;
    let waiting = relay.api.send("flies", json!({})).await;
    assert_eq!(held(&why(&relay, &flying, &flies).await), ["in_flight"]);
    assert_eq!(
        held(&why(&relay, &waiting, &flies).await),
        ["max_in_flight"]
    );
    gate.open();
}

async fn a_line_tells_who_is_first(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (gated, gate) = Receiver::gated().await;
    let ordered = json!({"ordering": "key"});
    let to = relay.api.subscribe(&gated, ordered).await;
    let send = async |n: u32| {
        let body = json!({"eventType": "a", "payload": n, "orderingKey": "k"});
        let answer = relay.api.post(202, "/api/v1/events", &body).await;
        text(&answer, "eventId").to_owned()
    };
    let first = send(1).await;
    gated.received(1).await;
    let second = send(2).await;
    let explained = why(&relay, &second, &to).await;
    assert_eq!(held(&explained), ["behind_in_line"]);
    let head = relay.api.delivery_of(&first).await;
    assert_eq!(explained["heldBy"][0]["behind"], head["id"]);
    gate.open();
    relay.final_delivery(&second).await;

    let bad = Receiver::answering(|_, _| status(500)).await;
    let once = json!({"ordering": "key", "retryPolicy": {"delaysMs": []}, "eventTypes": ["b"]});
    let blocked = relay.api.subscribe(&bad, once).await;
    let failing = json!({"eventType": "b", "payload": 1, "orderingKey": "k"});
    let failing = relay.api.post(202, "/api/v1/events", &failing).await;
    let behind = json!({"eventType": "b", "payload": 2, "orderingKey": "k"});
    let behind = relay.api.post(202, "/api/v1/events", &behind).await;
    let explained = relay.look_until("the line to be blocked", async || {
        let explained = why(&relay, text(&behind, "eventId"), &blocked).await;
        held(&explained)
            .contains(&"blocked_line")
            .then_some(explained)
    });
    let explained = explained.await;
    let id = explained["heldBy"][0]["behind"].as_str().unwrap();
    let blocking = relay.api.get(&format!("/api/v1/deliveries/{id}")).await;
    assert_eq!(blocking["eventId"], failing["eventId"]);
}
