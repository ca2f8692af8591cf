//! The environment's layer: which names are ours, and how their text becomes values.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use super::fault::{Fault, Given, Source};
use super::layers::Layers;

const PREFIX: &str = "POSTHASTE_";
/// Environment names that do not follow `POSTHASTE_SECTION__KEY`. `PORT` is handled apart, and so
/// are those of other systems (`other_names.rs`).
const PLAIN_NAMES: [(&str, &str); 7] = [
    ("POSTHASTE_LISTEN", "server.listen"),
    ("POSTHASTE_DATA_DIR", "store.data_dir"),
    ("POSTHASTE_ADMIN_KEY", "auth.admin_key"),
    ("POSTHASTE_ALLOW_NETWORKS", "address_guard.allow_networks"),
    ("DATABASE_URL", "store.database_url"),
    ("REDIS_URL", "feed.redis_url"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "tracing.otlp_endpoint"),
];

impl Layers {
    /// Lays the environment on top. Where a key has two names set, they must agree.
    pub(super) fn add_environment(
        &mut self,
        environment: BTreeMap<String, String>,
        faults: &mut Vec<Fault>,
    ) {
        let mut listen_given = false;
        let mut seen: BTreeMap<String, (&str, &str)> = BTreeMap::new();
        for (name, text) in &environment {
            let Some(key) = key_of(name, text) else {
                continue;
            };
            listen_given |= key == "server.listen";
            let source = Source::Environment(name.clone());
            if let Some((other, other_text)) = seen.insert(key.clone(), (name, text)) {
                if other_text != text {
                    faults.push(Fault {
                        given: vec![Given {
                            key,
                            value: None,
                            source,
                        }],
                        problem: format!("{other} names the same setting with another value"),
                        fix: format!("set {other} or {name}, not both"),
                    });
                }
                continue;
            }
            match self.value(&key).map(|default| parse_as(default, text)) {
                None => faults.push(self.unknown(&key, source)),
                Some(value) => self.set(&key, value, source, faults),
            }
        }
        let own: BTreeSet<String> = seen.into_keys().collect();
        self.add_other_names(&environment, &|key| own.contains(key), faults);
        match environment.get("PORT") {
            Some(port) if !listen_given && !port.trim().is_empty() => {
                let source = Source::Environment("PORT".to_owned());
                let listen = Value::String(format!("0.0.0.0:{}", port.trim()));
                self.set("server.listen", listen, source, faults);
            }
            _ => {}
        }
    }
}

/// The setting an environment variable names. Only names with `__` behind the prefix are taken
/// for ours without being known: Kubernetes injects POSTHASTE_PORT and the like beside them.
fn key_of(name: &str, text: &str) -> Option<String> {
    if let Some((_, key)) = PLAIN_NAMES.iter().find(|(plain, _)| *plain == name) {
        return (!text.trim().is_empty()).then(|| (*key).to_owned());
    }
    let rest = name.strip_prefix(PREFIX)?;
    let (section, key) = rest.split_once("__")?;
    Some(format!("{}.{}", section.to_lowercase(), key.to_lowercase()))
}

/// An environment variable's text in the type of the default, or as text where it is none.
pub(super) fn parse_as(default: &Value, text: &str) -> Value {
    let trimmed = text.trim();
    let parsed = match default {
        Value::Integer(_) => trimmed.parse().ok().map(Value::Integer),
        Value::Float(_) => trimmed.parse().ok().map(Value::Float),
        Value::Boolean(_) => trimmed.parse().ok().map(Value::Boolean),
        Value::Array(_) => {
            let items = trimmed
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Some(Value::Array(items.map(Value::from).collect()))
        }
        _ => Some(Value::from(trimmed)),
    };
    parsed.unwrap_or_else(|| Value::from(text))
}
