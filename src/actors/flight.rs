//! An attempt's task: make the call, hand the outcome to the recorder, go on to the next
//! (`onward.rs`) or end.

use std::sync::Arc;

use tracing::warn;

use super::breaking;
use super::deps::Deps;
use super::lane::{Call, Ticket, WaitingDelivery};
use super::onward;
use super::recorder::Finished;
use super::slots::Slot;
use super::trial;
use crate::clock;
use crate::delivery::deliver::{Assignment, Receiver};
use crate::delivery::payload::LoadedEvent;
use crate::domain::Timestamp;
use crate::domain::breaker::{Pass, Signal};
use crate::domain::delivery::{AttemptRecord, Trigger};
use crate::domain::id::{AttemptId, EventId, SubscriptionId};
use crate::domain::operational::OperationalEvent;
use crate::store::Result;
use crate::traces::AttemptTrace;

/// What lets an attempt through.
#[derive(Clone, Copy, Debug)]
pub enum Leave {
    /// The breaker.
    Pass(Pass),
    /// Somebody who asked for this very attempt.
    Asked,
    /// The slow trial of a subscription that is deactivated since then.
    Trial(Timestamp),
}

impl Leave {
    fn trigger(self, planned: Trigger) -> Trigger {
        match (self, planned) {
            (Self::Trial(_), _) => Trigger::Trial,
            (Self::Pass(pass), Trigger::Schedule) if pass.is_probe() => Trigger::Probe,
            (Self::Pass(_) | Self::Asked, planned) => planned,
        }
    }
}

/// Starts the attempt of a delivery that was just taken from the window. The ticket goes with
/// it, so whatever becomes of the task, the delivery is either recorded or free again.
pub fn launch(
    deps: &Arc<Deps>,
    ticket: Ticket,
    call: Call,
    slot: Slot,
    item: WaitingDelivery,
    receiver: Arc<Receiver>,
    leave: Leave,
) {
    let task_deps = Arc::clone(deps);
    deps.flights.spawn(async move {
        let deps = task_deps;
        let (mut ticket, mut call, mut slot) = (ticket, call, slot);
        let (mut item, mut receiver, mut leave) = (item, receiver, leave);
        loop {
            let lane = Arc::clone(call.lane());
            let attempted = attempt(&deps, ticket, &mut call, item, receiver, leave).await;
            // What an attempt was let through for by somebody else says nothing about the next.
            let goes_on = attempted && matches!(leave, Leave::Pass(_));
            if !goes_on {
                return;
            }
            let Some(next) = onward::next(&deps, &lane, call, slot) else {
                return;
            };
            ticket = Ticket::new(&lane, next.item.delivery.id);
            (call, slot, item) = (next.call, next.slot, next.item);
            (receiver, leave) = (next.receiver, Leave::Pass(next.pass));
        }
    });
}

/// One attempt. False where none was made.
async fn attempt(
    deps: &Arc<Deps>,
    ticket: Ticket,
    call: &mut Call,
    item: WaitingDelivery,
    receiver: Arc<Receiver>,
    leave: Leave,
) -> bool {
    let delivery = item.delivery;
    let event = match event_of(deps, &item).await {
        Ok(event) => event,
        Err(problem) => {
            warn!(%problem, "an event cannot be read for its attempt; it is paged again");
            drop(ticket);
            return false;
        }
    };
    let trace = deps.traces.as_ref().map(|traces| traces.attempt(&delivery));
    let assignment = Assignment {
        attempt: AttemptId(clock::uuid()),
        delivery,
        trigger: leave.trigger(delivery.progress.next_trigger()),
        event,
        receiver,
        in_line: item.line.is_some(),
        trace: trace
            .as_ref()
            .map(AttemptTrace::headers)
            .unwrap_or_default(),
    };
    let mut record = deps.courier.deliver(&assignment).await;
    if let Some(trace) = trace {
        trace.ended(&record);
    }
    record.raises = raised(deps, &record, assignment.event.as_deref());
    call.lane().note_answer(record.outcome.duration);
    let speaks = speaks_for(deps, delivery.subscription_id, &assignment.receiver);
    // The event's memory is free before the outcome is recorded.
    drop((assignment, item.event));
    if speaks {
        let (attempt, verdict) = (record.id, &record.verdict);
        if verdict.gone || verdict.hold_until.is_some() {
            call.hear(attempt, verdict);
        }
        if let Leave::Trial(since) = leave
            && record.outcome.is_success()
        {
            trial::passed(deps, delivery.subscription_id, since, attempt);
        }
        let bound = deps.settings.delivery.retry_after_max;
        let signal = Signal::of(&record.outcome, bound);
        let change = call.judge(signal, clock::now(), clock::chance());
        breaking::note(deps, call.lane(), change);
    }
    deps.slots.note_unrecorded();
    deps.recorder.push(Finished::new(record, ticket, speaks));
    true
}

/// What is told of an attempt that ends its delivery undelivered. Of an event that is stored no
/// more nobody knows whether it was an operational one, whose failures are not told.
fn raised(
    deps: &Deps,
    record: &AttemptRecord,
    event: Option<&LoadedEvent>,
) -> Option<Arc<OperationalEvent>> {
    if !record.verdict.settlement.is_failure() {
        return None;
    }
    let event_type = &event?.event().event_type;
    let subscription = deps.directory.get(record.delivery.subscription_id)?;
    let (id, now) = (EventId(clock::uuid()), clock::now());
    OperationalEvent::of_failed_delivery(id, &subscription, event_type, record, now).map(Arc::new)
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
