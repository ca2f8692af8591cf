//! What the stores and those who read statistics say to each other, and what both stores do alike:
//! what a group comes to, and what deltas come to.
//!
//! A group's delta is written in the commit of what it counts, and counts only what this very commit
//! changed: so a group that is run again after an unknown fate brings nothing a second time.

mod bytes;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;

use super::codec::{self, damaged};
use super::{AcceptGroup, Result};
use crate::domain::Timestamp;
use crate::domain::delivery::{AttemptRecord, DeliveryState, PendingDelivery};
use crate::domain::event::Event;
use crate::domain::id::{EventId, SubscriptionId};
use crate::domain::statistics::{Bucket, Delta, Figures, Key, Minutes, Piece, Scope, Width};
use crate::store::CutBreaker;

pub(super) use bytes::{delta_bytes, figures, figures_bytes};

/// Deltas that a read adds to the buckets at most: what is folded every few seconds.
pub const MOST_UNFOLDED: u32 = 20_000;
/// Figures and types that one fold goes on with at most: it holds its rows meanwhile.
pub(super) const MOST_PIECES: usize = 500;

/// Whose buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of these.
    Scopes(Vec<Scope>),
    /// Of every subscription that has any there, up to so many buckets.
    Subscriptions {
        /// Buckets at most.
        most: u32,
    },
}

/// Which buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsQuery {
    /// Whose.
    pub whose: Whose,
    /// From when to when, and how wide.
    pub pieces: Vec<Piece>,
}

impl StatisticsQuery {
    pub(super) fn wants(&self, (scope, width, start): &Key) -> bool {
        let whose = match &self.whose {
            Whose::Scopes(scopes) => scopes.contains(scope),
            Whose::Subscriptions { .. } => matches!(scope, Scope::Subscription(_)),
        };
        whose && self.pieces.iter().any(|piece| piece.holds(*width, *start))
    }

    /// Whether tenants' buckets are among them: only then does it matter whose subscriptions are.
    pub(super) fn names_tenants(&self) -> bool {
        let Whose::Scopes(scopes) = &self.whose else {
            return false;
        };
        scopes.iter().any(|scope| matches!(scope, Scope::Tenant(_)))
    }
}

/// What happened, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Those buckets that hold anything, in order.
    pub buckets: Vec<Bucket>,
    /// There was more to be folded than a read adds: the newest is missing.
    pub behind: bool,
}

impl Statistics {
    /// What those come to that these pieces hold, which do not overlap.
    pub fn sum(&self, pieces: &[Piece]) -> Figures {
        let mut sum = Figures::default();
        for bucket in &self.buckets {
            if pieces
                .iter()
                .any(|piece| piece.holds(bucket.width, bucket.start))
            {
                sum.add(&bucket.figures);
            }
        }
        sum
    }

    /// What folded buckets and deltas come to.
    pub(super) fn of(
        mut buckets: BTreeMap<Key, Figures>,
        unfolded: BTreeMap<Key, Figures>,
    ) -> Self {
        for (key, figures) in unfolded {
            buckets.entry(key).or_default().add(&figures);
        }
        let buckets = buckets
            .into_iter()
            .map(|((scope, width, start), figures)| Bucket {
                scope,
                width,
                start,
                figures,
            });
        Self {
            buckets: buckets.collect(),
            behind: false,
        }
    }
}

/// What became of a fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Deltas that lie in buckets now.
    pub deltas: u32,
    /// There was more than one fold takes.
    pub more: bool,
}

impl Folded {
    /// Of so many that were found, with this bound.
    pub(super) fn of(taken: usize, found: usize, limit: u32) -> Self {
        Self {
            deltas: u32::try_from(taken).unwrap_or(u32::MAX),
            more: taken < found || found >= limit as usize,
        }
    }
}

/// A delta's row as it lies there: bytes, or one move of many.
#[derive(Debug, Default)]
pub(super) struct DeltaRow {
    pub(super) at: Option<Timestamp>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) subscription: Option<SubscriptionId>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) moved: Option<i64>,
}

impl DeltaRow {
    fn delta(self) -> Result<Delta> {
        if let Some(body) = &self.body {
            return bytes::delta(body);
        }
        let count = self.moved.and_then(|moved| u64::try_from(moved).ok());
        let count = count.ok_or_else(|| damaged("a delta without a count"))?;
        let mut delta = Delta::default();
        match (self.subscription, self.to, self.event_type) {
            (Some(subscription), Some(to), _) => {
                let from = self.from.as_deref().map(codec::delivery_state);
                let to = codec::delivery_state(&to)?;
                delta.note_move(subscription, from.transpose()?, to, count);
            }
            (_, _, Some(event_type)) => {
                let of = (self.tenant.map(Arc::from), Arc::from(event_type));
                delta.events.insert(of, count);
            }
            _ => return Err(damaged("a delta of nothing")),
        }
        Ok(delta)
    }
}

/// Adds rows up, in their order, until that comes to [`MOST_PIECES`] where a bound is asked for, and
/// says how many it took.
pub(super) fn gather(
    rows: impl IntoIterator<Item = DeltaRow>,
    bounded: bool,
) -> Result<(Minutes, usize)> {
    let mut minutes = Minutes::default();
    let mut taken = 0;
    for row in rows {
        minutes.add(row.at, row.delta()?);
        taken += 1;
        // Counted now and then: a count looks at all of them.
        if bounded && taken % 16 == 0 && minutes.pieces() >= MOST_PIECES {
            break;
        }
    }
    Ok((minutes, taken))
}

/// What a group of events comes to, of those events that it stores.
pub(super) fn of_group(group: &AcceptGroup, stores: impl Fn(EventId) -> bool) -> Delta {
    let mut by_type: BTreeMap<(Option<&str>, &str), u64> = BTreeMap::new();
    for event in group.events.iter().filter(|event| stores(event.id)) {
        *by_type.entry(type_of(event)).or_default() += 1;
    }
    let mut delta = Delta::default();
    for ((tenant, event_type), count) in by_type {
        let of = (tenant.map(Arc::from), Arc::from(event_type));
        delta.events.insert(of, count);
    }
    let states = [
        (&group.deliveries, DeliveryState::Pending),
        (&group.skipped, DeliveryState::Skipped),
    ];
    for (deliveries, state) in states {
        let stored = |one: &&PendingDelivery| stores(one.event_id);
        for delivery in deliveries.iter().filter(stored) {
            delta.note_move(delivery.subscription_id, None, state, 1);
        }
    }
    delta
}

/// The same event by event, in their order: for a statement that learns by itself which it stores.
pub(super) fn of_each_event(group: &AcceptGroup) -> Vec<Delta> {
    let mut places = HashMap::new();
    let mut deltas: Vec<Delta> = Vec::with_capacity(group.events.len());
    for (place, event) in group.events.iter().enumerate() {
        let (tenant, event_type) = type_of(event);
        let mut delta = Delta::default();
        let of = (tenant.map(Arc::from), Arc::from(event_type));
        delta.events.insert(of, 1);
        deltas.push(delta);
        places.insert(event.id, place);
    }
    let kept = group
        .deliveries
        .iter()
        .map(|one| (one, DeliveryState::Pending));
    let skipped = group
        .skipped
        .iter()
        .map(|one| (one, DeliveryState::Skipped));
    for (delivery, state) in kept.chain(skipped) {
        let place = places.get(&delivery.event_id);
        if let Some(delta) = place.and_then(|place| deltas.get_mut(*place)) {
            delta.note_move(delivery.subscription_id, None, state, 1);
        }
    }
    deltas
}

fn type_of(event: &Event) -> (Option<&str>, &str) {
    (event.tenant.as_deref(), event.event_type.as_str())
}

/// What outcomes come to that all are recorded and move their deliveries.
pub(super) fn of_records<'a>(records: impl Iterator<Item = &'a AttemptRecord>) -> Delta {
    let mut delta = Delta::default();
    for record in records {
        delta.note_attempt(record);
        delta.note_settled(record);
    }
    delta
}

/// How a scope is named in its column.
pub(super) fn scope_text(scope: &Scope) -> String {
    match scope {
        Scope::All => "all".to_owned(),
        Scope::Tenant(tenant) => format!("t{tenant}"),
        Scope::Subscription(id) => format!("s{}", id.0.simple()),
    }
}

/// The scope behind [`scope_text`].
pub(super) fn scope(text: &str) -> Result<Scope> {
    if text == "all" {
        return Ok(Scope::All);
    }
    if let Some(tenant) = text.strip_prefix('t') {
        return Ok(Scope::Tenant(tenant.into()));
    }
    let id = text.strip_prefix('s').and_then(|id| id.parse().ok());
    id.map(Scope::Subscription)
        .ok_or_else(|| damaged("a scope that is none"))
}

/// The width behind its minutes.
pub(super) fn width(minutes: i16) -> Result<Width> {
    Width::of_minutes(minutes).ok_or_else(|| damaged(format_args!("a width of {minutes} minutes")))
}

/// The part of the store that counts.
#[async_trait]
pub trait StatisticsStore: Send + Sync {
    /// Folds up to `limit` deltas of the statistics into buckets, in one commit; fewer where they
    /// are about very much, and none where somebody else is folding. Every call
    /// above that makes, moves or records something adds what that comes to in its own commit, and
    /// adds nothing where it changed nothing.
    async fn fold_statistics(&self, limit: u32) -> Result<Folded>;

    /// What happened, as of one moment: folded or not. Costs an index range for each scope and
    /// piece, and what was not folded.
    async fn statistics(&self, query: &StatisticsQuery) -> Result<Statistics>;

    /// Forgets up to `limit` buckets of that width that began before `before`, and says how many.
    async fn forget_statistics(&self, width: Width, before: Timestamp, limit: u32) -> Result<u64>;

    /// When the oldest pending delivery was made: the one of the oldest event, or of these
    /// subscriptions the first accepted. An index probe, or one for each.
    async fn oldest_pending_since(
        &self,
        of: Option<&[SubscriptionId]>,
    ) -> Result<Option<Timestamp>>;

    /// Up to `limit` breakers that are not closed, as kept, in the order of their subscriptions.
    async fn cut_breakers(&self, limit: u32) -> Result<Vec<CutBreaker>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_told_apart_whatever_tenants_are_called() {
        let id = SubscriptionId(uuid::Uuid::from_u128(7));
        let mut texts = Vec::new();
        for one in [
            Scope::All,
            Scope::Tenant("all".into()),
            Scope::Tenant("".into()),
            Scope::Tenant(scope_text(&Scope::Subscription(id)).into()),
            Scope::Subscription(id),
        ] {
            let text = scope_text(&one);
            assert_eq!(scope(&text).unwrap(), one);
            texts.push(text);
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 5);
        assert!(scope("sx").is_err() && scope("").is_err());
    }
}
