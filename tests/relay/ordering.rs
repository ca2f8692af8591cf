//! Deliveries that belong together go one after the other, whatever becomes of each.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use posthaste::domain::breaker::BreakerState;
use posthaste::domain::id::SubscriptionId;
use posthaste::events::EngineEvent;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::receiver::{Gate, status};
use crate::support::relay::{Api, Subscribed, rows, text};
use crate::support::{Process, Profile, Receiver, Relay};

crate::stories_also_split!(
    what_has_one_key_goes_one_after_the_other_whatever_fails_between,
    a_head_that_waits_for_its_retry_keeps_its_own_key_only,
    a_head_that_failed_for_good_blocks_its_key_until_it_is_skipped,
    a_blocking_delivery_is_retried_in_its_place,
    a_blocking_delivery_can_be_cancelled,
    where_it_is_so_set_a_key_goes_on_without_what_failed,
    all_can_go_one_after_the_other,
    order_switched_on_holds_for_what_is_pending,
    what_flies_without_an_order_is_waited_for,
    a_retry_by_hand_stands_outside_of_the_order,
    a_half_open_breaker_probes_in_order,
    many_behind_a_blocked_head_delay_nobody,
    many_blocked_keys_starve_no_other,
    order_survives_a_restart,
    what_is_taken_from_behind_another_holds_back_what_follows_it,
    what_is_wrong_with_the_order_is_told,
);

const HOUR_MS: u64 = 3_600_000;

/// What a receiver saw of each key: the numbers answered with success, in their order, each
/// counted once.
#[derive(Default)]
struct Ledger {
    first: HashMap<String, Vec<u64>>,
    in_flight: HashMap<String, usize>,
    most_in_flight: usize,
    calls: HashMap<(String, u64), usize>,
}

#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Ledger>>);

impl Watch {
    /// A receiver that answers what `script` says of a key, a number and the number of calls
    /// before this one, and notes what it saw.
    async fn receiver(
        &self,
        script: impl Fn(&str, u64, usize) -> u16 + Send + Sync + 'static,
    ) -> Receiver {
        self.gated(Arc::new(Gate::default()), script, true).await
    }

    /// As above; what comes waits for the gate.
    async fn gated(
        &self,
        gate: Arc<Gate>,
        script: impl Fn(&str, u64, usize) -> u16 + Send + Sync + 'static,
        open: bool,
    ) -> Receiver {
        if open {
            gate.open();
        }
        let (ledger, script) = (Arc::clone(&self.0), Arc::new(script));
        Receiver::scripted(move |_, received| {
            let (ledger, script, gate) =
                (Arc::clone(&ledger), Arc::clone(&script), Arc::clone(&gate));
            Box::pin(async move {
                let data = received.json()["data"].clone();
                let key = data["key"].as_str().unwrap_or_default().to_owned();
                let number = data["number"].as_u64().unwrap();
                let calls = {
                    let mut ledger = ledger.lock().unwrap();
                    let flying = ledger.in_flight.entry(key.clone()).or_default();
                    *flying += 1;
                    let flying = *flying;
                    if !key.is_empty() {
                        ledger.most_in_flight = ledger.most_in_flight.max(flying);
                    }
                    let calls = ledger.calls.entry((key.clone(), number)).or_default();
                    *calls += 1;
                    *calls - 1
                };
                gate.pass().await;
                // Lets whatever could overtake do so.
                tokio::task::yield_now().await;
                let code = script(&key, number, calls);
                let mut ledger = ledger.lock().unwrap();
                *ledger.in_flight.get_mut(&key).unwrap() -= 1;
                let first = ledger.first.entry(key).or_default();
                if code == 200 && !first.contains(&number) {
                    first.push(number);
                }
                status(code)
            })
        })
        .await
    }

    fn first(&self, key: &str) -> Vec<u64> {
        let ledger = self.0.lock().unwrap();
        ledger.first.get(key).cloned().unwrap_or_default()
    }

    /// First successes of no key go back, and never were two of one in flight.
    fn check_order(&self) {
        let ledger = self.0.lock().unwrap();
        for (key, first) in &ledger.first {
            assert!(key.is_empty() || first.is_sorted(), "{key}: {first:?}");
        }
        assert!(ledger.most_in_flight <= 1, "{}", ledger.most_in_flight);
    }
}

fn event(key: &str, number: u64) -> Value {
    let payload = json!({"key": key, "number": number});
    let key = (!key.is_empty()).then_some(key);
    json!({"eventType": "kept.in_order", "payload": payload, "orderingKey": key})
}

async fn send(api: &Api, key: &str, number: u64) -> String {
    let answer = api.post(202, "/api/v1/events", &event(key, number)).await;
    text(&answer, "eventId").to_owned()
}

/// Events of several keys in turn, `each` of each. Returns them by key and number.
async fn send_all(api: &Api, keys: &[&str], each: u64) -> BTreeMap<(String, u64), String> {
    let mut events = BTreeMap::new();
    for number in 0..each {
        for key in keys {
            events.insert(((*key).to_owned(), number), send(api, key, number).await);
        }
    }
    events
}

fn ordered(more: Value) -> Value {
    // What fails here says something of single deliveries, not of the receiver.
    let mut fields = json!({
        "ordering": "key",
        "breaker": {"enabled": false},
        "deactivation": {"exhaustedDeliveries": 0, "failingForMs": 0},
    });
    let more = more.as_object().unwrap().clone();
    fields.as_object_mut().unwrap().extend(more);
    fields
}

fn id_of(subscribed: &Subscribed) -> SubscriptionId {
    subscribed.id.parse().unwrap()
}

/// Waits until a line of this subscription is blocked.
async fn until_blocked(relay: &Relay, subscribed: &Subscribed) {
    let id = id_of(subscribed);
    let blocked = |event: &EngineEvent| matches!(event, EngineEvent::LineBlocked { subscription, .. } if *subscription == id);
    relay.until("a line to be blocked", blocked).await;
}

async fn blocked_keys(api: &Api, subscribed: &Subscribed) -> Vec<Value> {
    let answer = api
        .get(&format!("{}/blocked-keys", subscribed.path()))
        .await;
    rows(&answer).clone()
}

async fn act(relay: &Relay, code: u16, delivery: &Value, verb: &str) -> Value {
    let path = format!("/api/v1/deliveries/{}/{verb}", text(delivery, "id"));
    relay.api.expect(code, Method::POST, &path, None).await
}

/// Once a later event without a key went through, whatever could have gone was paged too.
async fn witnessed(relay: &Relay, number: u64) {
    for number in [number, number + 1] {
        let event = send(&relay.api, "", number).await;
        let delivery = relay.final_delivery(&event).await;
        assert_eq!(delivery["status"], "delivered");
    }
}

async fn what_has_one_key_goes_one_after_the_other_whatever_fails_between(profile: Profile) {
    let relay = Relay::start_with(
        profile,
        &[
            ("POSTHASTE_DELIVERY__WINDOW", "16"),
            ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "8"),
        ],
    )
    .await;
    let watch = Watch::default();
    let receiver = watch
        .receiver(|_, number, calls| {
            if calls < number as usize % 3 {
                500
            } else {
                200
            }
        })
        .await;
    let subscribed = relay.api.subscribe(&receiver, ordered(json!({}))).await;
    assert_eq!(
        relay.api.subscription(&subscribed).await["orderingFailure"],
        "block"
    );
    let keys = ["a", "b", "", "c", "d", "e"];
    send_all(&relay.api, &keys, 12).await;
    relay.api.settled(&subscribed.id).await;
    watch.check_order();
    for key in ["a", "b", "c", "d", "e"] {
        assert_eq!(watch.first(key), Vec::from_iter(0..12));
    }
    assert_eq!(watch.first("").len(), 12);
}

async fn a_head_that_waits_for_its_retry_keeps_its_own_key_only(profile: Profile) {
    let relay = Relay::start(profile).await;
    let watch = Watch::default();
    let receiver = watch
        .receiver(|key, number, calls| match (key, number, calls) {
            ("a", 0, 0) => 500,
            _ => 200,
        })
        .await;
    let hour = ordered(json!({"retryPolicy": {"delaysMs": [HOUR_MS]}}));
    let subscribed = relay.api.subscribe(&receiver, hour).await;
    let head = send(&relay.api, "a", 0).await;
    relay
        .delivery_when(&head, |delivery| delivery["attemptCount"] == 1)
        .await;
    send_all(&relay.api, &["a", "b", ""], 5).await;
    witnessed(&relay, 100).await;
    assert!(watch.first("a").is_empty());
    relay
        .look_until("the other keys", async || {
            (watch.first("b").len() == 5 && watch.first("").len() == 7).then_some(())
        })
        .await;
    // Tried again by hand, it still is the first of its key.
    let waiting = relay.api.delivery_of(&head).await;
    relay.api.retry(202, &waiting).await;
    relay.api.settled(&subscribed.id).await;
    assert_eq!(watch.first("a"), [0, 1, 2, 3, 4]);
    watch.check_order();
}

/// A receiver that refuses the first of key `a`, and what comes of it: that delivery failed, and
/// others wait behind it.
async fn blocked(
    relay: &Relay,
    watch: &Watch,
    calls_refused: usize,
) -> (Receiver, Subscribed, Value) {
    let receiver = watch
        .receiver(move |key, number, calls| match (key, number) {
            ("a", 0) if calls < calls_refused => 500,
            _ => 200,
        })
        .await;
    let rules = ordered(json!({"retryPolicy": {"attempts": 1}}));
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let head = send(&relay.api, "a", 0).await;
    until_blocked(relay, &subscribed).await;
    for number in 1..4 {
        send(&relay.api, "a", number).await;
    }
    send_all(&relay.api, &["b"], 3).await;
    witnessed(relay, 100).await;
    assert!(watch.first("a").is_empty());
    (receiver, subscribed, relay.final_delivery(&head).await)
}

async fn a_head_that_failed_for_good_blocks_its_key_until_it_is_skipped(profile: Profile) {
    let relay = Relay::start(profile).await;
    let watch = Watch::default();
    let (_receiver, subscribed, head) = blocked(&relay, &watch, 9).await;
    assert_eq!(head["status"], "failed");
    let keys = blocked_keys(&relay.api, &subscribed).await;
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (
            &keys[0]["orderingKey"],
            &keys[0]["deliveryId"],
            &keys[0]["reason"]
        ),
        (&json!("a"), &head["id"], &json!("failed"))
    );
    assert_eq!(keys[0]["since"], head["finishedAt"]);
    let runtime = format!("{}/runtime", subscribed.path());
    let shown = relay.api.get(&runtime).await;
    assert_eq!(shown["backlog"]["blocked"], true, "{shown}");
    assert_eq!(shown["drain"]["estimateMs"], Value::Null, "{shown}");

    // It is so from the store on.
    let backend = relay.stop().await;
    let relay = Relay::start_on(backend, &[]).await;
    witnessed(&relay, 200).await;
    assert!(watch.first("a").is_empty());
    assert_eq!(blocked_keys(&relay.api, &subscribed).await, keys);

    let skipped = act(&relay, 200, &head, "skip").await;
    assert_eq!(skipped["status"], "skipped");
    relay.api.settled(&subscribed.id).await;
    assert_eq!(watch.first("a"), [1, 2, 3]);
    assert!(blocked_keys(&relay.api, &subscribed).await.is_empty());
    let shown = relay.api.get(&runtime).await;
    assert_eq!(shown["backlog"]["blocked"], false, "{shown}");
    let refused = act(&relay, 409, &head, "skip").await;
    assert!(text(&refused, "error").contains("skipped"), "{refused}");
    watch.check_order();
}

async fn a_blocking_delivery_is_retried_in_its_place(profile: Profile) {
    let relay = Relay::start(profile).await;
    let watch = Watch::default();
    let (_receiver, subscribed, head) = blocked(&relay, &watch, 2).await;
    relay.api.retry(202, &head).await;
    // In vain: it blocks anew.
    until_blocked(&relay, &subscribed).await;
    witnessed(&relay, 200).await;
    assert!(watch.first("a").is_empty());
    let again = relay.final_delivery(text(&head, "eventId")).await;
    assert_eq!(
        (&again["status"], &again["round"]),
        (&json!("failed"), &json!(2))
    );
    relay.api.retry(202, &again).await;
    relay.api.settled(&subscribed.id).await;
    assert_eq!(watch.first("a"), [0, 1, 2, 3]);
    assert!(blocked_keys(&relay.api, &subscribed).await.is_empty());
    watch.check_order();
}

async fn a_blocking_delivery_can_be_cancelled(profile: Profile) {
    let relay = Relay::start(profile).await;
    let watch = Watch::default();
    let (_receiver, subscribed, head) = blocked(&relay, &watch, 9).await;
    let cancelled = act(&relay, 200, &head, "cancel").await;
    assert_eq!(cancelled["status"], "cancelled");
    relay.api.settled(&subscribed.id).await;
    assert_eq!(watch.first("a"), [1, 2, 3]);
    act(&relay, 409, &head, "cancel").await;
}

async fn where_it_is_so_set_a_key_goes_on_without_what_failed(profile: Profile) {
    let relay = Relay::start(profile).await;
    let watch = Watch::default();
    let receiver = watch
        .receiver(|_, number, _| if number % 2 == 0 { 500 } else { 200 })
        .await;
    let rules =
        ordered(json!({"orderingFailure": "skip", "retryPolicy": {"attempts": 2, "baseMs": 100}}));
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let events = send_all(&relay.api, &["a", "b"], 6).await;
    relay.api.settled(&subscribed.id).await;
    for key in ["a", "b"] {
        assert_eq!(watch.first(key), [1, 3, 5]);
    }
    watch.check_order();
    assert!(blocked_keys(&relay.api, &subscribed).await.is_empty());
    let failed = relay.api.delivery_of(&events[&("a".to_owned(), 0)]).await;
    assert_eq!(failed["status"], "failed");
    let refused = act(&relay, 409, &failed, "skip").await;
    assert!(text(&refused, "error").contains("failed"), "{refused}");
}

async fn all_can_go_one_after_the_other(profile: Profile) {
    let relay = Relay::start(profile).await;
    let watch = Watch::default();
    let receiver = watch
        .receiver(|_, number, calls| {
            if number % 4 == 0 && calls == 0 {
                500
            } else {
                200
            }
        })
        .await;
    let all = ordered(json!({"ordering": "all"}));
    let subscribed = relay.api.subscribe(&receiver, all).await;
    for number in 0..20 {
        // One key in the ledger, several in the events.
        let mut event = event("one", number);
        event["orderingKey"] = json!([Value::Null, json!("a"), json!("b")][number as usize % 3]);
        relay.api.post(202, "/api/v1/events", &event).await;
    }
    relay.api.settled(&subscribed.id).await;
    assert_eq!(watch.first("one"), Vec::from_iter(0..20));
    watch.check_order();
}

async fn order_switched_on_holds_for_what_is_pending(profile: Profile) {
    let relay = Relay::start(profile).await;
    let watch = Watch::default();
    let receiver = watch
        .receiver(|_, number, calls| {
            if number % 5 == 0 && calls == 0 {
                500
            } else {
                200
            }
        })
        .await;
    let held = json!({"isActive": false, "breaker": {"enabled": false}});
    let subscribed = relay.api.subscribe(&receiver, held).await;
    let keys = ["a", "b", "", "c"];
    send_all(&relay.api, &keys, 20).await;
    let order = json!({"ordering": "key", "isActive": true});
    relay.api.put(&subscribed.path(), &order).await;
    let id = id_of(&subscribed);
    relay
        .until(
            "the backlog to be lined up",
            |event| matches!(event, EngineEvent::LinedUp { subscription } if *subscription == id),
        )
        .await;
    for number in 20..25 {
        for key in keys {
            send(&relay.api, key, number).await;
        }
    }
    relay.api.settled(&subscribed.id).await;
    watch.check_order();
    for key in ["a", "b", "c"] {
        assert_eq!(watch.first(key), Vec::from_iter(0..25));
    }
    // And off again: whatever stood in line goes.
    let held = json!({"isActive": false});
    relay.api.put(&subscribed.path(), &held).await;
    send_all(&relay.api, &["a", "b", ""], 3).await;
    let none = json!({"ordering": null, "isActive": true});
    let view = relay.api.put(&subscribed.path(), &none).await;
    assert_eq!(view["ordering"], "none");
    relay.api.settled(&subscribed.id).await;
}

async fn what_flies_without_an_order_is_waited_for(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (watch, gate) = (Watch::default(), Arc::new(Gate::default()));
    let receiver = watch.gated(Arc::clone(&gate), |_, _, _| 200, false).await;
    let four = json!({"maxInFlight": 4});
    let subscribed = relay.api.subscribe(&receiver, four).await;
    send_all(&relay.api, &["a"], 12).await;
    receiver.received(4).await;
    let order = json!({"ordering": "key", "maxInFlight": 8});
    relay.api.put(&subscribed.path(), &order).await;
    let neighbour = Receiver::ok().await;
    relay.api.subscribe(&neighbour, json!({})).await;
    send(&relay.api, "b", 0).await;
    neighbour.received(1).await;
    assert_eq!(receiver.count(), 4);
    gate.open();
    relay.api.settled(&subscribed.id).await;
    // Which four they were is nobody's promise; what comes after them is.
    let mut flew = watch.first("a");
    let after = flew.split_off(4);
    let rest = (0..12).filter(|number| !flew.contains(number));
    assert_eq!(after, Vec::from_iter(rest));
}

async fn a_retry_by_hand_stands_outside_of_the_order(profile: Profile) {
    let relay = Relay::start(profile).await;
    let watch = Watch::default();
    let receiver = watch
        .receiver(|_, number, _| if number == 1 { 500 } else { 200 })
        .await;
    let hour = ordered(json!({"retryPolicy": {"delaysMs": [HOUR_MS]}}));
    relay.api.subscribe(&receiver, hour).await;
    let delivered = send(&relay.api, "a", 0).await;
    let delivered = relay.final_delivery(&delivered).await;
    let head = send(&relay.api, "a", 1).await;
    relay
        .delivery_when(&head, |delivery| delivery["attemptCount"] == 1)
        .await;
    let behind = send(&relay.api, "a", 2).await;
    relay.api.retry(202, &delivered).await;
    let again = relay
        .delivery_when(text(&delivered, "eventId"), |delivery| {
            delivery["attemptCount"] == 2
        })
        .await;
    assert_eq!(
        (&again["status"], &again["attempts"][1]["trigger"]),
        (&json!("delivered"), &json!("manual"))
    );
    for event in [&head, &behind] {
        assert_eq!(relay.api.delivery_of(event).await["status"], "pending");
    }
    assert_eq!(watch.first("a"), [0]);
}

async fn a_half_open_breaker_probes_in_order(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (watch, healed) = (Watch::default(), Arc::new(AtomicBool::new(false)));
    let is_healed = Arc::clone(&healed);
    let receiver = watch
        .receiver(move |key, _, _| {
            let heals = is_healed.load(Ordering::SeqCst) || key.is_empty();
            if heals { 200 } else { 500 }
        })
        .await;
    let rules = json!({
        "ordering": "key",
        "retryPolicy": {"delaysMs": [HOUR_MS, HOUR_MS, HOUR_MS, HOUR_MS]},
        "breaker": {"consecutiveFailures": 3, "coolDownMs": 300, "coolDownMaxMs": 300, "probes": 2},
    });
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    let events = send_all(&relay.api, &["a", "b", "c"], 6).await;
    let id = id_of(&subscribed);
    let came_to = |state| {
        move |event: &EngineEvent| {
            matches!(event, EngineEvent::BreakerChanged { subscription, to, .. }
                if *subscription == id && *to == state)
        }
    };
    relay
        .until("the breaker to open", came_to(BreakerState::Open))
        .await;
    relay
        .until("a probe", came_to(BreakerState::HalfOpen))
        .await;
    relay
        .until("it to open anew", came_to(BreakerState::Open))
        .await;
    healed.store(true, Ordering::SeqCst);
    relay
        .until("it to close", came_to(BreakerState::Closed))
        .await;
    // What has failed before the breaker opened waits for hours, and its key with it.
    for number in 0..6 {
        for key in ["a", "b", "c"] {
            let event = &events[&(key.to_owned(), number)];
            let delivery = relay.api.delivery_of(event).await;
            if delivery["status"] == "pending" {
                act_if_pending(&relay, &delivery).await;
            }
            relay.final_delivery(event).await;
        }
    }
    watch.check_order();
    for key in ["a", "b", "c"] {
        assert_eq!(watch.first(key), Vec::from_iter(0..6));
    }
}

/// Makes a delivery due, unless it flies or is final by now.
async fn act_if_pending(relay: &Relay, delivery: &Value) {
    if delivery["attemptCount"] == 0 {
        return;
    }
    let path = format!("/api/v1/deliveries/{}/retry", text(delivery, "id"));
    let answer = relay.api.request(Method::POST, &path).send().await.unwrap();
    assert!([202, 409].contains(&answer.status().as_u16()));
}

async fn many_behind_a_blocked_head_delay_nobody(profile: Profile) {
    let relay = Relay::start_with(
        profile,
        &[
            ("POSTHASTE_DELIVERY__WINDOW", "16"),
            ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "8"),
        ],
    )
    .await;
    let watch = Watch::default();
    let (receiver, subscribed, _) = blocked(&relay, &watch, 9).await;
    for batch in 0..20 {
        let events: Vec<Value> = (0..100)
            .map(|number| event("a", 10 + batch * 100 + number))
            .collect();
        relay.api.post(202, "/api/v1/events", &json!(events)).await;
    }
    let before = receiver.count();
    let events = send_all(&relay.api, &["c", "d", ""], 5).await;
    for event in events.values() {
        assert_eq!(relay.final_delivery(event).await["status"], "delivered");
    }
    assert_eq!(receiver.count(), before + events.len());
    watch.check_order();
    assert_eq!(blocked_keys(&relay.api, &subscribed).await.len(), 1);
}

async fn many_blocked_keys_starve_no_other(profile: Profile) {
    const BLOCKED: u64 = 400;
    let relay = Relay::start_with(
        profile,
        &[
            ("POSTHASTE_DELIVERY__WINDOW", "16"),
            ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "8"),
        ],
    )
    .await;
    let watch = Watch::default();
    let receiver = watch
        .receiver(|key, _, _| if key.starts_with('k') { 500 } else { 200 })
        .await;
    let rules = ordered(json!({"retryPolicy": {"attempts": 1}}));
    let subscribed = relay.api.subscribe(&receiver, rules).await;
    for _ in 0..2 {
        let all: Vec<Value> = (0..BLOCKED)
            .map(|number| event(&format!("k{number}"), 0))
            .collect();
        for batch in all.chunks(100) {
            relay.api.post(202, "/api/v1/events", &json!(batch)).await;
        }
    }
    let path = format!("{}/deliveries?status=failed&limit=1", subscribed.path());
    relay
        .api
        .until_get(&path, "the first to fail", |page| !rows(page).is_empty())
        .await;
    // One name before them all, one behind, one between.
    let events = send_all(&relay.api, &["a", "z", "k"], 1).await;
    for key in ["a", "z"] {
        relay.final_delivery(&events[&(key.to_owned(), 0)]).await;
    }
    watch.check_order();
    receiver.received_events(BLOCKED as usize + 3).await;
    // Shown page by page, each once.
    relay.final_delivery(&events[&("k".to_owned(), 0)]).await;
    let mut keys = Vec::new();
    let base = format!("{}/blocked-keys?limit=90", subscribed.path());
    let mut path = base.clone();
    relay
        .look_until("the last key to be blocked", async || {
            let failed = format!(
                "{}/deliveries?status=failed&offset={BLOCKED}",
                subscribed.path()
            );
            let page = relay.api.get(&failed).await;
            (!rows(&page).is_empty()).then_some(())
        })
        .await;
    loop {
        let page = relay.api.get(&path).await;
        keys.extend(
            rows(&page)
                .iter()
                .map(|row| text(row, "orderingKey").to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("{base}&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(keys.len() as u64, BLOCKED + 1);
    assert!(keys.is_sorted());
}

async fn order_survives_a_restart(profile: Profile) {
    let backend = Arc::new(Backend::new(profile).await);
    let more = [
        ("POSTHASTE_DELIVERY__WINDOW", "16"),
        ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "8"),
    ];
    let relay = Relay::start_on(Arc::clone(&backend), &more).await;
    let watch = Watch::default();
    let receiver = watch
        .receiver(|_, number, calls| {
            if number % 4 == 0 && calls == 0 {
                500
            } else {
                200
            }
        })
        .await;
    let subscribed = relay.api.subscribe(&receiver, ordered(json!({}))).await;
    send_all(&relay.api, &["a", "b", "c"], 10).await;
    receiver.received(10).await;
    let relay = Relay::start_on(relay.stop().await, &more).await;
    for number in 10..20 {
        for key in ["a", "b", "c"] {
            send(&relay.api, key, number).await;
        }
    }
    relay.api.settled(&subscribed.id).await;
    watch.check_order();
    for key in ["a", "b", "c"] {
        assert_eq!(watch.first(key), Vec::from_iter(0..20));
    }
}

/// Taken out of its turn by hand it may arrive before what stands before it, but what comes after
/// it still waits for it.
async fn what_is_taken_from_behind_another_holds_back_what_follows_it(profile: Profile) {
    let relay = Relay::start(profile).await;
    let (watch, gate) = (Watch::default(), Arc::new(Gate::default()));
    let fails =
        |_: &str, number: u64, calls: usize| if (number, calls) == (1, 0) { 500 } else { 200 };
    let receiver = watch.gated(Arc::clone(&gate), fails, false).await;
    let hour = ordered(json!({"retryPolicy": {"delaysMs": [HOUR_MS]}}));
    let subscribed = relay.api.subscribe(&receiver, hour).await;
    let events = send_all(&relay.api, &["a"], 4).await;
    receiver.received(1).await;
    let second = relay.api.delivery_of(&events[&("a".to_owned(), 1)]).await;
    relay.api.retry(202, &second).await;
    receiver.received(2).await;
    gate.open();
    let head = relay.final_delivery(&events[&("a".to_owned(), 0)]).await;
    assert_eq!(head["status"], "delivered");
    let second = relay
        .delivery_when(text(&second, "eventId"), |delivery| {
            delivery["attemptCount"] == 1
        })
        .await;
    witnessed(&relay, 100).await;
    assert_eq!(
        (&second["status"], watch.first("a")),
        (&json!("pending"), vec![0])
    );
    relay.api.retry(202, &second).await;
    relay.api.settled(&subscribed.id).await;
    assert_eq!(watch.first("a"), [0, 1, 2, 3]);
}

async fn what_is_wrong_with_the_order_is_told(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay.api.subscribe(&receiver, json!({})).await;
    let view = relay.api.subscription(&subscribed).await;
    assert_eq!(
        (&view["ordering"], &view["orderingFailure"]),
        (&json!("none"), &json!("block"))
    );
    for (body, place) in [
        (json!({"ordering": "keys"}), "none, key, all"),
        (json!({"ordering": true}), "ordering"),
        (json!({"orderingFailure": "stop"}), "block, skip"),
    ] {
        let path = subscribed.path();
        let answer = relay.api.expect(400, Method::PUT, &path, Some(&body)).await;
        assert!(answer.to_string().contains(place), "{answer}");
    }
    // What is shown can be sent back.
    let order = json!({"ordering": "all", "orderingFailure": "skip"});
    relay.api.put(&subscribed.path(), &order).await;
    let view = relay.api.subscription(&subscribed).await;
    let again = relay.api.put(&subscribed.path(), &view).await;
    assert_eq!(
        (&again["ordering"], &again["orderingFailure"]),
        (&order["ordering"], &order["orderingFailure"])
    );
    for path in ["?limit=0", "?cursor=%21", "?offset=1"] {
        let path = format!("{}/blocked-keys{path}", subscribed.path());
        relay.api.expect(400, Method::GET, &path, None).await;
    }
    assert!(blocked_keys(&relay.api, &subscribed).await.is_empty());
    let nobody = Subscribed {
        id: uuid::Uuid::nil().to_string(),
        secret: String::new(),
    };
    let path = format!("{}/blocked-keys", nobody.path());
    relay.api.expect(404, Method::GET, &path, None).await;
}

mod killing {
    use super::*;

    crate::stories!(first_receipts_of_a_key_never_go_back_over_kill_9);

    async fn first_receipts_of_a_key_never_go_back_over_kill_9(profile: Profile) {
        let backend = Arc::new(Backend::new(profile).await);
        let more = [
            ("POSTHASTE_DELIVERY__WINDOW", "16"),
            ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "8"),
            ("POSTHASTE_ENGINE__LEASE_TTL_MS", "1000"),
            ("POSTHASTE_ENGINE__LEASE_RENEW_MS", "200"),
        ];
        let watch = Watch::default();
        let receiver = watch
            .receiver(|_, number, calls| {
                if number % 7 == 0 && calls == 0 {
                    500
                } else {
                    200
                }
            })
            .await;
        let mut process = Process::start(&backend, &more).await;
        let subscribed = process.api.subscribe(&receiver, ordered(json!({}))).await;
        let keys = ["a", "b", "c", "d"];
        let mut number = 0;
        for received in [3, 20, 60] {
            for _ in 0..10 {
                for key in keys {
                    send(&process.api, key, number).await;
                }
                number += 1;
            }
            receiver.received(received).await;
            process.kill().await;
            process = Process::start(&backend, &more).await;
        }
        process.api.settled(&subscribed.id).await;
        for key in keys {
            assert_eq!(watch.first(key), Vec::from_iter(0..number));
        }
        assert_eq!(process.terminate().await, Some(0));
    }
}
