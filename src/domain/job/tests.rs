use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::payload_format::PayloadFormat;
use crate::domain::signature::SigningSecret;
use crate::domain::signing::Signing;
use crate::domain::subscription::{StateChange, SubscriptionState};

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(1_761_472_800_000_000 + second * 1_000_000)
}

fn job(selection: Selection, rate: u32) -> Job {
    Job {
        id: JobId(Uuid::from_u128(1)),
        subscription_id: SubscriptionId(Uuid::from_u128(2)),
        selection,
        since: at(10),
        until: at(20),
        rate,
        state: JobState::Queued,
        error: None,
        total: Total::default(),
        done: 0,
        skipped: 0,
        cursor: None,
        created_at: at(30),
        started_at: None,
        finished_at: None,
        version: 0,
    }
}

fn patterns(texts: &[&str]) -> Vec<EventPattern> {
    let patterns = texts.iter().map(|text| EventPattern::parse(text));
    patterns.collect::<Result<_, _>>().unwrap()
}

fn head(event_type: &str, tenant: Option<&str>, second: i64) -> EventHead {
    EventHead {
        id: EventId(Uuid::from_u128(9)),
        event_type: EventType::from_stored(event_type),
        tenant: tenant.map(str::to_owned),
        received_at: at(second),
        ordering_key: None,
        payload_bytes: 2,
    }
}

fn subscription(tenant: Option<&str>, types: &[&str]) -> Subscription {
    Subscription {
        id: SubscriptionId(Uuid::from_u128(2)),
        tenant: tenant.map(Arc::from),
        name: "a".to_owned(),
        url: "https://example.com".parse().unwrap(),
        event_types: patterns(types),
        headers: Vec::new(),
        retry_policy: None,
        timeout: None,
        max_in_flight: None,
        rate_limit: None,
        breaker: None,
        ordering: Default::default(),
        deactivation: None,
        hold: Default::default(),
        counted_from: Timestamp::default(),
        state: SubscriptionState::Active,
        state_change: StateChange::default(),
        format: PayloadFormat::Relay,
        signing: Signing::with(SigningSecret::from_random([7; 32])),
        created_at: at(0),
        updated_at: at(0),
        version: 1,
    }
}

#[test]
fn words_are_read_back_and_some_states_are_final() {
    for state in JobState::ALL {
        assert_eq!(JobState::parse(state.as_str()), Some(state));
    }
    let open: Vec<_> = JobState::ALL
        .into_iter()
        .filter(|one| !one.is_final())
        .collect();
    assert_eq!(open, [JobState::Queued, JobState::Running]);
    assert!(RETRIABLE.iter().all(|state| state.is_final()));
    assert!(!RETRIABLE.contains(&DeliveryState::Delivered));
}

#[test]
fn an_event_reaches_only_whom_it_may() {
    let cases = [
        ("a.b", None, None, true),
        ("a.b", None, Some("t"), true),
        ("a.b", Some("t"), Some("t"), true),
        ("a.b", Some("t"), None, false),
        ("a.b", Some("t"), Some("u"), false),
        ("posthaste.subscription.deactivated", None, None, false),
    ];
    for (event_type, tenant, of, reached) in cases {
        let head = head(event_type, tenant, 15);
        let subscription = subscription(of, &["*"]);
        assert_eq!(head.may_reach(&subscription), reached, "{head:?} to {of:?}");
    }
    let own = head("posthaste.breaker.opened", None, 15);
    assert!(own.may_reach(&subscription(None, &["posthaste.*"])));
    assert!(!own.may_reach(&subscription(Some("a"), &["posthaste.*"])));
    let about = |one: &Subscription| EventHead {
        ordering_key: Some(one.id.to_string()),
        ..own.clone()
    };
    let itself = subscription(None, &["posthaste.*"]);
    assert!(!about(&itself).may_reach(&itself), "never what it is about");
    let mut other = itself.clone();
    other.id = SubscriptionId(Uuid::from_u128(3));
    assert!(about(&other).may_reach(&itself));
}

#[test]
fn a_replay_by_time_keeps_within_it_and_within_its_types() {
    let by_type = job(Selection::EventTypes(patterns(&["a.*", "c"])), 1);
    let cases = [
        ("a.b", 10, true),
        ("a.b", 19, true),
        ("c", 15, true),
        ("a.b", 9, false),
        ("a.b", 20, false),
        ("b.a", 15, false),
    ];
    for (event_type, second, wanted) in cases {
        let head = head(event_type, None, second);
        assert_eq!(head.is_wanted_by(&by_type), wanted, "{head:?}");
    }
    // By their ids, whatever their time and type.
    let named = job(Selection::EventIds(vec![EventId(Uuid::from_u128(9))]), 1);
    assert!(head("x", None, 99).is_wanted_by(&named));
}

#[test]
fn small_rates_go_one_by_one_and_large_ones_in_bounded_batches() {
    let any = Selection::States(vec![DeliveryState::Failed]);
    for (rate, batch) in [(1, 1), (4, 1), (100, 25), (2_000, 500), (100_000, 500)] {
        assert_eq!(job(any.clone(), rate).batch(), batch, "{rate}");
    }
    assert_eq!(job(any.clone(), 1).pause_after(0), Duration::ZERO);
    let pause = job(any, 100).pause_after(25);
    assert_eq!(pause, Duration::from_millis(250));
}

proptest! {
    /// However often it is taken from, and in whatever stretches, each wanted row comes once and
    /// in order.
    #[test]
    fn a_walk_in_batches_takes_every_wanted_row_once(
        rows in prop::collection::vec(any::<bool>(), 0..200),
        stretch in 1usize..40,
        most in 1usize..40,
    ) {
        let rows: Vec<(usize, bool)> = rows.into_iter().enumerate().collect();
        let id_of = |row: &(usize, bool)| Uuid::from_u128(row.0 as u128 + 1);
        let mut cursor: Option<Uuid> = None;
        let mut all = Vec::new();
        loop {
            let behind = |row: &&(usize, bool)| cursor.is_none_or(|at| id_of(row) > at);
            let walked: Vec<_> = rows.iter().filter(behind).take(stretch).copied().collect();
            let short = walked.len() < stretch;
            let taken = take(walked, short, most, id_of, |row| row.1);
            prop_assert!(taken.rows.len() <= most);
            all.extend(taken.rows);
            if taken.complete {
                break;
            }
            prop_assert!(taken.cursor > cursor, "it moves on");
            cursor = taken.cursor;
        }
        let wanted: Vec<_> = rows.iter().filter(|row| row.1).copied().collect();
        prop_assert_eq!(all, wanted);
    }

    /// No second brings more than its rate and one batch.
    #[test]
    fn a_job_keeps_its_rate(rate in 1u32..=100_000, taken in 0usize..=500) {
        let job = job(Selection::States(vec![DeliveryState::Failed]), rate);
        let pause = job.pause_after(taken).as_secs_f64();
        prop_assert!(pause * f64::from(rate) >= taken as f64 - 1e-3);
    }
}
