//! Looks over all subscriptions for due deliveries, at the start and from time to time.
//!
//! This is what makes everything else a matter of speed: whatever wake, offer or notice was
//! lost, the next sweep finds what is due. It costs one index probe for each subscription that
//! waits (on SQLite, that is active).
//! With it goes the look for deactivated subscriptions that may be tried again.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::warn;

use super::deps::Deps;
use super::dispatcher::DispatcherMessage;
use super::timer::{Pause, Timer};
use super::trial;
use crate::clock;
use crate::events::EngineEvent;
use crate::store::Result;

/// Subscriptions looked over in one read.
const PROBES: u32 = 500;

/// What the sweeper is told.
#[derive(Debug)]
pub enum SweeperMessage {
    /// Sweep now; while a sweep is under way, once more after it.
    Sweep,
    /// The sweep has ended.
    Done,
    /// The pause between two sweeps may be over.
    Tick,
}

/// What may be lost.
pub struct State {
    deps: Arc<Deps>,
    sweeping: bool,
    again: bool,
    /// Held while trials are begun.
    trying: Arc<tokio::sync::Mutex<()>>,
    pause: Pause,
    timer: Timer<SweeperMessage>,
}

/// See the module's documentation.
pub struct Sweeper;

impl Actor for Sweeper {
    type Msg = SweeperMessage;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<SweeperMessage>,
        deps: Arc<Deps>,
    ) -> std::result::Result<State, ActorProcessingErr> {
        deps.sweeper.set(myself);
        deps.sweeper.cast(SweeperMessage::Sweep);
        Ok(State {
            deps,
            sweeping: false,
            again: false,
            trying: Arc::default(),
            pause: Pause::begin(Duration::ZERO),
            timer: Timer::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SweeperMessage>,
        message: SweeperMessage,
        state: &mut State,
    ) -> std::result::Result<(), ActorProcessingErr> {
        if matches!(message, SweeperMessage::Sweep) {
            state.deps.sweeper.taken();
        }
        match message {
            SweeperMessage::Sweep if state.sweeping => state.again = true,
            SweeperMessage::Sweep => state.start(&myself),
            SweeperMessage::Done => {
                state.sweeping = false;
                if std::mem::take(&mut state.again) {
                    state.start(&myself);
                } else {
                    // Nodes that started together do not sweep together.
                    let spread = 0.9 + 0.2 * clock::chance();
                    let pause = state.deps.settings.engine.sweep_interval.mul_f64(spread);
                    state.pause = Pause::begin(pause);
                    state.timer.arm(&myself, pause, || SweeperMessage::Tick);
                }
            }
            // The end of this sweep begins the next pause.
            SweeperMessage::Tick if state.sweeping => {}
            SweeperMessage::Tick => match state.pause.left() {
                Duration::ZERO => state.start(&myself),
                left => state.timer.arm(&myself, left, || SweeperMessage::Tick),
            },
        }
        Ok(())
    }
}

impl State {
    fn start(&mut self, myself: &ActorRef<SweeperMessage>) {
        self.sweeping = true;
        let deps = Arc::clone(&self.deps);
        let trying = Arc::clone(&self.trying);
        let done = Done(myself.clone());
        tokio::spawn(async move {
            if deps.ownership.may_deliver() && !deps.is_draining() {
                // Also those that were made elsewhere, or by an owner that is gone.
                deps.jobs.look();
                match sweep(&deps).await {
                    Ok(()) => deps.events.tell(|| EngineEvent::Swept),
                    Err(problem) => warn!(%problem, "a sweep failed; the next one makes good"),
                }
                drop(done);
                // Beside the sweeps: where a trial has to line up a long backlog first, nobody
                // else may wait for that.
                if let Ok(_alone) = trying.try_lock()
                    && let Err(problem) = trial::sweep(&deps).await
                {
                    warn!(%problem, "trials are begun later");
                }
                if let Err(problem) = deps.reopen_drained().await {
                    warn!(%problem, "more is held again later");
                }
            } else {
                deps.progress.stands_by();
            }
        });
    }
}

struct Done(ActorRef<SweeperMessage>);

impl Drop for Done {
    fn drop(&mut self) {
        let _ = self.0.cast(SweeperMessage::Done);
    }
}

async fn sweep(deps: &Deps) -> Result<()> {
    deps.outbox.look();
    // Changes made elsewhere, in case their notice was lost.
    if deps.store.directory_version().await? != deps.directory.version() {
        deps.refresh_directory().await?;
    }
    let now = clock::now();
    let mut measure = deps.progress.measure(deps, now);
    let mut after = None;
    // Beyond the next sweep, the next sweep tells.
    let horizon = now.plus(deps.settings.engine.sweep_interval + Duration::from_secs(30));
    loop {
        let pending = deps.store.pending_subscriptions(after, PROBES).await?;
        let full = pending.len() == PROBES as usize;
        after = pending.last().map(|(id, _)| *id);
        for (id, due) in &pending {
            measure.look(deps, *id, *due);
        }
        let soon: Vec<_> = pending
            .into_iter()
            .filter(|(_, due)| *due <= horizon)
            .collect();
        if !soon.is_empty() {
            deps.dispatcher.cast(DispatcherMessage::Due(soon));
        }
        if !full {
            deps.progress.measured(measure);
            return Ok(());
        }
    }
}
