//! One schema: bounded when it is stored, so that its checks are bounded.
//!
//! A check visits each place of a payload once for each schema that applies there. Laid out, with
//! every reference replaced by what it refers to, a schema has a number of such parts; that number
//! times the places of a payload bounds a check. A schema that refers to itself has no such
//! number: with two branches it would double the work with each level of the payload. So it is
//! refused, and so is whatever refers elsewhere. Patterns run in time linear in the text.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

/// Bytes of a schema at most.
pub const MAX_SCHEMA_BYTES: usize = 32_768;
/// Levels of nesting a schema may have.
const MAX_DEPTH: usize = 32;
/// Parts of a schema at most, laid out.
const MAX_PARTS: usize = 1_000;
/// Bytes of one compiled pattern at most.
const MAX_PATTERN_BYTES: usize = 262_144;
/// Characters of a message that are shown.
const MAX_MESSAGE: usize = 200;

/// Keywords whose value is a schema: all that are ever compiled, those of older dialects included.
const ONE: [&str; 12] = [
    "not",
    "if",
    "then",
    "else",
    "items",
    "contains",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "additionalItems",
    "contentSchema",
];
/// Keywords whose value is a list of schemas.
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is an object of schemas.
const OBJECTS: [&str; 4] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    "dependencies",
];
/// Keywords whose value is an object of schemas that count where they are referred to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// Keywords that make a reference mean something else than a place in this document.
const REFUSED: [&str; 7] = [
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "$anchor",
    "$id",
    "$vocabulary",
];

/// Why a text is no schema that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{problem}", place = .place.as_ref().map_or_else(String::new, |place| format!("at {place}: ")))]
pub struct InvalidSchema {
    /// Where in the schema (a JSON pointer), where that is known.
    pub place: Option<String>,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl InvalidSchema {
    fn at(place: &str, problem: impl Into<String>) -> Self {
        Self {
            place: Some(format!("#{place}")),
            problem: problem.into(),
        }
    }

    fn whole(problem: impl Into<String>) -> Self {
        Self {
            place: None,
            problem: problem.into(),
        }
    }
}

/// A compiled schema.
#[derive(Debug)]
pub struct Schema(Validator);

impl Schema {
    /// Reads, bounds and compiles a schema.
    pub fn parse(text: &str) -> Result<Self, InvalidSchema> {
        if text.len() > MAX_SCHEMA_BYTES {
            let length = text.len();
            return Err(InvalidSchema::whole(format!(
                "must have at most {MAX_SCHEMA_BYTES} bytes, not {length}"
            )));
        }
        let value: Value = serde_json::from_str(text)
            .map_err(|error| InvalidSchema::whole(format!("is not JSON: {error}")))?;
        if !matches!(value, Value::Object(_) | Value::Bool(_)) {
            return Err(InvalidSchema::whole("must be an object, or true or false"));
        }
        if let Some(Value::String(dialect)) = value.get("$schema")
            && dialect.trim_end_matches('#') != "https://json-schema.org/draft/2020-12/schema"
        {
            let problem = "must be https://json-schema.org/draft/2020-12/schema, or absent";
            return Err(InvalidSchema::at("/$schema", problem));
        }
        Bounds { whole: &value }.check()?;
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(MAX_PATTERN_BYTES)
                    .dfa_size_limit(MAX_PATTERN_BYTES),
            )
            .build(&value)
            .map(Self)
            .map_err(|error| InvalidSchema {
                place: Some(format!("#{}", error.instance_path().as_str())),
                problem: cut(&error.to_string()),
            })
    }

    /// What is wrong with a payload: places (JSON pointers) and messages, `most` at most. What
    /// stands in the payload is not repeated: it may be personal.
    pub fn faults(&self, payload: &Value, most: usize) -> Vec<(String, String)> {
        self.0
            .iter_errors(payload)
            .take(most)
            .map(|error| {
                let message = error.masked_with("the value").to_string();
                (cut(error.instance_path().as_str()), cut(&message))
            })
            .collect()
    }
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_MESSAGE).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Lays a schema out, and counts.
struct Bounds<'a> {
    whole: &'a Value,
}

impl<'a> Bounds<'a> {
    fn check(&self) -> Result<(), InvalidSchema> {
        let depth = depth_of(self.whole);
        if depth > MAX_DEPTH {
            return Err(InvalidSchema::whole(format!(
                "must nest at most {MAX_DEPTH} levels deep, not {depth}"
            )));
        }
        let mut parts = 0;
        self.lay_out(self.whole, String::new(), &mut Vec::new(), &mut parts)?;
        // What nothing refers to is compiled all the same.
        self.definitions(self.whole, "")
    }

    /// Counts the parts of one schema; `open` are the places of the references that led here.
    fn lay_out(
        &self,
        schema: &'a Value,
        place: String,
        open: &mut Vec<String>,
        parts: &mut usize,
    ) -> Result<(), InvalidSchema> {
        *parts += 1;
        if *parts > MAX_PARTS {
            return Err(InvalidSchema::whole(format!(
                "has more than {MAX_PARTS} parts, counting each as often as it is referred to: a \
                 check would take too long; make it smaller"
            )));
        }
        let Value::Object(keywords) = schema else {
            return Ok(());
        };
        refuse(keywords, &place)?;
        if let Some(reference) = keywords.get("$ref") {
            let (target, found) = self.referred(reference, &place)?;
            if open.contains(&target) {
                let problem = "refers to itself: a payload could make its check as long as it \
                               likes; write out the levels that you need";
                return Err(InvalidSchema::at(&format!("{place}/$ref"), problem));
            }
            open.push(target.clone());
            self.lay_out(found, target, open, parts)?;
            open.pop();
        }
        for (inner, below) in children(keywords, &place) {
            self.lay_out(inner, below, open, parts)?;
        }
        Ok(())
    }

    /// Looks at the definitions by themselves.
    fn definitions(&self, schema: &'a Value, place: &str) -> Result<(), InvalidSchema> {
        let Value::Object(keywords) = schema else {
            return Ok(());
        };
        for keyword in DEFINITIONS {
            let Some(Value::Object(definitions)) = keywords.get(keyword) else {
                continue;
            };
            for (name, definition) in definitions {
                let below = format!("{place}/{keyword}/{}", escaped(name));
                // A reference back to this one is one to itself.
                let mut open = vec![below.clone()];
                self.lay_out(definition, below.clone(), &mut open, &mut 0)?;
                self.definitions(definition, &below)?;
            }
        }
        for (inner, below) in children(keywords, place) {
            self.definitions(inner, &below)?;
        }
        Ok(())
    }

    /// The place that a reference names, and what stands there.
    fn referred(
        &self,
        reference: &Value,
        place: &str,
    ) -> Result<(String, &'a Value), InvalidSchema> {
        let problem = |problem| InvalidSchema::at(&format!("{place}/$ref"), problem);
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let pointer = pointer.filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
        let pointer = pointer.ok_or_else(|| {
            problem("must refer to a place in this schema, such as #/$defs/address: no other is ever fetched")
        })?;
        let pointer = percent_decoded(pointer)
            .ok_or_else(|| problem("is not a pointer: its percent signs are not escapes"))?;
        let found = self
            .whole
            .pointer(&pointer)
            .ok_or_else(|| problem("refers to a place that is not there"))?;
        Ok((pointer, found))
    }
}

/// The schemas in these keywords, and where they stand.
fn children<'a>(keywords: &'a Map<String, Value>, place: &str) -> Vec<(&'a Value, String)> {
    let mut found = Vec::new();
    for keyword in ONE {
        if let Some(inner) = keywords.get(keyword) {
            found.push((inner, format!("{place}/{keyword}")));
        }
    }
    for keyword in LISTS {
        if let Some(Value::Array(list)) = keywords.get(keyword) {
            let items = list.iter().enumerate();
            found.extend(items.map(|(n, inner)| (inner, format!("{place}/{keyword}/{n}"))));
        }
    }
    for keyword in OBJECTS {
        if let Some(Value::Object(object)) = keywords.get(keyword) {
            let each = object.iter();
            found.extend(
                each.map(|(name, inner)| (inner, format!("{place}/{keyword}/{}", escaped(name)))),
            );
        }
    }
    found
}

fn refuse(keywords: &Map<String, Value>, place: &str) -> Result<(), InvalidSchema> {
    for keyword in REFUSED {
        // A schema may say what it is called; nothing is ever looked for there.
        if keywords.contains_key(keyword) && !(keyword == "$id" && place.is_empty()) {
            let problem = "is not supported; refer to places in this schema by $ref, such as \
                           #/$defs/address";
            return Err(InvalidSchema::at(&format!("{place}/{keyword}"), problem));
        }
    }
    Ok(())
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| (byte? as char).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn depth_of(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth_of).max().unwrap_or(0),
        _ => 0,
    }
}
