//! Tenants: made, changed, told by version, deleted where nothing is left; and what is theirs.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use posthaste::clock;
use posthaste::domain::delivery::DeliveryState;
use posthaste::domain::id::{JobId, SubscriptionId};
use posthaste::domain::job::{Job, JobState, Selection, Total};
use posthaste::domain::subscription::{REASON_BACKLOG_FULL, Subscription, SubscriptionState};
use posthaste::domain::tenant::{IngestRate, Tenant, TenantLimits, TenantStatus};
use posthaste::store::read::{MAX_PAGE, MAX_WALK};
use posthaste::store::{
    Accepted, Changed, DeliveryFilter, EventFilter, JobCreated, JobFilter, PageRequest, Store,
    TenantDeleted, TenantLeftovers,
};
use uuid::Uuid;

use crate::bed::Bed;
use crate::sample::{accepted, at, events, group, move_to, subscription};

on_both_stores!(
    a_tenant_is_kept_and_changed_as_it_was_read,
    changes_of_tenants_are_told_by_the_directorys_version,
    a_tenant_goes_when_nothing_of_it_is_left,
    no_more_subscriptions_than_the_bound_however_many_come_at_once,
    a_tenants_deliveries_and_jobs_are_those_of_its_subscriptions,
    a_tenants_list_ends_at_its_frontier_and_can_be_followed,
    a_full_hold_of_a_tenant_outlasts_its_reactivation,
);

const FIRST: PageRequest = PageRequest {
    limit: 100,
    after: None,
    offset: 0,
};

fn tenant(id: &str) -> Tenant {
    Tenant {
        id: id.into(),
        place: clock::uuid(),
        name: format!("{id} ✓"),
        status: TenantStatus::Active,
        limits: TenantLimits {
            ingest_rate: Some(IngestRate {
                per_second: None,
                per_minute: Some(90),
                burst: Some(7),
            }),
            max_subscriptions: Some(3),
            max_backlog: Some(1_000_000_000),
        },
        created_at: at(0),
        updated_at: at(1),
        version: 0,
    }
}

async fn make(store: &dyn Store, id: &str) -> Tenant {
    let mut tenant = tenant(id);
    tenant.version = store.create_tenant(&tenant).await.unwrap().unwrap();
    tenant
}

fn of(tenant: Option<&str>) -> Subscription {
    let mut made = subscription("one");
    made.tenant = tenant.map(Into::into);
    made
}

async fn subscribe(store: &dyn Store, tenant: Option<&str>) -> Subscription {
    let mut made = of(tenant);
    made.version = store.create_subscription(&made).await.unwrap();
    made
}

async fn a_tenant_is_kept_and_changed_as_it_was_read(bed: Bed) {
    let store = &*bed.store;
    let first = make(store, "a").await;
    assert_eq!(store.tenant("a").await.unwrap(), Some(first.clone()));
    assert_eq!(store.tenant("b").await.unwrap(), None);
    assert_eq!(store.create_tenant(&tenant("a")).await.unwrap(), None);
    assert_eq!(store.tenant("a").await.unwrap(), Some(first.clone()));

    let mut next = Tenant {
        name: "other".to_owned(),
        status: TenantStatus::Inactive,
        limits: TenantLimits::default(),
        updated_at: at(9),
        ..first.clone()
    };
    let Changed::At(version) = store.update_tenant(&next).await.unwrap() else {
        panic!("it is as it was read");
    };
    assert_eq!(
        store.update_tenant(&next).await.unwrap(),
        Changed::Overtaken
    );
    next.version = version;
    assert_eq!(store.tenant("a").await.unwrap(), Some(next.clone()));
    let unknown = tenant("none");
    assert_eq!(
        store.update_tenant(&unknown).await.unwrap(),
        Changed::Overtaken
    );

    let others = [make(store, "b").await, make(store, "c").await];
    let page = PageRequest { limit: 2, ..FIRST };
    let newest = store.list_tenants(&page).await.unwrap();
    assert_eq!(newest.rows, [others[1].clone(), others[0].clone()]);
    let rest = PageRequest {
        after: newest.next,
        ..page
    };
    let rest = store.list_tenants(&rest).await.unwrap();
    assert_eq!((rest.rows, rest.next), (vec![next], None));
}

async fn changes_of_tenants_are_told_by_the_directorys_version(bed: Bed) {
    let store = &*bed.store;
    let before = store.directory_version().await.unwrap();
    let a = make(store, "a").await;
    assert!(a.version > before);
    assert_eq!(store.directory_version().await.unwrap(), a.version);
    let b = make(store, "b").await;
    let all = store.directory_since(0).await.unwrap();
    assert_eq!((all.version, all.tenants.len()), (b.version, 2));
    let later = store.directory_since(a.version).await.unwrap();
    assert_eq!(later.tenants, std::slice::from_ref(&b));
    let deleted = store.delete_tenant("b", b.version, at(5)).await.unwrap();
    assert_eq!(deleted, TenantDeleted::Done);
    let told = store.directory_since(b.version).await.unwrap();
    assert_eq!(told.tenants.len(), 1);
    assert_eq!(told.tenants[0].status, TenantStatus::Deleted);
    assert_eq!(told.version, told.tenants[0].version);
    assert_eq!(store.directory_since(0).await.unwrap().tenants, [a]);
}

async fn a_tenant_goes_when_nothing_of_it_is_left(bed: Bed) {
    let store = &*bed.store;
    let made = make(store, "a").await;
    let own = subscribe(store, Some("a")).await;
    subscribe(store, Some("b")).await;
    let left = |left| TenantDeleted::Left(left);
    let delete = async |version| store.delete_tenant("a", version, at(5)).await.unwrap();
    let nothing = TenantLeftovers::default();
    let subscriptions = TenantLeftovers {
        subscriptions: 1,
        ..nothing
    };
    assert_eq!(delete(made.version).await, left(subscriptions));
    // Of an event without a tenant.
    let pending = accepted(store, 1, own.id).await;
    move_to(store, &own, SubscriptionState::Deleted).await;
    let deliveries = TenantLeftovers {
        deliveries: true,
        ..nothing
    };
    assert_eq!(delete(made.version).await, left(deliveries));
    store.cancel_pending(own.id, &[], at(6), 10).await.unwrap();
    assert_eq!(
        delete(made.version).await,
        left(deliveries),
        "final ones too"
    );
    let mut sent = events(1);
    sent[0].tenant = Some("a".into());
    let sent = group(store, sent, &[]).await;
    assert_eq!(store.accept(&sent).await.unwrap(), Accepted::Committed);
    let both = TenantLeftovers {
        events: true,
        ..deliveries
    };
    assert_eq!(delete(made.version).await, left(both));
    assert_eq!(pending.len(), 1);

    let other = make(store, "c").await;
    let stale = store.delete_tenant("c", other.version - 1, at(5)).await;
    assert_eq!(stale.unwrap(), TenantDeleted::Overtaken);
    let done = store.delete_tenant("c", other.version, at(5)).await;
    assert_eq!(done.unwrap(), TenantDeleted::Done);
    assert_eq!(store.tenant("c").await.unwrap(), None);
    let page = store.list_tenants(&FIRST).await.unwrap();
    assert_eq!(page.rows, [made]);
    // The id is free again.
    let again = make(store, "c").await;
    assert_eq!(store.tenant("c").await.unwrap(), Some(again));
}

async fn no_more_subscriptions_than_the_bound_however_many_come_at_once(bed: Bed) {
    let store = Arc::clone(&bed.store);
    subscribe(&*store, Some("b")).await;
    let gone = subscribe(&*store, Some("a")).await;
    move_to(&*store, &gone, SubscriptionState::Deleted).await;
    let tries = (0..12).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let made = of(Some("a"));
            store.create_subscription_within(&made, 5).await.unwrap()
        })
    });
    let answers = join_all(tries).await;
    let made: BTreeSet<i64> = answers.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(made.len(), 5);
    let page = store.list_subscriptions(Some("a"), &FIRST).await.unwrap();
    assert_eq!(page.rows.len(), 5);
    let none = store.create_subscription_within(&of(Some("c")), 0).await;
    assert_eq!(none.unwrap(), None);
    let bare = of(Some("a"));
    assert_eq!(
        store.create_subscription_within(&bare, 6).await.unwrap(),
        Some(store.directory_version().await.unwrap())
    );
    assert!(store.subscription(bare.id).await.unwrap().is_some());
}

async fn all_deliveries(store: &dyn Store, filter: &DeliveryFilter, limit: u32) -> Vec<Uuid> {
    let mut request = PageRequest { limit, ..FIRST };
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

async fn a_tenants_deliveries_and_jobs_are_those_of_its_subscriptions(bed: Bed) {
    let store = &*bed.store;
    let own = [
        subscribe(store, Some("a")).await,
        subscribe(store, Some("a")).await,
    ];
    let other = subscribe(store, Some("b")).await;
    let free = subscribe(store, None).await;
    let to = [own[0].id, own[1].id, other.id, free.id];
    let mut sent = events(20);
    sent[7].event_type = posthaste::domain::event_type::EventType::from_stored("job.closed");
    let sent = group(store, sent, &to).await;
    assert_eq!(store.accept(&sent).await.unwrap(), Accepted::Committed);
    // What was its own stays its own when the subscription goes.
    move_to(store, &own[1], SubscriptionState::Deleted).await;
    store
        .cancel_pending(own[1].id, &[], at(6), 5)
        .await
        .unwrap();

    let of_a = DeliveryFilter {
        tenant: Some("a".to_owned()),
        ..DeliveryFilter::default()
    };
    let expected = |wanted: &[SubscriptionId]| {
        let made = sent.deliveries.iter();
        let mut ids: Vec<Uuid> = made
            .filter(|one| wanted.contains(&one.subscription_id))
            .map(|one| one.id.0)
            .collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids
    };
    for limit in [1, 3, 40, 100] {
        let ids = all_deliveries(store, &of_a, limit).await;
        assert_eq!(ids, expected(&[own[0].id, own[1].id]), "{limit}");
    }
    let filtered = |filter: DeliveryFilter| async move {
        let page = store.list_deliveries(&filter, &FIRST).await.unwrap();
        assert!(page.next.is_none() && !page.partial);
        page.rows
    };
    let of_one = DeliveryFilter {
        subscription: Some(own[0].id),
        ..of_a.clone()
    };
    assert_eq!(filtered(of_one).await.len(), 20);
    let of_another = DeliveryFilter {
        subscription: Some(other.id),
        ..of_a.clone()
    };
    assert_eq!(filtered(of_another).await, []);
    let cancelled = DeliveryFilter {
        state: Some(DeliveryState::Cancelled),
        ..of_a.clone()
    };
    assert_eq!(filtered(cancelled).await.len(), 5);
    let of_type = DeliveryFilter {
        event_type: Some("job.closed".to_owned()),
        ..of_a.clone()
    };
    assert_eq!(filtered(of_type).await.len(), 2);
    let of_event = DeliveryFilter {
        event: Some(sent.events[3].id),
        ..of_a.clone()
    };
    assert_eq!(filtered(of_event).await.len(), 2);
    let unknown = DeliveryFilter {
        tenant: Some("c".to_owned()),
        ..DeliveryFilter::default()
    };
    assert_eq!(filtered(unknown).await, []);
    let offset = PageRequest {
        offset: 38,
        ..FIRST
    };
    let last = store.list_deliveries(&of_a, &offset).await.unwrap();
    let all = expected(&[own[0].id, own[1].id]);
    assert_eq!(
        last.rows.iter().map(|row| row.id.0).collect::<Vec<_>>(),
        all[38..]
    );

    let mut jobs = Vec::new();
    for to in to {
        let made = job(to);
        assert_eq!(store.create_job(&made, 10).await.unwrap(), JobCreated::Done);
        jobs.push(made.id);
    }
    let listed = |filter: JobFilter| async move {
        let page = store.list_jobs(&filter, &FIRST).await.unwrap();
        page.rows.iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let of_a = JobFilter {
        tenant: Some("a".to_owned()),
        ..JobFilter::default()
    };
    assert_eq!(listed(of_a.clone()).await, [jobs[1], jobs[0]]);
    let running = JobFilter {
        state: Some(JobState::Running),
        ..of_a.clone()
    };
    assert_eq!(listed(running).await, []);
    let of_another = JobFilter {
        subscription: Some(other.id),
        ..of_a
    };
    assert_eq!(listed(of_another).await, []);
}

/// One busy subscription and one that is hardly used: the rows of the second stand in their places,
/// however many of the first lie between, and no row comes twice or not at all.
async fn a_tenants_list_ends_at_its_frontier_and_can_be_followed(bed: Bed) {
    let store = &*bed.store;
    let busy = subscribe(store, Some("a")).await.id;
    let quiet = subscribe(store, Some("a")).await.id;
    let rare = accepted(store, 3, quiet).await;
    let many = MAX_WALK as usize / 2 + 200;
    let mut made = rare.clone();
    for start in (0..many).step_by(1_000) {
        made.extend(accepted(store, 1_000.min(many - start), busy).await);
    }
    made.extend(accepted(store, 2, quiet).await);
    let mut expected: Vec<Uuid> = made.iter().map(|one| one.id.0).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let filter = DeliveryFilter {
        tenant: Some("a".to_owned()),
        ..DeliveryFilter::default()
    };
    assert_eq!(all_deliveries(store, &filter, MAX_PAGE).await, expected);
    // Nothing of what is looked for lies above the frontier.
    store.cancel_pending(quiet, &[], at(6), 10).await.unwrap();
    let cancelled = DeliveryFilter {
        state: Some(DeliveryState::Cancelled),
        ..filter
    };
    let first = store.list_deliveries(&cancelled, &FIRST).await.unwrap();
    assert_eq!((first.rows.len(), first.partial), (2, true));
    let found = all_deliveries(store, &cancelled, MAX_PAGE).await;
    assert_eq!(found.len(), 5);

    let of_events = EventFilter {
        tenant: Some("a".to_owned()),
        ..EventFilter::default()
    };
    // No event here has a tenant, and none is walked.
    let none = store.list_events(&of_events, &FIRST).await.unwrap();
    assert_eq!((none.rows.len(), none.next, none.partial), (0, None, false));
}

async fn a_full_hold_of_a_tenant_outlasts_its_reactivation(bed: Bed) {
    let store = &*bed.store;
    let made = subscribe(store, Some("a")).await;
    let reason = Some(REASON_BACKLOG_FULL);
    let mut full = made
        .moved_to(SubscriptionState::Deactivated, reason, at(5))
        .unwrap();
    full.hold.full_since = Some(at(5));
    let Changed::At(version) = store.update_subscription(&full, None).await.unwrap() else {
        panic!("it is as it was read");
    };
    full.version = version;
    let history = store.history(made.id, &FIRST).await.unwrap().rows;
    assert_eq!(history.len(), 2, "one entry for the deactivation");
    assert_eq!(history[0].change.reason.as_deref(), reason);
    let active = move_to(store, &full, SubscriptionState::Active).await;
    let stored = store.subscription(made.id).await.unwrap().unwrap();
    assert_eq!(stored, active);
    assert!(stored.skips());
}
