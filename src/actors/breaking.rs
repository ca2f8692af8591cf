//! What follows from a step of a breaker: it is told, logged and kept.
//!
//! Keeping is a task of its own, since a breaker steps where an answer is heard, and nobody waits
//! for a database there. What a step raises (`domain/operational.rs`) is stored in the same
//! transaction: a process that dies in between forgets both, and the next one learns the step
//! anew from as many failures as the first time, and tells it then.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::deps::Deps;
use super::lane::{Lane, Step};
use crate::domain::breaker::Change;
use crate::domain::id::SubscriptionId;
use crate::domain::operational::OperationalEvent;
use crate::events::EngineEvent;
use crate::faults::Point;
use crate::store::StoreError;

/// The longest pause between two tries while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Takes note of what a breaker may have done.
pub fn note(deps: &Arc<Deps>, lane: &Arc<Lane>, change: Option<Change>) {
    if let Some(change) = change {
        tell(deps, lane, change);
    }
    if lane.begin_keeping() {
        deps.flights.spawn(keep(Arc::clone(deps), Arc::clone(lane)));
    }
}

fn tell(deps: &Deps, lane: &Lane, change: Change) {
    let subscription = lane.subscription();
    let to = change.to;
    info!(
        %subscription,
        from = change.from.as_str(),
        to = to.state.as_str(),
        until = to.until.map(|until| until.to_string()),
        opened_in_a_row = to.opened_in_a_row,
        "breaker.changed"
    );
    deps.events.tell(|| EngineEvent::BreakerChanged {
        subscription,
        from: change.from,
        to: to.state,
    });
}

/// Stores where the breaker is until that is where it is.
async fn keep(deps: Arc<Deps>, lane: Arc<Lane>) {
    let id = lane.subscription();
    let mut pause = Duration::from_millis(50);
    let mut warned = false;
    let mut kept = None;
    let lost = Lost(&lane);
    while let Some(to_keep) = lane.to_keep(kept) {
        let raises = raised(&deps, id, &to_keep.steps);
        let epoch = deps.ownership.epoch().unwrap_or_default();
        let breaker = &to_keep.breaker;
        deps.faults.panic_at(Point::BreakerKeep);
        match deps.store.keep_breaker(epoch, id, breaker, &raises).await {
            // Fenced: it is the new owner's now.
            Ok(()) | Err(StoreError::Fenced) => {
                kept = Some(to_keep.revision);
                if !raises.is_empty() {
                    deps.outbox.look();
                }
            }
            Err(problem) => {
                if !std::mem::replace(&mut warned, true) {
                    warn!(subscription = %id, %problem, "a breaker cannot be kept; trying on");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    std::mem::forget(lost);
    // It may have stayed for this.
    lane.wake();
}

/// Dropped, nobody keeps the breaker any more.
struct Lost<'a>(&'a Lane);

impl Drop for Lost<'_> {
    fn drop(&mut self) {
        self.0.lose_keeping();
    }
}

/// What steps raise, the same however often it is asked.
fn raised(deps: &Deps, id: SubscriptionId, steps: &[Step]) -> Vec<Arc<OperationalEvent>> {
    let Some(subscription) = deps.directory.get(id) else {
        return Vec::new();
    };
    let raised = |step: &Step| {
        OperationalEvent::of_breaker_step(step.event, &subscription, &step.change, step.at)
    };
    steps.iter().filter_map(raised).map(Arc::new).collect()
}
