use proptest::prelude::*;

use super::*;
use crate::domain::outcome::{Answer, CallResult, Failure, FailureKind, Timing};
use crate::domain::retry::Schedule;

fn outcome(result: CallResult) -> Outcome {
    Outcome {
        started_at: Timestamp::default(),
        duration: Duration::from_secs(1),
        timing: Timing::default(),
        request_headers: Default::default(),
        result,
    }
}

fn answer(status: u16, retry_after: Option<u64>) -> Outcome {
    outcome(CallResult::Answer(Answer {
        status,
        headers: Default::default(),
        body: Vec::new(),
        body_cut: false,
        retry_after: retry_after.map(Duration::from_secs),
    }))
}

fn policy(delays: &[u64], max_age: Option<u64>) -> RetryPolicy {
    let delays = delays.iter().copied().map(Duration::from_secs).collect();
    RetryPolicy::new(
        Schedule::Delays(delays),
        0.0,
        max_age.map(Duration::from_secs),
    )
    .unwrap()
}

fn settle_at_zero(progress: Progress, outcome: &Outcome, policy: &RetryPolicy) -> Verdict {
    let bound = Duration::from_secs(3_600);
    settle(&progress, outcome, policy, bound, Timestamp::default(), 0.5)
}

fn seconds(count: u64) -> Timestamp {
    Timestamp::default().plus(Duration::from_secs(count))
}

#[test]
fn each_answer_has_its_settlement() {
    let policy = policy(&[10], None);
    let cases = [
        (answer(200, None), Settlement::Delivered, None, false),
        (answer(204, Some(60)), Settlement::Delivered, None, false),
        (
            answer(302, None),
            Settlement::RetryAt(seconds(10)),
            None,
            false,
        ),
        (
            answer(404, None),
            Settlement::RetryAt(seconds(10)),
            None,
            false,
        ),
        (
            answer(410, None),
            Settlement::RetryAt(seconds(10)),
            None,
            true,
        ),
        (
            answer(500, Some(60)),
            Settlement::RetryAt(seconds(10)),
            None,
            false,
        ),
        (
            answer(503, Some(60)),
            Settlement::RetryAt(seconds(60)),
            Some(60),
            false,
        ),
        (
            answer(429, Some(5)),
            Settlement::RetryAt(seconds(10)),
            Some(5),
            false,
        ),
        (
            answer(429, Some(90_000)),
            Settlement::RetryAt(seconds(3_600)),
            Some(3_600),
            false,
        ),
    ];
    for (outcome, settlement, hold, gone) in cases {
        let verdict = settle_at_zero(Progress::new(), &outcome, &policy);
        assert_eq!(verdict.settlement, settlement, "{outcome:?}");
        assert_eq!(verdict.hold_until, hold.map(seconds), "{outcome:?}");
        assert_eq!(verdict.gone, gone, "{outcome:?}");
    }
    let failure = Failure {
        kind: FailureKind::Timeout,
        message: String::new(),
        status: None,
    };
    let verdict = settle_at_zero(
        Progress::new(),
        &outcome(CallResult::Failure(failure)),
        &policy,
    );
    assert_eq!(verdict.settlement, Settlement::RetryAt(seconds(10)));
}

#[test]
fn attempts_end_and_a_new_round_starts_the_schedule_anew() {
    let policy = policy(&[10], None);
    let first = settle_at_zero(Progress::new(), &answer(500, None), &policy);
    let last = settle_at_zero(first.progress, &answer(500, None), &policy);
    assert_eq!(last.settlement, Settlement::Failed);
    assert_eq!(
        (last.progress.attempts, last.progress.round_attempts),
        (2, 2)
    );
    assert_eq!(last.progress.next_trigger(), Trigger::Schedule);

    let again = last.progress.next_round();
    assert_eq!(again.next_trigger(), Trigger::Manual);
    let third = settle_at_zero(again, &answer(500, None), &policy);
    assert_eq!(third.settlement, Settlement::RetryAt(seconds(10)));
    assert_eq!((third.progress.attempts, third.progress.round), (3, 2));
    assert_eq!(third.progress.next_trigger(), Trigger::Schedule);
}

#[test]
fn age_counts_attempts_and_planned_delays_only() {
    // Each attempt takes 1 s. After the first: 1 + 10 = 11 s; after the second: 12 + 10 = 22 s.
    let held_long = answer(503, Some(3_600));
    for (limit, expected_second) in [
        (22, Settlement::RetryAt(seconds(3_600))),
        (21, Settlement::Expired),
    ] {
        let policy = policy(&[10, 10], Some(limit));
        let first = settle_at_zero(Progress::new(), &held_long, &policy);
        assert_eq!(first.settlement, Settlement::RetryAt(seconds(3_600)));
        assert_eq!(first.progress.aged, Duration::from_secs(11));
        let second = settle_at_zero(first.progress, &held_long, &policy);
        assert_eq!(second.settlement, expected_second);
    }
}

#[test]
fn final_states_are_left_only_by_a_retry() {
    for from in DeliveryState::ALL {
        for to in DeliveryState::ALL {
            let free = from.may_become(to, false);
            assert_eq!(free, from == DeliveryState::Pending, "{from:?} to {to:?}");
            let retried = from.may_become(to, true);
            assert_eq!(
                retried,
                free || to == DeliveryState::Pending,
                "{from:?} to {to:?}"
            );
        }
    }
}

proptest! {
    /// Whatever receivers answer, a round ends after at most the policy's attempts, numbers
    /// rise by one and so does the version.
    #[test]
    fn every_round_ends(statuses in prop::collection::vec(100u16..600, 1..60), delays in 0usize..20) {
        let policy = policy(&vec![1; delays], None);
        let mut progress = Progress::new();
        let mut made = 0;
        for status in statuses {
            let verdict = settle_at_zero(progress, &answer(status, None), &policy);
            made += 1;
            prop_assert_eq!(verdict.progress.attempts, made);
            prop_assert_eq!(verdict.progress.version, progress.version + 1);
            progress = verdict.progress;
            match verdict.settlement {
                Settlement::RetryAt(_) => prop_assert!(made <= delays as u32),
                Settlement::Delivered => { prop_assert!((200..300).contains(&status)); break; }
                Settlement::Failed => { prop_assert_eq!(made, delays as u32 + 1); break; }
                Settlement::Expired => prop_assert!(false, "no age limit was set"),
            }
        }
    }
}

#[test]
fn a_trial_that_fails_is_numbered_and_uses_up_nothing() {
    let delivery = PendingDelivery {
        id: DeliveryId(uuid::Uuid::nil()),
        event_id: EventId(uuid::Uuid::nil()),
        subscription_id: SubscriptionId(uuid::Uuid::nil()),
        due_at: seconds(500),
        progress: Progress {
            attempts: 4,
            round: 2,
            round_attempts: 3,
            aged: Duration::from_secs(77),
            version: 9,
        },
    };
    let bound = Duration::from_secs(3_600);
    let tried = |outcome: &Outcome| settle_trial(&delivery, outcome, bound, seconds(600));
    let logged = Progress {
        attempts: 5,
        version: 10,
        ..delivery.progress
    };
    for (answer, hold_until, gone) in [
        (answer(500, None), None, false),
        (answer(410, None), None, true),
        (answer(503, Some(60)), Some(seconds(660)), false),
    ] {
        let expected = Verdict {
            settlement: Settlement::RetryAt(seconds(500)),
            progress: logged,
            hold_until,
            gone,
        };
        assert_eq!(tried(&answer), expected, "{answer:?}");
    }
    assert_eq!(tried(&answer(204, None)).settlement, Settlement::Delivered);
}
