//! Tables over layering, strictness, messages and contradictions.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use super::layers::DEFAULTS;
use super::print::key_of;
use super::reader::Reader;
use super::*;
use crate::domain::deactivation::DeactivationPolicy;
use crate::domain::quota::Quota;
use crate::domain::retention::Retention;

type Environment<'a> = &'a [(&'a str, &'a str)];

fn load(file: &str, environment: Environment<'_>) -> Result<Settings, Faults> {
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(file.as_bytes()).unwrap();
    Settings::load(Some(written.path()), environment.iter().copied(), false)
}

fn from_environment(environment: Environment<'_>) -> Result<Settings, Faults> {
    Settings::load(None, environment.iter().copied(), false)
}

fn defaults() -> Settings {
    from_environment(&[]).unwrap()
}

#[test]
fn defaults_are_the_documented_ones() {
    let settings = defaults();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.delivery.timeout, Duration::from_secs(15));
    assert_eq!(settings.delivery.max_in_flight, 64);
    assert_eq!(settings.events.max_body_bytes, 5 * 1024 * 1024);
    assert_eq!(
        settings.events.idempotency_retention,
        Duration::from_secs(24 * 3_600)
    );
    assert_eq!(settings.store.data_dir, Path::new("./data"));
    assert!(settings.store.database_url.is_none() && settings.feed.redis_url.is_none());
    assert!(settings.auth.admin_key.is_none() && settings.delivery.ca_file.is_none());
    assert!(!settings.address_guard.allow_http && !settings.log.json && !settings.dev);
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn the_default_retries_last_about_thirty_hours() {
    let retry = defaults().retry;
    assert_eq!((retry.attempts(), retry.max_age()), (9, None));
    let planned: Duration = (1..9)
        .filter_map(|failed| retry.delay_after(failed, 0.5))
        .sum();
    let hours = planned.as_secs_f64() / 3_600.0;
    assert!((29.0..31.0).contains(&hours), "{hours}");
}

#[test]
fn every_default_is_documented_with_its_bounds_and_every_key_is_read_once() {
    let layers = Layers::defaults();
    let mut reader = Reader::new(&layers, Vec::new());
    validate::read_all(&mut reader);
    let read: Vec<&str> = reader.read.iter().map(|(key, _)| *key).collect();
    let distinct: BTreeSet<&str> = read.iter().copied().collect();
    assert_eq!(distinct.len(), read.len(), "read twice");
    assert_eq!(distinct, layers.keys().collect::<BTreeSet<_>>());

    let (mut section, mut comment) = ("", String::new());
    for line in DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push_str(text);
        } else if let Some((key, _)) = key_of(line) {
            assert!(comment.len() > 15, "{section}.{key} has no comment");
            let path = format!("{section}.{key}");
            let bounds = reader.read.iter().find(|(read, _)| *read == path);
            if let Some((_, Some(bounds))) = bounds {
                assert!(
                    comment.contains(bounds.as_str()),
                    "{path} does not document {bounds}"
                );
            }
            if key.ends_with("_ms") {
                assert!(
                    comment.contains("Milliseconds"),
                    "{path} does not document its unit"
                );
            }
            comment.clear();
        } else {
            section = line.trim_matches(['[', ']']);
            comment.clear();
        }
    }
}

#[test]
fn the_environment_overrides_the_file_which_overrides_the_defaults() {
    let file = "[delivery]\nwindow = 300\nmax_in_flight = 7\n[retry]\nfactor = 2\n";
    let settings = load(file, &[("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", " 9 ")]).unwrap();
    assert_eq!(settings.delivery.window, 300);
    assert_eq!(settings.delivery.max_in_flight, 9);
    assert_eq!(settings.delivery.timeout, Duration::from_secs(15));
    assert_eq!(settings.retry.to_spec().factor, Some(2.0));
}

#[test]
fn plain_names_reach_their_keys() {
    let settings = from_environment(&[
        ("DATABASE_URL", "postgresql://relay:pw@db/relay"),
        ("REDIS_URL", "rediss://cache"),
        ("POSTHASTE_DATA_DIR", "/var/lib/posthaste"),
        ("POSTHASTE_ADMIN_KEY", "0123456789abcdef"),
        ("POSTHASTE_ALLOW_NETWORKS", "10.0.0.0/8, ::1/128"),
        ("POSTHASTE_RETRY__DELAYS_MS", "100,2000"),
        ("POSTHASTE_LOG__FORMAT", "json"),
    ])
    .unwrap();
    assert!(settings.is_distributed() && settings.log.json);
    assert_eq!(settings.feed.redis_url.unwrap().expose(), "rediss://cache");
    assert_eq!(settings.store.data_dir, Path::new("/var/lib/posthaste"));
    assert_eq!(
        settings.auth.admin_key.unwrap().expose(),
        "0123456789abcdef"
    );
    assert_eq!(settings.address_guard.allow_networks.len(), 2);
    assert_eq!(settings.retry.to_spec().delays_ms, Some(vec![100, 2000]));
}

#[test]
fn port_alone_binds_everywhere_and_listen_wins() {
    let cases: [(Environment<'_>, &str); 5] = [
        (&[("PORT", "9000")], "0.0.0.0:9000"),
        (
            &[("PORT", "9000"), ("POSTHASTE_LISTEN", "[::1]:7000")],
            "[::1]:7000",
        ),
        (
            &[("PORT", "x"), ("POSTHASTE_SERVER__LISTEN", "127.0.0.1:1")],
            "127.0.0.1:1",
        ),
        (&[("PORT", ""), ("POSTHASTE_LISTEN", "")], "127.0.0.1:8080"),
        (&[("POSTHASTE_LISTEN", "127.0.0.1:0")], "127.0.0.1:0"),
    ];
    for (environment, listen) in cases {
        let settings = from_environment(environment).unwrap();
        assert_eq!(
            settings.server.listen.to_string(),
            listen,
            "{environment:?}"
        );
    }
}

#[test]
fn names_of_other_systems_are_honoured_below_ours() {
    let settings = from_environment(&[
        ("WEBHOOK_TIMEOUT", "5000"),
        ("WEBHOOK_MAX_RETRIES", "3"),
        ("WEBHOOK_RETRY_DELAY", "60000"),
        ("WORKER_CONCURRENCY", "5"),
        ("BATCH_SIZE", "50"),
        ("DB_HOST", "db.internal"),
        ("DB_USER", "relay@x"),
        ("DB_PASSWORD", "hunter2/@:%"),
        ("DB_NAME", "my relay"),
        ("REDIS_HOST", "::1"),
        ("REDIS_PORT", "6380"),
    ])
    .unwrap();
    assert_eq!(settings.delivery.timeout, Duration::from_secs(5));
    assert_eq!(settings.retry.attempts(), 4);
    assert_eq!(settings.retry.to_spec().base_ms, Some(60_000));
    assert_eq!(settings.delivery.max_in_flight, 5);
    assert_eq!(settings.events.max_batch, 50);
    let url = settings.store.database_url.as_ref().unwrap();
    assert_eq!(
        url.expose(),
        "postgres://relay%40x:hunter2%2F%40%3A%25@db.internal:5432/my%20relay"
    );
    let redis = settings.feed.redis_url.as_ref().unwrap();
    assert_eq!(redis.expose(), "redis://[::1]:6380");
    let printed = settings.to_masked_toml();
    for line in [
        "attempts = 4 # environment WEBHOOK_MAX_RETRIES",
        "timeout_ms = 5000 # environment WEBHOOK_TIMEOUT",
        "max_in_flight = 5 # environment WORKER_CONCURRENCY",
        "# environment DB_HOST, DB_USER, DB_PASSWORD, DB_NAME",
        "# environment REDIS_HOST, REDIS_PORT",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    assert!(!printed.contains("hunter2"), "{printed}");

    let attempts = from_environment(&[("WEBHOOK_MAX_ATTEMPTS", "3")]).unwrap();
    assert_eq!(attempts.retry.attempts(), 3);
    let none = from_environment(&[("WEBHOOK_MAX_RETRIES", "0"), ("DB_HOST", " ")]).unwrap();
    assert_eq!(none.retry.attempts(), 1);
    assert!(!none.is_distributed());

    // Ours win, those of a file do not.
    let file = "[delivery]\ntimeout_ms = 9000\nmax_in_flight = 9\n";
    let environment = [
        ("WEBHOOK_TIMEOUT", "5000"),
        ("POSTHASTE_DELIVERY__TIMEOUT_MS", "7000"),
        ("WORKER_CONCURRENCY", "5"),
        ("WEBHOOK_MAX_RETRIES", "3"),
        ("POSTHASTE_RETRY__ATTEMPTS", "8"),
    ];
    let settings = load(file, &environment).unwrap();
    assert_eq!(settings.delivery.timeout, Duration::from_secs(7));
    assert_eq!(settings.delivery.max_in_flight, 5);
    assert_eq!(settings.retry.attempts(), 8);
}

#[test]
fn a_database_in_parts_is_whole_and_contradicts_no_url() {
    let url = ("DATABASE_URL", "postgres://relay:p%40w@db/relay");
    let agreeing = [
        url,
        ("DB_HOST", "db"),
        ("DB_PORT", "5432"),
        ("DB_USER", "relay"),
        ("DB_PASSWORD", "p@w"),
        ("DB_NAME", "relay"),
    ];
    let settings = from_environment(&agreeing).unwrap();
    assert_eq!(settings.store.database_url.unwrap().expose(), url.1);
    let redis = [url, ("REDIS_URL", "rediss://cache"), ("REDIS_PORT", "6379")];
    assert!(from_environment(&redis).is_ok());
    // What Kubernetes sets beside a service is no port.
    let injected = [
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("DB_PORT", "tcp://10.0.0.2:5432"),
    ];
    assert!(!from_environment(&injected).unwrap().is_distributed());

    let refused: [(Environment<'_>, &[&str]); 11] = [
        (
            &[url, ("DB_HOST", "other")],
            &["DB_HOST", "DATABASE_URL names another place"],
        ),
        (&[url, ("DB_NAME", "other")], &["DB_NAME", "not both"]),
        (&[url, ("DB_PORT", "5433")], &["DB_PORT", "not both"]),
        (
            &[url, ("DB_PASSWORD", "hunter2")],
            &["DB_PASSWORD", "not both"],
        ),
        (
            &[("DB_HOST", "db")],
            &["set DB_USER and DB_NAME too, or DATABASE_URL instead"],
        ),
        (&[("DB_HOST", "db"), ("DB_USER", "u")], &["set DB_NAME too"]),
        (
            &[("DB_PORT", "5432")],
            &["set DB_HOST and DB_USER and DB_NAME too"],
        ),
        (
            &[
                ("DB_HOST", "db"),
                ("DB_USER", "u"),
                ("DB_NAME", "n"),
                ("DB_PORT", "x"),
            ],
            &["DB_PORT", "1 to 65535"],
        ),
        (
            &[
                ("DB_HOST", "u:hunter2@db/x"),
                ("DB_USER", "u"),
                ("DB_NAME", "n"),
            ],
            &["DB_HOST", "the name or address of a host"],
        ),
        (
            &[url, ("REDIS_URL", "redis://cache"), ("REDIS_HOST", "other")],
            &["REDIS_HOST", "REDIS_URL names another place"],
        ),
        (
            &[url, ("REDIS_PORT", "6379")],
            &["set REDIS_HOST too, or REDIS_URL instead"],
        ),
    ];
    for (environment, wanted) in refused {
        let message = from_environment(environment).unwrap_err().to_string();
        for part in wanted {
            assert!(message.contains(part), "{part:?} is not in:\n{message}");
        }
        assert!(
            message.contains("1 fault") || message.contains("have a fault"),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn retries_and_attempts_are_not_both_said() {
    let both = [("WEBHOOK_MAX_RETRIES", "3"), ("WEBHOOK_MAX_ATTEMPTS", "4")];
    let message = from_environment(&both).unwrap_err().to_string();
    assert!(
        message.contains("WEBHOOK_MAX_RETRIES or WEBHOOK_MAX_ATTEMPTS"),
        "{message}"
    );
    for (name, text, said) in [
        (
            "WEBHOOK_MAX_RETRIES",
            "three",
            "retry.attempts = \"three\" (environment WEBHOOK_MAX_",
        ),
        ("WEBHOOK_MAX_RETRIES", "100", "retry.attempts = 101"),
        (
            "WEBHOOK_TIMEOUT",
            "5s",
            "delivery.timeout_ms = \"5s\" (environment WEBHOOK_TIMEOUT)",
        ),
        ("WORKER_CONCURRENCY", "0", "delivery.max_in_flight = 0"),
        ("BATCH_SIZE", "0", "events.max_batch = 0"),
    ] {
        let message = from_environment(&[(name, text)]).unwrap_err().to_string();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn master_keys_are_read_in_order_and_shown_to_nobody() {
    let (first, second) = (
        "2026:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=",
        "2025:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    );
    let both = format!("{first}, {second}");
    let settings = from_environment(&[("POSTHASTE_SECRETS__MASTER_KEYS", &both)]).unwrap();
    let ids: Vec<&str> = settings
        .store
        .master_keys
        .iter()
        .map(|key| key.id.as_str())
        .collect();
    assert_eq!(ids, ["2026", "2025"]);
    let printed = settings.to_masked_toml();
    assert!(
        printed.contains("master_keys = [\"********\", \"********\"] #"),
        "{printed}"
    );
    assert!(!printed.contains("AgIC") && !format!("{settings:?}").contains("AgIC"));
    assert_eq!(settings.secrets.overlap, Duration::from_secs(86_400));
    let file = format!("[secrets]\nmaster_keys = [\"{second}\"]");
    assert_eq!(load(&file, &[]).unwrap().store.master_keys.len(), 1);
    for (bad, said) in [
        (
            format!("{first},{first}"),
            "its item 2 has an id that another one has",
        ),
        ("hunter2hunter2".to_owned(), "its item 1 has no id"),
        (
            format!("{first},k:hunter2"),
            "its item 2 has a key that is not",
        ),
    ] {
        let faults = from_environment(&[("POSTHASTE_SECRETS__MASTER_KEYS", &bad)]).unwrap_err();
        let message = faults.to_string();
        assert!(
            message.contains(said) && message.contains("openssl"),
            "{message}"
        );
        assert!(
            !message.contains("hunter2") && !message.contains("AgIC"),
            "{message}"
        );
    }
    let faults = load("[secrets]\nmaster_keys = \"k:hunter2\"", &[]).unwrap_err();
    assert!(!faults.to_string().contains("hunter2"), "{faults}");
}

#[test]
fn only_names_with_two_underscores_are_strict() {
    let settings = from_environment(&[
        ("POSTHASTE_PORT", "tcp://10.0.0.1:8080"),
        ("POSTHASTE_SERVICE_HOST", "10.0.0.1"),
        ("POSTHASTE_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("SERVER__LISTEN", "nonsense"),
    ]);
    assert!(settings.is_ok());
}

#[test]
fn dev_opens_loopback_and_private_networks_and_says_so() {
    let environment = [("POSTHASTE_ALLOW_NETWORKS", "100.64.0.0/10,10.0.0.0/8")];
    let settings = Settings::load(None, environment, true).unwrap();
    assert!(settings.dev && settings.address_guard.allow_http);
    assert_eq!(settings.address_guard.allow_networks.len(), 7);
    assert!(settings.warnings[0].contains("--dev"));
    let printed = settings.to_masked_toml();
    assert!(printed.contains("allow_http = true # --dev"), "{printed}");
    assert!(
        printed.contains("# environment POSTHASTE_ALLOW_NETWORKS, and --dev"),
        "{printed}"
    );
}

/// (file, environment, what the message must hold)
type Refused<'a> = (&'a str, Environment<'a>, &'a [&'a str]);

#[test]
fn a_collectors_base_address_becomes_that_of_its_traces() {
    for base in ["http://collector:4318", "http://collector:4318/"] {
        let read = from_environment(&[("OTEL_EXPORTER_OTLP_ENDPOINT", base)]).unwrap();
        let endpoint = read.tracing.endpoint.unwrap();
        assert_eq!(endpoint.as_str(), "http://collector:4318/v1/traces");
    }
    assert!(defaults().tracing.endpoint.is_none());
}

#[test]
fn faults_name_key_value_source_and_fix() {
    let cases: &[Refused<'_>] = &[
        (
            "[delivery]\nwindoww = 3\n",
            &[],
            &["delivery.windoww", "no setting", "window_bytes"],
        ),
        (
            "[server]\ncors_origins = [\"https://a.example/\"]\n",
            &[],
            &[
                "server.cors_origins",
                "no origin",
                "https://ops.example.com",
            ],
        ),
        (
            "",
            &[("POSTHASTE_SERVER__CORS_ORIGINS", "*,https://a.example")],
            &["server.cors_origins", "allows every one", "alone"],
        ),
        (
            "",
            &[("POSTHASTE_METRICS__LISTEN", "9464")],
            &["metrics.listen", "9464", "127.0.0.1:9464"],
        ),
        (
            "",
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318")],
            &["tracing.otlp_endpoint", "http://127.0.0.1:4318"],
        ),
        (
            "[delivry]\nwindow = 3\n",
            &[],
            &["delivry.window", "sections", "delivery"],
        ),
        ("window = 3\n", &[], &["  window = ", "no setting"]),
        (
            "[delivery]\nproxy = \"http://p\"\n",
            &[],
            &["delivery.proxy", "no setting"],
        ),
        (
            "[delivery]\nwindow = \"3\"\n",
            &[],
            &["delivery.window = \"3\"", "a whole number", "1024"],
        ),
        (
            "[delivery]\nwindow = -3\n",
            &[],
            &["delivery.window = -3", "1 to 100000"],
        ),
        (
            "[retry]\njitter = nan\n",
            &[],
            &["retry.jitter = nan", "0 to 0.5"],
        ),
        (
            "[log]\nfilter = \"a=b=c\"\n",
            &[],
            &["log.filter", "is not a filter"],
        ),
        (
            "[log]\nformat = \"xml\"\n",
            &[],
            &["log.format = \"xml\"", "text or json"],
        ),
        (
            "[store]\ndata_dir = \"\"\n",
            &[],
            &["store.data_dir", "empty"],
        ),
        (
            "[delivery]\nca_file = \"/none\"\n",
            &[],
            &["delivery.ca_file = \"/none\"", "cannot be read"],
        ),
        (
            "[delivery]\nca_file = \"Cargo.toml\"\n",
            &[],
            &["holds no PEM certificate"],
        ),
        (
            "[retry]\ndelays_ms = [1, -2]\n",
            &[],
            &["retry.delays_ms", "item \"-2\""],
        ),
        (
            "[retry]\nmax_age_ms = 5\n",
            &[],
            &["retry.max_age_ms = 5", "1000 to"],
        ),
        (
            "[store]\ndatabase_url = \"oops\n",
            &[],
            &["--config", "not TOML (line 2)"],
        ),
        (
            "",
            &[("POSTHASTE_SERVER__PORT", "1")],
            &["server.port", "environment POSTHASTE_SERVER__PORT"],
        ),
        (
            "",
            &[("POSTHASTE__SERVER__LISTEN", "1")],
            &["is no setting"],
        ),
        (
            "",
            &[("POSTHASTE_DELIVERY__WINDOW", "")],
            &["delivery.window = \"\"", "whole number"],
        ),
        (
            "",
            &[("POSTHASTE_LISTEN", "localhost")],
            &["server.listen = \"localhost\"", "IP:PORT"],
        ),
        (
            "",
            &[("PORT", "99999")],
            &["server.listen = \"0.0.0.0:99999\" (environment PORT)"],
        ),
        (
            "",
            &[("POSTHASTE_ALLOW_NETWORKS", "10.0.0.0/33")],
            &["\"10.0.0.0/33\" is not a network"],
        ),
        (
            "",
            &[("POSTHASTE_ADDRESS_GUARD__ALLOW_HTTP", "yes")],
            &["allow_http = \"yes\"", "true or false"],
        ),
        (
            "",
            &[("DATABASE_URL", "mysql://db")],
            &["environment DATABASE_URL", "postgres:// or postgresql://"],
        ),
        (
            "",
            &[("DATABASE_URL", "postgres://u:p@ss:x/w")],
            &["is not a URL", "%40"],
        ),
        (
            "",
            &[("DATABASE_URL", "postgres://u:p@ss/w@db")],
            &["behind its host", "%2F"],
        ),
        ("", &[("DATABASE_URL", "postgres:db")], &["names no host"]),
        (
            "",
            &[
                ("DATABASE_URL", "postgres://a"),
                ("POSTHASTE_STORE__DATABASE_URL", "postgres://b"),
            ],
            &["store.database_url", "DATABASE_URL names the same setting"],
        ),
    ];
    for (file, environment, wanted) in cases {
        let message = load(file, environment).expect_err(file).to_string();
        for part in *wanted {
            assert!(message.contains(part), "{part:?} is not in:\n{message}");
        }
        assert!(message.contains("fix: "), "{message}");
    }
}

#[test]
fn rules_of_deactivation_are_off_at_zero_or_within_bounds() {
    let standard = DeactivationPolicy::STANDARD;
    assert_eq!(defaults().deactivation, standard);
    let off = "[deactivation]\nexhausted_deliveries = 0\nfailing_for_ms = 0\ntrial_interval_ms = 0";
    let off = load(off, &[]).unwrap().deactivation;
    assert_eq!(
        (
            off.exhausted_deliveries(),
            off.failing_for(),
            off.trial_interval()
        ),
        (None, None, None)
    );
    for (key, value) in [
        ("deactivation.exhausted_deliveries", "1000001"),
        ("deactivation.failing_for_ms", "999"),
        ("deactivation.failing_for_ms", "7776000001"),
        ("deactivation.trial_interval_ms", "99"),
        ("deactivation.trial_interval_ms", "604800001"),
        ("hold.max_age_ms", "999"),
        ("hold.max_age_ms", "31536000001"),
        ("hold.max_backlog", "1000000001"),
    ] {
        let (section, name) = key.split_once('.').unwrap();
        let faults = load(&format!("[{section}]\n{name} = {value}"), &[]).unwrap_err();
        assert_eq!(faults.0.len(), 1, "{key} = {value}: {faults}");
        assert_eq!(faults.0[0].given[0].key, key);
    }
    let hold = load("[hold]\nmax_age_ms = 1000\nmax_backlog = 0", &[])
        .unwrap()
        .hold;
    assert_eq!(
        (hold.max_age, hold.max_backlog),
        (Duration::from_secs(1), 0)
    );
}

#[test]
fn limits_on_callers_are_read_as_they_are_written() {
    let none = defaults().limits;
    for group in [none.events_write, none.read, none.write] {
        assert_eq!(group, CallerLimits::default(), "none by default");
    }
    assert_eq!(
        none.failed_auth_per_address.map(|quota| quota.burst()),
        Some(100)
    );
    let file = "[limits]\nread_per_key = \"100/minute\"\nfailed_auth_per_address = \"0\"\n\
                [server]\ntrusted_proxies = [\"10.0.0.0/8\"]\nforwarded_header = \"forwarded\"";
    let write = ("POSTHASTE_LIMITS__WRITE_PER_ADDRESS", "50/second burst 200");
    let settings = load(file, &[write]).unwrap();
    let quota = |text| Quota::parse(text).unwrap();
    assert_eq!(settings.limits.read.per_key, quota("100/minute"));
    assert_eq!(
        settings.limits.write.per_address,
        quota("50/second burst 200")
    );
    assert_eq!(settings.limits.failed_auth_per_address, None);
    assert_eq!(settings.server.trusted_proxies.len(), 1);
    assert_eq!(settings.server.forwarded_header, ForwardedHeader::Forwarded);
    for (key, value) in [
        ("limits.read_per_key", "\"100\""),
        ("limits.events_write_per_address", "\"\""),
        ("limits.failed_auth_per_address", "\"1/day\""),
        ("server.trusted_proxies", "[\"10.0.0.1/33\"]"),
        ("server.forwarded_header", "\"x-real-ip\""),
        ("auth.keys_refresh_ms", "10001"),
        ("auth.max_keys", "0"),
        ("auth.ended_keys_days", "0"),
        ("limits.sign_in_per_address", "\"many\""),
        ("limits.sign_in_per_account", "\"1/day\""),
        ("users.max", "0"),
        ("users.setup_link_ms", "999"),
        ("users.invitation_ms", "2592000001"),
        ("sessions.idle_ms", "59999"),
        ("sessions.lifetime_ms", "59999"),
        ("sessions.max_per_owner", "0"),
    ] {
        let (section, name) = key.split_once('.').unwrap();
        let faults = load(&format!("[{section}]\n{name} = {value}"), &[]).unwrap_err();
        assert_eq!(faults.0.len(), 1, "{key} = {value}: {faults}");
        assert_eq!(faults.0[0].given[0].key, key);
    }
}

#[test]
fn every_fault_is_reported() {
    let file = "[delivery]\nwindow = 0\nnonsense = 1\n[retry]\nattempts = 0\n";
    let faults = load(file, &[("PORT", "x"), ("REDIS_URL", "http://r")]).unwrap_err();
    assert_eq!(faults.0.len(), 5, "{faults}");
    assert!(faults.to_string().starts_with("the settings have 5 faults"));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let cases = [
        (
            "[events]\naccept_timeout_ms = 30000",
            "server.request_timeout_ms",
        ),
        (
            "[events]\nmax_payload_bytes = 6000000",
            "events.max_body_bytes",
        ),
        ("[events]\nmax_group = 99", "events.max_batch"),
        ("[events]\nmax_waiting = 99", "events.max_batch"),
        (
            "[events]\nmax_waiting_bytes = 4000000",
            "events.max_body_bytes",
        ),
        (
            "[server]\nmax_request_bytes = 5000000",
            "events.max_body_bytes",
        ),
        (
            "[delivery]\nmax_in_flight_total = 63",
            "delivery.max_in_flight",
        ),
        ("[delivery]\nwindow = 63", "delivery.max_in_flight"),
        (
            "[delivery]\nwindow_bytes = 262143",
            "events.max_payload_bytes",
        ),
        (
            "[delivery]\nanswer_read_bytes = 4095",
            "delivery.answer_keep_bytes",
        ),
        ("[engine]\nlease_renew_ms = 5000", "engine.lease_ttl_ms"),
        (
            "[store]\nacquire_timeout_ms = 10000",
            "events.accept_timeout_ms",
        ),
        (
            "[feed]\nredis_url = \"redis://cache\"",
            "store.database_url",
        ),
        ("[retry]\ncap_ms = 4999", "retry.base_ms"),
        ("[jobs]\nmax_rate = 99", "jobs.rate"),
        (
            "[breaker]\ncool_down_max_ms = 29999",
            "breaker.cool_down_ms",
        ),
        (
            "[retention]\ndays = 2\n[retry]\nmax_age_ms = 172800001",
            "retention.days",
        ),
        (
            "[retention]\ndays = 2\n[events]\nidempotency_retention_hours = 49",
            "retention.days",
        ),
        ("[retention]\nanswer_days = 31", "retention.days"),
        (
            "[retry]\nattempts = 9\ndelays_ms = [5]\nfactor = 2.0",
            "retry.factor",
        ),
    ];
    for (file, other) in cases {
        let faults = load(file, &[]).unwrap_err();
        assert_eq!(faults.0.len(), 1, "{file}: {faults}");
        assert!(
            faults.0[0].given.iter().any(|given| given.key == other),
            "{file}: {faults}"
        );
    }
}

#[test]
fn what_is_kept_for_ever_contradicts_nothing() {
    let file = "[retention]\ndays = 0\nanswer_days = 3650\n[retry]\nmax_age_ms = 2592000000";
    let settings = load(file, &[]).unwrap();
    assert_eq!(settings.retention.events, None);
    let default = load("", &[]).unwrap().retention;
    assert_eq!(default, Retention::of_days(30, 0));
}

#[test]
fn secrets_are_shown_nowhere() {
    let environment = [
        ("DATABASE_URL", "postgres://relay:hunter2@db/relay"),
        ("REDIS_URL", "redis://:hunter2@cache"),
        ("POSTHASTE_ADMIN_KEY", "hunter2-hunter2-hunter2"),
    ];
    let settings = from_environment(&environment).unwrap();
    assert!(!settings.to_masked_toml().contains("hunter2"));
    assert!(!format!("{:?}", settings.auth).contains("hunter2"));
    assert!(
        !format!("{settings:?}").contains("hunter2"),
        "Debug shows a secret"
    );

    let refused: [(&str, Environment<'_>); 6] = [
        ("", &[("POSTHASTE_ADMIN_KEY", "hunter2")]),
        ("", &[("DATABASE_URL", "mysql://relay:hunter2@db")]),
        ("", &[("DATABASE_URL", "relay:hunter2")]),
        (
            "",
            &[(
                "POSTHASTE_STORE__DATABSE_URL",
                "postgres://relay:hunter2@db",
            )],
        ),
        ("[auth]\nadmin_key = [\"hunter2\"]\n", &[]),
        ("[auth]\nadmin_key = \"hunter2\n", &[]),
    ];
    for (file, environment) in refused {
        let message = load(file, environment).unwrap_err().to_string();
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn what_is_printed_reads_back_to_the_same() {
    let file = "[delivery]\nwindow = 300\n[retry]\ndelays_ms = [5, 10]\n[log]\nfilter = \"warn,posthaste=debug\"\n";
    let settings = load(file, &[("POSTHASTE_LISTEN", "0.0.0.0:1")]).unwrap();
    let printed = settings.to_masked_toml();
    let again = load(&printed, &[]).unwrap();
    assert_eq!(again.delivery.window, 300);
    assert_eq!(again.retry, settings.retry);
    assert_eq!(again.log.filter, "warn,posthaste=debug");
    assert_eq!(again.server.listen, settings.server.listen);
}

#[test]
fn a_slow_attempt_outliving_the_stop_is_worth_a_warning() {
    let settings = load("[server]\nshutdown_grace_ms = 14999\n", &[]).unwrap();
    assert!(settings.warnings[0].contains("server.shutdown_grace_ms"));
}

#[test]
fn a_role_is_given_by_flag_environment_or_file_in_this_order() {
    let urls = [
        ("DATABASE_URL", "postgres://db/relay"),
        ("REDIS_URL", "redis://cache"),
    ];
    let with = |role| [urls.as_slice(), &[("POSTHASTE_ENGINE__ROLE", role)]].concat();
    assert_eq!(defaults().engine.role, Role::All);
    let settings = load("[engine]\nrole = \"deliver\"", &with("ingest")).unwrap();
    assert_eq!(settings.engine.role, Role::Ingest);
    assert!(!settings.warnings.iter().any(|one| one.contains("role")));
    let flags = Flags {
        dev: false,
        role: Some(Role::Deliver),
    };
    let settings = Settings::load(None, with("ingest"), flags).unwrap();
    assert_eq!(settings.engine.role, Role::Deliver);
    let printed = settings.to_masked_toml();
    assert!(printed.contains("role = \"deliver\" # --role"), "{printed}");
    let refused = from_environment(&with("both")).unwrap_err().to_string();
    assert!(
        refused.contains("write all, ingest or deliver"),
        "{refused}"
    );
}

#[test]
fn roles_need_postgres_and_miss_redis() {
    for role in ["ingest", "deliver"] {
        let given = ("POSTHASTE_ENGINE__ROLE", role);
        let refused = from_environment(&[given]).unwrap_err().to_string();
        for part in ["engine.role", role, "store.database_url", "DATABASE_URL"] {
            assert!(refused.contains(part), "{refused}");
        }
        let postgres = ("DATABASE_URL", "postgres://db/relay");
        let settings = from_environment(&[given, postgres]).unwrap();
        let warned = |one: &String| one.contains("REDIS_URL") && one.contains(role);
        assert!(settings.warnings.iter().any(warned));
    }
}
