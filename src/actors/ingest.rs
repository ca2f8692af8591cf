//! Group commit of events.
//!
//! Units wait in a bounded queue; a task takes what is there, settles idempotency keys, matches
//! subscriptions, commits, and answers. What arrives while a commit runs goes into the next
//! one; an idle queue commits at once. A unit is answered "accepted" only after its commit, and
//! a commit of unknown fate is run again with the same ids.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::{error, warn};

use super::deps::Deps;
use super::handle::{AcceptAnswer, NewEvent};
use super::lane::{Reservation, WaitingDelivery};
use super::pump::{Doorbell, Work};
use crate::clock;
use crate::delivery::payload::LoadedEvent;
use crate::domain::delivery::{PendingDelivery, Progress};
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::domain::idempotency::{Item, ItemFate, KeyName, KnownKey, UnitFate, settle_keys};
use crate::domain::subscription::Subscription;
use crate::events::EngineEvent;
use crate::faults::Point;
use crate::feed::Notice;
use crate::settings::EventSettings;
use crate::store::{AcceptGroup, Accepted, StoreError};

/// Deliveries in one group at most, unless a single unit has more: that one commits alone.
const MAX_GROUP_DELIVERIES: usize = 5_000;
/// Times that a unit may be in the hands of a task that panics.
const MAX_LOST: u8 = 2;
/// The longest pause between two tries while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What a sender wants accepted as a whole, and how to tell.
#[derive(Debug)]
struct Unit {
    events: Vec<NewEvent>,
    bytes: usize,
    deadline: Instant,
    answer: Option<oneshot::Sender<AcceptAnswer>>,
    /// Times that a task panicked with it in hand.
    lost: u8,
    /// An earlier run may have committed it without telling.
    rerun: bool,
}

impl Unit {
    fn answer(mut self, answer: AcceptAnswer) {
        if let Some(sender) = self.answer.take() {
            // A sender who has left does not hear it.
            let _ = sender.send(answer);
        }
    }
}

/// The queue of units.
#[derive(Debug)]
pub struct Ingest {
    queue: Mutex<Queue>,
    bell: Doorbell,
    max_waiting: usize,
    max_waiting_bytes: usize,
    max_group: usize,
    key_retention: Duration,
}

#[derive(Debug, Default)]
struct Queue {
    units: VecDeque<Unit>,
    /// Of all units that are not answered yet.
    events: usize,
    bytes: usize,
}

impl Ingest {
    /// An empty queue.
    pub fn new(settings: &EventSettings, bell: Doorbell) -> Self {
        Self {
            queue: Mutex::default(),
            bell,
            max_waiting: settings.max_waiting,
            max_waiting_bytes: settings.max_waiting_bytes,
            max_group: settings.max_group,
            key_retention: settings.idempotency_retention,
        }
    }

    /// Queues a unit; the answer comes by the receiver. `None` where the bounds are hit. An
    /// empty queue takes any unit, so that none is too large for ever.
    pub fn submit(
        &self,
        events: Vec<NewEvent>,
        deadline: Instant,
    ) -> Option<oneshot::Receiver<AcceptAnswer>> {
        let bytes = events.iter().map(|new| new.event.payload.len()).sum();
        let (answer, receiver) = oneshot::channel();
        let mut queue = self.lock();
        let fits = queue.events + events.len() <= self.max_waiting
            && queue.bytes + bytes <= self.max_waiting_bytes;
        if !fits && queue.events > 0 {
            return None;
        }
        queue.events += events.len();
        queue.bytes += bytes;
        queue.units.push_back(Unit {
            events,
            bytes,
            deadline,
            answer: Some(answer),
            lost: 0,
            rerun: false,
        });
        drop(queue);
        self.bell.ring();
        Some(receiver)
    }

    /// Events not answered yet, and how many there may be.
    pub fn usage(&self) -> (usize, usize) {
        (self.lock().events, self.max_waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits, up to the bound. A unit of unknown fate goes alone: only of a unit, not of
    /// a group that is formed anew, does one event tell whether it is stored.
    fn take_group(self: &Arc<Self>) -> Group {
        let mut queue = self.lock();
        let mut units: Vec<Unit> = Vec::new();
        let mut events = 0;
        while let Some(unit) = queue.units.front() {
            let alone = unit.rerun || units.first().is_some_and(|first| first.rerun);
            let full = events + unit.events.len() > self.max_group;
            if !units.is_empty() && (alone || full) {
                break;
            }
            events += unit.events.len();
            units.extend(queue.units.pop_front());
        }
        Group {
            ingest: Arc::clone(self),
            units,
        }
    }

    fn give_back(&self, units: impl DoubleEndedIterator<Item = Unit>) {
        let mut queue = self.lock();
        for unit in units.rev() {
            queue.units.push_front(unit);
        }
    }
}

impl Work for Ingest {
    const POINT: Point = Point::Ingest;

    fn of(deps: &Deps) -> &Arc<Self> {
        &deps.ingest
    }

    fn bell(&self) -> &Doorbell {
        &self.bell
    }

    fn has_work(&self) -> bool {
        !self.lock().units.is_empty()
    }

    async fn run(deps: Arc<Deps>) {
        while deps.ingest.has_work() {
            let group = deps.ingest.take_group();
            accept(&deps, group).await;
        }
    }
}

/// Units taken from the queue. Those not answered when this is dropped go back, unless they
/// were in lost hands too often: then their senders hear that nothing was acknowledged.
struct Group {
    ingest: Arc<Ingest>,
    units: Vec<Unit>,
}

impl Group {
    fn answer(&mut self, answers: Vec<AcceptAnswer>) {
        let units = std::mem::take(&mut self.units);
        let mut queue = self.ingest.lock();
        for unit in &units {
            queue.events -= unit.events.len();
            queue.bytes -= unit.bytes;
        }
        drop(queue);
        for (unit, answer) in units.into_iter().zip(answers) {
            unit.answer(answer);
        }
    }

    fn answer_all(&mut self, answer: &AcceptAnswer) {
        self.answer(vec![answer.clone(); self.units.len()]);
    }

    /// Splits these units off, as a group of their own.
    fn split_off(&mut self, at: usize) -> Self {
        Self {
            ingest: Arc::clone(&self.ingest),
            units: self.units.split_off(at),
        }
    }

    /// Answers the units whose time is up; what a later commit does to them is not told.
    fn drop_late(&mut self) {
        let now = clock::instant();
        let (late, rest) = std::mem::take(&mut self.units)
            .into_iter()
            .partition(|unit| unit.deadline <= now);
        self.units = late;
        self.answer_all(&AcceptAnswer::Unavailable);
        self.units = rest;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let (mut lost, back): (Vec<Unit>, Vec<Unit>) = std::mem::take(&mut self.units)
            .into_iter()
            .map(|unit| Unit {
                lost: unit.lost + 1,
                rerun: true,
                ..unit
            })
            .partition(|unit| unit.lost > MAX_LOST);
        self.ingest.give_back(back.into_iter());
        self.units.append(&mut lost);
        self.answer_all(&AcceptAnswer::Unavailable);
    }
}

/// Commits a group and answers its units.
async fn accept(deps: &Deps, mut group: Group) {
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
                    group.answer_all(&AcceptAnswer::Refused(reason));
                    return;
                }
                let half = group.split_off(group.units.len() / 2);
                Box::pin(accept(deps, half)).await;
            }
            Attempt::Failed(StoreError::Unavailable(reason)) => {
                if pause >= LONGEST_PAUSE {
                    warn!(reason, "events cannot be committed; trying on");
                }
                for unit in &mut group.units {
                    unit.rerun = true;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Attempt::Failed(problem @ (StoreError::Broken(_) | StoreError::Fenced)) => {
                error!(%problem, "events cannot be committed");
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

async fn attempt(deps: &Deps, group: &mut Group) -> Result<Attempt, StoreError> {
    let now = clock::now();
    let rerun = group.units.iter().any(|unit| unit.rerun);
    let keys_expired_before = now.minus(deps.ingest.key_retention);
    let mut fates = settle(deps, group, keys_expired_before).await?;
    refuse_conflicts(group, &mut fates);
    let fresh: Vec<NewEvent> = fresh_events(group, &fates);
    if fresh.is_empty() {
        finish(deps, group, fates);
        return Ok(Attempt::Done);
    }
    let already = rerun && deps.store.event_exists(fresh[0].event.id).await?;
    let mut matched = Matched::of(deps, &fresh);
    if !already && let Some(at) = matched.too_many(group, &fates) {
        // The units from there on commit on their own; these here are matched again without.
        let rest = group.split_off(at);
        deps.ingest.give_back(without_drop(rest).into_iter());
        return Ok(Attempt::Again);
    }
    if !already {
        let accept = AcceptGroup {
            directory_version: matched.version,
            keys: new_keys(&fresh),
            events: fresh.iter().map(|new| Arc::clone(&new.event)).collect(),
            deliveries: matched.deliveries.iter().map(|one| one.delivery).collect(),
            now,
            keys_expired_before,
        };
        // Held before the commit, so that a page that sees the committed rows leaves them out.
        // After a run of unknown fate the rows may stand with the ids of that run, and be on
        // their way: then they are paged, never offered.
        if !rerun {
            matched.reserve(deps);
        }
        match deps.store.accept(&accept).await {
            Ok(Accepted::Committed) => deps.faults.panic_at(Point::IngestCommitted),
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
    }
    matched.hand_over(deps);
    for new in &fresh {
        deps.events
            .tell(|| EngineEvent::EventAccepted(new.event.id));
    }
    finish(deps, group, fates);
    Ok(Attempt::Done)
}

/// Settles the group's keys: known ones from the store, new ones among themselves.
async fn settle(
    deps: &Deps,
    group: &Group,
    expired_before: crate::domain::Timestamp,
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

fn finish(_deps: &Deps, group: &mut Group, fates: Vec<UnitFate>) {
    let answers = fates
        .into_iter()
        .map(|fate| match fate {
            UnitFate::Accepted(items) => AcceptAnswer::Accepted(items),
            UnitFate::Conflict(items) => AcceptAnswer::Conflict(items),
        })
        .collect();
    group.answer(answers);
}

fn without_drop(mut group: Group) -> Vec<Unit> {
    std::mem::take(&mut group.units)
}

/// The deliveries of a group's events.
struct Matched {
    version: i64,
    deliveries: Vec<MatchedDelivery>,
    /// Deliveries of each event.
    counts: Vec<usize>,
}

struct MatchedDelivery {
    delivery: PendingDelivery,
    event: Arc<Event>,
    subscription: Arc<Subscription>,
    reservation: Option<Reservation>,
}

impl Matched {
    fn of(deps: &Deps, fresh: &[NewEvent]) -> Self {
        let events = fresh.iter().map(|new| new.event.as_ref());
        let (version, matches) = deps.directory.match_events(events);
        let counts = matches.iter().map(Vec::len).collect();
        let mut deliveries = Vec::new();
        for (new, subscriptions) in fresh.iter().zip(matches) {
            for subscription in subscriptions {
                let delivery = PendingDelivery {
                    id: DeliveryId(clock::uuid()),
                    event_id: new.event.id,
                    subscription_id: subscription.id,
                    due_at: new.event.received_at,
                    progress: Progress::new(),
                };
                let event = Arc::clone(&new.event);
                deliveries.push(MatchedDelivery {
                    delivery,
                    event,
                    subscription,
                    reservation: None,
                });
            }
        }
        Self {
            version,
            deliveries,
            counts,
        }
    }

    /// Where the group makes too many deliveries: the unit, not the first, from which on it
    /// has to be split.
    fn too_many(&self, group: &Group, fates: &[UnitFate]) -> Option<usize> {
        if self.deliveries.len() <= MAX_GROUP_DELIVERIES || group.units.len() < 2 {
            return None;
        }
        let mut counts = self.counts.iter();
        let mut sum = 0;
        for (index, fate) in fates.iter().enumerate() {
            let UnitFate::Accepted(items) = fate else {
                continue;
            };
            let fresh = items.iter().filter(|fate| **fate == ItemFate::New).count();
            sum += counts.by_ref().take(fresh).sum::<usize>();
            if sum > MAX_GROUP_DELIVERIES {
                return Some(index.max(1));
            }
        }
        None
    }

    fn reserve(&mut self, deps: &Deps) {
        if !deps.ownership.may_deliver() {
            return;
        }
        for one in &mut self.deliveries {
            if one.subscription.state.delivers() {
                one.reservation = deps
                    .lanes
                    .get(one.subscription.id)
                    .and_then(|lane| Reservation::make(&lane, one.delivery.id));
            }
        }
    }

    fn withdraw(self) {
        for reservation in self
            .deliveries
            .into_iter()
            .filter_map(|one| one.reservation)
        {
            reservation.withdraw();
        }
    }

    /// Offers what is reserved, and wakes whoever has to page the rest.
    fn hand_over(self, deps: &Deps) {
        let mut declined: Vec<SubscriptionId> = Vec::new();
        let mut loaded: Option<Arc<LoadedEvent>> = None;
        for one in self.deliveries {
            let Some(reservation) = one.reservation else {
                if one.subscription.state.delivers() {
                    declined.push(one.subscription.id);
                }
                continue;
            };
            // Deliveries of one event stand together and share it.
            if loaded
                .as_ref()
                .is_none_or(|loaded| loaded.event().id != one.event.id)
            {
                loaded = LoadedEvent::within(&deps.budget, &one.event).map(Arc::new);
            }
            reservation.offer(WaitingDelivery {
                delivery: one.delivery,
                event: loaded.clone(),
            });
        }
        declined.sort_unstable();
        declined.dedup();
        if declined.is_empty() || deps.faults.muted(Point::Handover) {
            return;
        }
        if deps.ownership.may_deliver() {
            deps.wake_for_more(&declined);
        } else {
            deps.feed.announce(Notice::Due(declined));
        }
    }
}
