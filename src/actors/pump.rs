//! An actor that keeps one task at work on a queue that outlives it.
//!
//! ractor hands an actor one message at a time, so a group cannot be received as one. What is
//! to be grouped therefore stands in a queue of the engine's; the actor only sees to it that a
//! task is working it off. If the actor dies, the queue is as it was, and so is the task; if
//! the task dies, it gives back what it had taken, and the actor starts another.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::address::Address;
use super::deps::Deps;
use crate::faults::Point;

/// A queue and what is done about it.
pub trait Work: Send + Sync + 'static {
    /// Where the actor fails on purpose in tests.
    const POINT: Point;

    /// The queue among what actors share.
    fn of(deps: &Deps) -> &Arc<Self>;

    /// The bell that calls the actor to the queue.
    fn bell(&self) -> &Doorbell;

    /// Whether anything waits.
    fn has_work(&self) -> bool;

    /// Works the queue off until nothing waits.
    fn run(deps: Arc<Deps>) -> impl Future<Output = ()> + Send;
}

/// What a pump is told.
#[derive(Debug)]
pub enum PumpMessage {
    /// Something waits in the queue.
    Ring,
    /// The task has ended, one way or another.
    Done,
}

/// Calls a pump to its queue; any number of rings before it comes count as one.
#[derive(Clone, Debug)]
pub struct Doorbell {
    pump: Address<PumpMessage>,
    rung: Arc<AtomicBool>,
}

impl Doorbell {
    /// Not rung.
    pub fn new() -> Self {
        Self {
            pump: Address::vacant(),
            rung: Arc::default(),
        }
    }

    /// Something waits.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) && !self.pump.cast(PumpMessage::Ring) {
            // Between two lives: the next one looks at the queue first.
            self.rung.store(false, Ordering::Release);
        }
    }

    /// Who comes when it is rung.
    pub fn answered_by(&self, pump: ActorRef<PumpMessage>) {
        self.pump.set(pump);
    }
}

/// See the module's documentation.
pub struct Pump<W>(PhantomData<fn() -> W>);

impl<W> Pump<W> {
    /// A pump for this kind of work.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// What a pump remembers.
pub struct PumpState {
    deps: Arc<Deps>,
    running: bool,
}

impl<W: Work> Actor for Pump<W> {
    type Msg = PumpMessage;
    type State = PumpState;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<PumpMessage>,
        deps: Arc<Deps>,
    ) -> Result<PumpState, ActorProcessingErr> {
        let work = W::of(&deps);
        work.bell().rung.store(false, Ordering::Release);
        work.bell().answered_by(myself);
        work.bell().ring();
        Ok(PumpState {
            deps,
            running: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<PumpMessage>,
        message: PumpMessage,
        state: &mut PumpState,
    ) -> Result<(), ActorProcessingErr> {
        let work = W::of(&state.deps);
        match message {
            PumpMessage::Ring => work.bell().rung.store(false, Ordering::Release),
            PumpMessage::Done => state.running = false,
        }
        state.deps.faults.panic_at(W::POINT);
        if !state.running && work.has_work() {
            state.running = true;
            let deps = Arc::clone(&state.deps);
            let done = Done(myself);
            tokio::spawn(async move {
                W::run(deps).await;
                drop(done);
            });
        }
        Ok(())
    }
}

/// Tells the pump that its task has ended, also where it panicked.
struct Done(ActorRef<PumpMessage>);

impl Drop for Done {
    fn drop(&mut self) {
        // The pump may be gone itself; the next one looks at the queue first.
        let _ = self.0.cast(PumpMessage::Done);
    }
}
