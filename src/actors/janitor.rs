//! Tidies up: keys and jobs past their time, what still points at deleted subscriptions, what was
//! held for too long, and what is kept for longer than it should be. Makes room for what comes.
//! Folds statistics, at a pace of their own.
//!
//! Bulk changes go in small batches between commits, so that nobody waits behind them, and a
//! round makes a bounded number of them: the next one goes on where it ended.

mod fold;
mod forget;
mod gentle;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::{info, warn};

use self::forget::Walks;
use super::deps::Deps;
use super::timer::{Pause, Timer};
use crate::clock;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::SubscriptionId;
use crate::domain::subscription::Subscription;
use crate::events::{EngineEvent, Tidied};
use crate::store::{Ending, Result};

/// Rows in one batch.
pub(super) const BATCH: u32 = 1_000;

/// A session that ended is kept this long, so that every process hears of it.
const ENDED_SESSIONS: Duration = Duration::from_secs(24 * 3_600);

/// What the janitor is told.
#[derive(Debug)]
pub enum JanitorMessage {
    /// Make a round, if the pause before it is over.
    Round,
    /// The round has ended.
    Done,
    /// Fold what was counted.
    Fold,
    /// That is done.
    Folded,
}

/// What may be lost.
pub struct State {
    deps: Arc<Deps>,
    walks: Arc<Walks>,
    pause: Pause,
    timer: Timer<JanitorMessage>,
    fold_timer: Timer<JanitorMessage>,
}

/// See the module's documentation.
pub struct Janitor;

impl Actor for Janitor {
    type Msg = JanitorMessage;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<JanitorMessage>,
        deps: Arc<Deps>,
    ) -> std::result::Result<State, ActorProcessingErr> {
        let _ = myself.cast(JanitorMessage::Round);
        let _ = myself.cast(JanitorMessage::Fold);
        Ok(State {
            deps,
            walks: Arc::default(),
            pause: Pause::begin(Duration::ZERO),
            timer: Timer::new(),
            fold_timer: Timer::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<JanitorMessage>,
        message: JanitorMessage,
        state: &mut State,
    ) -> std::result::Result<(), ActorProcessingErr> {
        match message {
            JanitorMessage::Round if !state.pause.left().is_zero() => {
                let left = state.pause.left();
                state.timer.arm(&myself, left, || JanitorMessage::Round);
            }
            JanitorMessage::Round => {
                let deps = Arc::clone(&state.deps);
                let walks = Arc::clone(&state.walks);
                let done = Done(myself, Some(JanitorMessage::Done));
                tokio::spawn(async move {
                    if let Err(problem) = round(&deps, &walks).await {
                        warn!(%problem, "the janitor's round failed; the next one goes on");
                    }
                    drop(done);
                });
            }
            JanitorMessage::Done => {
                let pause = state.deps.settings.engine.janitor_interval;
                state.pause = Pause::begin(pause);
                state.timer.arm(&myself, pause, || JanitorMessage::Round);
            }
            JanitorMessage::Fold => {
                let deps = Arc::clone(&state.deps);
                let done = Done(myself, Some(JanitorMessage::Folded));
                tokio::spawn(async move {
                    fold::all(&deps).await;
                    drop(done);
                });
            }
            JanitorMessage::Folded => {
                let pause = state.deps.settings.statistics.fold_interval;
                let timer = &mut state.fold_timer;
                timer.arm(&myself, pause, || JanitorMessage::Fold);
            }
        }
        Ok(())
    }
}

/// Says in the end that it is over, whatever became of it.
struct Done(ActorRef<JanitorMessage>, Option<JanitorMessage>);

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(message) = self.1.take() {
            let _ = self.0.cast(message);
        }
    }
}

async fn round(deps: &Deps, walks: &Walks) -> Result<()> {
    // Whoever owns the deliveries: what comes needs room, and who stands by has nothing to do.
    let span = deps.settings.retention.span();
    let made = deps.store.make_room(clock::now(), span).await;
    if let Err(problem) = made {
        warn!(%problem, "partitions are made by a later round; what comes is kept meanwhile");
    }
    if !deps.ownership.may_deliver() {
        return Ok(());
    }
    let mut tidied = Tidied {
        keys: forget_keys(deps).await?,
        jobs: forget_jobs(deps).await?,
        api_keys: forget_api_keys(deps).await?,
        sessions: forget_sessions(deps).await?,
        audit: forget_audit(deps).await?,
        late_answers: deps.erase_late_answers().await?,
        ..Tidied::default()
    };
    for id in deps.store.deleted_with_pending(BATCH).await? {
        tidied.cancelled += deps.cancel_all_pending(id).await?;
    }
    for held in deps.directory.held_by_rule() {
        if held.hold.skip_through.is_some() {
            deps.finish_skipping(held.id, &AtomicU64::new(0)).await?;
            continue;
        }
        tidied.expired += expire_held(deps, &held).await?;
        if held.hold.full_since.is_some() {
            deps.reopen_hold(held.id).await?;
        }
    }
    walks.forget_events(deps, &mut tidied).await?;
    walks.forget_answers(deps, &mut tidied).await?;
    tidied.statistics = fold::forget(deps).await?;
    if tidied != Tidied::default() {
        info!(
            forgotten_keys = tidied.keys,
            forgotten_jobs = tidied.jobs,
            forgotten_api_keys = tidied.api_keys,
            forgotten_sessions = tidied.sessions,
            cancelled_deliveries = tidied.cancelled,
            expired_deliveries = tidied.expired,
            forgotten_events = tidied.events,
            forgotten_deliveries = tidied.deliveries,
            forgotten_attempts = tidied.attempts,
            dropped_partitions = tidied.partitions,
            emptied_answers = tidied.answers,
            forgotten_statistics = tidied.statistics,
            late_answers = tidied.late_answers,
            forgotten_audit_entries = tidied.audit,
            "janitor.round"
        );
    }
    deps.events.tell(|| EngineEvent::Tidied(tidied));
    Ok(())
}

/// Ends what was held for longer than may be. What flies is a trial, which settles its delivery
/// itself; one that begins just now is recorded as stale where this comes first.
async fn expire_held(deps: &Deps, held: &Subscription) -> Result<u64> {
    let before = clock::now().minus(deps.settings.hold.max_age);
    if held.state_change.at >= before {
        return Ok(0);
    }
    let lane = deps.lanes.get(held.id);
    let spared = lane.map_or_else(Vec::new, |lane| lane.window().all_flying());
    let mut batches = Batches::default();
    while batches.go_on(deps) {
        let (ending, now) = (Ending::Expired(before), clock::now());
        let ended = deps.store.end_held(held.id, ending, &spared, now, BATCH);
        batches.count(ended.await?);
    }
    let (subscription, count) = (held.id, batches.sum);
    if count > 0 {
        warn!(%subscription, count, "deliveries were held for too long and have expired");
        deps.metrics.note_ended(DeliveryState::Expired, count);
        deps.events.tell(|| EngineEvent::DeliveriesExpired {
            subscription,
            count,
        });
    }
    Ok(count)
}

async fn forget_keys(deps: &Deps) -> Result<u64> {
    let before = clock::now().minus(deps.settings.events.idempotency_retention);
    let mut batches = Batches::default();
    while batches.go_on(deps) {
        batches.count(deps.store.forget_keys(before, BATCH).await?);
    }
    Ok(batches.sum)
}

async fn forget_jobs(deps: &Deps) -> Result<u64> {
    let before = clock::now().minus(deps.settings.jobs.retention);
    let mut batches = Batches::default();
    while batches.go_on(deps) {
        batches.count(deps.store.forget_jobs(before, BATCH).await?);
    }
    Ok(batches.sum)
}

async fn forget_api_keys(deps: &Deps) -> Result<u64> {
    let before = clock::now().minus(deps.settings.auth.ended_keys);
    let mut batches = Batches::default();
    while batches.go_on(deps) {
        batches.count(deps.store.forget_api_keys(before, BATCH).await?);
    }
    Ok(batches.sum)
}

async fn forget_sessions(deps: &Deps) -> Result<u64> {
    let before = clock::now().minus(ENDED_SESSIONS);
    // When they were used is stored now and then.
    let unused = before.minus(deps.settings.sessions.idle);
    let mut batches = Batches::default();
    while batches.go_on(deps) {
        batches.count(deps.store.forget_sessions(before, unused, BATCH).await?);
    }
    Ok(batches.sum)
}

async fn forget_audit(deps: &Deps) -> Result<u64> {
    let Some(kept) = deps.settings.audit_retention else {
        return Ok(0);
    };
    let before = clock::now().minus(kept);
    let mut batches = Batches::default();
    while batches.go_on(deps) {
        batches.count(deps.store.forget_audit(before, BATCH).await?);
    }
    Ok(batches.sum)
}

impl Deps {
    /// Cancels everything pending of a deleted subscription, batch by batch.
    pub(super) async fn cancel_all_pending(&self, id: SubscriptionId) -> Result<u64> {
        let mut batches = Batches::default();
        while batches.go_on(self) {
            let now = clock::now();
            batches.count(self.store.cancel_pending(id, &[], now, BATCH).await?);
        }
        let count = batches.sum;
        if count > 0 {
            self.metrics.note_ended(DeliveryState::Cancelled, count);
            self.events.tell(|| EngineEvent::DeliveriesCancelled {
                subscription: id,
                count,
            });
        }
        Ok(count)
    }
}

/// Counts batches until one is not full, or the node stops.
#[derive(Default)]
pub(super) struct Batches {
    pub(super) sum: u64,
    last_was_short: bool,
}

impl Batches {
    pub(super) fn go_on(&self, deps: &Deps) -> bool {
        !self.last_was_short && !deps.is_draining()
    }

    pub(super) fn count(&mut self, rows: u64) {
        self.sum += rows;
        self.last_was_short = rows < u64::from(BATCH);
    }
}
