use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::outcome::{Answer, CallResult, Failure, FailureKind, Outcome, Timing};

const START: i64 = 1_800_000_000_000_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_micros(START).plus(Duration::from_millis(millis))
}

fn policy(text: &str) -> BreakerPolicy {
    let spec: BreakerSpec = serde_json::from_str(text).unwrap();
    spec.validate(&BreakerPolicy::STANDARD).unwrap()
}

fn breaker(text: &str) -> Breaker {
    Breaker::new(policy(text), 64)
}

/// One attempt that is let through and tells this at once.
fn tell(breaker: &mut Breaker, signal: Signal, now: Timestamp) -> Option<Change> {
    let pass = breaker.start().expect("an attempt is let through");
    breaker.note(pass, signal, now, 0.0)
}

/// Opens a closed breaker at `now`.
fn trip(breaker: &mut Breaker, now: Timestamp) {
    while breaker.state() == BreakerState::Closed {
        tell(breaker, Signal::Failure, now);
    }
}

#[test]
fn what_an_outcome_says() {
    let outcome = |result| Outcome {
        started_at: at(0),
        duration: Duration::ZERO,
        timing: Timing::default(),
        request_headers: Default::default(),
        result,
    };
    let answer = |status, seconds: Option<u64>| {
        outcome(CallResult::Answer(Answer {
            status,
            headers: Default::default(),
            body: Vec::new(),
            body_cut: false,
            retry_after: seconds.map(Duration::from_secs),
        }))
    };
    let bound = Duration::from_secs(60);
    let answers = [
        (204, None, Signal::Success),
        (301, None, Signal::Failure),
        (404, None, Signal::Failure),
        (410, None, Signal::Silent),
        (429, None, Signal::Failure),
        (429, Some(5), Signal::Silent),
        (503, Some(5), Signal::Silent),
        (503, Some(0), Signal::Failure),
        (500, Some(5), Signal::Failure),
    ];
    for (status, seconds, expected) in answers {
        let said = Signal::of(&answer(status, seconds), bound);
        assert_eq!(said, expected, "{status} {seconds:?}");
    }
    // Where Retry-After is not honoured, it holds nobody.
    let unheard = Signal::of(&answer(503, Some(5)), Duration::ZERO);
    assert_eq!(unheard, Signal::Failure);
    for kind in FailureKind::ALL {
        let failure = Failure {
            kind,
            message: String::new(),
            status: None,
        };
        let ours = matches!(kind, FailureKind::Internal | FailureKind::Request);
        let expected = if ours {
            Signal::Silent
        } else {
            Signal::Failure
        };
        let said = Signal::of(&outcome(CallResult::Failure(failure)), bound);
        assert_eq!(said, expected, "{kind:?}");
    }
}

#[test]
fn opens_on_failures_in_a_row_and_only_in_a_row() {
    let mut breaker = breaker(r#"{"consecutiveFailures":3}"#);
    use Signal::{Failure, Silent, Success};
    for signal in [Failure, Failure, Success, Failure, Silent, Failure] {
        assert_eq!(tell(&mut breaker, signal, at(0)), None);
    }
    let change = tell(&mut breaker, Failure, at(0)).unwrap();
    let expected = StoredBreaker {
        state: BreakerState::Open,
        until: Some(at(30_000)),
        opened_in_a_row: 1,
    };
    assert_eq!((change.from, change.to), (BreakerState::Closed, expected));
    assert_eq!(breaker.start(), None);
}

#[test]
fn opens_on_a_share_of_a_minimum_within_the_window() {
    let rules = r#"{"minimumAttempts":4,"failureRatio":0.5,"windowMs":6000}"#;
    let mut quick = breaker(rules);
    for signal in [Signal::Failure, Signal::Failure, Signal::Success] {
        assert_eq!(tell(&mut quick, signal, at(0)), None, "too few yet");
    }
    assert!(tell(&mut quick, Signal::Failure, at(5_999)).is_some());
    let mut slow = breaker(rules);
    for number in 0..20 {
        let signal = [Signal::Failure, Signal::Success][number % 2];
        let told = tell(&mut slow, signal, at(number as u64 * 8_000));
        assert_eq!(told, None, "each in a window of its own");
    }
}

#[test]
fn a_failed_probe_opens_for_longer_and_successes_close() {
    let mut breaker = breaker(r#"{"consecutiveFailures":1,"probes":2}"#);
    trip(&mut breaker, at(0));
    assert_eq!(breaker.gate(), Gate::Cut(at(30_000)));
    assert_eq!(breaker.tick(at(29_999)), None);
    let change = breaker.tick(at(30_000)).unwrap();
    assert_eq!(change.to.state, BreakerState::HalfOpen);

    let probe = breaker.start().unwrap();
    assert!(probe.is_probe());
    assert_eq!((breaker.gate(), breaker.start()), (Gate::Probing, None));
    breaker.note(probe, Signal::Failure, at(31_000), 0.0);
    assert_eq!(breaker.gate(), Gate::Cut(at(91_000)), "twice as long");

    breaker.tick(at(91_000));
    tell(&mut breaker, Signal::Silent, at(91_000));
    assert_eq!(breaker.gate(), Gate::Cut(at(151_000)), "as long again");

    breaker.tick(at(151_000));
    assert_eq!(tell(&mut breaker, Signal::Success, at(151_000)), None);
    let change = tell(&mut breaker, Signal::Success, at(151_000)).unwrap();
    assert_eq!(change.to.state, BreakerState::Closed);
    assert_eq!(breaker.stored().opened_in_a_row, 2, "not recovered yet");
}

#[test]
fn what_began_before_the_breaker_opened_is_no_probe() {
    let mut breaker = breaker(r#"{"consecutiveFailures":1,"probes":1}"#);
    let [slow, slower] = [(); 2].map(|()| breaker.start().unwrap());
    trip(&mut breaker, at(0));
    assert_eq!(breaker.note(slow, Signal::Success, at(1), 0.0), None);
    breaker.tick(at(30_000));
    let probe = breaker.start().unwrap();
    assert_eq!(breaker.note(slower, Signal::Success, at(30_000), 0.0), None);
    breaker.abandon(slower);
    assert_eq!(breaker.gate(), Gate::Probing);
    breaker.abandon(probe);
    assert_eq!(breaker.gate(), Gate::Probe);
}

#[test]
fn traffic_ramps_up_and_only_its_end_is_a_recovery() {
    let mut breaker = Breaker::new(policy(r#"{"consecutiveFailures":1,"probes":1}"#), 20);
    trip(&mut breaker, at(0));
    breaker.tick(at(30_000));
    tell(&mut breaker, Signal::Success, at(30_000));
    let mut allowed = Vec::new();
    while let Gate::Flow(Some(most)) = breaker.gate() {
        assert_eq!(breaker.stored().opened_in_a_row, 1);
        for _ in 0..most {
            tell(&mut breaker, Signal::Success, at(30_000));
        }
        allowed.push(most);
    }
    assert_eq!(allowed, [2, 4, 8, 16]);
    assert_eq!(breaker.gate(), Gate::Flow(None));
    assert_eq!(breaker.stored().opened_in_a_row, 0);
}

#[test]
fn switched_off_it_lets_everything_through_at_once() {
    let mut breaker = breaker(r#"{"consecutiveFailures":1}"#);
    trip(&mut breaker, at(0));
    breaker.configure(policy(r#"{"enabled":false}"#), 64);
    let change = breaker.tick(at(1)).unwrap();
    assert_eq!(change.to.state, BreakerState::Closed);
    for _ in 0..1_000 {
        assert_eq!(tell(&mut breaker, Signal::Failure, at(2)), None);
    }
    assert_eq!(breaker.gate(), Gate::Flow(None));
    assert_eq!(breaker.tick(at(3)), None);
}

#[test]
fn a_clock_set_back_lengthens_no_cool_down() {
    let mut breaker = breaker(r#"{"consecutiveFailures":1}"#);
    trip(&mut breaker, at(3_600_000));
    breaker.tick(at(0));
    assert_eq!(breaker.gate(), Gate::Cut(at(30_000)));
}

#[test]
fn another_receiver_is_probed_at_once() {
    let mut breaker = breaker(r#"{"consecutiveFailures":1}"#);
    assert_eq!(breaker.probe_now(), None);
    trip(&mut breaker, at(0));
    assert!(breaker.probe_now().is_some());
    assert_eq!(breaker.gate(), Gate::Probe);
}

/// What may happen to a breaker, in any order.
#[derive(Clone, Debug)]
enum Step {
    Start,
    End(usize, Signal),
    Abandon(usize),
    Pass(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let signal = prop_oneof![
        4 => Just(Signal::Failure),
        3 => Just(Signal::Success),
        1 => Just(Signal::Silent),
    ];
    prop_oneof![
        5 => Just(Step::Start),
        5 => (0usize..64, signal).prop_map(|(which, signal)| Step::End(which, signal)),
        1 => (0usize..64).prop_map(Step::Abandon),
        3 => (0u64..3_000).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// However calls interleave: no attempt while open, one probe at a time, and never more
    /// probes begun in one half-open time than are needed to close, unless some told nothing.
    #[test]
    fn the_gate_holds(
        steps in proptest::collection::vec(step(), 1..300), chance in 0.0f64..=1.0,
    ) {
        let rules = policy(
            r#"{"consecutiveFailures":3,"coolDownMs":1000,"coolDownMaxMs":5000,"probes":3}"#,
        );
        let mut breaker = Breaker::new(rules, 64);
        let (mut now, mut flying): (u64, Vec<Pass>) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Start => {
                    let state = breaker.state();
                    let pass = breaker.start();
                    prop_assert_eq!(pass.is_none() && state == BreakerState::Closed, false);
                    prop_assert_eq!(pass.is_some() && state == BreakerState::Open, false);
                    flying.extend(pass);
                }
                Step::End(which, signal) if !flying.is_empty() => {
                    let pass = flying.swap_remove(which % flying.len());
                    if let Some(change) = breaker.note(pass, signal, at(now), chance)
                        && let Some(until) = change.to.until
                    {
                        let wait = until.since(at(now));
                        let plain = rules.cool_down(change.to.opened_in_a_row);
                        prop_assert!(wait <= plain && plain <= Duration::from_secs(5));
                        prop_assert!(wait >= plain.mul_f64(0.799));
                    }
                }
                Step::Abandon(which) if !flying.is_empty() => {
                    breaker.abandon(flying.swap_remove(which % flying.len()));
                }
                Step::End(..) | Step::Abandon(_) => {}
                Step::Pass(millis) => {
                    now += millis;
                    breaker.tick(at(now));
                }
                Step::Restart => {
                    let stored = breaker.stored();
                    let mut next = Breaker::new(rules, 64);
                    next.restore(stored);
                    prop_assert_eq!(next.stored(), stored);
                    breaker = next;
                    flying.clear();
                }
            }
            let probing = flying
                .iter()
                .filter(|pass| pass.is_probe() && pass.generation == breaker.generation)
                .count();
            prop_assert!(probing <= 1);
            let open = breaker.state() == BreakerState::Open;
            prop_assert_eq!(open, breaker.stored().until.is_some());
        }
    }

    /// The same outcomes trip the breaker at the same one, whether they come at once or spread
    /// over the window, wherever the borders of its buckets fall.
    #[test]
    fn a_burst_trips_as_its_spread_does(
        failed in proptest::collection::vec(any::<bool>(), 1..80), offset in 0u64..60_000,
    ) {
        let rules = policy(
            r#"{"consecutiveFailures":1000,"minimumAttempts":10,"failureRatio":0.6}"#,
        );
        let trips_at = |gap: u64| {
            let mut breaker = Breaker::new(rules, 64);
            failed.iter().enumerate().position(|(number, failed)| {
                let signal = if *failed { Signal::Failure } else { Signal::Success };
                tell(&mut breaker, signal, at(offset + number as u64 * gap)).is_some()
            })
        };
        let spread = 60_000 / failed.len() as u64;
        prop_assert_eq!(trips_at(0), trips_at(spread));
    }
}

/// An attempt that somebody asked for, and what it tells.
fn tell_by_hand(breaker: &mut Breaker, signal: Signal, now: Timestamp) -> Option<Change> {
    let pass = breaker.pass_by();
    assert!(!pass.is_probe());
    breaker.note(pass, signal, now, 0.0)
}

#[test]
fn by_hand_a_success_ends_a_cool_down_and_a_failure_prolongs_none() {
    let mut breaker = breaker(r#"{"consecutiveFailures": 1, "probes": 2}"#);
    trip(&mut breaker, at(0));
    let before = breaker.stored();
    for signal in [Signal::Failure, Signal::Silent] {
        assert_eq!(tell_by_hand(&mut breaker, signal, at(1)), None);
    }
    assert_eq!(breaker.stored(), before);
    let change = tell_by_hand(&mut breaker, Signal::Success, at(2)).unwrap();
    assert_eq!(
        (change.from, change.to.state),
        (BreakerState::Open, BreakerState::HalfOpen)
    );
    // It was the first probe; beside the second one it takes no place.
    let probe = breaker.start().unwrap();
    assert!(probe.is_probe());
    assert_eq!(tell_by_hand(&mut breaker, Signal::Failure, at(3)), None);
    let abandoned = breaker.pass_by();
    breaker.abandon(abandoned);
    assert_eq!(breaker.gate(), Gate::Probing);
    breaker.note(probe, Signal::Success, at(4), 0.0);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn by_hand_successes_alone_close_a_breaker() {
    let mut one = breaker(r#"{"consecutiveFailures": 1, "probes": 1}"#);
    trip(&mut one, at(0));
    let change = tell_by_hand(&mut one, Signal::Success, at(1)).unwrap();
    assert_eq!(change.to.state, BreakerState::Closed);
    assert_eq!(one.gate(), Gate::Flow(Some(RAMP_BEGINS)), "and it ramps up");

    let mut three = breaker(r#"{"consecutiveFailures": 1, "probes": 3}"#);
    trip(&mut three, at(0));
    let states: Vec<_> = (1..=3)
        .map(|second| {
            tell_by_hand(&mut three, Signal::Success, at(second));
            three.state()
        })
        .collect();
    let (half_open, closed) = (BreakerState::HalfOpen, BreakerState::Closed);
    assert_eq!(states, [half_open, half_open, closed]);
}

#[test]
fn by_hand_attempts_count_as_any_while_it_is_closed() {
    let mut breaker = breaker(r#"{"consecutiveFailures": 2}"#);
    assert_eq!(tell_by_hand(&mut breaker, Signal::Failure, at(0)), None);
    let late = breaker.pass_by();
    let change = tell_by_hand(&mut breaker, Signal::Failure, at(1)).unwrap();
    assert_eq!(change.to.state, BreakerState::Open);
    // Begun before it opened, it tells nothing of how the receiver is now.
    assert_eq!(breaker.note(late, Signal::Success, at(2), 0.0), None);
    assert_eq!(breaker.state(), BreakerState::Open);
}
