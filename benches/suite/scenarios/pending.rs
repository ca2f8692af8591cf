//! A million deliveries behind an open breaker: they must cost neither memory, nor the start,
//! nor the rate of another subscription.

use serde_json::json;

use super::{relay, singles};
use crate::bench::{Bench, Profile, Target, number};
use crate::relay::Relay;
use crate::report::{Report, mebibytes};
use crate::store::{Copied, Store};
use crate::wire;

const NAME: &str = "pending";
/// Event types of the subscription that is held up.
const HELD: &str = "held.event";
/// Where nobody listens.
const CLOSED: &str = "http://127.0.0.1:9/";

/// The rate of a healthy subscription on an empty store, then beside the backlog.
pub(super) async fn run(bench: &Bench, report: &mut Report) {
    let rows = number("ROWS", 1_000_000);
    let load = singles(number("EVENTS", 20_000), 256);
    let warm_up = singles(2_000, 256);
    for profile in Profile::chosen() {
        let word = profile.as_str();
        let (store, relay, ids) = relay(bench, profile, 1).await;
        let target = Target::relay(&relay, profile, &store, &ids);
        bench.warm_up(&target, &warm_up).await;
        let empty = bench.measure(&target, &load).await;
        let empty_rate = empty.rate;
        report.row(empty.named(NAME, format!("empty {word}")));

        let held = hold(&relay).await;
        relay.process.stop();
        let began = wire::now();
        seed(&store, &held, rows).await;
        report.note(format!(
            "pending, {word}: seeding {rows} took {:.0} s",
            wire::seconds(began, wire::now())
        ));

        bench.receiver.reset().await;
        let relay = Relay::start(&store).await;
        let target = Target::relay(&relay, profile, &store, &ids);
        bench.warm_up(&target, &warm_up).await;
        let beside = bench.measure(&target, &load).await;
        let (rate, memory) = (beside.rate, beside.memory);
        report.row(beside.named(NAME, format!("beside {word}")));
        let pending = store.pending().await;
        assert!(
            pending >= i64::try_from(rows).expect("a count"),
            "only {pending} are pending"
        );
        report.at_least(
            format!("pending, {word}: rate / rate of the empty store"),
            rate / empty_rate,
            0.9,
        );
        report.at_most(
            format!("pending, {word}: resident, MiB"),
            memory.map_or(f64::NAN, mebibytes),
            200.0,
        );
        report.at_most(
            format!("pending, {word}: seconds from start to ready"),
            relay.start_up,
            3.0,
        );
    }
}

struct Held {
    subscription: String,
    event: String,
    delivery: String,
}

/// A subscription whose breaker one failure has opened for a day, with one pending delivery.
async fn hold(relay: &Relay) -> Held {
    let day = 86_400_000;
    let breaker =
        json!({"breaker": {"consecutiveFailures": 1, "coolDownMs": day, "coolDownMaxMs": day}});
    let subscription = relay.subscribe(CLOSED, HELD, breaker).await;
    let event = relay.event(HELD).await;
    loop {
        let found = relay.get(&format!("deliveries?eventId={event}")).await;
        let delivery = &found["data"][0];
        if delivery["attemptCount"].as_u64().unwrap_or_default() > 0 {
            let delivery = delivery["id"].as_str().expect("an id").to_owned();
            return Held {
                subscription,
                event,
                delivery,
            };
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Clones the one that is held up. The first attempt of the original is not cloned: the relay
/// counts attempts in the delivery.
async fn seed(store: &Store, held: &Held, rows: u64) {
    let event = store.clone_id(7, rows);
    let events = Copied {
        table: "events",
        row: format!("id = {}", store.id(&held.event)),
        differ: vec![("id", event.clone())],
    };
    let deliveries = Copied {
        table: "pending_deliveries",
        row: format!(
            "id = {} AND subscription_id = {}",
            store.id(&held.delivery),
            store.id(&held.subscription)
        ),
        differ: vec![("id", store.clone_id(8, rows)), ("event_id", event)],
    };
    store.clone_rows(rows, &[events, deliveries]).await;
    store.rest().await;
}
