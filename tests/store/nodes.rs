//! The processes that know each other: told, seen, lost, forgotten.

use std::time::Duration;

use futures_util::future::join_all;
use posthaste::domain::node::{KnownNode, Lease, NodeFigures, NodeReport, NodeState, Registry};
use posthaste::store::{LeaseState, Storage, Store};

use crate::bed::Bed;
use crate::sample::{accepted, answered, recorded, subscribe};

on_both_stores!(
    what_a_process_tells_is_read_back,
    a_later_beat_changes_the_figures_and_not_the_beginning,
    whoever_does_not_tell_in_time_is_lost,
    whoever_owns_the_deliveries_is_told,
    whoever_ends_is_forgotten_and_nobody_else,
    the_unseen_and_the_oldest_of_too_many_are_forgotten,
    processes_that_come_at_once_are_all_known,
    the_storage_is_told,
);

const LONG: Duration = Duration::from_secs(3_600);

fn report(name: &str) -> NodeReport {
    NodeReport {
        name: name.into(),
        host: Some("the-host".into()),
        version: "1.2.3".into(),
        role: "all".into(),
        profile: "distributed".into(),
        figures: NodeFigures {
            in_flight: 1,
            most_in_flight: 2,
            window_bytes: 3,
            most_window_bytes: u64::from(u32::MAX) + 1,
            subscriptions: 5,
            restarts: 6,
            waiting: 7,
            resident_bytes: Some(8),
        },
        unwell: vec!["feed".into(), "recorder".into()],
    }
}

async fn beat(store: &dyn Store, report: &NodeReport) {
    store.beat(report, Duration::ZERO, LONG).await.unwrap();
}

async fn registry(store: &dyn Store) -> Registry {
    store.registry().await.unwrap()
}

async fn known(store: &dyn Store, name: &str) -> KnownNode {
    let nodes = registry(store).await.nodes;
    let found = nodes.into_iter().find(|node| node.report.name == name);
    found.unwrap_or_else(|| panic!("{name} is not known"))
}

async fn names(store: &dyn Store) -> Vec<String> {
    let nodes = registry(store).await.nodes;
    nodes.into_iter().map(|node| node.report.name).collect()
}

async fn what_a_process_tells_is_read_back(bed: Bed) {
    let store = &*bed.store;
    assert_eq!(registry(store).await.nodes, []);
    let age = Duration::from_secs(100);
    store.beat(&report("é 'n' 1"), age, LONG).await.unwrap();
    let seen = known(store, "é 'n' 1").await;
    assert_eq!(seen.report, report("é 'n' 1"));
    assert!(!seen.is_lost);
    assert!(seen.age >= age && seen.age < age + LONG, "{:?}", seen.age);
    assert!(seen.unseen < LONG, "{:?}", seen.unseen);

    let bare = NodeReport {
        host: None,
        figures: NodeFigures::default(),
        unwell: Vec::new(),
        ..report("bare")
    };
    beat(store, &bare).await;
    assert_eq!(known(store, "bare").await.report, bare);
}

async fn a_later_beat_changes_the_figures_and_not_the_beginning(bed: Bed) {
    let store = &*bed.store;
    store.beat(&report("a"), LONG, LONG).await.unwrap();
    let later = NodeReport {
        figures: NodeFigures {
            in_flight: 100,
            ..NodeFigures::default()
        },
        unwell: Vec::new(),
        ..report("a")
    };
    // Told with another age: what counts is when it was first heard of.
    store.beat(&later, Duration::ZERO, LONG).await.unwrap();
    let seen = known(store, "a").await;
    assert_eq!(seen.report, later);
    assert!(seen.age >= LONG, "{:?}", seen.age);
}

async fn whoever_does_not_tell_in_time_is_lost(bed: Bed) {
    let store = &*bed.store;
    store
        .beat(&report("hasty"), Duration::ZERO, Duration::ZERO)
        .await
        .unwrap();
    let node = known(store, "hasty").await;
    assert!(node.is_lost);
    assert_eq!(registry(store).await.state(&node), NodeState::Lost);
    beat(store, &report("hasty")).await;
    assert!(!known(store, "hasty").await.is_lost, "it told again");

    // In one file there is one at a time.
    beat(store, &report("next")).await;
    assert_eq!(known(store, "hasty").await.is_lost, !bed.is_postgres());
    beat(store, &report("hasty")).await;
    assert_eq!(known(store, "hasty").await.is_lost, !bed.is_postgres());
    assert!(!known(store, "next").await.is_lost);
}

async fn whoever_owns_the_deliveries_is_told(bed: Bed) {
    let store = &*bed.store;
    beat(store, &report("other")).await;
    // The bed took the lease under this name.
    beat(store, &report("bed")).await;
    let seen = registry(store).await;
    let [
        Lease {
            partition: 0,
            owner,
            epoch,
            left,
        },
    ] = &seen.leases[..]
    else {
        panic!("{seen:?}");
    };
    assert_eq!((owner.as_deref(), *epoch), (Some("bed"), bed.epoch));
    assert_eq!(left.is_some(), bed.is_postgres());
    assert!(left.is_none_or(|left| left <= LONG && !left.is_zero()));
    assert_eq!(
        seen.state(&known(store, "bed").await),
        NodeState::Delivering
    );
    let other = match bed.is_postgres() {
        true => NodeState::Standby,
        false => NodeState::Lost,
    };
    assert_eq!(seen.state(&known(store, "other").await), other);
    if !bed.is_postgres() {
        return;
    }

    store.release_lease("bed").await.unwrap();
    let given_back = &registry(store).await.leases[0];
    assert_eq!((given_back.owner.as_deref(), given_back.left), (None, None));
    let second = Duration::from_micros(1);
    let taken = store.lease("other", second).await.unwrap();
    assert!(matches!(taken, LeaseState::Held { .. }));
    let ended = loop {
        let lease = registry(store).await.leases[0].clone();
        if lease.left == Some(Duration::ZERO) {
            break lease;
        }
    };
    assert_eq!(ended.owner.as_deref(), Some("other"));
    assert!(!ended.is_held_by("other") && ended.epoch > bed.epoch);
}

async fn whoever_ends_is_forgotten_and_nobody_else(bed: Bed) {
    let store = &*bed.store;
    for name in ["a", "b"] {
        beat(store, &report(name)).await;
    }
    store.remove_node("a").await.unwrap();
    store.remove_node("never there").await.unwrap();
    assert_eq!(names(store).await, ["b"]);
}

async fn the_unseen_and_the_oldest_of_too_many_are_forgotten(bed: Bed) {
    let store = &*bed.store;
    for name in ["a", "b", "c", "d"] {
        beat(store, &report(name)).await;
    }
    assert_eq!(store.forget_nodes(LONG, 4).await.unwrap(), 0);
    assert_eq!(store.forget_nodes(LONG, 3).await.unwrap(), 1);
    assert_eq!(names(store).await, ["b", "c", "d"]);
    assert_eq!(store.forget_nodes(Duration::ZERO, 4).await.unwrap(), 3);
    assert_eq!(names(store).await, Vec::<String>::new());
}

async fn processes_that_come_at_once_are_all_known(bed: Bed) {
    let store = &*bed.store;
    let reports: Vec<_> = (0..20).map(|n| report(&format!("node {n:02}"))).collect();
    let beats = reports.iter().map(async |one| {
        for _ in 0..3 {
            beat(store, one).await;
            store.forget_nodes(LONG, 20).await.unwrap();
        }
    });
    join_all(beats).await;
    let mut known = names(store).await;
    known.sort();
    let expected: Vec<_> = reports.into_iter().map(|one| one.name).collect();
    assert_eq!(known, expected);
}

async fn the_storage_is_told(bed: Bed) {
    let store = &*bed.store;
    let hour = Duration::from_secs(3_600);
    store
        .make_room(posthaste::clock::now(), hour)
        .await
        .unwrap();
    let to = subscribe(store, "a").await.id;
    for delivery in accepted(store, 3, to).await {
        recorded(store, bed.epoch, answered(delivery, 200)).await;
    }
    match store.storage().await.unwrap() {
        Storage::File(file) => {
            assert!(!bed.is_postgres());
            assert_eq!(file.path, bed.settings.data_dir.join("posthaste.db"));
            assert!(file.pages > file.free_pages && file.page_bytes >= 512);
            assert!(file.log_bytes > 0, "what was written last lies in the log");
        }
        Storage::Database(database) => {
            assert!(bed.is_postgres());
            assert!(database.bytes > 1_000_000, "{}", database.bytes);
            let connections = database.connections;
            assert!(connections.open >= 1 && connections.open <= connections.most);
            assert_eq!(connections.most, u64::from(bed.settings.max_connections));
            assert!(database.pending.bytes > 0);
            // The rest, then three hours, the newest first.
            let spans: Vec<_> = database.parts.iter().map(|part| part.span).collect();
            assert_eq!(spans.len(), 4, "{spans:?}");
            assert_eq!(spans[0], None);
            assert!(spans[1..].is_sorted_by(|one, next| one > next), "{spans:?}");
            // An empty table has its indexes.
            let sizes = database.parts.iter();
            let sizes = sizes.flat_map(|part| [part.events, part.deliveries, part.attempts]);
            assert!(sizes.into_iter().all(|size| size.bytes > 0));
        }
    }
}
