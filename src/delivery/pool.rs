//! Idle connections, kept for the next request to the same origin.
//!
//! Written here rather than taken from hyper-util's client, which (0.1.21) spawns a task per
//! request to hand a connection back, finishes connections nobody waits for in the background,
//! past every deadline, and does not promise that a second go gets a fresh connection. Here a
//! connection is either in the pool or in the hands of exactly one attempt; whoever is told
//! to use a fresh one does not ask the pool.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::connection::{Connection, Task};
use super::target::Origin;
use crate::clock;

/// How often idle connections are looked through, and how long a closing one may take to say
/// goodbye.
const REAP_EVERY: Duration = Duration::from_secs(1);

/// The idle connections of all origins.
pub(super) struct Pool {
    idle: Mutex<Idle>,
    /// Kept shorter than common receivers do (Node closes at 5 s): a request must not meet a
    /// connection that is being closed.
    idle_for: Duration,
    max_per_origin: usize,
    /// Over all origins, so that open connections stay within the caller's permits plus this.
    max_total: usize,
}

#[derive(Default)]
struct Idle {
    /// Each stack has the most recently used on top: what a quiet receiver no longer needs
    /// grows old at the bottom.
    origins: HashMap<Arc<Origin>, Vec<(Instant, Connection)>>,
    total: usize,
    reaping: bool,
}

impl Pool {
    /// An empty pool.
    pub(super) fn new(idle_for: Duration, max_per_origin: usize, max_total: usize) -> Arc<Self> {
        Arc::new(Self {
            idle: Mutex::default(),
            idle_for,
            max_per_origin,
            max_total,
        })
    }

    /// A connection that looked alive a moment ago.
    pub(super) fn take(&self, origin: &Origin) -> Option<Connection> {
        let now = clock::instant();
        let mut idle = self.lock();
        let idle = &mut *idle;
        let stack = idle.origins.get_mut(origin)?;
        let mut taken = None;
        while let Some((since, connection)) = stack.pop() {
            idle.total -= 1;
            // Not ready: closed by the receiver, or still busy with our last body.
            if now.duration_since(since) < self.idle_for && connection.sender.is_ready() {
                taken = Some(connection);
                break;
            }
        }
        // An emptied stack stays, and its allocation with it, for the connection that is about
        // to come back; the reaper removes it where none does.
        taken
    }

    /// Takes a connection back whose answer was read to its end.
    pub(super) fn put(self: &Arc<Self>, origin: &Arc<Origin>, connection: Connection) {
        if self.max_per_origin == 0 || connection.sender.is_closed() {
            return;
        }
        let now = clock::instant();
        let mut idle = self.lock();
        // A full pool drops what comes: whatever is idle for `idle_for` makes room by itself.
        if idle.total >= self.max_total {
            return;
        }
        match idle.origins.get_mut(origin) {
            Some(stack) if stack.len() >= self.max_per_origin => return,
            Some(stack) => stack.push((now, connection)),
            None => {
                idle.origins
                    .insert(Arc::clone(origin), vec![(now, connection)]);
            }
        }
        idle.total += 1;
        if !idle.reaping {
            idle.reaping = true;
            tokio::spawn(reap(Arc::downgrade(self)));
        }
    }

    /// Removes what is too old, and ends the reaper where nothing is left to wait for.
    fn expire(&self) -> (Vec<Task>, bool) {
        let now = clock::instant();
        let mut closing = Vec::new();
        let mut idle = self.lock();
        idle.origins.retain(|_, stack| {
            let done = stack.extract_if(.., |(since, connection)| {
                now.duration_since(*since) >= self.idle_for || connection.sender.is_closed()
            });
            closing.extend(done.map(|(_, connection)| connection.close()));
            !stack.is_empty()
        });
        idle.total -= closing.len();
        idle.reaping = !idle.origins.is_empty();
        (closing, idle.reaping)
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs while anything is idle, and no longer than the pool itself.
async fn reap(pool: Weak<Pool>) {
    let mut closing = Vec::new();
    loop {
        tokio::time::sleep(REAP_EVERY).await;
        // Those of the last round have had their time to say goodbye.
        drop(closing);
        let Some(pool) = pool.upgrade() else { return };
        let (expired, more) = pool.expire();
        closing = expired;
        if !more {
            break;
        }
    }
    tokio::time::sleep(REAP_EVERY).await;
    drop(closing);
}
