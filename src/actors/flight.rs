//! An attempt's task: make the call, hand the outcome to the recorder.

use std::sync::Arc;

use tracing::warn;

use super::deps::Deps;
use super::lane::{Call, Lane, Ticket, WaitingDelivery};
use super::recorder::Finished;
use super::slots::Slot;
use crate::clock;
use crate::delivery::deliver::{Assignment, Receiver};
use crate::delivery::payload::LoadedEvent;
use crate::domain::id::AttemptId;
use crate::store::Result;

/// Starts the attempt of a delivery that was just taken from the window. The ticket goes with
/// it, so whatever becomes of the task, the delivery is either recorded or free again.
pub fn launch(
    deps: &Arc<Deps>,
    lane: &Arc<Lane>,
    slot: Slot,
    item: WaitingDelivery,
    receiver: Arc<Receiver>,
) {
    let ticket = Ticket::new(lane, item.delivery.id);
    let call = Call::start(lane);
    let attempt = AttemptId(clock::uuid());
    let task_deps = Arc::clone(deps);
    deps.flights.spawn(async move {
        let deps = task_deps;
        match event_of(&deps, &item).await {
            Ok(event) => {
                let assignment = Assignment {
                    attempt,
                    delivery: item.delivery,
                    event,
                    receiver,
                };
                let record = deps.courier.deliver(&assignment).await;
                // The event's memory is free before the outcome is recorded.
                drop((assignment, item.event));
                call.hear(&record.verdict);
                deps.slots.note_unrecorded();
                deps.recorder.push(Finished::new(record, ticket));
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

/// The event, read again where memory had no room for it. `None` where it is stored no more.
async fn event_of(deps: &Deps, item: &WaitingDelivery) -> Result<Option<Arc<LoadedEvent>>> {
    if let Some(event) = &item.event {
        return Ok(Some(Arc::clone(event)));
    }
    let mut events = deps.store.events(&[item.delivery.event_id]).await?;
    Ok(events.pop().map(LoadedEvent::in_flight).map(Arc::new))
}
