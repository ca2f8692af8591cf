//! Recover and operate: who waits, who owns, what may be forgotten, what is tried again.

use std::sync::Arc;
use std::time::Duration;

use posthaste::domain::delivery::{DeliveryState, PendingDelivery, Progress};
use posthaste::domain::subscription::SubscriptionState;
use posthaste::store::{
    Accepted, DeliveryFilter, LeaseState, Moved, PageRequest, PostgresStore, Recorded, Store,
    StoreError,
};

use crate::bed::{Bed, on_postgres};
use crate::sample::{
    accepted, answered, at, event, event_at, events, group, key, key_name, move_to, record_group,
    recorded, subscribe,
};

on_both_stores!(
    active_subscriptions_with_something_pending_are_told,
    what_pends_is_told_once_wherever_it_lies,
    a_retry_starts_the_next_round,
    a_hastened_delivery_is_due_unless_an_attempt_under_way_says_otherwise,
    a_cancellation_ends_what_is_pending_as_it_was_read,
    however_many_move_a_delivery_it_is_there_once,
    what_is_spared_stays_pending,
    old_keys_are_forgotten_in_batches,
    the_holder_keeps_its_epoch,
    an_installation_keeps_its_name,
);

async fn active_subscriptions_with_something_pending_are_told(bed: Bed) {
    let store = &*bed.store;
    let mut waiting = Vec::new();
    for n in 0..5 {
        let to = subscribe(store, &n.to_string()).await.id;
        let mut group = group(store, events(3), &[to]).await;
        for (delivery, second) in group.deliveries.iter_mut().zip([90, 10 + n, 50]) {
            delivery.due_at = at(second);
        }
        assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
        waiting.push((to, at(10 + n)));
    }
    subscribe(store, "nothing pending").await;
    let done = subscribe(store, "done").await.id;
    for delivery in accepted(store, 2, done).await {
        recorded(store, bed.epoch, answered(delivery, 200)).await;
    }
    let paused = subscribe(store, "paused").await;
    accepted(store, 2, paused.id).await;
    move_to(store, &paused, SubscriptionState::Paused).await;

    assert_eq!(
        store.pending_subscriptions(None, 100).await.unwrap(),
        waiting
    );
    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let page = store.pending_subscriptions(after, 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        walked.extend(page);
    }
    assert_eq!(walked, waiting);
}

/// Over several partitions of time and the default one; by pages smaller than what each holds.
async fn what_pends_is_told_once_wherever_it_lies(bed: Bed) {
    let store = &*bed.store;
    store
        .make_room(at(0), Duration::from_secs(3_600))
        .await
        .unwrap();
    let mut waiting = Vec::new();
    let mut deleted = Vec::new();
    for n in 0..9 {
        let to = subscribe(store, &n.to_string()).await;
        // Hours of which the last lies in no partition, each due sooner than the one before.
        let hours = [0, 1, 2, 40].into_iter().skip(n % 4);
        for hour in hours {
            let mut group = group(store, vec![event_at(at(hour * 3_600))], &[to.id]).await;
            group.deliveries[0].due_at = at(100 - hour);
            assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
        }
        match n {
            3 => drop(move_to(store, &to, SubscriptionState::Paused).await),
            6 | 7 => {
                move_to(store, &to, SubscriptionState::Deleted).await;
                deleted.push(to.id);
            }
            _ => waiting.push((to.id, at(60))),
        }
    }
    for limit in [1, 2, 5, 6] {
        let mut walked = Vec::new();
        let mut after = None;
        loop {
            let page = store.pending_subscriptions(after, limit).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            assert!(page.len() <= limit as usize);
            walked.extend(page);
        }
        assert_eq!(walked, waiting, "by pages of {limit}");
    }
    assert_eq!(store.deleted_with_pending(1).await.unwrap(), deleted[..1]);
    assert_eq!(store.deleted_with_pending(9).await.unwrap(), deleted);
}

async fn a_retry_starts_the_next_round(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut delivery = accepted(store, 1, to).await[0];
    for _ in 0..2 {
        let record = answered(delivery, 500);
        delivery.progress = record.verdict.progress;
        assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Moved);
    }
    let id = delivery.id;
    assert_eq!(
        store.delivery(id).await.unwrap().unwrap().state,
        DeliveryState::Failed
    );
    let version = delivery.progress.version;
    assert_eq!(
        store.retry_delivery(id, version - 1, at(50)).await.unwrap(),
        Moved::Overtaken
    );
    assert_eq!(
        store.retry_delivery(id, version, at(50)).await.unwrap(),
        Moved::Done
    );
    assert_eq!(
        store.retry_delivery(id, version, at(50)).await.unwrap(),
        Moved::Overtaken
    );
    let row = store.delivery(id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.due_at, row.finished_at),
        (DeliveryState::Pending, at(50), None)
    );
    let expected = Progress {
        attempts: 2,
        round: 2,
        round_attempts: 0,
        aged: Duration::ZERO,
        version: version + 1,
    };
    assert_eq!(row.progress, expected);
    assert_eq!(row.progress, delivery.progress.next_round());
    let due = store.due_page(to, at(50), 10).await.unwrap().due[0].delivery;
    assert_eq!(
        recorded(store, bed.epoch, answered(due, 200)).await,
        Recorded::Moved
    );
}

async fn a_hastened_delivery_is_due_unless_an_attempt_under_way_says_otherwise(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let [first, second] = accepted(store, 2, to).await.try_into().unwrap();
    let hasten = async |progress: Progress| {
        let moved = store.hasten_delivery(first.id, &progress, at(50)).await;
        moved.unwrap()
    };
    assert_eq!(hasten(first.progress).await, Moved::Done);
    assert_eq!(
        hasten(first.progress).await,
        Moved::Overtaken,
        "once a round"
    );
    let row = store.delivery(first.id).await.unwrap().unwrap();
    assert_eq!((row.state, row.due_at), (DeliveryState::Pending, at(50)));
    let Progress { round, version, .. } = row.progress;
    assert_eq!((round, version), (2, first.progress.version));
    // The attempt that was under way counts, and is no stale one.
    let fate = recorded(store, bed.epoch, answered(first, 500)).await;
    assert_eq!(fate, Recorded::Moved);
    let row = store.delivery(first.id).await.unwrap().unwrap();
    assert_eq!((row.progress.round, row.progress.attempts), (1, 1));
    // What is final is not hastened.
    recorded(store, bed.epoch, answered(second, 200)).await;
    let row = store.delivery(second.id).await.unwrap().unwrap();
    let late = store.hasten_delivery(second.id, &row.progress, at(50));
    assert_eq!(late.await.unwrap(), Moved::Overtaken);
}

async fn a_cancellation_ends_what_is_pending_as_it_was_read(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let deliveries = accepted(store, 2, to).await;
    let record = answered(deliveries[0], 500);
    let version = record.verdict.progress.version;
    assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Moved);
    let id = deliveries[0].id;
    for (guard, moved) in [
        (version - 1, Moved::Overtaken),
        (version, Moved::Done),
        (version, Moved::Overtaken),
        // Final, whatever its version.
        (version + 1, Moved::Overtaken),
    ] {
        assert_eq!(
            store.cancel_delivery(id, guard, at(60)).await.unwrap(),
            moved
        );
    }
    let row = store.delivery(id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.finished_at),
        (DeliveryState::Cancelled, Some(at(60)))
    );
    assert_eq!(
        (row.progress.version, row.progress.attempts),
        (version + 1, 1)
    );
    let due = store.due_page(to, at(90), 10).await.unwrap().due;
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].delivery.id, deliveries[1].id);
    // An outcome that comes too late moves nothing, and a retry brings it back.
    let mut late = deliveries[0];
    late.progress.version = version;
    let late = recorded(store, bed.epoch, answered(late, 200)).await;
    assert_eq!(late, Recorded::Stale);
    let retried = store.retry_delivery(id, version + 1, at(70)).await.unwrap();
    assert_eq!(retried, Moved::Done);
    let row = store.delivery(id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.finished_at, row.progress.round),
        (DeliveryState::Pending, None, 2)
    );
    let gone = posthaste::domain::id::DeliveryId(posthaste::clock::uuid());
    let nothing = store.cancel_delivery(gone, 0, at(60)).await.unwrap();
    assert_eq!(nothing, Moved::Overtaken);
}

/// Eight at once end it, bring it back and bring it forward. What each was told adds up, and it is
/// never twice nor gone.
async fn however_many_move_a_delivery_it_is_there_once(bed: Bed) {
    let to = subscribe(&*bed.store, "a").await.id;
    let id = accepted(&*bed.store, 1, to).await[0].id;
    let movers = (0..8).map(|_| {
        let (store, epoch) = (bed.store.clone(), bed.epoch);
        tokio::spawn(async move {
            let mut moves = 0;
            for step in 0..30 {
                let row = store.delivery(id).await.unwrap().expect("it is somewhere");
                let version = row.progress.version;
                let pending = PendingDelivery {
                    id,
                    event_id: row.event_id,
                    subscription_id: row.subscription_id,
                    due_at: row.due_at,
                    progress: row.progress,
                };
                let moved = match (row.state, step % 3) {
                    (DeliveryState::Pending, 0) => {
                        recorded(&*store, epoch, answered(pending, 200)).await == Recorded::Moved
                    }
                    (DeliveryState::Pending, 1) => {
                        let moved = store.cancel_delivery(id, version, at(1)).await;
                        moved.unwrap() == Moved::Done
                    }
                    _ => {
                        let moved = store.retry_delivery(id, version, at(1)).await;
                        moved.unwrap() == Moved::Done
                    }
                };
                moves += i64::from(moved);
            }
            moves
        })
    });
    let mut moves = 0;
    for mover in movers.collect::<Vec<_>>() {
        moves += mover.await.unwrap();
    }
    let all = PageRequest {
        limit: 10,
        after: None,
        offset: 0,
    };
    let any = DeliveryFilter::default();
    let listed = bed.store.list_deliveries(&any, &all).await.unwrap().rows;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].progress.version, moves);
}

async fn what_is_spared_stays_pending(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let deliveries = accepted(store, 25, to).await;
    let spared = [deliveries[0].id, deliveries[1].id, deliveries[24].id];
    let mut batches = Vec::new();
    for _ in 0..3 {
        batches.push(store.cancel_pending(to, &spared, at(7), 12).await.unwrap());
    }
    assert_eq!(batches, [12, 10, 0]);
    let due = store.due_page(to, at(90), 100).await.unwrap().due;
    let left: Vec<_> = due.iter().map(|row| row.delivery.id).collect();
    assert_eq!(left, spared);
}

async fn old_keys_are_forgotten_in_batches(bed: Bed) {
    let store = &*bed.store;
    for n in 0..30 {
        let mut group = group(store, vec![event("1")], &[]).await;
        group.keys = vec![key(&n.to_string(), group.events[0].id)];
        group.now = at(n);
        assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    }
    let mut batches = Vec::new();
    for _ in 0..4 {
        batches.push(store.forget_keys(at(25), 10).await.unwrap());
    }
    assert_eq!(batches, [10, 10, 5, 0]);
    let names: Vec<_> = (0..30).map(|n| key_name(&n.to_string())).collect();
    assert_eq!(store.known_keys(&names, at(-3600)).await.unwrap().len(), 5);
}

async fn the_holder_keeps_its_epoch(bed: Bed) {
    let held = LeaseState::Held { epoch: bed.epoch };
    for _ in 0..3 {
        let lease = bed
            .store
            .lease("bed", Duration::from_secs(60))
            .await
            .unwrap();
        assert_eq!(lease, held);
    }
    bed.store.release_lease("somebody else").await.unwrap();
    assert_eq!(
        bed.store
            .lease("bed", Duration::from_secs(60))
            .await
            .unwrap(),
        held
    );
}

async fn an_installation_keeps_its_name(bed: Bed) {
    bed.store.ping().await.unwrap();
    let name = bed.store.installation().await.unwrap();
    assert_eq!(name.len(), 12);
    assert_eq!(bed.store.installation().await.unwrap(), name);
    bed.store.close().await;
    let closed = bed.store.ping().await;
    assert!(
        matches!(closed, Err(StoreError::Unavailable(_))),
        "{closed:?}"
    );
}

/// Two processes on one Postgres. A lease of no length has ended by the server's clock as soon
/// as it was taken, whatever the clocks of the nodes say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_raises_the_epoch_and_fences_the_old_holder() {
    on_postgres(async |bed: Bed| {
        let long = Duration::from_secs(3600);
        let a = &*bed.store;
        let b = PostgresStore::connect(&bed.settings).await.unwrap();
        let held = |epoch| LeaseState::Held { epoch };
        let by = |holder: &str| LeaseState::HeldBy {
            holder: holder.to_owned(),
        };
        assert_eq!(bed.epoch, 1);
        assert_eq!(b.lease("b", long).await.unwrap(), by("bed"));
        assert_eq!(a.lease("bed", Duration::ZERO).await.unwrap(), held(1));

        let to = subscribe(a, "a").await.id;
        let deliveries = accepted(a, 2, to).await;
        // Ended, but nobody took it: what its holder has in hand is still recorded.
        assert_eq!(
            recorded(a, 1, answered(deliveries[0], 200)).await,
            Recorded::Moved
        );
        assert_eq!(b.lease("b", long).await.unwrap(), held(2));
        assert_eq!(a.lease("bed", long).await.unwrap(), by("b"));
        let late = record_group(1, vec![answered(deliveries[1], 500)]);
        assert!(matches!(a.record(&late).await, Err(StoreError::Fenced)));
        assert_eq!(
            recorded(&b, 2, answered(deliveries[1], 200)).await,
            Recorded::Moved
        );

        a.release_lease("bed").await.unwrap();
        assert_eq!(a.lease("bed", long).await.unwrap(), by("b"));
        b.release_lease("b").await.unwrap();
        assert_eq!(a.lease("bed", long).await.unwrap(), held(3));
        // Given back and taken again by the same holder: its old epoch is over.
        a.release_lease("bed").await.unwrap();
        assert_eq!(a.lease("bed", long).await.unwrap(), held(4));
        b.close().await;
    })
    .await;
}

/// Nodes that fight for a lease of no length while each records under the epoch it got.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_is_held_by_one_alone() {
    on_postgres(async |bed: Bed| {
        let to = subscribe(&*bed.store, "a").await.id;
        let deliveries = accepted(&*bed.store, 60, to).await;
        bed.store.release_lease("bed").await.unwrap();
        let store: Arc<dyn Store> = bed.store.clone();
        let nodes = (0..4).map(|n| {
            let (store, deliveries) = (store.clone(), deliveries.clone());
            tokio::spawn(async move {
                let mut epochs = Vec::new();
                let mut moved = 0;
                for delivery in deliveries {
                    let holder = format!("node {n}");
                    let lease = store.lease(&holder, Duration::ZERO).await.unwrap();
                    let LeaseState::Held { epoch } = lease else {
                        continue;
                    };
                    epochs.push(epoch);
                    let group = record_group(epoch, vec![answered(delivery, 200)]);
                    match store.record(&group).await {
                        Ok(fates) => moved += usize::from(fates[0] == Recorded::Moved),
                        Err(StoreError::Fenced) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                epochs.dedup();
                (epochs, moved)
            })
        });
        let mut all = Vec::new();
        let mut moved = 0;
        for node in futures_util::future::join_all(nodes).await {
            let (epochs, by_it) = node.unwrap();
            all.extend(epochs);
            moved += by_it;
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "two nodes had the same epoch");
        let left = store.due_page(to, at(0), 100).await.unwrap().due.len();
        assert_eq!(moved + left, 60);
    })
    .await;
}
