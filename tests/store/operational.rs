//! Operational events wait from the change that raises them to their acceptance.

use std::sync::Arc;

use futures_util::future::join_all;
use posthaste::clock;
use posthaste::domain::breaker::{BreakerState, StoredBreaker};
use posthaste::domain::delivery::AttemptRecord;
use posthaste::domain::event::Event;
use posthaste::domain::event_type::{EventPattern, EventType};
use posthaste::domain::id::{EventId, SubscriptionId};
use posthaste::domain::operational::{OperationalEvent, Topic};
use posthaste::domain::subscription::{Subscription, SubscriptionState};
use posthaste::store::{
    AcceptGroup, Accepted, Changed, DeliveryFilter, PageRequest, RecordGroup, Recorded, Store,
    StoreError,
};

use crate::bed::Bed;
use crate::sample::{
    accepted, answered, at, events, group, move_to, record_group, recorded, subscribe, subscription,
};

on_both_stores!(
    what_a_change_raises_waits_with_it,
    what_a_record_raises_waits_where_it_moves,
    what_a_breaker_raises_waits_with_it,
    nothing_waits_where_nobody_named_its_kind,
    what_waits_comes_in_order_and_page_by_page,
    what_is_accepted_waits_no_more,
    a_group_that_is_not_committed_leaves_what_waits,
    accepted_by_two_it_is_accepted_once,
    one_accepted_by_another_vouches_for_nobody,
);

async fn listener(store: &dyn Store, patterns: &[&str]) -> Subscription {
    let patterns = patterns.iter().map(|text| EventPattern::parse(text));
    let mut listener = subscription("listener");
    listener.event_types = patterns.map(Result::unwrap).collect();
    listener.version = store.create_subscription(&listener).await.unwrap();
    listener
}

fn raised(topic: Topic, about: SubscriptionId) -> OperationalEvent {
    OperationalEvent {
        id: EventId(clock::uuid()),
        event_type: EventType::from_stored(topic.as_str()),
        subscription_id: about,
        occurred_at: at(5),
        payload: b"{\"reason\":\"\\u0000\"}".to_vec().into(),
    }
}

async fn waiting(store: &dyn Store) -> Vec<OperationalEvent> {
    let page = store.waiting_events(0, 100).await.unwrap();
    page.into_iter().map(|waiting| waiting.event).collect()
}

/// Changes a subscription's name, and raises an event of this topic with that.
async fn raise(store: &dyn Store, about: &mut Subscription, topic: Topic) -> OperationalEvent {
    let event = raised(topic, about.id);
    about.name.push('.');
    match store
        .update_subscription(about, Some(&event))
        .await
        .unwrap()
    {
        Changed::At(version) => about.version = version,
        Changed::Overtaken => panic!("nobody else changes it"),
    }
    event
}

async fn what_a_change_raises_waits_with_it(bed: Bed) {
    let store = &*bed.store;
    listener(store, &["posthaste.*"]).await;
    let mut about = subscribe(store, "a").await;
    let before = about.clone();
    let event = raise(store, &mut about, Topic::SubscriptionDeactivated).await;
    assert_eq!(waiting(store).await, std::slice::from_ref(&event));
    // A change that comes too late raises nothing.
    let late = raised(Topic::SubscriptionDeactivated, about.id);
    let overtaken = store.update_subscription(&before, Some(&late)).await;
    assert_eq!(overtaken.unwrap(), Changed::Overtaken);
    assert_eq!(waiting(store).await, [event]);
}

fn raising(record: AttemptRecord) -> AttemptRecord {
    let event = raised(Topic::DeliveryFailed, record.delivery.subscription_id);
    AttemptRecord {
        raises: Some(Arc::new(event)),
        ..record
    }
}

async fn what_a_record_raises_waits_where_it_moves(bed: Bed) {
    let store = &*bed.store;
    listener(store, &["posthaste.delivery.failed"]).await;
    let to = subscribe(store, "a").await.id;
    let deliveries = accepted(store, 3, to).await;
    let [first, second, fenced] = [0, 1, 2].map(|n| raising(answered(deliveries[n], 500)));
    let group = record_group(bed.epoch, vec![first.clone(), second.clone()]);
    store.record(&group).await.unwrap();
    let mut expected: Vec<_> = [&first, &second]
        .map(|record| record.raises.as_deref().unwrap().clone())
        .to_vec();
    let found = waiting(store).await;
    expected.sort_unstable_by_key(|event| event.id);
    let mut sorted = found.clone();
    sorted.sort_unstable_by_key(|event| event.id);
    assert_eq!(sorted, expected);

    // Run again, or too late, or by somebody who is not the owner: nothing new.
    let again = RecordGroup {
        rerun: true,
        ..group
    };
    let fates = store.record(&again).await.unwrap();
    assert_eq!(fates, [Recorded::Moved, Recorded::Moved]);
    let stale = raising(answered(deliveries[0], 500));
    assert_eq!(recorded(store, bed.epoch, stale).await, Recorded::Stale);
    let group = record_group(bed.epoch - 1, vec![fenced]);
    let answer = store.record(&group).await;
    assert!(matches!(answer, Err(StoreError::Fenced)), "{answer:?}");
    assert_eq!(waiting(store).await, found);
}

async fn what_a_breaker_raises_waits_with_it(bed: Bed) {
    let store = &*bed.store;
    listener(store, &["posthaste.breaker.*"]).await;
    let to = subscribe(store, "a").await.id;
    let open = StoredBreaker {
        state: BreakerState::Open,
        until: Some(at(30)),
        opened_in_a_row: 1,
    };
    let steps =
        [Topic::BreakerClosed, Topic::BreakerOpened].map(|topic| Arc::new(raised(topic, to)));
    let fenced = store.keep_breaker(bed.epoch - 1, to, &open, &steps).await;
    assert!(matches!(fenced, Err(StoreError::Fenced)), "{fenced:?}");
    assert_eq!(waiting(store).await, []);
    // The fate of a keeping may be unknown: run again, it raises nothing twice.
    for _ in 0..2 {
        store
            .keep_breaker(bed.epoch, to, &open, &steps)
            .await
            .unwrap();
        let found = waiting(store).await;
        assert_eq!(found, [(*steps[0]).clone(), (*steps[1]).clone()]);
    }
    assert_eq!(store.runtime(to).await.unwrap().breaker, Some(open));
}

async fn nothing_waits_where_nobody_named_its_kind(bed: Bed) {
    let store = &*bed.store;
    let mut about = subscribe(store, "a").await;
    let mut tenants = subscription("a tenant's");
    tenants.tenant = Some("acme".into());
    tenants.event_types = vec![EventPattern::parse("posthaste.*").unwrap()];
    store.create_subscription(&tenants).await.unwrap();
    listener(store, &["posthaste.breaker.*", "job.posthaste.x"]).await;
    let deleted = listener(store, &["posthaste.*"]).await;
    move_to(store, &deleted, SubscriptionState::Deleted).await;
    raise(store, &mut about, Topic::SubscriptionDeactivated).await;
    raise(store, &mut about, Topic::DeliveryFailed).await;
    assert_eq!(waiting(store).await, []);
    let opened = raise(store, &mut about, Topic::BreakerOpened).await;
    assert_eq!(waiting(store).await, std::slice::from_ref(&opened));
    // Held, it still is told: what comes is held for it.
    let held = listener(store, &["job.*", "posthaste.*.deactivated"]).await;
    move_to(store, &held, SubscriptionState::Paused).await;
    let gone = raise(store, &mut about, Topic::SubscriptionDeactivated).await;
    assert_eq!(waiting(store).await, [opened, gone]);
}

async fn what_waits_comes_in_order_and_page_by_page(bed: Bed) {
    let store = &*bed.store;
    listener(store, &["posthaste.*"]).await;
    let mut about = subscribe(store, "a").await;
    let mut all = Vec::new();
    for topic in Topic::ALL {
        all.push(raise(store, &mut about, topic).await);
    }
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = store.waiting_events(after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = last.seq;
        found.extend(page.into_iter().map(|waiting| waiting.event));
    }
    assert_eq!(found, all);
}

/// A group that accepts these for one subscription.
async fn accepting(
    store: &dyn Store,
    told: &[&OperationalEvent],
    more: Vec<Event>,
    to: SubscriptionId,
) -> AcceptGroup {
    let told = told.iter().map(|told| (*told).clone().into_event(at(6)));
    group(store, told.chain(more).collect(), &[to]).await
}

async fn deliveries(store: &dyn Store, event: EventId) -> usize {
    let filter = DeliveryFilter {
        event: Some(event),
        ..DeliveryFilter::default()
    };
    let page = PageRequest {
        limit: 10,
        after: None,
        offset: 0,
    };
    store
        .list_deliveries(&filter, &page)
        .await
        .unwrap()
        .rows
        .len()
}

async fn what_is_accepted_waits_no_more(bed: Bed) {
    let store = &*bed.store;
    let to = listener(store, &["posthaste.*"]).await.id;
    let mut about = subscribe(store, "a").await;
    let first = raise(store, &mut about, Topic::BreakerOpened).await;
    let second = raise(store, &mut about, Topic::BreakerClosed).await;
    let group = accepting(store, &[&first], events(2), to).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    assert_eq!(waiting(store).await, [second]);
    let stored = store.event(first.id).await.unwrap().unwrap().event;
    assert_eq!(stored, first.into_event(at(6)));
}

async fn a_group_that_is_not_committed_leaves_what_waits(bed: Bed) {
    let store = &*bed.store;
    let to = listener(store, &["posthaste.*"]).await.id;
    let mut about = subscribe(store, "a").await;
    let event = raise(store, &mut about, Topic::BreakerOpened).await;
    let group = accepting(store, &[&event], Vec::new(), to).await;
    subscribe(store, "another").await;
    let moved = store.accept(&group).await.unwrap();
    assert_eq!(moved, Accepted::DirectoryMoved);
    assert_eq!(waiting(store).await, [event]);
}

async fn accepted_by_two_it_is_accepted_once(bed: Bed) {
    let store = &*bed.store;
    let to = listener(store, &["posthaste.*"]).await.id;
    let mut about = subscribe(store, "a").await;
    let event = raise(store, &mut about, Topic::BreakerOpened).await;
    let groups = [
        accepting(store, &[&event], events(1), to).await,
        accepting(store, &[&event], events(1), to).await,
        accepting(store, &[&event], Vec::new(), to).await,
    ];
    for accepted in join_all(groups.iter().map(|group| store.accept(group))).await {
        assert_eq!(accepted.unwrap(), Accepted::Committed);
    }
    assert_eq!(waiting(store).await, []);
    let all = groups.iter().flat_map(|group| &group.events);
    for event in all {
        assert_eq!(deliveries(store, event.id).await, 1);
    }
}

/// Two owners may meet around a takeover. That the first event of a group stands already says
/// that the group was committed; an operational one may stand because the other accepted it.
async fn one_accepted_by_another_vouches_for_nobody(bed: Bed) {
    let store = &*bed.store;
    let to = listener(store, &["posthaste.*"]).await.id;
    let mut about = subscribe(store, "a").await;
    let event = raise(store, &mut about, Topic::BreakerOpened).await;
    let mine = accepting(store, &[&event], events(1), to).await;
    let theirs = accepting(store, &[&event], Vec::new(), to).await;
    assert_eq!(store.accept(&theirs).await.unwrap(), Accepted::Committed);
    subscribe(store, "another").await;
    let answer = store.accept(&mine).await.unwrap();
    assert_eq!(answer, Accepted::DirectoryMoved);
    assert_eq!(store.event(mine.events[1].id).await.unwrap(), None);
}
