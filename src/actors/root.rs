//! The root of the tree: starts the singletons and starts them again, one for one.
//!
//! When an actor dies more often than its budget allows, the tree cannot heal itself: the
//! engine fails, and whoever supervises the process starts it again.
//!
//! A process of the role `ingest` or `deliver` starts only the actors that its part needs;
//! what others would be told is then told to nobody here, or announced by the feed.

use std::collections::HashMap;
use std::sync::Arc;

use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tracing::{error, warn};

use super::deps::Deps;
use super::dispatcher::Dispatcher;
use super::ingest::Ingest;
use super::janitor::Janitor;
use super::jobs::Jobs;
use super::keys::Keys;
use super::leases::Leases;
use super::listener::Listener;
use super::outbox::Outbox;
use super::presence::Presence;
use super::pump::Pump;
use super::recorder::Recorder;
use super::sweeper::Sweeper;
use crate::clock;
use crate::domain::restart::{Restart, RestartBudget};
use crate::events::EngineEvent;
use crate::faults::Point;
use crate::settings::Role;

/// A singleton of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Singleton {
    /// Group commit of events.
    Ingest,
    /// Group commit of outcomes.
    Recorder,
    /// Acceptance of operational events.
    Outbox,
    /// Finds or spawns the subscriptions' actors.
    Dispatcher,
    /// Looks over all subscriptions.
    Sweeper,
    /// Tidies up.
    Janitor,
    /// Bulk work.
    Jobs,
    /// Looks after the keyring.
    Keys,
    /// Hears other nodes.
    Listener,
    /// Owns the deliveries.
    Leases,
    /// Tells the store that this process lives.
    Presence,
}

impl Singleton {
    /// In the order of their start.
    pub(super) const ALL: [Self; 11] = [
        Self::Dispatcher,
        Self::Recorder,
        Self::Ingest,
        Self::Outbox,
        Self::Sweeper,
        Self::Janitor,
        Self::Jobs,
        Self::Keys,
        Self::Listener,
        Self::Leases,
        Self::Presence,
    ];

    /// Whether a process of that role needs it.
    pub(super) fn serves(self, role: Role) -> bool {
        match self {
            // Whoever delivers has operational events to accept.
            Self::Ingest | Self::Keys | Self::Listener | Self::Presence => true,
            Self::Recorder
            | Self::Outbox
            | Self::Dispatcher
            | Self::Sweeper
            | Self::Janitor
            | Self::Jobs
            | Self::Leases => role.delivers(),
        }
    }

    /// The word in logs and answers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Recorder => "recorder",
            Self::Outbox => "outbox",
            Self::Dispatcher => "dispatcher",
            Self::Sweeper => "sweeper",
            Self::Janitor => "janitor",
            Self::Jobs => "jobs",
            Self::Keys => "keys",
            Self::Listener => "listener",
            Self::Leases => "leases",
            Self::Presence => "presence",
        }
    }

    /// What it is for, to people.
    pub(super) fn purpose(self) -> &'static str {
        match self {
            Self::Ingest => "commits events in groups",
            Self::Recorder => "commits outcomes in groups",
            Self::Outbox => "accepts operational events",
            Self::Dispatcher => "finds or starts the subscriptions' actors",
            Self::Sweeper => "looks over all subscriptions for what is due",
            Self::Janitor => "tidies up: retention, statistics, what is left over",
            Self::Jobs => "does bulk work, batch by batch",
            Self::Keys => "looks after keys and limits",
            Self::Listener => "hears other nodes",
            Self::Leases => "owns the deliveries, or stands by",
            Self::Presence => "tells the store that this process lives",
        }
    }
}

/// What the root is told.
#[derive(Debug)]
pub enum RootMessage {
    /// The pause before a restart is over.
    Restart(Singleton),
}

/// What the root knows of its children.
pub struct State {
    deps: Arc<Deps>,
    children: HashMap<ActorId, Singleton>,
    budgets: HashMap<Singleton, RestartBudget>,
}

/// See the module's documentation.
pub struct Root;

impl Actor for Root {
    type Msg = RootMessage;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<RootMessage>,
        deps: Arc<Deps>,
    ) -> Result<State, ActorProcessingErr> {
        let mut state = State {
            deps,
            children: HashMap::new(),
            budgets: HashMap::new(),
        };
        let role = state.deps.settings.engine.role;
        let needed = Singleton::ALL.into_iter().filter(|one| one.serves(role));
        for singleton in needed {
            if singleton == Singleton::Leases && state.deps.ownership.is_for_good() {
                continue;
            }
            state.start(&myself, singleton).await?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<RootMessage>,
        RootMessage::Restart(singleton): RootMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match state.start(&myself, singleton).await {
            Ok(()) => {
                state
                    .deps
                    .events
                    .tell(|| EngineEvent::ActorRestarted(singleton.name()));
            }
            Err(problem) => state.died(&myself, singleton, &problem.to_string()),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<RootMessage>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let (actor, reason) = match event {
            SupervisionEvent::ActorFailed(actor, reason) => (actor, reason.to_string()),
            SupervisionEvent::ActorTerminated(actor, _, reason) => {
                (actor, reason.unwrap_or_else(|| "it ended".to_owned()))
            }
            _ => return Ok(()),
        };
        state.deps.faults.panic_at(Point::Root);
        if let Some(singleton) = state.children.remove(&actor.get_id()) {
            state.died(&myself, singleton, &reason);
        }
        Ok(())
    }
}

impl State {
    async fn start(
        &mut self,
        myself: &ActorRef<RootMessage>,
        singleton: Singleton,
    ) -> Result<(), SpawnErr> {
        let (deps, root) = (Arc::clone(&self.deps), myself.get_cell());
        let id = match singleton {
            Singleton::Ingest => spawn(Pump::<Ingest>::new(), deps, root).await?,
            Singleton::Recorder => spawn(Pump::<Recorder>::new(), deps, root).await?,
            Singleton::Outbox => spawn(Pump::<Outbox>::new(), deps, root).await?,
            Singleton::Dispatcher => spawn(Dispatcher, deps, root).await?,
            Singleton::Sweeper => spawn(Sweeper, deps, root).await?,
            Singleton::Janitor => spawn(Janitor, deps, root).await?,
            Singleton::Jobs => spawn(Pump::<Jobs>::new(), deps, root).await?,
            Singleton::Keys => spawn(Keys, deps, root).await?,
            Singleton::Listener => spawn(Listener, deps, root).await?,
            Singleton::Leases => spawn(Leases, deps, root).await?,
            Singleton::Presence => spawn(Presence, deps, root).await?,
        };
        self.children.insert(id, singleton);
        self.deps.lives.begin(singleton);
        Ok(())
    }

    fn died(&mut self, myself: &ActorRef<RootMessage>, singleton: Singleton, reason: &str) {
        self.deps.lives.end(singleton, reason);
        let engine = &self.deps.settings.engine;
        let budget = self
            .budgets
            .entry(singleton)
            .or_insert_with(|| RestartBudget::new(engine.restart_limit, engine.restart_window));
        match budget.record(clock::instant()) {
            Restart::After(pause) => {
                warn!(
                    actor = singleton.name(),
                    reason, "an actor died and is started again"
                );
                myself.send_after(pause, move || RootMessage::Restart(singleton));
            }
            Restart::GiveUp => {
                error!(
                    actor = singleton.name(),
                    reason, "an actor keeps dying; the engine fails"
                );
                self.deps.fail(format!(
                    "the {} actor keeps dying: {reason}",
                    singleton.name()
                ));
            }
        }
    }
}

async fn spawn<A>(actor: A, deps: Arc<Deps>, root: ractor::ActorCell) -> Result<ActorId, SpawnErr>
where
    A: Actor<Arguments = Arc<Deps>>,
{
    let (actor, _) = Actor::spawn_linked(None, actor, deps, root).await?;
    Ok(actor.get_id())
}
