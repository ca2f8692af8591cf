//! Settings: raw layers in, validated values out.
//!
//! `layers` lays file and environment over the embedded defaults, `reader` reads typed values
//! within bounds, `validate` makes these structs of them, `contradictions` checks them against
//! each other. What comes out cannot be wrong; what is wrong is reported whole, in one go. The
//! environment is passed in: only the command line reads the real one.

mod contradictions;
mod environment;
mod fault;
mod layers;
mod master_key;
mod other_names;
mod print;
mod reader;
mod role;
mod secret;
mod validate;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::domain::quota::Quota;

pub use fault::{Fault, Faults, Given, Source};
pub use layers::Layers;
pub use master_key::MasterKey;
pub use print::Shown;
pub use role::Role;
pub use secret::Secret;
pub use validate::check_admin_key;

/// What the command line says itself; it wins over file and environment.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--dev`
    pub dev: bool,
    /// `--role`
    pub role: Option<Role>,
}

impl From<bool> for Flags {
    fn from(dev: bool) -> Self {
        Self { dev, role: None }
    }
}

/// Everything Posthaste can be told, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[server]`
    pub server: ServerSettings,
    /// `[auth]`
    pub auth: AuthSettings,
    /// `[limits]`
    pub limits: LimitSettings,
    /// `[users]`
    pub users: UserSettings,
    /// `[sessions]`
    pub sessions: SessionSettings,
    /// `[store]`
    pub store: StoreSettings,
    /// `[feed]`
    pub feed: FeedSettings,
    /// `[secrets]`, without the master keys, which the store has.
    pub secrets: SecretSettings,
    /// `[events]`
    pub events: EventSettings,
    /// `[delivery]`
    pub delivery: DeliverySettings,
    /// `[retry]`: the default retry policy.
    pub retry: crate::domain::retry::RetryPolicy,
    /// `[breaker]`: the default rules of a breaker.
    pub breaker: crate::domain::breaker::BreakerPolicy,
    /// `[jobs]`
    pub jobs: JobSettings,
    /// `[retention]`: what is kept how long.
    pub retention: crate::domain::retention::Retention,
    /// `[statistics]`
    pub statistics: StatisticsSettings,
    /// `[retention]`: how long the audit log is kept; `None` is for ever.
    pub audit_retention: Option<Duration>,
    /// `[health]`
    pub health: HealthSettings,
    /// `[deactivation]`: the default rules of deactivation.
    pub deactivation: crate::domain::deactivation::DeactivationPolicy,
    /// `[hold]`
    pub hold: HoldSettings,
    /// `[address_guard]`
    pub address_guard: AddressGuardSettings,
    /// `[engine]`
    pub engine: EngineSettings,
    /// `[stream]`
    pub stream: StreamSettings,
    /// `[dashboard]`: whether it is served.
    pub dashboard: bool,
    /// `[metrics]`
    pub metrics: MetricsSettings,
    /// `[tracing]`
    pub tracing: TracingSettings,
    /// `[log]`
    pub log: LogSettings,
    /// `--dev`
    pub dev: bool,
    /// What does not stop the start but should be known: logged once, at start.
    pub warnings: Vec<String>,
    /// What was given, key by key, and where it came from.
    pub origin: Layers,
}

impl Settings {
    /// Lays defaults, file, environment and flags over one another and checks the outcome. Where
    /// there is no flag but `--dev`, a `bool` says whether it was given.
    pub fn load<Name: Into<String>, Text: Into<String>>(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (Name, Text)>,
        flags: impl Into<Flags>,
    ) -> Result<Self, Faults> {
        let Flags { dev, role } = flags.into();
        let mut faults = Vec::new();
        let mut layers = Layers::defaults();
        if let Some(path) = file {
            layers.add_file(path, &mut faults);
        }
        let environment: BTreeMap<String, String> = environment
            .into_iter()
            .map(|(name, text)| (name.into(), text.into()))
            .collect();
        layers.add_environment(environment, &mut faults);
        if dev {
            layers.add_dev();
        }
        if let Some(role) = role {
            let value = toml::Value::from(role.as_str());
            layers.set("engine.role", value, Source::Flag("--role"), &mut faults);
        }
        validate::settings(layers, dev, faults)
    }

    /// Whether the store is Postgres, which several processes may share.
    pub fn is_distributed(&self) -> bool {
        self.store.database_url.is_some()
    }

    /// The word for the profile, in answers.
    pub fn profile(&self) -> &'static str {
        match self.is_distributed() {
            true => "distributed",
            false => "embedded",
        }
    }

    /// The settings in force one by one, secrets masked.
    pub fn shown(&self) -> Vec<Shown> {
        print::shown(&self.origin)
    }

    /// The settings in force as TOML, secrets masked, with the source of what is not default.
    pub fn to_masked_toml(&self) -> String {
        print::masked_toml(&self.origin)
    }
}

/// Where and how we listen.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// Total time one request may take, body included.
    pub request_timeout: Duration,
    /// Open client connections at most.
    pub max_connections: usize,
    /// Bytes of request bodies held at once at most.
    pub max_request_bytes: usize,
    /// How long a stop waits for attempts in flight.
    pub shutdown_grace: Duration,
    /// Proxies that are believed where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they say so.
    pub forwarded_header: ForwardedHeader,
    /// Origins whose pages may call; `*` for every one.
    pub cors_origins: Vec<String>,
}

/// The header in which proxies say where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `Forwarded`, RFC 7239
    Forwarded,
}

/// Who may call.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// The admin key, where it is set from outside.
    pub admin_key: Option<Secret>,
    /// Time between two looks for keys that other nodes changed.
    pub keys_refresh: Duration,
    /// Keys at most, those that ended included.
    pub max_keys: u32,
    /// A key that expired or was revoked is kept this long.
    pub ended_keys: Duration,
}

/// How often callers may ask; no limit where absent.
#[derive(Clone, Copy, Debug)]
pub struct LimitSettings {
    /// Of requests that post events.
    pub events_write: CallerLimits,
    /// Of requests that look at anything.
    pub read: CallerLimits,
    /// Of requests that change anything else.
    pub write: CallerLimits,
    /// Keys that are none, tried from one address.
    pub failed_auth_per_address: Option<Quota>,
    /// Tries to sign in, or to use a link, from one address.
    pub sign_in_per_address: Option<Quota>,
    /// Tries to sign in as one user.
    pub sign_in_per_account: Option<Quota>,
}

/// Who may sign in.
#[derive(Clone, Copy, Debug)]
pub struct UserSettings {
    /// Users at most.
    pub max: u32,
    /// How long the link that makes the first user can be used.
    pub setup_link: Duration,
    /// How long an invitation can be taken.
    pub invitation: Duration,
}

/// For how long somebody is signed in.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// A session that is not used for this long ends.
    pub idle: Duration,
    /// A session ends after this, however much it is used.
    pub lifetime: Duration,
    /// Open sessions of one user or key at most.
    pub max_per_owner: u32,
    /// Whether cookies are marked for https alone even where requests seem to come by http.
    pub secure_cookies: bool,
}

/// The limits of one group of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerLimits {
    /// With one key, from wherever.
    pub per_key: Option<Quota>,
    /// From one address, with whatever key.
    pub per_address: Option<Quota>,
}

/// Where things are stored.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Postgres, where set; SQLite under `data_dir` otherwise. Holds a password.
    pub database_url: Option<Secret>,
    /// Directory of the SQLite file, its lock and the generated admin key.
    pub data_dir: PathBuf,
    /// Postgres connections at most.
    pub max_connections: u32,
    /// How long to wait for a free connection.
    pub acquire_timeout: Duration,
    /// What secrets are encrypted with; the first encrypts, all decrypt. None: they lie plain.
    pub master_keys: Vec<MasterKey>,
}

/// What becomes of secrets.
#[derive(Clone, Copy, Debug)]
pub struct SecretSettings {
    /// How long a replaced secret goes on signing where the caller does not say.
    pub overlap: Duration,
}

/// How nodes wake one another.
#[derive(Clone, Debug)]
pub struct FeedSettings {
    /// Redis, where set; in process otherwise. May hold a password.
    pub redis_url: Option<Secret>,
}

/// What is accepted.
#[derive(Clone, Debug)]
pub struct EventSettings {
    /// Whether whoever has no tenant must name one with each event.
    pub require_tenant: bool,
    /// Events in one batch at most.
    pub max_batch: usize,
    /// Bytes of one payload at most.
    pub max_payload_bytes: usize,
    /// Bytes of one request body at most.
    pub max_body_bytes: usize,
    /// How long an idempotency key is remembered.
    pub idempotency_retention: Duration,
    /// Events waiting for a commit at most, over all senders.
    pub max_waiting: usize,
    /// Bytes of payload waiting for a commit at most.
    pub max_waiting_bytes: usize,
    /// Events in one group commit at most.
    pub max_group: usize,
    /// How long a sender waits for its commit before it hears 503.
    pub accept_timeout: Duration,
    /// What becomes of events whose type is not in the catalogue.
    pub unknown_types: crate::domain::catalogue::UnknownTypes,
}

/// How deliveries leave.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// Default total deadline of one attempt.
    pub timeout: Duration,
    /// Default attempts in flight per subscription.
    pub max_in_flight: u32,
    /// Attempts in flight at most over all subscriptions.
    pub max_in_flight_total: usize,
    /// Deliveries one subscription holds in memory at most.
    pub window: usize,
    /// Payload bytes all windows hold in memory at most.
    pub window_bytes: usize,
    /// Idle connections are kept this long.
    pub idle_connection: Duration,
    /// Idle connections kept per receiver.
    pub max_idle_per_host: usize,
    /// Bytes of an answer's body read at most.
    pub answer_read_bytes: usize,
    /// Bytes of an answer's body kept.
    pub answer_keep_bytes: usize,
    /// `Retry-After` is honoured up to this.
    pub retry_after_max: Duration,
    /// PEM file with further certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Name look-ups are cached at most this long.
    pub dns_cache: Duration,
    /// Name servers to ask; none: those of the system.
    pub dns_servers: Vec<SocketAddr>,
    /// Test sends at once at most.
    pub max_test_sends: usize,
}

/// Bulk work.
#[derive(Clone, Debug)]
pub struct JobSettings {
    /// Deliveries per second of a job that names no rate.
    pub rate: u32,
    /// The highest rate that a job may name.
    pub max_rate: u32,
    /// Jobs that have not ended, at most.
    pub max_open: u32,
    /// A job that has ended is kept this long.
    pub retention: Duration,
}

/// How what happened is counted.
#[derive(Clone, Copy, Debug)]
pub struct StatisticsSettings {
    /// Time between two folds of deltas into buckets.
    pub fold_interval: Duration,
    /// Buckets of a minute are kept this long.
    pub minutes_kept: Duration,
    /// Buckets of an hour.
    pub hours_kept: Duration,
    /// Buckets of a day.
    pub days_kept: Duration,
}

/// From when on the node says that it is not well.
#[derive(Clone, Copy, Debug)]
pub struct HealthSettings {
    /// A delivery that nothing holds back is overdue for longer.
    pub max_overdue: Duration,
    /// An outcome waits for its record for longer.
    pub max_record_lag: Duration,
}

/// What is held for subscriptions that a rule holds.
#[derive(Clone, Debug)]
pub struct HoldSettings {
    /// What is held for longer expires.
    pub max_age: Duration,
    /// Deliveries of one subscription at most, what comes in then is skipped; 0 for any number.
    pub max_backlog: u64,
}

/// Which receivers may be called.
#[derive(Clone, Debug)]
pub struct AddressGuardSettings {
    /// Otherwise refused networks that are allowed.
    pub allow_networks: Vec<IpNet>,
    /// Whether `http://` receivers are allowed.
    pub allow_http: bool,
}

/// The machinery's own pace.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// What this process does of it all.
    pub role: Role,
    /// How long the recorder waits for company before it commits.
    pub record_linger: Duration,
    /// Outcomes in one group commit at most.
    pub record_max_group: usize,
    /// Time between two sweeps.
    pub sweep_interval: Duration,
    /// Time between two rounds of the janitor.
    pub janitor_interval: Duration,
    /// An idle subscription actor retires after this.
    pub retire_after: Duration,
    /// A lease not renewed for this long is free.
    pub lease_ttl: Duration,
    /// Time between renewals of the lease.
    pub lease_renew: Duration,
    /// How often a process tells the store that it lives.
    pub beat: Duration,
    /// Restarts of one actor within `restart_window` before it is given up.
    pub restart_limit: u32,
    /// See `restart_limit`.
    pub restart_window: Duration,
}

/// Live streams.
#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// Streams open at once at most.
    pub max_streams: usize,
    /// Facts that a stream may be behind, or find when it comes back.
    pub kept_facts: usize,
    /// A stream that has nothing to show says so this often.
    pub heartbeat: Duration,
    /// How long facts are kept for one that comes back when none is open.
    pub linger: Duration,
}

/// What is counted, and where it can be read.
#[derive(Clone, Debug)]
pub struct MetricsSettings {
    /// Where it can be read without a key.
    pub listen: Option<SocketAddr>,
    /// Subscriptions that are counted one by one; none where that is off.
    pub subscriptions: usize,
}

/// Where traces go.
#[derive(Clone, Debug)]
pub struct TracingSettings {
    /// The collector's address for spans.
    pub endpoint: Option<Url>,
    /// Share of the events without a trace of their own that gets one.
    pub sample_ratio: f64,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A `tracing` filter, for example `info,posthaste=debug`.
    pub filter: String,
    /// JSON lines instead of text.
    pub json: bool,
}

#[cfg(test)]
mod tests;
