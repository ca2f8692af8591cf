//! Names to addresses, without a thread per name.
//!
//! Look-ups of one name are shared while they run and remembered afterwards, so that a burst
//! to one receiver costs one look-up, and a receiver whose name servers hang holds one of the
//! bounded slots and not all of them. The system's configuration and `/etc/hosts` are read
//! once, at start.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
    ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{TokioResolver, system_conf};
use tokio::sync::{OnceCell, Semaphore};

use super::address_guard::is_localhost;
use super::failure::failure;
use crate::clock;
use crate::domain::outcome::{Failure, FailureKind};

/// Look-ups under way at most, over all names.
const MAX_LOOKUPS: usize = 128;
/// One question to one name server. With [`ATTEMPTS`] this bounds how long a slot is held.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// A failure is remembered this long: it spares name servers a burst of the same question.
const FAILURE_CACHE: Duration = Duration::from_secs(2);
/// Names remembered at most.
const MAX_NAMES: usize = 8_192;
/// Addresses kept of one name.
const MAX_ADDRESSES: usize = 16;

/// Resolves and remembers names.
pub(super) struct Resolver {
    resolver: TokioResolver,
    slots: Semaphore,
    cache: Mutex<HashMap<Box<str>, Arc<OnceCell<Lookup>>>>,
    cache_for: Duration,
}

/// A finished look-up.
struct Lookup {
    addresses: Result<Arc<[IpAddr]>, Failure>,
    until: Instant,
}

impl Resolver {
    /// Asks these servers, or where there are none those of the system.
    pub(super) fn new(cache_for: Duration, servers: &[SocketAddr]) -> Result<Self, NetError> {
        let (config, mut options) = match servers {
            [] => system_configuration(),
            servers => (asking(servers), ResolverOpts::default()),
        };
        // A receiver's name is meant as it stands: search domains come second. (Kubernetes
        // sets ndots to 5, which would cost every public name four failing questions.)
        options.ndots = 1;
        options.timeout = QUESTION_TIMEOUT;
        options.attempts = ATTEMPTS;
        options.use_hosts_file = ResolveHosts::Always;
        // Both, IPv4 first: IPv6 that is announced but not routed is common in containers.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.positive_max_ttl = Some(cache_for);
        options.negative_max_ttl = Some(FAILURE_CACHE);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()?;
        Ok(Self {
            resolver,
            slots: Semaphore::new(MAX_LOOKUPS),
            cache: Mutex::default(),
            cache_for,
        })
    }

    /// The addresses of a name, IPv4 first. Never empty.
    pub(super) async fn resolve(&self, name: &str) -> Result<Arc<[IpAddr]>, Failure> {
        if is_localhost(name) {
            return Ok(Arc::new([
                Ipv4Addr::LOCALHOST.into(),
                Ipv6Addr::LOCALHOST.into(),
            ]));
        }
        let cell = self.cell(name);
        // Whoever comes first asks; if its attempt is dropped, the next in line asks anew.
        cell.get_or_init(|| self.look_up(name))
            .await
            .addresses
            .clone()
    }

    /// The place where this name's look-up is or will be, emptied when it is out of date.
    fn cell(&self, name: &str) -> Arc<OnceCell<Lookup>> {
        let now = clock::instant();
        let fresh = |cell: &Arc<OnceCell<Lookup>>| cell.get().is_none_or(|done| now < done.until);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cache.get(name).filter(|cell| fresh(cell)) {
            return Arc::clone(cell);
        }
        if cache.len() >= MAX_NAMES {
            cache.retain(|_, cell| fresh(cell));
        }
        if cache.len() >= MAX_NAMES {
            cache.clear();
        }
        let cell = Arc::new(OnceCell::new());
        cache.insert(name.into(), Arc::clone(&cell));
        cell
    }

    async fn look_up(&self, name: &str) -> Lookup {
        // The semaphore is never closed; were it, going on without a slot would be right.
        let _slot = self.slots.acquire().await.ok();
        let answer = self.resolver.lookup_ip(name).await;
        let now = clock::instant();
        match answer {
            Ok(found) => {
                let addresses: Arc<[IpAddr]> = found.iter().take(MAX_ADDRESSES).collect();
                if addresses.is_empty() {
                    let message = "the receiver's name has no address";
                    return failed(message, now);
                }
                let until = found.valid_until().min(now + self.cache_for);
                Lookup {
                    addresses: Ok(addresses),
                    until,
                }
            }
            Err(error) => failed(reason(&error), now),
        }
    }
}

/// Where there is none, the name server is looked for on this machine, which is what the C
/// library does too (resolv.conf(5)).
fn system_configuration() -> (ResolverConfig, ResolverOpts) {
    system_conf::read_system_conf().unwrap_or_else(|error| {
        tracing::warn!(%error, "no usable resolver configuration; asking 127.0.0.1 for names");
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
        (asking(&[local]), ResolverOpts::default())
    })
}

fn asking(servers: &[SocketAddr]) -> ResolverConfig {
    let server = |at: &SocketAddr| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        let connections = connections.map(|mut connection| {
            connection.port = at.port();
            connection
        });
        NameServerConfig::new(at.ip(), true, connections.into())
    };
    ResolverConfig::from_name_servers(servers.iter().map(server).collect())
}

fn failed(message: &str, now: Instant) -> Lookup {
    Lookup {
        addresses: Err(failure(FailureKind::Name, message)),
        until: now + FAILURE_CACHE,
    }
}

fn reason(error: &NetError) -> &'static str {
    match error {
        error if error.is_nx_domain() => "the receiver's name does not exist",
        error if error.is_no_records_found() => "the receiver's name has no address",
        NetError::Timeout => "the name servers did not answer",
        _ => "the receiver's name could not be resolved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_needs_no_name_server() {
        let resolver = Resolver::new(Duration::from_secs(30), &[]).unwrap();
        for name in ["localhost", "a.localhost"] {
            let addresses = resolver.resolve(name).await.unwrap();
            assert_eq!(addresses[0], IpAddr::from(Ipv4Addr::LOCALHOST), "{name}");
        }
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist_is_a_failure_and_is_remembered() {
        let resolver = Resolver::new(Duration::from_secs(30), &[]).unwrap();
        let failure = resolver.resolve("no-such.invalid").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Name);
        assert!(resolver.cell("no-such.invalid").initialized());
    }

    #[tokio::test]
    async fn the_names_remembered_are_bounded() {
        let resolver = Resolver::new(Duration::from_secs(30), &[]).unwrap();
        for number in 0..MAX_NAMES * 2 {
            resolver.cell(&format!("{number}.example"));
        }
        let names = resolver.cache.lock().unwrap().len();
        assert!(names <= MAX_NAMES, "{names}");
    }
}
