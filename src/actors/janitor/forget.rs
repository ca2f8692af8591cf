//! What is kept for longer than it should be.
//!
//! Both walks go in the order of ids, behind what may not go yet. Where they stand may be lost:
//! they begin again then.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::BATCH;
use crate::actors::deps::Deps;
use crate::clock;
use crate::domain::id::{DeliveryId, EventId};
use crate::events::Tidied;
use crate::store::Result;

/// Batches of one walk in one round at most.
const MOST_BATCHES: u32 = 200;
/// Answers are emptied behind those that were emptied already. An old delivery may have been
/// sent again since, so the walk begins anew after this long.
const ANSWERS_ANEW: Duration = Duration::from_secs(24 * 3_600);

/// How far the walks have come.
#[derive(Debug, Default)]
pub struct Walks {
    events: Mutex<Option<EventId>>,
    answers: Mutex<Answers>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    after: Option<DeliveryId>,
    begun: Option<Instant>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Walks {
    /// Events past their time, with all that belongs to them.
    pub(super) async fn forget_events(&self, deps: &Deps, tidied: &mut Tidied) -> Result<()> {
        let Some(before) = deps.settings.retention.events_before(clock::now()) else {
            return Ok(());
        };
        for _ in 0..MOST_BATCHES {
            let after = *locked(&self.events);
            let batch = deps.store.forget_events(before, after, BATCH).await?;
            tidied.events += batch.events;
            tidied.deliveries += batch.deliveries;
            tidied.attempts += batch.attempts;
            tidied.partitions += batch.partitions;
            *locked(&self.events) = batch.next;
            if batch.next.is_none() || deps.is_draining() {
                break;
            }
        }
        Ok(())
    }

    /// Answers that go sooner than their events.
    pub(super) async fn forget_answers(&self, deps: &Deps, tidied: &mut Tidied) -> Result<()> {
        let Some(before) = deps.settings.retention.answers_before(clock::now()) else {
            return Ok(());
        };
        for _ in 0..MOST_BATCHES {
            let after = self.answers_after();
            let batch = deps.store.forget_answers(before, after, BATCH).await?;
            tidied.answers += batch.attempts;
            let Some(next) = batch.next else { break };
            locked(&self.answers).after = Some(next);
            if deps.is_draining() {
                break;
            }
        }
        Ok(())
    }

    fn answers_after(&self) -> Option<DeliveryId> {
        let mut walk = locked(&self.answers);
        let now = clock::instant();
        let over = walk
            .begun
            .is_none_or(|begun| now.saturating_duration_since(begun) >= ANSWERS_ANEW);
        if over {
            *walk = Answers {
                after: None,
                begun: Some(now),
            };
        }
        walk.after
    }
}
