//! What actors share. Made by the engine, outlives every actor.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use super::address::Address;
use super::backlog::Backlogs;
use super::dispatcher::DispatcherMessage;
use super::gauges::LastCount;
use super::ingest::Ingest;
use super::installation::LastStorage;
use super::jobs::Jobs;
use super::keys::KeysMessage;
use super::lane::Lanes;
use super::outbox::Outbox;
use super::progress::Progress;
use super::pulse::Pulse;
use super::pump::Doorbell;
use super::recorder::Recorder;
use super::slots::Slots;
use super::sweeper::SweeperMessage;
use super::test_send::TestSends;
use super::tree::Lives;
use crate::clock;
use crate::delivery::deliver::Courier;
use crate::delivery::payload::ByteBudget;
use crate::directory::Directory;
use crate::domain::Timestamp;
use crate::events::EngineEvents;
use crate::faults::Faults;
use crate::feed::Feed;
use crate::feed::ownership::Ownership;
use crate::keyring::Keyring;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::store::{Store, StoreError};
use crate::traces::Traces;

/// Pages read from the store at once, over all subscriptions.
const PAGES_AT_ONCE: usize = 4;

/// What the engine brings.
pub struct Parts {
    /// Everything that was set.
    pub settings: Arc<Settings>,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Who subscribes to what.
    pub directory: Arc<Directory>,
    /// Who has which key.
    pub keyring: Arc<Keyring>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// How often callers may ask.
    pub limits: Arc<Limits>,
    /// The way to other nodes.
    pub feed: Arc<dyn Feed>,
    /// Whether this process owns the deliveries.
    pub ownership: Arc<Ownership>,
    /// Who this process is, for leases.
    pub holder: String,
    /// Makes the attempts.
    pub courier: Courier,
    /// What the engine tells.
    pub events: EngineEvents,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where spans go, if anywhere.
    pub traces: Option<Arc<Traces>>,
    /// Where tests make it fail.
    pub faults: Arc<Faults>,
}

/// See the module's documentation. The engine's parts are reached through it.
pub struct Deps {
    parts: Parts,
    pub(super) budget: Arc<ByteBudget>,
    pub(super) slots: Arc<Slots>,
    pub(super) lanes: Lanes,
    pub(super) backlogs: Backlogs,
    pub(super) dispatcher: Address<DispatcherMessage>,
    pub(super) sweeper: Address<SweeperMessage>,
    pub(super) keys: Address<KeysMessage>,
    pub(super) ingest: Arc<Ingest>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) progress: Progress,
    pub(super) outbox: Arc<Outbox>,
    pub(super) jobs: Arc<Jobs>,
    pub(super) last_count: LastCount,
    pub(super) last_storage: LastStorage,
    pub(super) pulse: Pulse,
    pub(super) lives: Lives,
    pub(super) started_at: Timestamp,
    pub(super) started: Instant,
    pub(super) pages: Arc<Semaphore>,
    pub(super) test_sends: TestSends,
    /// Attempts under way.
    pub(super) flights: TaskTracker,
    /// Renewals of the lease under way.
    pub(super) renewals: TaskTracker,
    /// Beats under way.
    pub(super) beats: TaskTracker,
    draining: AtomicBool,
    failed: watch::Sender<Option<String>>,
}

impl Deref for Deps {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Deps {
    /// Makes what the actors share.
    pub fn new(parts: Parts) -> Arc<Self> {
        let delivery = &parts.settings.delivery;
        let dispatcher = Address::vacant();
        let budget = Arc::new(ByteBudget::new(delivery.window_bytes));
        Arc::new(Self {
            budget: Arc::clone(&budget),
            slots: Arc::new(Slots::new(delivery.max_in_flight_total, cores())),
            lanes: Lanes::new(delivery.window, budget, dispatcher.clone()),
            backlogs: Backlogs::default(),
            dispatcher,
            sweeper: Address::vacant(),
            keys: Address::vacant(),
            ingest: Arc::new(Ingest::new(&parts.settings.events, Doorbell::new())),
            recorder: Arc::new(Recorder::new(&parts.settings.engine, Doorbell::new())),
            progress: Progress::new(),
            outbox: Arc::new(Outbox::new(Doorbell::new())),
            jobs: Arc::new(Jobs::new(Doorbell::new())),
            last_count: LastCount::default(),
            last_storage: LastStorage::default(),
            pulse: Pulse::default(),
            lives: Lives::default(),
            started_at: clock::now(),
            started: clock::instant(),
            pages: Arc::new(Semaphore::new(PAGES_AT_ONCE)),
            test_sends: TestSends::new(delivery.max_test_sends),
            flights: TaskTracker::new(),
            renewals: TaskTracker::new(),
            beats: TaskTracker::new(),
            draining: AtomicBool::new(false),
            failed: watch::Sender::new(None),
            parts,
        })
    }

    /// From here on no event is accepted and no attempt started.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the node is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The tree cannot heal itself any more.
    pub fn fail(&self, reason: String) {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            if first {
                *failed = Some(reason);
            }
            first
        });
    }

    /// Why the tree cannot heal itself, once that is so.
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failed.subscribe()
    }

    /// Waits until no attempt is under way and every outcome is recorded.
    pub async fn settled(&self) {
        self.flights.close();
        self.flights.wait().await;
        self.recorder.emptied().await;
    }

    /// Gives the lease back once no renewal is under way that could take it again. The actors
    /// have ended.
    pub async fn give_lease_back(&self) -> Result<(), StoreError> {
        self.renewals.close();
        self.renewals.wait().await;
        self.store.release_lease(&self.holder).await
    }

    /// Takes this process out of those that are known, once no beat is under way that could put it
    /// back. The actors have ended.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.beats.close();
        self.beats.wait().await;
        self.store.remove_node(&self.holder).await
    }

    /// Attempts under way and outcomes not recorded: what a stop had to leave.
    pub fn unsettled(&self) -> usize {
        self.flights.len() + self.recorder.waiting()
    }
}

/// Cores that this process may use; one where the system does not say.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
