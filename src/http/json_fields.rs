//! Reading the fields of a JSON object one by one, collecting what is wrong with them.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::error::Fault;
use super::text;
use crate::domain::Timestamp;

/// An object whose fields are taken out one after the other. What is left at the end is not
/// known to us, and a fault.
#[derive(Debug)]
pub struct Fields {
    path: String,
    given: Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Fields {
    /// A request's body.
    pub fn of_body(body: &[u8]) -> Result<Self, Fault> {
        if body.is_empty() {
            return Err(Fault::new("body", "is missing: it must be a JSON object"));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(given)) => Ok(Self::new(String::new(), given)),
            Ok(_) => Err(Fault::new("body", "must be an object")),
            Err(error) => Err(Fault::new("body", format!("is not JSON: {error}"))),
        }
    }

    /// A request's body where none, or `null`, says as much as an empty object.
    pub fn of_body_or_none(body: &[u8]) -> Result<Self, Fault> {
        match body.trim_ascii() {
            b"" | b"null" => Ok(Self::new(String::new(), Map::new())),
            given => Self::of_body(given),
        }
    }

    fn new(path: String, given: Map<String, Value>) -> Self {
        Self {
            path,
            given,
            known: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// An object that stands at that path.
    pub fn at(path: String, given: Map<String, Value>) -> Self {
        Self::new(path, given)
    }

    /// Whether nothing is wrong so far.
    pub fn has_no_fault(&self) -> bool {
        self.faults.is_empty()
    }

    /// Notes a fault of that field.
    pub fn fault(&mut self, name: &str, message: impl Into<String>) {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        self.faults.push(Fault::new(path, message));
    }

    /// Whether the field has not been given.
    pub fn lacks(&self, name: &str) -> bool {
        !self.given.contains_key(name)
    }

    /// The field's value, whatever it is.
    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.given.remove(name)
    }

    /// Fields that may be given and mean nothing.
    pub fn pass_over(&mut self, names: &[&str]) {
        for name in names {
            self.given.remove(*name);
        }
    }

    /// A field of which `null` means "the default": `Some(None)` then.
    pub fn nullable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.given.get(name).is_some_and(Value::is_null) {
            self.take(name);
            return Some(None);
        }
        read(self, name).map(Some)
    }

    fn taken_as<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Option<T> {
        let value = read(self.take(name)?);
        if value.is_none() {
            self.fault(name, format!("must be {expected}"));
        }
        value
    }

    /// A text of any content.
    pub fn any_text(&mut self, name: &'static str) -> Option<String> {
        self.taken_as(name, "a text", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// A text as [`text::check`] wants it.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let text = self.any_text(name)?;
        match text::check(&text) {
            Ok(()) => Some(text),
            Err(problem) => {
                self.fault(name, problem);
                None
            }
        }
    }

    /// A moment.
    pub fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let expected = "a time as RFC 3339 has it, such as 2025-10-26T10:00:00Z";
        self.taken_as(name, expected, |value| {
            Timestamp::parse_rfc3339(value.as_str()?)
        })
    }

    /// True or false.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.taken_as(name, "true or false", |value| value.as_bool())
    }

    /// A whole number.
    pub fn whole<T: TryFrom<u64>>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<T> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.taken_as(name, &expected, |value| {
            let number = whole(&value).filter(|number| range.contains(number))?;
            T::try_from(number).ok()
        })
    }

    /// A whole number whose bounds are looked at later, by the rules that it belongs to: past
    /// every bound, it is as much as fits.
    pub fn count<T: TryFrom<u64>>(&mut self, name: &'static str) -> Option<T> {
        self.taken_as(name, "a whole number, 0 or more", |value| {
            let number = whole(&value)?;
            T::try_from(number)
                .or_else(|_| T::try_from(u32::MAX.into()))
                .ok()
        })
    }

    /// A number.
    pub fn number(&mut self, name: &'static str) -> Option<f64> {
        self.taken_as(name, "a number", |value| value.as_f64())
    }

    /// The fields of an object in a field. [`Fields::adopt`] them when they are read.
    pub fn object(&mut self, name: &'static str) -> Option<Self> {
        let given = self.taken_as(name, "an object", |value| match value {
            Value::Object(given) => Some(given),
            _ => None,
        })?;
        Some(Self::new(name.to_owned(), given))
    }

    /// Takes over the faults of an object in a field; says whether it had none.
    pub fn adopt(&mut self, object: Self) -> bool {
        let faults = object.finish();
        let is_fine = faults.is_empty();
        self.faults.extend(faults);
        is_fine
    }

    /// Takes over faults found elsewhere.
    pub fn extend(&mut self, faults: Vec<Fault>) {
        self.faults.extend(faults);
    }

    /// All faults, unknown fields among them.
    pub fn finish(mut self) -> Vec<Fault> {
        let known = self.known.join(", ");
        for name in std::mem::take(&mut self.given).keys() {
            let message = match known.as_str() {
                "" => "is not known here; there are no fields".to_owned(),
                known => format!("is not known here; there are {known}"),
            };
            self.fault(&text::cut(name), message);
        }
        self.faults
    }
}

/// A whole number, 0 or more, however it is written: JSON does not tell `1.0` from `1`.
pub fn whole(value: &Value) -> Option<u64> {
    /// From here on, not every whole number has a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let written_as_float = || {
        let number = value.as_f64()?;
        let is_whole = number.fract() == 0.0 && (0.0..EXACT).contains(&number);
        is_whole.then_some(number as u64)
    };
    value.as_u64().or_else(written_as_float)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("18414.0", Some(18_414)),
            ("1e3", Some(1_000)),
            ("18446744073709551615", Some(u64::MAX)),
            ("9007199254740992.0", None),
            ("1.5", None),
            ("-1", None),
            ("-1.0", None),
            ("1e300", None),
            ("true", None),
            ("\"1\"", None),
            ("null", None),
        ] {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(whole(&value), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_survive_being_floats(number in 0_u64..1 << 53, odd in any::<f64>()) {
            prop_assert_eq!(whole(&json!(number)), Some(number));
            prop_assert_eq!(whole(&json!(number as f64)), Some(number));
            let read = whole(&json!(odd));
            prop_assert!(read.is_none_or(|read| read as f64 == odd));
        }
    }
}
