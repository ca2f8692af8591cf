//! Tells the store that this process lives and how full it is, so that every other one can show it.
//!
//! Nothing hangs on it: who owns the deliveries is the lease's matter. So a beat that the store does
//! not take is let go, and the next one comes at its time. It has an actor of its own because the
//! others that look regularly are not in every role, or keep the rhythm of what they look after.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::{info, warn};

use super::deps::Deps;
use super::gauges::resident_bytes;
use super::handle::Relay;
use super::timer::{Pause, Timer};
use crate::clock;
use crate::domain::node::{NodeFigures, NodeReport};
use crate::store::{MOST_NODES, StoreError};

/// Beats that may be missed before a process counts as lost.
const PATIENCE: u32 = 3;
/// A process that was not seen for this long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3_600);
/// How often a process looks for such.
const TIDY: Duration = Duration::from_secs(3_600);

/// What the presence is told.
#[derive(Debug)]
pub enum PresenceMessage {
    /// Tell.
    Beat,
    /// That has ended.
    Done {
        /// The store took it.
        told: bool,
    },
}

/// What may be lost.
pub struct State {
    deps: Arc<Deps>,
    until_tidy: Pause,
    is_missed: bool,
    timer: Timer<PresenceMessage>,
}

/// See the module's documentation.
pub struct Presence;

impl Actor for Presence {
    type Msg = PresenceMessage;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<PresenceMessage>,
        deps: Arc<Deps>,
    ) -> Result<State, ActorProcessingErr> {
        let _ = myself.cast(PresenceMessage::Beat);
        Ok(State {
            deps,
            // Whoever is new tidies up at once: so there are never more than may be.
            until_tidy: Pause::begin(Duration::ZERO),
            is_missed: false,
            timer: Timer::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<PresenceMessage>,
        message: PresenceMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PresenceMessage::Beat => {
                let deps = Arc::clone(&state.deps);
                let tidies = state.until_tidy.left().is_zero();
                let mut done = Done {
                    presence: myself,
                    told: false,
                };
                state.deps.beats.spawn(async move {
                    done.told = beat(&deps, tidies).await;
                    drop(done);
                });
            }
            PresenceMessage::Done { told } => {
                if told && state.until_tidy.left().is_zero() {
                    state.until_tidy = Pause::begin(TIDY);
                }
                match (told, state.is_missed) {
                    (false, false) => warn!("the store does not take note that this process lives"),
                    (true, true) => info!("the store takes note again that this process lives"),
                    _ => {}
                }
                state.is_missed = !told;
                let pause = state.deps.settings.engine.beat;
                state.timer.arm(&myself, pause, || PresenceMessage::Beat);
            }
        }
        Ok(())
    }
}

/// Tells that the beat has ended, also where it panicked.
struct Done {
    presence: ActorRef<PresenceMessage>,
    told: bool,
}

impl Drop for Done {
    fn drop(&mut self) {
        let told = self.told;
        let _ = self.presence.cast(PresenceMessage::Done { told });
    }
}

/// Whether the store took it.
async fn beat(deps: &Arc<Deps>, tidies: bool) -> bool {
    let patience = deps.settings.engine.beat * PATIENCE;
    let telling = async {
        let report = Relay::new(Arc::clone(deps)).report().await;
        let age = clock::instant().saturating_duration_since(deps.started);
        deps.store.beat(&report, age, patience).await?;
        if tidies {
            deps.store.forget_nodes(FORGOTTEN, MOST_NODES).await?;
        }
        Ok::<_, StoreError>(())
    };
    matches!(tokio::time::timeout(patience, telling).await, Ok(Ok(())))
}

impl Relay {
    /// What this process tells of itself.
    async fn report(&self) -> NodeReport {
        let deps = &self.deps;
        let settings = &deps.settings;
        let unwell = self.health().await.components.into_iter();
        NodeReport {
            name: deps.holder.clone(),
            host: host(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: settings.engine.role.as_str().to_owned(),
            profile: settings.profile().to_owned(),
            figures: self.figures(),
            unwell: unwell
                .filter(|part| !part.ok)
                .map(|part| part.name.to_owned())
                .collect(),
        }
    }

    fn figures(&self) -> NodeFigures {
        let deps = &self.deps;
        let tree = self.tree();
        let (in_flight, most_in_flight) = deps.slots.usage();
        let restarts: u64 = tree.actors.iter().map(|actor| actor.restarts).sum();
        let queues = tree
            .actors
            .iter()
            .filter_map(|actor| actor.waiting.as_ref());
        NodeFigures {
            in_flight: wide(in_flight),
            most_in_flight: wide(most_in_flight),
            window_bytes: wide(deps.budget.used()),
            most_window_bytes: wide(deps.settings.delivery.window_bytes),
            subscriptions: wide(tree.subscriptions.live),
            restarts: restarts + tree.subscriptions.restarts,
            waiting: queues.map(|queue| wide(queue.count)).sum(),
            resident_bytes: resident_bytes(),
        }
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The machine's name, as the kernel tells it.
#[cfg(target_os = "linux")]
fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(not(target_os = "linux"))]
fn host() -> Option<String> {
    None
}
