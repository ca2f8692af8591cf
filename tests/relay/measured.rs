//! Metrics: what Prometheus reads is well formed, and moves with what really happens.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use crate::support::receiver::status;
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    deliveries_move_the_counters,
    metrics_take_a_key_but_on_their_own_listener,
    subscriptions_get_labels_where_that_is_asked_for,
);

/// The samples of a scrape, by name and labels. Panics where the text is not as OpenMetrics has it.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found: BTreeMap<String, f64> = BTreeMap::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            assert!(lines.peek().is_none(), "something stands behind the end");
            check_histograms(&kinds, &found);
            return found;
        }
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').unwrap();
            let (name, text) = rest.split_once(' ').unwrap();
            assert!(["TYPE", "HELP", "UNIT"].contains(&word), "{line}");
            if word == "TYPE" {
                assert!(kinds.insert(name, text).is_none(), "{name} stands twice");
            }
            if word == "UNIT" {
                assert!(name.ends_with(&format!("_{text}")), "{line}");
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        let family = kinds.iter().find(|(family, kind)| {
            let suffixes: &[&str] = match **kind {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_sum", "_count", "_bucket"],
                "info" => &["_info"],
                other => panic!("{other}"),
            };
            suffixes
                .iter()
                .any(|suffix| name.strip_suffix(suffix) == Some(family))
        });
        assert!(family.is_some(), "{line} is of no family");
        let value = value.parse().unwrap();
        assert!(
            found.insert(sample.to_owned(), value).is_none(),
            "{sample} stands twice"
        );
    }
    panic!("the end is missing");
}

fn check_histograms(kinds: &BTreeMap<&str, &str>, found: &BTreeMap<String, f64>) {
    for (family, _) in kinds.iter().filter(|(_, kind)| **kind == "histogram") {
        let prefix = format!("{family}_bucket{{le=\"");
        let mut buckets: Vec<(f64, f64)> = found
            .iter()
            .filter_map(|(name, count)| {
                let bound = name.strip_prefix(&prefix)?.strip_suffix("\"}")?;
                Some((bound.replace('+', "").parse().unwrap(), *count))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(
            buckets.windows(2).all(|two| two[0].1 <= two[1].1),
            "{family}"
        );
        let last = buckets.last().unwrap();
        assert_eq!(
            (last.0, last.1),
            (f64::INFINITY, found[&format!("{family}_count")])
        );
    }
}

async fn scrape(relay: &Relay) -> BTreeMap<String, f64> {
    let answer = relay
        .api
        .request(Method::GET, "/metrics")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let media_type = answer.headers()["content-type"].to_str().unwrap();
    assert!(
        media_type.starts_with("application/openmetrics-text"),
        "{media_type}"
    );
    samples(&answer.text().await.unwrap())
}

async fn deliveries_move_the_counters(profile: Profile) {
    let relay = Relay::start(profile).await;
    let before = scrape(&relay).await;
    assert_eq!(before["posthaste_events_accepted_total"], 0.0);
    assert_eq!(before["posthaste_deliveries_pending"], 0.0);

    let good = Receiver::ok().await;
    let bad = Receiver::answering(|_, _| status(500)).await;
    relay.api.subscribe(&good, json!({})).await;
    let twice = json!({"retryPolicy": {"attempts": 2}, "eventTypes": ["a"]});
    relay.api.subscribe(&bad, twice).await;
    let closed = json!({"retryPolicy": {"attempts": 1}, "eventTypes": ["a"]});
    relay
        .api
        .subscribe_url("http://127.0.0.1:9/closed", closed)
        .await;
    let paused = relay
        .api
        .subscribe_url("http://127.0.0.1:9/x", json!({"isActive": false}))
        .await;
    for event_type in ["a", "b", "b"] {
        relay.api.send(event_type, json!({})).await;
    }
    relay.api.post(400, "/api/v1/events", &json!({})).await;
    let stranger = reqwest::Client::new().post(format!("{}/api/v1/events", relay.api.base));
    assert_eq!(stranger.send().await.unwrap().status(), 401);
    relay
        .look_until("all but what is paused to end", async || {
            let seen = scrape(&relay).await;
            let ended =
                |state| seen[&format!("posthaste_deliveries_ended_total{{state=\"{state}\"}}")];
            (ended("delivered") == 3.0 && ended("failed") == 2.0).then_some(())
        })
        .await;
    relay
        .api
        .post(
            200,
            &format!("{}/cancel-pending", paused.path()),
            &json!({}),
        )
        .await;

    let seen = scrape(&relay).await;
    for (name, expected) in [
        ("posthaste_events_accepted_total", 3.0),
        ("posthaste_deliveries_created_total", 8.0),
        (
            r#"posthaste_event_requests_refused_total{code="invalid-body"}"#,
            1.0,
        ),
        (
            r#"posthaste_event_requests_refused_total{code="key-required"}"#,
            1.0,
        ),
        (r#"posthaste_attempts_total{outcome="2xx"}"#, 3.0),
        (r#"posthaste_attempts_total{outcome="5xx"}"#, 2.0),
        (r#"posthaste_attempts_total{outcome="connect"}"#, 1.0),
        (
            r#"posthaste_deliveries_ended_total{state="cancelled"}"#,
            3.0,
        ),
        ("posthaste_attempt_duration_seconds_count", 6.0),
        ("posthaste_first_attempt_delay_seconds_count", 5.0),
        ("posthaste_ingest_group_size_sum", 3.0),
        ("posthaste_record_group_size_sum", 6.0),
        (r#"posthaste_subscriptions{state="active"}"#, 3.0),
        (r#"posthaste_subscriptions{state="paused"}"#, 1.0),
        (r#"posthaste_component_up{component="store"}"#, 1.0),
        (r#"posthaste_breakers{state="open"}"#, 0.0),
        ("posthaste_lease_held", 1.0),
        ("posthaste_ready", 1.0),
        ("posthaste_attempts_in_flight", 0.0),
        ("posthaste_outcomes_waiting", 0.0),
    ] {
        assert_eq!(seen.get(name), Some(&expected), "{name}");
    }
    assert!(seen["posthaste_ingest_commit_seconds_count"] >= 1.0);
    assert!(seen["process_start_time_seconds"] > 1.0e9);
    #[cfg(target_os = "linux")]
    assert!(seen["process_resident_memory_bytes"] > 1.0e6);
    assert!(!seen.keys().any(|name| name.contains("subscription=")));
}

async fn metrics_take_a_key_but_on_their_own_listener(profile: Profile) {
    let relay = Relay::start_with(profile, &[("POSTHASTE_METRICS__LISTEN", "127.0.0.1:0")]).await;
    let open = reqwest::get(format!("{}/metrics", relay.api.base))
        .await
        .unwrap();
    assert_eq!(open.status(), 401);

    let own = format!("http://{}", relay.engine().metrics_addr().unwrap());
    let answer = reqwest::get(format!("{own}/metrics")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(samples(&answer.text().await.unwrap()).contains_key("posthaste_ready"));
    // Nothing else is there.
    for path in ["/", "/health", "/api/v1/events", "/metrics/x"] {
        let answer = reqwest::get(format!("{own}{path}")).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    relay.stop().await;
    assert!(reqwest::get(format!("{own}/metrics")).await.is_err());
}

async fn subscriptions_get_labels_where_that_is_asked_for(profile: Profile) {
    let settings = [
        ("POSTHASTE_METRICS__PER_SUBSCRIPTION", "true"),
        ("POSTHASTE_METRICS__MAX_SUBSCRIPTIONS", "1"),
    ];
    let relay = Relay::start_with(profile, &settings).await;
    let (one, two) = (Receiver::ok().await, Receiver::ok().await);
    let first = relay
        .api
        .subscribe(&one, json!({"eventTypes": ["a"]}))
        .await;
    let second = relay
        .api
        .subscribe(&two, json!({"eventTypes": ["b"]}))
        .await;
    relay.api.send("a", json!(1)).await;
    relay.recorded(1).await;
    relay.api.send("b", json!(1)).await;
    relay.recorded(1).await;
    let seen = scrape(&relay).await;
    let of = |id: &str| {
        let name = format!(
            "posthaste_subscription_attempts_total{{subscription=\"{id}\",result=\"success\"}}"
        );
        seen.get(&name).copied()
    };
    assert_eq!(of(&first.id), Some(1.0));
    assert_eq!(of(&second.id), None);
    assert_eq!(of("other"), Some(1.0));
}
