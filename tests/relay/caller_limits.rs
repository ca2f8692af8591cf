//! Limits on callers: who asks too often is told so, and nobody else.

use std::sync::Arc;

use posthaste::clock;
use posthaste::domain::quota::Quota;
use posthaste::feed::shared_limits::{RedisLimits, SharedLimits};
use redis::AsyncCommands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::relay::{KEY, text};
use crate::support::{Profile, Proxy, Relay};

crate::stories!(
    who_asks_too_often_waits_and_nobody_else,
    posting_events_has_limits_of_its_own,
    an_address_is_what_a_trusted_proxy_says,
    who_tries_keys_at_will_is_stopped,
);

struct Answer {
    status: u16,
    policy: String,
    limit: String,
    retry_after: String,
    body: Value,
}

async fn ask(relay: &Relay, method: Method, path: &str, key: &str, from: &str) -> Answer {
    let event = json!({"eventType": "a.b", "payload": 1});
    let request = reqwest::Client::new()
        .request(method, format!("{}{path}", relay.api.base))
        .header("X-API-Key", key)
        .header("X-Forwarded-For", from)
        .json(&event);
    let answer = request.send().await.unwrap();
    let header = |name: &str| {
        let value = answer.headers().get(name);
        value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    };
    Answer {
        status: answer.status().as_u16(),
        policy: header("ratelimit-policy"),
        limit: header("ratelimit"),
        retry_after: header("retry-after"),
        body: answer.json().await.unwrap_or_default(),
    }
}

async fn read(relay: &Relay, key: &str) -> Answer {
    ask(relay, Method::GET, "/api/v1/events", key, "").await
}

async fn make(relay: &Relay) -> String {
    let body = json!({"name": "n", "preset": "service"});
    let made = relay.api.post(201, "/api/v1/keys", &body).await;
    text(&made, "key").to_owned()
}

async fn who_asks_too_often_waits_and_nobody_else(profile: Profile) {
    let more = [("POSTHASTE_LIMITS__READ_PER_KEY", "3/hour")];
    let relay = Relay::start_with(profile, &more).await;
    let (busy, other) = (make(&relay).await, make(&relay).await);
    for left in [2, 1, 0] {
        let answer = read(&relay, &busy).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.policy, r#""read_per_key";q=3;w=3600"#);
        let stands = format!(r#""read_per_key";r={left};t="#);
        assert!(answer.limit.starts_with(&stands), "{}", answer.limit);
    }
    for path in ["/api/v1/events", "/api/events?limit=1", "/api/v1/events/x"] {
        let refused = ask(&relay, Method::GET, path, &busy, "").await;
        assert_eq!(refused.status, 429, "{path}");
        let wait: u64 = refused.retry_after.parse().unwrap();
        assert!((1..=1_200).contains(&wait), "{wait}");
        assert_eq!(refused.limit, format!(r#""read_per_key";r=0;t={wait}"#));
        let error = text(&refused.body, "error");
        assert!(error.contains("limits.read_per_key"), "{error}");
    }
    assert_eq!(read(&relay, &other).await.status, 200);
    let posted = ask(&relay, Method::POST, "/api/v1/events", &busy, "").await;
    assert_eq!(
        (posted.status, posted.policy.as_str()),
        (202, ""),
        "another group"
    );
}

async fn posting_events_has_limits_of_its_own(profile: Profile) {
    let more = [
        ("POSTHASTE_LIMITS__EVENTS_WRITE_PER_KEY", "100/minute"),
        ("POSTHASTE_LIMITS__EVENTS_WRITE_PER_ADDRESS", "2/hour"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let post = async || ask(&relay, Method::POST, "/api/v1/events", KEY, "").await;
    for _ in 0..2 {
        let answer = post().await;
        assert_eq!(answer.status, 202);
        let told = r#""events_write_per_address";q=2;w=3600, "events_write_per_key";q=100;w=60"#;
        assert_eq!(answer.policy, told);
    }
    let refused = post().await;
    assert_eq!(refused.status, 429);
    assert!(
        refused.limit.contains(r#""events_write_per_address";r=0"#),
        "{}",
        refused.limit
    );
    let page = relay.api.get("/api/v1/events").await;
    assert_eq!(
        page["data"].as_array().unwrap().len(),
        2,
        "nothing of it was stored"
    );
}

async fn an_address_is_what_a_trusted_proxy_says(profile: Profile) {
    let limit = ("POSTHASTE_LIMITS__READ_PER_ADDRESS", "1/hour");
    let trusting = ("POSTHASTE_SERVER__TRUSTED_PROXIES", "127.0.0.0/8");
    let read = async |relay: &Relay, from: &str| {
        ask(relay, Method::GET, "/api/v1/events", KEY, from)
            .await
            .status
    };
    let relay = Relay::start_with(profile, &[limit, trusting]).await;
    assert_eq!(read(&relay, "1.1.1.1").await, 200);
    assert_eq!(read(&relay, "1.1.1.1").await, 429);
    assert_eq!(
        read(&relay, "2.2.2.2, 1.1.1.1").await,
        429,
        "what a caller wrote counts for nothing"
    );
    assert_eq!(read(&relay, "1.1.1.1, 2.2.2.2").await, 200);
    relay.stop().await;
    let relay = Relay::start_with(profile, &[limit]).await;
    assert_eq!(read(&relay, "1.1.1.1").await, 200);
    assert_eq!(read(&relay, "2.2.2.2").await, 429, "nobody is believed");
}

async fn who_tries_keys_at_will_is_stopped(profile: Profile) {
    let more = [("POSTHASTE_LIMITS__FAILED_AUTH_PER_ADDRESS", "3/hour")];
    let relay = Relay::start_with(profile, &more).await;
    let made = make(&relay).await;
    for _ in 0..3 {
        assert_eq!(read(&relay, "no key at all").await.status, 401);
    }
    for method in [Method::GET, Method::POST] {
        for key in ["no key at all", KEY] {
            let refused = ask(&relay, method.clone(), "/api/v1/events", key, "").await;
            assert_eq!(refused.status, 429);
            assert!(refused.retry_after.parse::<u64>().unwrap() > 600);
        }
        let answer = ask(&relay, method, "/api/v1/events", &made, "").await;
        assert!(
            answer.status < 300,
            "what cannot be guessed goes on working"
        );
    }
    // Health is no way around it.
    let shown = ask(&relay, Method::GET, "/health", KEY, "").await;
    assert!(shown.body["components"]["store"].get("detail").is_none());
}

/// How many of ten requests are let in, made at two relays in turn.
async fn let_in(first: &Relay, second: &Relay, key: &str) -> usize {
    let mut count = 0;
    for _ in 0..5 {
        for relay in [first, second] {
            count += usize::from(read(relay, key).await.status == 200);
        }
    }
    count
}

const FOUR: (&str, &str) = ("POSTHASTE_LIMITS__READ_PER_KEY", "4/hour");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_limits_by_redis_and_limit_by_themselves_without() {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let proxy = Proxy::before(&backend.environment()["REDIS_URL"]).await;
    let more = [FOUR, ("REDIS_URL", proxy.url())];
    let first = Relay::start_on(Arc::clone(&backend), &more).await;
    let second = Relay::start_on(backend, &more).await;
    assert_eq!(let_in(&first, &second, KEY).await, 4);
    let refused = read(&first, KEY).await;
    assert_eq!(
        (refused.status, refused.policy.as_str()),
        (429, r#""read_per_key";q=4;w=3600"#)
    );
    // With Redis away nobody is turned away for that, and each node goes on limiting.
    let made = make(&first).await;
    assert_eq!(read(&first, &made).await.status, 200);
    proxy.cut();
    let alone = async |relay: &Relay| {
        let mut count = 0;
        for _ in 0..6 {
            count += usize::from(read(relay, &made).await.status == 200);
        }
        count
    };
    assert_eq!(alone(&first).await, 3, "it had one before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_node_limits_by_itself() {
    let backend = Arc::new(Backend::new(Profile::Distributed).await);
    let more = [FOUR, ("REDIS_URL", "")];
    let first = Relay::start_on(Arc::clone(&backend), &more).await;
    let second = Relay::start_on(backend, &more).await;
    assert_eq!(let_in(&first, &second, KEY).await, 8);
}

#[tokio::test]
async fn a_request_takes_from_all_shared_quotas_or_from_none() {
    let url = std::env::var("TEST_REDIS_URL").unwrap();
    let installation = clock::uuid().to_string();
    let limits = RedisLimits::new(&url, &installation).unwrap();
    let quota = |name: &str, text: &str| {
        let quota = Quota::parse(text).unwrap().unwrap();
        (name.to_owned(), quota)
    };
    let (wide, narrow) = (quota("wide", "2/hour"), quota("narrow", "1/hour"));
    let take = async |asked: &[(String, Quota)]| {
        let standings = limits.take(asked).await.unwrap();
        let admitted = standings.iter().map(|standing| standing.admitted);
        (admitted.collect::<Vec<_>>(), standings)
    };
    let both = [wide.clone(), narrow.clone()];
    assert_eq!(take(&both).await.0, [true, true]);
    assert_eq!(take(&both).await.0, [true, false]);
    let alone = [wide];
    assert_eq!(take(&alone).await.0, [true], "nothing of it was taken");
    assert_eq!(take(&alone).await.0, [false]);
    // A clock that was set back shuts nobody out for longer than a window.
    let key = format!("posthaste:{installation}:limit:narrow");
    let client = redis::Client::open(url).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis.set(&key, i64::MAX / 2).await.unwrap();
    let (admitted, standings) = take(std::slice::from_ref(&narrow)).await;
    assert_eq!(admitted, [false]);
    assert!(standings[0].wait <= narrow.1.window(), "{standings:?}");
    let _: () = redis.del(&key).await.unwrap();
}
