//! Limits on callers: how often a key and an address may ask, and how often an address may try
//! keys that are none, or anybody to sign in.
//!
//! A node limits by itself, in memory. Where nodes share their limits, what this node lets in is
//! asked for once more there, and what it refuses is not, so that a flood costs no round trip. What
//! is refused there counts here. Where no limit is set nothing is looked up. State is bounded: who
//! has the whole quota again is forgotten, and past a number of callers further ones share a few
//! quotas.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota as Pace, RateLimiter};
use sha2::{Digest, Sha256};

use crate::clock;
use crate::domain::access::{Caller, Scope};
use crate::domain::id::{ApiKeyId, UserId};
use crate::domain::quota::{Quota, Standing};
use crate::feed::shared_limits::SharedLimits;
use crate::settings::{CallerLimits, LimitSettings};

/// Callers that one limit tells apart; further ones share.
const MOST_CALLERS: usize = 100_000;
/// Quotas that those past it share.
const CROWDS: u64 = 1_024;
/// Requests after which those are forgotten who have their whole quota again.
const TIDIED_AFTER: u32 = 4_096;

/// Requests that are limited together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What posts events.
    EventsWrite,
    /// What looks at anything.
    Read,
    /// What changes anything else.
    Write,
}

impl Group {
    /// Of a request for a route with that scope, which changes nothing or something.
    pub fn of(scope: Scope, only_looks: bool) -> Self {
        match (scope, only_looks) {
            (_, true) => Self::Read,
            (Scope::EventsWrite, false) => Self::EventsWrite,
            (_, false) => Self::Write,
        }
    }
}

/// What a request met: one standing for each quota that it took from. Empty where it took none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict(pub Vec<(&'static str, Quota, Standing)>);

impl Verdict {
    /// Where it is refused, how long the caller has to wait.
    pub fn refused_for(&self) -> Option<Duration> {
        let refused = self.0.iter().filter(|(_, _, standing)| !standing.admitted);
        refused.map(|(_, _, standing)| standing.wait).max()
    }
}

/// See the module's documentation.
pub struct Limits {
    events_write: GroupLimits,
    read: GroupLimits,
    write: GroupLimits,
    failed: Option<Limit>,
    sign_in_per_address: Option<Limit>,
    sign_in_per_account: Option<Limit>,
    /// Who failed too often, until when.
    blocked: Blocked,
    shared: Option<Arc<dyn SharedLimits>>,
}

impl Limits {
    /// As the settings have it; `shared` where nodes share them.
    pub fn new(settings: &LimitSettings, shared: Option<Arc<dyn SharedLimits>>) -> Self {
        let failed = settings.failed_auth_per_address;
        Self {
            events_write: GroupLimits::new(
                &settings.events_write,
                "events_write_per_key",
                "events_write_per_address",
            ),
            read: GroupLimits::new(&settings.read, "read_per_key", "read_per_address"),
            write: GroupLimits::new(&settings.write, "write_per_key", "write_per_address"),
            failed: failed.map(|quota| Limit::new("failed_auth_per_address", quota)),
            sign_in_per_address: settings
                .sign_in_per_address
                .map(|quota| Limit::new("sign_in_per_address", quota)),
            sign_in_per_account: settings
                .sign_in_per_account
                .map(|quota| Limit::new("sign_in_per_account", quota)),
            blocked: Blocked::default(),
            shared,
        }
    }

    /// Whether requests of that group are limited at all.
    pub fn apply_to(&self, group: Group) -> bool {
        let limits = self.of(group);
        limits.per_key.is_some() || limits.per_address.is_some()
    }

    fn of(&self, group: Group) -> &GroupLimits {
        match group {
            Group::EventsWrite => &self.events_write,
            Group::Read => &self.read,
            Group::Write => &self.write,
        }
    }

    /// Takes one request of that caller from that address.
    pub async fn take(&self, group: Group, asker: impl Into<Asker>, address: IpAddr) -> Verdict {
        let limits = self.of(group);
        let who = match asker.into() {
            Asker::Key(key) => Who::Key(key),
            Asker::User(user) => Who::User(user),
        };
        self.take_all([
            (&limits.per_address, Who::Address(network(address))),
            (&limits.per_key, who),
        ])
        .await
    }

    /// Takes one try to sign in from that address, as whomever.
    pub async fn take_sign_in(&self, address: IpAddr) -> Verdict {
        let who = Who::Address(network(address));
        self.take_all([(&self.sign_in_per_address, who)]).await
    }

    /// Takes one try to sign in as the user with that e-mail address, whether there is one or not.
    /// `known` is the network that it comes from, where that user signed in from there before: it has a
    /// quota of its own, so that nobody who tries from elsewhere keeps them out.
    pub async fn take_account(&self, email: &str, known: Option<IpAddr>) -> Verdict {
        let who = Who::Account(account(email), known);
        self.take_all([(&self.sign_in_per_account, who)]).await
    }

    async fn take_all<'a>(
        &self,
        callers: impl IntoIterator<Item = (&'a Option<Limit>, Who)>,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let mut asked = Vec::new();
        for (limit, who) in callers {
            let Some(limit) = limit else { continue };
            let standing = limit.take(&who);
            verdict.0.push((limit.name, limit.quota, standing));
            if !standing.admitted {
                return verdict;
            }
            if self.shared.is_some() {
                asked.push((format!("{}:{who}", limit.name), limit.quota));
            }
        }
        if let Some(shared) = &self.shared
            && !asked.is_empty()
            && let Some(standings) = shared.take(&asked).await
        {
            for ((_, _, known), shared) in verdict.0.iter_mut().zip(standings) {
                *known = shared;
            }
        }
        verdict
    }

    /// How long this address may try no further key, where it tried too many.
    pub fn blocked_for(&self, address: impl FnOnce() -> IpAddr) -> Option<Duration> {
        if !self.blocked.any.load(Ordering::Relaxed) {
            return None;
        }
        let until = *self.blocked.until().get(&network(address()))?;
        let left = until.saturating_duration_since(clock::instant());
        (!left.is_zero()).then_some(left)
    }

    /// This address showed a key that is none.
    pub fn note_failure(&self, address: IpAddr) {
        let Some(limit) = &self.failed else { return };
        let network = network(address);
        let standing = limit.take(&Who::Address(network));
        if standing.remaining == 0 {
            let wait = match standing.admitted {
                true => limit.quota.interval(),
                false => standing.wait,
            };
            self.blocked.note(network, clock::instant() + wait);
        }
    }

    /// Forgets who has their whole quota again.
    pub fn tidy(&self) {
        let groups = [&self.events_write, &self.read, &self.write];
        let limits = groups
            .iter()
            .flat_map(|group| [&group.per_key, &group.per_address]);
        let others = [
            &self.failed,
            &self.sign_in_per_address,
            &self.sign_in_per_account,
        ];
        for limit in limits.chain(others).flatten() {
            limit.tidy();
        }
        self.blocked.tidy();
    }
}

struct GroupLimits {
    per_key: Option<Limit>,
    per_address: Option<Limit>,
}

impl GroupLimits {
    fn new(settings: &CallerLimits, per_key: &'static str, per_address: &'static str) -> Self {
        Self {
            per_key: settings.per_key.map(|quota| Limit::new(per_key, quota)),
            per_address: settings
                .per_address
                .map(|quota| Limit::new(per_address, quota)),
        }
    }
}

/// Who asks: whoever shares a quota, from wherever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Whoever has that key; none is the admin key of the settings.
    Key(Option<ApiKeyId>),
    /// A user, in whichever session.
    User(UserId),
}

impl From<Option<ApiKeyId>> for Asker {
    fn from(key: Option<ApiKeyId>) -> Self {
        Self::Key(key)
    }
}

impl From<&Caller> for Asker {
    fn from(caller: &Caller) -> Self {
        caller.user.map_or(Self::Key(caller.key), Self::User)
    }
}

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Key(Option<ApiKeyId>),
    User(UserId),
    Address(IpAddr),
    /// Who has that e-mail address, from a place where they are known or from all others. A hash: it
    /// stands in Redis.
    Account([u8; 16], Option<IpAddr>),
    /// Of those that are too many to be told apart.
    Crowd(u64),
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(Some(id)) => write!(f, "{id}"),
            Self::Key(None) => f.write_str("admin"),
            Self::User(id) => write!(f, "user-{id}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Account(hash, None) => f.write_str(&hex::encode(hash)),
            Self::Account(hash, Some(place)) => write!(f, "{}-{place}", hex::encode(hash)),
            Self::Crowd(number) => write!(f, "crowd-{number}"),
        }
    }
}

type Limiter = RateLimiter<Who, DashMapStateStore<Who>, DefaultClock, StateInformationMiddleware>;

/// One quota, and what is used of it by whom.
struct Limit {
    /// Of the setting, which callers are told.
    name: &'static str,
    quota: Quota,
    limiter: Limiter,
    taken: AtomicU32,
    is_crowded: AtomicBool,
    hasher: RandomState,
}

impl Limit {
    fn new(name: &'static str, quota: Quota) -> Self {
        let burst = NonZeroU32::new(quota.burst()).unwrap_or(NonZeroU32::MIN);
        // Without an interval there would be no limit, and the settings have none so short.
        let interval = quota.interval().max(Duration::from_nanos(1));
        let pace = Pace::with_period(interval).unwrap_or(Pace::per_second(burst));
        Self {
            name,
            quota,
            limiter: RateLimiter::dashmap(pace.allow_burst(burst)).with_middleware(),
            taken: AtomicU32::new(0),
            is_crowded: AtomicBool::new(false),
            hasher: RandomState::new(),
        }
    }

    fn take(&self, who: &Who) -> Standing {
        if self.taken.fetch_add(1, Ordering::Relaxed) % TIDIED_AFTER == TIDIED_AFTER - 1 {
            self.tidy();
        }
        let who = match self.is_crowded.load(Ordering::Relaxed) {
            true => Who::Crowd(self.hasher.hash_one(who) % CROWDS),
            false => *who,
        };
        match self.limiter.check_key(&who) {
            Ok(state) => self.quota.admitted_with(state.remaining_burst_capacity()),
            Err(until) => Standing {
                admitted: false,
                remaining: 0,
                wait: until.wait_time_from(DefaultClock::default().now()),
            },
        }
    }

    fn tidy(&self) {
        self.limiter.retain_recent();
        let is_crowded = self.limiter.len() >= MOST_CALLERS;
        self.is_crowded.store(is_crowded, Ordering::Relaxed);
    }
}

/// Addresses that tried too many keys.
#[derive(Default)]
struct Blocked {
    /// So that nobody looks while there are none.
    any: AtomicBool,
    until: Mutex<HashMap<IpAddr, Instant>>,
}

impl Blocked {
    fn note(&self, network: IpAddr, until: Instant) {
        let mut blocked = self.until();
        if blocked.len() < MOST_CALLERS {
            blocked.insert(network, until);
            self.any.store(true, Ordering::Relaxed);
        }
    }

    fn tidy(&self) {
        let now = clock::instant();
        let mut blocked = self.until();
        blocked.retain(|_, until| now < *until);
        self.any.store(!blocked.is_empty(), Ordering::Relaxed);
    }

    fn until(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn account(email: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(email).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// What counts as one address: of IPv6 the network of 64 bits, which a single host is given.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    }
}

#[cfg(test)]
mod tests;
