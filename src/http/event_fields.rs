//! Taking a body apart without reading its values: items and fields stay slices of the text.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::Fault;

/// The items of a body as they stand in it, and whether they came in an array. A single
/// object is not looked into yet.
pub fn split(text: &str, max_batch: usize) -> Result<(bool, Vec<&str>), Fault> {
    let wrong = |message: String| Err(Fault::new("body", message));
    match text.trim_start().as_bytes().first() {
        None => wrong("is empty; an event or an array of events is expected".to_owned()),
        Some(b'{') => Ok((false, vec![text])),
        Some(b'[') => match (KeepFirst { max: max_batch }).read(text) {
            Err(error) => wrong(not_json(&error)),
            Ok(all) if all.count == 0 => wrong("must hold at least one event".to_owned()),
            Ok(all) if all.count > max_batch => wrong(format!(
                "must hold at most {max_batch} events, not {}",
                all.count
            )),
            Ok(all) => Ok((true, all.kept)),
        },
        Some(_) => match serde_json::from_str::<IgnoredAny>(text) {
            Err(error) => wrong(not_json(&error)),
            Ok(_) => wrong("must be an object or an array of objects".to_owned()),
        },
    }
}

/// How a body or an item fails to be JSON.
pub fn not_json(error: &serde_json::Error) -> String {
    format!("is not JSON: {error}")
}

/// The items of an array.
struct Items<'a> {
    /// The first of them.
    kept: Vec<&'a str>,
    /// All of them.
    count: usize,
}

/// Reads items and keeps the first `max`; the rest is only counted, so that an array of a
/// million zeros costs no memory.
struct KeepFirst {
    max: usize,
}

impl KeepFirst {
    fn read(self, text: &str) -> serde_json::Result<Items<'_>> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let items = deserializer.deserialize_seq(self)?;
        deserializer.end()?;
        Ok(items)
    }
}

impl<'de> Visitor<'de> for KeepFirst {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Items<'de>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < self.max {
            match items.next_element::<&'de RawValue>()? {
                Some(item) => kept.push(item.get()),
                None => break,
            }
        }
        let mut count = kept.len();
        while items.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Items { kept, count })
    }
}

/// The fields that are read, under the names they have on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
pub enum Field {
    EventType,
    EventName,
    Source,
    Payload,
    Data,
    IdempotencyKey,
    OrderingKey,
    Tenant,
    ClientId,
    OccurredAt,
    #[serde(other)]
    Unknown,
}

impl Field {
    /// How many are known.
    pub const COUNT: usize = Self::Unknown as usize;

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventType => "eventType",
            Self::EventName => "eventName",
            Self::Source => "source",
            Self::Payload => "payload",
            Self::Data => "data",
            Self::IdempotencyKey => "idempotencyKey",
            Self::OrderingKey => "orderingKey",
            Self::Tenant => "tenant",
            Self::ClientId => "clientId",
            Self::OccurredAt => "occurredAt",
            Self::Unknown => "",
        }
    }
}

/// An item's values, unread.
#[derive(Default)]
pub struct Fields<'a> {
    values: [Option<&'a RawValue>; Field::COUNT],
    /// Fields that were given more than once; their last value stands.
    pub given_twice: Vec<Field>,
}

impl<'a> Fields<'a> {
    /// The field's value as it stands in the body.
    pub fn get(&self, field: Field) -> Option<&'a str> {
        self.values
            .get(field as usize)
            .copied()
            .flatten()
            .map(RawValue::get)
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadFields)
    }
}

struct ReadFields;

impl<'de> Visitor<'de> for ReadFields {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(field) = map.next_key::<Field>()? {
            match fields.values.get_mut(field as usize) {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(value) => {
                    let again = value.replace(map.next_value()?).is_some();
                    if again && !fields.given_twice.contains(&field) {
                        fields.given_twice.push(field);
                    }
                }
            }
        }
        Ok(fields)
    }
}
