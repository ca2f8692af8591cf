//! Who is turned away, and what is answered where there is nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::relay::{KEY, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    everything_but_health_needs_a_key,
    what_is_not_there_is_answered_in_one_shape,
    a_change_with_a_query_or_body_that_nobody_reads_is_not_made,
);

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

async fn everything_but_health_needs_a_key(profile: Profile) {
    let relay = Relay::start(profile).await;
    let client = reqwest::Client::new();
    let ask = async |method: Method, path: &str, key: Option<(&str, &str)>| {
        let mut request = client.request(method, format!("{}{path}", relay.api.base));
        if let Some((name, value)) = key {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap_or_default())
    };
    let one = |list: &str| format!("/api/v1/{list}/{NOBODY}");
    let paths = [
        (Method::POST, "/api/v1/events".to_owned()),
        (Method::GET, "/api/v1/events".to_owned()),
        (Method::GET, one("events")),
        (Method::POST, "/api/webhooks".to_owned()),
        (Method::GET, "/api/v1/subscriptions".to_owned()),
        (Method::GET, format!("{}/secret", one("subscriptions"))),
        (Method::PUT, one("webhooks")),
        (Method::DELETE, one("subscriptions")),
        (Method::GET, "/api/deliveries".to_owned()),
        (Method::POST, format!("{}/retry", one("deliveries"))),
        (Method::GET, "/api/v1/no/such/route".to_owned()),
        (Method::GET, "/nothing".to_owned()),
        (Method::PATCH, "/api/v1/events".to_owned()),
    ];
    for (method, path) in paths {
        let keys = [
            None,
            Some(("x-api-key", "wrong")),
            Some(("authorization", "Bearer wrong")),
            Some(("x-service-token", "")),
        ];
        for key in keys {
            let (status, answer) = ask(method.clone(), &path, key).await;
            assert_eq!(status, 401, "{method} {path} with {key:?}");
            assert!(text(&answer, "error").contains("key"), "{answer}");
        }
    }
    // A feed that is not connected yet, so soon after the start, makes a node no less healthy.
    assert_eq!(ask(Method::GET, "/health", None).await.0, 200);
    for path in ["/health/live", "/health/ready"] {
        let (status, answer) = ask(Method::GET, path, None).await;
        assert_eq!((status, text(&answer, "status")), (200, "ok"), "{answer}");
    }
    let bearer = format!("Bearer {KEY}");
    for (name, value) in [
        ("authorization", bearer.as_str()),
        ("x-api-key", KEY),
        ("X-Service-Token", KEY),
    ] {
        let key = Some((name, value));
        assert_eq!(ask(Method::GET, "/api/v1/events", key).await.0, 200);
    }
    // Details of the node's parts are for those with a key.
    let (_, shown) = ask(Method::GET, "/health", None).await;
    assert!(shown["components"]["store"].get("detail").is_none());
}

async fn what_is_not_there_is_answered_in_one_shape(profile: Profile) {
    let relay = Relay::start(profile).await;
    let one = |list: &str| format!("/api/v1/{list}/{NOBODY}");
    let missing = [
        (Method::GET, one("events")),
        (Method::GET, one("deliveries")),
        (Method::POST, format!("{}/retry", one("deliveries"))),
        (Method::GET, one("subscriptions")),
        (Method::DELETE, one("subscriptions")),
        (Method::GET, format!("{}/deliveries", one("webhooks"))),
        (Method::GET, "/api/v1/events/not-an-id".to_owned()),
        (Method::GET, "/api/v1/nothing".to_owned()),
        (Method::GET, "/nothing".to_owned()),
    ];
    for (method, path) in missing {
        let answer = relay.api.expect(404, method, &path, None).await;
        let fields: Vec<&String> = answer.as_object().unwrap().keys().collect();
        let shape = [
            "code", "detail", "error", "instance", "status", "title", "type",
        ];
        assert_eq!(fields, shape, "{path}: {answer}");
        assert!(answer["error"].is_string(), "{path}: {answer}");
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/events", "GET"),
        (Method::PATCH, "/api/v1/subscriptions", "POST"),
        (Method::POST, "/health", "GET"),
    ] {
        let request = relay.api.request(method.clone(), path);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 405, "{method} {path}");
        let allow = answer.headers()["allow"].to_str().unwrap().to_owned();
        assert!(allow.contains(allowed), "{allow}");
        assert!(answer.headers().contains_key("x-request-id"));
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["error"].is_string());
    }
}

async fn a_change_with_a_query_or_body_that_nobody_reads_is_not_made(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let paused = json!({"isActive": false});
    let subscribed = relay.api.subscribe(&receiver, paused).await;
    let event = relay.api.send("a.b", json!({})).await;
    let pending = relay.api.delivery_of(&event).await;
    let delivery = format!("/api/v1/deliveries/{}", text(&pending, "id"));
    let job = json!({"since": "2020-01-01T00:00:00Z"});
    let meant = json!({"eventTypes": ["c.d"]});
    let changes = [
        (subscribed.path(), "/replay", Some(&job)),
        (subscribed.path(), "/retry-failed", Some(&job)),
        (subscribed.path(), "/reactivate", None),
        (subscribed.path(), "/cancel-pending", None),
        (subscribed.path(), "/pause", None),
        (subscribed.path(), "/resume", None),
        (delivery.clone(), "/retry", None),
        (delivery.clone(), "/cancel", None),
        (delivery, "/skip", None),
        (format!("/api/v1/jobs/{NOBODY}"), "/cancel", None),
    ];
    for (base, verb, body) in changes {
        let path = format!("{base}{verb}?dryRun=true");
        let refused = relay.api.expect(400, Method::POST, &path, body).await;
        let error = text(&refused, "error");
        assert!(error.contains("dryRun is not known here"), "{path} {error}");
        let path = format!("{base}{verb}");
        let refused = relay.api.expect(400, Method::POST, &path, Some(&meant));
        assert!(refused.await["faults"].is_array(), "{path}");
    }
    let path = format!("{}?soft=true", subscribed.path());
    relay.api.expect(400, Method::DELETE, &path, None).await;
    relay.api.expect(400, Method::PATCH, &path, None).await;
    assert_eq!(relay.api.delivery_of(&event).await["status"], "pending");
    let shown = relay.api.subscription(&subscribed).await;
    assert_eq!(shown["state"], "paused");
    assert_eq!(relay.api.get("/api/v1/jobs").await["data"], json!([]));
    assert_eq!(receiver.count(), 0);
}
