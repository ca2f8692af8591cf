//! What is shown of events, deliveries and attempts. Nothing here can show a secret: own
//! headers are masked before they are stored with an attempt.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::explain::ExplanationView;
use super::paging::PageView;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::domain::event::Event;
use crate::domain::id::{AttemptId, DeliveryId, EventId, SubscriptionId};
use crate::domain::outcome::{Header, Timing};
use crate::store::{AttemptRow, DeliveryRow, EventRow};

/// An event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub struct EventView<'a> {
    id: EventId,
    event_id: EventId,
    event_type: &'a str,
    event_name: Option<&'a str>,
    source: Option<&'a str>,
    /// As it came, byte for byte; null once it is erased.
    #[schema(value_type = serde_json::Value)]
    payload: Option<&'a RawValue>,
    tenant: Option<&'a str>,
    client_id: Option<&'a str>,
    idempotency_key: Option<&'a str>,
    ordering_key: Option<&'a str>,
    occurred_at: Option<Timestamp>,
    received_at: Timestamp,
    created_at: Timestamp,
    /// Then it has no payload any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    payload_erased_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deliveries: Option<Vec<DeliveryView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    explanations: Option<PageView<ExplanationView>>,
}

impl<'a> EventView<'a> {
    /// As stored, without its deliveries.
    pub fn of(row: &'a EventRow) -> Self {
        Self {
            payload_erased_at: row.payload_erased_at,
            ..Self::new(&row.event)
        }
    }

    /// Without its deliveries.
    fn new(event: &'a Event) -> Self {
        Self {
            id: event.id,
            event_id: event.id,
            event_type: event.event_type.as_str(),
            event_name: event.event_name.as_deref(),
            source: event.source.as_deref(),
            payload: serde_json::from_slice(&event.payload).ok(),
            tenant: event.tenant.as_deref(),
            client_id: event.tenant.as_deref(),
            idempotency_key: event.idempotency_key.as_deref(),
            ordering_key: event.ordering_key.as_deref(),
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            created_at: event.received_at,
            payload_erased_at: None,
            deliveries: None,
            explanations: None,
        }
    }

    /// For those who were sent it: the sender's key is the sender's own.
    pub fn without_senders_key(self) -> Self {
        Self {
            idempotency_key: None,
            ..self
        }
    }

    /// With its deliveries.
    pub fn with_deliveries(self, deliveries: Vec<DeliveryView>) -> Self {
        Self {
            deliveries: Some(deliveries),
            ..self
        }
    }

    /// With what became of it for subscriptions.
    pub fn with_explanations(self, explanations: Option<PageView<ExplanationView>>) -> Self {
        Self {
            explanations,
            ..self
        }
    }
}

/// A delivery, with what its last attempt brought.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub struct DeliveryView {
    id: DeliveryId,
    event_id: EventId,
    event_type: String,
    subscription_id: SubscriptionId,
    webhook_id: SubscriptionId,
    #[schema(value_type = DeliveryState)]
    status: &'static str,
    attempt_count: u32,
    retry_count: u32,
    round: u32,
    next_retry_at: Option<Timestamp>,
    last_attempt_at: Option<Timestamp>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    http_status: Option<u16>,
    response_headers: Option<HeadersView>,
    response_body: Option<String>,
    error_kind: Option<String>,
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    attempts: Option<Vec<AttemptView>>,
}

impl DeliveryView {
    /// Without its attempts.
    pub fn new(row: &DeliveryRow) -> Self {
        let last = row.last_attempt.as_ref();
        let answer = last.filter(|attempt| attempt.status.is_some());
        Self {
            id: row.id,
            event_id: row.event_id,
            event_type: row.event_type.clone(),
            subscription_id: row.subscription_id,
            webhook_id: row.subscription_id,
            status: row.state.as_str(),
            attempt_count: row.progress.attempts,
            retry_count: row.progress.attempts.saturating_sub(1),
            round: row.progress.round,
            next_retry_at: (!row.state.is_final()).then_some(row.due_at),
            last_attempt_at: last.map(|attempt| attempt.started_at),
            created_at: row.created_at,
            finished_at: row.finished_at,
            http_status: last.and_then(|attempt| attempt.status),
            response_headers: answer.map(|attempt| HeadersView::new(&attempt.answer_headers)),
            response_body: answer.map(|attempt| lossy(&attempt.answer_body)),
            error_kind: last.and_then(|attempt| attempt.error_kind.clone()),
            error: last.and_then(|attempt| attempt.error_message.clone()),
            attempts: None,
        }
    }

    /// As [`new`](Self::new), for long lists: an answer may be some KiB.
    pub fn without_answer(row: &DeliveryRow) -> Self {
        Self {
            response_headers: None,
            response_body: None,
            ..Self::new(row)
        }
    }

    /// With its attempts.
    pub fn with_attempts(self, attempts: &[AttemptRow]) -> Self {
        Self {
            attempts: Some(attempts.iter().map(AttemptView::new).collect()),
            ..self
        }
    }
}

/// An attempt.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt)]
pub struct AttemptView {
    id: AttemptId,
    number: u32,
    /// The delivery's round that it was of; null where it was made before rounds were noted.
    round: Option<u32>,
    trigger: String,
    stale: bool,
    started_at: Timestamp,
    duration_ms: f64,
    timing: TimingView,
    request_headers: HeadersView,
    status: Option<u16>,
    error_kind: Option<String>,
    error: Option<String>,
    response_headers: HeadersView,
    response_body: String,
    response_body_cut: bool,
}

impl AttemptView {
    fn new(row: &AttemptRow) -> Self {
        Self {
            id: row.id,
            number: row.number,
            round: row.round,
            trigger: row.trigger.clone(),
            stale: row.stale,
            started_at: row.started_at,
            duration_ms: milliseconds(row.duration),
            timing: TimingView::new(&row.timing),
            request_headers: HeadersView::new(&row.request_headers),
            status: row.status,
            error_kind: row.error_kind.clone(),
            error: row.error_message.clone(),
            response_headers: HeadersView::new(&row.answer_headers),
            response_body: lossy(&row.answer_body),
            response_body_cut: row.answer_cut,
        }
    }
}

/// Where an attempt's time went, in milliseconds; null for what did not happen.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Timing)]
pub struct TimingView {
    name_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    body_ms: Option<f64>,
}

impl TimingView {
    /// All parts.
    pub fn new(timing: &Timing) -> Self {
        Self {
            name_ms: timing.name.map(milliseconds),
            connect_ms: timing.connect.map(milliseconds),
            tls_ms: timing.tls.map(milliseconds),
            first_byte_ms: timing.first_byte.map(milliseconds),
            body_ms: timing.body.map(milliseconds),
        }
    }
}

/// Headers as an object; repeated ones joined by ", ", what is not UTF-8 replaced.
#[derive(Debug, ToSchema)]
#[schema(as = Headers)]
pub struct HeadersView(BTreeMap<String, String>);

impl HeadersView {
    /// All of them.
    pub fn new(headers: &[Header]) -> Self {
        let mut joined: BTreeMap<String, String> = BTreeMap::new();
        for header in headers {
            let value = lossy(&header.value);
            joined
                .entry(header.name.clone())
                .and_modify(|values| {
                    values.push_str(", ");
                    values.push_str(&value);
                })
                .or_insert(value);
        }
        Self(joined)
    }
}

impl Serialize for HeadersView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Whole ones, as settings have them.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// With a fraction, to the microsecond.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}

/// As text, what is not UTF-8 replaced.
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::domain::delivery::Progress;
    use crate::domain::event_type::EventType;

    fn row(state: DeliveryState, last_attempt: Option<AttemptRow>) -> DeliveryRow {
        DeliveryRow {
            id: DeliveryId(Uuid::from_u128(1)),
            event_id: EventId(Uuid::from_u128(2)),
            event_type: "job.created".into(),
            subscription_id: SubscriptionId(Uuid::from_u128(3)),
            state,
            due_at: Timestamp::from_micros(5_000),
            progress: Progress {
                attempts: u32::from(last_attempt.is_some()) * 3,
                ..Progress::new()
            },
            created_at: Timestamp::default(),
            finished_at: None,
            line: None,
            blocks: None,
            last_attempt,
        }
    }

    fn attempt(status: Option<u16>) -> AttemptRow {
        let header = |name: &str, value: &[u8]| Header {
            name: name.into(),
            value: value.to_vec(),
        };
        AttemptRow {
            id: AttemptId(Uuid::from_u128(4)),
            number: 3,
            round: Some(2),
            trigger: "schedule".into(),
            stale: false,
            started_at: Timestamp::from_micros(1_000),
            duration: Duration::from_micros(1_500),
            timing: Timing {
                connect: Some(Duration::from_micros(250)),
                ..Timing::default()
            },
            request_headers: vec![],
            status,
            error_kind: Some("status".into()),
            error_message: Some("the receiver answered 500".into()),
            answer_headers: vec![header("a", b"1"), header("b", b"\xff"), header("a", b"2")],
            answer_body: b"no\xff".to_vec(),
            answer_cut: true,
        }
    }

    #[test]
    fn a_delivery_shows_what_its_last_attempt_brought() {
        let row = row(DeliveryState::Pending, Some(attempt(Some(500))));
        let view = DeliveryView::new(&row).with_attempts(&[attempt(Some(500))]);
        let view = serde_json::to_value(view).unwrap();
        for (field, expected) in [
            ("status", json!("pending")),
            ("httpStatus", json!(500)),
            ("responseBody", json!("no\u{fffd}")),
            ("responseHeaders", json!({"a": "1, 2", "b": "\u{fffd}"})),
            ("attemptCount", json!(3)),
            ("retryCount", json!(2)),
            ("nextRetryAt", json!("1970-01-01T00:00:00.005Z")),
            ("lastAttemptAt", json!("1970-01-01T00:00:00.001Z")),
            ("error", json!("the receiver answered 500")),
        ] {
            assert_eq!(view[field], expected, "{field}");
        }
        let attempt = &view["attempts"][0];
        assert_eq!(attempt["round"], json!(2));
        assert_eq!(attempt["durationMs"], json!(1.5));
        assert_eq!(attempt["timing"]["connectMs"], json!(0.25));
        assert_eq!(attempt["timing"]["tlsMs"], Value::Null);
        assert_eq!(attempt["responseBodyCut"], json!(true));
    }

    #[test]
    fn a_fresh_or_unanswered_delivery_shows_nulls() {
        let fresh = serde_json::to_value(DeliveryView::new(&row(DeliveryState::Cancelled, None)));
        let fresh = fresh.unwrap();
        for field in [
            "httpStatus",
            "responseBody",
            "responseHeaders",
            "nextRetryAt",
            "error",
        ] {
            assert_eq!(fresh[field], Value::Null, "{field}");
        }
        assert_eq!(fresh["retryCount"], json!(0));
        assert!(fresh.get("attempts").is_none());
        let unanswered = row(DeliveryState::Failed, Some(attempt(None)));
        let unanswered = serde_json::to_value(DeliveryView::new(&unanswered)).unwrap();
        assert_eq!(unanswered["responseBody"], Value::Null);
        assert!(unanswered["error"].is_string());
    }

    #[test]
    fn for_a_long_list_an_answer_is_left_out_and_nothing_else() {
        let row = row(DeliveryState::Pending, Some(attempt(Some(500))));
        let mut whole = serde_json::to_value(DeliveryView::new(&row)).unwrap();
        let short = serde_json::to_value(DeliveryView::without_answer(&row)).unwrap();
        whole["responseBody"] = Value::Null;
        whole["responseHeaders"] = Value::Null;
        assert_eq!(short, whole);
    }

    #[test]
    fn a_payload_is_shown_byte_for_byte() {
        let payload = r#"{ "z" : 1.0, "a":1E400,"a":"\u00e9" }"#;
        let event = Event {
            id: EventId(Uuid::nil()),
            tenant: Some("t".into()),
            event_type: EventType::from_stored("a"),
            event_name: None,
            source: None,
            idempotency_key: None,
            ordering_key: None,
            occurred_at: None,
            received_at: Timestamp::default(),
            payload: Bytes::from_static(payload.as_bytes()),
        };
        let shown = serde_json::to_string(&EventView::new(&event)).unwrap();
        assert!(
            shown.contains(&format!("\"payload\":{payload},")),
            "{shown}"
        );
        assert!(shown.contains(r#""clientId":"t""#));
    }
}
