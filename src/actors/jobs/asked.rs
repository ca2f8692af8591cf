//! What may be asked of jobs from outside of the actors.

use tracing::info;

use super::pick::{self, Preview};
use crate::actors::handle::Relay;
use crate::clock;
use crate::domain::id::JobId;
use crate::domain::job::{Job, JobState};
use crate::domain::subscription::Subscription;
use crate::feed::Notice;
use crate::store::{JobCreated, Moved, Result, StoreError};

/// What became of a new job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobAnswer {
    /// It is stored, and worked at wherever the deliveries are owned.
    Made(Box<Job>),
    /// So many jobs are open as may be.
    TooMany(u32),
}

impl Relay {
    /// What this job would do.
    pub async fn preview_job(&self, job: &Job, subscription: &Subscription) -> Result<Preview> {
        pick::preview(&*self.deps.store, job, subscription).await
    }

    /// Stores a job, with its total counted, and sees to it that it is worked at.
    pub async fn make_job(&self, mut job: Job, subscription: &Subscription) -> Result<JobAnswer> {
        let deps = &self.deps;
        job.total = self.preview_job(&job, subscription).await?.total;
        let most = deps.settings.jobs.max_open;
        let created = match deps.store.create_job(&job, most).await {
            // The commit's fate may be unknown: the same job stands once, however often it is
            // stored.
            Err(StoreError::Unavailable(_)) => deps.store.create_job(&job, most).await,
            other => other,
        };
        if created? == JobCreated::TooMany {
            return Ok(JobAnswer::TooMany(most));
        }
        info!(
            job = %job.id,
            subscription = %job.subscription_id,
            kind = job.selection.kind(),
            total = job.total.count,
            "job.created"
        );
        if deps.ownership.may_deliver() {
            deps.jobs.look();
        } else {
            deps.feed.announce(Notice::Jobs);
        }
        Ok(JobAnswer::Made(Box::new(job)))
    }

    /// Ends a job that is not final; what it has moved stays moved. False where it is final.
    pub async fn cancel_job(&self, id: JobId) -> Result<bool> {
        let deps = &self.deps;
        let cancelled = JobState::Cancelled;
        let ended = deps
            .store
            .end_job(id, cancelled, None, clock::now())
            .await?;
        if ended == Moved::Overtaken {
            return Ok(false);
        }
        info!(job = %id, "job.cancelled");
        if let Some(job) = deps.store.job(id).await? {
            deps.tell_job(&job, cancelled, job.done, job.skipped);
        }
        Ok(true)
    }
}
