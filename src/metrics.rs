//! What is counted as it happens, and how it is shown to Prometheus.
//!
//! On the way of an event nothing is done here but adding to atomic numbers that were found
//! beforehand: no lock is taken, no label looked up. What can be read when Prometheus asks
//! (`actors/gauges.rs`) is not counted. Subscriptions get labels only where the settings ask for it.

mod gauges;
mod histogram;
mod per_subscription;

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

pub use self::gauges::Gauges;
use self::histogram::Histogram;
use self::per_subscription::PerSubscription;
use crate::domain::delivery::{AttemptRecord, DeliveryState, Settlement};
use crate::domain::outcome::{CallResult, FailureKind};

/// How the text is to be announced.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds, from a quick receiver to the longest deadline.
const ATTEMPT_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0,
];
/// Seconds, from at once to a long backlog.
const DELAY_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3_600.0,
];
/// Seconds of a commit.
const COMMIT_SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// Rows of a group.
const GROUP_SIZES: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0,
];
/// Classes of answers, by the first digit of their status; others stand at 0.
const ANSWERS: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

type Label = [(&'static str, &'static str); 1];

/// A kind of group commit.
#[derive(Clone, Debug)]
pub struct Commits {
    sizes: Histogram,
    seconds: Histogram,
}

impl Commits {
    /// A group of so many was committed in that time.
    pub fn note(&self, size: usize, took: Duration) {
        self.sizes.observe(size as f64);
        self.seconds.observe(took.as_secs_f64());
    }
}

/// See the module's documentation.
pub struct Metrics {
    registry: Registry,
    /// Events that are stored, duplicates not counted.
    pub events_accepted: Counter,
    /// Deliveries made of them.
    pub deliveries_created: Counter,
    /// Spans that no collector took.
    pub spans_lost: Counter,
    /// Group commits of events.
    pub accepting: Commits,
    /// Group commits of outcomes.
    pub recording: Commits,
    refused: Family<Label, Counter>,
    ended: [Counter; DeliveryState::ALL.len()],
    answers: [Counter; ANSWERS.len()],
    failures: [Counter; FailureKind::ALL.len()],
    attempt_seconds: Histogram,
    first_attempt_seconds: Histogram,
    per_subscription: Option<PerSubscription>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Everything at nothing. So many subscriptions are counted one by one.
    pub fn new(subscriptions: usize) -> Self {
        let mut registry = Registry::with_prefix("posthaste");
        let to = &mut registry;
        let counter = |to: &mut Registry, name: &str, help: &str| {
            let counter = Counter::default();
            to.register(name, help, counter.clone());
            counter
        };
        let seconds = |to: &mut Registry, name: &str, help: &str, bounds| {
            let histogram = Histogram::new(bounds);
            to.register_with_unit(name, help, Unit::Seconds, histogram.clone());
            histogram
        };
        let commits = |to: &mut Registry, what: &str, of: &str| {
            let sizes = Histogram::new(GROUP_SIZES);
            let (name, help) = (
                format!("{what}_group_size"),
                format!("{of} in one group commit"),
            );
            to.register(name, help, sizes.clone());
            let help = format!("How long a group commit of {of} took");
            let name = format!("{what}_commit");
            let seconds = Histogram::new(COMMIT_SECONDS);
            to.register_with_unit(name, help, Unit::Seconds, seconds.clone());
            Commits { sizes, seconds }
        };
        let refused = Family::<Label, Counter>::default();
        let ended = Family::<Label, Counter>::default();
        let attempts = Family::<Label, Counter>::default();
        let one = |family: &Family<Label, Counter>, label, value| {
            family.get_or_create_owned(&[(label, value)])
        };
        Self {
            events_accepted: counter(
                to,
                "events_accepted",
                "Events stored, duplicates not counted",
            ),
            deliveries_created: counter(
                to,
                "deliveries_created",
                "Deliveries made of events as they were accepted",
            ),
            spans_lost: counter(to, "spans_lost", "Spans that no collector took"),
            accepting: commits(to, "ingest", "events"),
            recording: commits(to, "record", "outcomes"),
            ended: DeliveryState::ALL.map(|state| match state.is_final() {
                true => one(&ended, "state", state.as_str()),
                false => Counter::default(),
            }),
            answers: ANSWERS.map(|class| one(&attempts, "outcome", class)),
            failures: FailureKind::ALL.map(|kind| one(&attempts, "outcome", kind.as_str())),
            attempt_seconds: seconds(
                to,
                "attempt_duration",
                "How long an attempt took",
                ATTEMPT_SECONDS,
            ),
            first_attempt_seconds: seconds(
                to,
                "first_attempt_delay",
                "From when a delivery was first due to the start of its first attempt",
                DELAY_SECONDS,
            ),
            per_subscription: (subscriptions > 0)
                .then(|| PerSubscription::registered(subscriptions, to)),
            refused: {
                let help = "Requests to post events that were refused, by the problem's code";
                to.register("event_requests_refused", help, refused.clone());
                to.register(
                    "deliveries_ended",
                    "Deliveries that came to an end, by their state",
                    ended,
                );
                to.register(
                    "attempts",
                    "Attempts recorded, by what the receiver did",
                    attempts,
                );
                refused
            },
            registry,
        }
    }

    /// A request to post events was refused: off the way of those that are accepted.
    pub fn note_refused(&self, code: &'static str) {
        self.refused.get_or_create_owned(&[("code", code)]).inc();
    }

    /// So many deliveries ended in that state.
    pub fn note_ended(&self, state: DeliveryState, count: u64) {
        self.ended[state as usize].inc_by(count);
    }

    /// An attempt is recorded; it may have moved its delivery.
    pub fn note_attempt(&self, record: &AttemptRecord, moved: bool) {
        let outcome = &record.outcome;
        match &outcome.result {
            CallResult::Answer(answer) => {
                let class = usize::from(answer.status / 100);
                self.answers.get(class).unwrap_or(&self.answers[0]).inc();
            }
            CallResult::Failure(failure) => {
                self.failures[failure.kind as usize].inc();
            }
        }
        self.attempt_seconds.observe(outcome.duration.as_secs_f64());
        if record.delivery.progress.attempts == 0 {
            let delay = outcome.started_at.since(record.delivery.due_at);
            self.first_attempt_seconds.observe(delay.as_secs_f64());
        }
        let end = match record.verdict.settlement {
            Settlement::Delivered => Some(DeliveryState::Delivered),
            Settlement::Failed => Some(DeliveryState::Failed),
            Settlement::Expired => Some(DeliveryState::Expired),
            Settlement::RetryAt(_) => None,
        };
        if let Some(state) = end.filter(|_| moved) {
            self.note_ended(state, 1);
        }
        if let Some(each) = &self.per_subscription {
            each.note(record.delivery.subscription_id, outcome.is_success());
        }
    }

    /// All of it as text, with what was read just now.
    pub fn text(&self, gauges: &Gauges) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        for registry in gauges.registries() {
            encode_registry(&mut text, &registry)?;
        }
        encode_eof(&mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_kinds_stand_in_the_order_of_their_lists() {
        for (index, state) in DeliveryState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, index);
        }
        for (index, kind) in FailureKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    #[test]
    fn what_is_noted_is_shown_under_its_label() {
        let metrics = Metrics::new(0);
        metrics.note_refused("overloaded");
        metrics.note_ended(DeliveryState::Cancelled, 3);
        metrics.accepting.note(4, Duration::from_millis(2));
        let text = metrics.text(&Gauges::default()).unwrap();
        for line in [
            r#"posthaste_event_requests_refused_total{code="overloaded"} 1"#,
            r#"posthaste_deliveries_ended_total{state="cancelled"} 3"#,
            r#"posthaste_deliveries_ended_total{state="failed"} 0"#,
            r#"posthaste_ingest_group_size_bucket{le="2.0"} 0"#,
            r#"posthaste_ingest_group_size_bucket{le="4.0"} 1"#,
            r#"posthaste_ingest_commit_seconds_count 1"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert!(!text.contains("subscription="));
    }
}
