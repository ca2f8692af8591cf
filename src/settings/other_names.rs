//! Names by which the environment of other webhook systems says what a setting of ours says.
//!
//! They rank below our own names: where one of ours names the same setting, they say nothing.
//! Several that would have to be taken together (a host and its port) are checked as one.

use std::collections::BTreeMap;

use toml::Value;
use url::Url;

use super::environment::parse_as;
use super::fault::{Fault, Given, Source};
use super::layers::Layers;

/// Names that stand for one setting.
const SAME: [(&str, &str); 5] = [
    ("WEBHOOK_TIMEOUT", "delivery.timeout_ms"),
    ("WEBHOOK_MAX_ATTEMPTS", ATTEMPTS),
    ("WEBHOOK_RETRY_DELAY", "retry.base_ms"),
    // What a worker had in flight at once was the most that a receiver saw at once, and that is
    // what it goes on seeing. It is no bound over all subscriptions here: a slow receiver would
    // hold up the others.
    ("WORKER_CONCURRENCY", "delivery.max_in_flight"),
    ("BATCH_SIZE", "events.max_batch"),
];
const ATTEMPTS: &str = "retry.attempts";
const MAX_RETRIES: &str = "WEBHOOK_MAX_RETRIES";

/// A URL that can be given in parts.
struct Parts {
    key: &'static str,
    /// The plain name of ours.
    whole: &'static str,
    scheme: &'static str,
    host: &'static str,
    port: &'static str,
    default_port: u16,
    user: Option<&'static str>,
    password: &'static str,
    name: Option<&'static str>,
}

const DATABASE: Parts = Parts {
    key: "store.database_url",
    whole: "DATABASE_URL",
    scheme: "postgres",
    host: "DB_HOST",
    port: "DB_PORT",
    default_port: 5432,
    user: Some("DB_USER"),
    password: "DB_PASSWORD",
    name: Some("DB_NAME"),
};

const REDIS: Parts = Parts {
    key: "feed.redis_url",
    whole: "REDIS_URL",
    scheme: "redis",
    host: "REDIS_HOST",
    port: "REDIS_PORT",
    default_port: 6379,
    user: None,
    password: "REDIS_PASSWORD",
    name: None,
};

type Environment = BTreeMap<String, String>;

/// The value of a name, where it is not empty.
fn given<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    let text = environment.get(name)?.trim();
    (!text.is_empty()).then_some(text)
}

impl Layers {
    /// Lays them below what our own names said; `own` are the keys that those named.
    pub(super) fn add_other_names(
        &mut self,
        environment: &Environment,
        own: &dyn Fn(&str) -> bool,
        faults: &mut Vec<Fault>,
    ) {
        for (name, key) in SAME {
            if let (Some(text), false) = (given(environment, name), own(key)) {
                self.add_other(key, text, name, faults);
            }
        }
        self.add_max_retries(environment, own(ATTEMPTS), faults);
        for parts in [DATABASE, REDIS] {
            let standing = own(parts.key).then(|| self.value(parts.key)).flatten();
            let standing = standing
                .and_then(Value::as_str)
                .filter(|url| !url.is_empty());
            let standing = standing.map(str::to_owned);
            match parts.url(environment, standing.as_deref()) {
                Ok(None) => {}
                Ok(Some((url, names))) => {
                    let source = Source::Environment(names);
                    self.set(parts.key, Value::from(url), source, faults);
                }
                Err((names, problem, fix)) => faults.push(Fault {
                    given: names.into_iter().map(plain).collect(),
                    problem,
                    fix,
                }),
            }
        }
    }

    fn add_other(&mut self, key: &str, text: &str, name: &str, faults: &mut Vec<Fault>) {
        let Some(value) = self.value(key).map(|default| parse_as(default, text)) else {
            return;
        };
        self.set(key, value, Source::Environment(name.to_owned()), faults);
    }

    /// Retries come after a first attempt, so there is one attempt more.
    fn add_max_retries(&mut self, environment: &Environment, own: bool, faults: &mut Vec<Fault>) {
        let Some(text) = given(environment, MAX_RETRIES) else {
            return;
        };
        if given(environment, "WEBHOOK_MAX_ATTEMPTS").is_some() {
            faults.push(Fault {
                given: vec![plain(MAX_RETRIES), plain("WEBHOOK_MAX_ATTEMPTS")],
                problem: "both say how often a delivery is attempted: n retries are n + 1 attempts"
                    .to_owned(),
                fix: format!("set {MAX_RETRIES} or WEBHOOK_MAX_ATTEMPTS, not both"),
            });
            return;
        }
        if own {
            return;
        }
        let value = match text.parse::<u32>() {
            Ok(retries) => Value::Integer(i64::from(retries) + 1),
            Err(_) => Value::from(text),
        };
        let source = Source::Environment(MAX_RETRIES.to_owned());
        self.set(ATTEMPTS, value, source, faults);
    }
}

/// A name without its value, which may be a password.
fn plain(name: &'static str) -> Given {
    Given {
        key: name.to_owned(),
        value: None,
        source: Source::Environment(name.to_owned()),
    }
}

/// Names, problem and fix.
type Refused = (Vec<&'static str>, String, String);

impl Parts {
    /// The URL that the parts make, with the names that were given; nothing where there are none,
    /// or where `standing` says the same.
    fn url(
        &self,
        environment: &Environment,
        standing: Option<&str>,
    ) -> Result<Option<(String, String)>, Refused> {
        // Kubernetes sets REDIS_PORT=tcp://… beside a service of the name redis.
        let port = given(environment, self.port).filter(|text| !text.starts_with("tcp://"));
        let of = |name: Option<&'static str>| {
            let name = name?;
            Some((name, given(environment, name)?))
        };
        let host = given(environment, self.host).map(|text| (self.host, text));
        let port = port.map(|text| (self.port, text));
        let user = of(self.user);
        let password = of(Some(self.password));
        let name = of(self.name);
        let all = [host, port, user, password, name];
        let names: Vec<&'static str> = all.iter().flatten().map(|(name, _)| *name).collect();
        if names.is_empty() {
            return Ok(None);
        }
        if let Some(standing) = standing {
            return match self.agrees(standing, host, port, user, password, name) {
                true => Ok(None),
                false => Err((
                    names,
                    format!("{} names another place", self.whole),
                    format!("set {} or its parts, not both", self.whole),
                )),
            };
        }
        let missing: Vec<&str> = [
            host.is_none().then_some(self.host),
            self.user.filter(|_| user.is_none()),
            self.name.filter(|_| name.is_none()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let Some((_, host)) = host.filter(|_| missing.is_empty()) else {
            return Err((
                names,
                format!("{} cannot be made of them alone", self.whole),
                format!(
                    "set {} too, or {} instead",
                    missing.join(" and "),
                    self.whole
                ),
            ));
        };
        let bad = |name, wanted: &str| {
            let fix = format!("give {wanted}, or {} instead", self.whole);
            (vec![name], format!("is not {wanted}"), fix)
        };
        let base = format!("{}://host", self.scheme);
        let mut url = Url::parse(&base).map_err(|_| bad(self.host, "the name of a host"))?;
        let host_text = match host.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => host.to_owned(),
        };
        if host.contains(['/', '@', '?', '#']) || url.set_host(Some(&host_text)).is_err() {
            return Err(bad(self.host, "the name or address of a host"));
        }
        let number = match port {
            None => self.default_port,
            Some((_, text)) => text
                .parse::<u16>()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| bad(self.port, "a port, 1 to 65535"))?,
        };
        // They fail only for URLs without a host.
        let _ = url.set_port(Some(number));
        if let Some((_, user)) = user {
            let _ = url.set_username(&percent(user));
        }
        if let Some((_, password)) = password {
            let _ = url.set_password(Some(&percent(password)));
        }
        if let Some((_, name)) = name {
            url.set_path(&percent(name));
        }
        Ok(Some((url.into(), names.join(", "))))
    }

    fn agrees(
        &self,
        standing: &str,
        host: Option<(&str, &str)>,
        port: Option<(&str, &str)>,
        user: Option<(&str, &str)>,
        password: Option<(&str, &str)>,
        name: Option<(&str, &str)>,
    ) -> bool {
        // What is no URL is refused elsewhere.
        let Ok(url) = Url::parse(standing) else {
            return true;
        };
        let path = url.path().trim_start_matches('/');
        let port_there = url.port().unwrap_or(self.default_port).to_string();
        let same = |part: Option<(&str, &str)>, there: &str| part.is_none_or(|(_, it)| it == there);
        let host_there = url.host_str().unwrap_or_default();
        same(host, host_there.trim_matches(['[', ']']))
            && same(port, &port_there)
            && user.is_none_or(|(_, it)| percent(it) == percent_again(url.username()))
            && password
                .is_none_or(|(_, it)| percent(it) == percent_again(url.password().unwrap_or("")))
            && name.is_none_or(|(_, it)| percent(it) == percent_again(path))
    }
}

/// A text as part of a URL, whatever is in it.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

/// A part of a URL encoded as [`percent`] does, however it was.
fn percent_again(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|_| *first == b'%');
        match code.and_then(|code| hex::decode(code).ok()) {
            Some(decoded) => {
                bytes.extend(decoded);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    percent(&String::from_utf8_lossy(&bytes))
}
