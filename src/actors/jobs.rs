//! Bulk work, batch by batch.
//!
//! All that a job is stands in the store: each batch begins with reading it, and moves the
//! deliveries, the counters and the cursor in one commit that the lease fences. So a job that
//! dies anywhere, with its task, its process or its owner, goes on where it was, and a batch of
//! unknown fate is counted once. Only the pace is kept here. Each round gives every open job one
//! batch at most, one after the other: jobs share the database fairly, and never crowd it.

mod asked;
mod pick;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

pub use self::asked::JobAnswer;
pub use self::pick::Preview;
use super::deps::Deps;
use super::pump::{Doorbell, Work};
use crate::clock;
use crate::domain::id::JobId;
use crate::domain::job::{Job, JobState};
use crate::domain::subscription::SubscriptionState;
use crate::events::EngineEvent;
use crate::faults::Point;
use crate::store::{JobBatch, JobMoved, Moved, Result, StoreError};

/// The longest sleep between two looks: a job that was made meanwhile need not wait longer.
const LONGEST_SLEEP: Duration = Duration::from_millis(250);
/// The longest pause between two tries while the database is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The pause after a batch, also after one that found nothing to move: a long walk leaves the store
/// to others in between.
const BREATH: Duration = Duration::from_millis(5);
/// The pause after a batch that failed for its own sake.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Such failures in a row before the job is given up.
const FAILURES: u32 = 5;

/// Whether there may be open jobs.
#[derive(Debug)]
pub struct Jobs {
    asked: AtomicBool,
    bell: Doorbell,
}

impl Jobs {
    /// Nobody knows yet whether there are jobs.
    pub fn new(bell: Doorbell) -> Self {
        Self {
            asked: AtomicBool::new(true),
            bell,
        }
    }

    /// There may be open jobs: look.
    pub fn look(&self) {
        self.asked.store(true, Ordering::Release);
        self.bell.ring();
    }
}

impl Work for Jobs {
    const POINT: Point = Point::Jobs;

    fn of(deps: &Deps) -> &Arc<Self> {
        &deps.jobs
    }

    fn bell(&self) -> &Doorbell {
        &self.bell
    }

    fn has_work(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Works until no job is open. A task that is lost leaves the rest to the next look, which
    /// comes with the next sweep.
    async fn run(deps: Arc<Deps>) {
        let mut paces = HashMap::new();
        let mut failures = 0u32;
        loop {
            deps.jobs.asked.store(false, Ordering::Release);
            if !deps.ownership.may_deliver() || deps.is_draining() {
                return;
            }
            let wait = match round(&deps, &mut paces).await {
                Ok(None) | Err(StoreError::Fenced) => return,
                Ok(Some(wait)) => {
                    failures = 0;
                    wait.min(LONGEST_SLEEP)
                }
                Err(problem) => {
                    if failures == 0 {
                        warn!(%problem, "jobs cannot go on; trying on");
                    }
                    let pause = Duration::from_millis(100) * (1 << failures.min(6));
                    failures = failures.saturating_add(1);
                    pause.min(LONGEST_PAUSE)
                }
            };
            tokio::time::sleep(wait).await;
        }
    }
}

/// What is remembered of a job from batch to batch.
struct Pace {
    not_before: Instant,
    failures: u32,
}

/// Gives each job whose time has come a batch. How long until the next one's time comes; nothing
/// where no job is open.
async fn round(deps: &Deps, paces: &mut HashMap<JobId, Pace>) -> Result<Option<Duration>> {
    let open = deps.store.open_jobs(deps.settings.jobs.max_open).await?;
    paces.retain(|id, _| open.iter().any(|job| job.id == *id));
    for job in &open {
        if !deps.ownership.may_deliver() || deps.is_draining() {
            break;
        }
        let began = clock::instant();
        let pace = paces.entry(job.id).or_insert(Pace {
            not_before: began,
            failures: 0,
        });
        if pace.not_before > began {
            continue;
        }
        match step(deps, job).await {
            Ok(moved) => {
                let rested = clock::instant() + BREATH;
                *pace = Pace {
                    not_before: rested.max(began + job.pause_after(moved)),
                    failures: 0,
                };
            }
            Err(problem @ (StoreError::Unavailable(_) | StoreError::Fenced)) => {
                return Err(problem);
            }
            Err(problem) => {
                pace.failures += 1;
                pace.not_before = began + AFTER_FAILURE;
                error!(job = %job.id, %problem, "a batch of a job failed");
                if pace.failures >= FAILURES {
                    give_up(deps, job, "the database refused to go on").await?;
                }
            }
        }
    }
    let now = clock::instant();
    let next = paces
        .values()
        .map(|pace| pace.not_before.saturating_duration_since(now))
        .min();
    Ok(next)
}

/// One batch of a job as it was read. Answers how many deliveries it was about.
async fn step(deps: &Deps, job: &Job) -> Result<usize> {
    let epoch = deps.ownership.epoch().ok_or(StoreError::Fenced)?;
    let subscription = deps.store.subscription(job.subscription_id).await?;
    let Some(subscription) = subscription.filter(|one| one.state != SubscriptionState::Deleted)
    else {
        give_up(deps, job, "the subscription was deleted").await?;
        return Ok(0);
    };
    let picked = pick::pick(&*deps.store, job, &subscription, job.batch()).await?;
    let about = picked.work.len();
    let batch = JobBatch {
        epoch,
        job: job.id,
        version: job.version,
        subscription: subscription.id,
        subscription_version: subscription.version,
        work: picked.work,
        cursor: picked.cursor,
        complete: picked.complete,
        now: clock::now(),
    };
    let JobMoved::Done { moved, skipped } = deps.store.move_job(&batch).await? else {
        return Ok(0);
    };
    deps.faults.panic_at(Point::JobCommitted);
    if moved > 0 {
        deps.note_moved(subscription.id);
    }
    let state = match batch.complete {
        true => JobState::Completed,
        false => JobState::Running,
    };
    let (done, skipped) = (job.done + moved, job.skipped + skipped);
    if batch.complete {
        info!(job = %job.id, subscription = %subscription.id, done, skipped, "job.completed");
    }
    deps.tell_job(job, state, done, skipped);
    Ok(about)
}

async fn give_up(deps: &Deps, job: &Job, reason: &str) -> Result<()> {
    let failed = JobState::Failed;
    let ended = deps
        .store
        .end_job(job.id, failed, Some(reason), clock::now());
    if ended.await? == Moved::Done {
        warn!(job = %job.id, subscription = %job.subscription_id, reason, "job.failed");
        deps.tell_job(job, failed, job.done, job.skipped);
    }
    Ok(())
}

impl Deps {
    fn tell_job(&self, job: &Job, state: JobState, done: u64, skipped: u64) {
        self.events.tell(|| EngineEvent::JobMoved {
            job: job.id,
            subscription: job.subscription_id,
            state,
            done,
            skipped,
        });
    }
}
