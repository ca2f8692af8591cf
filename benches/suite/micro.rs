//! Micro-benchmarks of what every delivery goes through, by criterion: one call each.
//!
//! They tell where a change of one function went; what a delivery costs, the scenarios tell.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use posthaste::clock;
use posthaste::directory::Directory;
use posthaste::domain::admission::{Situation, admit};
use posthaste::domain::breaker::Gate;
use posthaste::domain::event::Event;
use posthaste::domain::id::EventId;
use posthaste::domain::rate_limit::{RateLimit, TokenBucket};
use posthaste::domain::signature::SigningSecret;
use posthaste::domain::subscription::SubscriptionState;
use posthaste::http::event_input::{self, Arrival, Bounds};
use posthaste::settings::Settings;
use posthaste::store::sqlite::SqliteStore;
use serde_json::json;

use crate::bench::{Bench, Profile};
use crate::relay::Relay;
use crate::store::Copied;
use crate::wire;

/// Patterns that an event is matched against.
const PATTERNS: u64 = 10_000;

/// Runs them all.
pub async fn run(bench: &Bench) {
    let directory = directory(bench).await;
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    signing(&mut criterion);
    parsing(&mut criterion);
    matching(&mut criterion, &directory);
    admission(&mut criterion);
}

fn signing(criterion: &mut Criterion) {
    let secret = SigningSecret::from_random(clock::random_bytes());
    let id = clock::uuid().to_string();
    let body = event("bench.event").relay_body();
    let mut group = criterion.benchmark_group("sign");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("standard", |b| {
        b.iter(|| secret.sign(black_box(&id), 1_614_265_330, &body))
    });
    group.bench_function("body only", |b| {
        b.iter(|| secret.sign_body_hex(black_box(&body)))
    });
    group.finish();
}

fn parsing(criterion: &mut Criterion) {
    let one = wire::event("bench.event", 1, wire::now());
    let batch = format!("[{}]", vec![one.as_str(); 100].join(","));
    let mut group = criterion.benchmark_group("parse");
    for (name, body) in [("one event", one), ("a batch of 100", batch)] {
        let body = Bytes::from(body);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |b| b.iter(|| parse(black_box(&body))));
    }
    group.finish();
}

fn matching(criterion: &mut Criterion, directory: &Directory) {
    let mut group = criterion.benchmark_group(format!("match against {PATTERNS} patterns"));
    for (name, kind, expected) in [("by name", "many.type77", 1), ("none", "other.type", 0)] {
        let event = event(kind);
        let matches = || {
            directory
                .match_events(std::iter::once(black_box(&*event)), 1_000)
                .1
        };
        assert_eq!(matches()[0].len(), expected, "{kind}");
        group.bench_function(name, |b| b.iter(matches));
    }
    group.finish();
}

fn admission(criterion: &mut Criterion) {
    let instant = clock::instant();
    let limit = RateLimit {
        limit: 1_000,
        period_ms: 1_000,
        burst: None,
    };
    let bucket = TokenBucket::full(limit, instant);
    let situation = Situation {
        state: SubscriptionState::Active,
        gate: Gate::Flow(None),
        hold_until: None,
        bucket: Some(&bucket),
        in_flight: 3,
        max_in_flight: 64,
        now: clock::now(),
        instant,
    };
    criterion.bench_function("admit", |b| b.iter(|| admit(black_box(&situation))));
}

/// A directory of subscriptions that differ in their pattern.
async fn directory(bench: &Bench) -> Directory {
    let store = bench.store(Profile::Embedded).await;
    let relay = Relay::start(&store).await;
    let model = relay
        .subscribe(&bench.receiver.hook(0), "many.model", json!({}))
        .await;
    relay.process.stop();
    let many = Copied {
        table: "subscriptions",
        row: format!("id = {}", store.id(&model)),
        differ: vec![
            ("id", store.clone_id(7, PATTERNS)),
            ("event_types", "'[\"many.type' || n || '\"]'".to_owned()),
        ],
    };
    store.clone_rows(PATTERNS, &[many]).await;
    let place = store
        .directory()
        .expect("a directory")
        .display()
        .to_string();
    let settings = Settings::load(None, [("POSTHASTE_DATA_DIR", place)], false);
    let settings = settings.expect("settings");
    let store = SqliteStore::open(&settings.store).await.expect("the file");
    let directory = Directory::new(Arc::new(store));
    directory.refresh().await.expect("the subscriptions");
    directory
}

fn event(kind: &str) -> Arc<Event> {
    let body = Bytes::from(wire::event(kind, 1, wire::now()));
    let item = parse(&body).items.remove(0);
    item.event.expect("an event").event
}

fn parse(body: &Bytes) -> event_input::Input {
    let arrival = Arrival {
        now: clock::now(),
        header_key: None,
        new_id: || EventId(clock::uuid()),
    };
    let bounds = Bounds {
        max_batch: 100,
        max_payload_bytes: 262_144,
    };
    event_input::parse(body, &arrival, &bounds).expect("events")
}
