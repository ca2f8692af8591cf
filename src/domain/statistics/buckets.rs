//! From deltas to buckets of time.
//!
//! Deltas are added up by the minute first, for there are many of them; only then does each minute
//! go to the scopes and widths that it belongs to. Whoever folds and whoever reads what is not yet
//! folded goes this same way.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Delta, Figures, Scope, Width};
use crate::domain::Timestamp;
use crate::domain::id::SubscriptionId;

/// Which bucket: whose, how wide, and where it begins.
pub type Key = (Scope, Width, Timestamp);

/// Whose subscriptions they are, where they are a tenant's.
pub type TenantOf = BTreeMap<SubscriptionId, Arc<str>>;

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Whose.
    pub scope: Scope,
    /// How wide.
    pub width: Width,
    /// Where it begins.
    pub start: Timestamp,
    /// What happened.
    pub figures: Figures,
}

/// Deltas by their minute; by none where only totals count them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minutes(BTreeMap<Option<Timestamp>, Delta>);

impl Minutes {
    /// Adds what one commit brought.
    pub fn add(&mut self, at: Option<Timestamp>, delta: Delta) {
        let minute = at.map(|at| Width::Minute.start_of(at));
        self.0.entry(minute).or_default().add(delta);
    }

    /// How many figures and types there are to go on with.
    pub fn pieces(&self) -> usize {
        let pieces = self.0.values();
        pieces
            .map(|delta| delta.events.len() + delta.subscriptions.len())
            .sum()
    }

    /// The subscriptions they are about, each perhaps several times.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionId> {
        let deltas = self.0.values();
        deltas.flat_map(|delta| delta.subscriptions.keys().copied())
    }

    /// What they come to, bucket by bucket, of the buckets that are wanted.
    pub fn buckets(
        &self,
        tenant_of: &TenantOf,
        wanted: impl Fn(&Key) -> bool,
    ) -> BTreeMap<Key, Figures> {
        let mut buckets: BTreeMap<Key, Figures> = BTreeMap::new();
        let mut note = |scope: &Scope, minute: Option<Timestamp>, note: &dyn Fn(&mut Figures)| {
            for width in Width::ALL {
                let start = match (minute, width) {
                    (_, Width::Ever) => Width::Ever.start_of(Timestamp::default()),
                    (Some(minute), _) => width.start_of(minute),
                    (None, _) => continue,
                };
                let key = (scope.clone(), width, start);
                if wanted(&key) {
                    note(buckets.entry(key).or_default());
                }
            }
        };
        for (minute, delta) in &self.0 {
            for ((tenant, event_type), count) in &delta.events {
                let noted = |figures: &mut Figures| {
                    figures.accepted += count;
                    figures.types.add(event_type, *count);
                };
                note(&Scope::All, *minute, &noted);
                if let Some(tenant) = tenant {
                    note(&Scope::Tenant(Arc::clone(tenant)), *minute, &noted);
                }
            }
            for (subscription, figures) in &delta.subscriptions {
                let noted = |all: &mut Figures| all.add(figures);
                note(&Scope::All, *minute, &noted);
                note(&Scope::Subscription(*subscription), *minute, &noted);
                if let Some(tenant) = tenant_of.get(subscription) {
                    note(&Scope::Tenant(Arc::clone(tenant)), *minute, &noted);
                }
            }
        }
        buckets
    }
}
