use uuid::Uuid;

use super::SubscriptionState::{Active, Deactivated, Deleted, Paused, Suspended};
use super::*;
use crate::domain::ordering::OrderingRule;
use crate::domain::signature::SigningSecret;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn subscription() -> Subscription {
    Subscription {
        id: SubscriptionId(Uuid::from_u128(1)),
        tenant: None,
        name: "one".to_owned(),
        url: "https://example.com/a".parse().unwrap(),
        event_types: vec![EventPattern::parse("*").unwrap()],
        headers: Vec::new(),
        retry_policy: None,
        timeout: None,
        max_in_flight: None,
        rate_limit: None,
        breaker: None,
        ordering: OrderingRule::default(),
        deactivation: None,
        state: Active,
        state_change: StateChange::default(),
        counted_from: at(0),
        hold: Hold::default(),
        format: PayloadFormat::Relay,
        signing: Signing::with(SigningSecret::from_random([7; 32])),
        created_at: at(0),
        updated_at: at(0),
        version: 1,
    }
}

fn moved(
    from: &Subscription,
    to: SubscriptionState,
    reason: Option<&str>,
    second: i64,
) -> Subscription {
    from.moved_to(to, reason, at(second)).unwrap()
}

#[test]
fn failures_count_anew_once_it_is_active_again_or_elsewhere() {
    let active = subscription();
    let failing = moved(&active, Deactivated, Some(REASON_FAILING), 5);
    assert_eq!(failing.counted_from, at(0));
    assert_eq!(moved(&failing, Active, None, 9).counted_from, at(9));
    let paused = moved(&active, Paused, None, 5);
    assert_eq!(moved(&paused, Active, None, 9).counted_from, at(9));
    assert_eq!(moved(&active, Active, None, 9).counted_from, at(0));
    let to = |url: &str| SubscriptionChange {
        url: Some(url.parse().unwrap()),
        ..SubscriptionChange::default()
    };
    let same = active.changed(to("https://example.com/a"), at(9)).unwrap();
    assert_eq!(same.counted_from, at(0));
    let other = active.changed(to("https://example.com/b"), at(9)).unwrap();
    assert_eq!(other.counted_from, at(9));
}

#[test]
fn what_is_tried_and_what_is_not() {
    let standard = DeactivationPolicy::STANDARD;
    let hour = Some(Duration::from_secs(3_600));
    let active = subscription();
    for (state, reason, expected) in [
        (Active, None, None),
        (Paused, None, None),
        (Suspended, Some(REASON_CRASHING), None),
        (Deactivated, Some(REASON_GONE), None),
        (Deactivated, Some(REASON_FAILING), hour),
        (Deactivated, Some(REASON_EXHAUSTED), hour),
        (Deleted, None, None),
    ] {
        let held = moved(&active, state, reason, 1);
        assert_eq!(
            held.trial_interval(&standard),
            expected,
            "{state:?} {reason:?}"
        );
    }
    let mut failing = moved(&active, Deactivated, Some(REASON_FAILING), 1);
    failing.deactivation = Some(DeactivationSpec {
        trial_interval_ms: Some(0),
        ..DeactivationSpec::default()
    });
    assert_eq!(failing.trial_interval(&standard), None);
    failing.deactivation = None;
    failing.hold.skip_through = Some(3);
    assert_eq!(failing.trial_interval(&standard), None);
}

#[test]
fn gone_is_news_of_a_deactivated_one_and_nothing_else_is() {
    let failing = moved(&subscription(), Deactivated, Some(REASON_FAILING), 1);
    let gone = moved(&failing, Deactivated, Some(REASON_GONE), 2);
    assert_eq!(gone.state_change.reason.as_deref(), Some(REASON_GONE));
    assert_eq!(gone.state_change.at, at(2));
    assert_eq!(moved(&gone, Deactivated, Some(REASON_GONE), 3), gone);
    assert_eq!(moved(&gone, Deactivated, Some(REASON_FAILING), 3), gone);
    assert_eq!(moved(&gone, Paused, None, 3), gone);
}

#[test]
fn only_what_a_rule_holds_can_be_full_and_leaving_it_empties_the_hold() {
    let mut held = moved(&subscription(), Deactivated, Some(REASON_FAILING), 1);
    assert!(!held.skips());
    held.hold.full_since = Some(at(2));
    assert!(held.skips());
    // Still held, still full.
    assert!(moved(&held, Deactivated, Some(REASON_GONE), 3).skips());
    let active = moved(&held, Active, None, 3);
    assert_eq!(active.hold, Hold::default());
    let mut paused = moved(&active, Paused, None, 4);
    paused.hold.full_since = Some(at(2));
    assert!(!paused.skips(), "a pause has no bounds");
}

#[test]
fn a_full_hold_of_a_tenant_outlasts_every_move_but_the_last() {
    let of_tenant = Subscription {
        tenant: Some("t".into()),
        ..subscription()
    };
    let mut full = moved(&of_tenant, Deactivated, Some(REASON_BACKLOG_FULL), 1);
    full.hold.full_since = Some(at(1));
    full.hold.skip_through = Some(7);
    for to in [Active, Paused, Suspended] {
        let next = moved(&moved(&full, Active, None, 2), to, None, 3);
        assert_eq!(next.hold.full_since, Some(at(1)), "{to:?}");
        assert_eq!(next.hold.skip_through, None);
        assert!(next.skips());
    }
    assert_eq!(moved(&full, Deleted, None, 2).hold, Hold::default());
}
