//! Bulk work: what a job walks, and that its batches are whole, fenced and counted once.

use posthaste::clock;
use posthaste::domain::delivery::{DeliveryState, Trigger};
use posthaste::domain::event_type::EventPattern;
use posthaste::domain::id::{DeliveryId, EventId, JobId, SubscriptionId};
use posthaste::domain::job::{Job, JobState, Selection, Total};
use posthaste::domain::subscription::Subscription;
use posthaste::store::{
    Accepted, EventWalk, JobBatch, JobCreated, JobFilter, JobMoved, JobWork, Moved, PageRequest,
    Recorded, Replayed, Store, StoreError, UnarrivedWalk,
};
use uuid::Uuid;

use crate::bed::Bed;
use crate::sample::{
    accepted, answered, at, event, event_at, events, group, move_to, recorded, subscribe,
};

on_both_stores!(
    a_job_is_stored_once_and_read_back,
    so_many_jobs_are_open_and_no_more,
    a_retry_brings_back_what_is_final_and_leaves_what_is_pending,
    a_replay_makes_what_is_missing_and_brings_back_what_is_final,
    a_batch_is_moved_once,
    a_batch_of_another_epoch_or_subscription_moves_nothing,
    a_job_that_has_ended_moves_nothing_and_is_forgotten,
    what_did_not_arrive_is_walked_in_the_order_of_its_events,
    events_are_walked_in_the_order_of_their_ids,
);

const EVERY: PageRequest = PageRequest {
    limit: 100,
    after: None,
    offset: 0,
};

fn job(to: SubscriptionId, selection: Selection) -> Job {
    Job {
        id: JobId(clock::uuid()),
        subscription_id: to,
        selection,
        since: at(-60),
        until: at(60),
        rate: 7,
        state: JobState::Queued,
        error: None,
        total: Total {
            count: 12,
            at_least: true,
        },
        done: 0,
        skipped: 0,
        cursor: None,
        created_at: at(5),
        started_at: None,
        finished_at: None,
        version: 0,
    }
}

fn failed() -> Selection {
    Selection::States(vec![DeliveryState::Failed, DeliveryState::Expired])
}

async fn create(store: &dyn Store, to: SubscriptionId, selection: Selection) -> Job {
    let job = job(to, selection);
    assert_eq!(store.create_job(&job, 100).await.unwrap(), JobCreated::Done);
    job
}

/// A batch of a job that nobody has moved yet.
fn batch(bed: &Bed, job: &Job, subscription: &Subscription, work: JobWork) -> JobBatch {
    JobBatch {
        epoch: bed.epoch,
        job: job.id,
        version: 0,
        subscription: subscription.id,
        subscription_version: subscription.version,
        work,
        cursor: Some(Uuid::from_u128(17)),
        complete: false,
        now: at(50),
    }
}

async fn read(store: &dyn Store, job: &Job) -> Job {
    store.job(job.id).await.unwrap().unwrap()
}

fn replayed(events: &[EventId], to: SubscriptionId) -> JobWork {
    let one = |event: &EventId| Replayed {
        delivery: DeliveryId::of(*event, to),
        event: *event,
        payload_bytes: 3,
    };
    JobWork::Replay(events.iter().map(one).collect())
}

async fn a_job_is_stored_once_and_read_back(bed: Bed) {
    let store = &*bed.store;
    let (to, other) = (
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    );
    let patterns = ["job.*", "*"].map(|text| EventPattern::parse(text).unwrap());
    let first = create(store, to, failed()).await;
    let ids = Selection::EventIds(vec![EventId(Uuid::from_u128(1)), EventId(Uuid::max())]);
    let second = create(store, to, ids).await;
    let third = create(store, other, Selection::EventTypes(patterns.to_vec())).await;
    assert_eq!(
        store.create_job(&first, 100).await.unwrap(),
        JobCreated::Done
    );
    for job in [&first, &second, &third] {
        assert_eq!(read(store, job).await, *job);
    }
    assert_eq!(store.job(JobId(clock::uuid())).await.unwrap(), None);

    let cancelled = JobState::Cancelled;
    let ended = store.end_job(second.id, cancelled, None, at(9)).await;
    assert_eq!(ended.unwrap(), Moved::Done);
    let open: Vec<_> = store.open_jobs(10).await.unwrap();
    assert_eq!(open, [first.clone(), third.clone()]);
    assert_eq!(
        store.open_jobs(1).await.unwrap(),
        std::slice::from_ref(&first)
    );
    let list = async |filter: JobFilter| -> Vec<JobId> {
        let page = store.list_jobs(&filter, &EVERY).await.unwrap();
        page.rows.iter().map(|job| job.id).collect()
    };
    let all = JobFilter::default();
    assert_eq!(list(all.clone()).await, [third.id, second.id, first.id]);
    let of = JobFilter {
        subscription: Some(to),
        ..all.clone()
    };
    assert_eq!(list(of.clone()).await, [second.id, first.id]);
    let state = Some(cancelled);
    assert_eq!(list(JobFilter { state, ..of }).await, [second.id]);
    let state = Some(JobState::Failed);
    assert_eq!(list(JobFilter { state, ..all }).await, []);
}

async fn so_many_jobs_are_open_and_no_more(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let [first, second, third] = [(); 3].map(|()| job(to, failed()));
    assert_eq!(store.create_job(&first, 2).await.unwrap(), JobCreated::Done);
    assert_eq!(
        store.create_job(&second, 2).await.unwrap(),
        JobCreated::Done
    );
    assert_eq!(
        store.create_job(&third, 2).await.unwrap(),
        JobCreated::TooMany
    );
    assert_eq!(store.job(third.id).await.unwrap(), None);
    // Its first run was committed, and nobody knew.
    assert_eq!(
        store.create_job(&second, 2).await.unwrap(),
        JobCreated::Done
    );
    let failed = store.end_job(first.id, JobState::Failed, Some("why"), at(9));
    assert_eq!(failed.await.unwrap(), Moved::Done);
    assert_eq!(store.create_job(&third, 2).await.unwrap(), JobCreated::Done);
    let first = read(store, &first).await;
    assert_eq!(
        (first.state, first.error.as_deref(), first.finished_at),
        (JobState::Failed, Some("why"), Some(at(9)))
    );
}

async fn a_retry_brings_back_what_is_final_and_leaves_what_is_pending(bed: Bed) {
    let store = &*bed.store;
    let subscription = subscribe(store, "a").await;
    let to = subscription.id;
    let deliveries = accepted(store, 4, to).await;
    // One failed for good, one is cancelled, one waits for its retry, one was never tried.
    recorded(store, bed.epoch, answered(deliveries[0], 500)).await;
    let mut again = deliveries[0];
    again.progress = store.delivery(again.id).await.unwrap().unwrap().progress;
    recorded(store, bed.epoch, answered(again, 500)).await;
    let cancelled = store.cancel_delivery(deliveries[1].id, 0, at(4)).await;
    assert_eq!(cancelled.unwrap(), Moved::Done);
    recorded(store, bed.epoch, answered(deliveries[2], 500)).await;
    let before = store.delivery(deliveries[0].id).await.unwrap().unwrap();
    assert_eq!(before.state, DeliveryState::Failed);

    let job = create(store, to, failed()).await;
    let ids = deliveries.iter().map(|one| one.id).collect();
    let batch = batch(&bed, &job, &subscription, JobWork::Retry(ids));
    let moved = store.move_job(&batch).await.unwrap();
    let expected = JobMoved::Done {
        moved: 2,
        skipped: 2,
    };
    assert_eq!(moved, expected);
    let job = read(store, &job).await;
    assert_eq!(
        (job.done, job.skipped, job.state),
        (2, 2, JobState::Running)
    );
    assert_eq!((job.cursor, job.version), (batch.cursor, 1));
    assert_eq!((job.started_at, job.finished_at), (Some(at(50)), None));

    let row = store.delivery(deliveries[0].id).await.unwrap().unwrap();
    assert_eq!(row.progress, before.progress.next_round());
    assert_eq!(
        (row.state, row.due_at, row.finished_at),
        (DeliveryState::Pending, at(50), None)
    );
    let row = store.delivery(deliveries[1].id).await.unwrap().unwrap();
    assert_eq!((row.state, row.progress.round), (DeliveryState::Pending, 2));
    for left in &deliveries[2..] {
        let row = store.delivery(left.id).await.unwrap().unwrap();
        assert_eq!((row.state, row.progress.round), (DeliveryState::Pending, 1));
    }
    let due = store.due_page(to, at(50), 10).await.unwrap().due;
    assert_eq!(due.len(), 4);
}

async fn a_replay_makes_what_is_missing_and_brings_back_what_is_final(bed: Bed) {
    let store = &*bed.store;
    let (subscription, other) = (subscribe(store, "a").await, subscribe(store, "b").await);
    let to = subscription.id;
    // Three events that both get, and two that came before this subscription.
    let both = group(store, events(3), &[to, other.id]).await;
    assert_eq!(store.accept(&both).await.unwrap(), Accepted::Committed);
    let early = group(store, events(2), &[other.id]).await;
    assert_eq!(store.accept(&early).await.unwrap(), Accepted::Committed);
    let own = |n: usize| both.deliveries[2 * n];
    recorded(store, bed.epoch, answered(own(0), 200)).await;
    store.cancel_delivery(own(1).id, 0, at(4)).await.unwrap();

    let all = [&both.events[..], &early.events[..]].concat();
    let ids: Vec<_> = all.iter().map(|event| event.id).collect();
    let job = create(store, to, Selection::EventIds(ids.clone())).await;
    let mut batch = batch(&bed, &job, &subscription, replayed(&ids, to));
    batch.complete = true;
    let moved = store.move_job(&batch).await.unwrap();
    let expected = JobMoved::Done {
        moved: 4,
        skipped: 1,
    };
    assert_eq!(moved, expected);
    let job = read(store, &job).await;
    assert_eq!(
        (job.done, job.skipped, job.state),
        (4, 1, JobState::Completed)
    );
    assert_eq!(job.finished_at, Some(at(50)));

    let due = store.due_page(to, at(50), 10).await.unwrap().due;
    let rounds = |event: EventId| {
        let row = due.iter().find(|row| row.delivery.event_id == event);
        let progress = row.unwrap().delivery.progress;
        (progress.round, progress.next_trigger())
    };
    assert_eq!(due.len(), 5, "one delivery for each event");
    for (event, round) in ids.iter().zip([2, 2, 1, 2, 2]) {
        let trigger = match round {
            1 => Trigger::Schedule,
            _ => Trigger::Manual,
        };
        assert_eq!(rounds(*event), (round, trigger));
    }
    // In the order given, those that were there before among them.
    let made: Vec<_> = due
        .iter()
        .skip(1)
        .map(|row| row.delivery.event_id)
        .collect();
    assert_eq!(made, [ids[0], ids[1], ids[3], ids[4]]);
    assert_eq!(due[4].payload_bytes, 3);
    let others = store.due_page(other.id, at(50), 10).await.unwrap().due;
    assert_eq!(others.len(), 5);
    // What was made is attempted and recorded like any other.
    let fate = recorded(store, bed.epoch, answered(due[4].delivery, 200)).await;
    assert_eq!(fate, Recorded::Moved);
}

async fn a_batch_is_moved_once(bed: Bed) {
    let store = &*bed.store;
    let subscription = subscribe(store, "a").await;
    let deliveries = accepted(store, 1, subscription.id).await;
    recorded(store, bed.epoch, answered(deliveries[0], 200)).await;
    let job = create(store, subscription.id, failed()).await;
    let work = JobWork::Retry(vec![deliveries[0].id]);
    let batch = batch(&bed, &job, &subscription, work);
    let done = JobMoved::Done {
        moved: 1,
        skipped: 0,
    };
    assert_eq!(store.move_job(&batch).await.unwrap(), done);
    let after = read(store, &job).await;
    // Its fate was unknown: it is run again.
    assert_eq!(store.move_job(&batch).await.unwrap(), JobMoved::Overtaken);
    assert_eq!(read(store, &job).await, after);
    assert_eq!((after.done, after.version), (1, 1));
}

async fn a_batch_of_another_epoch_or_subscription_moves_nothing(bed: Bed) {
    let store = &*bed.store;
    let subscription = subscribe(store, "a").await;
    let deliveries = accepted(store, 1, subscription.id).await;
    recorded(store, bed.epoch, answered(deliveries[0], 200)).await;
    let job = create(store, subscription.id, failed()).await;
    let work = JobWork::Retry(vec![deliveries[0].id]);
    let batch = batch(&bed, &job, &subscription, work);
    let late = JobBatch {
        epoch: bed.epoch - 1,
        ..batch.clone()
    };
    let fenced = store.move_job(&late).await;
    assert!(matches!(fenced, Err(StoreError::Fenced)), "{fenced:?}");
    use posthaste::domain::subscription::SubscriptionState::Paused;
    let changed = move_to(store, &subscription, Paused).await;
    assert_eq!(store.move_job(&batch).await.unwrap(), JobMoved::Overtaken);
    assert_eq!(read(store, &job).await, job);
    let row = store.delivery(deliveries[0].id).await.unwrap().unwrap();
    assert_eq!(row.state, DeliveryState::Delivered);
    let batch = JobBatch {
        subscription_version: changed.version,
        ..batch
    };
    let done = JobMoved::Done {
        moved: 1,
        skipped: 0,
    };
    assert_eq!(store.move_job(&batch).await.unwrap(), done);
}

async fn a_job_that_has_ended_moves_nothing_and_is_forgotten(bed: Bed) {
    let store = &*bed.store;
    let subscription = subscribe(store, "a").await;
    let deliveries = accepted(store, 1, subscription.id).await;
    recorded(store, bed.epoch, answered(deliveries[0], 200)).await;
    let job = create(store, subscription.id, failed()).await;
    let cancelled = JobState::Cancelled;
    for expected in [Moved::Done, Moved::Overtaken] {
        let ended = store.end_job(job.id, cancelled, None, at(9)).await;
        assert_eq!(ended.unwrap(), expected);
    }
    for version in [0, 1] {
        let work = JobWork::Retry(vec![deliveries[0].id]);
        let batch = JobBatch {
            version,
            ..batch(&bed, &job, &subscription, work)
        };
        assert_eq!(store.move_job(&batch).await.unwrap(), JobMoved::Overtaken);
    }
    let row = store.delivery(deliveries[0].id).await.unwrap().unwrap();
    assert_eq!(row.state, DeliveryState::Delivered);
    let open = create(store, subscription.id, failed()).await;
    assert_eq!(store.forget_jobs(at(9), 10).await.unwrap(), 0);
    assert_eq!(store.forget_jobs(at(10), 10).await.unwrap(), 1);
    assert_eq!(store.job(job.id).await.unwrap(), None);
    assert_eq!(read(store, &open).await, open);
}

async fn what_did_not_arrive_is_walked_in_the_order_of_its_events(bed: Bed) {
    let store = &*bed.store;
    let (to, other) = (
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    );
    let mut made = Vec::new();
    for second in 0..6 {
        let events = vec![event_at(at(second)), event_at(at(second))];
        let group = group(store, events, &[to, other]).await;
        assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
        for delivery in &group.deliveries {
            if second % 2 == 0 {
                store.cancel_delivery(delivery.id, 0, at(9)).await.unwrap();
            } else if second == 3 {
                recorded(store, bed.epoch, answered(*delivery, 200)).await;
            }
            if delivery.subscription_id == to && second % 2 == 0 {
                made.push(delivery.id);
            }
        }
    }
    made.sort_unstable();
    let walk = async |after, since, until, limit| -> Vec<DeliveryId> {
        let walk = UnarrivedWalk {
            subscription: to,
            after,
            since: at(since),
            until: at(until),
            limit,
        };
        let rows = store.walk_unarrived(&walk).await.unwrap();
        let cancelled = DeliveryState::Cancelled;
        assert!(rows.iter().all(|row| row.state == cancelled));
        rows.iter().map(|row| row.id).collect()
    };
    assert_eq!(walk(None, 0, 99, 100).await, made);
    assert_eq!(walk(None, 1, 4, 100).await, made[2..4]);
    assert_eq!(walk(None, 2, 99, 3).await, made[2..5]);
    assert_eq!(walk(Some(made[2]), 0, 99, 100).await, made[3..]);
}

async fn events_are_walked_in_the_order_of_their_ids(bed: Bed) {
    let store = &*bed.store;
    let now = clock::now();
    let mut ids = Vec::new();
    for n in 0..5 {
        let mut event = event("[1,2]");
        event.received_at = now;
        event.tenant = (n == 0).then(|| "t".into());
        ids.push(event.id);
        let group = group(store, vec![event], &[]).await;
        assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    }
    let minute = std::time::Duration::from_secs(60);
    let hour = 60 * minute;
    let walk = async |after, since, until, limit| -> Vec<EventId> {
        let walk = EventWalk {
            after,
            since,
            until,
            limit,
        };
        let heads = store.walk_events(&walk).await.unwrap();
        heads.iter().map(|head| head.id).collect()
    };
    let (since, until) = (now.minus(minute), now.plus(minute));
    assert_eq!(walk(None, since, until, 100).await, ids);
    assert_eq!(walk(None, since, until, 2).await, ids[..2]);
    assert_eq!(walk(Some(ids[1]), since, until, 100).await, ids[2..]);
    assert_eq!(
        walk(None, now.plus(hour), now.plus(2 * hour), 100).await,
        []
    );
    assert_eq!(
        walk(None, now.minus(2 * hour), now.minus(hour), 100).await,
        []
    );

    let missing = EventId(clock::uuid());
    let heads = store.event_heads(&[ids[3], missing, ids[0]]).await.unwrap();
    let found: Vec<_> = heads.iter().map(|head| head.id).collect();
    assert_eq!(found, [ids[0], ids[3]]);
    assert_eq!(
        (heads[0].tenant.as_deref(), heads[1].tenant.as_deref()),
        (Some("t"), None)
    );
    assert_eq!(
        (heads[0].payload_bytes, heads[0].event_type.as_str()),
        (5, "job.created")
    );
    assert_eq!(heads[0].received_at, now);
}
