//! How often an actor may be restarted before it is given up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Restarts allowed within a sliding window, with a delay that grows from one to the next.
#[derive(Clone, Debug)]
pub struct RestartBudget {
    limit: u32,
    window: Duration,
    restarts: VecDeque<Instant>,
}

/// What to do about an actor that just died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Start it again after this long.
    After(Duration),
    /// The budget is spent.
    GiveUp,
}

/// The first restart is immediate, later ones wait: 20 ms, 40 ms, … at most this.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

impl RestartBudget {
    /// At most `limit` restarts within `window`.
    pub fn new(limit: u32, window: Duration) -> Self {
        Self {
            limit,
            window,
            restarts: VecDeque::new(),
        }
    }

    /// Counts a death at `now` and says what follows.
    pub fn record(&mut self, now: Instant) -> Restart {
        while let Some(oldest) = self.restarts.front() {
            if now.saturating_duration_since(*oldest) < self.window {
                break;
            }
            self.restarts.pop_front();
        }
        let recent = self.restarts.len() as u32;
        if recent >= self.limit {
            return Restart::GiveUp;
        }
        self.restarts.push_back(now);
        if recent == 0 {
            return Restart::After(Duration::ZERO);
        }
        let delay = Duration::from_millis(10).saturating_mul(1u32 << recent.min(10));
        Restart::After(delay.min(LONGEST_DELAY))
    }

    /// Restarts within the window that ends at the last one recorded.
    pub fn recent(&self) -> usize {
        self.restarts.len()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_only_where_deaths_come_too_fast() {
        let start = Instant::now();
        let mut budget = RestartBudget::new(3, Duration::from_secs(60));
        assert_eq!(budget.record(start), Restart::After(Duration::ZERO));
        assert_eq!(
            budget.record(start),
            Restart::After(Duration::from_millis(20))
        );
        assert_eq!(
            budget.record(start),
            Restart::After(Duration::from_millis(40))
        );
        assert_eq!(budget.record(start), Restart::GiveUp);
        let later = start + Duration::from_secs(60);
        assert_eq!(budget.record(later), Restart::After(Duration::ZERO));
    }
}
