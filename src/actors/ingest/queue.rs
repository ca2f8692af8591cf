//! The queue of units, and the groups taken from it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::{error, info};

use crate::actors::handle::{AcceptAnswer, NewEvent};
use crate::actors::pump::Doorbell;
use crate::clock;
use crate::settings::EventSettings;
use crate::store::StoreError;

/// Times that a unit may be in the hands of a task that panics.
const MAX_LOST: u8 = 2;

/// What a sender wants accepted as a whole, and how to tell.
#[derive(Debug)]
pub struct Unit {
    /// All of them or none.
    pub events: Vec<NewEvent>,
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
    pub(super) bell: Doorbell,
    max_waiting: usize,
    max_waiting_bytes: usize,
    max_group: usize,
    pub(super) key_retention: Duration,
    pub(super) outage: Outage,
    accept_timeout: Duration,
}

/// Whether events cannot be committed at present: told once at its begin and once at its end,
/// however many groups are turned away in between.
#[derive(Debug, Default)]
pub(super) struct Outage {
    is_on: AtomicBool,
    last: Mutex<Option<(Instant, String)>>,
}

impl Outage {
    /// A commit failed, through no fault of its data.
    pub(super) fn note_failure(&self, problem: &StoreError) {
        if !self.is_on.swap(true, Ordering::Relaxed) {
            error!(%problem, "events cannot be committed; senders hear 503 until they can");
        }
        *self.lock() = Some((clock::instant(), problem.to_string()));
    }

    /// A commit succeeded.
    pub(super) fn note_success(&self) {
        if self.is_on.load(Ordering::Relaxed) && self.is_on.swap(false, Ordering::Relaxed) {
            info!("events are committed again");
            *self.lock() = None;
        }
    }

    /// Why the last commit failed, where that is not longer ago: a database that answers may have no
    /// room left. Where nobody has tried since, nobody is turned away either.
    fn within(&self, time: Duration) -> Option<String> {
        let last = self.lock().clone();
        let (at, problem) = last?;
        let is_recent = clock::instant().saturating_duration_since(at) <= time;
        is_recent.then_some(problem)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
            outage: Outage::default(),
            accept_timeout: settings.accept_timeout,
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

    /// Whether any unit waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.lock().units.is_empty()
    }

    /// Events not answered yet, and how many there may be.
    pub fn usage(&self) -> (usize, usize) {
        (self.lock().events, self.max_waiting)
    }

    /// Why events cannot be committed, where that is so. Whoever waits in the queue is tried again
    /// within the time that they wait.
    pub fn trouble(&self) -> Option<String> {
        self.outage.within(self.accept_timeout)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes as many units as make a group. A unit of unknown fate goes alone: a run that did
    /// commit stored all of its own group, and tells nothing of units that came later.
    pub(super) fn take_group(self: &Arc<Self>) -> Group {
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

    /// Puts units back at the front.
    fn give_back(&self, units: impl DoubleEndedIterator<Item = Unit>) {
        let mut queue = self.lock();
        for unit in units.rev() {
            queue.units.push_front(unit);
        }
    }
}

/// Units taken from the queue. Those not answered when this is dropped go back, unless they
/// were in lost hands too often: then their senders hear that nothing was acknowledged.
pub struct Group {
    ingest: Arc<Ingest>,
    /// Not answered yet.
    pub units: Vec<Unit>,
}

impl Group {
    /// Answers the units, one answer each.
    pub fn answer(&mut self, answers: Vec<AcceptAnswer>) {
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

    /// Answers all units alike.
    pub fn answer_all(&mut self, answer: &AcceptAnswer) {
        self.answer(vec![answer.clone(); self.units.len()]);
    }

    /// Splits these units off, as a group of their own.
    pub fn split_off(&mut self, at: usize) -> Self {
        Self {
            ingest: Arc::clone(&self.ingest),
            units: self.units.split_off(at),
        }
    }

    /// Answers the units whose time is up; what a later commit does to them is not told.
    pub fn drop_late(&mut self) {
        let now = clock::instant();
        if self.units.iter().all(|unit| unit.deadline > now) {
            return;
        }
        let (late, rest) = std::mem::take(&mut self.units)
            .into_iter()
            .partition(|unit| unit.deadline <= now);
        self.units = late;
        self.answer_all(&AcceptAnswer::Unavailable);
        self.units = rest;
    }
}

impl Group {
    /// Whether an earlier run may have committed some of this without telling.
    pub fn is_rerun(&self) -> bool {
        self.units.iter().any(|unit| unit.rerun)
    }

    /// What comes next is a rerun.
    pub fn note_rerun(&mut self) {
        for unit in &mut self.units {
            unit.rerun = true;
        }
    }

    /// Puts the units from `at` on back at the front of the queue.
    pub fn give_back_from(&mut self, at: usize) {
        let rest = self.units.split_off(at);
        self.ingest.give_back(rest.into_iter());
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::event::Event;
    use crate::domain::event_type::EventType;
    use crate::domain::id::EventId;
    use crate::settings::Settings;

    fn unit() -> Vec<NewEvent> {
        let event = Event {
            id: EventId(clock::uuid()),
            tenant: None,
            event_type: EventType::from_stored("a"),
            event_name: None,
            source: None,
            idempotency_key: None,
            ordering_key: None,
            occurred_at: None,
            received_at: Timestamp::default(),
            payload: Bytes::from_static(b"1"),
        };
        vec![NewEvent {
            event: Arc::new(event),
            content: [0; 32],
        }]
    }

    #[test]
    fn an_outage_is_over_with_a_commit_or_where_nobody_tries() {
        let outage = Outage::default();
        let long = Duration::from_secs(60);
        assert_eq!(outage.within(long), None);
        outage.note_failure(&StoreError::Unavailable("disk is full".to_owned()));
        assert!(outage.within(long).unwrap().contains("disk is full"));
        while outage.within(Duration::ZERO).is_some() {}
        outage.note_success();
        assert_eq!(outage.within(long), None);
    }

    #[test]
    fn what_may_be_committed_is_in_no_group_with_what_is_not() {
        let settings = Settings::load(None, [("", ""); 0], true).unwrap();
        let ingest = Arc::new(Ingest::new(&settings.events, Doorbell::new()));
        let deadline = clock::instant() + std::time::Duration::from_secs(60);
        let mut answers = Vec::new();
        let mut submit = |count: usize| {
            for _ in 0..count {
                answers.push(ingest.submit(unit(), deadline).unwrap());
            }
        };
        submit(2);
        let lost = ingest.take_group();
        assert_eq!((lost.units.len(), lost.is_rerun()), (2, false));
        drop(lost);
        submit(3);
        let sizes = [(); 3].map(|()| {
            let mut group = ingest.take_group();
            let found = (group.units.len(), group.is_rerun());
            group.answer_all(&AcceptAnswer::Unavailable);
            found
        });
        assert_eq!(sizes, [(1, true), (1, true), (3, false)]);
        assert_eq!(ingest.usage().0, 0);
    }
}
