//! Read: keyset pages that show everything once, with walks that end.

use std::collections::BTreeSet;

use posthaste::domain::delivery::DeliveryState;
use posthaste::domain::event_type::EventType;
use posthaste::store::read::MAX_WALK;
use posthaste::store::{Accepted, DeliveryFilter, EventFilter, Page, PageRequest, Recorded, Store};
use uuid::Uuid;

use crate::bed::Bed;
use crate::sample::{accepted, answered, at, event, event_at, events, group, recorded, subscribe};

on_both_stores!(
    pages_show_every_row_once,
    rows_that_come_meanwhile_shift_no_page,
    events_are_filtered,
    deliveries_are_filtered,
    subscriptions_are_filtered_by_tenant,
    a_page_of_events_is_bounded_in_bytes,
    a_walk_ends_at_its_bound_and_can_be_followed,
    times_are_those_of_the_rows,
    deliveries_are_looked_for_by_the_time_of_their_event,
    what_is_pending_is_counted_up_to_a_bound,
);

const FIRST: PageRequest = PageRequest {
    limit: 100,
    after: None,
    offset: 0,
};

fn page(limit: u32, offset: u32) -> PageRequest {
    PageRequest {
        limit,
        after: None,
        offset,
    }
}

async fn all_deliveries(store: &dyn Store, filter: &DeliveryFilter, limit: u32) -> Vec<Uuid> {
    let mut request = page(limit, 0);
    let mut ids = Vec::new();
    loop {
        let page = store.list_deliveries(filter, &request).await.unwrap();
        assert!(page.rows.len() <= limit as usize);
        ids.extend(page.rows.iter().map(|row| row.id.0));
        match page.next {
            Some(next) => request.after = Some(next),
            None => return ids,
        }
    }
}

async fn pages_show_every_row_once(bed: Bed) {
    let store = &*bed.store;
    let (a, b) = (
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    );
    let group = group(store, events(30), &[a, b]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    let mut expected: Vec<_> = group
        .deliveries
        .iter()
        .map(|delivery| delivery.id.0)
        .collect();
    expected.sort();
    expected.reverse();
    for limit in [1, 7, 30, 60, 100] {
        let ids = all_deliveries(store, &DeliveryFilter::default(), limit).await;
        assert_eq!(ids, expected, "{limit}");
    }
    for limit in [1, 6, 30] {
        let filter = DeliveryFilter {
            state: Some(DeliveryState::Pending),
            subscription: Some(b),
            ..Default::default()
        };
        let ids: BTreeSet<_> = all_deliveries(store, &filter, limit)
            .await
            .into_iter()
            .collect();
        let of_b = group
            .deliveries
            .iter()
            .filter(|delivery| delivery.subscription_id == b);
        assert_eq!(ids, of_b.map(|delivery| delivery.id.0).collect());
    }
    let offset = store
        .list_deliveries(&DeliveryFilter::default(), &page(5, 50))
        .await
        .unwrap();
    let ids: Vec<_> = offset.rows.iter().map(|row| row.id.0).collect();
    assert_eq!(ids, expected[50..55]);
    let beyond = store
        .list_deliveries(&DeliveryFilter::default(), &page(5, 60))
        .await
        .unwrap();
    assert_eq!(
        (beyond.rows.len(), beyond.next, beyond.partial),
        (0, None, false)
    );
    // Limits out of bounds are held within them.
    let many = store
        .list_events(&EventFilter::default(), &page(100_000, 0))
        .await
        .unwrap();
    assert_eq!(many.rows.len(), 30);
    let none = store
        .list_events(&EventFilter::default(), &page(0, 0))
        .await
        .unwrap();
    assert_eq!(none.rows.len(), 1);
}

async fn rows_that_come_meanwhile_shift_no_page(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    accepted(store, 10, to).await;
    let before = all_deliveries(store, &DeliveryFilter::default(), 100).await;
    let filter = DeliveryFilter::default();
    let first = store.list_deliveries(&filter, &page(4, 0)).await.unwrap();
    accepted(store, 5, to).await;
    let rest = PageRequest {
        limit: 100,
        after: first.next,
        offset: 0,
    };
    let second = store.list_deliveries(&filter, &rest).await.unwrap();
    let ids: Vec<_> = first
        .rows
        .iter()
        .chain(&second.rows)
        .map(|row| row.id.0)
        .collect();
    assert_eq!(ids, before);
}

async fn events_are_filtered(bed: Bed) {
    let store = &*bed.store;
    let mut all = events(6);
    all[1].event_type = EventType::from_stored("job.closed");
    all[2].tenant = Some("t".into());
    all[3].source = Some("s".to_owned());
    all[4].tenant = Some("t".into());
    all[4].source = Some("s".to_owned());
    let accept = group(store, all.clone(), &[]).await;
    assert_eq!(store.accept(&accept).await.unwrap(), Accepted::Committed);
    let ids = |page: Page<posthaste::store::EventRow>| -> Vec<_> {
        assert!(!page.partial && page.next.is_none());
        page.rows.iter().map(|row| row.event.id).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (
            EventFilter {
                event_type: text("job.closed"),
                ..Default::default()
            },
            vec![1],
        ),
        (
            EventFilter {
                event_type: text("job.none"),
                ..Default::default()
            },
            vec![],
        ),
        (
            EventFilter {
                tenant: text("t"),
                ..Default::default()
            },
            vec![4, 2],
        ),
        (
            EventFilter {
                source: text("s"),
                ..Default::default()
            },
            vec![4, 3],
        ),
        (
            EventFilter {
                tenant: text("t"),
                source: text("s"),
                ..Default::default()
            },
            vec![4],
        ),
        (
            EventFilter {
                event_type: text("job.created"),
                tenant: text("t"),
                ..Default::default()
            },
            vec![4, 2],
        ),
    ];
    for (filter, expected) in cases {
        let found = ids(store.list_events(&filter, &FIRST).await.unwrap());
        let expected: Vec<_> = expected
            .into_iter()
            .map(|index: usize| all[index].id)
            .collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let filter = EventFilter {
        tenant: text("t"),
        ..Default::default()
    };
    let second = store.list_events(&filter, &page(10, 1)).await.unwrap();
    assert_eq!(ids(second), [all[2].id]);
    assert_eq!(store.event(event("").id).await.unwrap(), None);
}

async fn deliveries_are_filtered(bed: Bed) {
    let store = &*bed.store;
    let (a, b) = (
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    );
    let mut all = events(4);
    all[1].event_type = EventType::from_stored("job.closed");
    let accept = group(store, all.clone(), &[a, b]).await;
    assert_eq!(store.accept(&accept).await.unwrap(), Accepted::Committed);
    // Deliveries 2 and 3 are those of the second event, to a and b.
    let made = &accept.deliveries;
    assert_eq!(
        recorded(store, bed.epoch, answered(made[2], 200)).await,
        Recorded::Moved
    );
    let base = DeliveryFilter::default;
    let cases = [
        (
            DeliveryFilter {
                subscription: Some(b),
                ..base()
            },
            vec![7, 5, 3, 1],
        ),
        (
            DeliveryFilter {
                event: Some(all[3].id),
                ..base()
            },
            vec![7, 6],
        ),
        (
            DeliveryFilter {
                event: Some(all[3].id),
                subscription: Some(a),
                ..base()
            },
            vec![6],
        ),
        (
            DeliveryFilter {
                event_type: Some("job.closed".to_owned()),
                ..base()
            },
            vec![3, 2],
        ),
        (
            DeliveryFilter {
                state: Some(DeliveryState::Delivered),
                ..base()
            },
            vec![2],
        ),
        (
            DeliveryFilter {
                state: Some(DeliveryState::Failed),
                ..base()
            },
            vec![],
        ),
        (
            DeliveryFilter {
                state: Some(DeliveryState::Pending),
                event_type: Some("job.closed".to_owned()),
                subscription: Some(b),
                ..base()
            },
            vec![3],
        ),
    ];
    for (filter, expected) in cases {
        let page = store.list_deliveries(&filter, &FIRST).await.unwrap();
        assert!(!page.partial && page.next.is_none());
        let found: Vec<_> = page.rows.iter().map(|row| row.id).collect();
        let mut expected: Vec<_> = expected
            .into_iter()
            .map(|index: usize| made[index].id)
            .collect();
        // Those of one event come in no order that means anything.
        expected.sort_by(|a, b| b.cmp(a));
        assert_eq!(found, expected, "{filter:?}");
    }
    let filter = DeliveryFilter {
        event: Some(all[1].id),
        ..base()
    };
    let rows = store.list_deliveries(&filter, &FIRST).await.unwrap().rows;
    let row = |id| rows.iter().find(|row| row.id == id).unwrap();
    let (delivered, pending) = (row(made[2].id), row(made[3].id));
    assert_eq!(pending.event_type, "job.closed");
    assert_eq!(pending.last_attempt, None);
    assert_eq!(delivered.last_attempt.as_ref().unwrap().status, Some(200));
    assert_eq!(
        *delivered,
        store.delivery(made[2].id).await.unwrap().unwrap()
    );
}

async fn subscriptions_are_filtered_by_tenant(bed: Bed) {
    let store = &*bed.store;
    let mut own = crate::sample::subscription("own");
    own.tenant = Some("t".into());
    own.version = store.create_subscription(&own).await.unwrap();
    let free = subscribe(store, "free").await;
    let all = store.list_subscriptions(None, &FIRST).await.unwrap();
    assert_eq!(all.rows, [free.clone(), own.clone()]);
    let of_tenant = store.list_subscriptions(Some("t"), &FIRST).await.unwrap();
    assert_eq!(of_tenant.rows, [own.clone()]);
    let first = store.list_subscriptions(None, &page(1, 0)).await.unwrap();
    assert_eq!(first.rows, [free]);
    let rest = PageRequest {
        limit: 1,
        after: first.next,
        offset: 0,
    };
    assert_eq!(
        store.list_subscriptions(None, &rest).await.unwrap().rows,
        [own]
    );
}

async fn a_walk_ends_at_its_bound_and_can_be_followed(bed: Bed) {
    let store = &*bed.store;
    let mut all = events(MAX_WALK as usize + 50);
    all[0].source = Some("rare".into());
    let newest = all.len() - 1;
    all[newest].source = Some("rare".into());
    for chunk in all.chunks(1_000) {
        let group = group(store, chunk.to_vec(), &[]).await;
        assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    }
    let filter = EventFilter {
        source: Some("rare".to_owned()),
        ..Default::default()
    };
    let first = store.list_events(&filter, &page(10, 0)).await.unwrap();
    assert_eq!(first.rows.len(), 1);
    assert_eq!(first.rows[0].event, all[newest]);
    assert!(first.partial);
    let rest = PageRequest {
        limit: 10,
        after: first.next,
        offset: 0,
    };
    let second = store.list_events(&filter, &rest).await.unwrap();
    assert_eq!(second.rows[0].event, all[0]);
    assert!(!second.partial);
    assert_eq!(second.next, None);
    // A full page ends at its last row, not at the walk's end.
    let full = store
        .list_events(&EventFilter::default(), &page(10, 0))
        .await
        .unwrap();
    assert!(!full.partial);
    assert_eq!(full.next.unwrap().0, full.rows[9].event.id.0);
}

async fn times_are_those_of_the_rows(bed: Bed) {
    let store = &*bed.store;
    let made = |second: i64| {
        let mut made = event_at(at(second));
        // Waited a while for its commit.
        made.received_at = at(second + 5);
        made
    };
    let all: Vec<_> = [0, 10, 20, 30].map(made).to_vec();
    let group = group(store, all.clone(), &[]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    let cases = [
        (Some(15), None, vec![3, 2, 1]),
        (None, Some(15), vec![0]),
        (Some(15), Some(35), vec![2, 1]),
        (Some(16), Some(25), vec![]),
        (Some(100), None, vec![]),
    ];
    for (since, until, expected) in cases {
        let filter = EventFilter {
            since: since.map(at),
            until: until.map(at),
            ..Default::default()
        };
        let rows = store.list_events(&filter, &FIRST).await.unwrap().rows;
        let found: Vec<_> = rows.iter().map(|row| row.event.id).collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|index: usize| all[index].id)
            .collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn deliveries_are_looked_for_by_the_time_of_their_event(bed: Bed) {
    let store = &*bed.store;
    let to = [
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    ];
    let all: Vec<_> = [0, 10, 20].map(|second| event_at(at(second))).to_vec();
    // Made at second 100: long after the events came.
    let mut late = group(store, all, &to).await;
    late.now = at(100);
    assert_eq!(store.accept(&late).await.unwrap(), Accepted::Committed);
    let cases = [
        (Some(10), None, vec![2, 1]),
        (None, Some(10), vec![0]),
        (Some(5), Some(15), vec![1]),
        (Some(21), None, vec![]),
    ];
    for subscription in [None, Some(to[1])] {
        for (since, until, expected) in &cases {
            let filter = DeliveryFilter {
                subscription,
                since: since.map(at),
                until: until.map(at),
                ..Default::default()
            };
            let rows = store.list_deliveries(&filter, &FIRST).await.unwrap().rows;
            let mut found: Vec<_> = rows.iter().map(|row| row.event_id).collect();
            found.dedup();
            let expected: Vec<_> = expected
                .iter()
                .map(|index| late.events[*index].id)
                .collect();
            assert_eq!(found, expected, "{filter:?}");
            let each = if subscription.is_some() { 1 } else { 2 };
            assert_eq!(rows.len(), expected.len() * each);
        }
    }
}

async fn what_is_pending_is_counted_up_to_a_bound(bed: Bed) {
    let store = &*bed.store;
    assert_eq!(store.count_pending(10).await.unwrap(), 0);
    let (a, b) = (
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    );
    let of_a = accepted(store, 4, a).await;
    accepted(store, 3, b).await;
    assert_eq!(store.count_pending(10).await.unwrap(), 7);
    assert_eq!(store.count_pending(5).await.unwrap(), 5);
    assert_eq!(
        recorded(store, bed.epoch, answered(of_a[0], 200)).await,
        Recorded::Moved
    );
    assert_eq!(store.count_pending(10).await.unwrap(), 6);
}

async fn a_page_of_events_is_bounded_in_bytes(bed: Bed) {
    let store = &*bed.store;
    let large = "x".repeat(3 << 20);
    let mut sent = Vec::new();
    for payload in ["1", &large, &large, &large, "2", &"y".repeat(9 << 20)] {
        let made = event(payload);
        let group = group(store, vec![made.clone()], &[]).await;
        assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
        sent.push(made.id);
    }
    let (mut request, mut pages) = (FIRST, Vec::new());
    loop {
        let page = store.list_events(&EventFilter::default(), &request).await;
        let page = page.unwrap();
        pages.push(page.rows.iter().map(|row| row.event.id).collect::<Vec<_>>());
        assert_eq!(page.partial, page.next.is_some());
        match page.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    // The newest alone is more than a page holds, and is shown all the same.
    sent.reverse();
    assert_eq!(pages, [&sent[..1], &sent[1..4], &sent[4..]]);
}
