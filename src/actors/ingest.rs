//! Group commit of events.
//!
//! Units wait in a bounded queue; a task takes what is there, settles idempotency keys, matches
//! subscriptions, commits, and answers. What arrives while a commit runs goes into the next
//! one; an idle queue commits at once. A unit is answered "accepted" only after its commit, and
//! a commit of unknown fate is run again with the same ids.

mod matched;
mod queue;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use self::matched::Matched;
pub use self::queue::Ingest;
use self::queue::{Group, Unit};
use super::deps::Deps;
use super::handle::{AcceptAnswer, NewEvent};
use super::pump::{Doorbell, Work};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::domain::idempotency::{Item, ItemFate, KeyName, KnownKey, UnitFate, settle_keys};
use crate::events::EngineEvent;
use crate::faults::Point;
use crate::store::{AcceptGroup, Accepted, StoreError};

/// The longest pause between two tries while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Work for Ingest {
    const POINT: Point = Point::Ingest;

    fn of(deps: &Deps) -> &Arc<Self> {
        &deps.ingest
    }

    fn bell(&self) -> &Doorbell {
        &self.bell
    }

    fn has_work(&self) -> bool {
        self.is_waiting()
    }

    async fn run(deps: Arc<Deps>) {
        while deps.ingest.has_work() {
            let group = deps.ingest.take_group();
            accept(&deps, group).await;
        }
    }
}

/// Commits a group and answers its units.
async fn accept(deps: &Arc<Deps>, mut group: Group) {
    let mut pause = Duration::from_millis(10);
    loop {
        group.drop_late();
        if group.units.is_empty() {
            return;
        }
        let attempt = match attempt(deps, &mut group).await {
            Ok(attempt) => attempt,
            Err(problem) => Attempt::Failed(problem),
        };
        match attempt {
            Attempt::Done => return,
            Attempt::Again => {}
            Attempt::Failed(StoreError::Refused(reason)) => {
                if let [_] = group.units.as_slice() {
                    warn!(reason, "an event was refused by the database");
                    group.answer_all(&AcceptAnswer::Refused(reason));
                    return;
                }
                let half = group.split_off(group.units.len() / 2);
                Box::pin(accept(deps, half)).await;
            }
            Attempt::Failed(problem @ StoreError::Unavailable(_)) => {
                deps.ingest.outage.note_failure(&problem);
                if deps.is_draining() {
                    // Their connections are closed soon: better a clear answer before.
                    group.answer_all(&AcceptAnswer::Unavailable);
                    return;
                }
                group.note_rerun();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Attempt::Failed(problem @ (StoreError::Broken(_) | StoreError::Fenced)) => {
                deps.ingest.outage.note_failure(&problem);
                group.answer_all(&AcceptAnswer::Unavailable);
                return;
            }
        }
    }
}

enum Attempt {
    Done,
    /// The world moved on: settle and match again.
    Again,
    Failed(StoreError),
}

async fn attempt(deps: &Arc<Deps>, group: &mut Group) -> Result<Attempt, StoreError> {
    let now = clock::now();
    let keys_expired_before = now.minus(deps.ingest.key_retention);
    let mut fates = settle(deps, group, keys_expired_before).await?;
    refuse_conflicts(group, &mut fates);
    let fresh: Vec<NewEvent> = fresh_events(group, &fates);
    if fresh.is_empty() {
        finish(group, fates);
        return Ok(Attempt::Done);
    }
    let mut matched = Matched::of(deps, group, &fresh);
    if let Some(at) = matched.too_many(group, &fates) {
        // The units from there on commit on their own; these here are matched again without.
        group.give_back_from(at);
        return Ok(Attempt::Again);
    }
    let accept = AcceptGroup {
        directory_version: matched.version,
        keys: new_keys(&fresh),
        events: fresh.iter().map(|new| Arc::clone(&new.event)).collect(),
        deliveries: matched.deliveries.iter().map(|one| one.delivery).collect(),
        ordered: matched.ordered(),
        skipped: matched.skipped.clone(),
        now,
        keys_expired_before,
    };
    // Held before the commit, so that a page that sees the committed rows leaves them out. In
    // a rerun the rows may stand already, and may have moved on since: then they are paged.
    if !group.is_rerun() {
        matched.reserve(deps);
    }
    let begun = clock::instant();
    match deps.store.accept(&accept).await {
        Ok(Accepted::Committed) => {
            note_committed(deps, &accept, begun);
            deps.ingest.outage.note_success();
            deps.faults.panic_at(Point::IngestCommitted);
        }
        Ok(Accepted::DirectoryMoved) => {
            matched.withdraw();
            deps.refresh_directory().await?;
            return Ok(Attempt::Again);
        }
        Ok(Accepted::KeyTaken) => {
            matched.withdraw();
            return Ok(Attempt::Again);
        }
        Err(problem @ StoreError::Refused(_)) => {
            matched.withdraw();
            return Ok(Attempt::Failed(problem));
        }
        // Dropping the reservations counts the deliveries as perhaps committed.
        Err(problem) => return Ok(Attempt::Failed(problem)),
    }
    // Before anything is sent of them, so that whoever follows hears of an event first.
    for new in &fresh {
        deps.events
            .tell(|| EngineEvent::EventAccepted(Arc::new(new.event.as_ref().into())));
    }
    matched.hand_over(deps);
    finish(group, fates);
    Ok(Attempt::Done)
}

fn note_committed(deps: &Deps, accept: &AcceptGroup, begun: Instant) {
    let (metrics, events) = (&deps.metrics, accept.events.len());
    metrics
        .accepting
        .note(events, clock::instant().saturating_duration_since(begun));
    metrics.events_accepted.inc_by(events as u64);
    let deliveries = accept.deliveries.len() + accept.skipped.len();
    metrics.deliveries_created.inc_by(deliveries as u64);
    metrics.note_ended(DeliveryState::Skipped, accept.skipped.len() as u64);
}

/// Settles the group's keys: known ones from the store, new ones among themselves.
async fn settle(
    deps: &Deps,
    group: &Group,
    expired_before: Timestamp,
) -> Result<Vec<UnitFate>, StoreError> {
    let key = |new: &NewEvent| {
        let key = new.event.idempotency_key.clone()?;
        Some((
            KeyName {
                tenant: new.event.tenant.clone(),
                key,
            },
            new.content,
        ))
    };
    let mut events = group.units.iter().flat_map(|unit| &unit.events);
    if events.all(|new| new.event.idempotency_key.is_none()) {
        let all_new = |unit: &Unit| UnitFate::Accepted(vec![ItemFate::New; unit.events.len()]);
        return Ok(group.units.iter().map(all_new).collect());
    }
    let units: Vec<Vec<Item>> = group
        .units
        .iter()
        .map(|unit| {
            unit.events
                .iter()
                .map(|new| Item {
                    event_id: new.event.id,
                    key: key(new),
                })
                .collect()
        })
        .collect();
    let mut names: Vec<KeyName> = units
        .iter()
        .flatten()
        .filter_map(|item| Some(item.key.as_ref()?.0.clone()))
        .collect();
    names.sort_unstable();
    names.dedup();
    let known = match names.as_slice() {
        [] => Vec::new(),
        names => deps.store.known_keys(names, expired_before).await?,
    };
    Ok(settle_keys(&units, known))
}

/// Answers the units that conflict and takes them out of the group.
fn refuse_conflicts(group: &mut Group, fates: &mut Vec<UnitFate>) {
    if fates
        .iter()
        .all(|fate| matches!(fate, UnitFate::Accepted(_)))
    {
        return;
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut answers = Vec::new();
    for (unit, fate) in std::mem::take(&mut group.units)
        .into_iter()
        .zip(std::mem::take(fates))
    {
        match fate {
            UnitFate::Conflict(items) => {
                bad.push(unit);
                answers.push(AcceptAnswer::Conflict(items));
            }
            accepted => {
                good.push(unit);
                fates.push(accepted);
            }
        }
    }
    group.units = bad;
    group.answer(answers);
    group.units = good;
}

fn fresh_events(group: &Group, fates: &[UnitFate]) -> Vec<NewEvent> {
    let items = group.units.iter().zip(fates).flat_map(|(unit, fate)| {
        let fates: &[ItemFate] = match fate {
            UnitFate::Accepted(fates) => fates,
            UnitFate::Conflict(_) => &[],
        };
        unit.events.iter().zip(fates)
    });
    items
        .filter(|(_, fate)| **fate == ItemFate::New)
        .map(|(new, _)| new.clone())
        .collect()
}

fn new_keys(fresh: &[NewEvent]) -> Vec<KnownKey> {
    fresh
        .iter()
        .filter_map(|new| {
            let key = new.event.idempotency_key.clone()?;
            let name = KeyName {
                tenant: new.event.tenant.clone(),
                key,
            };
            Some(KnownKey {
                name,
                event_id: new.event.id,
                content: new.content,
            })
        })
        .collect()
}

fn finish(group: &mut Group, fates: Vec<UnitFate>) {
    let answers = fates
        .into_iter()
        .map(|fate| match fate {
            UnitFate::Accepted(items) => AcceptAnswer::Accepted(items),
            UnitFate::Conflict(items) => AcceptAnswer::Conflict(items),
        })
        .collect();
    group.answer(answers);
}
