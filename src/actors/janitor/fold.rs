//! What was counted, put into buckets; and the buckets that are old.
//!
//! Whoever owns the deliveries folds; the store sees to it that only one does at a time. What is not
//! folded is lost to nobody: every read adds it.

use tracing::warn;

use super::Batches;
use super::gentle::Gentle;
use crate::actors::deps::Deps;
use crate::clock;
use crate::domain::statistics::Width;
use crate::events::EngineEvent;
use crate::store::Result;

/// Deltas in one fold at most.
const BATCH: u32 = 2_000;

/// Folds all there is, in batches with rests between them.
pub(super) async fn all(deps: &Deps) {
    if !deps.ownership.may_deliver() {
        return;
    }
    let mut gentle = Gentle::new();
    loop {
        let _ = gentle.begin();
        let folded = match deps.store.fold_statistics(BATCH).await {
            Ok(folded) => folded,
            Err(problem) => {
                warn!(%problem, "statistics are folded later");
                return;
            }
        };
        if folded.deltas > 0 {
            deps.events
                .tell(|| EngineEvent::StatisticsFolded(folded.deltas));
        }
        if !folded.more || deps.is_draining() {
            return;
        }
        gentle.rest().await;
    }
}

/// Forgets buckets past their time.
pub(super) async fn forget(deps: &Deps) -> Result<u64> {
    let kept = deps.settings.statistics;
    let mut forgotten = 0;
    for (width, kept) in [
        (Width::Minute, kept.minutes_kept),
        (Width::Hour, kept.hours_kept),
        (Width::Day, kept.days_kept),
    ] {
        let before = clock::now().minus(kept);
        let mut batches = Batches::default();
        while batches.go_on(deps) {
            let batch = super::BATCH;
            batches.count(deps.store.forget_statistics(width, before, batch).await?);
        }
        forgotten += batches.sum;
    }
    Ok(forgotten)
}
