//! Say who did what: entries that are kept, found, and forgotten in time.

use posthaste::clock;
use posthaste::domain::audit::AuditEntry;
use posthaste::store::{AuditFilter, PageRequest, Store};

use crate::bed::Bed;
use crate::sample::{at, event_at};

on_both_stores!(
    entries_are_found_by_what_they_say,
    an_entry_is_written_once,
    old_entries_are_forgotten,
);

const FIRST: PageRequest = PageRequest {
    limit: 100,
    after: None,
    offset: 0,
};

/// An entry made so many seconds after the beginning.
pub fn entry(seconds: i64, action: &str, thing_id: &str) -> AuditEntry {
    let (thing, _) = action.split_once('.').unwrap();
    AuditEntry {
        id: event_at(at(seconds)).id.0,
        at: at(seconds),
        caller: "admin".to_owned(),
        key_id: None,
        user_id: None,
        tenant: None,
        action: action.to_owned(),
        thing: thing.to_owned(),
        thing_id: Some(thing_id.to_owned()),
        changes: None,
        request_id: clock::uuid().to_string(),
    }
}

pub async fn all(store: &dyn Store, filter: &AuditFilter) -> Vec<AuditEntry> {
    store.list_audit(filter, &FIRST).await.unwrap().rows
}

async fn entries_are_found_by_what_they_say(bed: Bed) {
    let store = &*bed.store;
    let mut written = [
        entry(1, "subscription.pause", "a"),
        entry(2, "event.delete_payload", "b"),
        entry(3, "subscription.pause", "c"),
    ];
    written[1].changes = Some(r#"{"name":"x"}"#.to_owned());
    written[1].key_id = Some("key".to_owned());
    written[2].tenant = Some("acme".to_owned());
    written[2].caller = "other".to_owned();
    for entry in &written {
        store.audit(entry).await.unwrap();
    }
    let [first, second, third] = written;
    let everything = AuditFilter::default();
    let newest_first = [third.clone(), second.clone(), first.clone()];
    assert_eq!(all(store, &everything).await, newest_first);
    let text = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (
            AuditFilter {
                action: text("event.delete_payload"),
                ..everything.clone()
            },
            vec![second.clone()],
        ),
        (
            AuditFilter {
                thing: text("subscription"),
                ..everything.clone()
            },
            vec![third.clone(), first.clone()],
        ),
        (
            AuditFilter {
                thing_id: text("a"),
                ..everything.clone()
            },
            vec![first.clone()],
        ),
        (
            AuditFilter {
                caller: text("other"),
                ..everything.clone()
            },
            vec![third.clone()],
        ),
        (
            AuditFilter {
                tenant: text("acme"),
                ..everything.clone()
            },
            vec![third.clone()],
        ),
        (
            AuditFilter {
                since: Some(at(2)),
                until: Some(at(3)),
                ..everything.clone()
            },
            vec![second.clone()],
        ),
    ] {
        assert_eq!(all(store, &filter).await, expected, "{filter:?}");
    }
    let page = PageRequest { limit: 2, ..FIRST };
    let first_page = store.list_audit(&everything, &page).await.unwrap();
    assert_eq!(first_page.rows, [third, second]);
    let behind = PageRequest {
        after: first_page.next,
        ..page
    };
    let second_page = store.list_audit(&everything, &behind).await.unwrap();
    assert_eq!((second_page.rows, second_page.next), (vec![first], None));
}

async fn an_entry_is_written_once(bed: Bed) {
    let store = &*bed.store;
    let one = entry(1, "job.cancel", "a");
    store.audit(&one).await.unwrap();
    store.audit(&one).await.unwrap();
    assert_eq!(all(store, &AuditFilter::default()).await, [one]);
}

async fn old_entries_are_forgotten(bed: Bed) {
    let store = &*bed.store;
    for seconds in 0..5 {
        store
            .audit(&entry(seconds, "job.cancel", "a"))
            .await
            .unwrap();
    }
    assert_eq!(store.forget_audit(at(4), 3).await.unwrap(), 3);
    assert_eq!(store.forget_audit(at(4), 3).await.unwrap(), 1);
    assert_eq!(store.forget_audit(at(4), 3).await.unwrap(), 0);
    let left = all(store, &AuditFilter::default()).await;
    assert_eq!(
        left.iter().map(|entry| entry.at).collect::<Vec<_>>(),
        [at(4)]
    );
}
