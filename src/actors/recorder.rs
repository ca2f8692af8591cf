//! Group commit of outcomes.
//!
//! What was sent stands in a queue until its record is committed, whatever dies meanwhile: no
//! second attempt of a delivery starts before. Nobody waits for a record, so the recorder may
//! linger a few milliseconds for company. It never gives a record up: the database being away
//! holds everything back, and data that the database refuses is replaced by a note.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::{error, info, warn};

use super::deps::Deps;
use super::lane::{Lane, Ticket};
use super::pump::{Doorbell, Work};
use super::streaks;
use crate::clock;
use crate::domain::delivery::{AttemptRecord, Settlement};
use crate::domain::outcome::CallResult;
use crate::events::{EngineEvent, ToldAttempt};
use crate::faults::Point;
use crate::settings::EngineSettings;
use crate::store::{RecordGroup, Recorded, StoreError};

/// The longest pause between two tries while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// An outcome and the proof that its delivery is ours until it is recorded.
#[derive(Debug)]
pub struct Finished {
    /// What to record.
    pub record: Arc<AttemptRecord>,
    /// Ends with the commit.
    pub ticket: Ticket,
    /// Since when it waits.
    since: Instant,
    /// Whether it speaks for the receiver that the subscription has, and has not been counted.
    pub speaks: bool,
    /// It was in a group whose task was lost, perhaps after its commit.
    rerun: bool,
}

impl Finished {
    /// An outcome that was never in a group.
    pub fn new(record: AttemptRecord, ticket: Ticket, speaks: bool) -> Self {
        Self {
            record: Arc::new(record),
            ticket,
            since: clock::instant(),
            speaks,
            rerun: false,
        }
    }
}

/// The queue of outcomes.
#[derive(Debug)]
pub struct Recorder {
    queue: Mutex<VecDeque<Finished>>,
    bell: Doorbell,
    emptied: Notify,
    in_hand: Mutex<InHand>,
    /// Held by whoever commits: a task may outlive its actor and meet the next one's, and what
    /// two commit of one streak at once would not be what both told.
    committing: tokio::sync::Mutex<()>,
    linger: Duration,
    max_group: usize,
}

/// What groups under way have taken from the queue.
#[derive(Clone, Copy, Debug, Default)]
struct InHand {
    count: usize,
    oldest: Option<Instant>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// An empty queue.
    pub fn new(settings: &EngineSettings, bell: Doorbell) -> Self {
        Self {
            queue: Mutex::default(),
            bell,
            emptied: Notify::new(),
            in_hand: Mutex::default(),
            committing: tokio::sync::Mutex::new(()),
            linger: settings.record_linger,
            max_group: settings.record_max_group,
        }
    }

    /// Takes an outcome in.
    pub fn push(&self, finished: Finished) {
        let first = {
            let mut queue = locked(&self.queue);
            queue.push_back(finished);
            queue.len() == 1
        };
        // Where more waits, somebody was called already, or is at work and looks again.
        if first {
            self.bell.ring();
        }
    }

    /// Outcomes not yet recorded.
    pub fn waiting(&self) -> usize {
        locked(&self.queue).len() + locked(&self.in_hand).count
    }

    /// How long the oldest of them has waited.
    pub fn lag(&self, now: Instant) -> Duration {
        let queued = locked(&self.queue).front().map(|finished| finished.since);
        let oldest = [queued, locked(&self.in_hand).oldest];
        let oldest = oldest.into_iter().flatten().min();
        oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Waits until everything is recorded.
    pub async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.waiting() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn take_group(self: &Arc<Self>) -> Option<Group> {
        let mut queue = locked(&self.queue);
        let count = queue.len().min(self.max_group);
        if count == 0 {
            return None;
        }
        let mut finished: Vec<Finished> = queue.drain(..count).collect();
        let oldest = finished.iter().map(|finished| finished.since).min();
        {
            let mut in_hand = locked(&self.in_hand);
            in_hand.count += count;
            in_hand.oldest = [in_hand.oldest, oldest].into_iter().flatten().min();
        }
        // Sorted, so that two groups never lock rows in opposite orders.
        finished.sort_unstable_by_key(|finished| finished.record.delivery.id);
        Some(Group {
            recorder: Arc::clone(self),
            count,
            finished,
        })
    }
}

/// Outcomes taken from the queue; what is not settled when this is dropped goes back.
struct Group {
    recorder: Arc<Recorder>,
    count: usize,
    finished: Vec<Finished>,
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut queue = locked(&self.recorder.queue);
        for mut finished in self.finished.drain(..).rev() {
            finished.rerun = true;
            queue.push_front(finished);
        }
        {
            let mut in_hand = locked(&self.recorder.in_hand);
            in_hand.count -= self.count;
            if in_hand.count == 0 {
                in_hand.oldest = None;
            }
        }
        let empty = queue.is_empty();
        drop(queue);
        if empty {
            self.recorder.emptied.notify_waiters();
        }
    }
}

impl Work for Recorder {
    const POINT: Point = Point::Recorder;

    fn of(deps: &Deps) -> &Arc<Self> {
        &deps.recorder
    }

    fn bell(&self) -> &Doorbell {
        &self.bell
    }

    fn has_work(&self) -> bool {
        !locked(&self.queue).is_empty()
    }

    async fn run(deps: Arc<Deps>) {
        let recorder = Arc::clone(&deps.recorder);
        while recorder.has_work() {
            if locked(&recorder.queue).len() < recorder.max_group && !deps.is_draining() {
                tokio::time::sleep(recorder.linger).await;
            }
            if let Some(group) = recorder.take_group() {
                record(&deps, group).await;
            }
        }
    }
}

/// Commits a group, however long that takes.
async fn record(deps: &Arc<Deps>, mut group: Group) {
    let rerun = group.finished.iter().any(|finished| finished.rerun);
    let fates = {
        let _turn = deps.recorder.committing.lock().await;
        commit(deps, &mut group.finished, rerun).await
    };
    deps.faults.panic_at(Point::RecorderCommitted);
    let finished = std::mem::take(&mut group.finished);
    deps.slots.note_recorded(finished.len());
    if finished
        .iter()
        .any(|finished| finished.record.raises.is_some())
    {
        deps.outbox.look();
    }
    for (finished, fate) in finished.into_iter().zip(fates) {
        let record = &finished.record;
        tell(deps, record, finished.ticket.lane(), fate);
        match fate {
            Recorded::Moved => finished.ticket.settled(record),
            Recorded::Stale => finished.ticket.overtaken(),
        }
    }
}

/// Commits records as one, or by halves where the data of some is refused.
async fn commit(deps: &Arc<Deps>, records: &mut [Finished], mut rerun: bool) -> Vec<Recorded> {
    let mut pause = Duration::from_millis(20);
    let mut failures = 0u32;
    loop {
        let epoch = deps.ownership.epoch().unwrap_or_default();
        match store(deps, epoch, records, rerun).await {
            Ok(fates) => {
                if failures > 0 {
                    info!(failures, "outcomes are recorded again");
                }
                return fates;
            }
            Err(StoreError::Fenced) => return vec![Recorded::Stale; records.len()],
            Err(StoreError::Refused(reason)) if records.len() == 1 => {
                let record = &mut records[0].record;
                warn!(attempt = %record.id, reason, "an answer could not be stored; a note stands for it");
                *record = Arc::new(without_foreign_data(record));
            }
            Err(StoreError::Refused(_)) => {
                let (left, right) = records.split_at_mut(records.len() / 2);
                let mut fates = Box::pin(commit(deps, left, rerun)).await;
                fates.extend(Box::pin(commit(deps, right, rerun)).await);
                return fates;
            }
            Err(problem @ (StoreError::Unavailable(_) | StoreError::Broken(_))) => {
                // One line at the first failure, then one in ten.
                if failures.is_multiple_of(10) {
                    error!(%problem, waiting = deps.recorder.waiting(), "outcomes cannot be recorded; trying on");
                }
                failures += 1;
                rerun = true;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// One try.
async fn store(
    deps: &Arc<Deps>,
    epoch: i64,
    records: &mut [Finished],
    rerun: bool,
) -> Result<Vec<Recorded>, StoreError> {
    let streaks = streaks::changed(deps, epoch, records).await?;
    let group = RecordGroup {
        epoch,
        records: records.iter().map(|one| Arc::clone(&one.record)).collect(),
        streaks: streaks
            .iter()
            .map(|(lane, streak)| (lane.subscription(), streak.clone()))
            .collect(),
        rerun,
        now: clock::now(),
    };
    deps.faults.panic_at(Point::RecorderCommit);
    let begun = clock::instant();
    let fates = deps.store.record(&group).await?;
    let took = clock::instant().saturating_duration_since(begun);
    deps.metrics.recording.note(records.len(), took);
    streaks::committed(deps, epoch, streaks);
    for finished in records {
        // Counted once, also where the task is lost before anybody hears of the commit.
        finished.speaks = false;
    }
    Ok(fates)
}

/// The same attempt with nothing in it that came from outside.
fn without_foreign_data(record: &AttemptRecord) -> AttemptRecord {
    let mut record = record.clone();
    record.outcome.request_headers.clear();
    match &mut record.outcome.result {
        CallResult::Answer(answer) => {
            answer.headers.clear();
            answer.body = b"(the answer could not be stored)".to_vec();
            answer.body_cut = true;
        }
        CallResult::Failure(failure) => {
            "the failure could not be stored".clone_into(&mut failure.message)
        }
    }
    record
}

fn tell(deps: &Deps, record: &AttemptRecord, lane: &Lane, fate: Recorded) {
    let settlement = record.verdict.settlement;
    deps.metrics.note_attempt(record, fate == Recorded::Moved);
    if fate == Recorded::Moved && matches!(settlement, Settlement::Failed | Settlement::Expired) {
        finally_failed(record, lane);
    }
    deps.events.tell(|| EngineEvent::AttemptRecorded {
        delivery: record.delivery.id,
        event: record.delivery.event_id,
        subscription: record.delivery.subscription_id,
        number: record.number(),
        settlement: record.verdict.settlement,
        stale: fate == Recorded::Stale,
        attempt: Arc::new(ToldAttempt {
            id: record.id,
            trigger: record.trigger,
            started_at: record.outcome.started_at,
            duration: record.outcome.duration,
            status: record.outcome.status(),
            error_kind: record.outcome.error_kind(),
            error: record.outcome.error_message(),
        }),
    });
    if record.blocks.is_some() && fate == Recorded::Moved {
        let (subscription, delivery) = (record.delivery.subscription_id, record.delivery.id);
        warn!(%subscription, %delivery, "a failed delivery blocks what comes after it; retry, skip or cancel it");
        deps.events.tell(|| EngineEvent::LineBlocked {
            subscription,
            delivery,
        });
    }
    tracing::debug!(
        delivery = %record.delivery.id,
        event = %record.delivery.event_id,
        subscription = %record.delivery.subscription_id,
        attempt = record.number(),
        status = record.outcome.status(),
        error = record.outcome.error_kind(),
        settlement = ?record.verdict.settlement,
        milliseconds = record.outcome.duration.as_secs_f64() * 1_000.0,
        "delivery.attempted"
    );
}

/// A delivery ends undelivered: an operator hears of it, though not of each of many.
fn finally_failed(record: &AttemptRecord, lane: &Lane) {
    if let Some(count) = lane.note_final_failure(clock::instant()) {
        warn!(
            subscription = %record.delivery.subscription_id,
            delivery = %record.delivery.id,
            event = %record.delivery.event_id,
            attempts = record.number(),
            error = record.outcome.error_message(),
            settlement = ?record.verdict.settlement,
            since_the_last_line = count,
            "delivery.failed"
        );
    }
}
