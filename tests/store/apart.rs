//! What is one tenant's alone, and what of all it may take.

use std::time::Duration;

use posthaste::clock;
use posthaste::domain::access::Preset;
use posthaste::domain::api_key::{ApiKey, IssuedKey};
use posthaste::domain::delivery::DeliveryState;
use posthaste::domain::id::{ApiKeyId, JobId, SubscriptionId};
use posthaste::domain::job::{Job, JobState, Selection, Total};
use posthaste::domain::signature::SigningSecret;
use posthaste::domain::signing::SigningSecrets;
use posthaste::domain::subscription::Subscription;
use posthaste::domain::tenant::{Tenant, TenantLimits, TenantStatus};
use posthaste::store::{
    Accepted, ApiKeyCreated, Changed, DeliveryFilter, JobCreated, Kept, Store, TenantDeleted,
};
use uuid::Uuid;

use crate::bed::Bed;
use crate::sample::{accepted, at, events, group, subscription};

on_both_stores!(
    a_search_of_a_tenants_walks_its_own_rows_alone,
    a_subscription_with_deliveries_is_handed_to_nobody,
    a_tenants_secret_goes_with_it,
    one_tenant_has_a_share_of_jobs_and_keys,
);

async fn subscribe(store: &dyn Store, tenant: Option<&str>) -> Subscription {
    let mut made = subscription("one");
    made.tenant = tenant.map(Into::into);
    made.version = store.create_subscription(&made).await.unwrap();
    made
}

/// Every delivery that a search looks at, stretch by stretch.
async fn walked(store: &dyn Store, filter: &DeliveryFilter, rows: u32) -> Vec<Uuid> {
    let (mut after, mut ids) = (None, Vec::new());
    loop {
        let stretch = store.walk_deliveries_back(filter, after, rows);
        let stretch = stretch.await.unwrap();
        assert!(stretch.rows.len() <= rows as usize);
        ids.extend(stretch.rows.iter().map(|row| row.id.0));
        if stretch.complete {
            return ids;
        }
        assert_eq!(
            stretch.end.map(|end| end.0),
            ids.last().copied(),
            "it leads on from a row of its own"
        );
        after = stretch.end;
    }
}

async fn a_search_of_a_tenants_walks_its_own_rows_alone(bed: Bed) {
    let store = &*bed.store;
    let own = [
        subscribe(store, Some("a")).await.id,
        subscribe(store, Some("a")).await.id,
    ];
    let other = subscribe(store, Some("b")).await.id;
    let sent = group(store, events(20), &[own[0], other]).await;
    assert_eq!(store.accept(&sent).await.unwrap(), Accepted::Committed);
    // One of them has more than the other, so that their shares end in different places.
    accepted(store, 7, own[1]).await;
    let sent = group(store, events(3), &[own[0], own[1], other]).await;
    assert_eq!(store.accept(&sent).await.unwrap(), Accepted::Committed);

    let of_a = DeliveryFilter {
        tenant: Some("a".to_owned()),
        ..DeliveryFilter::default()
    };
    let all = walked(store, &of_a, 500).await;
    assert_eq!(all.len(), 23 + 10);
    assert!(all.is_sorted_by(|one, next| one > next));
    for rows in [1, 2, 5, 33] {
        assert_eq!(walked(store, &of_a, rows).await, all, "{rows}");
    }
    let of_one = DeliveryFilter {
        subscription: Some(own[1]),
        ..of_a.clone()
    };
    assert_eq!(walked(store, &of_one, 4).await.len(), 10);
    let foreign = DeliveryFilter {
        subscription: Some(other),
        ..of_a.clone()
    };
    assert_eq!(walked(store, &foreign, 4).await, [] as [Uuid; 0]);
    let of_event = DeliveryFilter {
        event: Some(sent.events[0].id),
        ..of_a
    };
    assert_eq!(walked(store, &of_event, 4).await.len(), 2);
}

async fn a_subscription_with_deliveries_is_handed_to_nobody(bed: Bed) {
    let store = &*bed.store;
    let hand_over = async |stored: &Subscription, to: Option<&str>| {
        let mut next = stored.clone();
        next.tenant = to.map(Into::into);
        store.hand_subscription_over(&next, None).await.unwrap()
    };
    let fresh = subscribe(store, Some("a")).await;
    let Some(Changed::At(version)) = hand_over(&fresh, Some("b")).await else {
        panic!("it has no delivery");
    };
    assert_eq!(store.directory_version().await.unwrap(), version);
    let now = store.subscription(fresh.id).await.unwrap().unwrap();
    assert_eq!((now.tenant.as_deref(), now.version), (Some("b"), version));
    assert_eq!(hand_over(&fresh, None).await, Some(Changed::Overtaken));

    let used = subscribe(store, Some("a")).await;
    accepted(store, 1, used.id).await;
    for _ in ["pending", "final"] {
        for to in [Some("b"), None] {
            assert_eq!(hand_over(&used, to).await, None);
        }
        store.cancel_pending(used.id, &[], at(6), 10).await.unwrap();
    }
    let stored = store.subscription(used.id).await.unwrap().unwrap();
    assert_eq!(stored, used);
    // Whoever accepts for it meanwhile comes before or after, and never between.
    let contested = subscribe(store, Some("a")).await;
    let sent = group(store, events(1), &[contested.id]).await;
    let (handed, accepted) = tokio::join!(hand_over(&contested, Some("b")), store.accept(&sent));
    match (handed, accepted.unwrap()) {
        (None, Accepted::Committed) | (Some(Changed::At(_)), Accepted::DirectoryMoved) => {}
        both => panic!("{both:?}"),
    }
}

async fn a_tenants_secret_goes_with_it(bed: Bed) {
    let store = &*bed.store;
    let tenant = Tenant {
        id: "a".into(),
        place: clock::uuid(),
        name: "a".to_owned(),
        status: TenantStatus::Active,
        limits: TenantLimits::default(),
        created_at: at(0),
        updated_at: at(0),
        version: 0,
    };
    let version = store.create_tenant(&tenant).await.unwrap().unwrap();
    let secrets = SigningSecrets::only(SigningSecret::from_random([3; 32]));
    for name in ["a", "b"] {
        let kept = store.keep_tenant_secrets(name, &secrets, 0, at(1)).await;
        assert_eq!(kept.unwrap(), Kept::By(Vec::new()));
    }
    let stale = store.delete_tenant("a", version - 1, at(2)).await;
    assert_eq!(stale.unwrap(), TenantDeleted::Overtaken);
    assert!(store.tenant_secrets("a").await.unwrap().is_some());
    let done = store.delete_tenant("a", version, at(2)).await;
    assert_eq!(done.unwrap(), TenantDeleted::Done);
    assert!(store.tenant_secrets("a").await.unwrap().is_none());
    assert!(store.tenant_secrets("b").await.unwrap().is_some());
}

fn job(to: SubscriptionId) -> Job {
    Job {
        id: JobId(clock::uuid()),
        subscription_id: to,
        selection: Selection::States(vec![DeliveryState::Failed]),
        since: at(0),
        until: at(100),
        rate: 10,
        state: JobState::Queued,
        error: None,
        total: Total::default(),
        done: 0,
        skipped: 0,
        cursor: None,
        created_at: at(50),
        started_at: None,
        finished_at: None,
        version: 0,
    }
}

fn key(tenant: Option<&str>) -> ApiKey {
    let issued = IssuedKey::from_random(clock::random_bytes(), clock::random_bytes());
    ApiKey {
        id: ApiKeyId(clock::uuid()),
        name: "k".into(),
        public: issued.public,
        hash: issued.hash(),
        scopes: Preset::Client.scopes(),
        tenant: tenant.map(Into::into),
        created_at: at(0),
        expires_at: Some(at(0).plus(Duration::from_secs(9))),
        revoked_at: None,
        last_used_at: None,
        version: 0,
    }
}

async fn one_tenant_has_a_share_of_jobs_and_keys(bed: Bed) {
    let store = &*bed.store;
    let own = [
        subscribe(store, Some("a")).await.id,
        subscribe(store, Some("a")).await.id,
    ];
    let (other, free) = (
        subscribe(store, Some("b")).await.id,
        subscribe(store, None).await.id,
    );
    let (done, many) = (JobCreated::Done, JobCreated::TooMany);
    let create = async |to: SubscriptionId| store.create_job(&job(to), 8).await.unwrap();
    let first = job(own[0]);
    assert_eq!(store.create_job(&first, 8).await.unwrap(), done);
    assert_eq!(create(own[1]).await, done);
    for to in own {
        assert_eq!(create(to).await, many);
    }
    assert_eq!(
        store.create_job(&first, 8).await.unwrap(),
        done,
        "it stands"
    );
    assert_eq!(create(other).await, done);
    for _ in 0..5 {
        assert_eq!(create(free).await, done);
    }
    assert_eq!(create(free).await, many);
    let ended = store.end_job(first.id, JobState::Cancelled, None, at(60));
    ended.await.unwrap();
    assert_eq!(create(own[0]).await, done);

    let (done, many) = (ApiKeyCreated::Done, ApiKeyCreated::TooMany);
    let create = async |tenant| store.create_api_key(&key(tenant), 8).await.unwrap();
    assert_eq!(create(Some("a")).await, done);
    assert_eq!(create(Some("a")).await, done);
    assert_eq!(create(Some("a")).await, many);
    assert_eq!(create(Some("b")).await, done);
    for _ in 0..5 {
        assert_eq!(create(None).await, done);
    }
    assert_eq!(create(None).await, many);
}
