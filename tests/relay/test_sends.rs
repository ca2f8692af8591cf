//! Test sends: one signed call, past all that holds deliveries back, of which nothing remains.

use std::future::pending;
use std::net::Ipv4Addr;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::support::receiver::status;
use crate::support::relay::{KEY, rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories_also_split!(
    a_test_is_signed_like_any_attempt_and_marked,
    whatever_a_receiver_does_is_answered,
    a_test_passes_by_all_that_holds_back_and_counts_for_nothing,
    what_is_not_saved_is_tested_and_stays_unsaved,
    an_address_that_is_not_allowed_is_not_called,
    one_at_a_time_and_few_of_all,
);

async fn test(relay: &Relay, path: &str, body: &Value) -> Value {
    relay.api.post(200, &format!("{path}/test"), body).await
}

/// Nothing was stored.
async fn nothing_remains(relay: &Relay) {
    for list in ["/api/v1/events", "/api/v1/deliveries"] {
        let page = relay.api.get(list).await;
        assert_eq!(rows(&page).len(), 0, "{page}");
    }
}

async fn a_test_is_signed_like_any_attempt_and_marked(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::answering(|_, _| {
        let mut answer = status(201);
        answer
            .headers_mut()
            .insert("x-answered", "yes".parse().unwrap());
        *answer.body_mut() = "thank you".into();
        answer
    })
    .await;
    let fields = json!({"headers": {"authorization": "very-secret"}, "eventTypes": ["job.*"]});
    let subscribed = relay.api.subscribe(&receiver, fields).await;
    let body = json!({"eventType": "other.type", "payload": {"a": [1, 2]}});
    let outcome = test(&relay, &subscribed.path(), &body).await;

    let received = receiver.received(1).await.remove(0);
    let webhook = standardwebhooks::Webhook::new(&subscribed.secret).unwrap();
    webhook.verify(&received.body, &received.headers).unwrap();
    assert_eq!(received.header("webhook-test"), "true");
    assert_eq!(received.header("authorization"), "very-secret");
    assert_eq!(received.event_id(), text(&outcome, "eventId"));
    assert_eq!(received.json()["eventType"], "other.type");
    assert_eq!(received.json()["data"], json!({"a": [1, 2]}));

    for (field, expected) in [
        ("success", json!(true)),
        ("status", json!(201)),
        ("error", Value::Null),
        ("errorKind", Value::Null),
        ("eventType", json!("other.type")),
        ("url", json!(receiver.url())),
        ("responseBody", json!("thank you")),
        ("responseBodyCut", json!(false)),
        ("timeoutMs", json!(15_000)),
    ] {
        assert_eq!(outcome[field], expected, "{field}: {outcome}");
    }
    assert_eq!(outcome["responseHeaders"]["x-answered"], "yes");
    let sent = text(&outcome, "requestBody");
    assert_eq!(sent.as_bytes(), received.body);
    for name in [
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "webhook-test",
    ] {
        assert_eq!(
            outcome["requestHeaders"][name],
            received.header(name),
            "{outcome}"
        );
    }
    assert_eq!(outcome["requestHeaders"]["authorization"], "********");
    assert!(outcome["durationMs"].as_f64().unwrap() > 0.0);
    assert!(outcome["timing"]["firstByteMs"].is_f64(), "{outcome}");

    // Without a body: what the subscription would get.
    let path = format!("{}/test", subscribed.path());
    let sample = relay.api.expect(200, Method::POST, &path, None).await;
    assert_eq!(sample["eventType"], "job.test");
    assert_ne!(sample["eventId"], outcome["eventId"]);
    let received = receiver.received(2).await.remove(1);
    assert_eq!(received.json()["data"]["test"], true);
    nothing_remains(&relay).await;

    // A real attempt is not marked.
    relay.api.send("job.made", json!(1)).await;
    let real = receiver.received(3).await.remove(2);
    assert!(!real.headers.contains_key("webhook-test"));

    for (body, status, named) in [
        (json!({"eventType": "a b"}), 400, "eventType"),
        (json!({"eventtype": "a"}), 400, "eventtype"),
        (json!({"payload": "x".repeat(263_000)}), 413, "payload"),
    ] {
        let refused = relay.api.post(status, &path, &body).await;
        assert!(text(&refused, "error").contains(named), "{refused}");
    }
    relay.api.delete(&subscribed).await;
    relay.api.expect(404, Method::POST, &path, None).await;
    assert_eq!(receiver.count(), 3);
}

async fn whatever_a_receiver_does_is_answered(profile: Profile) {
    let relay = Relay::start(profile).await;
    let failing = Receiver::answering(|_, _| status(500)).await;
    let failed = relay.api.subscribe(&failing, json!({})).await;
    let outcome = test(&relay, &failed.path(), &json!({})).await;
    assert_eq!(outcome["success"], false);
    assert_eq!(outcome["status"], 500);
    assert_eq!(outcome["errorKind"], "status");
    assert_eq!(outcome["error"], "the receiver answered 500");

    let hanging = Receiver::scripted(|_, _| Box::pin(pending())).await;
    let hung = relay
        .api
        .subscribe(&hanging, json!({"timeoutMs": 200}))
        .await;
    let outcome = test(&relay, &hung.path(), &json!({})).await;
    assert_eq!(outcome["success"], false);
    assert_eq!(outcome["errorKind"], "timeout");
    assert_eq!(outcome["timeoutMs"], 200);
    for absent in [
        "status",
        "responseHeaders",
        "responseBody",
        "responseBodyCut",
    ] {
        assert_eq!(outcome[absent], Value::Null, "{outcome}");
    }
    assert!(outcome["requestHeaders"]["webhook-signature"].is_string());

    let nobody = relay
        .api
        .subscribe_url("http://127.0.0.1:1/", json!({}))
        .await;
    let outcome = test(&relay, &nobody.path(), &json!({})).await;
    assert_eq!(outcome["errorKind"], "connect");
    nothing_remains(&relay).await;
}

async fn a_test_passes_by_all_that_holds_back_and_counts_for_nothing(profile: Profile) {
    let relay = Relay::start(profile).await;
    let failing = Receiver::answering(|_, _| status(410)).await;
    let fields = json!({
        "breaker": {"consecutiveFailures": 2},
        "rateLimit": {"limit": 1, "periodMs": 3_600_000},
        "maxInFlight": 1,
    });
    let subscribed = relay.api.subscribe(&failing, fields).await;
    let path = format!("{}/pause", subscribed.path());
    relay.api.expect(200, Method::POST, &path, None).await;
    for number in 1..=5 {
        let outcome = test(&relay, &subscribed.path(), &json!({})).await;
        assert_eq!(outcome["status"], 410, "{outcome}");
        assert_eq!(failing.count(), number);
    }
    let stands = relay.api.subscription(&subscribed).await;
    assert_eq!(
        stands["state"], "paused",
        "410 deactivates by an attempt only"
    );
    let runtime = relay
        .api
        .get(&format!("{}/runtime", subscribed.path()))
        .await;
    assert_eq!(runtime["breaker"]["state"], "closed");
    assert_eq!(runtime["lastError"], Value::Null);
    let history = relay
        .api
        .get(&format!("{}/history", subscribed.path()))
        .await;
    assert_eq!(rows(&history).len(), 2, "made and paused: {history}");
    nothing_remains(&relay).await;
}

async fn what_is_not_saved_is_tested_and_stays_unsaved(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let form = json!({
        "name": "a form",
        "url": receiver.url(),
        "eventTypes": ["order.created"],
        "headers": {"x-own": "1"},
    });
    let outcome = relay
        .api
        .post(200, "/api/v1/subscriptions/test", &form)
        .await;
    assert_eq!(outcome["success"], true);
    assert_eq!(outcome["eventType"], "order.created");
    let received = receiver.received(1).await.remove(0);
    assert_eq!(received.header("x-own"), "1");
    assert_eq!(received.header("webhook-test"), "true");
    assert!(received.headers.contains_key("webhook-signature"));
    relay.api.post(200, "/api/webhooks/test", &form).await;
    let subscriptions = relay.api.get("/api/v1/subscriptions").await;
    assert_eq!(rows(&subscriptions).len(), 0);
    nothing_remains(&relay).await;

    // What creating it would refuse is refused here in the same words.
    for wrong in [
        json!({"name": "n", "url": "ftp://example.com", "eventTypes": ["a"]}),
        json!({"name": "n", "eventTypes": ["a"]}),
        json!({"name": "n", "url": receiver.url(), "eventTypes": [], "timeoutMs": 1}),
        json!({"name": "n", "url": "https://169.254.169.254/", "eventTypes": ["a"]}),
    ] {
        let made = relay.api.post(400, "/api/v1/subscriptions", &wrong).await;
        let tested = relay
            .api
            .post(400, "/api/v1/subscriptions/test", &wrong)
            .await;
        assert_eq!(tested["error"], made["error"]);
    }
    assert_eq!(receiver.count(), 2);
}

/// A name server that says of every name that it is at the address of clouds' secrets.
async fn lying_name_server() -> String {
    const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut query = [0; 512];
        loop {
            let (size, from) = socket.recv_from(&mut query).await.unwrap();
            // RFC 1035, section 4: the header, the question again, one address.
            let name = query[12..size].iter().position(|byte| *byte == 0).unwrap();
            let question = &query[12..12 + name + 5];
            let asks_ipv4 = question[name + 1..] == [0, 1, 0, 1];
            let mut answer = Vec::from(&query[..2]);
            answer.extend([0x81, 0x80, 0, 1, 0, u8::from(asks_ipv4), 0, 0, 0, 0]);
            answer.extend(question);
            if asks_ipv4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                answer.extend(FORBIDDEN.octets());
            }
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    at
}

async fn an_address_that_is_not_allowed_is_not_called(profile: Profile) {
    let server = lying_name_server().await;
    let more = [("POSTHASTE_DELIVERY__DNS_SERVERS", server.as_str())];
    let relay = Relay::start_with(profile, &more).await;
    let url = "http://metadata.example/latest";
    let subscribed = relay.api.subscribe_url(url, json!({})).await;
    let outcome = test(&relay, &subscribed.path(), &json!({})).await;
    assert_eq!(outcome["errorKind"], "address_refused", "{outcome}");
    let form = json!({"name": "n", "url": url, "eventTypes": ["a"]});
    let outcome = relay
        .api
        .post(200, "/api/v1/subscriptions/test", &form)
        .await;
    assert_eq!(outcome["errorKind"], "address_refused", "{outcome}");
}

async fn one_at_a_time_and_few_of_all(profile: Profile) {
    let more = [("POSTHASTE_DELIVERY__MAX_TEST_SENDS", "2")];
    let relay = Relay::start_with(profile, &more).await;
    let (receiver, gate) = Receiver::gated().await;
    let subscribed = [
        relay.api.subscribe(&receiver, json!({})).await,
        relay.api.subscribe(&receiver, json!({})).await,
        relay.api.subscribe(&receiver, json!({})).await,
    ];
    let begin = |number: usize| {
        let path = format!("{}/test", subscribed[number].path());
        let api = relay.api.clone();
        tokio::spawn(async move { api.expect(200, Method::POST, &path, None).await })
    };
    let first = begin(0);
    receiver.received(1).await;
    let path = format!("{}/test", subscribed[0].path());
    let refused = relay.api.expect(409, Method::POST, &path, None).await;
    assert!(text(&refused, "error").contains("under way"), "{refused}");
    let second = begin(1);
    receiver.received(2).await;
    let path = format!("{}/test", subscribed[2].path());
    let answer = relay.api.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));

    // A caller who hangs up leaves no test behind.
    second.abort();
    gate.open();
    assert_eq!(first.await.unwrap()["success"], true);
    let again = begin(0).await.unwrap();
    assert_eq!(again["status"], 200);

    // Whoever may only look may not make anybody be called.
    let reader = json!({"name": "reader", "scopes": ["subscriptions:read"]});
    let made = relay.api.post(201, "/api/v1/keys", &reader).await;
    let reader = relay.api.with_key(text(&made, "key"));
    assert_ne!(text(&made, "key"), KEY);
    if profile != Profile::Split {
        reader.expect(403, Method::POST, &path, None).await;
        reader
            .expect(403, Method::POST, "/api/v1/subscriptions/test", None)
            .await;
    }
}
