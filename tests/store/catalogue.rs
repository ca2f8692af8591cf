//! Know event types: changes that no two make at once, and that whoever accepts hears of.

use posthaste::domain::catalogue::EventTypeEntry;
use posthaste::domain::event_type::EventType;
use posthaste::store::{Accepted, AuditFilter, CatalogueChange, Store};

use crate::audit::{all, entry as audit};
use crate::bed::Bed;
use crate::sample::{at, events, group, subscribe};

on_both_stores!(
    types_are_kept_listed_and_removed,
    a_change_fences_what_was_checked_before_it,
    a_change_of_what_was_changed_is_overtaken_and_leaves_nothing,
    a_catalogue_has_so_many_types_at_most,
);

fn entry(name: &str) -> EventTypeEntry {
    EventTypeEntry {
        name: EventType::from_stored(name),
        description: Some("what it is".to_owned()),
        example: Some(r#"{"z":1.00}"#.to_owned()),
        schema: Some(r#"{"type":"object"}"#.to_owned()),
        archived: false,
        created_at: at(1),
        updated_at: at(2),
        version: 0,
    }
}

async fn kept(store: &dyn Store, entry: &EventTypeEntry) -> EventTypeEntry {
    let note = audit(1, "event_type.change", entry.name.as_str());
    match store.keep_event_type(entry, 100, &note).await.unwrap() {
        CatalogueChange::At(version) => EventTypeEntry {
            version,
            ..entry.clone()
        },
        other => panic!("{other:?}"),
    }
}

async fn types_are_kept_listed_and_removed(bed: Bed) {
    let store = &*bed.store;
    assert_eq!(store.catalogue_since(0).await.unwrap().types, None);
    let b = kept(store, &entry("b.b")).await;
    let a = kept(store, &entry("a.a")).await;
    let upper = kept(store, &entry("Z")).await;
    // By their bytes, in both stores.
    let names = [upper.clone(), a.clone(), b.clone()];
    assert_eq!(store.list_event_types(None, 10).await.unwrap(), names);
    assert_eq!(
        store.list_event_types(Some("Z"), 1).await.unwrap(),
        std::slice::from_ref(&a)
    );
    let known = store.catalogue_since(0).await.unwrap();
    assert_eq!(known.types.as_deref(), Some(&names[..]));
    assert_eq!(known.version, upper.version);
    assert_eq!(
        store.catalogue_since(known.version).await.unwrap().types,
        None
    );

    let changed = EventTypeEntry {
        description: None,
        example: None,
        schema: None,
        archived: true,
        ..a.clone()
    };
    let changed = kept(store, &changed).await;
    assert!(changed.version > known.version);
    assert_eq!(store.event_type("a.a").await.unwrap(), Some(changed));

    let note = audit(1, "event_type.delete", "b.b");
    let removed = store
        .remove_event_type("b.b", b.version, &note)
        .await
        .unwrap();
    assert!(matches!(removed, CatalogueChange::At(_)));
    assert_eq!(store.event_type("b.b").await.unwrap(), None);
    let after = store.catalogue_since(known.version).await.unwrap();
    assert_eq!(after.types.map(|types| types.len()), Some(2));
    assert_eq!(all(store, &AuditFilter::default()).await.len(), 5);
}

async fn a_change_fences_what_was_checked_before_it(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let before = group(store, events(1), &[to]).await;
    let made = kept(store, &entry("a")).await;
    assert_eq!(
        store.accept(&before).await.unwrap(),
        Accepted::DirectoryMoved
    );
    assert_eq!(store.directory_version().await.unwrap(), made.version);
    let after = group(store, events(1), &[to]).await;
    assert_eq!(store.accept(&after).await.unwrap(), Accepted::Committed);
    let changes = store.directory_since(made.version - 1).await.unwrap();
    assert_eq!(
        (changes.version, changes.subscriptions.len()),
        (made.version, 0)
    );
}

async fn a_change_of_what_was_changed_is_overtaken_and_leaves_nothing(bed: Bed) {
    let store = &*bed.store;
    let first = kept(store, &entry("a")).await;
    let second = kept(store, &first).await;
    let version = store.directory_version().await.unwrap();
    let note = audit(1, "event_type.change", "a");
    for stale in [first.clone(), entry("a")] {
        let change = store.keep_event_type(&stale, 100, &note).await.unwrap();
        assert_eq!(change, CatalogueChange::Overtaken);
    }
    let removed = store.remove_event_type("a", first.version, &note).await;
    assert_eq!(removed.unwrap(), CatalogueChange::Overtaken);
    assert_eq!(store.event_type("a").await.unwrap(), Some(second));
    assert_eq!(store.directory_version().await.unwrap(), version);
    assert_eq!(all(store, &AuditFilter::default()).await.len(), 2);
}

async fn a_catalogue_has_so_many_types_at_most(bed: Bed) {
    let store = &*bed.store;
    let first = kept(store, &entry("a")).await;
    let note = audit(1, "event_type.create", "b");
    let second = store.keep_event_type(&entry("b"), 1, &note).await.unwrap();
    assert_eq!(second, CatalogueChange::Full);
    assert_eq!(store.event_type("b").await.unwrap(), None);
    // What is there can be changed.
    let changed = store.keep_event_type(&first, 1, &note).await.unwrap();
    assert!(matches!(changed, CatalogueChange::At(_)));
}
