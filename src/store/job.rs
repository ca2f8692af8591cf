//! What the stores and those who work at jobs say to each other.

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::id::{DeliveryId, EventId, JobId, SubscriptionId};
use crate::domain::job::{EventHead, FinalDelivery, Job, JobState};
use crate::store::{Moved, Page, PageRequest, Result};

/// Which jobs. Fields that are set must all match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Of subscriptions of this tenant.
    pub tenant: Option<String>,
    /// In this state.
    pub state: Option<JobState>,
}

/// A stretch of a walk over what did not arrive, in the order of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnarrivedWalk {
    /// Of this subscription.
    pub subscription: SubscriptionId,
    /// Behind this delivery; from `since` on where absent.
    pub after: Option<DeliveryId>,
    /// Of events that came at or after, by their ids: to the millisecond.
    pub since: Timestamp,
    /// Of events that came before.
    pub until: Timestamp,
    /// Rows at most.
    pub limit: u32,
}

/// A stretch of a walk over the events, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventWalk {
    /// Behind this event; from `since` on where absent.
    pub after: Option<EventId>,
    /// Accepted at or after, with some slack.
    pub since: Timestamp,
    /// Accepted before, with some slack.
    pub until: Timestamp,
    /// Rows at most.
    pub limit: u32,
}

/// A delivery that a replay makes where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The id that a new one gets.
    pub delivery: DeliveryId,
    /// Of this event.
    pub event: EventId,
    /// Bytes of the event's payload.
    pub payload_bytes: i32,
}

/// What a batch moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobWork {
    /// Final deliveries that begin their next round.
    Retry(Vec<DeliveryId>),
    /// Events whose deliveries are made, or begin their next round.
    Replay(Vec<Replayed>),
}

impl JobWork {
    /// Deliveries that it is about.
    pub fn len(&self) -> usize {
        match self {
            Self::Retry(deliveries) => deliveries.len(),
            Self::Replay(events) => events.len(),
        }
    }

    /// Whether it is about none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One step of a job: deliveries, counters and cursor move in one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobBatch {
    /// The epoch of the lease that the caller holds.
    pub epoch: i64,
    /// Which job.
    pub job: JobId,
    /// The version that was read of it.
    pub version: i64,
    /// To whom.
    pub subscription: SubscriptionId,
    /// The version that was read of the subscription: who may get what was decided by it.
    pub subscription_version: i64,
    /// What moves.
    pub work: JobWork,
    /// Where the walk has come to.
    pub cursor: Option<Uuid>,
    /// Nothing is left.
    pub complete: bool,
    /// When.
    pub now: Timestamp,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobMoved {
    /// Done.
    Done {
        /// Deliveries made or brought into their next round.
        moved: u64,
        /// Left alone: they are pending.
        skipped: u64,
    },
    /// The job or its subscription moved since it was read; nothing was done: read it again.
    Overtaken,
}

/// What became of a new job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobCreated {
    /// It stands.
    Done,
    /// So many jobs are open as may be.
    TooMany,
}

/// The part of the store that works at jobs.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Stores a new job, unless `most` are open already, or its subscription's tenant has its share of
    /// them. Safe to run again: a job that stands is left as it is.
    async fn create_job(&self, job: &Job, most: u32) -> Result<JobCreated>;

    /// One job.
    async fn job(&self, id: JobId) -> Result<Option<Job>>;

    /// Up to `limit` jobs that are not final, oldest first.
    async fn open_jobs(&self, limit: u32) -> Result<Vec<Job>>;

    /// Jobs, newest first.
    async fn list_jobs(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>>;

    /// Moves a batch: deliveries, counters and cursor in one commit, fenced by the lease as a
    /// record is, and by the versions of the job and its subscription. `Fenced` and `Overtaken`
    /// leave nothing behind. What a replay makes is due at `now` and begins with round 2.
    async fn move_job(&self, batch: &JobBatch) -> Result<JobMoved>;

    /// Ends a job that is not final. `Overtaken` where it is, or there is none.
    async fn end_job(
        &self,
        id: JobId,
        state: JobState,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<Moved>;

    /// Forgets up to `limit` jobs that became final before `before`, and says how many.
    async fn forget_jobs(&self, before: Timestamp, limit: u32) -> Result<u64>;

    /// A stretch of what did not arrive. Costs an index range of `limit` rows.
    async fn walk_unarrived(&self, walk: &UnarrivedWalk) -> Result<Vec<FinalDelivery>>;

    /// A stretch of the events without their payloads. Costs an index range of `limit` rows.
    async fn walk_events(&self, walk: &EventWalk) -> Result<Vec<EventHead>>;

    /// These events without their payloads, sorted by id; missing ones are left out.
    async fn event_heads(&self, ids: &[EventId]) -> Result<Vec<EventHead>>;
}
