//! One delivery sent again because somebody asked for it.
//!
//! Where this process owns the deliveries, the attempt is made at once: past the schedule, the
//! breaker, the receiver's `Retry-After` and the rate limit (whose next token it takes), but
//! within the bounds of what may be in flight. The delivery is held before it is moved, so an
//! attempt under way is never overtaken and no page brings it a second time.
//!
//! Another process cannot know what is in flight. It makes the delivery due in the store in such
//! a way that an attempt under way still counts, and asks the owner by the feed to do the rest.
//! Where that notice is lost, the delivery goes out by the normal path.

use std::sync::Arc;

use tracing::warn;

use super::deps::Deps;
use super::flight::{self, Leave};
use super::handle::Relay;
use super::lane::{Call, Lane, ManualTaking, Ticket, WaitingDelivery};
use super::slots::Slot;
use crate::clock;
use crate::delivery::deliver::Receiver;
use crate::domain::delivery::{DeliveryState, PendingDelivery, Progress};
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::domain::ordering::Line;
use crate::domain::subscription::Subscription;
use crate::domain::window::Taking;
use crate::feed::Notice;
use crate::store::{DeliveryRow, Moved, Result};

/// What became of a retry by hand. Anything but `Done` moved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAnswer {
    /// Its next round has begun.
    Done,
    /// An attempt of it is being made.
    InFlight,
    /// The subscription has so many attempts in flight as it may.
    AtBound(u32),
    /// The node has so many attempts in flight as it may.
    NodeAtBound(usize),
    /// It moved since it was read, or is being moved: read it again.
    Overtaken,
}

/// All that an attempt needs, held before the delivery is moved. Dropped, it frees everything.
struct Held {
    ticket: Ticket,
    call: Call,
    slot: Slot,
    subscription: Arc<Subscription>,
    epoch: Option<i64>,
}

impl Relay {
    /// Begins the next round of a delivery as it was read.
    pub async fn retry(&self, row: &DeliveryRow) -> Result<RetryAnswer> {
        let deps = &self.deps;
        if !deps.ownership.may_deliver() || deps.is_draining() {
            return retry_elsewhere(deps, row).await;
        }
        let held = match hold(deps, row.subscription_id, row.id).await? {
            Ok(held) => held,
            Err(answer) => return Ok(answer),
        };
        let now = clock::now();
        let version = row.progress.version;
        let moved = deps.store.retry_delivery(row.id, version, now).await?;
        if moved == Moved::Overtaken {
            return Ok(RetryAnswer::Overtaken);
        }
        send(deps, held, row, row.progress.next_round());
        Ok(RetryAnswer::Done)
    }
}

/// Where another process delivers, or none: moves the delivery in the store, and tells.
async fn retry_elsewhere(deps: &Deps, row: &DeliveryRow) -> Result<RetryAnswer> {
    let now = clock::now();
    // No attempt is made of what is final, so its move can hit none in flight.
    let moved = if row.state.is_final() {
        let version = row.progress.version;
        deps.store.retry_delivery(row.id, version, now).await?
    } else {
        deps.store
            .hasten_delivery(row.id, &row.progress, now)
            .await?
    };
    if moved == Moved::Overtaken {
        return Ok(RetryAnswer::Overtaken);
    }
    deps.feed.announce(Notice::Retry {
        subscription: row.subscription_id,
        delivery: row.id,
        round: row.progress.next_round().round,
    });
    Ok(RetryAnswer::Done)
}

impl Deps {
    /// Another process was asked for an attempt of this delivery, in that round. Where it cannot
    /// be made now it is left to the normal path.
    pub(super) async fn retry_for_another(
        self: &Arc<Self>,
        subscription: SubscriptionId,
        delivery: DeliveryId,
        round: u32,
    ) {
        match self.try_for_another(subscription, delivery, round).await {
            Ok(true) => {}
            Ok(false) => self.note_change(subscription),
            Err(problem) => {
                warn!(%subscription, %delivery, %problem, "a retry waits for its turn");
                self.note_change(subscription);
            }
        }
    }

    async fn try_for_another(
        self: &Arc<Self>,
        subscription: SubscriptionId,
        delivery: DeliveryId,
        round: u32,
    ) -> Result<bool> {
        let Ok(held) = hold(self, subscription, delivery).await? else {
            return Ok(false);
        };
        // Read once it is held: it moves no more now.
        let Some(row) = self.store.delivery(delivery).await? else {
            return Ok(false);
        };
        let begun = row.state == DeliveryState::Pending
            && row.subscription_id == subscription
            && row.progress.round == round
            && row.progress.round_attempts == 0;
        if begun {
            send(self, held, &row, row.progress);
        }
        Ok(begun)
    }
}

/// Holds the delivery and all that its attempt needs, or says why not.
async fn hold(
    deps: &Arc<Deps>,
    subscription: SubscriptionId,
    delivery: DeliveryId,
) -> Result<std::result::Result<Held, RetryAnswer>> {
    let epoch = deps.ownership.epoch();
    let Some(subscription) = delivering(deps, subscription).await? else {
        return Ok(Err(RetryAnswer::Overtaken));
    };
    let default = deps.settings.delivery.max_in_flight;
    let bound = subscription.max_in_flight.unwrap_or(default);
    loop {
        let Visit(lane) = &Visit(deps.lanes.open(subscription.id));
        restore_breaker(deps, lane, &subscription, bound).await?;
        let Some(slot) = deps.slots.take_one() else {
            let (_, total) = deps.slots.usage();
            return Ok(Err(RetryAnswer::NodeAtBound(total)));
        };
        let answer = match lane.take_manually(delivery, bound) {
            ManualTaking::Taken(ticket, call) => {
                return Ok(Ok(Held {
                    ticket,
                    call,
                    slot,
                    subscription,
                    epoch,
                }));
            }
            ManualTaking::Not(Taking::Retired) => {
                // It is about to be replaced.
                tokio::task::yield_now().await;
                continue;
            }
            ManualTaking::Not(Taking::Flying) => RetryAnswer::InFlight,
            ManualTaking::AtBound => RetryAnswer::AtBound(bound),
            ManualTaking::Not(Taking::Full) => RetryAnswer::AtBound(bound),
            ManualTaking::Not(Taking::Busy | Taking::Taken) => RetryAnswer::Overtaken,
        };
        return Ok(Err(answer));
    }
}

/// A lane that was opened for this, if there was none. Whatever comes of it, and also where the
/// caller is gone, an actor looks at it, and closes it when it has nothing to do.
struct Visit(Arc<Lane>);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// The subscription, where it is delivered to. Another process may have changed it just now.
async fn delivering(deps: &Deps, id: SubscriptionId) -> Result<Option<Arc<Subscription>>> {
    let known = || {
        deps.directory
            .get(id)
            .filter(|known| known.state.delivers())
    };
    if let Some(known) = known() {
        return Ok(Some(known));
    }
    deps.refresh_directory().await?;
    Ok(known())
}

/// A lane that no actor has looked at yet knows neither its breaker's rules nor its past, and the
/// outcome of this attempt is to count.
async fn restore_breaker(
    deps: &Deps,
    lane: &Lane,
    subscription: &Subscription,
    bound: u32,
) -> Result<()> {
    if lane.has_restored() {
        return Ok(());
    }
    let runtime = deps.store.runtime(subscription.id).await?;
    let policy = subscription.breaker_policy(&deps.settings.breaker);
    lane.breaker().configure(policy, bound);
    lane.restore_breaker(runtime.breaker);
    Ok(())
}

/// The line that it goes on standing in: where it is pending, or is what its line waits for.
/// Any other goes free.
fn line_kept(row: &DeliveryRow, subscription: &Subscription) -> Option<Line> {
    let rule = subscription.ordering.name()?;
    let keeps = !row.state.is_final() || row.blocks == Some(rule);
    row.line.clone().filter(|_| keeps)
}

/// Makes the attempt of a delivery that is held, and pending with this progress.
fn send(deps: &Arc<Deps>, held: Held, row: &DeliveryRow, progress: Progress) {
    if !deps.ownership.may_deliver_in(held.epoch) {
        // Another owner finds it due.
        deps.feed.announce(Notice::Changed(row.subscription_id));
        return;
    }
    let settings = &deps.settings;
    let receiver = Receiver::prepare(&held.subscription, &settings.delivery, &settings.retry);
    let delivery = PendingDelivery {
        id: row.id,
        event_id: row.event_id,
        subscription_id: row.subscription_id,
        due_at: clock::now(),
        progress,
    };
    let lane = Arc::clone(held.call.lane());
    lane.note_owed();
    let item = WaitingDelivery {
        delivery,
        line: line_kept(row, &held.subscription),
        event: None,
    };
    let receiver = Arc::new(receiver);
    let Held {
        ticket, call, slot, ..
    } = held;
    flight::launch(deps, ticket, call, slot, item, receiver, Leave::Asked);
    // An actor has to count the token that is owed, and page what made room in the window.
    lane.wake();
}
