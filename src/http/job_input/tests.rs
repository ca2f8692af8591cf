use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::event_type::EventPattern;
use crate::domain::id::SubscriptionId;
use crate::domain::payload_format::PayloadFormat;
use crate::domain::signature::SigningSecret;
use crate::domain::signing::Signing;
use crate::domain::subscription::{StateChange, SubscriptionState};

const NOW: &str = "2025-10-26T12:00:00Z";
const SETTINGS: JobSettings = JobSettings {
    rate: 100,
    max_rate: 1_000,
    max_open: 10,
    retention: Duration::from_secs(86_400),
};

fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn read(
    parse: fn(&[u8], Seed<'_>) -> Result<JobInput, Vec<Fault>>,
    body: &str,
) -> Result<JobInput, String> {
    let subscription = Subscription {
        id: SubscriptionId(Uuid::from_u128(2)),
        tenant: None,
        name: "a".to_owned(),
        url: "https://example.com".parse().unwrap(),
        event_types: vec![EventPattern::parse("job.*").unwrap()],
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
        created_at: time(NOW),
        updated_at: time(NOW),
        version: 1,
    };
    let seed = Seed {
        id: JobId(Uuid::from_u128(1)),
        subscription: &subscription,
        now: time(NOW),
        settings: &SETTINGS,
    };
    parse(body.as_bytes(), seed).map_err(|faults| super::super::error::in_one_line(&faults))
}

#[test]
fn what_failed_is_meant_unless_other_states_are_named() {
    let body = r#"{"since": "2025-10-26T10:00:00Z"}"#;
    let JobInput { job, dry_run } = read(parse_retry_failed, body).unwrap();
    let states = vec![DeliveryState::Failed, DeliveryState::Expired];
    assert_eq!(job.selection, Selection::States(states));
    assert_eq!(
        (job.since, job.until),
        (time("2025-10-26T10:00:00Z"), time(NOW))
    );
    assert_eq!(
        (job.rate, dry_run, job.state),
        (100, false, JobState::Queued)
    );

    let body = r#"{"since": "2025-10-26T10:00:00+02:00", "until": "2025-10-26T11:00:00Z",
        "states": ["skipped", "cancelled", "skipped"], "rate": 1000, "dryRun": true}"#;
    let JobInput { job, dry_run } = read(parse_retry_failed, body).unwrap();
    let states = vec![DeliveryState::Cancelled, DeliveryState::Skipped];
    assert_eq!(job.selection, Selection::States(states));
    assert_eq!(job.since, time("2025-10-26T08:00:00Z"));
    assert_eq!(job.until, time("2025-10-26T11:00:00Z"));
    assert_eq!((job.rate, dry_run), (1_000, true));
}

#[test]
fn events_are_named_or_come_from_a_stretch_of_time() {
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let body = format!(r#"{{"eventIds": ["{b}", "{a}", "{b}"]}}"#);
    let job = read(parse_replay, &body).unwrap().job;
    assert_eq!(
        job.selection,
        Selection::EventIds(vec![EventId(a), EventId(b)])
    );

    let body = r#"{"since": "2025-10-26T10:00:00Z", "eventTypes": ["a.*", "*"]}"#;
    let job = read(parse_replay, body).unwrap().job;
    let patterns = ["a.*", "*"].map(|text| EventPattern::parse(text).unwrap());
    assert_eq!(job.selection, Selection::EventTypes(patterns.to_vec()));
    // What is to come is not asked for, and what it subscribes to is meant.
    let body = r#"{"since": "2025-10-26T10:00:00Z", "until": "2099-01-01T00:00:00Z"}"#;
    let job = read(parse_replay, body).unwrap().job;
    let own = EventPattern::parse("job.*").unwrap();
    assert_eq!(job.selection, Selection::EventTypes(vec![own]));
    assert_eq!(job.until, time(NOW));
}

#[test]
fn what_is_wrong_is_named() {
    let cases: [(&str, &[&str]); 9] = [
        ("[]", &["body must be an object"]),
        ("{}", &["since is required"]),
        (r#"{"since": "yesterday"}"#, &["since must be a time"]),
        (r#"{"since": 17}"#, &["since must be a time"]),
        (
            r#"{"since": "2026-01-01T00:00:00Z"}"#,
            &["since must be in the past"],
        ),
        (
            r#"{"since": "2025-01-01T00:00:00Z", "until": "2025-01-01T00:00:00Z"}"#,
            &["until must be later"],
        ),
        (
            r#"{"since": "2025-01-01T00:00:00Z", "rate": 1001, "dryRun": 1, "x": 1}"#,
            &[
                "rate must be a whole number from 1 to 1000",
                "dryRun must be",
                "x is not known",
            ],
        ),
        (
            r#"{"since": "2025-01-01T00:00:00Z", "states": ["failed", "delivered"]}"#,
            &["states[1] must be one of failed, expired, skipped, cancelled"],
        ),
        (
            r#"{"since": "2025-01-01T00:00:00Z", "states": []}"#,
            &["states must be a list"],
        ),
    ];
    for (body, wanted) in cases {
        let faults = read(parse_retry_failed, body).unwrap_err();
        for part in wanted {
            assert!(faults.contains(part), "{body}: {faults}");
        }
    }
    let many = vec![format!("{:?}", Uuid::nil().to_string()); 1_001].join(",");
    let many = format!(r#"{{"eventIds": [{many}]}}"#);
    let cases: [(&str, &[&str]); 5] = [
        ("{}", &["since is required where there are no eventIds"]),
        (
            r#"{"eventIds": []}"#,
            &["eventIds must be a list of 1 to 1000"],
        ),
        (&many, &["eventIds must be a list of 1 to 1000"]),
        (
            r#"{"eventIds": ["x", 3]}"#,
            &["eventIds[0] must be an id", "eventIds[1] must be a text"],
        ),
        (
            r#"{"eventIds": ["00000000-0000-0000-0000-000000000000"], "since": "2025-01-01T00:00:00Z"}"#,
            &["since cannot stand beside eventIds"],
        ),
    ];
    for (body, wanted) in cases {
        let faults = read(parse_replay, body).unwrap_err();
        for part in wanted {
            assert!(faults.contains(part), "{faults}");
        }
    }
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in any::<String>(), text in any::<String>(), number in any::<f64>()) {
        let odd = [
            serde_json::json!({"since": text, "until": text, "rate": number, "states": [text]}),
            serde_json::json!({"eventIds": [text, number], "rate": number}),
            serde_json::json!({"since": "2025-01-01T00:00:00Z", "eventTypes": text}),
        ];
        for body in odd.iter().map(Value::to_string).chain([bytes]) {
            let _ = read(parse_retry_failed, &body);
            let _ = read(parse_replay, &body);
        }
    }

    #[test]
    fn ids_are_read_as_they_were_written(ids in prop::collection::btree_set(any::<u128>(), 1..20)) {
        let ids: Vec<EventId> = ids.into_iter().map(|id| EventId(Uuid::from_u128(id))).collect();
        let texts: Vec<String> = ids.iter().rev().map(ToString::to_string).collect();
        let body = serde_json::json!({"eventIds": texts}).to_string();
        let read = read(parse_replay, &body).unwrap();
        prop_assert_eq!(read.job.selection, Selection::EventIds(ids));
    }
}
