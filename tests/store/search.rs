//! Search: stretches that follow one another without gap or repeat, whatever comes meanwhile.

use posthaste::domain::delivery::DeliveryState;
use posthaste::domain::id::EventId;
use posthaste::store::{Accepted, DeliveryFilter, EventFilter, LastAttempt, Position, Store};
use uuid::Uuid;

use crate::bed::Bed;
use crate::sample::{accepted, answered, at, event, event_at, events, group, recorded, subscribe};

on_both_stores!(
    stretches_follow_one_another_while_rows_come,
    candidates_say_what_is_looked_at,
    rows_are_found_by_their_ids,
);

async fn all_events(store: &dyn Store, filter: &EventFilter, rows: u32) -> Vec<EventId> {
    let (mut after, mut ids) = (None, Vec::new());
    loop {
        let stretch = store.walk_events_back(filter, after, rows).await.unwrap();
        assert!(stretch.rows.len() <= rows as usize);
        ids.extend(stretch.rows.iter().map(|row| row.id));
        after = stretch.end.or(after);
        if stretch.complete {
            return ids;
        }
    }
}

async fn stretches_follow_one_another_while_rows_come(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    accepted(store, 25, to).await;
    let filter = EventFilter::default();
    let old = all_events(store, &filter, 100).await;
    assert_eq!(old.len(), 25);
    for rows in [1, 4, 25] {
        assert_eq!(all_events(store, &filter, rows).await, old, "{rows}");
    }
    let all = DeliveryFilter::default();
    let (mut after, mut seen): (Option<Position>, Vec<Uuid>) = (None, Vec::new());
    loop {
        let walked = store.walk_deliveries_back(&all, after, 7);
        let stretch = walked.await.unwrap();
        seen.extend(stretch.rows.iter().map(|row| row.id.0));
        after = stretch.end.or(after);
        if stretch.complete {
            break;
        }
        accepted(store, 2, to).await;
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted_by(|a, b| a > b));
}

async fn candidates_say_what_is_looked_at(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut rich = event("{\"a\":1}");
    rich.event_name = Some("name".to_owned());
    rich.source = Some("shop".to_owned());
    rich.tenant = Some("acme".into());
    rich.ordering_key = Some("line".to_owned());
    rich.idempotency_key = Some("once".into());
    let group = group(store, vec![rich.clone()], &[to]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    let one = async || {
        let filter = DeliveryFilter {
            event: Some(rich.id),
            ..DeliveryFilter::default()
        };
        let walked = store.walk_deliveries_back(&filter, None, 10);
        walked.await.unwrap().rows.pop().unwrap()
    };
    let pending = one().await;
    assert_eq!(
        (pending.state, pending.last),
        (DeliveryState::Pending, None)
    );
    recorded(store, bed.epoch, answered(group.deliveries[0], 503)).await;
    let failed = one().await;
    let last = failed.last.unwrap();
    assert_eq!((last.status, last.error_kind.is_some()), (Some(503), true));
    assert_ne!(last, LastAttempt::default());
    assert_eq!(failed.payload_bytes, 7);
    assert_eq!(failed.source.as_deref(), Some("shop"));
    let any = EventFilter::default();
    let walked = store.walk_events_back(&any, None, 10);
    let row = walked.await.unwrap().rows.pop().unwrap();
    assert_eq!(row.id, rich.id);
    assert_eq!(
        [
            row.event_name,
            row.source,
            row.tenant,
            row.ordering_key,
            row.idempotency_key
        ]
        .map(Option::unwrap),
        ["name", "shop", "acme", "line", "once"]
    );
    assert_eq!((row.payload_bytes, row.received_at), (7, at(0)));
    // Of another type, and of a time before.
    let other = EventFilter {
        event_type: Some("other".to_owned()),
        ..EventFilter::default()
    };
    assert_eq!(all_events(store, &other, 10).await, []);
}

async fn rows_are_found_by_their_ids(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let old = event_at(at(1));
    let mut sent = events(2);
    sent.push(old.clone());
    let group = group(store, sent.clone(), &[to]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    let ids: Vec<EventId> = sent.iter().map(|event| event.id).collect();
    let rows = store
        .event_rows(&[ids.clone(), vec![EventId(Uuid::nil())]].concat())
        .await
        .unwrap();
    let mut newest_first = ids;
    newest_first.sort();
    newest_first.reverse();
    let found: Vec<EventId> = rows.iter().map(|row| row.event.id).collect();
    assert_eq!(found, newest_first);
    let deliveries: Vec<_> = group.deliveries.iter().map(|one| one.id).collect();
    let rows = store.delivery_rows(&deliveries).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.is_sorted_by(|a, b| a.id > b.id));
    assert_eq!(store.delivery_rows(&[]).await.unwrap(), []);
}
