//! What follows from a step of a breaker: it is told, logged and kept.
//!
//! Keeping is a task of its own, since a breaker steps where an answer is heard, and nobody waits
//! for a database there. A process that dies in between forgets the step, and learns it anew from
//! as many failures as the first time.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::deps::Deps;
use super::lane::Lane;
use crate::domain::breaker::Change;
use crate::events::EngineEvent;
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
    while let Some((revision, breaker)) = lane.to_keep(kept) {
        let epoch = deps.ownership.epoch().unwrap_or_default();
        match deps.store.keep_breaker(epoch, id, &breaker).await {
            // Fenced: it is the new owner's now.
            Ok(()) | Err(StoreError::Fenced) => kept = Some(revision),
            Err(problem) => {
                if !std::mem::replace(&mut warned, true) {
                    warn!(subscription = %id, %problem, "a breaker cannot be kept; trying on");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    // It may have stayed for this.
    lane.wake();
}
