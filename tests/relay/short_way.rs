//! The short way of posted events, and the way of all other requests: whatever comes is answered the
//! same. What a page of another origin posts goes the long way, so each request is sent twice.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::relay::text;
use crate::support::{Profile, Relay};

crate::stories!(both_ways_answer_alike);

const ORIGIN: &str = "https://app.example.com";

/// What only browsers are told, and what is another each time.
const APART: [&str; 10] = [
    "access-control-allow-origin",
    "access-control-expose-headers",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "date",
    "referrer-policy",
    "transfer-encoding",
    "vary",
    "x-frame-options",
];

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

async fn answer(request: RequestBuilder) -> Answer {
    let request = request.header("x-request-id", "one-of-both");
    let answer = request.send().await.unwrap();
    if !answer.status().is_success() {
        // A form of any page can post, and then a browser shows what is answered.
        assert_eq!(answer.headers()["x-frame-options"], "DENY");
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
    }
    let headers = answer.headers().iter();
    let headers = headers.filter(|(name, _)| !APART.contains(&name.as_str()));
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
    Answer {
        status: answer.status().as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: answer.json().await.unwrap_or_default(),
    }
}

/// Ids that are drawn anew each time.
fn without_ids(body: &mut Value) {
    match body {
        Value::Object(fields) => {
            for name in ["id", "eventId"] {
                if fields.contains_key(name) {
                    fields.insert(name.to_owned(), json!("…"));
                }
            }
            fields.values_mut().for_each(without_ids);
        }
        Value::Array(items) => items.iter_mut().for_each(without_ids),
        _ => {}
    }
}

async fn both_ways_answer_alike(profile: Profile) {
    let more = [
        ("POSTHASTE_SERVER__CORS_ORIGINS", ORIGIN),
        ("POSTHASTE_EVENTS__MAX_BODY_BYTES", "4096"),
        ("POSTHASTE_EVENTS__MAX_PAYLOAD_BYTES", "2048"),
        ("POSTHASTE_LIMITS__EVENTS_WRITE_PER_ADDRESS", "1000/hour"),
        ("POSTHASTE_LIMITS__FAILED_AUTH_PER_ADDRESS", "0"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let tenant = json!({"id": "gone", "status": "inactive"});
    relay.api.post(201, "/api/v1/tenants", &tenant).await;
    let held = json!({"id": "slow", "limits": {"ingestRate": {"perMinute": 1, "burst": 1}}});
    relay.api.post(201, "/api/v1/tenants", &held).await;
    let key = async |body: Value| {
        let made = relay.api.post(201, "/api/v1/keys", &body).await;
        (text(&made, "key").to_owned(), text(&made, "id").to_owned())
    };
    let (service, _) = key(json!({"name": "s", "preset": "service"})).await;
    let (reader, _) = key(json!({"name": "r", "scopes": ["events:read"]})).await;
    let (inactive, _) =
        key(json!({"name": "i", "scopes": ["events:read"], "tenant": "gone"})).await;
    let (slow, _) = key(json!({"name": "w", "preset": "service", "tenant": "slow"})).await;
    let (quick, _) = key(json!({"name": "q", "preset": "service", "tenant": "quick"})).await;
    let (revoked, id) = key(json!({"name": "v", "preset": "service"})).await;
    let path = format!("/api/v1/keys/{id}");
    relay.api.expect(204, Method::DELETE, &path, None).await;

    let one = json!({"eventType": "a.b", "payload": 1}).to_string();
    let batch = format!("[{one},{one}]");
    let mixed = format!("[{one},{{\"payload\":1}}]");
    let keyed = r#"{"eventType":"a.b","payload":1,"idempotencyKey":"k"}"#;
    let conflict = r#"{"eventType":"a.b","payload":2,"idempotencyKey":"k"}"#;
    let foreign = r#"{"eventType":"a.b","payload":1,"clientId":"other"}"#;
    let named = r#"{"eventType":"a.b","payload":1,"clientId":"gone"}"#;
    let large = json!({"eventType": "a.b", "payload": "x".repeat(3_000)}).to_string();
    let huge = json!({"eventType": "a.b", "payload": "x".repeat(9_000)}).to_string();
    let deep = format!(
        "{{\"eventType\":\"a\",\"payload\":{}1{}}}",
        "[".repeat(900),
        "]".repeat(900)
    );
    let cases: [(&str, u16, &str, &str, &str); 21] = [
        ("one", 202, "", &service, &one),
        ("a batch", 202, "", &service, &batch),
        ("some of a batch", 207, "?atomic=false", &service, &mixed),
        ("a batch with a fault", 400, "", &service, &mixed),
        ("a key", 202, "", &service, keyed),
        ("that key again", 202, "", &service, keyed),
        ("for other content", 422, "", &service, conflict),
        ("no key", 401, "", "", &one),
        ("a wrong key", 401, "", "wrong", &one),
        ("a revoked key", 401, "", &revoked, &one),
        ("a key without the scope", 403, "", &reader, &one),
        ("one of an inactive tenant too", 403, "", &inactive, &one),
        ("another's tenant", 403, "", &quick, foreign),
        ("an inactive tenant's", 403, "", &service, named),
        ("no JSON", 400, "", &service, "{"),
        ("nothing", 400, "", &service, ""),
        ("too deep", 400, "", &service, &deep),
        ("a payload too large", 413, "", &service, &large),
        ("a body too large", 413, "", &service, &huge),
        ("an unknown parameter", 400, "?what=1", &service, &one),
        ("a flag that is none", 400, "?atomic=maybe", &service, &one),
    ];
    let client = reqwest::Client::new();
    for path in ["/api/v1/events", "/events"] {
        for (what, status, query, key, body) in &cases {
            let ask = async |from_page: bool| {
                let mut request = client
                    .post(format!("{}{path}{query}", relay.api.base))
                    .header("content-type", "application/json")
                    .body((*body).to_owned());
                if !key.is_empty() {
                    request = request.bearer_auth(key);
                }
                if from_page {
                    request = request.header("origin", ORIGIN);
                }
                let mut answer = answer(request).await;
                without_ids(&mut answer.body);
                // Each takes one of the same quota.
                answer.headers.remove("ratelimit");
                answer
            };
            let (short, long) = (ask(false).await, ask(true).await);
            if *what != "a key" {
                assert_eq!(short, long, "{path}: {what}");
            }
            assert_eq!(short.status, *status, "{path}: {what}: {short:?}");
            assert_eq!(short.headers["x-request-id"], "one-of-both");
            assert_eq!(short.headers["x-content-type-options"], "nosniff");
            assert_eq!(short.headers["cache-control"], "no-store");
        }
    }
    // Of a tenant's rate there is one event, whichever way it comes.
    let take = async |from_page: bool| {
        let request = client
            .post(format!("{}/api/v1/events", relay.api.base))
            .bearer_auth(&slow)
            .body(one.clone());
        match from_page {
            true => answer(request.header("origin", ORIGIN)).await,
            false => answer(request).await,
        }
    };
    assert_eq!(take(true).await.status, 202);
    for from_page in [false, true] {
        let refused = take(from_page).await;
        assert_eq!(refused.status, 429, "{refused:?}");
        assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    }
}
