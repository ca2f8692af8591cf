//! How many calls of quick receivers are made at once.
//!
//! A receiver that answers within a few milliseconds gains nothing from many calls at once: what
//! they wait for is this machine. Each of them is a connection in use all the same, and hundreds
//! in use at once cost the kernel, the receiver and us more for each call than a few dozen do.
//! So quick receivers share a crowd of bounded size, and each may make a few calls past it. Slow
//! ones wait for something else than us and do not count. A call that lasts counts no more after
//! a moment, so that what hangs keeps nobody out.

use std::time::{Duration, Instant};

/// Receivers whose answers take no longer on the average are quick.
const QUICK: Duration = Duration::from_millis(10);
/// How much of the average one answer makes.
const WEIGHT: u32 = 8;
/// Calls count for one to two turns.
const TURN: Duration = Duration::from_millis(50);

/// How long a receiver's answers took of late, failures included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answering(Option<Duration>);

impl Answering {
    /// An answer took so long.
    pub fn note(&mut self, took: Duration) {
        self.0 = Some(match self.0 {
            Some(mean) => (mean * (WEIGHT - 1) + took) / WEIGHT,
            None => took,
        });
    }

    /// Whether it is quick; so is one of which nothing is known yet.
    pub fn is_quick(self) -> bool {
        self.0.is_none_or(|mean| mean <= QUICK)
    }
}

/// The calls of quick receivers that were begun a moment ago and have not ended.
#[derive(Debug, Default)]
pub struct Crowd {
    begun: Option<Instant>,
    turn: u64,
    /// Of this turn and the one before, by the turn's parity.
    counts: [usize; 2],
}

/// A call's place in the crowd.
#[derive(Debug)]
pub struct Place(u64);

impl Crowd {
    /// A call begins.
    pub fn enter(&mut self, now: Instant) -> Place {
        self.turn(now);
        self.counts[parity(self.turn)] += 1;
        Place(self.turn)
    }

    /// A call has ended.
    pub fn leave(&mut self, place: Place) {
        if self.counts(&place) {
            self.counts[parity(place.0)] -= 1;
        }
    }

    /// Whether a place is counted still.
    pub fn counts(&self, place: &Place) -> bool {
        place.0 + 1 >= self.turn
    }

    /// How many there are.
    pub fn size(&mut self, now: Instant) -> usize {
        self.turn(now);
        self.counts.iter().sum()
    }

    fn turn(&mut self, now: Instant) {
        let begun = *self.begun.get_or_insert(now);
        let passed = now.saturating_duration_since(begun);
        if passed < TURN {
            return;
        }
        let turns = u32::try_from(passed.as_millis() / TURN.as_millis()).unwrap_or(u32::MAX);
        for next in 1..=u64::from(turns.min(2)) {
            self.counts[parity(self.turn + next)] = 0;
        }
        self.turn += u64::from(turns);
        self.begun = Some(begun + TURN * turns);
        if turns >= 2 {
            self.counts = [0; 2];
        }
    }
}

fn parity(turn: u64) -> usize {
    usize::from(turn % 2 == 1)
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "some point in time to begin with"
)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_from_their_begin_to_their_end_and_two_turns_at_most() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut crowd = Crowd::default();
        let [first, second] = [0, 10].map(|millis| crowd.enter(at(millis)));
        assert_eq!(crowd.size(at(20)), 2);
        crowd.leave(first);
        assert_eq!(crowd.size(at(30)), 1);
        let third = crowd.enter(at(60));
        assert_eq!(crowd.size(at(99)), 2, "of the turn before");
        assert_eq!(crowd.size(at(101)), 1, "the second has lasted");
        crowd.leave(second);
        assert_eq!(crowd.size(at(101)), 1, "and is not counted away again");
        crowd.leave(third);
        assert_eq!(crowd.size(at(101)), 0);
    }

    #[test]
    fn after_a_long_silence_nobody_is_left() {
        let start = Instant::now();
        for passed in [100, 149, 150, 151, 1_000, 1_049, 1_050, u64::from(u32::MAX)] {
            let mut crowd = Crowd::default();
            let place = crowd.enter(start);
            let later = start + Duration::from_millis(passed);
            assert_eq!(crowd.size(later), 0, "{passed}");
            let new = crowd.enter(later);
            crowd.leave(place);
            assert_eq!(crowd.size(later), 1, "{passed}");
            crowd.leave(new);
            assert_eq!(crowd.size(later), 0, "{passed}");
        }
    }

    #[test]
    fn who_answers_slowly_for_a_while_is_slow_and_may_become_quick_again() {
        let mut answering = Answering::default();
        assert!(answering.is_quick(), "until it is known");
        (0..100).for_each(|_| answering.note(Duration::from_millis(1)));
        answering.note(Duration::from_millis(50));
        assert!(answering.is_quick(), "one is no rule");
        (0..8).for_each(|_| answering.note(Duration::from_millis(50)));
        assert!(!answering.is_quick());
        (0..32).for_each(|_| answering.note(Duration::from_millis(1)));
        assert!(answering.is_quick());
    }
}
