//! Queries of the lists: filters, and keyset pages behind an opaque cursor.
//!
//! A parameter that a route does not know is refused rather than ignored: a misspelt filter
//! would answer with everything.

use std::collections::HashMap;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use url::form_urlencoded;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error::{ApiError, Fault, Result};
use super::text;
use crate::domain::Timestamp;
use crate::store::read::{MAX_OFFSET, MAX_PAGE};
use crate::store::{Page, PageRequest, Position};

const DEFAULT_LIMIT: u32 = 50;
/// The parameters that every list takes beside its filters.
const PAGE_PARAMETERS: [&str; 3] = ["limit", "cursor", "offset"];

/// The parameters of one request. Faults are collected and answered together by
/// [`Query::done`].
#[derive(Debug)]
pub struct Query {
    given: HashMap<String, String>,
    faults: Vec<Fault>,
}

impl Query {
    /// Reads a query that may hold `filters` and what pages take.
    pub fn of_list(raw: Option<&str>, filters: &[&str]) -> Self {
        let allowed: Vec<&str> = filters.iter().chain(&PAGE_PARAMETERS).copied().collect();
        Self::of(raw, &allowed)
    }

    /// Reads a query that may hold the parameters `allowed`.
    pub fn of(raw: Option<&str>, allowed: &[&str]) -> Self {
        let mut query = Self {
            given: HashMap::new(),
            faults: Vec::new(),
        };
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !allowed.contains(&name.as_ref()) {
                let message = match allowed {
                    [] => "is not known here; there are no parameters".to_owned(),
                    names => format!("is not known here; there are {}", names.join(", ")),
                };
                query.fault(&text::cut(&name), message);
            } else if query.given.contains_key(name.as_ref()) {
                query.fault(&name, "is given twice");
            } else {
                query.given.insert(name.into_owned(), value.into_owned());
            }
        }
        query
    }

    /// Names what is asked for of that list, whatever the page: the cursors of a search belong to one
    /// query.
    pub fn binding(&self, list: &str) -> Binding {
        let mut asked: Vec<_> = self
            .given
            .iter()
            .filter(|(name, _)| !PAGE_PARAMETERS.contains(&name.as_str()))
            .collect();
        asked.sort();
        let texts = asked.into_iter().flat_map(|(name, value)| [name, value]);
        let mut digest = Sha256::new();
        for text in std::iter::once(list).chain(texts.map(String::as_str)) {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.finalize().into();
        Binding([a, b, c, d, e, f, g, h])
    }

    /// Where a search of this query goes on. It is followed by its cursors alone.
    pub fn search_page(&mut self, binding: Binding) -> SearchPage {
        if let Some((name, _)) = self.take(&["offset"]) {
            let message = "is not known to a search: follow nextCursor";
            self.fault(&name, message);
        }
        let expected = "a nextCursor of this search, with the same parameters";
        SearchPage {
            limit: self.limit(),
            after: self.parsed(&["cursor"], expected, |text| read_bound(text, binding)),
        }
    }

    /// Refuses what pages take, where there is none.
    pub fn refuse_page(&mut self, message: &str) {
        for name in PAGE_PARAMETERS {
            if self.given.remove(name).is_some() {
                self.fault(name, message);
            }
        }
    }

    /// Whether any of these was given.
    pub fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.given.contains_key(*name))
    }

    fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults.push(Fault::new(name, message));
    }

    /// The value under any of these names, which mean the same.
    fn take(&mut self, names: &[&str]) -> Option<(String, String)> {
        let mut values = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.given.remove(*name)?)));
        let (name, value) = values.next()?;
        let others: Vec<_> = values.collect();
        if let Some((other, _)) = others.iter().find(|(_, another)| *another != value) {
            self.fault(other, format!("contradicts {name}, which means the same"));
        }
        Some((name, value))
    }

    /// A value that `read` understands.
    pub fn parsed<T>(
        &mut self,
        names: &[&str],
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let (name, value) = self.take(names)?;
        let parsed = read(&value);
        if parsed.is_none() {
            self.fault(&name, format!("must be {expected}"));
        }
        parsed
    }

    /// A value of which `read` says itself what is wrong with it.
    pub fn parsed_or_said<T>(
        &mut self,
        names: &[&str],
        read: impl FnOnce(&str) -> std::result::Result<T, String>,
    ) -> Option<T> {
        let (name, value) = self.take(names)?;
        let read = text::check(&value).and_then(|()| read(&value));
        read.map_err(|problem| self.fault(&name, problem)).ok()
    }

    /// A short text.
    pub fn text(&mut self, names: &[&str]) -> Option<String> {
        let (name, value) = self.take(names)?;
        match text::check(&value) {
            Ok(()) => Some(value),
            Err(problem) => {
                self.fault(&name, problem);
                None
            }
        }
    }

    /// An id.
    pub fn id<T: FromStr>(&mut self, names: &[&str]) -> Option<T> {
        self.parsed(names, "an id (a UUID)", |value| value.parse().ok())
    }

    /// A moment.
    pub fn time(&mut self, name: &str) -> Option<Timestamp> {
        let expected = "a time as RFC 3339 has it, such as 2025-10-26T10:00:00Z";
        self.parsed(&[name], expected, Timestamp::parse_rfc3339)
    }

    /// A yes or no.
    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        self.parsed(&[name], "true or false", |value| match value {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
        .unwrap_or(default)
    }

    /// Which page.
    pub fn page(&mut self) -> PageRequest {
        PageRequest {
            limit: self.limit(),
            offset: self.number("offset", 0, MAX_OFFSET).unwrap_or(0),
            after: self.parsed(&["cursor"], "a nextCursor of this list", read_cursor),
        }
    }

    /// How many rows a page has at most.
    pub fn limit(&mut self) -> u32 {
        self.number("limit", 1, MAX_PAGE).unwrap_or(DEFAULT_LIMIT)
    }

    fn number(&mut self, name: &str, low: u32, high: u32) -> Option<u32> {
        self.parsed(&[name], &format!("{low} to {high}"), |value| {
            value.parse().ok().filter(|n| (low..=high).contains(n))
        })
    }

    /// Answers all faults, where there were any.
    pub fn done(self) -> Result<()> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid_query(self.faults))
        }
    }
}

/// A page as answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Page)]
pub struct PageView<T> {
    /// The rows.
    pub data: Vec<T>,
    /// What leads to the next page; null at the end.
    pub next_cursor: Option<String>,
    /// The walk ended at its bound before the page was full: follow `nextCursor`.
    pub partial: bool,
    /// The limit that was in force.
    pub limit: u32,
}

impl<T> PageView<T> {
    /// A page of views.
    pub fn new<'a, R>(page: &'a Page<R>, limit: u32, view: impl FnMut(&'a R) -> T) -> Self {
        Self {
            data: page.rows.iter().map(view).collect(),
            next_cursor: page.next.map(write_cursor),
            partial: page.partial,
            limit,
        }
    }
}

/// What the first byte of a cursor says: its form.
const CURSOR_FORM: u8 = 1;

/// The cursor that leads on from there.
pub fn write_cursor(position: Position) -> String {
    let mut bytes = [CURSOR_FORM; 17];
    bytes[1..].copy_from_slice(position.0.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What the first byte of a search's cursor says.
const SEARCH_FORM: u8 = 2;

/// A query without its page, as its cursors carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding([u8; 8]);

impl Binding {
    /// The cursor that leads on from there.
    pub fn cursor(self, position: Position) -> String {
        let mut bytes = [SEARCH_FORM; 25];
        bytes[1..17].copy_from_slice(position.0.as_bytes());
        bytes[17..].copy_from_slice(&self.0);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

fn read_bound(text: &str, binding: Binding) -> Option<Position> {
    let bytes: [u8; 25] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (place, bound) = bytes[1..].split_at(16);
    let fits = bytes[0] == SEARCH_FORM && bound == binding.0;
    let id = Uuid::from_slice(place).ok()?;
    fits.then_some(Position(id))
}

/// Which page of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchPage {
    /// Rows at most.
    pub limit: u32,
    /// Go on behind this row.
    pub after: Option<Position>,
}

fn read_cursor(text: &str) -> Option<Position> {
    let bytes: [u8; 17] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    match bytes {
        [CURSOR_FORM, id @ ..] => Some(Position(Uuid::from_bytes(id))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(raw: &str) -> std::result::Result<PageRequest, String> {
        let mut query = Query::of_list(Some(raw), &["eventType"]);
        let page = query.page();
        let _ = query.text(&["eventType"]);
        query
            .done()
            .map(|()| page)
            .map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn pages_have_bounds_and_defaults() {
        let plain = PageRequest {
            limit: 50,
            after: None,
            offset: 0,
        };
        assert_eq!(page(""), Ok(plain));
        assert_eq!(
            page("eventType=candidate.created&limit=50&offset=0"),
            Ok(plain)
        );
        assert_eq!(page("limit=100").map(|page| page.limit), Ok(100));
        assert_eq!(page("offset=10000").map(|page| page.offset), Ok(10_000));
        for bad in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=",
            "limit=ten",
            "offset=10001",
            "cursor=",
            "cursor=abc",
            "cursor=%00",
            "limit=1&limit=1",
        ] {
            let name = bad.split('=').next().unwrap();
            assert!(page(bad).unwrap_err().contains(name), "{bad}");
        }
    }

    #[test]
    fn unknown_parameters_are_refused_and_the_known_named() {
        let error = page("evenType=x&limit=500").unwrap_err();
        assert!(error.contains("evenType is not known here; there are eventType, limit"));
        assert!(error.contains("limit must be 1 to 100"), "{error}");
    }

    #[test]
    fn two_names_for_one_filter_must_agree() {
        let read = |raw| {
            let mut query = Query::of(Some(raw), &["status", "state"]);
            let value = query.text(&["status", "state"]);
            query.done().map(|()| value)
        };
        assert_eq!(read("state=a"), Ok(Some("a".to_owned())));
        assert_eq!(read("state=a&status=a"), Ok(Some("a".to_owned())));
        assert!(read("state=a&status=b").is_err());
    }

    proptest! {
        #[test]
        fn cursors_survive_the_round_trip(id in any::<u128>()) {
            let position = Position(Uuid::from_u128(id));
            prop_assert_eq!(read_cursor(&write_cursor(position)), Some(position));
        }

        #[test]
        fn a_searchs_cursor_belongs_to_its_query(
            id in any::<u128>(), q in "[a-z=& ]{0,9}", other in "[a-z=& ]{0,9}", noise in any::<String>(),
        ) {
            let query = |q: &str| {
                let q: String = form_urlencoded::byte_serialize(q.as_bytes()).collect();
                Query::of_list(Some(&format!("q={q}&limit=3")), &["q", "r"])
            };
            let position = Position(Uuid::from_u128(id));
            let binding = query(&q).binding("events");
            let cursor = binding.cursor(position);
            prop_assert_eq!(read_bound(&cursor, binding), Some(position));
            let same = query(&other).binding("events");
            prop_assert_eq!(read_bound(&cursor, same).is_some(), q == other);
            prop_assert_eq!(read_bound(&cursor, query(&q).binding("deliveries")), None);
            prop_assert_eq!(read_cursor(&cursor), None);
            prop_assert_eq!(read_bound(&write_cursor(position), binding), None);
            let _ = read_bound(&noise, binding);
        }

        #[test]
        fn reading_never_panics(cursor in any::<String>(), raw in any::<String>()) {
            let _ = read_cursor(&cursor);
            let _ = page(&raw);
            let _ = page(&format!("cursor={raw}"));
        }
    }
}
