//! What a delivery's body looks like.
//!
//! A body depends on nothing but the event and the format, so the attempts of a delivery all have
//! the same bytes. The payload is in it as it came, never read and written again. Where the format
//! is changed between two attempts, the later ones have the new one's bytes; the `webhook-id`
//! stays.

use bytes::Bytes;

use super::event::Event;

/// The format of a delivery's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadFormat {
    /// `eventId`, `eventType`, `eventName`, `data`, `timestamp`.
    #[default]
    Relay,
    /// `type`, `timestamp`, `data`, as Standard Webhooks has it.
    Standard,
    /// The payload alone.
    Raw,
    /// CloudEvents 1.0, structured JSON.
    CloudEvents,
}

impl PayloadFormat {
    /// Every one, for parsers.
    pub const ALL: [Self; 4] = [Self::Relay, Self::Standard, Self::Raw, Self::CloudEvents];

    /// The word used in tables, requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Standard => "standard",
            Self::Raw => "raw",
            Self::CloudEvents => "cloudevents",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// The body's `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Relay | Self::Standard | Self::Raw => "application/json",
            Self::CloudEvents => "application/cloudevents+json",
        }
    }

    /// The body.
    pub fn body(self, event: &Event) -> Bytes {
        match self {
            Self::Relay => event.relay_body(),
            Self::Raw => event.payload.clone(),
            Self::Standard => {
                let mut body = Vec::with_capacity(event.payload.len() + 128);
                body.extend_from_slice(b"{\"type\":\"");
                // An event type holds no character that JSON would escape.
                body.extend_from_slice(event.event_type.as_str().as_bytes());
                body.extend_from_slice(b"\",\"timestamp\":\"");
                body.extend_from_slice(event.timestamp().to_string().as_bytes());
                body.extend_from_slice(b"\",\"data\":");
                body.extend_from_slice(&event.payload);
                body.push(b'}');
                body.into()
            }
            Self::CloudEvents => {
                let mut body = Vec::with_capacity(event.payload.len() + 256);
                body.extend_from_slice(b"{\"specversion\":\"1.0\",\"id\":\"");
                body.extend_from_slice(event.id.to_string().as_bytes());
                body.extend_from_slice(b"\",\"source\":\"");
                // A URI reference holds no character that JSON would escape.
                body.extend_from_slice(source(event.source.as_deref()).as_bytes());
                body.extend_from_slice(b"\",\"type\":\"");
                body.extend_from_slice(event.event_type.as_str().as_bytes());
                body.extend_from_slice(b"\",\"time\":\"");
                body.extend_from_slice(event.timestamp().to_string().as_bytes());
                body.extend_from_slice(b"\",\"datacontenttype\":\"application/json\",\"data\":");
                body.extend_from_slice(&event.payload);
                body.push(b'}');
                body.into()
            }
        }
    }
}

/// The sender's source as the URI reference that CloudEvents asks for. What a reference cannot
/// hold is percent-encoded; a word with a colon that is no absolute URI is made a path.
fn source(given: Option<&str>) -> String {
    const KEPT: &[u8] = b"-._~:/?@!$&'()*+,;=";
    let given = given.unwrap_or("posthaste");
    let mut encoded = String::with_capacity(given.len());
    for byte in given.bytes() {
        if byte.is_ascii_alphanumeric() || KEPT.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    let first = encoded.split(['/', '?']).next().unwrap_or_default();
    if first.contains(':') && url::Url::parse(&encoded).is_err() {
        encoded.insert_str(0, "./");
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::event_type::EventType;
    use crate::domain::id::EventId;

    const PAYLOAD: &str = r#"{ "a" : 1.0,"b":"\u00e9",  "c":123456789012345678901234567890 }"#;

    fn event(source: Option<&str>) -> Event {
        Event {
            id: EventId(uuid::Uuid::from_u128(7)),
            tenant: None,
            event_type: EventType::from_stored("job.created"),
            event_name: Some("A \"name\"".to_owned()),
            source: source.map(str::to_owned),
            idempotency_key: None,
            ordering_key: None,
            occurred_at: None,
            received_at: Timestamp::from_micros(1_761_472_800_000_000),
            payload: Bytes::from_static(PAYLOAD.as_bytes()),
        }
    }

    #[test]
    fn every_format_carries_the_payload_byte_for_byte() {
        for format in PayloadFormat::ALL {
            let body = format.body(&event(Some("jobs")));
            let text = std::str::from_utf8(&body).unwrap();
            assert_eq!(text.matches(PAYLOAD).count(), 1, "{text}");
            serde_json::from_str::<&RawValue>(text).unwrap();
            assert_eq!(PayloadFormat::parse(format.as_str()), Some(format));
            // The same for every attempt.
            assert_eq!(body, format.body(&event(Some("jobs"))));
        }
        assert_eq!(PayloadFormat::Raw.body(&event(None)), PAYLOAD);
    }

    #[test]
    fn standard_has_three_fields() {
        let body: Value =
            serde_json::from_slice(&PayloadFormat::Standard.body(&event(None))).unwrap();
        assert_eq!(body.as_object().unwrap().len(), 3);
        assert_eq!(body["type"], "job.created");
        assert_eq!(body["timestamp"], "2025-10-26T10:00:00.000Z");
        assert_eq!(body["data"]["b"], "é");
    }

    #[test]
    fn cloudevents_has_what_its_specification_requires() {
        let format = PayloadFormat::CloudEvents;
        let body: Value = serde_json::from_slice(&format.body(&event(Some("jobs")))).unwrap();
        for (attribute, value) in [
            ("specversion", "1.0"),
            ("id", "00000000-0000-0000-0000-000000000007"),
            ("source", "jobs"),
            ("type", "job.created"),
            ("time", "2025-10-26T10:00:00.000Z"),
            ("datacontenttype", "application/json"),
        ] {
            assert_eq!(body[attribute], value, "{attribute}");
        }
        assert_eq!(body["data"]["a"], 1.0);
        assert_eq!(format.content_type(), "application/cloudevents+json");
    }

    #[test]
    fn a_source_becomes_a_reference() {
        for (given, expected) in [
            (None, "posthaste"),
            (Some("candidates-service"), "candidates-service"),
            (Some("Ein Dienst \"1\""), "Ein%20Dienst%20%221%22"),
            (
                Some("https://jobs.example.com/x?y=1"),
                "https://jobs.example.com/x?y=1",
            ),
            (Some("urn:jobs:7"), "urn:jobs:7"),
            (Some("1:2"), "./1:2"),
            (Some("100%"), "100%25"),
        ] {
            assert_eq!(source(given), expected);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_source_the_body_is_json(text in ".{1,255}") {
            let base = url::Url::parse("https://example.com/a/b").unwrap();
            prop_assert!(base.join(&source(Some(&text))).is_ok() || text.contains("//"));
            let body = PayloadFormat::CloudEvents.body(&event(Some(&text)));
            let read: Value = serde_json::from_slice(&body).unwrap();
            prop_assert!(!read["source"].as_str().unwrap().is_empty());
        }
    }
}
