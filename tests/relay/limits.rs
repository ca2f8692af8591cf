//! Bounds that hold: attempts in flight, pace, windows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use posthaste::clock;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};

use crate::support::receiver::{status, tally};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    a_subscription_never_has_more_in_flight_than_its_bound,
    a_lowered_bound_counts_from_the_next_attempt_on,
    a_pace_is_never_exceeded,
    more_in_flight_than_a_window_holds_is_not_accepted,
    a_full_window_loses_nothing,
    large_payloads_beyond_the_windows_bytes_arrive_too,
);

async fn send(relay: &Relay, count: usize) {
    for start in (0..count).step_by(100) {
        let event = |number| json!({"eventType": "many", "data": {"number": number}});
        let batch: Value = (start..count.min(start + 100)).map(event).collect();
        relay.api.post(202, "/api/v1/events", &batch).await;
    }
}

/// Counts who is inside, and lets out one for each permit.
#[derive(Clone)]
struct Room {
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    leave: Arc<Semaphore>,
}

impl Room {
    async fn receiver() -> (Receiver, Self) {
        let room = Self {
            inside: Arc::default(),
            most: Arc::default(),
            leave: Arc::new(Semaphore::new(0)),
        };
        let entered = room.clone();
        let receiver = Receiver::scripted(move |_, _| {
            let room = entered.clone();
            Box::pin(async move {
                let inside = room.inside.fetch_add(1, Ordering::SeqCst) + 1;
                room.most.fetch_max(inside, Ordering::SeqCst);
                room.leave.acquire().await.unwrap().forget();
                // Counted out before the relay can know.
                room.inside.fetch_sub(1, Ordering::SeqCst);
                status(200)
            })
        })
        .await;
        (receiver, room)
    }

    /// The most that were inside at once since this was last asked.
    fn most(&self) -> usize {
        self.most
            .swap(self.inside.load(Ordering::SeqCst), Ordering::SeqCst)
    }
}

async fn a_subscription_never_has_more_in_flight_than_its_bound(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, room) = Room::receiver().await;
    relay
        .api
        .subscribe(&receiver, json!({"maxInFlight": 3}))
        .await;
    send(&relay, 30).await;
    receiver.received(3).await;
    // One by one, then all at once.
    for left in 1..=10 {
        room.leave.add_permits(1);
        receiver.received(3 + left).await;
        assert_eq!(receiver.count(), 3 + left);
    }
    room.leave.add_permits(100);
    receiver.received(30).await;
    relay.nothing_pending().await;
    assert!(room.most() <= 3);
    assert_eq!(receiver.count(), 30);
}

async fn a_lowered_bound_counts_from_the_next_attempt_on(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (receiver, room) = Room::receiver().await;
    let subscribed = relay
        .api
        .subscribe(&receiver, json!({"maxInFlight": 8}))
        .await;
    send(&relay, 40).await;
    receiver.received(8).await;
    let lower = json!({"maxInFlight": 2});
    relay.api.put(&subscribed.path(), &lower).await;
    // Seven of the eight leave before anybody may enter.
    room.leave.add_permits(7);
    receiver.received(9).await;
    assert!(room.most() <= 8);
    for left in 10..=20 {
        room.leave.add_permits(1);
        receiver.received(left).await;
    }
    assert!(room.most() <= 2);
    let raise = json!({"maxInFlight": null});
    relay.api.put(&subscribed.path(), &raise).await;
    room.leave.add_permits(100);
    receiver.received(40).await;
    relay.nothing_pending().await;
    assert_eq!(receiver.count(), 40);
}

/// A receiver that notes when each request came.
async fn noting() -> (Receiver, Arc<Mutex<Vec<Instant>>>) {
    let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = Arc::clone(&times);
    let receiver = Receiver::scripted(move |_, _| {
        let noted = Arc::clone(&noted);
        Box::pin(async move {
            noted.lock().await.push(clock::instant());
            status(200)
        })
    })
    .await;
    (receiver, times)
}

async fn a_pace_is_never_exceeded(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (slow, slow_times) = noting().await;
    let (quick, quick_times) = noting().await;
    let free = Receiver::ok().await;
    let pace = |limit: u32, burst: u32| {
        let limit = json!({"limit": limit, "periodMs": 1_000, "burst": burst});
        json!({"rateLimit": limit})
    };
    relay.api.subscribe(&slow, pace(20, 1)).await;
    relay.api.subscribe(&quick, pace(50, 10)).await;
    relay.api.subscribe(&free, json!({})).await;
    let start = clock::instant();
    send(&relay, 40).await;
    assert_eq!(free.received_events(40).await.len(), 40);
    slow.received(40).await;
    quick.received(40).await;
    relay.nothing_pending().await;

    // A receipt comes after its sending and never before: counted from the start, no delay on
    // the way can make them seem too many.
    for (times, limit, burst) in [(slow_times, 20.0, 1.0), (quick_times, 50.0, 10.0)] {
        let times = times.lock().await;
        assert_eq!(times.len(), 40);
        for (count, time) in (1..).zip(times.iter()) {
            let allowed = burst + limit * time.duration_since(start).as_secs_f64();
            assert!(f64::from(count) <= allowed, "{count} of {allowed}");
        }
    }
}

/// The slots in flight, from what health says of deliveries.
async fn slots(relay: &Relay) -> usize {
    let health = relay.api.get("/health").await;
    let detail = health["components"]["deliveries"]["detail"].as_str();
    let first = detail.unwrap().split(' ').next().unwrap();
    first.parse().unwrap()
}

async fn more_in_flight_than_a_window_holds_is_not_accepted(profile: Profile) {
    let small = [
        ("POSTHASTE_DELIVERY__WINDOW", "16"),
        ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "8"),
    ];
    let relay = Relay::start_with(profile, &small).await;
    let receiver = Receiver::ok().await;
    let full = json!({"maxInFlight": 16});
    let subscribed = relay.api.subscribe(&receiver, full).await;
    let beyond = json!({"maxInFlight": 17});
    let refused = relay
        .api
        .expect(400, reqwest::Method::PUT, &subscribed.path(), Some(&beyond))
        .await;
    assert!(refused.to_string().contains("maxInFlight"), "{refused}");
}

async fn a_full_window_loses_nothing(profile: Profile) {
    let small = [
        ("POSTHASTE_DELIVERY__WINDOW", "16"),
        ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "8"),
    ];
    let relay = Relay::start_with(profile, &small).await;
    let (gated, gate) = Receiver::gated().await;
    relay.api.subscribe(&gated, json!({})).await;
    let free = Receiver::ok().await;
    relay.api.subscribe(&free, json!({})).await;
    for _ in 0..10 {
        send(&relay, 100).await;
        assert!(slots(&relay).await <= 16);
    }
    assert_eq!(free.received_events(1_000).await.len(), 1_000);
    gated.received(8).await;
    assert_eq!(gated.count(), 8);

    gate.open();
    let got = gated.received_events(1_000).await;
    assert_eq!(got.len(), 1_000);
    relay.nothing_pending().await;
    for receiver in [&gated, &free] {
        let twice: Vec<_> = tally(&receiver.all())
            .into_iter()
            .filter(|(_, count)| *count != 1)
            .collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}

async fn large_payloads_beyond_the_windows_bytes_arrive_too(profile: Profile) {
    let small = [
        ("POSTHASTE_DELIVERY__WINDOW_BYTES", "65536"),
        ("POSTHASTE_EVENTS__MAX_PAYLOAD_BYTES", "32768"),
    ];
    let relay = Relay::start_with(profile, &small).await;
    let (gated, gate) = Receiver::gated().await;
    relay.api.subscribe(&gated, json!({"maxInFlight": 2})).await;
    let mut sent = Vec::new();
    for number in 0..30 {
        let data = json!({"number": number, "much": "x".repeat(30_000)});
        sent.push((relay.api.send("large", data.clone()).await, data));
    }
    gate.open();
    gated.received(30).await;
    relay.nothing_pending().await;
    let all = gated.all();
    assert_eq!(all.len(), 30);
    for (event, data) in sent {
        let got = all.iter().find(|one| one.event_id() == event);
        assert_eq!(got.unwrap().json()["data"], data);
    }
}
