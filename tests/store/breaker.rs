//! What is kept of breakers, and what a probe takes.

use posthaste::domain::breaker::{BreakerState, StoredBreaker};
use posthaste::domain::id::DeliveryId;
use posthaste::domain::outcome::CallResult;
use posthaste::store::{Accepted, Runtime, StoreError};

use crate::bed::Bed;
use crate::sample::{
    accepted, answer, answered, at, events, group, outcome, record_of, recorded, subscribe,
};

on_both_stores!(
    where_a_breaker_is_is_kept_beside_the_hold,
    a_breaker_is_kept_by_the_owner_alone,
    the_oldest_pending_are_those_accepted_first,
    a_cool_down_that_ends_first_counts_as_due,
);

fn breaker(state: BreakerState, until: Option<i64>, opened_in_a_row: u32) -> StoredBreaker {
    StoredBreaker {
        state,
        until: until.map(at),
        opened_in_a_row,
    }
}

async fn where_a_breaker_is_is_kept_beside_the_hold(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let other = subscribe(store, "b").await.id;
    assert_eq!(store.runtime(to).await.unwrap(), Runtime::default());
    for breaker in [
        breaker(BreakerState::Open, Some(30), 1),
        breaker(BreakerState::HalfOpen, None, 1),
        breaker(BreakerState::Open, Some(90), 2),
        breaker(BreakerState::Closed, None, 0),
    ] {
        store.keep_breaker(bed.epoch, to, &breaker).await.unwrap();
        let runtime = store.runtime(to).await.unwrap();
        assert_eq!((runtime.hold_until, runtime.breaker), (None, Some(breaker)));
    }
    // A hold finds the row that the breaker made, and the breaker the row with the hold.
    let delivery = accepted(store, 1, to).await[0];
    let held = outcome(CallResult::Answer(answer(503, Some(90))));
    recorded(store, bed.epoch, record_of(delivery, held)).await;
    let open = breaker(BreakerState::Open, Some(30), 1);
    store.keep_breaker(bed.epoch, to, &open).await.unwrap();
    let expected = Runtime {
        hold_until: Some(at(92)),
        breaker: Some(open),
        ..Runtime::default()
    };
    assert_eq!(store.runtime(to).await.unwrap(), expected);
    assert_eq!(store.runtime(other).await.unwrap(), Runtime::default());
}

async fn a_breaker_is_kept_by_the_owner_alone(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let open = breaker(BreakerState::Open, Some(30), 1);
    let fenced = store.keep_breaker(bed.epoch - 1, to, &open).await;
    assert!(matches!(fenced, Err(StoreError::Fenced)), "{fenced:?}");
    assert_eq!(store.runtime(to).await.unwrap(), Runtime::default());
}

async fn the_oldest_pending_are_those_accepted_first(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let other = subscribe(store, "b").await.id;
    let mut group = group(store, events(5), &[other, to]).await;
    for (delivery, second) in group.deliveries.iter_mut().zip(0i64..) {
        delivery.due_at = at(3_600 - second);
    }
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    let mut expected: Vec<_> = group
        .deliveries
        .iter()
        .filter(|delivery| delivery.subscription_id == to)
        .copied()
        .collect();
    let oldest = async |limit| {
        let rows = store.oldest_pending(to, limit).await.unwrap();
        rows.iter().map(|row| row.delivery).collect::<Vec<_>>()
    };
    assert_eq!(oldest(10).await, expected);
    assert_eq!(oldest(2).await, expected[..2]);
    // Tried again later, it still is the oldest; delivered, it is not pending.
    recorded(store, bed.epoch, answered(expected[0], 500)).await;
    recorded(store, bed.epoch, answered(expected[1], 200)).await;
    let ids: Vec<DeliveryId> = oldest(10).await.iter().map(|row| row.id).collect();
    expected.remove(1);
    let left: Vec<DeliveryId> = expected.iter().map(|delivery| delivery.id).collect();
    assert_eq!(ids, left);
}

async fn a_cool_down_that_ends_first_counts_as_due(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut group = group(store, events(1), &[to]).await;
    group.deliveries[0].due_at = at(60);
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    let due = async |kept: StoredBreaker| {
        store.keep_breaker(bed.epoch, to, &kept).await.unwrap();
        store.pending_subscriptions(None, 10).await.unwrap()
    };
    let open = |until| breaker(BreakerState::Open, Some(until), 1);
    assert_eq!(due(open(30)).await, [(to, at(30))]);
    assert_eq!(due(open(90)).await, [(to, at(60))]);
    let half_open = due(breaker(BreakerState::HalfOpen, None, 1)).await;
    assert!(half_open[0].1 < at(0), "{half_open:?}");
    let closed = breaker(BreakerState::Closed, None, 1);
    assert_eq!(due(closed).await, [(to, at(60))]);
    // Nothing pending, nothing to probe with.
    let delivery = group.deliveries[0];
    recorded(store, bed.epoch, answered(delivery, 200)).await;
    assert_eq!(due(open(30)).await, []);
}
