//! The catalogue of event types: what senders may send, and what it looks like.
//!
//! An event is checked against the catalogue before it is accepted. Where there is nothing to
//! check, because no type has a schema and unknown ones are accepted, that costs one look at a
//! flag. A schema is bounded when it is stored, so that no payload can make its check long
//! (`schema.rs`).

mod schema;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Timestamp;
use super::event::Event;
use super::event_type::EventType;
pub use schema::{InvalidSchema, MAX_SCHEMA_BYTES, Schema};

/// Types in a catalogue at most.
pub const MAX_TYPES: u32 = 1_000;
/// Bytes of an example at most.
pub const MAX_EXAMPLE_BYTES: usize = 65_536;
/// Characters of a description at most.
pub const MAX_DESCRIPTION: usize = 4_096;
/// Faults of one payload that are named.
const MAX_FAULTS: usize = 10;

/// A type as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct EventTypeEntry {
    /// Its name.
    pub name: EventType,
    /// For people.
    pub description: Option<String>,
    /// A payload of such an event: JSON, as it came.
    pub example: Option<String>,
    /// What payloads have to look like: JSON Schema 2020-12, as it came.
    pub schema: Option<String>,
    /// Not to be used any more.
    pub archived: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The directory's version that its last change drew; also the guard against lost updates.
    pub version: i64,
}

/// What becomes of events whose type is not in the catalogue, or archived there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownTypes {
    /// They are accepted.
    #[default]
    Accept,
    /// They are refused.
    Refuse,
}

impl UnknownTypes {
    /// Both, in the order in which they are documented.
    pub const ALL: [Self; 2] = [Self::Accept, Self::Refuse];

    /// The word used in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Refuse => "refuse",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// Why an event is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Its type is not in the catalogue.
    Unknown,
    /// Its type is archived.
    Archived,
    /// Its payload does not match the type's schema: a place in the payload (a JSON pointer,
    /// empty for the whole) and what it has to be, each.
    Payload(Vec<(String, String)>),
}

/// A type as events are checked against it.
#[derive(Debug)]
struct Known {
    version: i64,
    archived: bool,
    schema: Option<Schema>,
}

/// All types, ready for checks.
#[derive(Debug, Default)]
pub struct Catalogue {
    version: i64,
    unknown: UnknownTypes,
    types: HashMap<Arc<str>, Arc<Known>>,
    /// Whether any event could be refused.
    checks: bool,
}

impl Catalogue {
    /// An empty catalogue.
    pub fn new(unknown: UnknownTypes) -> Self {
        Self {
            unknown,
            checks: unknown == UnknownTypes::Refuse,
            ..Self::default()
        }
    }

    /// The directory's version that its last change drew.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The catalogue of these types. What has not changed since this one is taken over as it is.
    /// Also answers the types whose schema cannot be used any more, with the reason: they are
    /// left unchecked.
    pub fn of(&self, version: i64, entries: &[EventTypeEntry]) -> (Self, Vec<(EventType, String)>) {
        let mut unusable = Vec::new();
        let mut types = HashMap::with_capacity(entries.len());
        for entry in entries {
            let before = self.types.get(entry.name.as_str());
            let known = match before.filter(|known| known.version == entry.version) {
                Some(known) => Arc::clone(known),
                None => {
                    let schema = entry.schema.as_deref().map(Schema::parse).transpose();
                    let schema = schema.unwrap_or_else(|problem| {
                        unusable.push((entry.name.clone(), problem.to_string()));
                        None
                    });
                    Arc::new(Known {
                        version: entry.version,
                        archived: entry.archived,
                        schema,
                    })
                }
            };
            types.insert(entry.name.shared(), known);
        }
        let checks = self.unknown == UnknownTypes::Refuse
            || types.values().any(|known| known.schema.is_some());
        let catalogue = Self {
            version,
            unknown: self.unknown,
            types,
            checks,
        };
        (catalogue, unusable)
    }

    /// Whether any event could be refused.
    pub fn checks_any(&self) -> bool {
        self.checks
    }

    /// Whether a sender's event is to be accepted. An archived type keeps its schema: where it is
    /// still accepted, it is still what its receivers rely on.
    pub fn check(&self, event: &Event) -> Result<(), Mismatch> {
        let refuses = self.unknown == UnknownTypes::Refuse;
        let known = match self.types.get(event.event_type.as_str()) {
            None if refuses => return Err(Mismatch::Unknown),
            None => return Ok(()),
            Some(known) if known.archived && refuses => return Err(Mismatch::Archived),
            Some(known) => known,
        };
        let Some(schema) = &known.schema else {
            return Ok(());
        };
        let payload: Value = serde_json::from_slice(&event.payload).map_err(|_| {
            // It was read as JSON before, but not into values.
            let message = "nests too deep, or holds a number too large, to be checked against the \
                           schema of its type";
            Mismatch::Payload(vec![(String::new(), message.to_owned())])
        })?;
        match schema.faults(&payload, MAX_FAULTS) {
            faults if faults.is_empty() => Ok(()),
            faults => Err(Mismatch::Payload(faults)),
        }
    }
}
