//! The node's numbers, read when somebody asks: nothing of this is counted as it happens.
//!
//! The store is asked for no more than a bounded count, and at most once in a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::deps::Deps;
use super::handle::Relay;
use crate::clock;
use crate::domain::breaker::BreakerState;
use crate::metrics::Gauges;

/// Pending deliveries counted at most.
const MOST_COUNTED: u32 = 100_000;
/// How long a count stands.
const COUNT_STANDS: Duration = Duration::from_secs(10);

/// The last count of what is pending, and when it was made.
#[derive(Debug, Default)]
pub(super) struct LastCount(Mutex<Option<(Instant, u64)>>);

impl LastCount {
    fn lock(&self) -> MutexGuard<'_, Option<(Instant, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deps {
    /// The count of late, or a new one. `None` where the store does not answer.
    async fn pending(&self) -> Option<u64> {
        let now = clock::instant();
        let last = *self.last_count.lock();
        if let Some((at, count)) = last
            && now.saturating_duration_since(at) < COUNT_STANDS
        {
            return Some(count);
        }
        let counted = self.store.count_pending(MOST_COUNTED).await.ok()?;
        *self.last_count.lock() = Some((now, counted));
        Some(counted)
    }
}

impl Relay {
    /// All of it.
    pub async fn gauges(&self) -> Gauges {
        let deps = &self.deps;
        let health = self.health().await;
        let store_ok = health
            .components
            .iter()
            .any(|one| one.name == "store" && one.ok);
        let instant = clock::instant();
        let overdue = deps.progress.overdue(deps).ok().flatten();
        let mut breakers = [(BreakerState::Open, 0), (BreakerState::HalfOpen, 0)];
        for lane in deps.lanes.all() {
            let state = lane.snapshot(instant).breaker.state;
            for (counted, count) in &mut breakers {
                *count += u64::from(*counted == state);
            }
        }
        let started = deps.started_at.as_unix_seconds();
        Gauges {
            role: health.role.as_str(),
            ready: health.ready,
            components: health
                .components
                .iter()
                .map(|one| (one.name, one.ok))
                .collect(),
            lease_held: deps.ownership.may_deliver(),
            in_flight: deps.slots.usage(),
            events_waiting: deps.ingest.usage(),
            outcomes_waiting: deps.recorder.waiting(),
            outcomes_lag: deps.recorder.lag(instant).as_secs_f64(),
            pending: if store_ok { deps.pending().await } else { None },
            overdue: overdue.map_or(0.0, |one| clock::now().since(one.since).as_secs_f64()),
            busy: deps.lanes.len(),
            breakers: breakers
                .map(|(state, count)| (state.as_str(), count))
                .to_vec(),
            subscriptions: deps.directory.count_by_state(),
            window_bytes: (deps.budget.used(), deps.settings.delivery.window_bytes),
            started: started as f64,
            resident_bytes: resident_bytes(),
        }
    }
}

/// As the kernel tells it.
#[cfg(target_os = "linux")]
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn resident_bytes() -> Option<u64> {
    None
}
