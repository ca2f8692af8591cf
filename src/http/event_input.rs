//! Reading events from a request's body.
//!
//! Payloads are not parsed into values: they stay the bytes that came, whitespace inside
//! included. Every fault is found, not only the first, and named with its place. Fields that
//! Posthaste does not know are passed over: senders of several systems send more than we keep.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::error::Fault;
use super::event_fields::{Field, Fields, not_json, split};
use super::tenants::inactive;
use super::text;
use crate::actors::NewEvent;
use crate::domain::Timestamp;
use crate::domain::event::{Event, MAX_PAYLOAD_DEPTH, is_too_deep};
use crate::domain::event_type::EventType;
use crate::domain::id::EventId;

/// Bounds on what one request may bring.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Events in one batch at most.
    pub max_batch: usize,
    /// Bytes of one payload at most.
    pub max_payload_bytes: usize,
}

/// What a request brought.
#[derive(Debug)]
pub struct Input {
    /// An array came, not a single object.
    pub is_batch: bool,
    /// Its items, in order.
    pub items: Vec<Item>,
}

/// One item of a request.
#[derive(Debug)]
pub struct Item {
    /// The event type as sent, where it was a text at all.
    pub event_type: Option<Arc<str>>,
    /// The event, or all that is wrong with it.
    pub event: Result<NewEvent, Vec<Fault>>,
}

/// Who sends, as far as that says whose the events are.
#[derive(Clone, Copy)]
pub struct Sender<'a> {
    /// The tenant whose key it is: whose its events are.
    pub tenant: Option<&'a Arc<str>>,
    /// Whoever has none must name one.
    pub must_name: bool,
    /// Whether a tenant that is named is inactive.
    pub is_inactive: &'a (dyn Fn(&str) -> bool + Sync),
}

/// From whom, when and under which key the items of a request arrived.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// Who sends.
    pub sender: Sender<'a>,
    /// When it was received.
    pub now: Timestamp,
    /// The `Idempotency-Key` header.
    pub header_key: Option<&'a str>,
    /// Makes the events' ids.
    pub new_id: fn() -> EventId,
}

/// Reads one object or an array of 1 to `max_batch` objects. `Err` are faults of the whole;
/// faults of single items stand with the items.
pub fn parse(body: &Bytes, arrival: &Arrival<'_>, bounds: &Bounds) -> Result<Input, Vec<Fault>> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let message = format!("is not JSON: not UTF-8 after byte {}", error.valid_up_to());
        vec![Fault::new("body", message)]
    })?;
    let (is_batch, raws) = split(text, bounds.max_batch).map_err(|fault| vec![fault])?;
    let mut header_faults = Vec::new();
    if let Some(key) = arrival.header_key {
        // The longest key that will be made of it.
        let longest = if is_batch {
            batch_key(key, raws.len() - 1)
        } else {
            key.to_owned()
        };
        if let Err(problem) = text::check(&longest) {
            header_faults.push(Fault::new("Idempotency-Key", problem));
        }
    }
    let items = raws
        .into_iter()
        .enumerate()
        .map(|(index, raw)| {
            let header_key = arrival.header_key.map(|key| match is_batch {
                true => batch_key(key, index),
                false => key.to_owned(),
            });
            ItemReader {
                body,
                index: is_batch.then_some(index),
                faults: Vec::new(),
            }
            .read(raw, header_key, arrival, bounds)
        })
        .collect();
    if header_faults.is_empty() {
        Ok(Input { is_batch, items })
    } else {
        let of_items = items
            .into_iter()
            .filter_map(|item: Item| item.event.err())
            .flatten();
        Err(header_faults.into_iter().chain(of_items).collect())
    }
}

/// A header's key on an array gives item n the key `K/n`, counted from 0 as in faults' places.
fn batch_key(key: &str, index: usize) -> String {
    format!("{key}/{index}")
}

/// Reads one item and collects its faults.
struct ItemReader<'a> {
    body: &'a Bytes,
    /// Its place in an array.
    index: Option<usize>,
    faults: Vec<Fault>,
}

impl ItemReader<'_> {
    fn read(
        mut self,
        raw: &str,
        header_key: Option<String>,
        arrival: &Arrival<'_>,
        bounds: &Bounds,
    ) -> Item {
        if !raw.trim_start().starts_with('{') {
            let place = self.index.map_or_else(String::new, place_in_array);
            let event = Err(vec![Fault::new(place, "must be an object")]);
            return Item {
                event_type: None,
                event,
            };
        }
        let fields = match serde_json::from_str::<Fields<'_>>(raw) {
            Ok(fields) => fields,
            Err(error) => {
                let place = self.index.map_or_else(|| "body".to_owned(), place_in_array);
                let event = Err(vec![Fault::new(place, not_json(&error))]);
                return Item {
                    event_type: None,
                    event,
                };
            }
        };
        for field in &fields.given_twice {
            self.fault(*field, "is given twice");
        }
        let event_type = self.event_type(&fields);
        let payload = self.payload(&fields, bounds.max_payload_bytes);
        let event_name = self.text(&fields, Field::EventName);
        let source = self.text(&fields, Field::Source);
        let ordering_key = self.text(&fields, Field::OrderingKey);
        let tenant = self.tenant(&fields, &arrival.sender);
        let occurred_at = self.occurred_at(&fields);
        let key = self.idempotency_key(&fields, header_key);
        let shown_type = match &event_type {
            Some(event_type) => Some(event_type.shared()),
            None => fields
                .get(Field::EventType)
                .and_then(|raw| serde_json::from_str::<String>(raw).ok())
                .map(Arc::from),
        };
        let event = match (event_type, payload) {
            (Some(event_type), Some(payload)) if self.faults.is_empty() => {
                let content = match &key {
                    Some(_) => Sha256::digest(raw.trim().as_bytes()).into(),
                    None => [0; 32],
                };
                let event = Event {
                    id: (arrival.new_id)(),
                    tenant,
                    event_type,
                    event_name: event_name.map(Cow::into_owned),
                    source: source.map(Cow::into_owned),
                    idempotency_key: key.map(Arc::from),
                    ordering_key: ordering_key.map(Cow::into_owned),
                    occurred_at,
                    received_at: arrival.now,
                    payload: kept(self.body, payload),
                };
                Ok(NewEvent {
                    event: Arc::new(event),
                    content,
                })
            }
            _ => Err(self.faults),
        };
        Item {
            event_type: shown_type,
            event,
        }
    }

    fn path(&self, field: Field) -> String {
        match self.index {
            None => field.name().to_owned(),
            Some(index) => format!("{}.{}", place_in_array(index), field.name()),
        }
    }

    fn fault(&mut self, field: Field, message: impl Into<String>) {
        self.faults.push(Fault::new(self.path(field), message));
    }

    fn not_theirs(&mut self, field: Field, message: impl Into<String>) {
        self.faults
            .push(Fault::not_theirs(self.path(field), message));
    }

    /// A text that may have any content; `null` counts as absent.
    fn any_text<'t>(&mut self, fields: &Fields<'t>, field: Field) -> Option<Cow<'t, str>> {
        let raw = fields.get(field).filter(|raw| *raw != "null")?;
        let text = read_text(raw);
        if text.is_none() {
            self.fault(field, "must be a text (of valid Unicode)");
        }
        text
    }

    /// A text as [`text::check`] wants it.
    fn text<'t>(&mut self, fields: &Fields<'t>, field: Field) -> Option<Cow<'t, str>> {
        let text = self.any_text(fields, field)?;
        match text::check(&text) {
            Ok(()) => Some(text),
            Err(problem) => {
                self.fault(field, problem);
                None
            }
        }
    }

    fn event_type(&mut self, fields: &Fields<'_>) -> Option<EventType> {
        if fields.get(Field::EventType).is_none_or(|raw| raw == "null") {
            self.fault(Field::EventType, "is required");
            return None;
        }
        let text = self.any_text(fields, Field::EventType)?;
        match EventType::parse(&text) {
            Ok(event_type) => Some(event_type),
            Err(problem) => {
                self.fault(Field::EventType, problem.to_string());
                None
            }
        }
    }

    /// The payload as it stands in the body. `null` is a payload like any other.
    fn payload<'t>(&mut self, fields: &Fields<'t>, max_bytes: usize) -> Option<&'t str> {
        let (field, payload) = match (fields.get(Field::Payload), fields.get(Field::Data)) {
            (Some(payload), None) => (Field::Payload, payload),
            (None, Some(data)) => (Field::Data, data),
            (None, None) => {
                self.fault(
                    Field::Data,
                    "is required (or payload, which means the same)",
                );
                return None;
            }
            (Some(_), Some(_)) => {
                self.fault(
                    Field::Data,
                    "cannot stand beside payload: they mean the same",
                );
                return None;
            }
        };
        if payload.len() > max_bytes {
            let message = format!("must have at most {max_bytes} bytes, not {}", payload.len());
            self.faults
                .push(Fault::too_large(self.path(field), message));
            return None;
        }
        if is_too_deep(payload.as_bytes()) {
            self.fault(
                field,
                format!("must nest at most {MAX_PAYLOAD_DEPTH} levels deep"),
            );
            return None;
        }
        Some(payload)
    }

    /// Whose the event is.
    fn tenant(&mut self, fields: &Fields<'_>, sender: &Sender<'_>) -> Option<Arc<str>> {
        let tenant = self.text(fields, Field::Tenant);
        let client = self.text(fields, Field::ClientId);
        if tenant.is_some() && client.is_some() && tenant != client {
            self.fault(Field::ClientId, "contradicts tenant, which means the same");
        }
        let field = match tenant {
            Some(_) => Field::Tenant,
            None => Field::ClientId,
        };
        match (sender.tenant, tenant.or(client)) {
            (Some(own), named) => {
                if named.is_some_and(|named| *named != **own) {
                    self.not_theirs(field, "is not the tenant of this key: leave it out");
                }
                Some(Arc::clone(own))
            }
            (None, Some(named)) => {
                if (sender.is_inactive)(&named) {
                    self.not_theirs(field, format!("is refused: {}", inactive(&named)));
                }
                Some(named.into())
            }
            (None, None) => {
                let lacks = |field| fields.get(field).is_none_or(|raw| raw == "null");
                if sender.must_name && lacks(Field::Tenant) && lacks(Field::ClientId) {
                    let message =
                        "is required here (events.require_tenant; clientId means the same)";
                    self.fault(Field::Tenant, message);
                }
                None
            }
        }
    }

    fn occurred_at(&mut self, fields: &Fields<'_>) -> Option<Timestamp> {
        let text = self.any_text(fields, Field::OccurredAt)?;
        let at = Timestamp::parse_rfc3339(&text);
        if at.is_none() {
            let message = "must be a time as RFC 3339 has it, such as 2025-10-26T10:00:00Z";
            self.fault(Field::OccurredAt, message);
        }
        at
    }

    /// The item's own key, or else the header's. In an array the header's key is a mere
    /// default; on a single object two different keys contradict each other.
    fn idempotency_key<'t>(
        &mut self,
        fields: &Fields<'t>,
        header_key: Option<String>,
    ) -> Option<Cow<'t, str>> {
        let own = self.text(fields, Field::IdempotencyKey);
        let header_key = header_key.map(Cow::from);
        let is_single = self.index.is_none();
        if is_single && own.is_some() && header_key.is_some() && own != header_key {
            self.fault(
                Field::IdempotencyKey,
                "contradicts the Idempotency-Key header",
            );
        }
        own.or(header_key)
    }
}

fn place_in_array(index: usize) -> String {
    format!("[{index}]")
}

/// A JSON value's text, if it is one. `raw` was checked to be JSON: what is between quotes and
/// escapes nothing means itself.
fn read_text(raw: &str) -> Option<Cow<'_, str>> {
    let plain = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|text| !text.contains('\\'));
    match plain {
        Some(text) => Some(Cow::Borrowed(text)),
        None => serde_json::from_str::<String>(raw).ok().map(Cow::Owned),
    }
}

/// Below this a payload is copied.
const SHARED_FROM: usize = 32 * 1024;

/// The payload's bytes. A large one shares the body's memory where it is most of it. A small
/// one is copied: it may wait long for a slow receiver, and must not keep a large body, or the
/// connection's read buffer (8 to 64 KiB) that a small body is a slice of, in memory beyond
/// what the windows' byte budget counts.
fn kept(body: &Bytes, payload: &str) -> Bytes {
    if payload.len() >= SHARED_FROM.max(body.len() / 2) {
        body.slice_ref(payload.as_bytes())
    } else {
        Bytes::copy_from_slice(payload.as_bytes())
    }
}

#[cfg(test)]
mod tests;
