//! What one commit brings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Figures;
use crate::domain::Timestamp;
use crate::domain::delivery::{AttemptRecord, DeliveryState};
use crate::domain::id::SubscriptionId;

/// Of which tenant, if any, and type.
pub type EventsOf = (Option<Arc<str>>, Arc<str>);

/// What one commit brings: events, and by subscription what became of deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Events accepted.
    pub events: BTreeMap<EventsOf, u64>,
    /// All else.
    pub subscriptions: BTreeMap<SubscriptionId, Figures>,
}

impl Delta {
    /// Whether it brings nothing.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.subscriptions.is_empty()
    }

    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        for (of, count) in other.events {
            *self.events.entry(of).or_default() += count;
        }
        for (subscription, figures) in other.subscriptions {
            self.of(subscription).add(&figures);
        }
    }

    /// So many deliveries went from this state, or were made, to that.
    pub fn note_move(
        &mut self,
        subscription: SubscriptionId,
        from: Option<DeliveryState>,
        to: DeliveryState,
        count: u64,
    ) {
        self.of(subscription).note_move(from, to, count);
    }

    /// An attempt was made, whatever became of its delivery.
    pub fn note_attempt(&mut self, record: &AttemptRecord) {
        let figures = self.of(record.delivery.subscription_id);
        figures.note_attempt(&record.outcome, record.number());
    }

    /// An attempt's outcome moved its delivery. One that is to be tried again stays where it is.
    pub fn note_settled(&mut self, record: &AttemptRecord) {
        let delivery = &record.delivery;
        let (state, _) = record.verdict.settlement.state_and_due(delivery.due_at);
        if !state.is_final() {
            return;
        }
        let figures = self.of(delivery.subscription_id);
        figures.note_move(Some(DeliveryState::Pending), state, 1);
        if state == DeliveryState::Delivered && delivery.progress.round == 1 {
            let ended = record.outcome.started_at.plus(record.outcome.duration);
            figures.latency.note(since_made(record, ended));
        }
    }

    fn of(&mut self, subscription: SubscriptionId) -> &mut Figures {
        self.subscriptions.entry(subscription).or_default()
    }
}

/// How long before that its event came, which its id tells.
fn since_made(record: &AttemptRecord, ended: Timestamp) -> Duration {
    ended.since(record.delivery.event_id.made_at())
}
