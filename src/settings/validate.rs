//! From layers to validated settings: types, bounds and shapes of single values.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use url::Url;

use super::reader::Reader;
use super::{
    AddressGuardSettings, AuthSettings, CallerLimits, DeliverySettings, EngineSettings,
    EventSettings, Fault, Faults, FeedSettings, ForwardedHeader, HealthSettings, HoldSettings,
    JobSettings, Layers, LimitSettings, LogSettings, MasterKey, MetricsSettings, Role, Secret,
    SecretSettings, ServerSettings, SessionSettings, Settings, StatisticsSettings, StoreSettings,
    StreamSettings, TracingSettings, UserSettings, contradictions,
};
use crate::domain::breaker::{BreakerPolicy, BreakerSpec};
use crate::domain::catalogue::UnknownTypes;
use crate::domain::deactivation::{DeactivationPolicy, DeactivationSpec, policy};
use crate::domain::quota::Quota;
use crate::domain::retention::Retention;
use crate::domain::retry::{RetryPolicy, Schedule};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const SHORTEST_ADMIN_KEY: usize = 16;
const NETWORK: &str = "a network in CIDR notation, for example 10.0.0.0/8 or fd00::/8";

pub(super) fn settings(layers: Layers, dev: bool, faults: Vec<Fault>) -> Result<Settings, Faults> {
    let mut reader = Reader::new(&layers, faults);
    let read = read_all(&mut reader);
    contradictions::check(&read, &mut reader);
    if !reader.faults.is_empty() {
        return Err(Faults(reader.faults));
    }
    let warnings = contradictions::warnings(&read, dev);
    Ok(Settings {
        dev,
        warnings,
        origin: layers,
        ..read
    })
}

/// Every key, once. A test compares what is read here with `config/default.toml`.
pub(super) fn read_all(reader: &mut Reader<'_>) -> Settings {
    Settings {
        server: server(reader),
        auth: auth(reader),
        limits: limits(reader),
        users: UserSettings {
            max: reader.count("users.max", 1, 100_000),
            setup_link: reader.millis("users.setup_link_ms", 1_000, 30 * DAY_MS),
            invitation: reader.millis("users.invitation_ms", 1_000, 30 * DAY_MS),
        },
        sessions: SessionSettings {
            idle: reader.millis("sessions.idle_ms", MINUTE_MS, 365 * DAY_MS),
            lifetime: reader.millis("sessions.lifetime_ms", MINUTE_MS, 365 * DAY_MS),
            max_per_owner: reader.count("sessions.max_per_owner", 1, 1_000),
            secure_cookies: reader.flag("sessions.secure_cookies"),
        },
        store: store(reader),
        feed: FeedSettings {
            redis_url: url(reader, "feed.redis_url", &["redis", "rediss"]),
        },
        secrets: SecretSettings {
            overlap: reader.millis("secrets.overlap_ms", 0, 30 * DAY_MS),
        },
        events: events(reader),
        delivery: delivery(reader),
        retry: retry(reader),
        breaker: breaker(reader),
        jobs: jobs(reader),
        retention: Retention::of_days(
            reader.count("retention.days", 0, 3_650),
            reader.count("retention.answer_days", 0, 3_650),
        ),
        statistics: statistics(reader),
        audit_retention: audit_retention(reader),
        health: HealthSettings {
            max_overdue: reader.millis("health.max_overdue_ms", 1_000, HOUR_MS),
            max_record_lag: reader.millis("health.max_record_lag_ms", 100, HOUR_MS),
        },
        deactivation: deactivation(reader),
        hold: HoldSettings {
            max_age: reader.millis("hold.max_age_ms", 1_000, 365 * DAY_MS),
            max_backlog: reader.number("hold.max_backlog", 0, 1_000_000_000),
        },
        address_guard: AddressGuardSettings {
            allow_networks: networks(reader),
            allow_http: reader.flag("address_guard.allow_http"),
        },
        engine: engine(reader),
        stream: StreamSettings {
            max_streams: reader.size("stream.max_streams", 0, 100_000),
            kept_facts: reader.size("stream.kept_facts", 16, 1_000_000),
            heartbeat: reader.millis("stream.heartbeat_ms", 50, 10 * MINUTE_MS),
            linger: reader.millis("stream.linger_ms", 0, HOUR_MS),
        },
        dashboard: reader.flag("dashboard.enabled"),
        metrics: metrics(reader),
        tracing: tracing(reader),
        log: log(reader),
        dev: false,
        warnings: Vec::new(),
        origin: Layers::defaults(),
    }
}

fn server(reader: &mut Reader<'_>) -> ServerSettings {
    let key = "server.listen";
    let text = reader.text(key);
    let listen = text.parse().unwrap_or_else(|_| {
        reader.refuse(
            key,
            "is not an address and port",
            "write IP:PORT with a port of 0 to 65535, for example 127.0.0.1:8080 or [::]:8080",
        );
        SocketAddr::from(([127, 0, 0, 1], 8080))
    });
    ServerSettings {
        listen,
        request_timeout: reader.millis("server.request_timeout_ms", 100, 10 * MINUTE_MS),
        max_connections: reader.size("server.max_connections", 1, 1_000_000),
        max_request_bytes: reader.size("server.max_request_bytes", MIB, 64 * GIB),
        shutdown_grace: reader.millis("server.shutdown_grace_ms", 0, HOUR_MS),
        trusted_proxies: reader.list("server.trusted_proxies", NETWORK),
        forwarded_header: forwarded_header(reader),
        cors_origins: origins(reader),
    }
}

fn forwarded_header(reader: &mut Reader<'_>) -> ForwardedHeader {
    let key = "server.forwarded_header";
    match reader.text(key) {
        "x-forwarded-for" => ForwardedHeader::XForwardedFor,
        "forwarded" => ForwardedHeader::Forwarded,
        _ => {
            let fix = "write x-forwarded-for or forwarded, whichever your proxy sets";
            reader.refuse(key, "is no header that is read", fix);
            ForwardedHeader::XForwardedFor
        }
    }
}

fn auth(reader: &mut Reader<'_>) -> AuthSettings {
    let days = reader.number("auth.ended_keys_days", 1, 3_650);
    AuthSettings {
        admin_key: admin_key(reader),
        keys_refresh: reader.millis("auth.keys_refresh_ms", 100, 10_000),
        max_keys: reader.count("auth.max_keys", 1, 100_000),
        ended_keys: Duration::from_millis(days * DAY_MS),
    }
}

fn limits(reader: &mut Reader<'_>) -> LimitSettings {
    let mut group = |per_key, per_address| CallerLimits {
        per_key: quota(reader, per_key),
        per_address: quota(reader, per_address),
    };
    LimitSettings {
        events_write: group(
            "limits.events_write_per_key",
            "limits.events_write_per_address",
        ),
        read: group("limits.read_per_key", "limits.read_per_address"),
        write: group("limits.write_per_key", "limits.write_per_address"),
        failed_auth_per_address: quota(reader, "limits.failed_auth_per_address"),
        sign_in_per_address: quota(reader, "limits.sign_in_per_address"),
        sign_in_per_account: quota(reader, "limits.sign_in_per_account"),
    }
}

fn quota(reader: &mut Reader<'_>, key: &'static str) -> Option<Quota> {
    Quota::parse(reader.text(key)).unwrap_or_else(|problem| {
        reader.refuse(key, problem, "or remove it to keep the default");
        None
    })
}

/// Origins as browsers send them, or the star alone.
fn origins(reader: &mut Reader<'_>) -> Vec<String> {
    let key = "server.cors_origins";
    let origins: Vec<String> = reader.list(key, "an origin");
    if origins.len() > 1 && origins.iter().any(|origin| origin == "*") {
        reader.refuse(
            key,
            "names origins beside \"*\", which allows every one",
            "give \"*\" alone, or the origins without it",
        );
    }
    let strange = origins.iter().find(|origin| {
        let parsed = Url::parse(origin).ok();
        let written = parsed.map(|url| url.origin().ascii_serialization());
        *origin != "*" && written.as_ref() != Some(origin)
    });
    if let Some(strange) = strange {
        reader.refuse(
            key,
            format!("its item {strange:?} is no origin"),
            "write scheme, host and port as browsers do, without a path: https://ops.example.com",
        );
    }
    origins
}

fn admin_key(reader: &mut Reader<'_>) -> Option<Secret> {
    let key = "auth.admin_key";
    let text = reader.optional(key)?;
    if let Err(problem) = check_admin_key(text) {
        reader.refuse(key, problem, "make one with: openssl rand -hex 32");
    }
    Some(Secret::new(text))
}

/// What an admin key must be, wherever it comes from: it travels in a header.
pub fn check_admin_key(text: &str) -> Result<(), String> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("may hold visible ASCII characters only, without blanks".to_owned());
    }
    if text.len() < SHORTEST_ADMIN_KEY {
        let length = text.len();
        return Err(format!(
            "must have at least {SHORTEST_ADMIN_KEY} characters, has {length}"
        ));
    }
    Ok(())
}

fn store(reader: &mut Reader<'_>) -> StoreSettings {
    let data_dir = reader.text("store.data_dir");
    if data_dir.is_empty() {
        reader.refuse(
            "store.data_dir",
            "is empty",
            "name a directory, for example ./data",
        );
    }
    StoreSettings {
        database_url: url(reader, "store.database_url", &["postgres", "postgresql"]),
        data_dir: PathBuf::from(data_dir),
        max_connections: reader.count("store.max_connections", 2, 1_000),
        acquire_timeout: reader.millis("store.acquire_timeout_ms", 100, MINUTE_MS),
        master_keys: master_keys(reader),
    }
}

fn master_keys(reader: &mut Reader<'_>) -> Vec<MasterKey> {
    let name = "secrets.master_keys";
    let mut keys: Vec<MasterKey> = Vec::new();
    for (place, text) in reader.secret_list(name).into_iter().enumerate() {
        let problem = match MasterKey::parse(&text) {
            Ok(key) if keys.iter().any(|other| other.id == key.id) => {
                "has an id that another one has"
            }
            Ok(key) => {
                keys.push(key);
                continue;
            }
            Err(problem) => problem,
        };
        reader.refuse(
            name,
            format!("its item {} {problem}", place + 1),
            "write ID:KEY; make a key with: openssl rand -base64 32",
        );
    }
    keys
}

fn url(reader: &mut Reader<'_>, key: &'static str, schemes: &[&str]) -> Option<Secret> {
    let text = reader.optional(key)?;
    let wanted = schemes.join(":// or ");
    let fix = format!(
        "write {wanted}://USER:PASSWORD@HOST:PORT/NAME; in a password, write @ as %40, / as %2F, \
         : as %3A, # as %23, ? as %3F and % as %25"
    );
    match url::Url::parse(text) {
        Err(error) => reader.refuse(key, format!("is not a URL: {error}"), fix),
        Ok(url) if !schemes.contains(&url.scheme()) => {
            reader.refuse(key, format!("must begin with {wanted}://"), fix);
        }
        Ok(url) if url.cannot_be_a_base() => reader.refuse(key, "names no host", fix),
        Ok(url) if url.path().contains('@') || url.fragment().is_some() => {
            reader.refuse(
                key,
                "has an @ or # behind its host, most likely from a password",
                fix,
            );
        }
        Ok(_) => {}
    }
    Some(Secret::new(text))
}

fn events(reader: &mut Reader<'_>) -> EventSettings {
    let retention_hours = reader.number("events.idempotency_retention_hours", 1, 720);
    EventSettings {
        require_tenant: reader.flag("events.require_tenant"),
        max_batch: reader.size("events.max_batch", 1, 10_000),
        max_payload_bytes: reader.size("events.max_payload_bytes", KIB, 16 * MIB),
        max_body_bytes: reader.size("events.max_body_bytes", KIB, 256 * MIB),
        idempotency_retention: Duration::from_secs(retention_hours * 3_600),
        max_waiting: reader.size("events.max_waiting", 1, 1_000_000),
        max_waiting_bytes: reader.size("events.max_waiting_bytes", KIB, 16 * GIB),
        max_group: reader.size("events.max_group", 1, 10_000),
        accept_timeout: reader.millis("events.accept_timeout_ms", 50, 10 * MINUTE_MS),
        unknown_types: unknown_types(reader),
    }
}

fn unknown_types(reader: &mut Reader<'_>) -> UnknownTypes {
    let key = "events.unknown_types";
    UnknownTypes::parse(reader.text(key)).unwrap_or_else(|| {
        let words = UnknownTypes::ALL.map(UnknownTypes::as_str).join(" or ");
        reader.refuse(key, "is no such choice", format!("write {words}"));
        UnknownTypes::default()
    })
}

fn audit_retention(reader: &mut Reader<'_>) -> Option<Duration> {
    match reader.number("retention.audit_days", 0, 3_650) {
        0 => None,
        days => Some(Duration::from_secs(days * 86_400)),
    }
}

fn delivery(reader: &mut Reader<'_>) -> DeliverySettings {
    DeliverySettings {
        timeout: reader.millis("delivery.timeout_ms", 100, 5 * MINUTE_MS),
        max_in_flight: reader.count("delivery.max_in_flight", 1, 10_000),
        max_in_flight_total: reader.size("delivery.max_in_flight_total", 1, 100_000),
        window: reader.size("delivery.window", 1, 100_000),
        window_bytes: reader.size("delivery.window_bytes", KIB, 16 * GIB),
        idle_connection: reader.millis("delivery.idle_connection_ms", 0, 10 * MINUTE_MS),
        max_idle_per_host: reader.size("delivery.max_idle_per_host", 0, 100_000),
        answer_read_bytes: reader.size("delivery.answer_read_bytes", 0, 16 * MIB),
        answer_keep_bytes: reader.size("delivery.answer_keep_bytes", 0, MIB),
        retry_after_max: reader.millis("delivery.retry_after_max_ms", 0, DAY_MS),
        ca_file: ca_file(reader),
        dns_cache: reader.millis("delivery.dns_cache_ms", 0, HOUR_MS),
        dns_servers: reader.list(
            "delivery.dns_servers",
            "an address with its port, for example 10.0.0.2:53 or [fd00::2]:53",
        ),
        max_test_sends: reader.size("delivery.max_test_sends", 1, 100),
    }
}

fn ca_file(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let key = "delivery.ca_file";
    let path = Path::new(reader.optional(key)?);
    let fix = "name a readable file of PEM certificates, or leave it empty";
    match std::fs::read(path) {
        Err(error) => reader.refuse(key, format!("cannot be read: {error}"), fix),
        Ok(bytes) => {
            let marker = b"-----BEGIN CERTIFICATE-----";
            if !bytes.windows(marker.len()).any(|window| window == marker) {
                reader.refuse(key, "holds no PEM certificate", fix);
            }
        }
    }
    Some(path.to_owned())
}

fn retry(reader: &mut Reader<'_>) -> RetryPolicy {
    let attempts = reader.count("retry.attempts", 1, 100);
    let base = reader.millis("retry.base_ms", 100, DAY_MS);
    let factor = reader.fraction("retry.factor", 1.0, 10.0);
    let cap = reader.millis("retry.cap_ms", 100, 7 * DAY_MS);
    let jitter = reader.fraction("retry.jitter", 0.0, 0.5);
    let delays: Vec<u64> = reader.list("retry.delays_ms", "a whole number of milliseconds");
    let max_age = match reader.number("retry.max_age_ms", 0, 30 * DAY_MS) {
        0 => None,
        age => Some(Duration::from_millis(age)),
    };
    let exponential = Schedule::Exponential {
        base,
        factor,
        cap,
        attempts,
    };
    let schedule = if delays.is_empty() {
        exponential.clone()
    } else {
        for key in [
            "retry.attempts",
            "retry.base_ms",
            "retry.factor",
            "retry.cap_ms",
        ] {
            if reader.differs(key) {
                reader.contradiction(
                    &["retry.delays_ms", key],
                    "a list of delays leaves nothing for the exponential settings to say",
                    "keep one or the other",
                );
            }
        }
        Schedule::Delays(delays.into_iter().map(Duration::from_millis).collect())
    };
    RetryPolicy::new(schedule, jitter, max_age).unwrap_or_else(|invalid| {
        match invalid.field {
            "capMs" => reader.contradiction(
                &["retry.cap_ms", "retry.base_ms"],
                "the longest delay is below the first one",
                "raise retry.cap_ms or lower retry.base_ms",
            ),
            "delaysMs" => reader.refuse("retry.delays_ms", invalid.problem, "correct the list"),
            "maxAgeMs" => reader.refuse("retry.max_age_ms", invalid.problem, "or 0 for no limit"),
            // Bounds of single values, which were refused above.
            _ => {}
        }
        RetryPolicy::new(Schedule::Delays(Vec::new()), 0.0, None)
            .expect("no delays, no jitter and no age limit are within all bounds")
    })
}

fn breaker(reader: &mut Reader<'_>) -> BreakerPolicy {
    let spec = BreakerSpec {
        enabled: Some(reader.flag("breaker.enabled")),
        consecutive_failures: Some(reader.count("breaker.consecutive_failures", 1, 100_000)),
        failure_ratio: Some(reader.fraction("breaker.failure_ratio", 0.01, 1.0)),
        minimum_attempts: Some(reader.count("breaker.minimum_attempts", 1, 100_000)),
        window_ms: Some(reader.number("breaker.window_ms", 1_000, HOUR_MS)),
        cool_down_ms: Some(reader.number("breaker.cool_down_ms", 100, DAY_MS)),
        cool_down_max_ms: Some(reader.number("breaker.cool_down_max_ms", 100, DAY_MS)),
        probes: Some(reader.count("breaker.probes", 1, 100)),
    };
    let standard = BreakerPolicy::STANDARD;
    spec.validate(&standard).unwrap_or_else(|_| {
        // Single values are within their bounds here.
        reader.contradiction(
            &["breaker.cool_down_max_ms", "breaker.cool_down_ms"],
            "the longest cool-down is below the first one",
            "raise breaker.cool_down_max_ms or lower breaker.cool_down_ms",
        );
        standard
    })
}

fn jobs(reader: &mut Reader<'_>) -> JobSettings {
    let retention_days = reader.number("jobs.retention_days", 1, 3_650);
    JobSettings {
        rate: reader.count("jobs.rate", 1, 100_000),
        max_rate: reader.count("jobs.max_rate", 1, 100_000),
        max_open: reader.count("jobs.max_open", 1, 1_000),
        retention: Duration::from_millis(retention_days * DAY_MS),
    }
}

fn statistics(reader: &mut Reader<'_>) -> StatisticsSettings {
    let mut days = |key, least, most| {
        let days = reader.number(key, least, most);
        Duration::from_millis(days * DAY_MS)
    };
    // Long enough for every window that is shown.
    let minutes_kept = days("statistics.minute_days", 2, 365);
    let hours_kept = days("statistics.hour_days", 31, 3_650);
    let days_kept = days("statistics.day_days", 31, 36_500);
    StatisticsSettings {
        fold_interval: reader.millis("statistics.fold_interval_ms", 100, MINUTE_MS),
        minutes_kept,
        hours_kept,
        days_kept,
    }
}

fn deactivation(reader: &mut Reader<'_>) -> DeactivationPolicy {
    let (failing_for, trial_interval) = (policy::FAILING_FOR_MS, policy::TRIAL_INTERVAL_MS);
    let most = policy::MOST_EXHAUSTED;
    let spec = DeactivationSpec {
        exhausted_deliveries: Some(reader.count("deactivation.exhausted_deliveries", 0, most)),
        failing_for_ms: Some(reader.number("deactivation.failing_for_ms", 0, failing_for.1)),
        trial_interval_ms: Some(reader.number(
            "deactivation.trial_interval_ms",
            0,
            trial_interval.1,
        )),
    };
    let standard = DeactivationPolicy::STANDARD;
    spec.validate(&standard).unwrap_or_else(|invalid| {
        match invalid.field {
            "failingForMs" => reader.refuse(
                "deactivation.failing_for_ms",
                invalid.problem,
                "or 0 for no rule",
            ),
            "trialIntervalMs" => {
                let key = "deactivation.trial_interval_ms";
                reader.refuse(key, invalid.problem, "or 0 for no trials");
            }
            // Bounds of single values, which were refused above.
            _ => {}
        }
        standard
    })
}

fn networks(reader: &mut Reader<'_>) -> Vec<IpNet> {
    reader.list("address_guard.allow_networks", NETWORK)
}

fn engine(reader: &mut Reader<'_>) -> EngineSettings {
    EngineSettings {
        role: role(reader),
        record_linger: reader.millis("engine.record_linger_ms", 0, 1_000),
        record_max_group: reader.size("engine.record_max_group", 1, 10_000),
        sweep_interval: reader.millis("engine.sweep_interval_ms", 100, 5 * MINUTE_MS),
        janitor_interval: reader.millis("engine.janitor_interval_ms", 1_000, DAY_MS),
        retire_after: reader.millis("engine.retire_after_ms", 100, DAY_MS),
        lease_ttl: reader.millis("engine.lease_ttl_ms", 1_000, 5 * MINUTE_MS),
        lease_renew: reader.millis("engine.lease_renew_ms", 100, 150_000),
        beat: reader.millis("engine.beat_ms", 100, MINUTE_MS),
        restart_limit: reader.count("engine.restart_limit", 1, 1_000),
        restart_window: reader.millis("engine.restart_window_ms", 1_000, HOUR_MS),
    }
}

fn role(reader: &mut Reader<'_>) -> Role {
    let key = "engine.role";
    Role::parse(reader.text(key)).unwrap_or_else(|| {
        reader.refuse(key, "is no role", "write all, ingest or deliver");
        Role::All
    })
}

fn metrics(reader: &mut Reader<'_>) -> MetricsSettings {
    let key = "metrics.listen";
    let listen = reader.optional(key).and_then(|text| {
        let listen = text.parse().ok();
        if listen.is_none() {
            reader.refuse(
                key,
                "is not an address and port",
                "write IP:PORT, for example 127.0.0.1:9464, or leave it empty",
            );
        }
        listen
    });
    let one_by_one = reader.flag("metrics.per_subscription");
    let most = reader.size("metrics.max_subscriptions", 1, 10_000);
    MetricsSettings {
        listen,
        subscriptions: if one_by_one { most } else { 0 },
    }
}

fn tracing(reader: &mut Reader<'_>) -> TracingSettings {
    let key = "tracing.otlp_endpoint";
    let endpoint = reader.optional(key).and_then(|text| {
        let base = Url::parse(text).ok();
        let endpoint = base
            .filter(|base| base.scheme() == "http" && base.has_host())
            .and_then(|mut base| {
                base.path_segments_mut()
                    .ok()?
                    .pop_if_empty()
                    .extend(["v1", "traces"]);
                Some(base)
            });
        if endpoint.is_none() {
            reader.refuse(
                key,
                "is not an http:// address",
                "give the base address of a collector beside the relay, for example http://127.0.0.1:4318",
            );
        }
        endpoint
    });
    TracingSettings {
        endpoint,
        sample_ratio: reader.fraction("tracing.sample_ratio", 0.0, 1.0),
    }
}

fn log(reader: &mut Reader<'_>) -> LogSettings {
    let filter = reader.text("log.filter");
    if let Err(error) = EnvFilter::builder().parse(filter) {
        let fix = "write a level (info) or levels by module (info,posthaste=debug)";
        reader.refuse("log.filter", format!("is not a filter: {error}"), fix);
    }
    let json = match reader.text("log.format") {
        "json" => true,
        "text" => false,
        _ => {
            reader.refuse(
                "log.format",
                "is neither text nor json",
                "write text or json",
            );
            false
        }
    };
    LogSettings {
        filter: filter.to_owned(),
        json,
    }
}
