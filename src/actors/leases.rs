//! Owns the deliveries, or stands by.
//!
//! The lease is renewed well before it ends. Where it cannot be renewed, this node stops to
//! start attempts once the lease has ended on its own clock, and goes on when it has it again.
//! A stopping owner renews until its last outcome is recorded: nobody else sends what it still
//! has in flight.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tracing::{info, warn};

use super::deps::Deps;
use super::dispatcher::DispatcherMessage;
use super::sweeper::SweeperMessage;
use super::timer::Timer;
use crate::clock;
use crate::events::EngineEvent;
use crate::store::{LeaseState, StoreError};

/// What the leases actor is told.
#[derive(Debug)]
pub enum LeasesMessage {
    /// Take or renew.
    Renew,
    /// That has ended.
    Done,
}

/// What may be lost.
pub struct State {
    deps: Arc<Deps>,
    timer: Timer<LeasesMessage>,
}

/// See the module's documentation.
pub struct Leases;

impl Actor for Leases {
    type Msg = LeasesMessage;
    type State = State;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<LeasesMessage>,
        deps: Arc<Deps>,
    ) -> Result<State, ActorProcessingErr> {
        let _ = myself.cast(LeasesMessage::Renew);
        Ok(State {
            deps,
            timer: Timer::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<LeasesMessage>,
        message: LeasesMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            LeasesMessage::Renew => {
                let deps = Arc::clone(&state.deps);
                let done = Done(myself);
                state.deps.renewals.spawn(async move {
                    if !deps.is_draining() || deps.ownership.epoch().is_some() {
                        renew(&deps).await;
                    }
                    drop(done);
                });
            }
            LeasesMessage::Done => {
                let pause = state.deps.settings.engine.lease_renew;
                state.timer.arm(&myself, pause, || LeasesMessage::Renew);
            }
        }
        Ok(())
    }
}

struct Done(ActorRef<LeasesMessage>);

impl Drop for Done {
    fn drop(&mut self) {
        let _ = self.0.cast(LeasesMessage::Done);
    }
}

async fn renew(deps: &Deps) {
    let ttl = deps.settings.engine.lease_ttl;
    // Counted from before the question: the store's own count begins later.
    let until = clock::instant() + ttl;
    let answer = tokio::time::timeout(ttl, deps.store.lease(&deps.holder, ttl)).await;
    let answer = answer.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer".to_owned())));
    match answer {
        Ok(LeaseState::Held { epoch }) => {
            if deps.ownership.hold(epoch, Some(until)) {
                info!(epoch, "ownership.taken");
                deps.events.tell(|| EngineEvent::OwnershipTaken);
                deps.sweeper.cast(SweeperMessage::Sweep);
            }
        }
        Ok(LeaseState::HeldBy { holder }) => {
            if deps.ownership.lose_to(holder.clone()) {
                warn!(holder, "ownership.lost");
                deps.events.tell(|| EngineEvent::OwnershipLost);
                deps.dispatcher.cast(DispatcherMessage::Disown);
            }
        }
        Err(problem) => {
            warn!(%problem, may_deliver = deps.ownership.may_deliver(), "the lease cannot be renewed; trying on");
        }
    }
}
