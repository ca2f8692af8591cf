//! What is shown of jobs.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::actors::Preview;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::domain::event_type::EventPattern;
use crate::domain::id::{EventId, JobId, SubscriptionId};
use crate::domain::job::{Job, JobState, Selection};

/// A job and how far it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job)]
pub struct JobView {
    id: JobId,
    #[serde(flatten)]
    asked: AskedView,
    rate: u32,
    #[schema(value_type = JobState)]
    state: &'static str,
    error: Option<String>,
    /// As counted when it was made.
    total: u64,
    /// The count ended at its bound: there may be more.
    at_least: bool,
    done: u64,
    skipped: u64,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// The events that it names, where it does. Lists leave them out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    event_ids: Option<Vec<EventId>>,
}

/// What was asked for, but for the events that were named.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JobAsked)]
struct AskedView {
    #[schema(value_type = JobKind)]
    kind: &'static str,
    subscription_id: SubscriptionId,
    #[schema(value_type = Option<Vec<DeliveryState>>)]
    states: Option<Vec<&'static str>>,
    event_types: Option<Vec<String>>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// What a job does.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum JobKind {
    RetryFailed,
    Replay,
}

impl AskedView {
    fn new(job: &Job) -> Self {
        let by_time = !matches!(job.selection, Selection::EventIds(_));
        let mut view = Self {
            kind: job.selection.kind(),
            subscription_id: job.subscription_id,
            states: None,
            event_types: None,
            since: by_time.then_some(job.since),
            until: by_time.then_some(job.until),
        };
        match &job.selection {
            Selection::States(states) => {
                view.states = Some(states.iter().copied().map(DeliveryState::as_str).collect());
            }
            Selection::EventTypes(types) => {
                let text = |one: &EventPattern| one.as_str().to_owned();
                view.event_types = Some(types.iter().map(text).collect());
            }
            Selection::EventIds(_) => {}
        }
        view
    }
}

impl JobView {
    /// Without the events that it names: there may be many.
    pub fn new(job: &Job) -> Self {
        Self {
            id: job.id,
            asked: AskedView::new(job),
            rate: job.rate,
            state: job.state.as_str(),
            error: job.error.clone(),
            total: job.total.count,
            at_least: job.total.at_least,
            done: job.done,
            skipped: job.skipped,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            event_ids: None,
        }
    }

    /// With them.
    pub fn with_events(self, job: &Job) -> Self {
        let event_ids = match &job.selection {
            Selection::EventIds(ids) => Some(ids.clone()),
            Selection::States(_) | Selection::EventTypes(_) => None,
        };
        Self { event_ids, ..self }
    }
}

/// What a job would do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = JobPreview)]
pub struct PreviewView {
    dry_run: bool,
    #[serde(flatten)]
    asked: AskedView,
    rate: u32,
    total: u64,
    /// The count ended at its bound: there may be more.
    at_least: bool,
    /// The first of the deliveries, or of the events to replay.
    samples: Vec<Uuid>,
}

impl PreviewView {
    /// Of a job that was not made.
    pub fn new(job: &Job, preview: &Preview) -> Self {
        Self {
            dry_run: true,
            asked: AskedView::new(job),
            rate: job.rate,
            total: preview.total.count,
            at_least: preview.total.at_least,
            samples: preview.samples.clone(),
        }
    }
}
