//! Erase: a payload that is gone for good, and nothing that would need it again.

use posthaste::domain::delivery::DeliveryState;
use posthaste::domain::event::Event;
use posthaste::domain::id::{DeliveryId, EventId, JobId, SubscriptionId};
use posthaste::domain::job::{Job, JobState, Selection, Total};
use posthaste::store::{
    Accepted, AuditFilter, Erased, JobBatch, JobCreated, JobMoved, JobWork, Moved, Replayed, Store,
};

use crate::audit::{all, entry as audit};
use crate::bed::Bed;
use crate::sample::{answered, at, event, group, recorded, subscribe};

on_both_stores!(
    a_payload_and_its_answers_go_for_good,
    nothing_is_erased_while_a_delivery_is_pending,
    nothing_brings_an_erased_event_back,
    a_retry_and_an_erasure_at_once_leave_nothing_pending_without_payload,
    neighbours_keep_what_is_theirs,
);

/// An event with one delivery that has arrived.
async fn delivered(bed: &Bed, to: SubscriptionId) -> (Event, DeliveryId) {
    let mut event = event(r#"{"email":"doe@example.com"}"#);
    event.event_name = Some("John Doe created".to_owned());
    let group = group(&*bed.store, vec![event.clone()], &[to]).await;
    assert_eq!(bed.store.accept(&group).await.unwrap(), Accepted::Committed);
    let delivery = group.deliveries[0];
    recorded(&*bed.store, bed.epoch, answered(delivery, 200)).await;
    (event, delivery.id)
}

async fn erase(store: &dyn Store, id: EventId) -> Erased {
    let note = audit(5, "event.delete_payload", &id.to_string());
    store.erase_payload(id, at(5), &note).await.unwrap()
}

async fn a_payload_and_its_answers_go_for_good(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let (event, delivery) = delivered(&bed, to).await;
    assert_eq!(erase(store, event.id).await, Erased::At(at(5)));
    let row = store.event(event.id).await.unwrap().unwrap();
    assert_eq!(row.payload_erased_at, Some(at(5)));
    assert!(row.event.payload.is_empty());
    assert_eq!(row.event.event_name, None);
    assert_eq!(row.event.event_type, event.event_type);
    assert!(store.event_heads(&[event.id]).await.unwrap()[0].is_erased());
    // Whoever still holds a delivery of it finds nothing to send.
    assert_eq!(store.events(&[event.id]).await.unwrap(), []);

    assert_eq!(store.erased_since(at(5), 10).await.unwrap(), [event.id]);
    assert_eq!(store.erased_since(at(6), 10).await.unwrap(), []);
    let before = store.attempts(delivery, 10).await.unwrap();
    assert_eq!(before[0].answer_body, b"ok");
    assert_eq!(store.erase_answers(event.id, 10).await.unwrap(), 1);
    let after = store.attempts(delivery, 10).await.unwrap();
    assert!(after[0].answer_body.is_empty() && after[0].answer_headers.is_empty());
    assert_eq!(after[0].status, Some(200));
    assert_eq!(store.erase_answers(event.id, 10).await.unwrap(), 0);

    // Again, later: it keeps its moment, and is noted once.
    let note = audit(9, "event.delete_payload", "again");
    let again = store.erase_payload(event.id, at(9), &note).await.unwrap();
    assert_eq!(again, Erased::At(at(5)));
    let entries = all(store, &AuditFilter::default()).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].thing_id, Some(event.id.to_string()));
    let missing = EventId(posthaste::clock::uuid());
    assert_eq!(erase(store, missing).await, Erased::Missing);
}

async fn nothing_is_erased_while_a_delivery_is_pending(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let event = event("1");
    let group = group(store, vec![event.clone()], &[to]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    assert_eq!(erase(store, event.id).await, Erased::Pending(1));
    let row = store.event(event.id).await.unwrap().unwrap();
    assert_eq!((row.event, row.payload_erased_at), (event.clone(), None));
    assert_eq!(all(store, &AuditFilter::default()).await, []);
    let delivery = group.deliveries[0];
    let cancelled = store.cancel_delivery(delivery.id, 0, at(4)).await.unwrap();
    assert_eq!(cancelled, Moved::Done);
    assert_eq!(erase(store, event.id).await, Erased::At(at(5)));
}

async fn nothing_brings_an_erased_event_back(bed: Bed) {
    let store = &*bed.store;
    let subscription = subscribe(store, "a").await;
    let other = subscribe(store, "b").await;
    let (event, delivery) = delivered(&bed, subscription.id).await;
    assert_eq!(erase(store, event.id).await, Erased::At(at(5)));
    let version = store
        .delivery(delivery)
        .await
        .unwrap()
        .unwrap()
        .progress
        .version;
    let retried = store
        .retry_delivery(delivery, version, at(6))
        .await
        .unwrap();
    assert_eq!(retried, Moved::Overtaken);
    for (subscription, work) in [
        (&subscription, JobWork::Retry(vec![delivery])),
        (&subscription, replay(event.id, subscription.id)),
        (&other, replay(event.id, other.id)),
    ] {
        let job = job(subscription.id);
        let made = store.create_job(&job, 10).await.unwrap();
        assert_eq!(made, JobCreated::Done);
        let batch = JobBatch {
            epoch: bed.epoch,
            job: job.id,
            version: 0,
            subscription: subscription.id,
            subscription_version: subscription.version,
            work,
            cursor: None,
            complete: true,
            now: at(7),
        };
        let moved = store.move_job(&batch).await.unwrap();
        assert_eq!(
            moved,
            JobMoved::Done {
                moved: 0,
                skipped: 1
            }
        );
    }
    let row = store.delivery(delivery).await.unwrap().unwrap();
    assert_eq!(row.state, DeliveryState::Delivered);
}

fn replay(event: EventId, to: SubscriptionId) -> JobWork {
    JobWork::Replay(vec![Replayed {
        delivery: DeliveryId::of(event, to),
        event,
        // As it was picked before the erasure.
        payload_bytes: 3,
    }])
}

fn job(to: SubscriptionId) -> Job {
    Job {
        id: JobId(posthaste::clock::uuid()),
        subscription_id: to,
        selection: Selection::States(vec![DeliveryState::Delivered]),
        since: at(0),
        until: at(9),
        rate: 1,
        state: JobState::Queued,
        error: None,
        total: Total::default(),
        done: 0,
        skipped: 0,
        cursor: None,
        created_at: at(6),
        started_at: None,
        finished_at: None,
        version: 0,
    }
}

async fn a_retry_and_an_erasure_at_once_leave_nothing_pending_without_payload(bed: Bed) {
    let to = subscribe(&*bed.store, "a").await.id;
    for _ in 0..20 {
        let (event, delivery) = delivered(&bed, to).await;
        let version = bed
            .store
            .delivery(delivery)
            .await
            .unwrap()
            .unwrap()
            .progress
            .version;
        let (erasing, retrying) = (bed.store.clone(), bed.store.clone());
        let id = event.id;
        let erasing = tokio::spawn(async move { erase(&*erasing, id).await });
        let retrying =
            tokio::spawn(async move { retrying.retry_delivery(delivery, version, at(6)).await });
        let (erased, retried) = (erasing.await.unwrap(), retrying.await.unwrap().unwrap());
        let state = bed.store.delivery(delivery).await.unwrap().unwrap().state;
        match (erased, retried) {
            (Erased::At(_), Moved::Overtaken) => assert_eq!(state, DeliveryState::Delivered),
            (Erased::Pending(1), Moved::Done) => assert_eq!(state, DeliveryState::Pending),
            both => panic!("{both:?}"),
        }
    }
}

async fn neighbours_keep_what_is_theirs(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let (first, _) = delivered(&bed, to).await;
    let (second, delivery) = delivered(&bed, to).await;
    assert_eq!(erase(store, first.id).await, Erased::At(at(5)));
    assert_eq!(store.erase_answers(first.id, 10).await.unwrap(), 1);
    let row = store.event(second.id).await.unwrap().unwrap();
    assert_eq!(row.event, second);
    let attempts = store.attempts(delivery, 10).await.unwrap();
    assert_eq!(attempts[0].answer_body, b"ok");
    let version = store
        .delivery(delivery)
        .await
        .unwrap()
        .unwrap()
        .progress
        .version;
    let retried = store
        .retry_delivery(delivery, version, at(6))
        .await
        .unwrap();
    assert_eq!(retried, Moved::Done);
}
