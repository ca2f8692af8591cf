//! An attempt's task: make the call, hand the outcome to the recorder.

use std::sync::Arc;

use tracing::warn;

use super::breaking;
use super::deps::Deps;
use super::lane::{Call, Lane, Ticket, WaitingDelivery};
use super::recorder::Finished;
use super::slots::Slot;
use super::trial;
use crate::clock;
use crate::delivery::deliver::{Assignment, Receiver};
use crate::delivery::payload::LoadedEvent;
use crate::domain::Timestamp;
use crate::domain::breaker::{Pass, Signal};
use crate::domain::delivery::Trigger;
use crate::domain::id::{AttemptId, SubscriptionId};
use crate::store::Result;

/// What lets an attempt through.
#[derive(Clone, Copy, Debug)]
pub enum Leave {
    /// The breaker.
    Pass(Pass),
    /// The slow trial of a subscription that is deactivated since then.
    Trial(Timestamp),
}

impl Leave {
    fn pass(self) -> Option<Pass> {
        match self {
            Self::Pass(pass) => Some(pass),
            Self::Trial(_) => None,
        }
    }

    fn trigger(self, planned: Trigger) -> Trigger {
        match (self, planned) {
            (Self::Trial(_), _) => Trigger::Trial,
            (Self::Pass(pass), Trigger::Schedule) if pass.is_probe() => Trigger::Probe,
            (Self::Pass(_), planned) => planned,
        }
    }
}

/// Starts the attempt of a delivery that was just taken from the window. The ticket goes with
/// it, so whatever becomes of the task, the delivery is either recorded or free again.
pub fn launch(
    deps: &Arc<Deps>,
    lane: &Arc<Lane>,
    slot: Slot,
    item: WaitingDelivery,
    receiver: Arc<Receiver>,
    leave: Leave,
) {
    let ticket = Ticket::new(lane, item.delivery.id);
    let mut call = Call::start(lane, leave.pass());
    let lane = Arc::clone(lane);
    let delivery = item.delivery;
    let trigger = leave.trigger(delivery.progress.next_trigger());
    let attempt = AttemptId(clock::uuid());
    let task_deps = Arc::clone(deps);
    deps.flights.spawn(async move {
        let deps = task_deps;
        match event_of(&deps, &item).await {
            Ok(event) => {
                let assignment = Assignment {
                    attempt,
                    delivery,
                    trigger,
                    event,
                    receiver: Arc::clone(&receiver),
                };
                let record = deps.courier.deliver(&assignment).await;
                // The event's memory is free before the outcome is recorded.
                drop((assignment, item.event));
                let verdict = &record.verdict;
                let speaks = speaks_for(&deps, delivery.subscription_id, &receiver);
                if speaks {
                    if verdict.gone || verdict.hold_until.is_some() {
                        call.hear(attempt, verdict);
                    }
                    if let Leave::Trial(since) = leave
                        && record.outcome.is_success()
                    {
                        trial::passed(&deps, delivery.subscription_id, since, attempt);
                    }
                    let bound = deps.settings.delivery.retry_after_max;
                    let signal = Signal::of(&record.outcome, bound);
                    let change = call.judge(signal, clock::now(), clock::chance());
                    breaking::note(&deps, &lane, change);
                }
                deps.slots.note_unrecorded();
                deps.recorder.push(Finished::new(record, ticket, speaks));
            }
            Err(problem) => {
                warn!(%problem, "an event cannot be read for its attempt; it is paged again");
                drop(ticket);
            }
        }
        drop(call);
        drop(slot);
    });
}

/// Whether the subscription still is at the address that was called: one that it has left
/// speaks for it no more.
fn speaks_for(deps: &Deps, id: SubscriptionId, receiver: &Receiver) -> bool {
    let known = deps.directory.get(id);
    known.is_some_and(|known| receiver.is_at(&known.url))
}

/// The event, read again where memory had no room for it. `None` where it is stored no more.
async fn event_of(deps: &Deps, item: &WaitingDelivery) -> Result<Option<Arc<LoadedEvent>>> {
    if let Some(event) = &item.event {
        return Ok(Some(Arc::clone(event)));
    }
    let mut events = deps.store.events(&[item.delivery.event_id]).await?;
    Ok(events.pop().map(LoadedEvent::in_flight).map(Arc::new))
}
