//! Reactivation without what was held.
//!
//! The place in the order of acceptance up to which is skipped becomes part of the subscription
//! first. While it stands there the subscription stays held and is not tried; batches skip what
//! stands up to it, and only then it is reactivated. So nothing of it is sent, what is accepted
//! after the call is, and a process that dies in the middle leaves a mark that the janitor of
//! the next one goes on from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::{info, warn};

use super::cancel::Closed;
use super::deps::Deps;
use super::handle::Relay;
use super::janitor::{BATCH, Batches};
use crate::clock;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::SubscriptionId;
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::events::EngineEvent;
use crate::faults::Point;
use crate::store::{Ending, Result};

/// What became, so far, of a reactivation without what was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedHeld {
    /// Deliveries skipped.
    pub skipped: u64,
    /// Whether that is all and the subscription is active; otherwise it goes on.
    pub complete: bool,
}

impl Relay {
    /// Skips what is held of a subscription and reactivates it then. Answers after `patience` at
    /// the latest; what is left then is done all the same. Does nothing where no rule holds it.
    pub async fn reactivate_without_held(
        &self,
        id: SubscriptionId,
        patience: Duration,
    ) -> Result<SkippedHeld> {
        let deps = Arc::clone(&self.deps);
        let through = deps.store.newest_pending(id).await?.unwrap_or_default();
        deps.change_subscription(id, |stored| {
            let mut next = stored.clone();
            next.hold.skip_through = next.hold.skip_through.max(Some(through));
            next.updated_at = clock::now();
            stored.is_held_by_rule().then_some(next)
        })
        .await?;
        let so_far = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&so_far);
        let work = tokio::spawn(async move {
            let done = deps.finish_skipping(id, &count).await;
            if let Err(problem) = &done {
                warn!(subscription = %id, %problem, "what is held is skipped later");
            }
            done
        });
        let complete = match tokio::time::timeout(patience, work).await {
            Ok(done) => done.unwrap_or(Ok(false))?,
            Err(_) => false,
        };
        Ok(SkippedHeld {
            skipped: so_far.load(Ordering::Acquire),
            complete,
        })
    }
}

impl Deps {
    /// Skips what stands up to the mark of a subscription, and reactivates it. True where it came
    /// to the end, also where there is no mark.
    pub(super) async fn finish_skipping(
        &self,
        id: SubscriptionId,
        count: &AtomicU64,
    ) -> Result<bool> {
        let mark =
            |stored: Option<_>| stored.and_then(|stored: Subscription| stored.hold.skip_through);
        let Some(through) = mark(self.store.subscription(id).await?) else {
            return Ok(true);
        };
        let closed = Closed::of(self, id).await;
        let spared = closed.as_ref().map(Closed::flying).unwrap_or_default();
        self.faults.panic_at(Point::Skipping);
        let mut batches = Batches::default();
        while batches.go_on(self) {
            let (ending, now) = (Ending::Skipped(through), clock::now());
            batches.count(self.store.end_held(id, ending, &spared, now, BATCH).await?);
            count.store(batches.sum, Ordering::Release);
        }
        if batches.sum > 0 {
            let count = batches.sum;
            info!(subscription = %id, count, "deliveries.skipped");
            self.metrics.note_ended(DeliveryState::Skipped, count);
            self.events.tell(|| EngineEvent::DeliveriesSkipped {
                subscription: id,
                count,
            });
        }
        if self.is_draining() {
            return Ok(false);
        }
        drop(closed);
        self.change_subscription(id, |stored| {
            let finished = stored.hold.skip_through == Some(through);
            let active = SubscriptionState::Active;
            finished.then(|| stored.moved_to(active, None, clock::now()).ok())?
        })
        .await?;
        // A full hold outlasts a reactivation (`backlog.rs`), but this one was emptied.
        if self.directory.draining().contains(&id) {
            self.reopen_hold(id).await?;
        }
        Ok(true)
    }
}
