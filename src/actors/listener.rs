//! Hears what other nodes committed and changed.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::deps::Deps;
use super::sweeper::SweeperMessage;
use crate::feed::Notice;

/// Notices heard and not yet acted upon.
const WAITING_NOTICES: usize = 256;
/// The longest pause between two connections that fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What the listener is told.
#[derive(Debug)]
pub enum ListenerMessage {
    /// Begin, or begin again.
    Listen,
    /// Something was heard.
    Heard(Notice),
    /// The connection failed; how long it took to.
    Lost(String),
}

/// What may be lost.
pub struct State {
    deps: Arc<Deps>,
    failures: u32,
    task: Option<tokio::task::JoinHandle<()>>,
}

/// See the module's documentation.
pub struct Listener;

impl Actor for Listener {
    type Msg = ListenerMessage;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<ListenerMessage>,
        deps: Arc<Deps>,
    ) -> Result<State, ActorProcessingErr> {
        let _ = myself.cast(ListenerMessage::Listen);
        Ok(State {
            deps,
            failures: 0,
            task: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ListenerMessage>,
        message: ListenerMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ListenerMessage::Listen => {
                let deps = Arc::clone(&state.deps);
                state.task = Some(tokio::spawn(listen(deps, myself)));
            }
            ListenerMessage::Heard(notice) => state.act(notice).await,
            ListenerMessage::Lost(reason) => {
                if state.failures == 0 {
                    warn!(
                        reason,
                        "the feed is lost; the sweeper finds what is not heard"
                    );
                }
                let pause = Duration::from_millis(50) * (1 << state.failures.min(6));
                state.failures += 1;
                myself.send_after(pause.min(LONGEST_PAUSE), || ListenerMessage::Listen);
            }
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<ListenerMessage>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(task) = state.task.take() {
            task.abort();
        }
        Ok(())
    }
}

impl State {
    async fn act(&mut self, notice: Notice) {
        match notice {
            Notice::Gap => {
                if std::mem::take(&mut self.failures) > 0 {
                    info!("the feed is heard again");
                }
                self.deps.sweeper.cast(SweeperMessage::Sweep);
            }
            Notice::Due(ids) if self.deps.ownership.may_deliver() => self.deps.wake_for_more(&ids),
            Notice::Due(_) => {}
            Notice::Changed(id) => {
                // A failure to read is made good by the next sweep.
                if let Err(problem) = self.deps.refresh_directory().await {
                    warn!(%problem, "the directory cannot be brought up to date");
                }
                self.deps.note_change(id);
            }
        }
    }
}

/// Passes on what is heard until the connection fails. The channel is bounded: a listener that
/// lags slows its reading down, not its memory up.
async fn listen(deps: Arc<Deps>, myself: ActorRef<ListenerMessage>) {
    let (sender, mut heard) = mpsc::channel(WAITING_NOTICES);
    let passing = async {
        while let Some(notice) = heard.recv().await {
            if myself.cast(ListenerMessage::Heard(notice)).is_err() {
                return;
            }
        }
    };
    let (reason, ()) = tokio::join!(deps.feed.listen(sender), passing);
    let _ = myself.cast(ListenerMessage::Lost(reason));
}
