//! What a job takes next, and how many there are in all.
//!
//! A job walks an index in bounded stretches; what it leaves out of one is left out for good.

use uuid::Uuid;

use crate::domain::id::{DeliveryId, EventId};
use crate::domain::job::{self, EventHead, FinalDelivery, Job, Selection, Total};
use crate::domain::subscription::Subscription;
use crate::store::{EventWalk, JobWork, Replayed, Result, Store, UnarrivedWalk};

/// Rows in one stretch: at least, and at most.
const STRETCH: std::ops::RangeInclusive<usize> = 200..=1_000;
/// A count stops when it has come to so many.
const MAX_COUNT: u64 = 10_000;
/// A count walks so many stretches at most.
const MAX_STRETCHES: usize = 100;
/// Ids shown in a preview.
const SAMPLES: usize = 5;

/// The next batch of a job.
#[derive(Debug)]
pub struct Picked {
    /// What to move.
    pub work: JobWork,
    /// What the walk has come to; as before where absent.
    pub cursor: Option<Uuid>,
    /// Nothing is left.
    pub complete: bool,
}

/// What a job would do.
#[derive(Clone, Debug)]
pub struct Preview {
    /// How many there are.
    pub total: Total,
    /// The first of them: deliveries, or events to replay.
    pub samples: Vec<Uuid>,
}

/// Picks up to `most` from where the job has come to.
pub async fn pick(
    store: &dyn Store,
    job: &Job,
    subscription: &Subscription,
    most: usize,
) -> Result<Picked> {
    let limit = (2 * most).clamp(*STRETCH.start(), *STRETCH.end());
    let rows = u32::try_from(limit).unwrap_or(u32::MAX);
    match &job.selection {
        Selection::States(states) => {
            let walk = UnarrivedWalk {
                subscription: subscription.id,
                after: job.cursor.map(DeliveryId),
                since: job.since,
                until: job.until,
                limit: rows,
            };
            let walked = store.walk_unarrived(&walk).await?;
            let short = walked.len() < limit;
            let wanted = |row: &FinalDelivery| states.contains(&row.state);
            let taken = job::take(walked, short, most, |row| row.id.0, wanted);
            let ids = taken.rows.iter().map(|row| row.id).collect();
            Ok(Picked {
                work: JobWork::Retry(ids),
                cursor: taken.cursor,
                complete: taken.complete,
            })
        }
        Selection::EventIds(ids) => {
            let behind = |cursor| ids.partition_point(|id| *id <= EventId(cursor));
            let begin = job.cursor.map_or(0, behind);
            let rest = &ids[begin..];
            let chunk = &rest[..rest.len().min(most)];
            let mut heads = store.event_heads(chunk).await?;
            heads.retain(|head| head.may_reach(subscription));
            Ok(Picked {
                work: replayed(&heads, subscription),
                cursor: chunk.last().map(|id| id.0),
                complete: chunk.len() == rest.len(),
            })
        }
        Selection::EventTypes(_) => {
            let walk = EventWalk {
                after: job.cursor.map(EventId),
                since: job.since,
                until: job.until,
                limit: rows,
            };
            let walked = store.walk_events(&walk).await?;
            let short = walked.len() < limit;
            let wanted = |head: &EventHead| head.is_wanted_by(job) && head.may_reach(subscription);
            let taken = job::take(walked, short, most, |head| head.id.0, wanted);
            Ok(Picked {
                work: replayed(&taken.rows, subscription),
                cursor: taken.cursor,
                complete: taken.complete,
            })
        }
    }
}

fn replayed(heads: &[EventHead], subscription: &Subscription) -> JobWork {
    let one = |head: &EventHead| Replayed {
        delivery: DeliveryId::of(head.id, subscription.id),
        event: head.id,
        payload_bytes: head.payload_bytes,
    };
    JobWork::Replay(heads.iter().map(one).collect())
}

/// Counts what a job would take, up to a bound.
pub async fn preview(store: &dyn Store, job: &Job, subscription: &Subscription) -> Result<Preview> {
    let mut walking = job.clone();
    let mut preview = Preview {
        total: Total::default(),
        samples: Vec::new(),
    };
    for _ in 0..MAX_STRETCHES {
        let picked = pick(store, &walking, subscription, *STRETCH.end()).await?;
        preview.total.count += picked.work.len() as u64;
        let ids: Vec<Uuid> = match &picked.work {
            JobWork::Retry(deliveries) => deliveries.iter().map(|id| id.0).collect(),
            JobWork::Replay(events) => events.iter().map(|one| one.event.0).collect(),
        };
        let room = SAMPLES - preview.samples.len();
        preview.samples.extend(ids.into_iter().take(room));
        if picked.complete {
            return Ok(preview);
        }
        if preview.total.count >= MAX_COUNT {
            break;
        }
        walking.cursor = picked.cursor.or(walking.cursor);
    }
    preview.total.at_least = true;
    Ok(preview)
}
