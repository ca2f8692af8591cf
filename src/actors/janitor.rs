//! Tidies up: keys and jobs past their time, and what still points at deleted subscriptions.
//!
//! Bulk changes go in small batches between commits, so that nobody waits behind them.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::{info, warn};

use super::deps::Deps;
use super::timer::{Pause, Timer};
use crate::clock;
use crate::domain::id::SubscriptionId;
use crate::events::EngineEvent;
use crate::store::Result;

/// Rows in one batch.
pub(super) const BATCH: u32 = 1_000;

/// What the janitor is told.
#[derive(Debug)]
pub enum JanitorMessage {
    /// Make a round, if the pause before it is over.
    Round,
    /// The round has ended.
    Done,
}

/// What may be lost.
pub struct State {
    deps: Arc<Deps>,
    pause: Pause,
    timer: Timer<JanitorMessage>,
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
        Ok(State {
            deps,
            pause: Pause::begin(Duration::ZERO),
            timer: Timer::new(),
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
                let done = Done(myself);
                tokio::spawn(async move {
                    if deps.ownership.may_deliver()
                        && let Err(problem) = round(&deps).await
                    {
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
        }
        Ok(())
    }
}

struct Done(ActorRef<JanitorMessage>);

impl Drop for Done {
    fn drop(&mut self) {
        let _ = self.0.cast(JanitorMessage::Done);
    }
}

async fn round(deps: &Deps) -> Result<()> {
    let forgotten = forget_keys(deps).await?;
    let forgotten_jobs = forget_jobs(deps).await?;
    let mut cancelled = 0;
    for id in deps.store.deleted_with_pending(BATCH).await? {
        cancelled += deps.cancel_all_pending(id).await?;
    }
    if forgotten + forgotten_jobs + cancelled > 0 {
        info!(
            forgotten_keys = forgotten,
            forgotten_jobs,
            cancelled_deliveries = cancelled,
            "janitor.round"
        );
    }
    Ok(())
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
