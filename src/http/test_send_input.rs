//! What a test send is asked to send.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::Fault;
use super::json_fields::Fields;
use crate::domain::event::{MAX_PAYLOAD_DEPTH, is_too_deep};
use crate::domain::event_type::EventType;
use crate::domain::subscription::Subscription;

/// Sent where no payload is given.
const SAMPLE: &str = r#"{"test":true,"message":"A test by Posthaste: nothing has happened."}"#;

/// A checked body.
#[derive(Debug, Default)]
pub struct TestSendInput {
    event_type: Option<EventType>,
    payload: Option<Bytes>,
}

/// The payload as it came: it is sent byte for byte. `data` is its other name, as in an event.
#[derive(Deserialize)]
struct Given<'a> {
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl TestSendInput {
    /// Reads a body, which may be absent.
    pub fn parse(body: &[u8], max_payload: usize) -> Result<Self, Vec<Fault>> {
        let mut fields = Fields::of_body_or_none(body).map_err(|fault| vec![fault])?;
        let text = fields.nullable("eventType", Fields::any_text).flatten();
        let event_type = text.and_then(|text| match EventType::parse(&text) {
            Ok(event_type) => Some(event_type),
            Err(problem) => {
                fields.fault("eventType", problem.to_string());
                None
            }
        });
        // Marked as known; their bytes are read beside.
        fields.take("payload");
        fields.take("data");
        let given: Option<Given<'_>> = match body.trim_ascii() {
            b"" => None,
            given => serde_json::from_slice(given)
                .map_err(|problem| vec![Fault::new("body", problem.to_string())])?,
        };
        let (payload, data) = given.map_or((None, None), |given| (given.payload, given.data));
        if payload.is_some() && data.is_some() {
            fields.fault("data", "cannot stand beside payload: they mean the same");
        }
        let name = if payload.is_some() { "payload" } else { "data" };
        let payload = payload.or(data);
        let payload = payload.map(|payload| Bytes::copy_from_slice(payload.get().as_bytes()));
        if let Some(payload) = &payload {
            if payload.len() > max_payload {
                let message = format!("must have at most {max_payload} bytes");
                fields.extend(vec![Fault::too_large(name, message)]);
            } else if is_too_deep(payload) {
                let message = format!("must not be nested deeper than {MAX_PAYLOAD_DEPTH} levels");
                fields.fault(name, message);
            }
        }
        match fields.finish() {
            faults if faults.is_empty() => Ok(Self {
                event_type,
                payload,
            }),
            faults => Err(faults),
        }
    }

    /// What happened, allegedly: what was asked for, or what the subscription would get.
    pub fn event_type(&self, subscription: &Subscription) -> EventType {
        let sample = || {
            let pattern = subscription.event_types.first();
            let pattern = pattern.map_or("*", |pattern| pattern.as_str());
            let segments = pattern.split('.').map(|segment| match segment {
                "*" => "test",
                segment => segment,
            });
            EventType::from_stored(&segments.collect::<Vec<_>>().join("."))
        };
        self.event_type.clone().unwrap_or_else(sample)
    }

    /// What is sent of it.
    pub fn payload(&self) -> Bytes {
        let sample = || Bytes::from_static(SAMPLE.as_bytes());
        self.payload.clone().unwrap_or_else(sample)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reading_never_panics_and_a_text_is_sent_as_it_came(
            bytes in any::<Vec<u8>>(), text in any::<String>(),
        ) {
            let _ = TestSendInput::parse(&bytes, 100);
            let text = serde_json::Value::from(text).to_string();
            let body = format!(r#"{{"payload": {text}}}"#);
            let input = TestSendInput::parse(body.as_bytes(), 1 << 20).unwrap();
            prop_assert_eq!(&input.payload()[..], text.as_bytes());
        }
    }

    fn faults(body: &str) -> String {
        let faults = TestSendInput::parse(body.as_bytes(), 40).unwrap_err();
        let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
        lines.join("; ")
    }

    #[test]
    fn a_payload_is_sent_as_it_came() {
        let body = br#"{"eventType":"a.b","payload": {"n":  1.10, "big":123456789012345678901}}"#;
        let input = TestSendInput::parse(body, 100).unwrap();
        assert_eq!(input.event_type, Some(EventType::from_stored("a.b")));
        let sent = input.payload();
        assert_eq!(sent, r#"{"n":  1.10, "big":123456789012345678901}"#);
        let under_its_other_name = TestSendInput::parse(br#"{"data": [1.0]}"#, 100).unwrap();
        assert_eq!(under_its_other_name.payload(), "[1.0]");
        for nothing in [
            "",
            " \n",
            "null",
            "{}",
            r#"{"payload":null,"eventType":null}"#,
        ] {
            let input = TestSendInput::parse(nothing.as_bytes(), 100).unwrap();
            assert_eq!(input.payload(), SAMPLE);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, named) in [
            ("[]", "body must be an object"),
            (r#"{"eventType":"a b"}"#, "eventType must be segments"),
            (r#"{"eventType":"posthaste.x"}"#, "eventType must not begin"),
            (r#"{"event":"a"}"#, "event is not known here"),
            (r#"{"payload":1,"payload":2}"#, "duplicate field"),
            (
                r#"{"payload":1,"data":1}"#,
                "data cannot stand beside payload",
            ),
        ] {
            assert!(faults(body).contains(named), "{body}: {}", faults(body));
        }
        let large = format!(r#"{{"payload":"{}"}}"#, "x".repeat(39));
        assert!(faults(&large).contains("payload must have at most 40 bytes"));
        let large = large.replace("payload", "data");
        assert!(faults(&large).contains("data must have at most 40 bytes"));
    }
}
