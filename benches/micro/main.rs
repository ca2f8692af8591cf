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
use posthaste::domain::event_type::EventPattern;
use posthaste::domain::id::{EventId, SubscriptionId};
use posthaste::domain::rate_limit::{RateLimit, TokenBucket};
use posthaste::domain::signature::SigningSecret;
use posthaste::domain::subscription::SubscriptionState;
use posthaste::engine::Engine;
use posthaste::http::event_input::{self, Arrival, Bounds, Sender};
use posthaste::settings::{Secret, Settings};
use posthaste::store::Store;
use posthaste::store::sqlite::SqliteStore;
use serde_json::json;
use tempfile::TempDir;

const KEY: &str = "bench-admin-key-0123456789";
/// Patterns that an event is matched against.
const PATTERNS: u64 = 10_000;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let place = place();
    let directory = runtime.block_on(directory(&place));
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
    let one = body("bench.event");
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
        let matches = || directory.match_events(std::iter::once(black_box(&*event)), 1_000);
        assert_eq!(matches().counts, [expected], "{kind}");
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

/// A directory of subscriptions that differ in their pattern, with the store they lie in. The
/// relay itself makes the first one, the others are copies.
async fn directory(place: &TempDir) -> Directory {
    let place = place.path().display().to_string();
    let settings = [
        ("POSTHASTE_DATA_DIR", place),
        ("POSTHASTE_LISTEN", "127.0.0.1:0".to_owned()),
    ];
    let settings = Arc::new(Settings::load(None, settings, true).expect("settings"));
    let engine = Engine::start(Arc::clone(&settings), Secret::new(KEY.to_owned())).await;
    let engine = engine.expect("an engine");
    let url = format!("http://{}/api/v1/subscriptions", engine.listen_addr());
    let body = json!({"name": "model", "url": "http://127.0.0.1:9/", "eventTypes": ["model"]});
    let request = reqwest::Client::new()
        .post(url)
        .header("X-API-Key", KEY)
        .json(&body);
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
    engine.stop().await.expect("a stop");

    let store = SqliteStore::open(&settings.store).await.expect("the file");
    let mut model = store
        .directory_since(0)
        .await
        .expect("the model")
        .subscriptions
        .remove(0);
    for number in 0..PATTERNS {
        model.id = SubscriptionId(clock::uuid());
        let pattern = EventPattern::parse(&format!("many.type{number}"));
        model.event_types = vec![pattern.expect("a pattern")];
        store
            .create_subscription(&model)
            .await
            .expect("a subscription");
    }
    let directory = Directory::new(Arc::new(store));
    directory.refresh().await.expect("the subscriptions");
    directory
}

/// Memory where there is such a place: ten thousand commits that need not last.
fn place() -> TempDir {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    made.expect("a directory")
}

fn body(kind: &str) -> String {
    let padding = "x".repeat(200);
    format!(r#"{{"eventType":"{kind}","payload":{{"number":1,"padding":"{padding}"}}}}"#)
}

fn event(kind: &str) -> Arc<Event> {
    let body = Bytes::from(body(kind));
    let item = parse(&body).items.remove(0);
    item.event.expect("an event").event
}

fn parse(body: &Bytes) -> event_input::Input {
    let arrival = Arrival {
        sender: Sender {
            tenant: None,
            must_name: false,
            is_inactive: &|_| false,
        },
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
