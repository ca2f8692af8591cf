//! Finds or spawns the actors of subscriptions, and sees to those that die.
//!
//! A subscription whose actor keeps dying is suspended with a reason; it never takes the node
//! down with it. A retiring actor leaves its next due time here, so that a retry hours away
//! costs no actor.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tracing::{error, warn};

use super::deps::Deps;
use super::lane::Lane;
use super::operate::Why;
use super::subscription::{Arguments, SubscriptionActor};
use super::sweeper::SweeperMessage;
use super::timer::Timer;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::id::SubscriptionId;
use crate::domain::restart::{Restart, RestartBudget};
use crate::domain::subscription::SubscriptionState;
use crate::events::EngineEvent;
use crate::faults::Point;

/// What the dispatcher is told.
#[derive(Debug)]
pub enum DispatcherMessage {
    /// These have something to do: wake their actors, or spawn them.
    Wake(Vec<SubscriptionId>),
    /// These have something pending that is due then, as the store told.
    Due(Vec<(SubscriptionId, Timestamp)>),
    /// An actor has left by itself.
    Retired {
        /// Whose.
        id: SubscriptionId,
        /// When its next delivery falls due.
        next_due: Option<Timestamp>,
    },
    /// The pause before a restart is over.
    Respawn(SubscriptionId),
    /// Something that slept may be due.
    Tick,
    /// This node owns the deliveries no more: its actors end.
    Disown,
}

impl DispatcherMessage {
    /// Whether it came by way of the address; the rest it told itself.
    fn is_sent(&self) -> bool {
        match self {
            Self::Wake(_) | Self::Due(_) | Self::Retired { .. } | Self::Disown => true,
            Self::Respawn(_) | Self::Tick => false,
        }
    }
}

struct Child {
    lane: Arc<Lane>,
    /// It was wanted again while it was leaving.
    wanted: bool,
}

/// What may be lost: the sweeper finds everybody again.
pub struct State {
    deps: Arc<Deps>,
    children: HashMap<SubscriptionId, Child>,
    by_actor: HashMap<ActorId, SubscriptionId>,
    budgets: HashMap<SubscriptionId, RestartBudget>,
    /// Died, and waiting for their restart.
    respawning: HashSet<SubscriptionId>,
    /// Died too often as of this version of them: not spawned until their suspension is known.
    given_up: HashMap<SubscriptionId, i64>,
    sleeping: BTreeSet<(Timestamp, SubscriptionId)>,
    sleep_until: HashMap<SubscriptionId, Timestamp>,
    timer: Timer<DispatcherMessage>,
}

/// See the module's documentation.
pub struct Dispatcher;

impl Actor for Dispatcher {
    type Msg = DispatcherMessage;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<DispatcherMessage>,
        deps: Arc<Deps>,
    ) -> Result<State, ActorProcessingErr> {
        deps.dispatcher.set(myself.clone());
        // Lanes that a dead dispatcher's actors left have tickets in flight and news to tell.
        let orphans: Vec<_> = deps
            .lanes
            .all()
            .iter()
            .map(|lane| lane.subscription())
            .collect();
        deps.dispatcher.cast(DispatcherMessage::Wake(orphans));
        // What was told between two lives, and who slept, the store knows.
        deps.sweeper.cast(SweeperMessage::Sweep);
        Ok(State {
            deps,
            children: HashMap::new(),
            by_actor: HashMap::new(),
            budgets: HashMap::new(),
            respawning: HashSet::new(),
            given_up: HashMap::new(),
            sleeping: BTreeSet::new(),
            sleep_until: HashMap::new(),
            timer: Timer::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<DispatcherMessage>,
        message: DispatcherMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if message.is_sent() {
            state.deps.dispatcher.taken();
        }
        state.deps.faults.panic_at(Point::Dispatcher);
        match message {
            DispatcherMessage::Wake(ids) => {
                for id in ids {
                    state.wake(&myself, id).await;
                }
            }
            DispatcherMessage::Due(due) => state.due(&myself, due).await,
            DispatcherMessage::Retired { id, next_due } => {
                if let Some(due) = next_due {
                    state.sleep(id, due);
                }
            }
            DispatcherMessage::Respawn(id) => {
                if state.respawning.remove(&id) {
                    state.spawn(&myself, id, true).await;
                }
            }
            DispatcherMessage::Tick => state.rouse(&myself).await,
            DispatcherMessage::Disown => state.disown(),
        }
        state.arm(&myself);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<DispatcherMessage>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(actor, ..) => {
                if let Some((id, child)) = state.forget(actor.get_id()) {
                    state.deps.lanes.close(id);
                    if child.wanted || !child.lane.is_retired() {
                        state.wake(&myself, id).await;
                    }
                }
            }
            SupervisionEvent::ActorFailed(actor, reason) => {
                if let Some((id, _)) = state.forget(actor.get_id()) {
                    state.restart(&myself, id, &reason.to_string());
                }
            }
            _ => {}
        }
        state.arm(&myself);
        Ok(())
    }
}

impl State {
    async fn wake(&mut self, myself: &ActorRef<DispatcherMessage>, id: SubscriptionId) {
        if let Some(child) = self.children.get_mut(&id) {
            if child.lane.is_retired() {
                child.wanted = true;
            } else {
                child.lane.decline();
                child.lane.wake();
            }
            return;
        }
        if !self.respawning.contains(&id) {
            self.spawn(myself, id, false).await;
        }
    }

    /// Spawns the actor of a subscription that may be delivered to, or has something in flight.
    async fn spawn(
        &mut self,
        myself: &ActorRef<DispatcherMessage>,
        id: SubscriptionId,
        restarted: bool,
    ) {
        if !self.may_spawn(id) {
            if let Some(lane) = self.deps.lanes.get(id) {
                lane.looked();
            }
            return;
        }
        let lane = self.deps.lanes.open(id);
        let arguments = Arguments {
            deps: Arc::clone(&self.deps),
            lane: Arc::clone(&lane),
            restarted,
        };
        match Actor::spawn_linked(None, SubscriptionActor, arguments, myself.get_cell()).await {
            Ok((actor, _)) => {
                self.by_actor.insert(actor.get_id(), id);
                self.children.insert(
                    id,
                    Child {
                        lane,
                        wanted: false,
                    },
                );
                if restarted {
                    self.deps
                        .events
                        .tell(|| EngineEvent::ActorRestarted("subscription"));
                }
            }
            Err(problem) => self.restart(myself, id, &problem.to_string()),
        }
    }

    fn may_spawn(&mut self, id: SubscriptionId) -> bool {
        if !self.deps.ownership.may_deliver() || self.deps.is_draining() {
            return false;
        }
        let known = self.deps.directory.get(id);
        if let Some(version) = self.given_up.get(&id) {
            if known
                .as_ref()
                .is_some_and(|known| known.version == *version)
            {
                return false;
            }
            self.given_up.remove(&id);
        }
        let delivers = known.is_some_and(|subscription| subscription.state.delivers());
        delivers || self.deps.lanes.get(id).is_some()
    }

    fn forget(&mut self, actor: ActorId) -> Option<(SubscriptionId, Child)> {
        let id = self.by_actor.remove(&actor)?;
        let child = self.children.remove(&id)?;
        // What it had cleared may have been what killed it.
        child.lane.clear(None);
        Some((id, child))
    }

    /// Starts a dead actor again after a pause, or suspends its subscription.
    fn restart(&mut self, myself: &ActorRef<DispatcherMessage>, id: SubscriptionId, reason: &str) {
        let engine = &self.deps.settings.engine;
        let budget = self
            .budgets
            .entry(id)
            .or_insert_with(|| RestartBudget::new(engine.restart_limit, engine.restart_window));
        match budget.record(clock::instant()) {
            Restart::After(pause) => {
                warn!(subscription = %id, reason, "a subscription's actor died and is started again");
                self.respawning.insert(id);
                myself.send_after(pause, move || DispatcherMessage::Respawn(id));
            }
            Restart::GiveUp => {
                error!(subscription = %id, reason, "a subscription's actor keeps dying; it is suspended");
                self.budgets.remove(&id);
                if let Some(known) = self.deps.directory.get(id) {
                    self.given_up.insert(id, known.version);
                }
                // A wake may have ended with the dead actor's mailbox.
                if let Some(lane) = self.deps.lanes.get(id) {
                    lane.looked();
                }
                let deps = Arc::clone(&self.deps);
                let state = SubscriptionState::Suspended;
                tokio::spawn(deps.hold_subscription(id, state, Why::Crashing));
            }
        }
    }

    async fn due(
        &mut self,
        myself: &ActorRef<DispatcherMessage>,
        due: Vec<(SubscriptionId, Timestamp)>,
    ) {
        let now = clock::now();
        for (id, at) in due {
            if at <= now {
                self.wake(myself, id).await;
            } else if !self.children.contains_key(&id) {
                self.sleep(id, at);
            }
        }
    }

    /// The earliest of all times told holds: a sweep may have read before a retry was planned,
    /// and a wake too early costs a look.
    fn sleep(&mut self, id: SubscriptionId, until: Timestamp) {
        let known = self.sleep_until.get(&id).copied();
        if known.is_some_and(|known| known <= until) {
            return;
        }
        if let Some(later) = self.sleep_until.insert(id, until) {
            self.sleeping.remove(&(later, id));
        }
        self.sleeping.insert((until, id));
    }

    async fn rouse(&mut self, myself: &ActorRef<DispatcherMessage>) {
        let now = clock::now();
        while let Some((due, id)) = self.sleeping.first().copied() {
            if due > now {
                return;
            }
            self.sleeping.remove(&(due, id));
            self.sleep_until.remove(&id);
            self.wake(myself, id).await;
        }
    }

    fn arm(&mut self, myself: &ActorRef<DispatcherMessage>) {
        if let Some((due, _)) = self.sleeping.first() {
            let wait = due.since(clock::now());
            self.timer.arm(myself, wait, || DispatcherMessage::Tick);
        }
    }

    fn disown(&mut self) {
        self.sleeping.clear();
        self.sleep_until.clear();
        self.respawning.clear();
        for child in self.children.values() {
            // Looking at its lane, it finds that it may not deliver, and leaves once nothing flies.
            child.lane.note_change();
        }
    }
}
