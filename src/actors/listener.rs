//! Hears what other nodes committed and changed.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::deps::Deps;
use super::keys::KeysMessage;
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
    /// The connection stands.
    Connected,
    /// The connection failed.
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
                let lost = Lost {
                    listener: myself.clone(),
                    reason: "the listening task was lost".to_owned(),
                };
                state.task = Some(tokio::spawn(listen(deps, myself, lost)));
            }
            ListenerMessage::Connected => {
                if std::mem::take(&mut state.failures) > 0 {
                    info!("the feed is heard again");
                }
            }
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
}

impl Drop for State {
    /// Whichever way this life ends, the next one listens for itself.
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Tells the listener that its task has ended, also where it panicked.
struct Lost {
    listener: ActorRef<ListenerMessage>,
    reason: String,
}

impl Drop for Lost {
    fn drop(&mut self) {
        let reason = std::mem::take(&mut self.reason);
        let _ = self.listener.cast(ListenerMessage::Lost(reason));
    }
}

/// Acts upon what is heard until the connection fails. The channel is bounded: a listener that
/// lags slows its reading down, not its memory up.
async fn listen(deps: Arc<Deps>, myself: ActorRef<ListenerMessage>, mut lost: Lost) {
    let (sender, mut heard) = mpsc::channel(WAITING_NOTICES);
    let acting = async {
        while let Some(notice) = heard.recv().await {
            if notice == Notice::Gap {
                let _ = myself.cast(ListenerMessage::Connected);
            }
            act(&deps, notice).await;
        }
    };
    let (reason, ()) = tokio::join!(deps.feed.listen(sender), acting);
    lost.reason = reason;
}

async fn act(deps: &Arc<Deps>, notice: Notice) {
    if matches!(notice, Notice::Gap | Notice::Keys) {
        deps.keys.cast(KeysMessage::Look);
    }
    match notice {
        Notice::Keys => {}
        Notice::Gap if deps.settings.engine.role.delivers() => {
            deps.sweeper.cast(SweeperMessage::Sweep);
        }
        Notice::Gap => {
            // Nobody sweeps here. The fence makes good what this fails to fetch.
            if let Err(problem) = deps.refresh_directory().await {
                warn!(%problem, "the directory cannot be brought up to date");
            }
        }
        Notice::Due(ids) if deps.ownership.may_deliver() => deps.wake_for_more(&ids),
        Notice::Due(_) => {}
        Notice::Retry {
            subscription,
            delivery,
            round,
        } => {
            if deps.ownership.may_deliver() && !deps.is_draining() {
                let retry = deps.retry_for_another(subscription, delivery, round);
                retry.await;
            }
        }
        Notice::Jobs => deps.jobs.look(),
        Notice::Tenants => {
            // A failure to read is made good by the next sweep.
            if let Err(problem) = deps.refresh_directory().await {
                warn!(%problem, "the directory cannot be brought up to date");
            }
        }
        Notice::Changed(id) => {
            // A failure to read is made good by the next sweep.
            if let Err(problem) = deps.refresh_directory().await {
                warn!(%problem, "the directory cannot be brought up to date");
            }
            deps.note_change(id);
            // The change may have raised an event.
            deps.outbox.look();
        }
    }
}
