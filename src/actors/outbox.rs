//! Accepts the operational events that wait in the store.
//!
//! They were stored with the change that raised them; here they go the way of every event:
//! through the ingest queue, matched against the directory, committed. They leave the store in
//! that same commit, so whatever dies on the way, they still wait. Only the owner of the
//! deliveries looks, when it is told that something may wait and with every sweep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::{error, info, warn};

use super::deps::Deps;
use super::handle::{AcceptAnswer, NewEvent};
use super::pump::{Doorbell, Work};
use crate::clock;
use crate::domain::idempotency::ContentHash;
use crate::faults::Point;
use crate::store::{Result, StoreError, WaitingEvent};

/// Events looked at in one read.
const PAGE: u32 = 100;
/// The pauses between two tries while nothing can be accepted.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Asked for by events with an idempotency key, and these have none.
const NO_CONTENT: ContentHash = [0; 32];

/// Whether something may wait.
#[derive(Debug)]
pub struct Outbox {
    may_wait: AtomicBool,
    bell: Doorbell,
}

impl Outbox {
    /// Nothing is known to wait.
    pub fn new(bell: Doorbell) -> Self {
        Self {
            may_wait: AtomicBool::new(false),
            bell,
        }
    }

    /// Something may wait: it is looked for at once.
    pub fn look(&self) {
        self.may_wait.store(true, Ordering::Release);
        self.bell.ring();
    }
}

impl Work for Outbox {
    const POINT: Point = Point::Outbox;

    fn of(deps: &Deps) -> &Arc<Self> {
        &deps.outbox
    }

    fn bell(&self) -> &Doorbell {
        &self.bell
    }

    fn has_work(&self) -> bool {
        self.may_wait.load(Ordering::Acquire)
    }

    async fn run(deps: Arc<Deps>) {
        let outbox = &deps.outbox;
        let mut pause = SHORTEST_PAUSE;
        let mut failures = 0u32;
        while outbox.may_wait.swap(false, Ordering::AcqRel) {
            // Whoever becomes the owner sweeps first, and looks then.
            if !deps.ownership.may_deliver() || deps.is_draining() {
                return;
            }
            let unseen = Unseen(outbox);
            match accept_all(&deps).await {
                Ok(()) => {
                    std::mem::forget(unseen);
                    if std::mem::take(&mut failures) > 0 {
                        info!("operational events are accepted again");
                    }
                    pause = SHORTEST_PAUSE;
                }
                Err(problem) => {
                    // One line at the first failure, then one in ten.
                    if failures.is_multiple_of(10) {
                        error!(%problem, "operational events cannot be accepted; trying on");
                    }
                    failures += 1;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// Dropped, something may still wait.
struct Unseen<'a>(&'a Outbox);

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        self.0.may_wait.store(true, Ordering::Release);
    }
}

/// Goes through all that waits, in the order in which it was raised.
async fn accept_all(deps: &Deps) -> Result<()> {
    if deps.faults.muted(Point::OutboxMuted) {
        return Ok(());
    }
    let mut after = 0;
    loop {
        let page = deps.store.waiting_events(after, PAGE).await?;
        deps.faults.panic_at(Point::OutboxRead);
        let full = page.len() == PAGE as usize;
        after = page.last().map_or(after, |last| last.seq);
        accept(deps, page).await?;
        if !full {
            return Ok(());
        }
    }
}

async fn accept(deps: &Deps, page: Vec<WaitingEvent>) -> Result<()> {
    let deadline = clock::instant() + deps.settings.events.accept_timeout;
    let mut answers = Vec::with_capacity(page.len());
    for WaitingEvent { event, .. } in page {
        let id = event.id;
        let unit = NewEvent {
            event: Arc::new(event.into_event(clock::now())),
            content: NO_CONTENT,
        };
        // Where the queue is full of senders' events, these wait for the next try.
        let answer = deps.ingest.submit(vec![unit], deadline);
        answers.push((id, answer.ok_or_else(not_now)?));
    }
    for (id, answer) in answers {
        match answer.await {
            Ok(AcceptAnswer::Accepted(_)) => {}
            // It goes on waiting, and its neighbours need not wait for it.
            Ok(AcceptAnswer::Refused(reason)) => {
                warn!(event = %id, reason, "an operational event cannot be stored");
            }
            Ok(_) | Err(_) => return Err(not_now()),
        }
    }
    Ok(())
}

fn not_now() -> StoreError {
    StoreError::Unavailable("events are not accepted at present".to_owned())
}
