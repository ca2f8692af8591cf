//! Holds what came against what is shown. What no two runs have in common is compared by its
//! kind; an id that is shown twice has to be the same one twice.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::CharIndices;

use serde_json::Value;

/// Stands for anything.
const ANYTHING: char = '…';

/// What secrets begin with.
const SECRETS: [&str; 6] = ["whsec_", "whpk_", "phk_", "ph_", "v1,", "v1a,"];

/// Which real id stands behind one that is shown. It lives as long as a page.
#[derive(Clone, Debug, Default)]
pub struct Ids(BTreeMap<String, String>);

/// JSON as it is shown: abridged.
#[derive(Debug, PartialEq)]
enum Shown {
    Anything,
    Text(String),
    Literal(Value),
    List {
        items: Vec<Shown>,
        open: bool,
    },
    Object {
        fields: Vec<(String, Shown)>,
        open: bool,
    },
}

/// What differs between the JSON values shown and those that came.
pub fn json(shown: &str, came: &str, ids: &mut Ids) -> Vec<String> {
    let shown = match parse(shown) {
        Ok(shown) => shown,
        Err(fault) => return vec![format!("what is shown is no JSON: {fault}")],
    };
    let values = serde_json::Deserializer::from_str(came).into_iter::<Value>();
    let values: Vec<Value> = match values.collect() {
        Ok(values) => values,
        Err(error) => return vec![format!("what came is no JSON: {error}")],
    };
    if shown.len() != values.len() {
        return vec![format!(
            "{} answers are shown, {} came",
            shown.len(),
            values.len()
        )];
    }
    let mut faults = Vec::new();
    for (shown, value) in shown.iter().zip(&values) {
        differences("", shown, value, ids, &mut faults);
    }
    faults
}

/// Looks for each line that is shown, in their order, among those that came; how many of these
/// that took.
pub fn lines<'a>(
    shown: &str,
    came: impl IntoIterator<Item = &'a str>,
    ids: &mut Ids,
) -> Result<usize, String> {
    let mut came = came.into_iter().zip(1..);
    let mut taken = 0;
    for line in shown
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
    {
        let found = came.find(|(other, _)| alike(line, other.trim_end(), ids));
        taken = match found {
            Some((_, number)) => number,
            None => return Err(format!("did not come, or not in this place: {line}")),
        };
    }
    Ok(taken)
}

fn differences(path: &str, shown: &Shown, came: &Value, ids: &mut Ids, faults: &mut Vec<String>) {
    let here = if path.is_empty() { "the answer" } else { path };
    match (shown, came) {
        (Shown::Anything, _) => {}
        (Shown::Text(shown), Value::String(came)) if alike(shown, came, ids) => {}
        (Shown::Literal(shown), came) if same(shown, came) => {}
        (Shown::Object { fields, open }, Value::Object(came)) => {
            for (name, shown) in fields {
                match came.get(name) {
                    Some(value) => {
                        differences(&format!("{path}.{name}"), shown, value, ids, faults);
                    }
                    None => faults.push(format!("{path}.{name} is shown and did not come")),
                }
            }
            let is_shown = |name: &&String| fields.iter().any(|(shown, _)| shown == *name);
            if !open {
                for name in came.keys().filter(|name| !is_shown(name)) {
                    faults.push(format!("{path}.{name} came and is not shown (or write …)"));
                }
            }
        }
        (Shown::List { items, open }, Value::Array(came)) => {
            let fits = if *open {
                items.len() <= came.len()
            } else {
                items.len() == came.len()
            };
            if !fits {
                let (shown, came) = (items.len(), came.len());
                faults.push(format!("{here}: {shown} items are shown, {came} came"));
            }
            for (number, (shown, value)) in items.iter().zip(came).enumerate() {
                differences(&format!("{path}[{number}]"), shown, value, ids, faults);
            }
        }
        (shown, came) => faults.push(format!("{here}: shown is {shown:?}, {came} came")),
    }
}

/// A number with a fraction was measured.
fn same(shown: &Value, came: &Value) -> bool {
    let measured = shown.as_f64().is_some_and(|number| number.fract() != 0.0);
    shown == came || (measured && came.is_number())
}

/// Whether a text could be what is shown of it.
fn alike(shown: &str, came: &str, ids: &mut Ids) -> bool {
    let mut met = Vec::new();
    let fits = fits(shown, came, ids, &mut met);
    if fits {
        ids.0.extend(met);
    }
    fits
}

fn fits(shown: &str, came: &str, ids: &Ids, met: &mut Vec<(String, String)>) -> bool {
    let Some(first) = shown.chars().next() else {
        return came.is_empty();
    };
    if first == ANYTHING {
        let rest = &shown[first.len_utf8()..];
        let before = met.len();
        let ends = came.char_indices().map(|(at, _)| at).chain([came.len()]);
        return ends.into_iter().any(|at| {
            met.truncate(before);
            fits(rest, &came[at..], ids, met)
        });
    }
    if let (Some(one), Some(other)) = (id(shown), id(came)) {
        let known = ids.0.get(one).map(String::as_str);
        let known = known.or_else(|| {
            let just_met = met.iter().find(|(shown, _)| shown == one);
            just_met.map(|(_, came)| came.as_str())
        });
        if known.is_some_and(|known| known != other) {
            return false;
        }
        met.push((one.to_owned(), other.to_owned()));
        return fits(&shown[one.len()..], &came[other.len()..], ids, met);
    }
    if let (Some(one), Some(other)) = (time(shown), time(came)) {
        return fits(&shown[one..], &came[other..], ids, met);
    }
    if let (Some(one), Some(other)) = (secret(shown), secret(came))
        && one.0 == other.0
    {
        return fits(&shown[one.1..], &came[other.1..], ids, met);
    }
    match came.strip_prefix(first) {
        Some(rest) => fits(&shown[first.len_utf8()..], rest, ids, met),
        None => false,
    }
}

/// Whether the text begins like this: `x` a hexadecimal digit, `9` a digit, anything else itself.
fn begins(text: &str, shape: &str) -> bool {
    text.len() >= shape.len()
        && shape
            .bytes()
            .zip(text.bytes())
            .all(|(shape, byte)| match shape {
                b'x' => byte.is_ascii_hexdigit(),
                b'9' => byte.is_ascii_digit(),
                other => byte == other,
            })
}

fn id(text: &str) -> Option<&str> {
    const SHAPE: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    begins(text, SHAPE).then(|| &text[..SHAPE.len()])
}

/// How long the time at the beginning is.
fn time(text: &str) -> Option<usize> {
    const SHAPES: [&str; 2] = ["9999-99-99T99:99:99.999Z", "9999-99-99T99:99:99Z"];
    SHAPES
        .iter()
        .find(|shape| begins(text, shape))
        .map(|shape| shape.len())
}

/// What the secret at the beginning begins with, and how long it is.
fn secret(text: &str) -> Option<(&'static str, usize)> {
    let prefix = SECRETS
        .into_iter()
        .find(|prefix| text.starts_with(prefix))?;
    let letters = text[prefix.len()..]
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte));
    match letters.count() {
        0 => None,
        count => Some((prefix, prefix.len() + count)),
    }
}

fn parse(text: &str) -> Result<Vec<Shown>, String> {
    let mut reader = Reader {
        text,
        rest: text.char_indices().peekable(),
    };
    let mut values = Vec::new();
    while reader.peek().is_some() {
        values.push(reader.value()?);
    }
    Ok(values)
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    /// The next character that is no blank.
    fn peek(&mut self) -> Option<char> {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        self.rest.peek().map(|(_, c)| *c)
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.rest.next();
        }
        is_there
    }

    fn value(&mut self) -> Result<Shown, String> {
        match self.peek() {
            Some(ANYTHING) => {
                self.rest.next();
                Ok(Shown::Anything)
            }
            Some('"') => Ok(Shown::Text(self.string()?)),
            Some('[') => {
                let mut items = Vec::new();
                let open = self.members(']', |reader| {
                    items.push(reader.value()?);
                    Ok(())
                })?;
                Ok(Shown::List { items, open })
            }
            Some('{') => {
                let mut fields = Vec::new();
                let open = self.members('}', |reader| {
                    let name = reader.string()?;
                    if !reader.takes(':') {
                        return Err(format!("no colon after {name:?}"));
                    }
                    fields.push((name, reader.value()?));
                    Ok(())
                })?;
                Ok(Shown::Object { fields, open })
            }
            Some(_) => {
                let from = self.at();
                while self
                    .rest
                    .next_if(|(_, c)| c.is_alphanumeric() || "+-.".contains(*c))
                    .is_some()
                {}
                let to = self.at();
                let word = &self.text[from..to];
                let value = serde_json::from_str(word);
                value
                    .map(Shown::Literal)
                    .map_err(|_| format!("{word:?} at {:?}", self.text[from..].lines().next()))
            }
            None => Err("it ends too early".to_owned()),
        }
    }

    /// What stands between brackets, parted by commas; whether `…` is among it.
    fn members(
        &mut self,
        end: char,
        mut member: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<bool, String> {
        self.rest.next();
        let mut open = false;
        if self.takes(end) {
            return Ok(open);
        }
        loop {
            if self.takes(ANYTHING) {
                open = true;
            } else {
                member(self)?;
            }
            if self.takes(end) {
                return Ok(open);
            }
            if !self.takes(',') {
                return Err(format!("neither a comma nor {end} at {}", self.at()));
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        if self.peek() != Some('"') {
            return Err(format!("no text at {}", self.at()));
        }
        let from = self.at();
        let rest = serde_json::Deserializer::from_str(&self.text[from..]);
        let mut values = rest.into_iter::<String>();
        let Some(Ok(text)) = values.next() else {
            return Err(format!("a text is never closed at {from}"));
        };
        let end = from + values.byte_offset();
        while self.rest.next_if(|(at, _)| *at < end).is_some() {}
        Ok(text)
    }

    fn at(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0190b5a0-7a3c-7c1e-9d52-3f1b0c5d8e21";
    const TWO: &str = "0190b5a1-7a3c-7c1e-9d52-3f1b0c5d8e21";

    fn fault(shown: &str, came: &str) -> String {
        json(shown, came, &mut Ids::default()).join("\n")
    }

    #[test]
    fn literal_values_and_fields_have_to_be_the_same() {
        let came = r#"{"state":"active","count":3,"more":[1,2]}"#;
        assert_eq!(
            fault(r#"{"state": "active", "count": 3, "more": [1, 2]}"#, came),
            ""
        );
        assert_eq!(fault(r#"{"more": [1, …], …}"#, came), "");
        assert_eq!(fault("…", came), "");
        assert!(fault(r#"{"state": "paused", …}"#, came).contains(".state: shown is"));
        assert!(fault(r#"{"count": 4, …}"#, came).contains(".count"));
        assert!(fault(r#"{"name": …, …}"#, came).contains(".name is shown and did not come"));
        assert!(fault(r#"{"state": "active", "count": 3}"#, came).contains(".more came"));
        assert!(fault(r#"{"more": [1], …}"#, came).contains("1 items are shown, 2 came"));
        assert!(fault("{} {}", "{}").contains("2 answers"));
        assert!(fault("{", "{}").contains("no JSON"));
        assert!(fault("{}", "<html>").contains("no JSON"));
    }

    #[test]
    fn what_no_two_runs_have_in_common_is_compared_by_kind() {
        let came = format!(
            r#"{{"id":"{TWO}","at":"2026-11-22T19:00:00.123Z","ms":3.25,"secret":"whsec_AAAA","says":"it took 7 ms"}}"#
        );
        let shown = |id: &str, at: &str, ms: &str, secret: &str| {
            format!(
                r#"{{"id":"{id}","at":"{at}","ms":{ms},"secret":"{secret}","says":"it took … ms"}}"#
            )
        };
        let at = "2025-10-26T10:00:00.000Z";
        assert_eq!(fault(&shown(ONE, at, "1.5", "whsec_BBBBBB"), &came), "");
        for (broken, place) in [
            (shown("first", at, "1.5", "whsec_BB"), ".id"),
            (shown(ONE, "yesterday", "1.5", "whsec_BB"), ".at"),
            (shown(ONE, at, "3", "whsec_BB"), ".ms"),
            (shown(ONE, at, "1.5", "ph_BB"), ".secret"),
        ] {
            let fault = fault(&broken, &came);
            assert!(fault.contains(place), "{fault}");
            assert!(!fault.contains('\n'), "{fault}");
        }
    }

    #[test]
    fn an_id_is_the_same_everywhere() {
        let mut ids = Ids::default();
        let shown = format!(r#"["{ONE}", "urn:{ONE}"]"#);
        assert!(json(&shown, &format!(r#"["{TWO}","urn:{TWO}"]"#), &mut ids).is_empty());
        let came = format!("webhook-id: {TWO}");
        assert_eq!(
            lines(&format!("webhook-id: {ONE}"), [came.as_str()], &mut ids),
            Ok(1)
        );
        assert!(lines(ONE, [ONE], &mut ids).is_err());
        assert!(!fault(&shown, &format!(r#"["{ONE}","urn:{TWO}"]"#)).is_empty());
    }

    #[test]
    fn lines_come_in_their_order() {
        let came = "POST / HTTP/1.1\r\nhost: a\r\nwebhook-id: 7\n\n{}\n";
        let told = |shown: &str| lines(shown, came.lines(), &mut Ids::default());
        assert_eq!(told("POST / …\nwebhook-id: …\n\n"), Ok(3));
        assert_eq!(told("host: a\n{}\n"), Ok(5));
        assert!(
            told("webhook-id: 7\nhost: a")
                .unwrap_err()
                .contains("host: a")
        );
        assert!(told("webhook-id: 8").unwrap_err().contains("webhook-id: 8"));
    }
}
