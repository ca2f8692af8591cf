//! Accept: all of a group, once, in its order, matched against the present; or nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::future::join_all;
use posthaste::domain::delivery::DeliveryState;
use posthaste::domain::event_type::EventType;
use posthaste::domain::idempotency::KeyName;
use posthaste::store::{Accepted, Changed, Moved, Recorded, StoreError};

use crate::bed::Bed;
use crate::sample::{
    accepted, answered, at, event, events, group, key, key_name, recorded, subscribe,
};

on_both_stores!(
    an_event_goes_in_and_its_delivery_comes_to_an_end,
    every_field_of_an_event_is_kept,
    due_pages_have_the_order_of_acceptance,
    a_page_ends_at_now_and_at_its_limit,
    groups_of_any_size_are_kept_whole,
    a_taken_key_refuses_the_whole_group,
    an_expired_key_is_free,
    tenants_do_not_share_keys,
    of_fifty_groups_with_one_key_one_is_committed,
    a_group_run_again_stays_the_same,
    a_group_run_again_brings_nothing_back_that_has_ended,
    a_group_run_again_counts_as_committed_though_the_directory_moved,
    a_moved_directory_leaves_nothing_behind,
    nothing_is_accepted_against_a_directory_that_has_changed,
    refused_data_leaves_nothing_behind,
);

async fn an_event_goes_in_and_its_delivery_comes_to_an_end(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let group = group(store, vec![event(r#"{"n": 1}"#)], &[to]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    assert!(store.event(group.events[0].id).await.unwrap().is_some());

    let page = store.due_page(to, at(0), 10).await.unwrap();
    assert_eq!(page.next_due, None);
    assert_eq!(page.due.len(), 1);
    assert_eq!(page.due[0].delivery, group.deliveries[0]);
    assert_eq!(page.due[0].payload_bytes, 8);
    let loaded = store
        .events(&[page.due[0].delivery.event_id])
        .await
        .unwrap();
    assert_eq!(loaded, [(*group.events[0]).clone()]);

    let record = answered(page.due[0].delivery, 204);
    assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Moved);
    assert!(
        store
            .due_page(to, at(9_999), 10)
            .await
            .unwrap()
            .due
            .is_empty()
    );
    let row = store
        .delivery(group.deliveries[0].id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.state, DeliveryState::Delivered);
    assert_eq!(row.finished_at, Some(at(3)));
    assert_eq!((row.progress.attempts, row.progress.version), (1, 1));
    assert_eq!(row.last_attempt.unwrap().status, Some(204));
}

async fn every_field_of_an_event_is_kept(bed: Bed) {
    let store = &*bed.store;
    let mut full = event("");
    full.tenant = Some("t".into());
    full.event_type = EventType::from_stored("candidate.status_changed");
    full.event_name = Some("Ein Name ✓".to_owned());
    full.source = Some("s".to_owned());
    full.idempotency_key = Some("k".into());
    full.ordering_key = Some("o".to_owned());
    full.occurred_at = Some(at(-1_000_000_000));
    full.payload = (0..=255u8).collect::<Vec<_>>().repeat(64).into();
    let bare = event("null");
    let group = group(store, vec![full.clone(), bare.clone()], &[]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    assert_eq!(store.event(full.id).await.unwrap().unwrap().event, full);
    let mut both = store
        .events(&[bare.id, event("").id, full.id])
        .await
        .unwrap();
    both.sort_by_key(|event| event.id);
    assert_eq!(both, [full, bare]);
}

async fn due_pages_have_the_order_of_acceptance(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut expected = Vec::new();
    // Ids run against the order of acceptance, as they do where clocks of nodes differ.
    let mut all = events(300);
    all.reverse();
    for chunk in all.chunks(100) {
        let group = group(store, chunk.to_vec(), &[to]).await;
        assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
        expected.extend(group.deliveries);
    }
    let page = store.due_page(to, at(0), 1_000).await.unwrap();
    let due: Vec<_> = page.due.iter().map(|row| row.delivery).collect();
    assert_eq!(due, expected);
    assert_eq!(
        store.due_page(to, at(0), 7).await.unwrap().due[..],
        page.due[..7]
    );
}

async fn a_page_ends_at_now_and_at_its_limit(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut group = group(store, events(4), &[to]).await;
    for (delivery, second) in group.deliveries.iter_mut().zip([30, 10, 20, 40]) {
        delivery.due_at = at(second);
    }
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    let seconds = |page: posthaste::store::DuePage| {
        let due: Vec<_> = page.due.iter().map(|row| row.delivery.due_at).collect();
        (due, page.next_due)
    };
    let page = store.due_page(to, at(0), 10).await.unwrap();
    assert_eq!(seconds(page), (vec![], Some(at(10))));
    let page = store.due_page(to, at(30), 10).await.unwrap();
    assert_eq!(seconds(page), (vec![at(10), at(20), at(30)], Some(at(40))));
    let page = store.due_page(to, at(30), 2).await.unwrap();
    assert_eq!(seconds(page), (vec![at(10), at(20)], Some(at(40))));
    let page = store.due_page(to, at(40), 10).await.unwrap();
    assert_eq!(page.due.len(), 4);
    assert_eq!(page.next_due, None);
    let other = subscribe(store, "b").await.id;
    assert_eq!(
        store.due_page(other, at(40), 10).await.unwrap(),
        Default::default()
    );
}

async fn groups_of_any_size_are_kept_whole(bed: Bed) {
    let store = &*bed.store;
    let (a, b) = (
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    );
    let mut total = 0;
    for size in [0, 1, 3, 64, 85, 200] {
        let group = group(store, events(size), &[a, b]).await;
        assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
        total += size;
    }
    for to in [a, b] {
        assert_eq!(
            store.due_page(to, at(0), 1_000).await.unwrap().due.len(),
            total
        );
    }
}

async fn a_taken_key_refuses_the_whole_group(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut first = group(store, vec![event("1")], &[to]).await;
    first.keys = vec![key("taken", first.events[0].id)];
    assert_eq!(store.accept(&first).await.unwrap(), Accepted::Committed);

    let mut second = group(store, events(3), &[to]).await;
    second.keys = vec![
        key("free", second.events[0].id),
        key("taken", second.events[1].id),
    ];
    assert_eq!(store.accept(&second).await.unwrap(), Accepted::KeyTaken);
    for event in &second.events {
        assert_eq!(store.event(event.id).await.unwrap(), None);
    }
    assert_eq!(store.due_page(to, at(0), 10).await.unwrap().due.len(), 1);
    let names = [key_name("free"), key_name("taken"), key_name("unknown")];
    let known = store.known_keys(&names, at(-3600)).await.unwrap();
    assert_eq!(known, [key("taken", first.events[0].id)]);
}

async fn an_expired_key_is_free(bed: Bed) {
    let store = &*bed.store;
    let mut first = group(store, vec![event("1")], &[]).await;
    first.keys = vec![key("k", first.events[0].id)];
    assert_eq!(store.accept(&first).await.unwrap(), Accepted::Committed);

    let mut second = group(store, vec![event("2")], &[]).await;
    second.keys = vec![key("k", second.events[0].id)];
    second.now = at(7_200);
    // Taken at second 0: not before second 0, but before second 1.
    second.keys_expired_before = at(0);
    assert_eq!(store.accept(&second).await.unwrap(), Accepted::KeyTaken);
    assert_eq!(store.known_keys(&[key_name("k")], at(1)).await.unwrap(), []);
    second.keys_expired_before = at(1);
    assert_eq!(store.accept(&second).await.unwrap(), Accepted::Committed);
    let known = store.known_keys(&[key_name("k")], at(1)).await.unwrap();
    assert_eq!(known, [key("k", second.events[0].id)]);
}

async fn tenants_do_not_share_keys(bed: Bed) {
    let store = &*bed.store;
    let tenants = [None, Some(""), Some("="), Some("t")];
    let mut names = Vec::new();
    for tenant in tenants {
        let mut group = group(store, vec![event("1")], &[]).await;
        let mut key = key("k", group.events[0].id);
        key.name = KeyName {
            tenant: tenant.map(Into::into),
            key: "k".into(),
        };
        names.push(key.name.clone());
        group.keys = vec![key];
        assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    }
    let known = store.known_keys(&names, at(-3600)).await.unwrap();
    let mut found: Vec<_> = known.into_iter().map(|known| known.name).collect();
    found.sort();
    names.sort();
    assert_eq!(found, names);
}

async fn of_fifty_groups_with_one_key_one_is_committed(bed: Bed) {
    let store = &bed.store;
    let to = subscribe(&**store, "a").await.id;
    let runs = (0..50).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut group = group(&*store, events(2), &[to]).await;
            // Keys in either order: two groups must not wait for each other.
            let (first, second) = (group.events[0].id, group.events[1].id);
            group.keys = vec![key("one", first), key("two", second)];
            if n % 2 == 0 {
                group.keys.reverse();
            }
            (store.accept(&group).await.unwrap(), first)
        })
    });
    let fates: Vec<_> = join_all(runs)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let committed: Vec<_> = fates
        .iter()
        .filter(|(fate, _)| *fate == Accepted::Committed)
        .collect();
    assert_eq!(committed.len(), 1, "{fates:?}");
    assert!(
        fates
            .iter()
            .all(|(fate, _)| *fate != Accepted::DirectoryMoved)
    );
    let known = store.known_keys(&[key_name("one")], at(-1)).await.unwrap();
    assert_eq!(known[0].event_id, committed[0].1);
    assert_eq!(store.due_page(to, at(0), 1_000).await.unwrap().due.len(), 2);
}

async fn a_group_run_again_stays_the_same(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut group = group(store, events(3), &[to]).await;
    group.keys = vec![key("k", group.events[1].id)];
    for _ in 0..3 {
        assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    }
    let page = store.due_page(to, at(0), 10).await.unwrap();
    let due: Vec<_> = page.due.iter().map(|row| row.delivery).collect();
    assert_eq!(due, group.deliveries);
}

/// Between two runs a delivery may come to its end: another process pages what was committed.
async fn a_group_run_again_brings_nothing_back_that_has_ended(bed: Bed) {
    let store = &*bed.store;
    let to = [
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    ];
    let mut group = group(store, events(2), &to).await;
    group.keys = vec![key("k", group.events[1].id)];
    group.skipped = group.deliveries.split_off(3);
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    let [delivered, cancelled, pending] = [0, 1, 2].map(|place| group.deliveries[place]);
    let record = answered(delivered, 200);
    assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Moved);
    let moved = store.cancel_delivery(cancelled.id, 0, at(1)).await;
    assert_eq!(moved.unwrap(), Moved::Done);

    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    for (id, state) in [
        (delivered.id, DeliveryState::Delivered),
        (cancelled.id, DeliveryState::Cancelled),
        (pending.id, DeliveryState::Pending),
        (group.skipped[0].id, DeliveryState::Skipped),
    ] {
        let row = store.delivery(id).await.unwrap().unwrap();
        assert_eq!(row.state, state);
    }
    let mut due = Vec::new();
    for to in to {
        let page = store.due_page(to, at(0), 10).await.unwrap();
        due.extend(page.due.iter().map(|row| row.delivery));
    }
    assert_eq!(due, [pending]);
}

async fn a_group_run_again_counts_as_committed_though_the_directory_moved(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let group = group(store, events(2), &[to]).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    subscribe(store, "b").await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    assert_eq!(store.due_page(to, at(0), 10).await.unwrap().due.len(), 2);
}

async fn a_moved_directory_leaves_nothing_behind(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut group = group(store, events(2), &[to]).await;
    subscribe(store, "b").await;
    assert_eq!(
        store.accept(&group).await.unwrap(),
        Accepted::DirectoryMoved
    );
    group.keys = vec![key("k", group.events[0].id)];
    assert_eq!(
        store.accept(&group).await.unwrap(),
        Accepted::DirectoryMoved
    );
    assert_eq!(store.event(group.events[0].id).await.unwrap(), None);
    assert_eq!(
        store.known_keys(&[key_name("k")], at(-1)).await.unwrap(),
        []
    );
    assert!(store.due_page(to, at(0), 10).await.unwrap().due.is_empty());
    group.directory_version = store.directory_version().await.unwrap();
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
}

/// Eight senders against one editor. Once a change has been answered, no event that was matched
/// against the directory before it comes into being: whatever was, stands by then. And the
/// editor gets its turn while the senders overlap.
async fn nothing_is_accepted_against_a_directory_that_has_changed(bed: Bed) {
    const CHANGES: i64 = 40;
    let mut edited = subscribe(&*bed.store, "a").await;
    let to = edited.id;
    let answered = Arc::new(AtomicI64::new(edited.version));
    let end = edited.version + CHANGES;
    let senders: Vec<_> = (0..8)
        .map(|n| {
            let (store, answered) = (bed.store.clone(), answered.clone());
            tokio::spawn(async move {
                let mut committed = Vec::new();
                while answered.load(Ordering::SeqCst) < end {
                    let mut group = group(&*store, vec![event("1")], &[to]).await;
                    let id = group.events[0].id;
                    if n % 2 == 0 {
                        group.keys = vec![key(&id.to_string(), id)];
                    }
                    let floor = answered.load(Ordering::SeqCst);
                    match store.accept(&group).await.unwrap() {
                        Accepted::Committed => {
                            assert!(group.directory_version >= floor);
                            committed.push((id, group.directory_version));
                        }
                        fate => {
                            assert_eq!(fate, Accepted::DirectoryMoved);
                            assert_eq!(store.event(id).await.unwrap(), None);
                        }
                    }
                }
                committed
            })
        })
        .collect();
    let mut stood = Vec::new();
    for n in 0..CHANGES {
        edited.name = n.to_string();
        let Changed::At(version) = bed.store.update_subscription(&edited, None).await.unwrap()
        else {
            panic!("there is one editor");
        };
        edited.version = version;
        let page = bed.store.due_page(to, at(0), 1_000_000).await.unwrap();
        let events: HashSet<_> = page.due.iter().map(|row| row.delivery.event_id).collect();
        stood.push((version, events));
        answered.store(version, Ordering::SeqCst);
    }
    let mut committed = Vec::new();
    for sender in join_all(senders).await {
        committed.extend(sender.unwrap());
    }
    for (changed_to, events) in stood {
        for (id, matched_against) in &committed {
            assert!(
                *matched_against >= changed_to || events.contains(id),
                "matched against {matched_against}, committed after {changed_to} was answered"
            );
        }
    }
    let page = bed.store.due_page(to, at(0), 1_000_000).await.unwrap();
    assert_eq!(page.due.len(), committed.len());
}

async fn refused_data_leaves_nothing_behind(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    accepted(store, 1, to).await;
    let mut bad = event("2");
    bad.event_name = Some("a\0b".to_owned());
    for keyed in [false, true] {
        let mut group = group(store, vec![event("1"), bad.clone(), event("3")], &[to]).await;
        if keyed {
            group.keys = vec![key("k", group.events[0].id)];
        }
        match store.accept(&group).await {
            Err(StoreError::Refused(_)) => {
                for event in &group.events {
                    assert_eq!(store.event(event.id).await.unwrap(), None);
                }
                let left = store.due_page(to, at(0), 10).await.unwrap().due.len();
                assert_eq!(left, 1);
                assert_eq!(
                    store.known_keys(&[key_name("k")], at(-1)).await.unwrap(),
                    []
                );
            }
            Ok(Accepted::Committed) => {
                assert!(!bed.is_postgres());
                assert_eq!(store.event(bad.id).await.unwrap().unwrap().event, bad);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}
