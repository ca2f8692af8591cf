//! Deliveries taken back by an operator.
//!
//! Where this process owns the deliveries, the subscription's window is closed while the store
//! changes: what flies is known and left alone, and nothing else is sent. Which deliveries fly
//! in another process is not known: there the owner hears of the change, and an attempt that it
//! makes meanwhile is recorded as stale.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::{info, warn};

use super::address::Address;
use super::deps::Deps;
use super::dispatcher::DispatcherMessage;
use super::handle::Relay;
use super::janitor::{BATCH, Batches};
use super::lane::Lane;
use crate::clock;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::events::EngineEvent;
use crate::feed::Notice;
use crate::store::{Moved, Result};

/// What became of the cancellation of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    /// It is cancelled, and no attempt of it starts any more.
    Done,
    /// An attempt of it is being made.
    InFlight,
    /// It moved since it was read: read it again.
    Overtaken,
}

/// What became, so far, of the cancellation of all that a subscription has pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelledPending {
    /// Deliveries cancelled.
    pub cancelled: u64,
    /// Deliveries left because an attempt of them was being made; unknown where another process
    /// delivers.
    pub in_flight: Option<usize>,
    /// Whether that is all; otherwise it goes on.
    pub complete: bool,
}

/// A window kept closed. Opens when it is dropped, and what is pending then is paged anew.
pub(super) struct Closed {
    lane: Arc<Lane>,
    dispatcher: Address<DispatcherMessage>,
}

impl Closed {
    /// Where this process owns the deliveries. The lane is opened where there is none, so that
    /// an actor that comes to live meanwhile finds its window closed.
    pub(super) async fn of(deps: &Deps, id: SubscriptionId) -> Option<Self> {
        while deps.ownership.may_deliver() {
            let lane = deps.lanes.open(id);
            if lane.window().close() {
                let dispatcher = deps.dispatcher.clone();
                return Some(Self { lane, dispatcher });
            }
            // It is about to be replaced.
            tokio::task::yield_now().await;
        }
        None
    }

    /// What flies nevertheless.
    pub(super) fn flying(&self) -> Vec<DeliveryId> {
        self.lane.window().all_flying()
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.lane.window().reopen();
        let id = self.lane.subscription();
        // To its dispatcher, because it may have no actor yet.
        self.dispatcher.cast(DispatcherMessage::Wake(vec![id]));
    }
}

impl Relay {
    /// Cancels one pending delivery whose version is that one.
    pub async fn cancel(
        &self,
        subscription: SubscriptionId,
        delivery: DeliveryId,
        version: i64,
    ) -> Result<CancelAnswer> {
        let deps = &self.deps;
        let closed = Closed::of(deps, subscription).await;
        if let Some(closed) = &closed
            && closed.lane.is_flying(delivery)
        {
            return Ok(CancelAnswer::InFlight);
        }
        let moved = deps.store.cancel_delivery(delivery, version, clock::now());
        if moved.await? == Moved::Overtaken {
            return Ok(CancelAnswer::Overtaken);
        }
        deps.tell_cancelled(subscription, 1);
        Ok(CancelAnswer::Done)
    }

    /// Cancels all that a subscription has pending, batch by batch, and answers after `patience`
    /// at the latest; what is left then is cancelled all the same, unless this process ends.
    /// Meanwhile nothing new of this subscription is sent.
    pub async fn cancel_pending(
        &self,
        subscription: SubscriptionId,
        patience: Duration,
    ) -> Result<CancelledPending> {
        let deps = Arc::clone(&self.deps);
        let closed = Closed::of(&deps, subscription).await;
        let spared = closed.as_ref().map(Closed::flying);
        let in_flight = spared.as_ref().map(Vec::len);
        let so_far = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&so_far);
        let work = tokio::spawn(async move {
            let spared = spared.unwrap_or_default();
            let done = deps.cancel_batches(subscription, &spared, &count).await;
            deps.tell_cancelled(subscription, count.load(Ordering::Acquire));
            drop(closed);
            if let Err(problem) = &done {
                warn!(%subscription, %problem, "pending deliveries could not all be cancelled");
            }
            done
        });
        let complete = match tokio::time::timeout(patience, work).await {
            Ok(done) => done.unwrap_or(Ok(false))?,
            Err(_) => false,
        };
        Ok(CancelledPending {
            cancelled: so_far.load(Ordering::Acquire),
            in_flight,
            complete,
        })
    }
}

impl Deps {
    /// True where it came to the end.
    async fn cancel_batches(
        &self,
        id: SubscriptionId,
        spared: &[DeliveryId],
        count: &AtomicU64,
    ) -> Result<bool> {
        let mut batches = Batches::default();
        while batches.go_on(self) {
            let now = clock::now();
            let rows = self.store.cancel_pending(id, spared, now, BATCH).await?;
            batches.count(rows);
            count.store(batches.sum, Ordering::Release);
        }
        Ok(!self.is_draining())
    }

    fn tell_cancelled(&self, subscription: SubscriptionId, count: u64) {
        if count == 0 {
            return;
        }
        info!(%subscription, count, "deliveries.cancelled");
        self.feed.announce(Notice::Changed(subscription));
        self.metrics.note_ended(DeliveryState::Cancelled, count);
        self.events.tell(|| EngineEvent::DeliveriesCancelled {
            subscription,
            count,
        });
    }
}
