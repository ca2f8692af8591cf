//! The layers: embedded defaults < file < environment < flags.
//!
//! `config/default.toml` is also the schema: a key that it does not have is unknown, and the
//! type of its default is the type a value must have.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use toml::{Table, Value};

use super::fault::{Fault, Given, Source};
use super::secret::{MASK, mask_url};

/// The embedded defaults, every key of them.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

const SECRET_URLS: [&str; 2] = ["store.database_url", "feed.redis_url"];
const SECRETS: [&str; 2] = ["auth.admin_key", "secrets.master_keys"];
/// What `--dev` lets receivers be in: loopback and the private ranges.
const DEV_NETWORKS: [&str; 6] = [
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
];

#[derive(Clone)]
struct Entry {
    value: Value,
    source: Source,
}

/// The value in force of every key, and where it came from.
#[derive(Clone)]
pub struct Layers(BTreeMap<String, Entry>);

/// Masked, because whoever debugs settings would log the secrets otherwise.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.0
                    .iter()
                    .map(|(key, entry)| (key, show(key, &entry.value))),
            )
            .finish()
    }
}

impl Layers {
    pub(super) fn defaults() -> Self {
        let table: Table = DEFAULTS
            .parse()
            .expect("config/default.toml is tested to parse");
        let entries = flatten(table).into_iter().map(|(key, value)| {
            (
                key,
                Entry {
                    value,
                    source: Source::Default,
                },
            )
        });
        Self(entries.collect())
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).map(|entry| &entry.value)
    }

    pub(super) fn source(&self, key: &str) -> Source {
        self.0
            .get(key)
            .map_or(Source::Default, |entry| entry.source.clone())
    }

    pub(super) fn is_default(&self, key: &str) -> bool {
        self.source(key) == Source::Default
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The value as people may see it.
    pub(super) fn shown(&self, key: &str) -> String {
        self.value(key)
            .map_or_else(|| MASK.to_owned(), |value| show(key, value))
    }

    pub(super) fn given(&self, key: &str) -> Given {
        Given {
            key: key.to_owned(),
            value: Some(self.shown(key)),
            source: self.source(key),
        }
    }

    pub(super) fn add_file(&mut self, path: &Path, faults: &mut Vec<Fault>) {
        let source = Source::File(path.to_owned());
        let whole_file = |problem: String, fix: &str| Fault {
            given: vec![Given {
                key: "--config".to_owned(),
                value: None,
                source: source.clone(),
            }],
            problem,
            fix: fix.to_owned(),
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let problem = format!("cannot be read: {error}");
                faults.push(whole_file(
                    problem,
                    "give a readable file, or leave --config out",
                ));
                return;
            }
        };
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                // The error's own display quotes the line, which may hold a password.
                faults.push(whole_file(
                    format!("is not TOML{}: {}", place(&text, &error), error.message()),
                    "correct that line; config/default.toml shows every key",
                ));
                return;
            }
        };
        for (key, value) in flatten(table) {
            self.set(&key, value, source.clone(), faults);
        }
    }

    pub(super) fn add_dev(&mut self) {
        let under =
            |source: Source| Source::Dev((source != Source::Default).then(|| source.into()));
        if let Some(entry) = self.0.get_mut("address_guard.allow_http") {
            *entry = Entry {
                value: Value::Boolean(true),
                source: Source::Dev(None),
            };
        }
        if let Some(entry) = self.0.get_mut("address_guard.allow_networks") {
            if let Value::Array(networks) = &mut entry.value {
                for network in DEV_NETWORKS.map(Value::from) {
                    if !networks.contains(&network) {
                        networks.push(network);
                    }
                }
            }
            entry.source = under(entry.source.clone());
        }
    }

    /// Sets a key that is known to a value of its type; anything else is a fault.
    pub(super) fn set(&mut self, key: &str, value: Value, source: Source, faults: &mut Vec<Fault>) {
        let Some(entry) = self.0.get_mut(key) else {
            faults.push(self.unknown(key, source));
            return;
        };
        match coerce(&entry.value, value) {
            Ok(value) => *entry = Entry { value, source },
            Err(value) => {
                let wanted = kind(&entry.value);
                let default = show(key, &entry.value);
                faults.push(Fault {
                    given: vec![Given {
                        key: key.to_owned(),
                        value: Some(show(key, &value)),
                        source,
                    }],
                    problem: format!("must be {wanted}"),
                    fix: format!("give {wanted}, or remove it to keep {default}"),
                });
            }
        }
    }

    /// The value of an unknown key is not shown: it may be a misspelt secret.
    pub(super) fn unknown(&self, key: &str, source: Source) -> Fault {
        let section = key.split_once('.').map_or(key, |(section, _)| section);
        let inside: Vec<_> = self
            .keys()
            .filter_map(|known| known.strip_prefix(section)?.strip_prefix('.'))
            .collect();
        let fix = if inside.is_empty() {
            let mut sections: Vec<_> = self
                .keys()
                .filter_map(|known| known.split_once('.'))
                .map(|(s, _)| s)
                .collect();
            sections.dedup();
            format!(
                "remove it, or use one of the sections {}",
                sections.join(", ")
            )
        } else {
            format!(
                "remove it, or use one of the keys of [{section}]: {}",
                inside.join(", ")
            )
        };
        Fault {
            given: vec![Given {
                key: key.to_owned(),
                value: Some(MASK.to_owned()),
                source,
            }],
            problem: "is no setting of Posthaste".to_owned(),
            fix,
        }
    }
}

fn coerce(default: &Value, value: Value) -> Result<Value, Value> {
    match (default, value) {
        (Value::Float(_), Value::Integer(whole)) => Ok(Value::Float(whole as f64)),
        (default, value) if default.same_type(&value) => Ok(value),
        (_, value) => Err(value),
    }
}

fn kind(default: &Value) -> &'static str {
    match default {
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list",
        _ => "text",
    }
}

fn show(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => value.to_string(),
        Value::Array(items) if SECRETS.contains(&key) => {
            Value::from(vec![MASK; items.len()]).to_string()
        }
        Value::String(text) if SECRET_URLS.contains(&key) => {
            Value::from(mask_url(text)).to_string()
        }
        _ if SECRETS.contains(&key) || SECRET_URLS.contains(&key) => Value::from(MASK).to_string(),
        _ => value.to_string(),
    }
}

fn flatten(table: Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (section, value) in table {
        match value {
            Value::Table(keys) => {
                flat.extend(
                    keys.into_iter()
                        .map(|(key, value)| (format!("{section}.{key}"), value)),
                );
            }
            value => flat.push((section, value)),
        }
    }
    flat
}

fn place(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| before.bytes().filter(|byte| *byte == b'\n').count() + 1);
    line.map_or_else(String::new, |line| format!(" (line {line})"))
}
