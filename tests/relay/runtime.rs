//! How a subscription is doing, and whether the node is.

use serde_json::{Value, json};

use crate::support::backend::Profile;
use crate::support::receiver::{Receiver, status};
use crate::support::relay::{Relay, Subscribed};

crate::stories_also_split!(
    a_subscription_shows_how_it_is_doing;
    in_one_process: a_backlog_shows_its_size_and_age, a_breaker_and_a_hold_show_until_when,
);

async fn runtime(relay: &Relay, subscribed: &Subscribed) -> Value {
    let path = format!("{}/runtime", subscribed.path());
    relay.api.get(&path).await
}

async fn a_subscription_shows_how_it_is_doing(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, gate) = Receiver::gated().await;
    let more =
        json!({"maxInFlight": 2, "rateLimit": {"limit": 10, "periodMs": 86400000, "burst": 5}});
    let to = relay.api.subscribe(&receiver, more).await;
    let idle = runtime(&relay, &to).await;
    assert_eq!(idle["state"], "active");
    assert_eq!(
        idle["backlog"],
        json!({"count": 0, "atLeast": false, "oldestAt": null, "oldestAgeMs": null, "blocked": false})
    );
    assert_eq!(idle["drain"]["estimateMs"], 0);
    assert_eq!(idle["lastError"], Value::Null);
    assert_eq!(idle["breaker"]["state"], "closed");
    assert_eq!(idle["inFlight"]["most"], 2);
    for _ in 0..3 {
        relay.api.send("job.created", json!({})).await;
    }
    receiver.received(2).await;
    let busy = runtime(&relay, &to).await;
    assert_eq!(busy["backlog"]["count"], 3);
    assert!(busy["backlog"]["oldestAgeMs"].is_u64(), "{busy}");
    let live = ["tokensLeft", "window", "restarts"];
    if profile == Profile::Split {
        // Asked was the process that only accepts.
        assert_eq!(busy["owner"], "another");
        assert!(live.iter().all(|field| busy[field].is_null()), "{busy}");
        assert_eq!(busy["inFlight"]["count"], Value::Null);
        assert_eq!(busy["drain"]["estimateMs"], Value::Null);
    } else {
        assert_eq!(busy["owner"], "this");
        assert_eq!(busy["inFlight"]["count"], 2);
        assert_eq!(busy["restarts"], 0);
        assert_eq!(busy["window"]["held"], 3);
        assert_eq!(busy["window"]["waiting"], 1);
        relay
            .look_until("the tokens to be shown as taken", async || {
                let shown = runtime(&relay, &to).await;
                (shown["tokensLeft"] == 3).then_some(())
            })
            .await;
        assert!(busy["drain"]["perSecond"].is_number(), "{busy}");
        assert!(busy["drain"]["estimateMs"].is_u64(), "{busy}");
    }
    gate.open();
    relay.nothing_pending().await;
}

async fn a_backlog_shows_its_size_and_age(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let to = relay.api.subscribe(&receiver, json!({})).await;
    relay
        .api
        .post(200, &format!("{}/pause", to.path()), &json!({}))
        .await;
    let event = relay.api.send("job.created", json!({})).await;
    relay.api.send("job.created", json!({})).await;
    let paused = runtime(&relay, &to).await;
    assert_eq!(paused["state"], "paused");
    assert_eq!(paused["backlog"]["count"], 2);
    let made = &relay.api.delivery_of(&event).await["createdAt"];
    assert_eq!(&paused["backlog"]["oldestAt"], made);
    assert_eq!(paused["drain"]["estimateMs"], Value::Null, "it is held");
    // And nobody calls that overdue.
    assert_eq!(relay.api.get("/health").await["status"], "ok");
}

async fn a_breaker_and_a_hold_show_until_when(profile: Profile) {
    let relay = Relay::start(profile).await;
    let failing = Receiver::answering(|_, _| status(500)).await;
    let breaker = json!({"breaker": {"consecutiveFailures": 1, "coolDownMs": 3600000, "coolDownMaxMs": 3600000}});
    let cut = relay.api.subscribe(&failing, breaker).await;
    let event = relay.api.send("job.created", json!({})).await;
    relay.recorded(1).await;
    let shown = relay
        .look_until("the breaker to be open", async || {
            let shown = runtime(&relay, &cut).await;
            (shown["breaker"]["state"] == "open").then_some(shown)
        })
        .await;
    assert!(shown["breaker"]["nextProbeAt"].is_string(), "{shown}");
    let delivery = relay.api.delivery_of(&event).await;
    assert_eq!(shown["lastError"]["status"], 500);
    assert_eq!(shown["lastError"]["deliveryId"], delivery["id"]);
    assert_eq!(
        shown["lastError"]["attemptId"],
        delivery["attempts"][0]["id"]
    );
    assert_eq!(
        shown["lastError"]["kind"],
        delivery["attempts"][0]["errorKind"]
    );
    assert_eq!(shown["drain"]["estimateMs"], Value::Null);

    let tired = Receiver::answering(|_, _| {
        let mut answer = status(429);
        answer
            .headers_mut()
            .insert("retry-after", "3600".parse().unwrap());
        answer
    })
    .await;
    let more = json!({"eventTypes": ["other.made"]});
    let held = relay.api.subscribe(&tired, more).await;
    relay.api.send("other.made", json!({})).await;
    tired.received(1).await;
    let shown = relay
        .look_until("the hold to be shown", async || {
            let shown = runtime(&relay, &held).await;
            (shown["holdUntil"].is_string() && !shown["lastError"].is_null()).then_some(shown)
        })
        .await;
    assert_eq!(shown["lastError"]["status"], 429, "{shown}");
}

#[cfg(feature = "faults")]
mod stuck {
    use posthaste::faults::Point;

    use super::*;

    crate::stories!(
        a_node_that_gets_on_with_nothing_is_not_well_until_it_does,
        restarts_are_counted,
    );

    async fn health(relay: &Relay, part: &str, ok: bool) {
        relay
            .look_until("the node's health to turn", async || {
                let health = relay.api.get("/health").await;
                let status = if ok { "ok" } else { "degraded" };
                let turned = health["components"][part]["ok"] == ok && health["status"] == status;
                (turned && health["ready"] == true).then_some(())
            })
            .await;
    }

    async fn a_node_that_gets_on_with_nothing_is_not_well_until_it_does(profile: Profile) {
        let quick = [
            ("POSTHASTE_HEALTH__MAX_OVERDUE_MS", "1000"),
            ("POSTHASTE_HEALTH__MAX_RECORD_LAG_MS", "100"),
            ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "100"),
            ("POSTHASTE_ENGINE__RESTART_LIMIT", "1000"),
        ];
        let relay = Relay::start_with(profile, &quick).await;
        let receiver = Receiver::ok().await;
        relay.api.subscribe(&receiver, json!({})).await;
        health(&relay, "deliveries", true).await;
        let faults = relay.engine().faults();
        faults.arm(Point::Launch, u32::MAX);
        relay.api.send("job.created", json!({})).await;
        health(&relay, "deliveries", false).await;
        faults.arm(Point::Launch, 0);
        receiver.received(1).await;
        health(&relay, "deliveries", true).await;

        faults.arm(Point::RecorderCommit, u32::MAX);
        relay.api.send("job.created", json!({})).await;
        receiver.received(2).await;
        health(&relay, "recorder", false).await;
        faults.arm(Point::RecorderCommit, 0);
        health(&relay, "recorder", true).await;
        relay.nothing_pending().await;
    }

    async fn restarts_are_counted(profile: Profile) {
        let relay = Relay::start(profile).await;
        let receiver = Receiver::ok().await;
        let to = relay.api.subscribe(&receiver, json!({})).await;
        let id = to.id.parse().unwrap();
        relay.engine().faults().arm_for(Point::Subscription, id, 2);
        relay.api.send("job.created", json!({})).await;
        receiver.received(1).await;
        assert_eq!(runtime(&relay, &to).await["restarts"], 2);
    }
}
