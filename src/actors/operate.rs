//! What several actors and routes do to subscriptions, written once.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;
use url::Url;

use super::deps::Deps;
use super::dispatcher::DispatcherMessage;
use crate::clock;
use crate::domain::deactivation::Streak;
use crate::domain::id::{AttemptId, EventId, SubscriptionId};
use crate::domain::operational::OperationalEvent;
use crate::domain::subscription::{
    ChangedBy, REASON_CRASHING, REASON_GONE, StateChange, Subscription, SubscriptionState,
};
use crate::events::EngineEvent;
use crate::feed::Notice;
use crate::store::{Changed, Result};

/// The longest pause between two tries while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Deps {
    /// Brings the directory up to date and lets the actors of what changed take note.
    pub(super) async fn refresh_directory(&self) -> Result<()> {
        let refreshed = self.directory.refresh().await?;
        if refreshed.tenants {
            // Measured by bounds that may be others now.
            self.backlogs.forget_all();
        }
        for subscription in refreshed.subscriptions {
            let (id, state) = (subscription.id, subscription.state);
            if !subscription.is_held_by_rule() {
                self.backlogs.forget(id);
            }
            self.events.tell(|| EngineEvent::SubscriptionChanged {
                subscription: id,
                state,
                tenant: subscription.tenant.clone(),
            });
            self.note_change(id);
        }
        Ok(())
    }

    /// The subscription or its deliveries changed: its actor, if there is one or is to be one,
    /// takes note.
    pub(super) fn note_change(&self, id: SubscriptionId) {
        match self.lanes.get(id) {
            Some(lane) => lane.note_change(),
            None => {
                self.dispatcher.cast(DispatcherMessage::Wake(vec![id]));
            }
        }
    }

    /// Something due was committed that no window holds: those who deliver have to page it.
    pub(super) fn wake_for_more(&self, ids: &[SubscriptionId]) {
        let mut without_lane = Vec::new();
        for id in ids {
            match self.lanes.get(*id) {
                Some(lane) => lane.decline(),
                None => without_lane.push(*id),
            }
        }
        if !without_lane.is_empty() {
            self.dispatcher.cast(DispatcherMessage::Wake(without_lane));
        }
    }

    /// Final deliveries of a subscription were brought back, or new ones made, and are due.
    pub(super) fn note_moved(&self, id: SubscriptionId) {
        match self.lanes.get(id) {
            Some(lane) => lane.unsettle(),
            None => {
                self.dispatcher.cast(DispatcherMessage::Wake(vec![id]));
            }
        }
    }

    /// Changes a subscription as it is stored, again where somebody else changed it meanwhile, and
    /// tells everybody. `change` answers nothing where there is nothing to be done; so does this.
    pub(super) async fn change_subscription(
        &self,
        id: SubscriptionId,
        change: impl Fn(&Subscription) -> Option<Subscription> + Send + Sync,
    ) -> Result<Option<Subscription>> {
        while let Some(stored) = self.store.subscription(id).await? {
            let Some(next) = change(&stored).filter(|next| *next != stored) else {
                return Ok(None);
            };
            let event = EventId(clock::uuid());
            let raises = OperationalEvent::of_state_change(event, &stored, &next);
            let changed = self.store.update_subscription(&next, raises.as_ref()).await;
            // Told even where nobody knows whether it was stored.
            self.outbox.look();
            if let Changed::At(version) = changed? {
                self.feed.announce(Notice::Changed(id));
                self.refresh_directory().await?;
                return Ok(Some(Subscription { version, ..next }));
            }
        }
        Ok(None)
    }

    /// Holds a subscription for a reason, however long the database takes to hear of it.
    pub(super) async fn hold_subscription(
        self: Arc<Self>,
        id: SubscriptionId,
        state: SubscriptionState,
        why: Why,
    ) {
        let mut pause = Duration::from_millis(50);
        let known = self.directory.get(id);
        let address = known.map(|known| known.url.clone());
        while let Err(problem) = self.try_hold(id, state, why, address.as_ref()).await {
            warn!(subscription = %id, %problem, "a subscription cannot be held; trying on");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// `address` is the one known when the reason arose.
    async fn try_hold(
        &self,
        id: SubscriptionId,
        state: SubscriptionState,
        why: Why,
        address: Option<&Url>,
    ) -> Result<()> {
        // By what is stored: an operator, or another owner, may have begun anew since.
        let streak = match why {
            Why::Rule => self.store.runtime(id).await?.streak,
            Why::Gone(_) | Why::Crashing => Streak::default(),
        };
        let held = self.change_subscription(id, |stored| {
            let (reason, evidence) = match why {
                Why::Crashing => (REASON_CRASHING, Vec::new()),
                // Another node gave it a new address, which has not said that it is gone.
                Why::Gone(_) if address.is_some_and(|known| *known != stored.url) => return None,
                Why::Gone(attempt) => (REASON_GONE, vec![attempt]),
                Why::Rule if !stored.state.delivers() => return None,
                Why::Rule => {
                    let streak = streak.clone().since(stored.counted_from);
                    let policy = stored.deactivation_policy(&self.settings.deactivation);
                    (streak.breaks(&policy)?.reason(), streak.evidence)
                }
            };
            let change = StateChange {
                at: clock::now(),
                reason: Some(reason.to_owned()),
                by: ChangedBy::Rule,
                evidence,
            };
            stored.moved_by(state, change).ok()
        });
        match held.await? {
            Some(held) => {
                let reason = held.state_change.reason.as_deref();
                warn!(subscription = %id, name = held.name, state = state.as_str(), reason, "subscription.held");
            }
            // Whoever changed it may not be heard of yet.
            None => self.refresh_directory().await?,
        }
        Ok(())
    }
}

/// Why a subscription is held by the engine itself.
#[derive(Clone, Copy, Debug)]
pub enum Why {
    /// 410 was answered to this attempt.
    Gone(AttemptId),
    /// What is stored of its failures breaks a rule.
    Rule,
    /// Its actor kept crashing.
    Crashing,
}
