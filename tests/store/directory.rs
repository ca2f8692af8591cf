//! Subscribe: every change has a version, none is lost, a deleted one leaves a tombstone.

use std::time::Duration;

use futures_util::future::join_all;
use posthaste::domain::breaker::BreakerSpec;
use posthaste::domain::delivery::DeliveryState;
use posthaste::domain::event_type::EventPattern;
use posthaste::domain::rate_limit::RateLimit;
use posthaste::domain::retry::RetryPolicySpec;
use posthaste::domain::subscription::SubscriptionState;
use posthaste::store::{Changed, DeliveryFilter, PageRequest};

use crate::bed::Bed;
use crate::sample::{accepted, at, move_to, subscribe, subscription};

on_both_stores!(
    every_field_of_a_subscription_is_kept,
    changes_are_told_by_version,
    a_lost_update_is_refused,
    of_many_editors_one_wins,
    a_deleted_subscription_leaves_a_tombstone,
    pending_deliveries_are_cancelled_in_batches,
);

async fn every_field_of_a_subscription_is_kept(bed: Bed) {
    let store = &*bed.store;
    let mut full = subscription("Ein Name ✓");
    full.tenant = Some("t".into());
    full.url = "https://user@example.com:8443/hook?x=1#y".parse().unwrap();
    full.event_types = ["job.created", "candidate.*"]
        .map(|pattern| EventPattern::parse(pattern).unwrap())
        .to_vec();
    full.headers = vec![
        ("x-a".into(), "1\t\"2\"".into()),
        ("x-a".into(), String::new()),
    ];
    full.retry_policy = Some(RetryPolicySpec {
        delays_ms: Some(vec![1, 2, 3]),
        jitter: Some(0.125),
        max_age_ms: Some(86_400_000),
        ..Default::default()
    });
    full.timeout = Some(Duration::from_millis(1_234));
    full.max_in_flight = Some(17);
    full.rate_limit = Some(RateLimit {
        limit: 5,
        period_ms: 1_000,
        burst: Some(2),
    });
    full.breaker = Some(BreakerSpec {
        failure_ratio: Some(0.25),
        ..Default::default()
    });
    full = full
        .moved_to(SubscriptionState::Deactivated, Some("gone"), at(5))
        .unwrap();
    full.version = store.create_subscription(&full).await.unwrap();
    assert_eq!(
        store.subscription(full.id).await.unwrap(),
        Some(full.clone())
    );

    let mut bare = subscription("bare");
    bare.id = full.id;
    bare.version = full.version;
    let Changed::At(version) = store.update_subscription(&bare, None).await.unwrap() else {
        panic!("it is as it was read");
    };
    bare.version = version;
    assert_eq!(store.subscription(full.id).await.unwrap(), Some(bare));
    assert_eq!(
        store.subscription(subscription("none").id).await.unwrap(),
        None
    );
}

async fn changes_are_told_by_version(bed: Bed) {
    let store = &*bed.store;
    let empty = store.directory_since(0).await.unwrap();
    assert_eq!((empty.version, empty.subscriptions.len()), (0, 0));
    let a = subscribe(store, "a").await;
    let b = subscribe(store, "b").await;
    assert_eq!((a.version, b.version), (1, 2));
    let all = store.directory_since(0).await.unwrap();
    assert_eq!((all.version, all.subscriptions.len()), (2, 2));
    let later = store.directory_since(1).await.unwrap();
    assert_eq!((later.version, later.subscriptions), (2, vec![b.clone()]));
    let paused = move_to(store, &a, SubscriptionState::Paused).await;
    assert_eq!(store.directory_version().await.unwrap(), 3);
    assert_eq!(
        store.directory_since(2).await.unwrap().subscriptions,
        [paused]
    );
    let none = store.directory_since(3).await.unwrap();
    assert_eq!((none.version, none.subscriptions.len()), (3, 0));
}

async fn a_lost_update_is_refused(bed: Bed) {
    let store = &*bed.store;
    let old = subscribe(store, "a").await;
    let new = move_to(store, &old, SubscriptionState::Paused).await;
    let mut late = old.clone();
    late.name = "late".to_owned();
    assert_eq!(
        store.update_subscription(&late, None).await.unwrap(),
        Changed::Overtaken
    );
    assert_eq!(store.subscription(old.id).await.unwrap(), Some(new));
    let nobody = subscription("nobody");
    assert_eq!(
        store.update_subscription(&nobody, None).await.unwrap(),
        Changed::Overtaken
    );
}

async fn of_many_editors_one_wins(bed: Bed) {
    let old = subscribe(&*bed.store, "a").await;
    let runs = (0..20).map(|n| {
        let (store, mut new) = (bed.store.clone(), old.clone());
        new.name = n.to_string();
        tokio::spawn(async move { store.update_subscription(&new, None).await.unwrap() })
    });
    let fates: Vec<_> = join_all(runs)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let won = fates
        .iter()
        .filter(|fate| **fate != Changed::Overtaken)
        .count();
    assert_eq!(won, 1, "{fates:?}");
    let stands = bed.store.subscription(old.id).await.unwrap().unwrap();
    assert!(fates.contains(&Changed::At(stands.version)));
    assert!(stands.version <= bed.store.directory_version().await.unwrap());
}

async fn a_deleted_subscription_leaves_a_tombstone(bed: Bed) {
    let store = &*bed.store;
    let kept = subscribe(store, "kept").await;
    let old = subscribe(store, "a").await;
    let gone = move_to(store, &old, SubscriptionState::Deleted).await;
    assert_eq!(
        store.directory_since(0).await.unwrap().subscriptions,
        std::slice::from_ref(&kept)
    );
    assert_eq!(
        store
            .directory_since(old.version)
            .await
            .unwrap()
            .subscriptions,
        std::slice::from_ref(&gone)
    );
    assert_eq!(store.subscription(old.id).await.unwrap(), Some(gone));
    let page = PageRequest {
        limit: 10,
        after: None,
        offset: 0,
    };
    assert_eq!(
        store.list_subscriptions(None, &page).await.unwrap().rows,
        [kept]
    );
}

async fn pending_deliveries_are_cancelled_in_batches(bed: Bed) {
    let store = &*bed.store;
    let (old, other) = (subscribe(store, "a").await, subscribe(store, "b").await);
    accepted(store, 25, old.id).await;
    accepted(store, 5, other.id).await;
    assert_eq!(store.deleted_with_pending(10).await.unwrap(), []);
    move_to(store, &old, SubscriptionState::Deleted).await;
    let untouched = subscribe(store, "empty").await;
    move_to(store, &untouched, SubscriptionState::Deleted).await;
    assert_eq!(store.deleted_with_pending(10).await.unwrap(), [old.id]);
    let mut batches = Vec::new();
    for _ in 0..4 {
        batches.push(store.cancel_pending(old.id, &[], at(7), 10).await.unwrap());
    }
    assert_eq!(batches, [10, 10, 5, 0]);
    assert_eq!(store.deleted_with_pending(10).await.unwrap(), []);
    assert_eq!(
        store.due_page(other.id, at(0), 10).await.unwrap().due.len(),
        5
    );
    let filter = DeliveryFilter {
        subscription: Some(old.id),
        ..Default::default()
    };
    let page = PageRequest {
        limit: 100,
        after: None,
        offset: 0,
    };
    let rows = store.list_deliveries(&filter, &page).await.unwrap().rows;
    assert_eq!(rows.len(), 25);
    for row in rows {
        assert_eq!(
            (row.state, row.finished_at),
            (DeliveryState::Cancelled, Some(at(7)))
        );
        assert_eq!(row.progress.version, 1);
    }
}
