//! Composition root: the only place that knows both profiles.
//!
//! Embedded: SQLite, one process, an exclusive lock on the data directory. Distributed:
//! Postgres, Redis where there is one, a lease on the deliveries; its processes may part the
//! work by roles. Everything else sees traits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ractor::{Actor, ActorRef};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::actors::deps::Parts;
use crate::actors::root::RootMessage;
use crate::actors::{Deps, Relay, Root};
use crate::clock;
use crate::delivery::deliver::Courier;
use crate::delivery::{AddressGuard, Transport};
use crate::directory::Directory;
use crate::domain::token::{IssuedToken, TokenKind};
use crate::events::EngineEvents;
use crate::faults::Faults;
use crate::feed::Feed;
use crate::feed::memory::MemoryFeed;
use crate::feed::ownership::{DataDirLock, Ownership};
use crate::feed::redis::RedisFeed;
use crate::feed::redis_talk::RedisTalk;
use crate::feed::shared_limits::{RedisLimits, SharedLimits};
use crate::feed::talk::{NoTalk, Talk};
use crate::http::server::{ServerLimits, serve};
use crate::http::{AdminKey, Gate, HttpState, UrlGuard, front, metrics_front};
use crate::keyring::Keyring;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use crate::settings::{Secret, Settings};
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{LeaseState, Link, Resealed, Store};
use crate::stream::Streams;
use crate::traces::Traces;

/// Facts that a follower may fall behind.
const FOLLOWERS_LAG: usize = 16_384;
/// What of the grace period requests under way may take; the rest is the attempts'.
const REQUESTS_SHARE: f64 = 0.25;
/// How long a stop tries to give the lease back.
const GIVING_BACK: Duration = Duration::from_secs(3);
/// Setup links that may be good at once where several processes start on one store: each prints its
/// own.
const SETUP_LINKS: u32 = 8;
/// How long a stop tries to take the process out of those that are known.
const LEAVING: Duration = Duration::from_secs(1);
/// How long a stop tries to store when keys were used.
const STORING_USES: Duration = Duration::from_secs(1);

/// A running relay.
pub struct Engine {
    deps: Arc<Deps>,
    root: ActorRef<RootMessage>,
    root_task: JoinHandle<()>,
    http: JoinHandle<()>,
    /// Serves the metrics alone, where that is configured.
    metrics: Option<(SocketAddr, JoinHandle<()>)>,
    stop_http: CancellationToken,
    streams: Streams,
    listen: SocketAddr,
    grace: Duration,
    /// Makes the first user, where there was none at the start.
    setup: Option<IssuedToken>,
    /// Held as long as the engine runs.
    _lock: Option<DataDirLock>,
}

/// The profile's own parts.
struct Profile {
    store: Arc<dyn Store>,
    feed: Arc<dyn Feed>,
    shared_limits: Option<Arc<dyn SharedLimits>>,
    talk: Arc<dyn Talk>,
    ownership: Ownership,
    lock: Option<DataDirLock>,
}

impl Engine {
    /// Starts everything and returns once it listens.
    pub async fn start(settings: Arc<Settings>, admin_key: Secret) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(settings.server.listen)
            .await
            .with_context(|| {
                format!(
                    "cannot listen on {} (server.listen); if another program has that port, \
                     set POSTHASTE_LISTEN to another one",
                    settings.server.listen
                )
            })?;
        let listen = listener
            .local_addr()
            .context("the address bound is unknown")?;
        let metrics_listener = match settings.metrics.listen {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .with_context(|| format!("cannot listen on {address} (metrics.listen)"))?,
            ),
            None => None,
        };
        let holder = format!(
            "process {} listening on {listen} ({})",
            std::process::id(),
            clock::uuid()
        );
        let Profile {
            store,
            feed,
            shared_limits,
            talk,
            ownership,
            lock,
        } = profile(&settings, &holder).await?;
        let limits = Arc::new(Limits::new(&settings.limits, shared_limits));
        let deps = shared(&settings, &store, feed, ownership, limits, holder)?;
        deps.refresh_keys().await.context("cannot read the keys")?;
        deps.refresh_sessions()
            .await
            .context("cannot read the sessions")?;
        let setup = setup_link(&*store, &settings)
            .await
            .context("cannot prepare the first user")?;
        deps.directory
            .refresh()
            .await
            .context("cannot read the subscriptions")?;
        let room = store.make_room(clock::now(), settings.retention.span());
        if let Err(problem) = room.await {
            tracing::warn!(%problem, "partitions are made later; what comes is kept meanwhile");
        }
        let (root, root_task) = Actor::spawn(None, Root, Arc::clone(&deps))
            .await
            .map_err(|problem| anyhow::anyhow!("the actor tree does not start: {problem}"))?;
        watch_root(&deps, &root);
        let streams = Streams::new(
            deps.events.clone(),
            Arc::clone(&deps.directory),
            talk,
            settings.stream,
        );
        let state = HttpState {
            store,
            relay: Relay::new(Arc::clone(&deps)),
            gate: Arc::new(Gate::new(
                AdminKey::new(admin_key.expose()),
                Arc::clone(&deps.keyring),
                Arc::clone(&deps.sessions),
                Arc::clone(&deps.limits),
                &settings,
            )),
            guard: Arc::new(Guard(AddressGuard::new(&settings.address_guard))),
            settings: Arc::clone(&settings),
            tenant_rates: Arc::default(),
            streams: streams.clone(),
            passwords: Arc::default(),
        };
        let grace = settings.server.shutdown_grace;
        let limits = ServerLimits {
            stop_patience: grace.mul_f64(REQUESTS_SHARE),
            ..ServerLimits::from(&settings.server)
        };
        let stop_http = CancellationToken::new();
        let metrics = match metrics_listener {
            Some(listener) => {
                let address = listener
                    .local_addr()
                    .context("the address bound is unknown")?;
                let front = Arc::new(metrics_front(state.clone()));
                let stopping = stop_http.clone().cancelled_owned();
                let served = tokio::spawn(serve(listener, front, limits, stopping));
                Some((address, served))
            }
            None => None,
        };
        let stopping = stop_http.clone();
        let http = tokio::spawn(async move {
            let front = Arc::new(front(state));
            serve(listener, front, limits, stopping.cancelled_owned()).await;
        });
        Ok(Self {
            deps,
            root,
            root_task,
            http,
            metrics,
            stop_http,
            streams,
            listen,
            grace,
            setup,
            _lock: lock,
        })
    }

    /// The address really bound.
    pub fn listen_addr(&self) -> SocketAddr {
        self.listen
    }

    /// Where the metrics alone are served.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(address, _)| *address)
    }

    /// The token of the link that makes the first user; none where there was one at the start. Shown to
    /// whoever started the process, and logged nowhere.
    pub fn setup_token(&self) -> Option<&str> {
        self.setup.as_ref().map(IssuedToken::expose)
    }

    /// Whether another process owns the deliveries that this one could.
    pub fn standing_by(&self) -> bool {
        self.deps.settings.engine.role.delivers() && self.deps.ownership.epoch().is_none()
    }

    /// What the engine tells about itself.
    pub fn events(&self) -> &EngineEvents {
        &self.deps.events
    }

    /// Where tests make it fail.
    pub fn faults(&self) -> &Faults {
        &self.deps.faults
    }

    /// Resolves, with the reason, only where the actor tree cannot heal itself.
    pub async fn failed(&self) -> String {
        let mut failure = self.deps.failure();
        // The sender lives as long as the engine does.
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops gracefully within `server.shutdown_grace`: no new events, attempts in flight
    /// finish, outcomes are recorded. What does not finish in time is sent again by the next
    /// owner.
    pub async fn stop(self) -> anyhow::Result<()> {
        let deadline = clock::instant() + self.grace;
        self.deps.drain();
        // They would never end by themselves.
        self.streams.stop();
        self.stop_http.cancel();
        let _ = self.http.await;
        if let Some((_, served)) = self.metrics {
            let _ = served.await;
        }
        if tokio::time::timeout_at(deadline.into(), self.deps.settled())
            .await
            .is_err()
        {
            let left = self.deps.unsettled();
            tracing::warn!(
                left,
                "the grace period is over; what is still in flight is sent again"
            );
        }
        self.root.stop(None);
        let _ = self.root_task.await;
        match tokio::time::timeout(GIVING_BACK, self.deps.give_lease_back()).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                tracing::warn!(%problem, "the lease could not be given back; it ends by itself");
            }
            Err(_) => {
                tracing::warn!("the lease could not be given back in time; it ends by itself")
            }
        }
        let uses = async {
            self.deps.store_key_uses().await?;
            let uses = self.deps.sessions.all_unstored_uses();
            self.deps.store_session_uses(uses).await
        };
        let uses = tokio::time::timeout(STORING_USES, uses);
        if !matches!(uses.await, Ok(Ok(()))) {
            tracing::warn!("when keys and sessions were used last could not be stored");
        }
        let leaving = tokio::time::timeout(LEAVING, self.deps.leave());
        if !matches!(leaving.await, Ok(Ok(()))) {
            tracing::warn!(
                "this process will be shown as lost: the store did not take note of its end"
            );
        }

        if let Some(traces) = &self.deps.traces {
            traces.stop().await;
        }
        self.deps.store.close().await;
        Ok(())
    }
}

/// Where there is no user, a link that makes the first one. On SQLite, which has one process, it
/// replaces that of the start before.
async fn setup_link(store: &dyn Store, settings: &Settings) -> anyhow::Result<Option<IssuedToken>> {
    let token = IssuedToken::from_random(TokenKind::Link, clock::random_bytes());
    let now = clock::now();
    let link = Link {
        hash: token.hash(),
        created_at: now,
        expires_at: now.plus(settings.users.setup_link),
    };
    let most = match settings.is_distributed() {
        true => SETUP_LINKS,
        false => 1,
    };
    let is_kept = store.keep_setup_link(&link, most).await?;
    Ok(is_kept.then_some(token))
}

/// The description of the API: an OpenAPI document.
pub fn api_document() -> serde_json::Result<serde_json::Value> {
    serde_json::to_value(crate::http::api_document())
}

/// The root heals what dies below it; where it dies itself, only the process can be started again.
fn watch_root(deps: &Arc<Deps>, root: &ActorRef<RootMessage>) {
    let (deps, root) = (Arc::clone(deps), root.clone());
    tokio::spawn(async move {
        // Without a limit it ends with the root only.
        let _ = root.wait(None).await;
        if !deps.is_draining() {
            tracing::error!("the root of the actor tree died; the engine fails");
            deps.fail("the root of the actor tree died".to_owned());
        }
    });
}

/// Applies what is missing of the store's schema and returns the names of what was applied.
pub async fn migrate(settings: &Settings) -> anyhow::Result<Vec<String>> {
    if settings.is_distributed() {
        let store = PostgresStore::connect(&settings.store)
            .await
            .context("cannot use Postgres")?;
        let applied = store.migrate().await.context("cannot migrate Postgres");
        store.close().await;
        return applied;
    }
    let _lock = DataDirLock::acquire(
        &settings.store.data_dir,
        &format!("process {} (posthaste migrate)", std::process::id()),
    )?;
    let store = SqliteStore::open(&settings.store)
        .await
        .context("cannot use SQLite")?;
    let applied = store.migrate().await.context("cannot migrate SQLite");
    store.close().await;
    applied
}

/// Encrypts every secret in the store with the first master key, and says how many there were.
pub async fn reseal_secrets(settings: &Settings) -> anyhow::Result<Resealed> {
    if settings.is_distributed() {
        let store = PostgresStore::connect(&settings.store)
            .await
            .context("cannot use Postgres")?;
        store.migrate().await.context("cannot migrate Postgres")?;
        let resealed = store.reseal_secrets().await;
        store.close().await;
        return Ok(resealed?);
    }
    let _lock = DataDirLock::acquire(
        &settings.store.data_dir,
        &format!("process {} (posthaste secrets rotate)", std::process::id()),
    )?;
    let store = SqliteStore::open(&settings.store)
        .await
        .context("cannot use SQLite")?;
    store.migrate().await.context("cannot migrate SQLite")?;
    let resealed = store.reseal_secrets().await;
    store.close().await;
    Ok(resealed?)
}

async fn profile(settings: &Settings, holder: &str) -> anyhow::Result<Profile> {
    if settings.is_distributed() {
        distributed(settings, holder).await
    } else {
        embedded(settings, holder).await
    }
}

async fn embedded(settings: &Settings, holder: &str) -> anyhow::Result<Profile> {
    let lock = DataDirLock::acquire(&settings.store.data_dir, holder)?;
    let store = SqliteStore::open(&settings.store)
        .await
        .context("cannot use SQLite")?;
    store.migrate().await.context("cannot migrate SQLite")?;
    let ownership = Ownership::none();
    // The lock on the directory is what makes this process the owner, for as long as it lives.
    if let LeaseState::Held { epoch } = store.lease(holder, settings.engine.lease_ttl).await? {
        ownership.hold(epoch, None);
    }
    Ok(Profile {
        store: Arc::new(store),
        feed: Arc::new(MemoryFeed),
        shared_limits: None,
        talk: Arc::new(NoTalk),
        ownership,
        lock: Some(lock),
    })
}

async fn distributed(settings: &Settings, holder: &str) -> anyhow::Result<Profile> {
    let store = PostgresStore::connect(&settings.store)
        .await
        .context("cannot use Postgres")?;
    store.migrate().await.context("cannot migrate Postgres")?;
    let ownership = Ownership::none();
    if settings.engine.role.delivers() {
        ask_for_lease(&store, settings, holder, &ownership).await?;
    }
    let mut shared_limits: Option<Arc<dyn SharedLimits>> = None;
    let mut talk: Arc<dyn Talk> = Arc::new(NoTalk);
    let feed: Arc<dyn Feed> = match &settings.feed.redis_url {
        Some(url) => {
            let installation = store
                .installation()
                .await
                .context("cannot name the installation")?;
            let unusable = |problem| anyhow::anyhow!("REDIS_URL: {problem}");
            let limits = RedisLimits::new(url.expose(), &installation).map_err(unusable)?;
            shared_limits = Some(Arc::new(limits));
            talk = Arc::new(RedisTalk::new(url.expose(), &installation).map_err(unusable)?);
            let feed = RedisFeed::start(url.expose(), &installation, holder);
            Arc::new(feed.map_err(unusable)?)
        }
        None => Arc::new(MemoryFeed),
    };
    Ok(Profile {
        store: Arc::new(store),
        feed,
        shared_limits,
        talk,
        ownership,
        lock: None,
    })
}

async fn ask_for_lease(
    store: &PostgresStore,
    settings: &Settings,
    holder: &str,
    ownership: &Ownership,
) -> anyhow::Result<()> {
    let ttl = settings.engine.lease_ttl;
    let until = clock::instant() + ttl;
    let lease = store.lease(holder, ttl).await;
    match lease.context("cannot ask for the lease")? {
        LeaseState::Held { epoch } => {
            ownership.hold(epoch, Some(until));
        }
        LeaseState::HeldBy { holder } => {
            tracing::info!(holder, "standing by: another process delivers");
            ownership.lose_to(holder);
        }
    }
    Ok(())
}

fn shared(
    settings: &Arc<Settings>,
    store: &Arc<dyn Store>,
    feed: Arc<dyn Feed>,
    ownership: Ownership,
    limits: Arc<Limits>,
    holder: String,
) -> anyhow::Result<Arc<Deps>> {
    let faults = Arc::new(Faults::default());
    let transport = Transport::new(&settings.delivery, &settings.address_guard)
        .context("cannot prepare to call receivers")?;
    let retry_after_max = settings.delivery.retry_after_max;
    let metrics = Arc::new(Metrics::new(settings.metrics.subscriptions));
    let traces = Traces::start(&settings.tracing, metrics.spans_lost.clone())?;
    Ok(Deps::new(Parts {
        keyring: Arc::new(Keyring::default()),
        sessions: Arc::new(Sessions::new(settings.sessions.idle)),
        limits,
        directory: Arc::new(
            Directory::new(Arc::clone(store)).with_unknown_types(settings.events.unknown_types),
        ),
        courier: Courier::new(transport, retry_after_max, Arc::clone(&faults)),
        feed,
        ownership: Arc::new(ownership),
        events: EngineEvents::new(FOLLOWERS_LAG),
        settings: Arc::clone(settings),
        store: Arc::clone(store),
        holder,
        metrics,
        traces,
        faults,
    }))
}

/// The address guard as the routes see it.
struct Guard(AddressGuard);

impl UrlGuard for Guard {
    fn check(&self, url: &Url) -> Result<(), String> {
        self.0.check_url(url).map_err(|refusal| refusal.to_string())
    }
}
