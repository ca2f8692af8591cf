//! What is kept for longer than it should be.
//!
//! Both walks go in the order of ids, behind what may not go yet. Where they stand may be lost:
//! they begin again then.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::gentle::Gentle;
use crate::actors::deps::Deps;
use crate::clock;
use crate::domain::id::{DeliveryId, EventId};
use crate::events::Tidied;
use crate::store::Result;

/// How long one walk goes on in one round at most: the rest of the round waits behind it.
const LONGEST_WALK: Duration = Duration::from_secs(30);
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

fn is_over(deps: &Deps, begun: Instant) -> bool {
    deps.is_draining() || clock::instant().saturating_duration_since(begun) >= LONGEST_WALK
}

impl Walks {
    /// Events past their time, with all that belongs to them.
    pub(super) async fn forget_events(&self, deps: &Deps, tidied: &mut Tidied) -> Result<()> {
        let Some(before) = deps.settings.retention.events_before(clock::now()) else {
            return Ok(());
        };
        let (mut gentle, begun) = (Gentle::new(), clock::instant());
        loop {
            let after = *locked(&self.events);
            let rows = gentle.begin();
            let batch = deps.store.forget_events(before, after, rows).await?;
            tidied.events += batch.events;
            tidied.deliveries += batch.deliveries;
            tidied.attempts += batch.attempts;
            tidied.partitions += batch.partitions;
            *locked(&self.events) = batch.next;
            if batch.next.is_none() || is_over(deps, begun) {
                break;
            }
            gentle.rest().await;
        }
        Ok(())
    }

    /// Answers that go sooner than their events.
    pub(super) async fn forget_answers(&self, deps: &Deps, tidied: &mut Tidied) -> Result<()> {
        let Some(before) = deps.settings.retention.answers_before(clock::now()) else {
            return Ok(());
        };
        let (mut gentle, begun) = (Gentle::new(), clock::instant());
        loop {
            let after = self.answers_after();
            let rows = gentle.begin();
            let batch = deps.store.forget_answers(before, after, rows).await?;
            tidied.answers += batch.attempts;
            let Some(next) = batch.next else { break };
            locked(&self.answers).after = Some(next);
            if is_over(deps, begun) {
                break;
            }
            gentle.rest().await;
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
