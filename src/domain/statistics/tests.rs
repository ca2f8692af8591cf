use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::outcome::{Answer, Failure, Headers, Timing};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_761_472_800_000_000 + seconds * 1_000_000)
}

fn outcome(result: CallResult) -> Outcome {
    Outcome {
        started_at: at(0),
        duration: Duration::from_millis(7),
        timing: Timing::default(),
        request_headers: Headers::default(),
        result,
    }
}

fn answered(status: u16) -> Outcome {
    outcome(CallResult::Answer(Answer {
        status,
        headers: Headers::default(),
        body: Vec::new(),
        body_cut: false,
        retry_after: None,
    }))
}

#[test]
fn every_outcome_has_its_class_and_every_class_its_word() {
    for (status, word) in [
        (200, "2xx"),
        (299, "2xx"),
        (302, "3xx"),
        (410, "4xx"),
        (503, "5xx"),
        (199, "otherStatus"),
        (600, "otherStatus"),
    ] {
        assert_eq!(OutcomeClass::of(&answered(status)).as_str(), word);
    }
    let mut figures = Figures::default();
    for kind in FailureKind::ALL {
        let failure = Failure {
            kind,
            message: String::new(),
            status: Some(200),
        };
        let failed = outcome(CallResult::Failure(failure));
        assert_eq!(OutcomeClass::of(&failed), OutcomeClass::Failed(kind));
        figures.note_attempt(&failed, 1);
    }
    // Each kind has a place of its own among the classes.
    assert_eq!(
        figures.attempts.iter().filter(|count| **count == 1).count(),
        9
    );
    let words: BTreeSet<_> = OutcomeClass::ALL.map(OutcomeClass::as_str).into();
    assert_eq!(words.len(), OutcomeClass::ALL.len());
}

#[test]
fn what_is_there_is_what_came_less_what_went() {
    use DeliveryState::{Cancelled, Delivered, Failed, Pending};
    let mut figures = Figures::default();
    figures.note_move(None, Pending, 10);
    figures.note_move(Some(Pending), Delivered, 6);
    figures.note_move(Some(Pending), Failed, 2);
    figures.note_move(Some(Failed), Pending, 1);
    figures.note_move(Some(Pending), Cancelled, 1);
    let now = DeliveryState::ALL.map(|state| figures.now_in(state));
    assert_eq!(now, [2, 6, 1, 0, 1, 0]);
    assert_eq!((figures.made(), figures.came_into(Failed)), (10, 2));
    assert_eq!(figures.success_rate(), Some(0.75));
    assert_eq!(Figures::default().success_rate(), None);
    figures.note_attempt(&answered(200), 1);
    figures.note_attempt(&answered(500), 2);
    assert_eq!((figures.failure_rate(), figures.retries), (Some(0.5), 1));
}

#[test]
fn types_are_bounded_and_none_is_lost() {
    let mut figures = Figures::default();
    for number in 0..MOST_TYPES as u64 + 50 {
        figures.types.add(&Arc::from(number.to_string()), 2);
    }
    let mut sum = Figures::default();
    sum.add(&figures);
    sum.add(&figures);
    assert_eq!(sum.types.known.len(), MOST_TYPES);
    assert_eq!(sum.types.others, 200);
    assert_eq!(sum.types.known.values().sum::<u64>(), 4 * MOST_TYPES as u64);
}

#[test]
fn a_series_ends_with_the_point_of_now_and_has_no_gaps() {
    let now = at(12_345);
    for (window, count) in [
        (Window::Hour, 60),
        (Window::Day, 96),
        (Window::Week, 84),
        (Window::Month, 120),
    ] {
        let series = Series::of(window, now);
        let last = series.piece.width.start_of(now);
        let bucket = |start, accepted| Bucket {
            scope: Scope::All,
            width: series.piece.width,
            start,
            figures: Figures {
                accepted,
                ..Figures::default()
            },
        };
        let buckets = [
            bucket(last, 3),
            bucket(series.piece.from, 5),
            bucket(series.piece.from.minus(Duration::from_secs(60)), 1_000),
        ];
        let points = series.points(buckets.iter());
        assert_eq!(points.len(), count, "{window:?}");
        assert_eq!(points[0].1.accepted, 5);
        let (start, figures) = points.last().unwrap();
        assert_eq!(figures.accepted, 3);
        assert!(*start <= now && now < start.plus(series.step));
        assert_eq!(Window::parse(window.as_str()), Some(window));
    }
}

/// When, to which subscription, and how many.
type Change = (Option<i64>, u128, u64);

fn deltas() -> impl Strategy<Value = Vec<Change>> {
    let at = prop::option::of(0i64..200_000);
    prop::collection::vec((at, 0u128..3, 1u64..5), 0..40)
}

fn delta(subscription: u128, count: u64) -> Delta {
    let mut delta = Delta::default();
    let of = (Some("acme".into()), format!("t{subscription}").into());
    delta.events.insert(of, count);
    let id = SubscriptionId(Uuid::from_u128(subscription));
    delta.note_move(id, None, DeliveryState::Pending, count);
    delta
}

proptest! {
    /// Whatever is asked for, each moment is covered once, and the pieces are few.
    #[test]
    fn a_cover_holds_every_moment_once(since in 0i64..20_000_000, length in 1i64..20_000_000, probe in -100_000i64..40_000_000) {
        for finest in [Width::Minute, Width::Hour, Width::Day] {
            let (from, until) = (at(since), at(since + length));
            let pieces = cover(from, until, finest);
            prop_assert!(pieces.len() <= 5, "{pieces:?}");
            for piece in &pieces {
                prop_assert_eq!(piece.width.start_of(piece.from), piece.from);
                prop_assert_eq!(piece.width.start_of(piece.until), piece.until);
            }
            let moment = at(probe);
            let holding = pieces.iter().filter(|one| one.from <= moment && moment < one.until);
            let bucket = finest.start_of(moment);
            let inside = bucket < until && Timestamp::from_micros(bucket.as_micros() + finest.micros()) > from;
            prop_assert_eq!(holding.count(), usize::from(inside));
        }
    }

    /// In whatever parts deltas are folded, the buckets come to the same, and each width to all.
    #[test]
    fn buckets_do_not_tell_how_they_were_folded(all in deltas(), cut in 0usize..40) {
        let tenants: TenantOf = [(SubscriptionId(Uuid::from_u128(1)), "acme".into())].into();
        let whole = |parts: &[Change]| {
            let mut minutes = Minutes::default();
            for (moment, subscription, count) in parts {
                minutes.add(moment.map(at), delta(*subscription, *count));
            }
            minutes.buckets(&tenants, |_| true)
        };
        let (first, second) = all.split_at(cut.min(all.len()));
        let mut parts = whole(first);
        for (key, figures) in whole(second) {
            parts.entry(key).or_default().add(&figures);
        }
        prop_assert_eq!(&parts, &whole(&all));
        let of = |scope: Scope, width: Width| -> u64 {
            let found = parts.iter().filter(|((its, wide, _), _)| *its == scope && *wide == width);
            found.map(|(_, figures)| figures.made()).sum()
        };
        let counted = |only: &dyn Fn(&Change) -> bool| -> u64 {
            all.iter().filter(|one| only(one)).map(|(_, _, count)| *count).sum()
        };
        prop_assert_eq!(of(Scope::All, Width::Ever), counted(&|_| true));
        for width in [Width::Minute, Width::Hour, Width::Day] {
            prop_assert_eq!(of(Scope::All, width), counted(&|one| one.0.is_some()));
        }
        let id = SubscriptionId(Uuid::from_u128(2));
        prop_assert_eq!(of(Scope::Subscription(id), Width::Day), counted(&|one| one.0.is_some() && one.1 == 2));
        prop_assert_eq!(of(Scope::Tenant("acme".into()), Width::Ever), counted(&|one| one.1 == 1));
    }
}
