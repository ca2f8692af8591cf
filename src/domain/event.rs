//! What was received, and the body that receivers get of it.

use std::sync::Arc;

use bytes::Bytes;

use super::Timestamp;
use super::event_type::EventType;
use super::id::EventId;

/// Levels of nesting a payload may have.
pub const MAX_PAYLOAD_DEPTH: usize = 128;
/// Characters of `eventName`, `source`, `tenant`, `idempotencyKey` and `orderingKey` at most.
pub const MAX_TEXT: usize = 255;

/// An event as accepted. The payload is the bytes that came; it is never re-serialised.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its identity, and the `webhook-id` of all its deliveries.
    pub id: EventId,
    /// Whose subscriptions it may reach; every matching one where absent.
    pub tenant: Option<Arc<str>>,
    /// What happened.
    pub event_type: EventType,
    /// A name for people.
    pub event_name: Option<String>,
    /// Who sent it, in the sender's words.
    pub source: Option<String>,
    /// The sender's idempotency key.
    pub idempotency_key: Option<Arc<str>>,
    /// Deliveries of the same key keep their order where a subscription asks for it.
    pub ordering_key: Option<String>,
    /// When it happened, where the sender said so.
    pub occurred_at: Option<Timestamp>,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// The payload, byte for byte.
    pub payload: Bytes,
}

impl Event {
    /// When it happened as far as is known: what the body calls `timestamp`.
    pub fn timestamp(&self) -> Timestamp {
        self.occurred_at.unwrap_or(self.received_at)
    }

    /// The body that receivers get (format `relay`): the same bytes for every attempt, because
    /// it depends on nothing but the event.
    pub fn relay_body(&self) -> Bytes {
        let mut body = Vec::with_capacity(self.payload.len() + 256);
        body.extend_from_slice(b"{\"eventId\":\"");
        body.extend_from_slice(self.id.to_string().as_bytes());
        body.extend_from_slice(b"\",\"eventType\":\"");
        // An event type holds no character that JSON would escape.
        body.extend_from_slice(self.event_type.as_str().as_bytes());
        body.push(b'"');
        if let Some(name) = &self.event_name {
            body.extend_from_slice(b",\"eventName\":");
            body.extend_from_slice(
                serde_json::Value::from(name.as_str())
                    .to_string()
                    .as_bytes(),
            );
        }
        body.extend_from_slice(b",\"data\":");
        body.extend_from_slice(&self.payload);
        body.extend_from_slice(b",\"timestamp\":\"");
        body.extend_from_slice(self.timestamp().to_string().as_bytes());
        body.extend_from_slice(b"\"}");
        body.into()
    }
}

/// Whether valid JSON nests deeper than [`MAX_PAYLOAD_DEPTH`]. Looks at brackets outside of
/// strings only, so it costs one pass and no stack.
pub fn is_too_deep(json: &[u8]) -> bool {
    // Nearly all have fewer brackets than that altogether, which is counted many bytes at a time.
    let brackets = json
        .iter()
        .filter(|byte| matches!(byte, b'[' | b'{'))
        .count();
    if brackets <= MAX_PAYLOAD_DEPTH {
        return false;
    }
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_PAYLOAD_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(payload: &'static str, name: Option<&str>) -> Event {
        Event {
            id: EventId(uuid::Uuid::nil()),
            tenant: None,
            event_type: EventType::from_stored("job.created"),
            event_name: name.map(str::to_owned),
            source: None,
            idempotency_key: None,
            ordering_key: None,
            occurred_at: None,
            received_at: Timestamp::from_micros(1_761_472_800_000_000),
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    #[test]
    fn the_body_carries_the_payload_byte_for_byte() {
        let payload = r#"{ "a" : 1.0,"b":"\u00e9",  "c":123456789012345678901234567890 }"#;
        let body = event(payload, Some("A \"quoted\"\nname")).relay_body();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains(&format!("\"data\":{payload},")), "{text}");
        let read: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(read["eventName"], "A \"quoted\"\nname");
        assert_eq!(read["timestamp"], "2025-10-26T10:00:00.000Z");
        assert_eq!(read["eventType"], "job.created");
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!is_too_deep(nested(128).as_bytes()));
        assert!(is_too_deep(nested(129).as_bytes()));
        let text = format!("\"\\\"{}\"", "[".repeat(500));
        assert!(!is_too_deep(text.as_bytes()));
        let flat = format!("[{}1]", "[],{},".repeat(500));
        assert!(!is_too_deep(flat.as_bytes()));
    }
}
