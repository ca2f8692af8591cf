//! The slow trial of deactivated receivers, so that one that recovered is found without anybody's
//! doing.
//!
//! The directory knows who is deactivated, and the sweeper looks at those whose interval may be
//! over. A trial is one attempt of the oldest pending delivery, made through the window as any
//! other, so that no delivery is ever sent twice at once; but past breaker, rate and retry
//! time, which are about receivers that work. It uses up no retry.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::address::Address;
use super::deps::Deps;
use super::dispatcher::DispatcherMessage;
use super::flight::{self, Leave};
use super::lane::{Call, Lane, Ticket};
use super::page;
use crate::clock;
use crate::delivery::deliver::Receiver;
use crate::domain::Timestamp;
use crate::domain::id::{AttemptId, SubscriptionId};
use crate::domain::subscription::{ChangedBy, StateChange, SubscriptionState};
use crate::store::{Result, StoreError};

/// Subscriptions looked at in one read.
const PROBES: usize = 500;
/// Trials begun in one sweep at most; the others' turn comes with the next ones.
const AT_ONCE: usize = 100;
/// The longest pause between two tries while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Tries whoever may be tried now.
pub async fn sweep(deps: &Arc<Deps>) -> Result<()> {
    let now = clock::now();
    let default = &deps.settings.deactivation;
    let mut candidates: Vec<(SubscriptionId, Timestamp)> = deps
        .directory
        .held_by_rule()
        .into_iter()
        .filter_map(|held| {
            let before = now.minus(held.trial_interval(default)?);
            (held.state_change.at <= before).then_some((held.id, before))
        })
        .collect();
    candidates.sort_unstable();
    let mut begun = 0;
    for some in candidates.chunks(PROBES) {
        for id in deps.store.trials(some, now).await? {
            if begun == AT_ONCE {
                return Ok(());
            }
            match begin(deps, id).await {
                Ok(()) => begun += 1,
                Err(problem @ (StoreError::Unavailable(_) | StoreError::Fenced)) => {
                    return Err(problem);
                }
                // Its own fault: the others are tried all the same.
                Err(problem) => warn!(subscription = %id, %problem, "a trial cannot be made"),
            }
        }
    }
    Ok(())
}

/// Begins one trial, unless something of this subscription still flies.
async fn begin(deps: &Arc<Deps>, id: SubscriptionId) -> Result<()> {
    let default = &deps.settings.deactivation;
    let known = deps.directory.get(id);
    let Some(known) = known.filter(|known| known.trial_interval(default).is_some()) else {
        return Ok(());
    };
    let visit = Visit::of(deps, id);
    let lane = &visit.lane;
    let ask = {
        let mut window = lane.window();
        match window.held() {
            0 if window.follow(known.ordering.name()) => window.ask(),
            _ => None,
        }
    };
    let Some(ask) = ask else { return Ok(()) };
    let oldest = page::oldest(deps, lane, ask, known.ordering).await;
    let slot = deps.slots.take(lane);
    let (page, slot) = match (oldest, slot) {
        (Ok(page), Ok(slot)) if !page.items.is_empty() => (page, slot),
        (oldest, _) => {
            lane.window().abandon_question();
            return oldest.map(drop);
        }
    };
    if !deps.ownership.may_deliver() || deps.is_draining() {
        lane.window().abandon_question();
        return Ok(());
    }
    let taken = {
        let mut window = lane.window();
        // False where an actor has come to live in the lane meanwhile: it was reactivated.
        let answered = page.take_in(&mut window, ask);
        answered.then(|| window.take_next()).flatten()
    };
    if let Some(item) = taken {
        let settings = &deps.settings;
        let receiver = Receiver::prepare(&known, &settings.delivery, &settings.retry);
        let leave = Leave::Trial(known.state_change.at);
        let ticket = Ticket::new(lane, item.delivery.id);
        let call = Call::start(lane, None);
        flight::launch(deps, ticket, call, slot, item, Arc::new(receiver), leave);
    }
    Ok(())
}

/// A lane that may have no actor. When the visit ends one is spawned, which closes it once
/// nothing flies.
struct Visit {
    lane: Arc<Lane>,
    dispatcher: Address<DispatcherMessage>,
}

impl Visit {
    fn of(deps: &Deps, id: SubscriptionId) -> Self {
        Self {
            lane: deps.lanes.open(id),
            dispatcher: deps.dispatcher.clone(),
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let id = self.lane.subscription();
        self.dispatcher.cast(DispatcherMessage::Wake(vec![id]));
    }
}

/// A trial succeeded: reactivates the subscription, if it still is deactivated since then. A
/// process that ends before leaves that to the next trial.
pub fn passed(deps: &Arc<Deps>, id: SubscriptionId, since: Timestamp, attempt: AttemptId) {
    let task = Arc::clone(deps);
    deps.flights.spawn(async move {
        let mut pause = Duration::from_millis(50);
        loop {
            let done = task.change_subscription(id, |stored| {
                // Where an operator wants what is held skipped, that comes first, and reactivates.
                let held = stored.state == SubscriptionState::Deactivated
                    && stored.hold.skip_through.is_none()
                    && stored.state_change.at == since;
                let change = StateChange {
                    at: clock::now(),
                    reason: None,
                    by: ChangedBy::Trial,
                    evidence: vec![attempt],
                };
                let active = SubscriptionState::Active;
                held.then(|| stored.moved_by(active, change).ok())?
            });
            match done.await {
                Ok(Some(_)) => {
                    info!(subscription = %id, %attempt, "subscription.reactivated");
                    return;
                }
                Ok(None) => return,
                Err(problem) if task.is_draining() => {
                    warn!(subscription = %id, %problem, "a trial succeeded in vain; the next one reactivates");
                    return;
                }
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    });
}
