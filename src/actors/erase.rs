//! Payloads erased for good, on request.
//!
//! What is pending would still need the payload, so it is cancelled first where that was asked for,
//! with its window closed, and the erasure is refused while anything is pending or in flight. What
//! a process that does not own the deliveries cannot know of, an attempt that another one is just
//! making, is recorded as stale later; the janitor empties its answer.

use std::time::Duration;

use super::cancel::CancelAnswer;
use super::deps::Deps;
use super::handle::Relay;
use super::janitor::{BATCH, Batches};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::audit::AuditEntry;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::EventId;
use crate::store::read::MAX_PAGE;
use crate::store::{DeliveryFilter, Erased, PageRequest, Result};

/// An attempt is over and recorded long before: no answer of an erased event comes later.
const LATEST_ANSWER: Duration = Duration::from_secs(24 * 3_600);
/// Pages of deliveries that one request cancels at most.
const MOST_ROUNDS: u32 = 100;

/// What became of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EraseAnswer {
    /// The payload is gone since then; so many deliveries were cancelled for it.
    Erased {
        /// Since when.
        at: Timestamp,
        /// Pending deliveries that were cancelled.
        cancelled: u64,
    },
    /// So many deliveries are pending: nothing was erased.
    Pending(u64),
    /// An attempt of a delivery of it is being made.
    InFlight,
    /// There is no such event.
    Missing,
}

impl Relay {
    /// Erases an event's payload and the answers to its deliveries.
    pub async fn erase_payload(
        &self,
        id: EventId,
        cancel_pending: bool,
        audit: &AuditEntry,
    ) -> Result<EraseAnswer> {
        let mut cancelled = 0;
        let mut rounds = 0;
        loop {
            let pending = match self
                .deps
                .store
                .erase_payload(id, clock::now(), audit)
                .await?
            {
                Erased::At(at) => {
                    self.deps.erase_answers(id).await?;
                    return Ok(EraseAnswer::Erased { at, cancelled });
                }
                Erased::Missing => return Ok(EraseAnswer::Missing),
                Erased::Pending(pending) => pending,
            };
            if !cancel_pending || rounds >= MOST_ROUNDS || self.deps.is_draining() {
                return Ok(EraseAnswer::Pending(pending));
            }
            rounds += 1;
            match self.cancel_some(id).await? {
                Some(some) => cancelled += some,
                None => return Ok(EraseAnswer::InFlight),
            }
        }
    }

    /// Cancels a page of what an event has pending. `None` where something of it is in flight.
    async fn cancel_some(&self, id: EventId) -> Result<Option<u64>> {
        let filter = DeliveryFilter {
            event: Some(id),
            state: Some(DeliveryState::Pending),
            ..DeliveryFilter::default()
        };
        let first = PageRequest {
            limit: MAX_PAGE,
            after: None,
            offset: 0,
        };
        let page = self.deps.store.list_deliveries(&filter, &first).await?;
        let mut cancelled = 0;
        for row in page.rows {
            let version = row.progress.version;
            match self.cancel(row.subscription_id, row.id, version).await? {
                CancelAnswer::Done => {
                    let metrics = self.metrics();
                    metrics.note_ended(DeliveryState::Cancelled, 1);
                    cancelled += 1;
                }
                CancelAnswer::InFlight => return Ok(None),
                // Final by now, or pending anew: the next look tells.
                CancelAnswer::Overtaken => {}
            }
        }
        Ok(Some(cancelled))
    }
}

impl Deps {
    async fn erase_answers(&self, id: EventId) -> Result<u64> {
        let mut batches = Batches::default();
        while batches.go_on(self) {
            batches.count(self.store.erase_answers(id, BATCH).await?);
        }
        Ok(batches.sum)
    }

    /// Empties what was recorded after an erasure, or what an erasure that was cut off left.
    pub(super) async fn erase_late_answers(&self) -> Result<u64> {
        let since = clock::now().minus(LATEST_ANSWER);
        let mut sum = 0;
        for id in self.store.erased_since(since, BATCH).await? {
            sum += self.erase_answers(id).await?;
        }
        Ok(sum)
    }
}
