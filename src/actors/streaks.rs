//! From recorded failures to deactivations.
//!
//! A streak is written with the outcomes that make it, in their transaction, and only where it
//! changes: a success after a success costs nothing. What is counted is therefore what is stored,
//! and whoever owns the deliveries next goes on with it. A rule is judged by what is stored, once
//! after each such commit and once when a lane learns what earlier lives have stored: a process
//! that dies between the commit and the deactivation leaves it to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::deps::Deps;
use super::lane::Lane;
use super::operate::Why;
use crate::domain::deactivation::{Streak, Told};
use crate::domain::delivery::{AttemptRecord, Trigger};
use crate::domain::subscription::SubscriptionState;
use crate::store::Result;

/// An outcome, and what it may change beside its delivery.
#[derive(Clone)]
pub struct Counted {
    /// To be recorded.
    pub record: Arc<AttemptRecord>,
    /// Its subscription's lane.
    pub lane: Arc<Lane>,
    /// Whether it speaks for the receiver that the subscription has now.
    pub speaks: bool,
}

/// The streaks that change with these outcomes, as they are after them.
pub async fn changed(
    deps: &Deps,
    epoch: i64,
    outcomes: &[Counted],
) -> Result<Vec<(Arc<Lane>, Streak)>> {
    let mut told = BTreeMap::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.speaks) {
        let record = &outcome.record;
        let id = record.delivery.subscription_id;
        let Some(known) = deps.directory.get(id) else {
            continue;
        };
        let says = Told::of(&record.outcome, record.verdict.settlement);
        let silent = match says {
            Told::Nothing => true,
            Told::Success => outcome.lane.is_healthy(epoch, known.counted_from),
            Told::Failure { .. } => false,
        };
        // A trial that fails is no news, one that succeeds ends the deactivation.
        if silent && !told.contains_key(&id) || record.trigger == Trigger::Trial {
            continue;
        }
        let ended = record.outcome.started_at.plus(record.outcome.duration);
        told.entry(id)
            .or_insert_with(|| (Arc::clone(&outcome.lane), known.counted_from, Vec::new()))
            .2
            .push((ended, record.id, says));
    }
    let mut streaks = Vec::with_capacity(told.len());
    for (id, (lane, counted_from, mut told)) in told {
        let stored = match lane.streak(epoch) {
            Some(streak) => streak,
            None => deps.store.runtime(id).await?.streak,
        };
        let mut streak = stored.since(counted_from);
        // In the order in which they ended; a group is sorted otherwise.
        told.sort_unstable_by_key(|(ended, attempt, _)| (*ended, *attempt));
        let mut changes = false;
        for (ended, attempt, says) in told {
            changes |= streak.note(attempt, says, ended);
        }
        if changes {
            streaks.push((lane, streak));
        } else {
            lane.know_streak(epoch, streak);
        }
    }
    Ok(streaks)
}

/// These streaks are committed: where one breaks a rule, its subscription is deactivated.
pub fn committed(deps: &Arc<Deps>, epoch: i64, streaks: Vec<(Arc<Lane>, Streak)>) {
    for (lane, streak) in streaks {
        judge(deps, &lane, &streak);
        lane.note_streak(epoch, streak);
    }
}

/// Deactivates a subscription whose stored streak breaks a rule.
pub fn judge(deps: &Arc<Deps>, lane: &Arc<Lane>, streak: &Streak) {
    let Some(known) = deps.directory.get(lane.subscription()) else {
        return;
    };
    let policy = known.deactivation_policy(&deps.settings.deactivation);
    let counts = known.state.delivers() && streak.counted_from == known.counted_from;
    if !counts || streak.breaks(&policy).is_none() || !lane.begin_deactivating() {
        return;
    }
    let (deps, ending) = (Arc::clone(deps), Ending(Arc::clone(lane)));
    tokio::spawn(async move {
        let id = ending.0.subscription();
        deps.hold_subscription(id, SubscriptionState::Deactivated, Why::Rule)
            .await;
        drop(ending);
    });
}

struct Ending(Arc<Lane>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end_deactivating();
    }
}
