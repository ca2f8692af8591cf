//! Free text that people look for things by.
//!
//! A query is a few terms, all of which have to match: a text that stands somewhere in what is
//! shown of a row or in its payload's bytes, an id, or a field of the payload (`payload.a.b=x`).
//! The case of ASCII letters plays no part but in fields. What a row's own columns do not decide,
//! its payload does; so payloads are read only where they matter.

use serde_json::Value;
use uuid::Uuid;

use super::outcome::FailureKind;

/// Terms of one query at most.
const MAX_TERMS: usize = 8;
/// Levels of a field's path at most.
const MAX_LEVELS: usize = 16;
/// What a field's path begins with.
const ROOTS: [&str; 2] = ["payload.", "data."];

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchQuery {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    /// In lower case.
    Text(String),
    /// A field of the payload and its value.
    Field(Vec<String>, String),
}

impl SearchQuery {
    /// Reads the terms: parted by blanks, "in quotation marks" where they hold blanks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        if tokens.is_empty() {
            return Err("holds nothing to look for".to_owned());
        }
        if tokens.len() > MAX_TERMS {
            let count = tokens.len();
            return Err(format!("must have at most {MAX_TERMS} terms, not {count}"));
        }
        let terms = tokens.into_iter().map(Term::read);
        Ok(Self {
            terms: terms.collect::<Result<_, _>>()?,
        })
    }

    /// The first id among the terms.
    pub fn id(&self) -> Option<Uuid> {
        self.terms.iter().find_map(Term::id)
    }

    /// Whether it looks for fields of the payload.
    pub fn names_fields(&self) -> bool {
        let is_field = |term: &Term| matches!(term, Term::Field(..));
        self.terms.iter().any(is_field)
    }

    /// What is left to be looked for once the row of that id has been found.
    pub fn without(mut self, id: Uuid) -> Self {
        self.terms.retain(|term| term.id() != Some(id));
        self
    }

    /// Whether these texts alone say that a row matches.
    pub fn is_met_by(&self, texts: &[&str]) -> bool {
        self.terms.iter().all(|term| term.is_in_texts(texts))
    }

    /// Whether a row with these texts and this payload matches.
    pub fn matches(&self, texts: &[&str], payload: &[u8]) -> bool {
        let mut read = Payload::new(payload);
        self.terms
            .iter()
            .all(|term| term.is_in_texts(texts) || term.is_in_payload(&mut read))
    }
}

impl Term {
    fn read(token: Token) -> Result<Self, String> {
        let rest = ROOTS.iter().find_map(|root| token.text.strip_prefix(root));
        let field = rest.and_then(|rest| rest.split_once('='));
        let Some((path, value)) = field.filter(|_| !token.quoted) else {
            return Ok(Self::Text(token.text.to_ascii_lowercase()));
        };
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.len() > MAX_LEVELS || path.iter().any(String::is_empty) {
            return Err(format!(
                "names a field with an empty level or more than {MAX_LEVELS} of them; write \
                 payload.candidate.id=123"
            ));
        }
        Ok(Self::Field(path, value.to_owned()))
    }

    fn id(&self) -> Option<Uuid> {
        match self {
            Self::Text(text) if text.len() >= 32 => Uuid::parse_str(text).ok(),
            Self::Text(_) | Self::Field(..) => None,
        }
    }

    fn is_in_texts(&self, texts: &[&str]) -> bool {
        match self {
            Self::Text(wanted) => texts
                .iter()
                .any(|text| text.to_ascii_lowercase().contains(wanted)),
            Self::Field(..) => false,
        }
    }

    fn is_in_payload(&self, payload: &mut Payload<'_>) -> bool {
        match self {
            Self::Text(wanted) => payload.lower_case().contains(wanted),
            Self::Field(path, value) => payload
                .value()
                .is_some_and(|payload| holds(payload, path, value)),
        }
    }
}

/// A payload, read once for all terms and only as far as they need it.
struct Payload<'a> {
    bytes: &'a [u8],
    lower_case: Option<String>,
    value: Option<Option<Value>>,
}

impl<'a> Payload<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            lower_case: None,
            value: None,
        }
    }

    fn lower_case(&mut self) -> &str {
        let bytes = self.bytes;
        self.lower_case
            .get_or_insert_with(|| String::from_utf8_lossy(bytes).to_ascii_lowercase())
    }

    fn value(&mut self) -> Option<&Value> {
        let bytes = self.bytes;
        let read = || serde_json::from_slice(bytes).ok();
        self.value.get_or_insert_with(read).as_ref()
    }
}

/// Whether the place that a path leads to holds that value. A list is looked at by its number, or
/// through all of its items.
fn holds(value: &Value, path: &[String], wanted: &str) -> bool {
    if let Value::Array(items) = value {
        let named = path.split_first().and_then(|(number, rest)| {
            let item = items.get(number.parse::<usize>().ok()?)?;
            Some(holds(item, rest, wanted))
        });
        return named.unwrap_or_else(|| items.iter().any(|item| holds(item, path, wanted)));
    }
    match (path.split_first(), value) {
        (Some((name, rest)), Value::Object(fields)) => fields
            .get(name)
            .is_some_and(|inner| holds(inner, rest, wanted)),
        (None, Value::String(text)) => text == wanted,
        (None, Value::Number(number)) => number.to_string() == wanted,
        (None, Value::Bool(flag)) => flag.to_string() == wanted,
        (None, Value::Null) => wanted == "null",
        _ => false,
    }
}

struct Token {
    text: String,
    /// It began with a quotation mark: it is a text whatever it looks like.
    quoted: bool,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut token: Option<Token> = None;
    let mut in_quotes = false;
    for character in text.chars() {
        match character {
            '"' => {
                in_quotes = !in_quotes;
                token.get_or_insert_with(|| Token {
                    text: String::new(),
                    quoted: true,
                });
            }
            blank if blank.is_whitespace() && !in_quotes => found.extend(token.take()),
            other => token
                .get_or_insert_with(|| Token {
                    text: String::new(),
                    quoted: false,
                })
                .text
                .push(other),
        }
    }
    if in_quotes {
        return Err("has a quotation mark that is not closed".to_owned());
    }
    found.extend(token);
    found.retain(|token| !token.text.is_empty());
    Ok(found)
}

/// What became of a delivery's last attempt, as people ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// The receiver answered with a status of this hundred, from 1 to 5.
    Status(u16),
    /// There was no answer, for a reason of this kind.
    Failure(FailureKind),
    /// There was no attempt yet.
    None,
}

impl StatusClass {
    /// Reads the word: `5xx`, `timeout`, `none`.
    pub fn parse(word: &str) -> Option<Self> {
        if word == "none" {
            return Some(Self::None);
        }
        if let Some(hundred) = word.strip_suffix("xx") {
            let hundred = hundred.parse().ok();
            return hundred.filter(|n| (1..=5).contains(n)).map(Self::Status);
        }
        let mut kinds = FailureKind::ALL.into_iter();
        kinds.find(|kind| kind.as_str() == word).map(Self::Failure)
    }

    /// All words, for messages.
    pub fn words() -> String {
        let kinds = FailureKind::ALL.map(FailureKind::as_str).join(", ");
        format!("one of 1xx to 5xx, {kinds}, none")
    }

    /// Whether a last attempt with this status or this kind of failure is meant.
    pub fn is_met_by(&self, attempted: bool, status: Option<u16>, kind: Option<&str>) -> bool {
        match self {
            Self::Status(hundred) => status.is_some_and(|status| status / 100 == *hundred),
            Self::Failure(wanted) => status.is_none() && kind == Some(wanted.as_str()),
            Self::None => !attempted,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAYLOAD: &[u8] =
        br#"{"candidate":{"id":123,"name":"John DOE","tags":[{"k":"a"},{"k":"b"}]},"ok":true}"#;

    fn found(query: &str) -> bool {
        let query = SearchQuery::parse(query).unwrap();
        query.matches(&["candidate.created", "Shop"], PAYLOAD)
    }

    #[test]
    fn all_terms_have_to_match_texts_or_payload() {
        for good in [
            "candidate.created",
            "CREATED shop",
            "\"john doe\"",
            "doe created",
            "payload.candidate.id=123",
            "data.candidate.id=123",
            "payload.candidate.name=\"John DOE\"",
            "payload.candidate.tags.k=b",
            "payload.candidate.tags.1.k=b",
            "payload.ok=true created",
        ] {
            assert!(found(good), "{good}");
        }
        for bad in [
            "created missing",
            "\"doe john\"",
            "payload.candidate.id=12",
            "payload.candidate.name=\"john doe\"",
            "payload.candidate.tags.0.k=b",
            "payload.candidate=123",
            "payload.id=123",
            // In quotation marks it is a text.
            "\"payload.candidate.id=123\"",
        ] {
            assert!(!found(bad), "{bad}");
        }
        let by_texts = |query| {
            let query = SearchQuery::parse(query).unwrap();
            query.is_met_by(&["candidate.created"])
        };
        assert!(by_texts("CREATED"));
        assert!(!by_texts("created doe") && !by_texts("payload.ok=true"));
    }

    #[test]
    fn what_cannot_be_looked_for_is_said() {
        for (bad, named) in [
            ("", "nothing"),
            (" \"\" ", "nothing"),
            ("\"open", "not closed"),
            ("a b c d e f g h i", "8 terms, not 9"),
            ("payload..x=1", "empty level"),
            ("payload.=1", "empty level"),
        ] {
            let error = SearchQuery::parse(bad).unwrap_err();
            assert!(error.contains(named), "{bad}: {error}");
        }
    }

    #[test]
    fn an_id_is_told_from_other_texts() {
        let id = Uuid::from_u128(7);
        let query = SearchQuery::parse(&format!("{} doe", id.to_string().to_uppercase())).unwrap();
        assert_eq!(query.id(), Some(id));
        let rest = query.without(id);
        assert_eq!(rest.id(), None);
        assert!(rest.is_met_by(&["Doe"]));
        assert_eq!(SearchQuery::parse("123").unwrap().id(), None);
    }

    #[test]
    fn every_kind_of_failure_is_a_status_class() {
        for kind in FailureKind::ALL {
            let class = StatusClass::parse(kind.as_str());
            let class = class.unwrap_or_else(|| panic!("{kind:?} cannot be asked for"));
            assert!(class.is_met_by(true, None, Some(kind.as_str())));
            assert!(!class.is_met_by(true, Some(200), None));
        }
        let server = StatusClass::parse("5xx").unwrap();
        assert!(server.is_met_by(true, Some(503), Some("status")));
        assert!(!server.is_met_by(true, Some(404), None) && !server.is_met_by(false, None, None));
        assert!(StatusClass::None.is_met_by(false, None, None));
        for bad in ["0xx", "6xx", "xx", "200", "Timeout", ""] {
            assert_eq!(StatusClass::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_what_is_quoted_finds_itself(
            text in any::<String>(),
            plain in "[a-zA-Z0-9=. äöü]{1,40}",
        ) {
            if let Ok(query) = SearchQuery::parse(&text) {
                let _ = query.matches(&[&text], text.as_bytes());
            }
            if !plain.trim().is_empty() {
                let query = SearchQuery::parse(&format!("\"{plain}\"")).unwrap();
                let (text, payload) = (format!("a{plain}b"), format!("[\"{plain}\"]"));
                prop_assert!(query.is_met_by(&["x", &text]));
                prop_assert!(query.matches(&[], payload.as_bytes()));
            }
        }

        #[test]
        fn a_field_is_found_by_its_path(
            path in proptest::collection::vec("[a-z]{1,5}", 1..6),
            value in "[a-z0-9]{1,8}",
        ) {
            let mut payload = Value::String(value.clone());
            for name in path.iter().rev() {
                payload = serde_json::json!({ (name.as_str()): payload });
            }
            let query = format!("payload.{}={value}", path.join("."));
            let query = SearchQuery::parse(&query).unwrap();
            let payload = payload.to_string();
            prop_assert!(query.matches(&[], payload.as_bytes()));
        }
    }
}
