//! Numbers: they move by what really happens, folded or not, and say who is in trouble.

use posthaste::events::EngineEvent;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::backend::Profile;
use crate::support::receiver::{Receiver, status};
use crate::support::relay::{KEY, Relay, Subscribed, rows, text};

crate::stories!(
    numbers_move_by_deliveries,
    numbers_stay_when_they_are_folded,
    what_waits_and_who_is_in_trouble_is_shown,
    the_newest_deliveries_are_shown,
    what_is_asked_wrongly_is_refused,
    a_dashboard_may_ask_for_health_without_a_key,
);

async fn get(relay: &Relay, path: &str) -> Value {
    relay.api.get(&format!("/api/v1{path}")).await
}

async fn two(relay: &Relay, good: &Receiver, bad: &Receiver) -> [Subscribed; 2] {
    let named = |name: &str| json!({"name": name, "retryPolicy": {"delaysMs": [100]}, "breaker": {"enabled": false}});
    [
        relay.api.subscribe(good, named("good")).await,
        relay.api.subscribe(bad, named("bad")).await,
    ]
}

/// Five events to one that takes them and one that takes none, at the second attempt either.
async fn five_events(relay: &Relay) -> [Subscribed; 2] {
    let (good, bad) = (
        Receiver::ok().await,
        Receiver::answering(|_, _| status(500)).await,
    );
    let subscribed = two(relay, &good, &bad).await;
    for number in 0..5 {
        let event_type = if number < 3 {
            "job.created"
        } else {
            "job.deleted"
        };
        relay.api.send(event_type, json!({"number": number})).await;
    }
    relay.nothing_pending().await;
    subscribed
}

async fn numbers_move_by_deliveries(profile: Profile) {
    let relay = Relay::start(profile).await;
    let nothing = get(&relay, "/dashboard/overview").await;
    assert_eq!(nothing["events"]["ever"], 0);
    assert_eq!(nothing["deliveries"]["last24h"]["successRate"], Value::Null);
    assert_eq!(
        nothing["backlog"],
        json!({"pending": 0, "oldestAt": null, "oldestAgeMs": null})
    );
    let [good, bad] = five_events(&relay).await;

    let overview = get(&relay, "/dashboard/overview").await;
    assert_eq!(overview["complete"], true);
    assert_eq!(overview["subscriptions"]["total"], 2);
    assert_eq!(overview["subscriptions"]["byState"]["active"], 2);
    assert_eq!(overview["events"]["ever"], 5);
    assert_eq!(overview["events"]["last24h"], 5);
    let states = json!({"pending": 0, "delivered": 5, "failed": 5, "expired": 0, "cancelled": 0,
        "skipped": 0});
    assert_eq!(overview["deliveries"]["byState"], states);
    let day = &overview["deliveries"]["last24h"];
    assert_eq!(day["successRate"], 0.5);
    assert_eq!(day["attempts"]["total"], 15);
    assert_eq!(day["attempts"]["retries"], 5);
    assert_eq!(day["attempts"]["byOutcome"]["2xx"], 5);
    assert_eq!(day["attempts"]["byOutcome"]["5xx"], 10);
    for part in ["average", "p50", "p95", "p99"] {
        assert!(day["latencyMs"][part].as_f64().unwrap() > 0.0, "{day}");
        assert!(
            day["attempts"]["durationMs"][part].as_f64().unwrap() > 0.0,
            "{day}"
        );
    }
    assert!(
        overview["rates"]["eventsPerSecond"].as_f64().unwrap() > 0.0,
        "{overview}"
    );
    assert_eq!(overview["health"]["components"]["store"]["ok"], true);

    let summary = get(&relay, "/events/stats/summary").await;
    assert_eq!(
        (&summary["total"], &summary["last24h"]),
        (&json!(5), &json!(5))
    );
    let types =
        json!([{"eventType": "job.created", "count": 3}, {"eventType": "job.deleted", "count": 2}]);
    assert_eq!(summary["byType"], types);
    assert_eq!(summary["byStatus"]["delivered"], 5);
    let long_ago = "/events/stats/summary?since=2001-01-01T00:00:00Z&until=2001-02-01T00:00:00Z";
    let before = get(&relay, long_ago).await;
    assert_eq!((&before["total"], &before["ever"]), (&json!(0), &json!(5)));

    let summary = get(&relay, "/deliveries/stats/summary").await;
    assert_eq!(
        (&summary["total"], &summary["created"]),
        (&json!(10), &json!(10))
    );
    assert_eq!(summary["byState"], states);
    assert_eq!(summary["attempts"]["retries"], 5);

    for (window, points) in [("1h", 60), ("24h", 96), ("7d", 84), ("30d", 120)] {
        let metrics = get(&relay, &format!("/dashboard/metrics?window={window}")).await;
        assert_eq!(metrics["points"].as_array().unwrap().len(), points);
        assert_eq!(metrics["accepted"], 5, "{window}");
        assert_eq!(metrics["totals"]["delivered"], 5);
        let path = format!("/subscriptions/{}/stats?window={window}", bad.id);
        let of_one = get(&relay, &path).await;
        assert_eq!(of_one["accepted"], 5);
        assert_eq!(
            (&of_one["totals"]["delivered"], &of_one["byState"]["failed"]),
            (&json!(0), &json!(5))
        );
        assert_eq!(of_one["totals"]["successRate"], 0.0);
    }
    let path = format!("/subscriptions/stats?ids={},{}", good.id, bad.id);
    let sparklines = get(&relay, &path).await;
    let sum = |row: &Value, field: &str| -> u64 {
        let points = row[field].as_array().unwrap();
        assert_eq!(points.len(), 24);
        points.iter().map(|point| point.as_u64().unwrap()).sum()
    };
    let found = rows(&sparklines);
    assert_eq!(text(&found[0], "id"), good.id);
    assert_eq!(
        (sum(&found[0], "delivered"), sum(&found[0], "failed")),
        (5, 0)
    );
    assert_eq!(
        (sum(&found[1], "delivered"), sum(&found[1], "failed")),
        (0, 5)
    );

    // By hand it goes on, and the counts with it.
    let page = get(
        &relay,
        &format!("/subscriptions/{}/deliveries?limit=1", bad.id),
    )
    .await;
    relay.api.retry(202, &rows(&page)[0]).await;
    relay.nothing_pending().await;
    let summary = get(&relay, "/deliveries/stats/summary").await;
    assert_eq!(summary["byState"], states);
    assert_eq!(
        (&summary["reopened"], &summary["failed"]),
        (&json!(1), &json!(6))
    );
}

async fn numbers_stay_when_they_are_folded(profile: Profile) {
    // As often as may be, or not within a story.
    let often = [("POSTHASTE_STATISTICS__FOLD_INTERVAL_MS", "100")];
    let relay = Relay::start_with(profile, &often).await;
    five_events(&relay).await;
    let fields = ["byState", "attempts", "total", "created", "latencyMs"];
    let told = async || {
        let summary = get(&relay, "/deliveries/stats/summary").await;
        fields.map(|field| summary[field].clone())
    };
    let before = told().await;
    assert_eq!(before[2], 10);
    // What is told of a fold was committed before.
    relay.api.send("job.created", json!({})).await;
    relay.nothing_pending().await;
    let fold = |fact: &EngineEvent| matches!(fact, EngineEvent::StatisticsFolded(_));
    let after = told().await;
    assert_eq!(after[2], 12);
    relay.until("a fold", fold).await;
    assert_eq!(told().await, after);
    relay.api.send("job.created", json!({})).await;
    relay.nothing_pending().await;
    assert_eq!(told().await[2], 14);
}

async fn what_waits_and_who_is_in_trouble_is_shown(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (gone, bad) = (
        Receiver::answering(|_, _| status(410)).await,
        Receiver::answering(|_, _| status(500)).await,
    );
    let paused = json!({"name": "paused", "isActive": false, "eventTypes": ["a"]});
    relay
        .api
        .subscribe_url("http://127.0.0.1:9/hook", paused)
        .await;
    let leaves = json!({"name": "gone", "eventTypes": ["b"]});
    let gone_one = relay.api.subscribe(&gone, leaves).await;
    let cut = json!({"name": "cut", "eventTypes": ["c"], "breaker": {"consecutiveFailures": 2,
        "coolDownMs": 86_400_000, "coolDownMaxMs": 86_400_000}});
    let cut_one = relay.api.subscribe(&bad, cut).await;
    for event_type in ["a", "a", "a", "b", "c", "c"] {
        relay.api.send(event_type, json!({})).await;
    }
    let overview = relay
        .look_until("both to be shown as in trouble", async || {
            let overview = get(&relay, "/dashboard/overview").await;
            let trouble = overview["trouble"].as_array().unwrap().clone();
            let done = trouble.len() == 2
                && trouble[1]["breaker"] == "open"
                && trouble[1]["attempts"] == 2;
            done.then_some(overview)
        })
        .await;
    let trouble = overview["trouble"].as_array().unwrap();
    assert_eq!(text(&trouble[0], "id"), gone_one.id);
    assert_eq!(trouble[0]["state"], "deactivated");
    assert!(trouble[0]["stateReason"].is_string(), "{overview}");
    assert_eq!(text(&trouble[1], "id"), cut_one.id);
    assert_eq!(
        (&trouble[1]["name"], &trouble[1]["failureRate"]),
        (&json!("cut"), &json!(1.0))
    );
    assert!(trouble[1]["openUntil"].is_string(), "{overview}");
    let states = &overview["subscriptions"]["byState"];
    assert_eq!(
        (&states["paused"], &states["deactivated"]),
        (&json!(1), &json!(1))
    );
    // Three that are paused, one of who is gone, two behind the breaker.
    let backlog = &overview["backlog"];
    assert_eq!(backlog["pending"], 6, "{overview}");
    assert!(backlog["oldestAt"].is_string() && backlog["oldestAgeMs"].is_u64());
}

async fn the_newest_deliveries_are_shown(profile: Profile) {
    let relay = Relay::start(profile).await;
    let [good, _] = five_events(&relay).await;
    let page = get(&relay, "/dashboard/recent-deliveries?limit=4").await;
    assert_eq!((rows(&page).len(), &page["limit"]), (4, &json!(4)));
    let last = &rows(&page)[0];
    assert_eq!(last["eventType"], "job.deleted");
    let all = get(&relay, "/dashboard/recent-deliveries?limit=100").await;
    assert_eq!(rows(&all).len(), 10);
    for row in rows(&all) {
        let is_good = row["subscriptionId"] == good.id.as_str();
        let expected = match is_good {
            true => json!(["good", "delivered", 1, 200]),
            false => json!(["bad", "failed", 2, 500]),
        };
        let shown = json!([
            row["subscriptionName"],
            row["status"],
            row["attemptCount"],
            row["httpStatus"]
        ]);
        assert_eq!(shown, expected);
        assert!(row["durationMs"].as_f64().unwrap() > 0.0);
    }
    // A name that is no more is not made up.
    relay.api.delete(&good).await;
    let all = get(&relay, "/dashboard/recent-deliveries?limit=100").await;
    let named = rows(&all)
        .iter()
        .filter(|row| row["subscriptionName"].is_null());
    assert_eq!(named.count(), 5);
}

async fn what_is_asked_wrongly_is_refused(profile: Profile) {
    let relay = Relay::start(profile).await;
    let to = relay
        .api
        .subscribe_url("http://127.0.0.1:9/hook", json!({}))
        .await;
    for (path, named) in [
        ("/dashboard/overview?window=1h", "window"),
        ("/dashboard/metrics?window=2h", "1h, 24h, 7d, 30d"),
        ("/dashboard/recent-deliveries?limit=101", "limit"),
        ("/events/stats/summary?since=now", "since"),
        (
            "/events/stats/summary?until=2001-01-01T00:00:00Z&since=2002-01-01T00:00:00Z",
            "before until",
        ),
        ("/deliveries/stats/summary?state=failed", "state"),
        ("/subscriptions/stats", "ids is required"),
        ("/subscriptions/stats?ids=7", "ids"),
        (&format!("/subscriptions/{}/stats?window=", to.id), "window"),
    ] {
        let path = format!("/api/v1{path}");
        let answer = relay.api.expect(400, Method::GET, &path, None).await;
        let error = text(&answer, "error");
        assert!(error.contains(named), "{path}: {error}");
    }
    let nobody = "/api/v1/subscriptions/00000000-0000-7000-8000-000000000001/stats";
    relay.api.expect(404, Method::GET, nobody, None).await;
    let none = "/api/v1/subscriptions/stats?ids=00000000-0000-7000-8000-000000000001";
    assert!(rows(&relay.api.get(none).await).is_empty());
}

async fn a_dashboard_may_ask_for_health_without_a_key(profile: Profile) {
    let relay = Relay::start(profile).await;
    for base in ["/api/v1", "/api"] {
        let path = format!("{}{base}/dashboard/health", relay.api.base);
        let ask = reqwest::Client::new().get(&path);
        let answer: Value = ask.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["components"]["store"], json!({"ok": true}));
        let ask = reqwest::Client::new().get(&path).header("X-API-Key", KEY);
        let answer: Value = ask.send().await.unwrap().json().await.unwrap();
        assert!(answer["components"]["store"]["detail"].is_string());
        let overview = format!("{}{base}/dashboard/overview", relay.api.base);
        let answer = reqwest::Client::new().get(overview).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
}
