//! What several actors and routes do to subscriptions, written once.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;
use url::Url;

use super::deps::Deps;
use super::dispatcher::DispatcherMessage;
use crate::clock;
use crate::domain::id::SubscriptionId;
use crate::domain::subscription::{REASON_GONE, SubscriptionState};
use crate::events::EngineEvent;
use crate::feed::Notice;
use crate::store::{Changed, Result};

/// The longest pause between two tries while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Deps {
    /// Brings the directory up to date and lets the actors of what changed take note.
    pub(super) async fn refresh_directory(&self) -> Result<()> {
        for subscription in self.directory.refresh().await? {
            let (id, state) = (subscription.id, subscription.state);
            self.events.tell(|| EngineEvent::SubscriptionChanged {
                subscription: id,
                state,
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

    /// Holds a subscription for a reason, however long the database takes to hear of it.
    pub(super) async fn hold_subscription(
        self: Arc<Self>,
        id: SubscriptionId,
        state: SubscriptionState,
        reason: &'static str,
    ) {
        let mut pause = Duration::from_millis(50);
        let known = self.directory.get(id);
        let address = known.map(|known| known.url.clone());
        loop {
            match self.try_hold(id, state, reason, address.as_ref()).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(problem) => {
                    warn!(subscription = %id, %problem, "a subscription cannot be held; trying on");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// True where the subscription has the state now, or is beyond it. `address` is the one
    /// known when the reason arose.
    async fn try_hold(
        &self,
        id: SubscriptionId,
        state: SubscriptionState,
        reason: &'static str,
        address: Option<&Url>,
    ) -> Result<bool> {
        let Some(subscription) = self.store.subscription(id).await? else {
            return Ok(true);
        };
        if reason == REASON_GONE && address.is_some_and(|known| *known != subscription.url) {
            // Another node gave it a new address, which has not said that it is gone.
            self.refresh_directory().await?;
            return Ok(true);
        }
        let Ok(held) = subscription.moved_to(state, Some(reason), clock::now()) else {
            return Ok(true);
        };
        if held == subscription {
            return Ok(true);
        }
        if self.store.update_subscription(&held).await? == Changed::Overtaken {
            return Ok(false);
        }
        warn!(subscription = %id, name = held.name, state = state.as_str(), reason, "subscription.held");
        self.feed.announce(Notice::Changed(id));
        self.refresh_directory().await?;
        Ok(true)
    }
}
