//! Live streams: what happens is shown in order, to whom it may be shown, without a gap that nobody
//! is told of, and to nobody's cost.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::looking::{Looking, Shown};
use crate::support::receiver::status;
use crate::support::relay::{Api, KEY, text};
use crate::support::{Profile, Receiver, Relay, soon};

crate::stories_also_split!(
    a_deliverys_life_is_shown_in_order,
    what_is_asked_for_is_shown_and_nothing_else;
    in_one_process:
    each_key_is_shown_what_its_scopes_allow,
    a_tenant_is_shown_its_own_alone,
    one_that_comes_back_misses_nothing_and_sees_nothing_twice,
    what_is_not_known_any_more_is_said_so,
    a_slow_reader_is_dropped_and_others_are_not,
    silence_is_broken_by_a_sign_of_life,
    what_was_passed_over_is_not_gone_through_again,
    a_stop_ends_all_streams,
    so_many_streams_and_no_more,
    a_stream_ends_with_its_key,
    while_nobody_looks_on_nobody_follows,
);

/// Who hangs up is noticed when something is written.
pub(super) const QUICK_BEATS: (&str, &str) = ("POSTHASTE_STREAM__HEARTBEAT_MS", "50");

async fn key(api: &Api, body: Value) -> (Api, String) {
    let made = api.post(201, "/api/v1/keys", &body).await;
    let path = format!("/api/v1/keys/{}", text(&made, "id"));
    (api.with_key(text(&made, "key")), path)
}

pub(super) async fn looking(relay: &Relay, query: &str) -> Looking {
    let mut looking = Looking::begin(&relay.api, query, None).await;
    if relay.backend.profile == Profile::Split {
        looking.other_nodes(1).await;
    }
    looking
}

/// Waits until no more than so many follow the engine.
pub(super) async fn followed_by(relay: &Relay, most: usize) {
    soon("nobody else to follow", async {
        while relay.engine().events().followers() > most {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(super) fn names(all: &[Shown]) -> Vec<&str> {
    all.iter().map(|shown| shown.name.as_str()).collect()
}

async fn a_deliverys_life_is_shown_in_order(profile: Profile) {
    let relay = Relay::start(profile).await;
    let answers = |number, _| status(if number == 0 { 500 } else { 200 });
    let receiver = Receiver::answering(answers).await;
    let mut looking = looking(&relay, "").await;
    let expected = match profile {
        Profile::Embedded => "node",
        Profile::Distributed | Profile::Split => "cluster",
    };
    assert_eq!(looking.hello["covers"], expected);

    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let made = looking.next().await;
    assert!(
        made.is("subscription.changed", "state", "active"),
        "{made:?}"
    );
    assert_eq!(made.data["subscriptionId"], subscribed.id);
    if profile == Profile::Split {
        relay.owner_hears().await;
    }
    let body =
        json!({"eventType": "a.b", "eventName": "A b", "source": "s", "payload": {"secret": 1}});
    let accepted = relay.api.post(202, "/api/v1/events", &body).await;
    let event = text(&accepted, "eventId").to_owned();

    let life = looking
        .until(|shown| shown.name == "delivery.settled")
        .await;
    assert_eq!(
        names(&life),
        [
            "event.accepted",
            "attempt.recorded",
            "attempt.recorded",
            "delivery.settled"
        ],
        "{life:?}"
    );
    assert!(life.iter().all(|shown| shown.data["eventId"] == *event));
    let told = &life[0].data;
    assert_eq!(
        (&told["eventType"], &told["eventName"], &told["source"]),
        (&json!("a.b"), &json!("A b"), &json!("s"))
    );
    assert_eq!(told.get("payload"), None);
    let delivery = relay.final_delivery(&event).await;
    for (shown, attempt) in life[1..3]
        .iter()
        .zip(delivery["attempts"].as_array().unwrap())
    {
        assert_eq!(shown.data["deliveryId"], delivery["id"]);
        assert_eq!(shown.data["subscriptionId"], *subscribed.id);
        assert_eq!(shown.data["attemptId"], attempt["id"]);
        for field in [
            "number",
            "trigger",
            "status",
            "errorKind",
            "error",
            "durationMs",
            "startedAt",
        ] {
            assert_eq!(shown.data[field], attempt[field], "{field}: {shown:?}");
        }
    }
    assert_eq!(life[1].data["deliveryStatus"], "pending");
    assert!(life[1].data["nextRetryAt"].is_string(), "{life:?}");
    assert_eq!(life[2].data["deliveryStatus"], "delivered");
    assert!(life[2].data["nextRetryAt"].is_null());
    assert_eq!(life[3].data["status"], "delivered");
    assert_eq!(life[3].data["attempts"], 2);

    let path = format!("{}/pause", subscribed.path());
    relay.api.expect(200, Method::POST, &path, None).await;
    let paused = looking.next().await;
    assert!(
        paused.is("subscription.changed", "state", "paused"),
        "{paused:?}"
    );
}

async fn what_is_asked_for_is_shown_and_nothing_else(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let wanted = relay
        .api
        .subscribe(&receiver, json!({"eventTypes": ["both", "one"]}))
        .await;
    relay
        .api
        .subscribe(&receiver, json!({"eventTypes": ["both"]}))
        .await;
    let query = format!(
        "?types=delivery.settled,subscription.changed&subscriptionId={}",
        wanted.id
    );
    let mut looking = looking(&relay, &query).await;
    if profile == Profile::Split {
        relay.owner_hears().await;
    }
    let events = [
        relay.api.send("both", json!(1)).await,
        relay.api.send("one", json!(2)).await,
    ];
    for _ in 0..2 {
        let shown = looking.next().await;
        assert_eq!(shown.name, "delivery.settled");
        assert_eq!(shown.data["subscriptionId"], *wanted.id);
        assert!(events.iter().any(|event| shown.data["eventId"] == **event));
    }
    relay.api.delete(&wanted).await;
    let deleted = looking.next().await;
    assert!(
        deleted.is("subscription.changed", "state", "deleted"),
        "{deleted:?}"
    );

    let nobody = "00000000-0000-4000-8000-000000000000";
    for (query, status) in [
        ("?types=nothing", 400),
        ("?types=", 400),
        ("?types=reset", 400),
        ("?subscriptionId=7", 400),
        ("?since=now", 400),
        (&format!("?subscriptionId={nobody}"), 404),
        (&format!("?subscriptionId={}", wanted.id), 404),
        (
            &format!("?types=event.accepted&subscriptionId={nobody}"),
            403,
        ),
    ] {
        let answer = Looking::ask(&relay.api, query, None).await;
        assert_eq!(answer.status(), status, "{query}");
    }
}

async fn each_key_is_shown_what_its_scopes_allow(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let with = async |scope: &str| {
        let body = json!({"name": "story", "scopes": [scope]});
        key(&relay.api, body).await.0
    };
    let events = with("events:read").await;
    let deliveries = with("deliveries:read").await;
    let subscriptions = with("subscriptions:read").await;
    let mut events_shown = Looking::begin(&events, "", None).await;
    let mut deliveries_shown = Looking::begin(&deliveries, "", None).await;
    let mut subscriptions_shown = Looking::begin(&subscriptions, "", None).await;

    relay.api.send("a", json!(1)).await;
    relay.recorded(1).await;
    let path = format!("{}/pause", subscribed.path());
    relay.api.expect(200, Method::POST, &path, None).await;
    let last = relay.api.send("b", json!(2)).await;

    let shown = events_shown
        .until(|shown| shown.is("event.accepted", "eventId", &last))
        .await;
    assert_eq!(names(&shown), ["event.accepted"; 2]);
    let shown = deliveries_shown
        .until(|shown| shown.name == "delivery.settled")
        .await;
    assert_eq!(names(&shown), ["attempt.recorded", "delivery.settled"]);
    let shown = subscriptions_shown.next().await;
    assert!(
        shown.is("subscription.changed", "state", "paused"),
        "{shown:?}"
    );

    for (api, query, lacks) in [
        (with("events:write").await, "", "events:read"),
        (events, "?types=attempt.recorded", "deliveries:read"),
        (
            deliveries,
            "?types=attempt.recorded,breaker.changed",
            "subscriptions:read",
        ),
    ] {
        let answer = Looking::ask(&api, query, None).await;
        assert_eq!(answer.status(), 403);
        let answer = answer.text().await.unwrap();
        assert!(answer.contains(lacks), "{answer}");
    }
}

async fn a_tenant_is_shown_its_own_alone(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let of = async |tenant: &str| {
        let scopes = [
            "events:write",
            "events:read",
            "deliveries:read",
            "subscriptions:read",
        ];
        let body = json!({"name": "story", "scopes": scopes, "tenant": tenant});
        let subscribed = relay
            .api
            .subscribe(&receiver, json!({"clientId": tenant}))
            .await;
        (key(&relay.api, body).await.0, subscribed)
    };
    let (a, a_subscribed) = of("a").await;
    let (b, b_subscribed) = of("b").await;
    let mut a_shown = Looking::begin(&a, "", None).await;
    let mut b_shown = Looking::begin(&b, "", None).await;

    // Everybody's, then one of each.
    let all = relay.api.send("x", json!(0)).await;
    let a_event = a.send("x", json!(1)).await;
    let b_event = b.send("x", json!(2)).await;
    for (shown, subscribed, own) in [
        (&mut a_shown, &a_subscribed, &a_event),
        (&mut b_shown, &b_subscribed, &b_event),
    ] {
        let mut settled = Vec::new();
        let mut accepted = Vec::new();
        while settled.len() < 2 || accepted.is_empty() {
            let next = shown.next().await;
            match next.name.as_str() {
                "event.accepted" => accepted.push(text(&next.data, "eventId").to_owned()),
                "delivery.settled" => settled.push(text(&next.data, "eventId").to_owned()),
                _ => {}
            }
            if next.name != "event.accepted" {
                assert_eq!(next.data["subscriptionId"], *subscribed.id, "{next:?}");
            }
        }
        settled.sort_unstable();
        let mut expected = [all.clone(), own.clone()];
        expected.sort_unstable();
        assert_eq!(settled, expected);
        assert_eq!(accepted, [own.as_str()]);
    }
    relay.api.delete(&a_subscribed).await;
    let deleted = a_shown.next().await;
    assert!(
        deleted.is("subscription.changed", "state", "deleted"),
        "{deleted:?}"
    );

    let query = format!("?subscriptionId={}", b_subscribed.id);
    assert_eq!(Looking::ask(&a, &query, None).await.status(), 404);
}

async fn one_that_comes_back_misses_nothing_and_sees_nothing_twice(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    relay.api.subscribe(&receiver, json!({})).await;
    let mut witness = looking(&relay, "").await;
    let mut first = looking(&relay, "").await;
    let one = relay.api.send("a", json!(1)).await;
    let mut seen = first
        .until(|shown| shown.is("event.accepted", "eventId", &one))
        .await;
    let last = first.last.clone();
    drop(first);

    let two = relay.api.send("a", json!(2)).await;
    let mut second = Looking::begin(&relay.api, "", Some(&last)).await;
    let three = relay.api.send("a", json!(3)).await;
    let is_end = |shown: &Shown| shown.is("delivery.settled", "eventId", &three);
    seen.extend(second.until(is_end).await);
    let all = witness.until(is_end).await;
    // What was shown before the first one was opened, the witness alone saw.
    let from = all.iter().position(|shown| shown.id == seen[0].id).unwrap();
    assert_eq!(seen, all[from..]);
    assert!(
        seen.iter()
            .any(|shown| shown.is("delivery.settled", "eventId", &two))
    );

    // One that saw nothing but the greeting can come back as well.
    let third = looking(&relay, "").await;
    let last = third.last.clone();
    drop(third);
    let four = relay.api.send("a", json!(4)).await;
    let mut third = Looking::begin(&relay.api, "", Some(&last)).await;
    let shown = third.next().await;
    assert!(shown.is("event.accepted", "eventId", &four), "{shown:?}");
}

async fn what_is_not_known_any_more_is_said_so(profile: Profile) {
    let more = [("POSTHASTE_STREAM__LINGER_MS", "0"), QUICK_BEATS];
    let relay = Relay::start_with(profile, &more).await;
    let followers = relay.engine().events().followers();
    let looking_on = looking(&relay, "").await;
    let last = looking_on.last.clone();
    drop(looking_on);
    followed_by(&relay, followers).await;
    let mut again = Looking::begin(&relay.api, "", Some(&last)).await;
    let event = relay.api.send("a", json!(1)).await;
    let reset = again.next().await;
    assert!(reset.is("reset", "reason", "unknown_id"), "{reset:?}");
    let after = again.next().await;
    assert!(after.is("event.accepted", "eventId", &event), "{after:?}");

    let mut before = looking(&relay, "").await;
    relay.api.send("a", json!(2)).await;
    before.next().await;
    let last = before.last.clone();
    let backend = relay.stop().await;
    let relay = Relay::start_on(backend, &[]).await;
    for last in [last.as_str(), "", "garbage", "\u{e9}"] {
        let mut again = Looking::begin(&relay.api, "", Some(last)).await;
        let reset = again.next().await;
        assert!(
            reset.is("reset", "reason", "unknown_id"),
            "{last}: {reset:?}"
        );
    }
}

/// Facts of the story of the slow reader: few are kept, and all of them are large.
const KEPT: usize = 2_000;

async fn a_slow_reader_is_dropped_and_others_are_not(profile: Profile) {
    const BATCHES: usize = 60;
    let more = [
        ("POSTHASTE_STREAM__KEPT_FACTS", "2000"),
        // Else the connection is given up while the story is told.
        ("POSTHASTE_SERVER__REQUEST_TIMEOUT_MS", "120000"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let receiver = Receiver::ok().await;
    relay
        .api
        .subscribe(&receiver, json!({"eventTypes": ["last"]}))
        .await;
    let mut slow = unread(&relay.api).await;
    let mut other = Looking::begin(&relay.api, "?types=event.accepted", None).await;
    let watching = tokio::spawn(async move {
        for _ in 0..=BATCHES * 100 {
            assert_eq!(other.next().await.name, "event.accepted");
        }
    });
    let event = json!({
        "eventType": "large",
        "eventName": "\u{1f600}".repeat(255),
        "source": "\u{1f600}".repeat(255),
        "payload": 1,
    });
    let batch = Value::from(vec![event; 100]);
    for _ in 0..BATCHES {
        relay.api.post(202, "/api/v1/events", &batch).await;
    }
    let last = relay.api.send("last", json!(1)).await;
    assert_eq!(receiver.received(1).await[0].event_id(), last);
    watching.await.unwrap();

    let mut got = Vec::new();
    soon("the slow stream's end", slow.read_to_end(&mut got))
        .await
        .unwrap();
    let got = String::from_utf8_lossy(&got);
    let (_, dropped) = got
        .split_once("event: dropped\ndata: ")
        .expect("it says so");
    let data: Value = serde_json::from_str(dropped.lines().next().unwrap()).unwrap();
    let shown = got.matches("event: event.accepted").count();
    let gone = usize::try_from(data["facts"].as_u64().unwrap()).unwrap();
    assert!(gone > 0);
    assert!(
        shown + gone + KEPT >= BATCHES * 100,
        "{shown} shown, {gone} gone"
    );
    assert!(
        dropped.trim_end().ends_with('0'),
        "nothing follows: {dropped}"
    );
}

/// A stream that is opened and of which nothing is read: little fits on the way to it.
async fn unread(api: &Api) -> TcpStream {
    let address = api.base.strip_prefix("http://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!(
        "GET /api/v1/stream?types=event.accepted HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    soon("the stream's head", stream.read_exact(&mut first))
        .await
        .unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

async fn silence_is_broken_by_a_sign_of_life(profile: Profile) {
    // Pauses longer than any request or idle connection may take.
    let more = [
        ("POSTHASTE_SERVER__REQUEST_TIMEOUT_MS", "2000"),
        ("POSTHASTE_EVENTS__ACCEPT_TIMEOUT_MS", "1500"),
        ("POSTHASTE_STORE__ACQUIRE_TIMEOUT_MS", "1000"),
        ("POSTHASTE_STREAM__HEARTBEAT_MS", "2500"),
    ];
    let relay = Relay::start_with(profile, &more).await;
    let mut looking = Looking::begin(&relay.api, "", None).await;
    looking.beat().await;
    let event = relay.api.send("a", json!(1)).await;
    let shown = looking.next().await;
    assert!(shown.is("event.accepted", "eventId", &event), "{shown:?}");
}

async fn what_was_passed_over_is_not_gone_through_again(profile: Profile) {
    let relay = Relay::start_with(profile, &[QUICK_BEATS]).await;
    let mut other = Looking::begin(&relay.api, "?types=breaker.changed", None).await;
    let first = other.last.clone();
    relay.api.send("a", json!(2)).await;
    soon("a sign of life that has got on", async {
        while other.last == first {
            other.beat().await;
        }
    })
    .await;
}

async fn a_stop_ends_all_streams(profile: Profile) {
    let relay = Relay::start(profile).await;
    let mut looking = looking(&relay, "").await;
    let ended = async {
        let closed = looking.next().await;
        assert!(closed.is("closed", "reason", "stopping"), "{closed:?}");
        assert_eq!(looking.next_or_end().await, None);
    };
    tokio::join!(ended, async { drop(relay.stop().await) });
}

async fn so_many_streams_and_no_more(profile: Profile) {
    let more = [("POSTHASTE_STREAM__MAX_STREAMS", "2"), QUICK_BEATS];
    let relay = Relay::start_with(profile, &more).await;
    let first = looking(&relay, "").await;
    let _second = looking(&relay, "").await;
    let refused = Looking::ask(&relay.api, "", None).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let refused: Value = refused.json().await.unwrap();
    assert!(
        text(&refused, "error").contains("stream.max_streams"),
        "{refused}"
    );
    drop(first);
    soon("room for another stream", async {
        while Looking::ask(&relay.api, "", None).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn a_stream_ends_with_its_key(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (revoked, path) = key(&relay.api, json!({"name": "r", "preset": "client"})).await;
    let tenant = json!({"id": "t", "name": "T"});
    relay.api.post(201, "/api/v1/tenants", &tenant).await;
    let body = json!({"name": "t", "preset": "client", "tenant": "t"});
    let (of_tenant, _) = key(&relay.api, body).await;
    let mut witness = looking(&relay, "").await;
    let mut streams = Vec::new();
    for api in [revoked, of_tenant] {
        streams.push(Looking::begin(&api, "", None).await);
    }
    // Used at once, for it is not good for long.
    let soon_over = posthaste::clock::now().plus(std::time::Duration::from_secs(3));
    let body = json!({"name": "e", "preset": "client", "expiresAt": soon_over.to_string()});
    let (expiring, _) = key(&relay.api, body).await;
    streams.push(Looking::begin(&expiring, "", None).await);
    relay.api.expect(204, Method::DELETE, &path, None).await;
    let inactive = json!({"status": "inactive"});
    relay
        .api
        .expect(200, Method::PATCH, "/api/v1/tenants/t", Some(&inactive))
        .await;
    for (stream, reason) in streams
        .iter_mut()
        .zip(["key_ended", "tenant_inactive", "key_ended"])
    {
        let closed = stream.next().await;
        assert!(closed.is("closed", "reason", reason), "{closed:?}");
        assert_eq!(stream.next_or_end().await, None);
    }
    let event = relay.api.send("a", json!(1)).await;
    witness
        .until(|shown| shown.is("event.accepted", "eventId", &event))
        .await;
}

async fn while_nobody_looks_on_nobody_follows(profile: Profile) {
    let more = [("POSTHASTE_STREAM__LINGER_MS", "0"), QUICK_BEATS];
    let relay = Relay::start_with(profile, &more).await;
    let engine = relay.engine().events();
    let before = engine.followers();
    let one = looking(&relay, "").await;
    let two = looking(&relay, "").await;
    assert_eq!(engine.followers(), before + 1, "one follows for all");
    drop((one, two));
    followed_by(&relay, before).await;
}
