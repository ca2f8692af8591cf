use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const FAILED: Told = Told::Failure { exhausted: false };
const EXHAUSTED: Told = Told::Failure { exhausted: true };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn attempt(number: u128) -> AttemptId {
    AttemptId(Uuid::from_u128(number))
}

fn policy(exhausted: u32, failing_for: u64) -> DeactivationPolicy {
    let spec = DeactivationSpec {
        exhausted_deliveries: Some(exhausted),
        failing_for_ms: Some(failing_for * 1_000),
        trial_interval_ms: None,
    };
    spec.validate(&DeactivationPolicy::STANDARD).unwrap()
}

fn streak(told: &[(Told, i64)]) -> Streak {
    let mut streak = Streak::begin(at(0));
    for (number, (told, seconds)) in (1..).zip(told) {
        streak.note(attempt(number), *told, at(*seconds));
    }
    streak
}

#[test]
fn rules_break_at_their_bounds_and_a_success_begins_anew() {
    let both = policy(2, 100);
    let cases: [(&[(Told, i64)], Option<Rule>); 9] = [
        (&[], None),
        (&[(FAILED, 1)], None),
        (&[(EXHAUSTED, 1)], None),
        (
            &[(EXHAUSTED, 1), (FAILED, 2), (EXHAUSTED, 3)],
            Some(Rule::Exhausted),
        ),
        (&[(EXHAUSTED, 1), (Told::Success, 2), (EXHAUSTED, 3)], None),
        (
            &[(EXHAUSTED, 1), (Told::Nothing, 2), (EXHAUSTED, 3)],
            Some(Rule::Exhausted),
        ),
        (&[(FAILED, 1), (FAILED, 100)], None),
        (&[(FAILED, 1), (FAILED, 101)], Some(Rule::Failing)),
        (&[(FAILED, 1), (Told::Success, 50), (FAILED, 101)], None),
    ];
    for (told, expected) in cases {
        assert_eq!(streak(told).breaks(&both), expected, "{told:?}");
    }
    let long = [(EXHAUSTED, 1), (EXHAUSTED, 1_000_000)];
    assert_eq!(streak(&long).breaks(&policy(0, 0)), None);
    assert_eq!(streak(&long).breaks(&policy(0, 100)), Some(Rule::Failing));
    assert_eq!(streak(&long).breaks(&policy(2, 0)), Some(Rule::Exhausted));
}

#[test]
fn time_in_which_nothing_was_tried_breaks_no_rule() {
    let failed_once = streak(&[(FAILED, 1)]);
    // However late it is looked at: there is no clock in it.
    assert_eq!(failed_once.breaks(&policy(0, 1)), None);
}

#[test]
fn a_streak_from_before_counts_no_more() {
    let old = streak(&[(EXHAUSTED, 1), (EXHAUSTED, 2)]);
    assert_eq!(old.clone().since(at(0)), old);
    assert_eq!(old.since(at(1)), Streak::begin(at(1)));
}

#[test]
fn healthy_receivers_change_nothing() {
    let mut streak = Streak::begin(at(0));
    assert!(!streak.note(attempt(1), Told::Success, at(1)));
    assert!(!streak.note(attempt(2), Told::Nothing, at(2)));
    assert!(streak.note(attempt(3), FAILED, at(3)));
    assert!(!streak.note(attempt(4), Told::Nothing, at(4)));
    assert!(streak.note(attempt(5), Told::Success, at(5)));
    assert!(!streak.note(attempt(6), Told::Success, at(6)));
    assert_eq!(streak, Streak::begin(at(0)));
}

proptest! {
    /// Against the plain reading: look at all that happened since the last success.
    #[test]
    fn a_streak_is_what_failed_since_the_last_success(
        history in prop::collection::vec(
            (prop_oneof![Just(FAILED), Just(EXHAUSTED), Just(Told::Success), Just(Told::Nothing)],
             0i64..50),
            0..60,
        ),
        exhausted in 0u32..6,
        failing_for in prop_oneof![Just(0u64), 1u64..200],
    ) {
        let mut now = 0;
        let history: Vec<(Told, i64)> = history
            .into_iter()
            .map(|(told, wait)| { now += wait; (told, now) })
            .collect();
        let streak = streak(&history);
        let after = history
            .iter()
            .rposition(|(told, _)| *told == Told::Success)
            .map_or(0, |last| last + 1);
        let failures: Vec<(u128, Told, i64)> = (1..)
            .zip(&history)
            .skip(after)
            .filter(|(_, (told, _))| matches!(told, Told::Failure { .. }))
            .map(|(number, (told, at))| (number, *told, *at))
            .collect();
        let used_up = failures.iter().filter(|(_, told, _)| *told == EXHAUSTED).count();
        prop_assert_eq!(streak.exhausted as usize, used_up);
        let latest: Vec<AttemptId> = failures
            .iter()
            .skip(failures.len().saturating_sub(MOST_EVIDENCE))
            .map(|(number, ..)| attempt(*number))
            .collect();
        prop_assert_eq!(&streak.evidence, &latest);
        let lasted = match (failures.first(), failures.last()) {
            (Some((.., first)), Some((.., last))) => Some(at(*last).since(at(*first))),
            _ => None,
        };
        let expected = if exhausted > 0 && used_up >= exhausted as usize {
            Some(Rule::Exhausted)
        } else if failing_for > 0
            && lasted.is_some_and(|lasted| lasted >= Duration::from_secs(failing_for))
        {
            Some(Rule::Failing)
        } else {
            None
        };
        prop_assert_eq!(streak.breaks(&policy(exhausted, failing_for)), expected);
    }
}
