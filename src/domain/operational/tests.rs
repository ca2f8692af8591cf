use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::domain::breaker::StoredBreaker;
use crate::domain::delivery::{PendingDelivery, Progress, Trigger, settle};
use crate::domain::id::AttemptId;
use crate::domain::ordering::OrderingRule;
use crate::domain::outcome::{Answer, CallResult, Failure, FailureKind, Outcome, Timing};
use crate::domain::payload_format::PayloadFormat;
use crate::domain::retry::{RetryPolicy, Schedule};
use crate::domain::signature::SigningSecret;
use crate::domain::signing::Signing;
use crate::domain::subscription::{ChangedBy, Hold, StateChange};

const SECRET: &str = "own-header-value";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_761_472_800_000_000 + seconds * 1_000_000)
}

fn id(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

fn subscription(patterns: &[&str]) -> Subscription {
    Subscription {
        id: SubscriptionId(id(1)),
        tenant: Some("acme".into()),
        name: "orders".to_owned(),
        url: "https://user-info.example.com/hook?token=1"
            .parse()
            .unwrap(),
        event_types: patterns
            .iter()
            .map(|pattern| EventPattern::parse(pattern).unwrap())
            .collect(),
        headers: vec![("x-key".to_owned(), SECRET.to_owned())],
        retry_policy: None,
        timeout: None,
        max_in_flight: None,
        rate_limit: None,
        breaker: None,
        ordering: OrderingRule::default(),
        state: SubscriptionState::Active,
        deactivation: None,
        counted_from: at(0),
        hold: Hold::default(),
        state_change: StateChange {
            at: at(0),
            ..StateChange::default()
        },
        format: PayloadFormat::Relay,
        signing: Signing::with(SigningSecret::from_random([7; 32])),
        created_at: at(0),
        updated_at: at(0),
        version: 1,
    }
}

/// The event's type, and its payload.
fn told(event: Option<OperationalEvent>) -> Option<(&'static str, Value)> {
    let event = event?;
    let payload: Value = serde_json::from_slice(&event.payload).unwrap();
    let text = payload.to_string();
    for secret in [SECRET, "whsec_", "example.com"] {
        assert!(!text.contains(secret), "{text}");
    }
    let topic = Topic::ALL
        .into_iter()
        .find(|topic| topic.as_str() == event.event_type.as_str());
    Some((topic.unwrap().as_str(), payload))
}

fn change(before: &Subscription, after: &Subscription) -> Option<(&'static str, Value)> {
    told(OperationalEvent::of_state_change(
        EventId(id(9)),
        before,
        after,
    ))
}

#[test]
fn what_a_rule_holds_is_told_and_what_it_releases() {
    let active = subscription(&["*"]);
    let why = |reason: &str| StateChange {
        at: at(10),
        reason: Some(reason.to_owned()),
        by: ChangedBy::Rule,
        evidence: vec![AttemptId(id(4))],
    };
    let deactivated = SubscriptionState::Deactivated;
    let gone = active.moved_by(deactivated, why("gone")).unwrap();
    let expected = json!({
        "subscriptionId": id(1), "subscriptionName": "orders", "tenant": "acme",
        "state": "deactivated", "reason": "gone", "evidence": [id(4)],
        "since": "2025-10-26T10:00:10.000Z",
    });
    let topic = "posthaste.subscription.deactivated";
    assert_eq!(change(&active, &gone), Some((topic, expected.clone())));
    let failing = active.moved_by(deactivated, why("failing")).unwrap();
    let gone_since = failing.moved_by(deactivated, why("gone")).unwrap();
    assert_eq!(change(&failing, &gone_since), Some((topic, expected)));

    let back = gone
        .moved_to(SubscriptionState::Active, None, at(70))
        .unwrap();
    let expected = json!({
        "subscriptionId": id(1), "subscriptionName": "orders", "tenant": "acme",
        "state": "active", "by": "operator", "since": "2025-10-26T10:01:10.000Z",
        "previousState": "deactivated", "heldReason": "gone",
        "heldSince": "2025-10-26T10:00:10.000Z",
    });
    let topic = "posthaste.subscription.reactivated";
    assert_eq!(change(&gone, &back), Some((topic, expected)));

    let crashing = active
        .moved_to(SubscriptionState::Suspended, Some("crashing"), at(10))
        .unwrap();
    let (topic, payload) = change(&active, &crashing).unwrap();
    assert_eq!(topic, "posthaste.subscription.deactivated");
    assert_eq!(
        (&payload["state"], &payload["reason"]),
        (&json!("suspended"), &json!("crashing"))
    );
}

#[test]
fn of_all_state_changes_only_those_by_a_rule_and_back_are_told() {
    use SubscriptionState::{Active, Deactivated, Suspended};
    for from in SubscriptionState::ALL {
        for to in SubscriptionState::ALL {
            let mut before = subscription(&["*"]);
            before.state = from;
            let mut after = before.clone();
            after.state = to;
            let topic = match (from, to) {
                _ if from == to => None,
                (_, Deactivated | Suspended) => Some(Topic::SubscriptionDeactivated.as_str()),
                (Deactivated | Suspended, Active) => Some(Topic::SubscriptionReactivated.as_str()),
                _ => None,
            };
            let found = change(&before, &after).map(|(topic, _)| topic);
            assert_eq!(found, topic, "{from:?} to {to:?}");
        }
    }
}

fn step(
    subscription: &Subscription,
    from: BreakerState,
    to: BreakerState,
) -> Option<(&'static str, Value)> {
    let open = to == BreakerState::Open;
    let change = Change {
        from,
        to: StoredBreaker {
            state: to,
            until: open.then(|| at(40)),
            opened_in_a_row: 1,
        },
    };
    told(OperationalEvent::of_breaker_step(
        EventId(id(9)),
        subscription,
        &change,
        at(10),
    ))
}

#[test]
fn an_outage_is_told_at_its_begin_and_its_end() {
    use BreakerState::{Closed, HalfOpen, Open};
    let plain = subscription(&["*"]);
    let common = json!({
        "subscriptionId": id(1), "subscriptionName": "orders", "tenant": "acme",
        "since": "2025-10-26T10:00:10.000Z", "openedInARow": 1,
    });
    let mut opened = common.clone();
    opened["until"] = json!("2025-10-26T10:00:40.000Z");
    assert_eq!(
        step(&plain, Closed, Open),
        Some(("posthaste.breaker.opened", opened))
    );
    let closed = Some(("posthaste.breaker.closed", common));
    assert_eq!(step(&plain, HalfOpen, Closed), closed);
    assert_eq!(step(&plain, Open, Closed), closed);
    for (from, to) in [(Open, HalfOpen), (HalfOpen, Open)] {
        assert_eq!(step(&plain, from, to), None);
    }
}

#[test]
fn the_breaker_of_one_who_listens_tells_nothing() {
    use BreakerState::{Closed, Open};
    for patterns in [&["posthaste.*"][..], &["*", "posthaste.delivery.failed"]] {
        assert_eq!(step(&subscription(patterns), Closed, Open), None);
    }
}

fn failed(result: CallResult, max_age: Option<Duration>) -> AttemptRecord {
    let delivery = PendingDelivery {
        id: DeliveryId(id(2)),
        event_id: EventId(id(3)),
        subscription_id: SubscriptionId(id(1)),
        due_at: at(0),
        progress: Progress {
            attempts: 4,
            round: 2,
            ..Progress::new()
        },
    };
    let outcome = Outcome {
        started_at: at(0),
        duration: Duration::from_secs(1),
        timing: Timing::default(),
        request_headers: Default::default(),
        result,
    };
    let delays = max_age.map_or_else(Vec::new, |_| vec![Duration::from_secs(60)]);
    let policy = RetryPolicy::new(Schedule::Delays(delays), 0.0, max_age).unwrap();
    let verdict = settle(
        &delivery.progress,
        &outcome,
        &policy,
        Duration::ZERO,
        at(1),
        0.5,
    );
    AttemptRecord {
        id: AttemptId(id(4)),
        delivery,
        trigger: Trigger::Schedule,
        outcome,
        verdict,
        raises: None,
        blocks: None,
    }
}

fn answer(status: u16) -> CallResult {
    CallResult::Answer(Answer {
        status,
        headers: Default::default(),
        body: SECRET.as_bytes().to_vec(),
        body_cut: false,
        retry_after: None,
    })
}

fn end(record: &AttemptRecord, event_type: &str) -> Option<(&'static str, Value)> {
    let event_type = EventType::from_stored(event_type);
    let about = subscription(&["*"]);
    let event = EventId(id(9));
    told(OperationalEvent::of_failed_delivery(
        event,
        &about,
        &event_type,
        record,
        at(1),
    ))
}

#[test]
fn a_delivery_that_ends_undelivered_is_told() {
    let expected = json!({
        "subscriptionId": id(1), "subscriptionName": "orders", "tenant": "acme",
        "deliveryId": id(2), "eventId": id(3), "eventType": "job.created",
        "status": "failed", "round": 2, "attempts": 5,
        "lastAttempt": {"id": id(4), "status": 500, "errorKind": "status"},
        "since": "2025-10-26T10:00:01.000Z",
    });
    let topic = "posthaste.delivery.failed";
    assert_eq!(
        end(&failed(answer(500), None), "job.created"),
        Some((topic, expected))
    );

    let failure = CallResult::Failure(Failure {
        kind: FailureKind::Timeout,
        message: SECRET.to_owned(),
        status: None,
    });
    let expired = failed(failure, Some(Duration::from_secs(2)));
    let (_, payload) = end(&expired, "job.created").unwrap();
    assert_eq!(payload["status"], "expired");
    let last = json!({"id": id(4), "status": null, "errorKind": "timeout"});
    assert_eq!(payload["lastAttempt"], last);
}

#[test]
fn neither_a_success_nor_a_retry_nor_the_end_of_what_was_told_is_told() {
    assert_eq!(end(&failed(answer(200), None), "job.created"), None);
    let week = Duration::from_secs(7 * 24 * 3_600);
    assert_eq!(end(&failed(answer(500), Some(week)), "job.created"), None);
    for topic in Topic::ALL {
        assert_eq!(end(&failed(answer(500), None), topic.as_str()), None);
    }
}

#[test]
fn it_reaches_those_without_a_tenant_who_name_it_and_whom_it_is_not_about() {
    let about = subscription(&["*"]);
    let gone = about
        .moved_to(SubscriptionState::Deactivated, Some("gone"), at(10))
        .unwrap();
    let told = OperationalEvent::of_state_change(EventId(id(9)), &about, &gone).unwrap();
    let event = told.into_event(at(11));
    assert_eq!(event.ordering_key, Some(about.id.to_string()));
    assert_eq!((event.tenant.as_ref(), event.timestamp()), (None, at(10)));

    let reached = |patterns: &[&str], tenant: Option<&str>, own: bool| {
        let mut other = subscription(patterns);
        other.tenant = tenant.map(Into::into);
        other.id = if own { about.id } else { SubscriptionId(id(5)) };
        other.wants(&event)
    };
    let exact = "posthaste.subscription.deactivated";
    for pattern in [
        exact,
        "posthaste.*",
        "posthaste.subscription.*",
        "posthaste.*.deactivated",
    ] {
        assert!(reached(&[pattern], None, false), "{pattern}");
        assert!(!reached(&[pattern], Some("acme"), false), "{pattern}");
        assert!(!reached(&[pattern], None, true), "{pattern}");
    }
    for pattern in ["*", "*.subscription.*", "*.*.*", "posthaste.breaker.*"] {
        assert!(!reached(&[pattern], None, false), "{pattern}");
    }
}

#[test]
fn every_topic_is_reserved_and_can_be_named() {
    for topic in Topic::ALL {
        assert!(EventType::parse(topic.as_str()).is_err(), "no sender's");
        assert!(Topic::any_matches(
            &EventPattern::parse(topic.as_str()).unwrap()
        ));
    }
    let matched = |pattern: &str| Topic::any_matches(&EventPattern::parse(pattern).unwrap());
    assert!(matched("posthaste.*") && matched("posthaste.*.closed"));
    assert!(!matched("posthaste") && !matched("posthaste.breaker") && !matched("*"));
    assert!(!matched("posthaste.breaker.open"));
}
