//! In over HTTP, and the first commit.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use posthaste::clock;
use posthaste::domain::event::Event;
use posthaste::domain::event_type::EventType;
use posthaste::domain::id::{DeliveryId, EventId};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{Floor, GROUP, Job, Unit};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewEvent<'a> {
    event_type: &'a str,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl NewEvent<'_> {
    /// The payload stays the bytes that came, in the body that they came in.
    fn event(&self, body: &Bytes) -> Arc<Event> {
        Arc::new(Event {
            id: EventId(clock::uuid()),
            tenant: None,
            event_type: EventType::parse(self.event_type).expect("an event type"),
            event_name: None,
            source: None,
            idempotency_key: None,
            ordering_key: None,
            occurred_at: None,
            received_at: clock::now(),
            payload: body.slice_ref(self.payload.get().as_bytes()),
        })
    }
}

/// Serves until the process is ended.
pub(super) async fn serve(listener: TcpListener, floor: Arc<Floor>) {
    let router = Router::new()
        .route("/api/v1/events", post(create))
        .with_state(floor);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let router = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let stream = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(stream, router)
                .await;
        });
    }
}

async fn create(State(floor): State<Arc<Floor>>, body: Bytes) -> (StatusCode, String) {
    let events = if body.first() == Some(&b'[') {
        let events: Vec<NewEvent<'_>> = serde_json::from_slice(&body).expect("events");
        events.iter().map(|event| event.event(&body)).collect()
    } else {
        let event: NewEvent<'_> = serde_json::from_slice(&body).expect("an event");
        vec![event.event(&body)]
    };
    let ids: Vec<String> = events
        .iter()
        .map(|event| format!("\"{}\"", event.id))
        .collect();
    let (committed, answer) = oneshot::channel();
    floor.units.add([Unit { events, committed }]);
    answer.await.expect("a commit");
    (
        StatusCode::ACCEPTED,
        format!(r#"{{"ids":[{}]}}"#, ids.join(",")),
    )
}

/// Commits what waits as one group, answers its senders and hands its deliveries on.
pub(super) async fn commit(floor: Arc<Floor>) {
    loop {
        floor.units.filled().await;
        let units = floor.units.take(GROUP);
        let events: Vec<Arc<Event>> = units.iter().flat_map(|unit| unit.events.clone()).collect();
        let mut jobs = Vec::with_capacity(events.len() * floor.fan_out as usize);
        for event in &events {
            let body = event.relay_body();
            jobs.extend((0..floor.fan_out).map(|lane| Job {
                delivery: DeliveryId(clock::uuid()),
                event: event.id,
                lane,
                body: body.clone(),
            }));
        }
        floor
            .database
            .accept(&events, &jobs)
            .await
            .expect("a commit of events");
        for unit in units {
            // A sender that is gone has no use for its answer.
            let _ = unit.committed.send(());
        }
        floor.jobs.add(jobs);
    }
}
