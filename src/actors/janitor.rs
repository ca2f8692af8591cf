//! Tidies up: keys past their time, and what still points at deleted subscriptions.
//!
//! Bulk changes go in small batches between commits, so that nobody waits behind them.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::{info, warn};

use super::deps::Deps;
use super::timer::Timer;
use crate::clock;
use crate::store::Result;

/// Rows in one batch.
const BATCH: u32 = 1_000;

/// What the janitor is told.
#[derive(Debug)]
pub enum JanitorMessage {
    /// Make a round.
    Round,
    /// The round has ended.
    Done,
}

/// What may be lost.
pub struct State {
    deps: Arc<Deps>,
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
        Ok(State { deps, timer: Timer::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<JanitorMessage>,
        message: JanitorMessage,
        state: &mut State,
    ) -> std::result::Result<(), ActorProcessingErr> {
        match message {
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
    let before = clock::now().minus(deps.settings.events.idempotency_retention);
    let forgotten =
        in_batches(deps, async || deps.store.forget_keys(before, BATCH).await).await?;
    let mut cancelled = 0;
    for id in deps.store.deleted_with_pending(BATCH).await? {
        cancelled += deps.cancel_all_pending(id).await?;
    }
    if forgotten + cancelled > 0 {
        info!(forgotten_keys = forgotten, cancelled_deliveries = cancelled, "janitor.round");
    }
    Ok(())
}

async fn in_batches(deps: &Deps, batch: impl AsyncFn() -> Result<u64>) -> Result<u64> {
    let mut sum = 0;
    loop {
        let count = batch().await?;
        sum += count;
        if count < u64::from(BATCH) || deps.is_draining() {
            return Ok(sum);
        }
        tokio::task::yield_now().await;
    }
}

impl Deps {
    /// Cancels everything pending of a deleted subscription, batch by batch.
    pub(super) async fn cancel_all_pending(
        &self,
        id: crate::domain::id::SubscriptionId,
    ) -> Result<u64> {
        in_batches(self, async || self.store.cancel_pending(id, clock::now(), BATCH).await).await
    }
}
