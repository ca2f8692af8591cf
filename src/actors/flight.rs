//! An attempt's task: make the call, hand the outcome to the recorder.

use std::sync::Arc;

use tracing::warn;

use super::deps::Deps;
use super::lane::{Call, Lane, Ticket, WaitingDelivery};
use super::recorder::Finished;
use super::slots::Slot;
use crate::clock;
use crate::delivery::deliver::{Assignment, Receiver};
use crate::domain::id::AttemptId;

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
    let assignment = Assignment {
        attempt: AttemptId(clock::uuid()),
        delivery: item.delivery,
        event: item.event,
        receiver,
    };
    let task_deps = Arc::clone(deps);
    deps.flights.spawn(async move {
        let record = task_deps.courier.deliver(&assignment).await;
        // Its memory and its connection's place are free before it is recorded.
        drop(assignment);
        match record {
            Ok(record) => {
                call.hear(&record.verdict);
                task_deps.slots.note_unrecorded();
                task_deps.recorder.push(Finished::new(record, ticket));
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
