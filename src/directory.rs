//! Who subscribes to what, what tenants may, and which types of events there are: in memory, in
//! front of the database.
//!
//! The directory has a version, raised by every change in the change's own transaction. An
//! event's commit is fenced by it: a group that was matched against another version leaves
//! nothing behind, the directory is brought up to date and the group matched again. So no
//! event that is answered after a change is matched against the state before it, on any node.
//! The catalogue of event types rides on that version: its changes raise it too.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Mutex;
use tracing::warn;

use crate::domain::catalogue::{Catalogue, UnknownTypes};
use crate::domain::event::Event;
use crate::domain::event_type::PatternShape;
use crate::domain::id::SubscriptionId;
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::domain::tenant::{Tenant, TenantStatus};
use crate::store::{Result, Store};

/// The subscriptions and tenants of an installation, as of some version.
pub struct Directory {
    store: Arc<dyn Store>,
    entries: RwLock<Entries>,
    catalogue: ArcSwap<Catalogue>,
    /// Held while changes are fetched, so that they are applied in order.
    refreshing: Mutex<()>,
}

/// Whom events reach.
#[derive(Debug, Default)]
pub struct Matches {
    /// The directory's version that they were matched against.
    pub version: i64,
    /// Event by event.
    pub subscriptions: Vec<Arc<Subscription>>,
    /// How many of them are each event's; of events that were not looked at, nothing.
    pub counts: Vec<usize>,
    /// Some tenant's backlogs are bounded.
    pub bounded: bool,
}

/// What became known.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// Subscriptions that changed.
    pub subscriptions: Vec<Arc<Subscription>>,
    /// Whether any tenant changed.
    pub tenants: bool,
}

#[derive(Default)]
struct Entries {
    version: i64,
    subscriptions: HashMap<SubscriptionId, Arc<Subscription>>,
    /// Those that a rule holds.
    held: HashSet<SubscriptionId>,
    /// Those that no rule holds any more, but whose hold is full.
    draining: HashSet<SubscriptionId>,
    /// Those that are registered.
    tenants: HashMap<Arc<str>, Arc<Tenant>>,
    /// Some tenant's backlogs are bounded.
    bounded: bool,
    index: PatternIndex,
}

/// Finds the subscriptions whose patterns match an event type. What it finds is checked again
/// with [`Subscription::wants`]; it only has to find enough.
#[derive(Default)]
struct PatternIndex {
    exact: HashMap<String, Vec<Arc<Subscription>>>,
    /// By prefix, its dot included.
    prefix: HashMap<String, Vec<Arc<Subscription>>>,
    /// `*`, and patterns with a wildcard in the middle.
    others: Vec<Arc<Subscription>>,
}

impl PatternIndex {
    fn insert(&mut self, subscription: &Arc<Subscription>) {
        for pattern in &subscription.event_types {
            let found = match pattern.shape() {
                PatternShape::Exact(text) => self.exact.entry(text.to_owned()).or_default(),
                PatternShape::Prefix(text) => self.prefix.entry(text.to_owned()).or_default(),
                PatternShape::All | PatternShape::Mixed => &mut self.others,
            };
            // All of a subscription's patterns come in one go, so a repeat is the last one.
            if found.last().map(|last| last.id) != Some(subscription.id) {
                found.push(Arc::clone(subscription));
            }
        }
    }

    fn remove(&mut self, subscription: &Subscription) {
        let without = |found: &mut Vec<Arc<Subscription>>| {
            found.retain(|other| other.id != subscription.id);
            found.is_empty()
        };
        for pattern in &subscription.event_types {
            match pattern.shape() {
                PatternShape::Exact(text) => {
                    if self.exact.get_mut(text).is_some_and(without) {
                        self.exact.remove(text);
                    }
                }
                PatternShape::Prefix(text) => {
                    if self.prefix.get_mut(text).is_some_and(without) {
                        self.prefix.remove(text);
                    }
                }
                PatternShape::All | PatternShape::Mixed => {
                    without(&mut self.others);
                }
            }
        }
    }

    fn candidates<'a>(
        &'a self,
        event_type: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Subscription>> + 'a {
        let prefixes = event_type
            .match_indices('.')
            .filter_map(|(dot, _)| self.prefix.get(&event_type[..=dot]));
        self.exact
            .get(event_type)
            .into_iter()
            .chain(prefixes)
            .flatten()
            .chain(&self.others)
    }
}

impl Entries {
    fn apply(&mut self, subscription: Arc<Subscription>) {
        if let Some(old) = self.subscriptions.remove(&subscription.id) {
            self.index.remove(&old);
            self.held.remove(&old.id);
            self.draining.remove(&old.id);
        }
        if subscription.state != SubscriptionState::Deleted {
            self.index.insert(&subscription);
            if subscription.is_held_by_rule() {
                self.held.insert(subscription.id);
            } else if subscription.hold.full_since.is_some() {
                self.draining.insert(subscription.id);
            }
            self.subscriptions.insert(subscription.id, subscription);
        }
    }

    fn apply_tenants(&mut self, changed: Vec<Tenant>) {
        for tenant in changed {
            match tenant.status {
                TenantStatus::Deleted => self.tenants.remove(&tenant.id),
                TenantStatus::Active | TenantStatus::Inactive => {
                    let id = Arc::clone(&tenant.id);
                    self.tenants.insert(id, Arc::new(tenant))
                }
            };
        }
        let mut all = self.tenants.values();
        self.bounded = all.any(|tenant| tenant.limits.max_backlog.is_some());
    }
}

impl Directory {
    /// An empty directory; [`Directory::refresh`] fills it.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            entries: RwLock::default(),
            catalogue: ArcSwap::default(),
            refreshing: Mutex::new(()),
        }
    }

    /// With this to become of events whose type is not in the catalogue.
    pub fn with_unknown_types(self, unknown: UnknownTypes) -> Self {
        self.catalogue.store(Arc::new(Catalogue::new(unknown)));
        self
    }

    /// Fetches what changed since the version that is known, and returns it.
    pub async fn refresh(&self) -> Result<Refreshed> {
        let _turn = self.refreshing.lock().await;
        let changes = self.store.directory_since(self.version()).await?;
        if changes.version > self.version() {
            // Before the version is known here: where this fails, it is asked for again.
            self.refresh_catalogue().await?;
        }
        let changed: Vec<_> = changes.subscriptions.into_iter().map(Arc::new).collect();
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for subscription in &changed {
            entries.apply(Arc::clone(subscription));
        }
        let tenants = !changes.tenants.is_empty();
        if tenants {
            entries.apply_tenants(changes.tenants);
        }
        entries.version = entries.version.max(changes.version);
        Ok(Refreshed {
            subscriptions: changed,
            tenants,
        })
    }

    /// Loads the catalogue where it changed.
    async fn refresh_catalogue(&self) -> Result<()> {
        let known = self.catalogue();
        let stored = self.store.catalogue_since(known.version()).await?;
        let Some(types) = stored.types else {
            return Ok(());
        };
        let (catalogue, unusable) = known.of(stored.version, &types);
        for (event_type, problem) in unusable {
            warn!(%event_type, problem, "a stored schema cannot be used; its events go unchecked");
        }
        self.catalogue.store(Arc::new(catalogue));
        Ok(())
    }

    /// The catalogue of event types.
    pub fn catalogue(&self) -> Guard<Arc<Catalogue>> {
        self.catalogue.load()
    }

    /// The version known here.
    pub fn version(&self) -> i64 {
        self.read().version
    }

    /// One subscription as known here; deleted ones are not.
    pub fn get(&self, id: SubscriptionId) -> Option<Arc<Subscription>> {
        self.read().subscriptions.get(&id).cloned()
    }

    /// Those that are deactivated or suspended.
    pub fn held_by_rule(&self) -> Vec<Arc<Subscription>> {
        let entries = self.read();
        let held = entries.held.iter();
        held.filter_map(|id| entries.subscriptions.get(id))
            .cloned()
            .collect()
    }

    /// Those that no rule holds any more, but whose hold is full: what comes in is skipped until there
    /// is room.
    pub fn draining(&self) -> Vec<SubscriptionId> {
        self.read().draining.iter().copied().collect()
    }

    /// A tenant that is registered.
    pub fn tenant(&self, id: &str) -> Option<Arc<Tenant>> {
        self.read().tenants.get(id).cloned()
    }

    /// Pending deliveries that each subscription of a tenant may have at most.
    pub fn max_backlog(&self, tenant: &str) -> Option<u64> {
        let entries = self.read();
        entries.tenants.get(tenant)?.limits.max_backlog
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Subscription>> {
        self.read().subscriptions.values().cloned().collect()
    }

    /// How many are in each state but deleted.
    pub fn count_by_state(&self) -> Vec<(&'static str, u64)> {
        let mut counts = [0; SubscriptionState::ALL.len()];
        for subscription in self.read().subscriptions.values() {
            counts[subscription.state as usize] += 1;
        }
        SubscriptionState::ALL
            .into_iter()
            .filter(|state| *state != SubscriptionState::Deleted)
            .map(|state| (state.as_str(), counts[state as usize]))
            .collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read().subscriptions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Matches events against one and the same version. Ends with the event whose matches are
    /// the first past `enough`.
    pub fn match_events<'a>(
        &self,
        events: impl Iterator<Item = &'a Event>,
        enough: usize,
    ) -> Matches {
        let entries = self.read();
        let mut matches = Matches {
            version: entries.version,
            bounded: entries.bounded,
            ..Matches::default()
        };
        for event in events {
            let before = matches.subscriptions.len();
            entries.add_matches(event, &mut matches.subscriptions);
            matches.counts.push(matches.subscriptions.len() - before);
            if matches.subscriptions.len() > enough {
                break;
            }
        }
        matches
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Adds the subscriptions that want an event, in the order of their ids.
    fn add_matches(&self, event: &Event, found: &mut Vec<Arc<Subscription>>) {
        let before = found.len();
        let candidates = self.index.candidates(event.event_type.as_str());
        found.extend(
            candidates
                .filter(|subscription| subscription.wants(event))
                .cloned(),
        );
        // A subscription may be found by several of its patterns and is still matched once.
        let Some([_, _, ..]) = found.get(before..) else {
            return;
        };
        let mut own = found.split_off(before);
        own.sort_unstable_by_key(|subscription| subscription.id);
        own.dedup_by_key(|subscription| subscription.id);
        found.append(&mut own);
    }
}
