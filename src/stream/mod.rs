//! Live streams: what happens, shown while it happens to whoever looks on.
//!
//! ```text
//! engine's facts ──► follow ──► ring ──► one place in it for each stream
//!        │                       ▲
//!        └──► tell ──► Redis ──► hear          (to and from other nodes, where there is a Redis)
//! ```
//!
//! Invariants: nobody waits for a stream, and while there is none, here and elsewhere, nothing is
//! made for it: what is told then costs one look at a counter. Facts are kept in memory alone, for as
//! long as a stream is open and a little longer, so that one that broke can go on where it stood.
//! A stream that cannot be sure to have shown everything says so (`reset`).

mod fact;
mod follow;
mod hear;
mod kind;
mod message;
mod ring;
mod tell;
mod veil;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::fact::Fact;
pub use self::kind::Kind;
use self::ring::Ring;
pub use self::ring::{Numbered, Read, frame};
use self::veil::Veil;
use crate::clock;
use crate::directory::Directory;
use crate::domain::tenant;
use crate::events::EngineEvents;
use crate::feed::talk::Talk;
use crate::settings::StreamSettings;

/// How long the first stream waits for a way to the other nodes.
const WAY_PATIENCE: Duration = Duration::from_secs(2);

/// All streams of this node. Cheap to clone.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    /// This node's name among the others.
    node: Uuid,
    events: EngineEvents,
    directory: Arc<Directory>,
    talk: Arc<dyn Talk>,
    settings: StreamSettings,
    slots: Arc<Semaphore>,
    most_of_tenant: usize,
    state: Mutex<State>,
    /// Something is new: a fact, or what a stream has to look at before it goes on.
    news: watch::Sender<()>,
    stopping: CancellationToken,
}

#[derive(Default)]
struct State {
    /// While somebody follows.
    ring: Option<Ring>,
    open: usize,
    /// How many of them are each tenant's.
    open_of: HashMap<Arc<str>, usize>,
    /// Since when none is open.
    idle_since: Option<Instant>,
    /// Other nodes are heard.
    covers_all: bool,
    /// Somebody was told that they are not.
    told_alone: bool,
    /// Other nodes that tell what happens there.
    nodes: BTreeSet<Uuid>,
}

/// Why there is no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoStream {
    /// So many are open as may be, of all or of this tenant.
    Full,
    /// The node stops.
    Stopping,
}

/// What a stream begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// This node.
    pub node: Uuid,
    /// Whether other nodes are heard.
    pub covers_all: bool,
    /// Those that are.
    pub nodes: Vec<Uuid>,
    /// The id behind which the stream goes on.
    pub id: String,
    /// It goes on where the last one of this caller stood.
    pub resumed: bool,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// These facts, or none for now.
    Facts(Vec<Arc<Numbered>>),
    /// The reader was too slow: so many facts are gone.
    Behind(u64),
    /// The node stops.
    Stopping,
    /// What follows the engine was lost.
    Lost,
}

impl Streams {
    /// No stream yet. Where other nodes can be reached they are told what happens here, while one
    /// of them wants to know.
    pub fn new(
        events: EngineEvents,
        directory: Arc<Directory>,
        talk: Arc<dyn Talk>,
        settings: StreamSettings,
    ) -> Self {
        let streams = Self(Arc::new(Inner {
            node: clock::uuid(),
            events,
            directory,
            slots: Arc::new(Semaphore::new(settings.max_streams)),
            most_of_tenant: tenant::share_of(settings.max_streams),
            settings,
            state: Mutex::default(),
            news: watch::Sender::new(()),
            stopping: CancellationToken::new(),
            talk,
        }));
        if streams.0.talk.reaches_others() {
            tokio::spawn(tell::tell(Arc::clone(&streams.0)));
        }
        streams
    }

    /// Opens one for somebody of that tenant, or of none, behind the fact of the id `last` where that
    /// and all that came after it are known.
    pub fn open(&self, whose: Option<&Arc<str>>, last: Option<&str>) -> Result<Stream, NoStream> {
        if self.0.stopping.is_cancelled() {
            return Err(NoStream::Stopping);
        }
        let slot = Arc::clone(&self.0.slots).try_acquire_owned();
        let slot = slot.map_err(|_| NoStream::Full)?;
        let mut state = self.0.state();
        if let Some(whose) = whose {
            let own = state.open_of.get(whose).copied().unwrap_or(0);
            if own >= self.0.most_of_tenant {
                return Err(NoStream::Full);
            }
            state.open_of.insert(Arc::clone(whose), own + 1);
        }
        state.open += 1;
        state.idle_since = None;
        let ring = state.ring.get_or_insert_with(|| {
            let ring = Ring::new(
                u64::from_be_bytes(clock::random_bytes()),
                Veil::new(clock::random_bytes()),
                self.0.settings.kept_facts,
            );
            // Followed from this moment on, whenever the task gets to run.
            let follower = self.0.events.follow();
            tokio::spawn(follow::follow(Arc::clone(&self.0), ring.epoch(), follower));
            ring
        });
        let resumed = last.and_then(|last| ring.after(last));
        let (epoch, veil) = (ring.epoch(), ring.veil());
        let next = resumed.unwrap_or(ring.next());
        drop(state);
        Ok(Stream {
            epoch,
            veil,
            next,
            resumed: resumed.is_some(),
            news: self.0.news.subscribe(),
            inner: Arc::clone(&self.0),
            whose: whose.cloned(),
            _slot: slot,
        })
    }

    /// Ends all streams at once, and lets no further one begin.
    pub fn stop(&self) {
        self.0.stopping.cancel();
        self.0.news.send_replace(());
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds facts to the ring of that epoch, where it still is there.
    fn push(&self, epoch: u64, facts: impl IntoIterator<Item = Fact>) {
        let mut state = self.state();
        let ring = state.ring.as_mut().filter(|ring| ring.epoch() == epoch);
        let Some(ring) = ring else {
            return;
        };
        let before = ring.next();
        facts.into_iter().for_each(|fact| ring.push(fact));
        let any = ring.next() != before;
        drop(state);
        if any {
            self.news.send_replace(());
        }
    }

    fn push_own(&self, epoch: u64, kind: Kind, data: &Value) {
        self.push(epoch, [Fact::of_stream(kind, data)]);
    }
}

/// One stream: a place among the facts.
pub struct Stream {
    inner: Arc<Inner>,
    epoch: u64,
    veil: Veil,
    next: u64,
    resumed: bool,
    news: watch::Receiver<()>,
    whose: Option<Arc<str>>,
    _slot: OwnedSemaphorePermit,
}

impl Stream {
    /// What to begin with. Waits a little until other nodes are heard, where there is a way to
    /// them.
    pub async fn hello(&mut self) -> Hello {
        if self.inner.talk.reaches_others() {
            let way = async {
                while !self.inner.state().covers_all && !self.inner.stopping.is_cancelled() {
                    self.news().await;
                }
            };
            // Without it the stream begins alone, and says so.
            let _ = tokio::time::timeout(WAY_PATIENCE, way).await;
        }
        let mut state = self.inner.state();
        state.told_alone |= !state.covers_all;
        Hello {
            node: self.inner.node,
            covers_all: state.covers_all,
            nodes: state.nodes.iter().copied().collect(),
            id: self.id(),
            resumed: self.resumed,
        }
    }

    /// The id of the last fact that was looked at.
    pub fn id(&self) -> String {
        ring::id(self.epoch, self.veil, self.next - 1)
    }

    /// Up to `most` facts. What happens after this was asked wakes [`Self::news`].
    pub fn take(&mut self, most: usize) -> Next {
        self.news.mark_unchanged();
        if self.inner.stopping.is_cancelled() {
            return Next::Stopping;
        }
        let state = self.inner.state();
        let ring = state.ring.as_ref();
        let Some(ring) = ring.filter(|ring| ring.epoch() == self.epoch) else {
            return Next::Lost;
        };
        match ring.read(self.next, most) {
            Read::Behind(count) => Next::Behind(count),
            Read::Facts(facts) => {
                self.next += facts.len() as u64;
                Next::Facts(facts)
            }
        }
    }

    /// Waits for something new.
    pub async fn news(&mut self) {
        // The sender lives as long as the streams do.
        let _ = self.news.changed().await;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if let Some(whose) = &self.whose
            && let Some(own) = state.open_of.get_mut(whose)
        {
            *own -= 1;
            if *own == 0 {
                state.open_of.remove(whose);
            }
        }
        state.open -= 1;
        if state.open == 0 {
            state.idle_since = Some(clock::instant());
        }
    }
}

#[cfg(test)]
mod tests;
