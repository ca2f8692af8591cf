//! Statistics: they agree with the tables whatever happened, count nothing twice, and are folded by
//! one at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use posthaste::clock;
use posthaste::domain::Timestamp;
use posthaste::domain::delivery::{AttemptRecord, DeliveryState, PendingDelivery};
use posthaste::domain::event_type::EventType;
use posthaste::domain::id::{DeliveryId, JobId, SubscriptionId};
use posthaste::domain::job::{Job, JobState, Selection, Total};
use posthaste::domain::ordering::Ordering;
use posthaste::domain::outcome::CallResult;
use posthaste::domain::statistics::{Figures, Piece, Scope, Width, cover};
use posthaste::domain::subscription::{Subscription, SubscriptionState};
use posthaste::domain::tenant::{Tenant, TenantLimits, TenantStatus};
use posthaste::store::{
    AcceptGroup, Accepted, DeliveryFilter, DeliveryRow, Ending, Folded, JobBatch, JobMoved,
    JobWork, Moved, PageRequest, PostgresStore, RecordGroup, Replayed, SqliteStore, Statistics,
    StatisticsQuery, Store, TenantDeleted, Whose,
};
use sqlx::{Connection, Executor};

use crate::bed::Bed;
use crate::sample::{
    accepted, answer, answered, at, event, event_at, events, group, move_to, outcome, record_group,
    record_of, recorded, subscribe, subscription,
};

on_both_stores!(
    counts_agree_with_the_tables_after_any_history,
    a_group_that_is_run_again_counts_once,
    of_a_group_counts_what_it_stores,
    a_stale_or_fenced_attempt_is_counted_and_moves_no_count,
    what_is_folded_counts_as_before,
    of_many_who_fold_at_once_each_delta_is_folded_once,
    one_fold_is_bounded_in_what_it_is_about,
    old_buckets_go_and_totals_stay,
    tenants_have_their_own,
    a_tenant_leaves_nothing_to_who_gets_its_name,
    latency_is_from_acceptance_to_arrival,
    a_line_that_is_released_is_counted,
    what_was_there_before_the_tables_is_counted,
    the_oldest_pending_is_found,
    breakers_that_are_not_closed_are_found,
    forgetting_takes_nothing_from_the_counts,
);

const PAGE: PageRequest = PageRequest {
    limit: 100,
    after: None,
    offset: 0,
};

async fn read(store: &dyn Store, scope: Scope, pieces: &[Piece]) -> Statistics {
    let query = StatisticsQuery {
        whose: Whose::Scopes(vec![scope]),
        pieces: pieces.to_vec(),
    };
    store.statistics(&query).await.unwrap()
}

/// All that ever was.
async fn ever(store: &dyn Store, scope: Scope) -> Figures {
    let found = read(store, scope, &[Piece::EVER]).await;
    assert!(!found.behind);
    found.sum(&[Piece::EVER])
}

async fn fold(store: &dyn Store) -> u32 {
    let mut deltas = 0;
    loop {
        let folded = store.fold_statistics(1_000).await.unwrap();
        deltas += folded.deltas;
        if !folded.more {
            return deltas;
        }
    }
}

async fn rows(store: &dyn Store, of: SubscriptionId) -> Vec<DeliveryRow> {
    let filter = DeliveryFilter {
        subscription: Some(of),
        ..DeliveryFilter::default()
    };
    let page = store.list_deliveries(&filter, &PAGE).await.unwrap();
    assert_eq!(page.next, None, "a history is that short");
    page.rows
}

/// Counts by hand what the tables hold, and compares.
async fn agree(store: &dyn Store, of: &[SubscriptionId], accepted: u64, when: &str) {
    let mut all = Figures::default();
    for id in of {
        let figures = ever(store, Scope::Subscription(*id)).await;
        let rows = rows(store, *id).await;
        for state in DeliveryState::ALL {
            let there = rows.iter().filter(|row| row.state == state).count();
            assert_eq!(figures.now_in(state), there as u64, "{state:?} {when}");
        }
        let mut attempts = 0;
        for row in &rows {
            attempts += store.attempts(row.id, 1_000).await.unwrap().len() as u64;
        }
        assert_eq!(figures.all_attempts(), attempts, "attempts {when}");
        assert_eq!(figures.duration.count(), attempts, "durations {when}");
        assert_eq!(figures.made(), rows.len() as u64, "made {when}");
        all.add(&figures);
    }
    let mut everybody = ever(store, Scope::All).await;
    assert_eq!(everybody.accepted, accepted, "events {when}");
    assert_eq!(
        everybody.types.known.values().sum::<u64>(),
        accepted,
        "{when}"
    );
    everybody.accepted = 0;
    everybody.types = Default::default();
    assert_eq!(everybody, all, "all {when}");
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((drawn ^ (drawn >> 31)) % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len())])
    }
}

fn pending(row: &DeliveryRow) -> PendingDelivery {
    PendingDelivery {
        id: row.id,
        event_id: row.event_id,
        subscription_id: row.subscription_id,
        due_at: row.due_at,
        progress: row.progress,
    }
}

/// A history as it goes on.
struct History<'a> {
    bed: &'a Bed,
    chance: Chance,
    to: [Subscription; 2],
    accepted: u64,
    last_accept: Option<AcceptGroup>,
    last_record: Option<RecordGroup>,
}

impl History<'_> {
    fn store(&self) -> &dyn Store {
        &*self.bed.store
    }

    async fn some_rows(&mut self, wanted: impl Fn(&DeliveryRow) -> bool) -> Vec<DeliveryRow> {
        let of = self.to[self.chance.below(2)].id;
        let mut rows = rows(self.store(), of).await;
        rows.retain(wanted);
        rows.truncate(1 + self.chance.below(4));
        rows
    }

    async fn accept(&mut self) {
        let count = 1 + self.chance.below(2);
        let ids = self.to.each_ref().map(|one| one.id);
        let mut group = group(self.store(), events(count), &ids).await;
        if self.chance.below(3) == 0 {
            let is_last = |one: &PendingDelivery| one.subscription_id == ids[1];
            group.skipped = group
                .deliveries
                .extract_if(.., |one| is_last(one))
                .collect();
        }
        let done = self.store().accept(&group).await.unwrap();
        assert_eq!(done, Accepted::Committed);
        self.accepted += count as u64;
        self.last_accept = Some(group);
    }

    async fn record(&mut self) {
        let rows = self.some_rows(|row| !row.state.is_final()).await;
        let records: Vec<AttemptRecord> = rows
            .iter()
            .map(|row| {
                let mut delivery = pending(row);
                if self.chance.below(5) == 0 {
                    // Somebody moved it meanwhile.
                    delivery.progress.version -= 1;
                }
                answered(delivery, [200, 500, 404][self.chance.below(3)])
            })
            .collect();
        let mut group = record_group(self.bed.epoch, records);
        if self.chance.below(6) == 0 {
            // Of an owner that is none any more.
            group.epoch -= 1;
        }
        let _ = self.store().record(&group).await;
        self.last_record = Some(group);
    }

    async fn again(&mut self) {
        if let Some(group) = &self.last_accept {
            let group = AcceptGroup {
                directory_version: group.directory_version - self.chance.below(2) as i64,
                ..group.clone()
            };
            assert_eq!(
                self.store().accept(&group).await.unwrap(),
                Accepted::Committed
            );
        }
        if let Some(mut group) = self.last_record.clone() {
            group.rerun = self.chance.below(2) == 0;
            let _ = self.store().record(&group).await;
        }
    }

    async fn job(&mut self) {
        let finals = self.some_rows(|row| row.state.is_final()).await;
        let place = self.chance.below(2);
        let to = &self.to[place];
        let work = match self.chance.below(2) {
            0 => JobWork::Retry(finals.iter().map(|row| row.id).collect()),
            _ => {
                // One event that nobody was sent, and what was delivered to whomever.
                let lone = group(self.store(), events(1), &[]).await;
                assert_eq!(
                    self.store().accept(&lone).await.unwrap(),
                    Accepted::Committed
                );
                self.accepted += 1;
                let events = finals.iter().map(|row| row.event_id);
                let events = events.chain([lone.events[0].id]).map(|event| Replayed {
                    delivery: DeliveryId::of(event, to.id),
                    event,
                    payload_bytes: 1,
                });
                JobWork::Replay(events.collect())
            }
        };
        let job = Job {
            id: JobId(clock::uuid()),
            subscription_id: to.id,
            selection: Selection::States(vec![DeliveryState::Failed]),
            since: at(0),
            until: at(60),
            rate: 7,
            state: JobState::Queued,
            error: None,
            total: Total {
                count: 1,
                at_least: false,
            },
            done: 0,
            skipped: 0,
            cursor: None,
            created_at: at(5),
            started_at: None,
            finished_at: None,
            version: 0,
        };
        self.store().create_job(&job, 1_000).await.unwrap();
        let batch = JobBatch {
            epoch: self.bed.epoch,
            job: job.id,
            version: 0,
            subscription: to.id,
            subscription_version: to.version,
            work,
            cursor: None,
            complete: true,
            now: at(50),
        };
        let moved = self.store().move_job(&batch).await.unwrap();
        assert!(matches!(moved, JobMoved::Done { .. }), "{moved:?}");
        // Once more: overtaken, and nothing counted.
        let moved = self.store().move_job(&batch).await.unwrap();
        assert_eq!(moved, JobMoved::Overtaken);
    }

    async fn by_hand(&mut self) {
        let rows = self.some_rows(|_| true).await;
        let Some(row) = self.chance.pick(&rows).cloned() else {
            return;
        };
        let version = row.progress.version - i64::from(self.chance.below(4) == 0);
        let store = self.store();
        match row.state.is_final() {
            true => store.retry_delivery(row.id, version, at(20)).await,
            false if row.progress.round % 2 == 0 => {
                store.hasten_delivery(row.id, &row.progress, at(20)).await
            }
            false => store.cancel_delivery(row.id, version, at(20)).await,
        }
        .unwrap();
    }

    async fn in_bulk(&mut self) {
        let place = self.chance.below(2);
        let id = self.to[place].id;
        if self.chance.below(2) == 0 {
            self.store()
                .cancel_pending(id, &[], at(9), 2)
                .await
                .unwrap();
            return;
        }
        let held = move_to(
            self.store(),
            &self.to[place],
            SubscriptionState::Deactivated,
        )
        .await;
        let ending = Ending::Expired(at(500));
        self.store()
            .end_held(id, ending, &[], at(600), 2)
            .await
            .unwrap();
        self.to[place] = move_to(self.store(), &held, SubscriptionState::Active).await;
        // What was matched before is matched against that.
        if let Some(group) = &mut self.last_accept {
            group.directory_version = self.bed.store.directory_version().await.unwrap();
        }
    }
}

async fn counts_agree_with_the_tables_after_any_history(bed: Bed) {
    let store = &*bed.store;
    let mut all = Vec::new();
    let mut accepted = 0;
    for seed in 0..4 {
        let to = [subscribe(store, "a").await, subscribe(store, "b").await];
        all.extend(to.iter().map(|one| one.id));
        let mut history = History {
            bed: &bed,
            chance: Chance(seed),
            to,
            accepted,
            last_accept: None,
            last_record: None,
        };
        for step in 0..40 {
            let choice = history.chance.below(10);
            match choice {
                0 | 1 => history.accept().await,
                2..=4 => history.record().await,
                5 => history.again().await,
                6 => history.job().await,
                7 => history.by_hand().await,
                8 => history.in_bulk().await,
                _ => drop(store.fold_statistics(1 + step).await.unwrap()),
            }
            let when = format!("after step {step} ({choice}) of seed {seed}");
            agree(store, &all, history.accepted, &when).await;
        }
        accepted = history.accepted;
    }
    fold(store).await;
    agree(store, &all, accepted, "in the end").await;
    let settled = store.fold_statistics(10).await.unwrap();
    assert_eq!(settled, Folded::default());
}

async fn a_group_that_is_run_again_counts_once(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let first = group(store, events(3), &[to]).await;
    for _ in 0..3 {
        assert_eq!(store.accept(&first).await.unwrap(), Accepted::Committed);
    }
    // Even where the directory has moved, and where its deliveries have.
    subscribe(store, "b").await;
    let records = first.deliveries.iter().map(|one| answered(*one, 200));
    let mut outcomes = record_group(bed.epoch, records.collect());
    for rerun in [false, true, true, false] {
        outcomes.rerun = rerun;
        store.record(&outcomes).await.unwrap();
        assert_eq!(store.accept(&first).await.unwrap(), Accepted::Committed);
        fold(store).await;
    }
    agree(store, &[to], 3, "run again").await;
    let figures = ever(store, Scope::All).await;
    assert_eq!((figures.accepted, figures.all_attempts()), (3, 3));
    assert_eq!(figures.came_into(DeliveryState::Delivered), 3);
}

/// An operational event may be accepted by several at a time: one of them stores it.
async fn of_a_group_counts_what_it_stores(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut own = event("{}");
    own.event_type = EventType::from_stored("posthaste.delivery.failed");
    let alone = group(store, vec![own.clone()], &[to]).await;
    assert_eq!(store.accept(&alone).await.unwrap(), Accepted::Committed);
    let other = group(store, vec![own, event("2")], &[to]).await;
    assert_eq!(store.accept(&other).await.unwrap(), Accepted::Committed);
    agree(store, &[to], 2, "with one that stood").await;
    let types = ever(store, Scope::All).await.types.known;
    assert_eq!(types["posthaste.delivery.failed"], 1);
    assert_eq!(types["job.created"], 1);
    // What is refused leaves nothing.
    let mut late = group(store, events(1), &[to]).await;
    late.directory_version -= 1;
    assert_eq!(store.accept(&late).await.unwrap(), Accepted::DirectoryMoved);
    agree(store, &[to], 2, "with one that was refused").await;
}

async fn a_stale_or_fenced_attempt_is_counted_and_moves_no_count(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let deliveries = accepted(store, 3, to).await;
    let early = store.cancel_delivery(deliveries[0].id, 0, at(1)).await;
    assert_eq!(early.unwrap(), Moved::Done);
    let records = deliveries.iter().map(|one| answered(*one, 200)).collect();
    store
        .record(&record_group(bed.epoch, records))
        .await
        .unwrap();
    let late = accepted(store, 1, to).await[0];
    let fenced = record_group(bed.epoch - 1, vec![answered(late, 200)]);
    assert!(store.record(&fenced).await.is_err());
    let figures = ever(store, Scope::Subscription(to)).await;
    assert_eq!(
        (
            figures.all_attempts(),
            figures.now_in(DeliveryState::Delivered)
        ),
        (4, 2)
    );
    assert_eq!(figures.latency.count(), 2);
    agree(store, &[to], 4, "with stale ones").await;
}

async fn what_is_folded_counts_as_before(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    for minute in [0, 1, 59, 60, 1_440] {
        let mut accepted = group(store, events(2), &[to]).await;
        accepted.now = at(minute * 60);
        store.accept(&accepted).await.unwrap();
        let mut outcomes = record_group(bed.epoch, vec![answered(accepted.deliveries[0], 500)]);
        outcomes.now = at(minute * 60 + 30);
        store.record(&outcomes).await.unwrap();
    }
    let pieces = [
        vec![Piece::EVER],
        cover(at(0), at(86_400 * 2), Width::Minute),
        cover(at(0), at(3_600), Width::Minute),
        cover(at(60), at(120), Width::Minute),
        cover(at(0), at(3_600), Width::Hour),
        cover(at(0), at(3_600), Width::Day),
    ];
    let mut seen = Vec::new();
    for folded in [false, true] {
        let mut now = Vec::new();
        for scope in [Scope::All, Scope::Subscription(to)] {
            for pieces in &pieces {
                now.push(read(store, scope.clone(), pieces).await.sum(pieces));
            }
        }
        seen.push(now);
        assert_eq!(fold(store).await > 0, !folded);
    }
    assert_eq!(seen[0], seen[1]);
    let made: Vec<u64> = seen[0].iter().map(Figures::made).collect();
    assert_eq!(made[..6], [10, 10, 6, 2, 6, 8]);
    assert_eq!(made[..6], made[6..]);
    // Of all subscriptions at a time, folded.
    let query = StatisticsQuery {
        whose: Whose::Subscriptions { most: 100 },
        pieces: cover(at(0), at(3_600), Width::Hour),
    };
    let found = store.statistics(&query).await.unwrap();
    assert_eq!(found.buckets.len(), 1);
    assert_eq!(found.buckets[0].scope, Scope::Subscription(to));
}

async fn another(bed: &Bed) -> Arc<dyn Store> {
    match bed.is_postgres() {
        true => Arc::new(PostgresStore::connect(&bed.settings).await.unwrap()),
        false => Arc::new(SqliteStore::open(&bed.settings).await.unwrap()),
    }
}

async fn of_many_who_fold_at_once_each_delta_is_folded_once(bed: Bed) {
    let to = subscribe(&*bed.store, "a").await.id;
    // Two processes, with several who fold and accept in each.
    let other = another(&bed).await;
    let work = (0..8).map(|n| {
        let store = if n % 2 == 0 {
            bed.store.clone()
        } else {
            other.clone()
        };
        tokio::spawn(async move {
            let mut folded = 0;
            for _ in 0..10 {
                accepted(&*store, 1, to).await;
                folded += store.fold_statistics(3).await.unwrap().deltas;
            }
            folded
        })
    });
    let folded: u32 = join_all(work).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(folded + fold(&*bed.store).await, 80);
    agree(&*bed.store, &[to], 80, "folded by many").await;
    other.close().await;
}

async fn one_fold_is_bounded_in_what_it_is_about(bed: Bed) {
    let store = &*bed.store;
    let ids: Vec<SubscriptionId> = (0..100).map(|_| SubscriptionId(clock::uuid())).collect();
    for minute in 0..20 {
        let mut accepted = group(store, events(1), &ids).await;
        accepted.now = at(minute * 60);
        store.accept(&accepted).await.unwrap();
    }
    let first = store.fold_statistics(1_000).await.unwrap();
    assert!(first.more && first.deltas < 20, "{first:?}");
    assert_eq!(first.deltas + fold(store).await, 20);
    assert_eq!(ever(store, Scope::All).await.made(), 2_000);
    assert_eq!(ever(store, Scope::Subscription(ids[7])).await.made(), 20);
}

async fn old_buckets_go_and_totals_stay(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    for minute in [0, 1, 2, 200] {
        let mut accepted = group(store, events(1), &[to]).await;
        accepted.now = at(minute * 60);
        store.accept(&accepted).await.unwrap();
    }
    fold(store).await;
    let forget = async |width, before: Timestamp, limit| {
        store.forget_statistics(width, before, limit).await.unwrap()
    };
    // Three minutes of all and of the subscription, in batches.
    assert_eq!(forget(Width::Minute, at(180), 4).await, 4);
    assert_eq!(forget(Width::Minute, at(180), 4).await, 2);
    assert_eq!(forget(Width::Minute, at(180), 4).await, 0);
    let of = async |width| {
        let pieces = cover(at(0), at(86_400), width);
        let pieces: Vec<Piece> = pieces
            .into_iter()
            .map(|piece| Piece { width, ..piece })
            .collect();
        read(store, Scope::All, &pieces).await.sum(&pieces).accepted
    };
    assert_eq!((of(Width::Minute).await, of(Width::Hour).await), (1, 4));
    assert_eq!(forget(Width::Hour, at(3_600), 100).await, 2);
    assert_eq!((of(Width::Hour).await, of(Width::Day).await), (1, 4));
    assert_eq!(ever(store, Scope::All).await.accepted, 4);
}

async fn tenants_have_their_own(bed: Bed) {
    let store = &*bed.store;
    let mut of_acme = subscription("a");
    of_acme.tenant = Some("acme".into());
    store.create_subscription(&of_acme).await.unwrap();
    let free = subscribe(store, "b").await.id;
    let mut theirs = event("1");
    theirs.tenant = Some("acme".into());
    let group = group(store, vec![theirs, event("2")], &[of_acme.id, free]).await;
    store.accept(&group).await.unwrap();
    let record = answered(group.deliveries[0], 200);
    recorded(store, bed.epoch, record).await;
    for folded in [false, true] {
        let acme = ever(store, Scope::Tenant("acme".into())).await;
        assert_eq!((acme.accepted, acme.made(), acme.all_attempts()), (1, 2, 1));
        assert_eq!(acme.now_in(DeliveryState::Pending), 1);
        let other = ever(store, Scope::Tenant("all".into())).await;
        assert_eq!(other, Figures::default());
        assert_eq!(ever(store, Scope::All).await.made(), 4);
        assert_eq!(fold(store).await > 0, !folded);
    }
}

async fn a_tenant_leaves_nothing_to_who_gets_its_name(bed: Bed) {
    let store = &*bed.store;
    let tenant = |id: &str| Tenant {
        id: id.into(),
        place: clock::uuid(),
        name: id.to_owned(),
        status: TenantStatus::Active,
        limits: TenantLimits::default(),
        created_at: at(1),
        updated_at: at(1),
        version: 0,
    };
    let version = store.create_tenant(&tenant("acme")).await.unwrap().unwrap();
    let of = |tenant: &str| Scope::Tenant(tenant.into());
    let mut sent = [event_at(at(0)), event_at(at(0))];
    sent[0].tenant = Some("acme".into());
    sent[1].tenant = Some("acme2".into());
    let group = group(store, sent.to_vec(), &[]).await;
    store.accept(&group).await.unwrap();
    fold(store).await;
    assert_eq!(ever(store, of("acme")).await.accepted, 1);
    let mut after = None;
    loop {
        let forgotten = store.forget_events(at(9), after, 100).await.unwrap();
        after = forgotten.next;
        if after.is_none() {
            break;
        }
    }
    let deleted = store.delete_tenant("acme", version, at(9)).await.unwrap();
    assert_eq!(deleted, TenantDeleted::Done);
    store.create_tenant(&tenant("acme")).await.unwrap().unwrap();
    assert_eq!(ever(store, of("acme")).await, Figures::default());
    assert_eq!(ever(store, of("acme2")).await.accepted, 1);
    assert_eq!(ever(store, Scope::All).await.accepted, 2);
}

async fn latency_is_from_acceptance_to_arrival(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let group = group(store, vec![event_at(at(0)), event_at(at(0))], &[to]).await;
    store.accept(&group).await.unwrap();
    // Begun at second 1, and 1.5 ms long.
    recorded(store, bed.epoch, answered(group.deliveries[0], 200)).await;
    // One that is brought back by hand tells nothing of how long events take.
    let mut again = group.deliveries[1];
    recorded(store, bed.epoch, answered(again, 410)).await;
    store.retry_delivery(again.id, 1, at(5)).await.unwrap();
    again.progress = store.delivery(again.id).await.unwrap().unwrap().progress;
    recorded(
        store,
        bed.epoch,
        record_of(again, outcome(CallResult::Answer(answer(200, None)))),
    )
    .await;
    let figures = ever(store, Scope::Subscription(to)).await;
    assert_eq!((figures.latency.count(), figures.duration.count()), (1, 3));
    assert_eq!(figures.now_in(DeliveryState::Delivered), 2);
    assert_eq!(figures.retries, 1);
    let about = |told: Duration, micros: u64| {
        let told = told.as_micros() as u64;
        assert!(told.abs_diff(micros) <= micros / 16 + 1_000, "{told}");
    };
    about(figures.latency.percentile(50).unwrap(), 1_001_500);
    about(figures.duration.percentile(99).unwrap(), 1_500);
    about(figures.duration.mean().unwrap(), 1_500);
}

async fn a_line_that_is_released_is_counted(bed: Bed) {
    let store = &*bed.store;
    let (to, rule) = crate::ordering::subscribe(store, Ordering::All).await;
    let mut accepted = group(store, events(2), &[to]).await;
    accepted.ordered = [(to, Ordering::All)].into();
    store.accept(&accepted).await.unwrap();
    let version = crate::ordering::fails(&bed, accepted.deliveries[0], &rule).await;
    agree(store, &[to], 2, "blocked").await;
    let release = async |version| {
        let id = accepted.deliveries[0].id;
        let state = DeliveryState::Skipped;
        store.release_line(id, version, state, at(9)).await.unwrap()
    };
    assert_eq!(release(version - 1).await, Moved::Overtaken);
    assert_eq!(release(version).await, Moved::Done);
    assert_eq!(release(version + 1).await, Moved::Overtaken);
    agree(store, &[to], 2, "released").await;
    let figures = ever(store, Scope::Subscription(to)).await;
    assert_eq!(figures.now_in(DeliveryState::Skipped), 1);
    assert_eq!(figures.now_in(DeliveryState::Failed), 0);
}

/// The last statements of the migration, run on tables that hold something.
async fn what_was_there_before_the_tables_is_counted(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let deliveries = accepted(store, 3, to).await;
    recorded(store, bed.epoch, answered(deliveries[0], 200)).await;
    let postgres = include_str!("../../migrations/postgres/0011_statistics.sql");
    let sqlite = include_str!("../../migrations/sqlite/0011_statistics.sql");
    let seeds = |text: &'static str| &text[text.find("INSERT INTO statistic_deltas").unwrap()..];
    let empty = "DELETE FROM statistic_deltas;";
    if bed.is_postgres() {
        let url = bed.settings.database_url.as_ref().unwrap().expose();
        let mut database = sqlx::PgConnection::connect(url).await.unwrap();
        database.execute(sqlx::raw_sql(empty)).await.unwrap();
        database
            .execute(sqlx::raw_sql(seeds(postgres)))
            .await
            .unwrap();
    } else {
        let file = bed.settings.data_dir.join("posthaste.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut database = sqlx::SqliteConnection::connect_with(&options)
            .await
            .unwrap();
        database.execute(sqlx::raw_sql(empty)).await.unwrap();
        database
            .execute(sqlx::raw_sql(seeds(sqlite)))
            .await
            .unwrap();
    }
    for folded in [false, true] {
        let figures = ever(store, Scope::Subscription(to)).await;
        assert_eq!(figures.now_in(DeliveryState::Pending), 2);
        assert_eq!(figures.now_in(DeliveryState::Delivered), 1);
        let all = ever(store, Scope::All).await;
        assert_eq!((all.accepted, all.types.known["job.created"]), (3, 3));
        // When it happened is not known any more.
        let pieces = cover(at(-86_400), at(86_400 * 500), Width::Day);
        assert_eq!(
            read(store, Scope::All, &pieces).await.sum(&pieces),
            Figures::default()
        );
        assert_eq!(fold(store).await > 0, !folded);
    }
}

async fn the_oldest_pending_is_found(bed: Bed) {
    let store = &*bed.store;
    let (one, other) = (
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    );
    assert_eq!(store.oldest_pending_since(None).await.unwrap(), None);
    assert_eq!(
        store.oldest_pending_since(Some(&[one])).await.unwrap(),
        None
    );
    for (second, to) in [(30, one), (10, other)] {
        let mut accepted = group(store, vec![event_at(at(second))], &[to]).await;
        accepted.now = at(second);
        store.accept(&accepted).await.unwrap();
    }
    let oldest =
        async |of: Option<&[SubscriptionId]>| store.oldest_pending_since(of).await.unwrap();
    assert_eq!(oldest(None).await, Some(at(10)));
    assert_eq!(oldest(Some(&[one])).await, Some(at(30)));
    assert_eq!(oldest(Some(&[one, other])).await, Some(at(10)));
    assert_eq!(oldest(Some(&[])).await, None);
}

async fn breakers_that_are_not_closed_are_found(bed: Bed) {
    use posthaste::domain::breaker::{BreakerState, StoredBreaker};
    let store = &*bed.store;
    let mut ids = Vec::new();
    for (state, until) in [
        (BreakerState::Closed, None),
        (BreakerState::Open, Some(at(60))),
        (BreakerState::HalfOpen, None),
    ] {
        let id = subscribe(store, "a").await.id;
        let breaker = StoredBreaker {
            state,
            until,
            opened_in_a_row: 1,
        };
        store
            .keep_breaker(bed.epoch, id, &breaker, &[])
            .await
            .unwrap();
        ids.push(id);
    }
    let cut = store.cut_breakers(10).await.unwrap();
    let found: Vec<_> = cut
        .iter()
        .map(|one| (one.subscription, one.state, one.until))
        .collect();
    assert_eq!(
        found,
        [
            (ids[1], BreakerState::Open, Some(at(60))),
            (ids[2], BreakerState::HalfOpen, None)
        ]
    );
    assert_eq!(store.cut_breakers(1).await.unwrap().len(), 1);
}

async fn forgetting_takes_nothing_from_the_counts(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let deliveries = {
        let group = group(store, vec![event_at(at(0)), event_at(at(1))], &[to]).await;
        store.accept(&group).await.unwrap();
        group.deliveries
    };
    recorded(store, bed.epoch, answered(deliveries[0], 200)).await;
    let before = ever(store, Scope::Subscription(to)).await;
    let forgotten = store.forget_events(at(3_600), None, 100).await.unwrap();
    assert_eq!(forgotten.events, 1);
    assert_eq!(rows(store, to).await.len(), 1);
    assert_eq!(ever(store, Scope::Subscription(to)).await, before);
    // What is pending is what is there, whatever was forgotten.
    assert_eq!(before.now_in(DeliveryState::Pending), 1);
    assert_eq!(before.now_in(DeliveryState::Delivered), 1);
}

/// By an index each, however much there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_reads_statistics_by_index() {
    crate::bed::on_postgres(async |bed: Bed| {
        let url = bed.settings.database_url.as_ref().unwrap().expose();
        let mut database = sqlx::PgConnection::connect(url).await.unwrap();
        let session = "SET enable_seqscan = off; SET enable_bitmapscan = off;
            SET enable_nestloop = off; SET enable_mergejoin = off;
            SET plan_cache_mode = force_generic_plan";
        database.execute(sqlx::raw_sql(session)).await.unwrap();
        for (number, (sql, arguments, index)) in posthaste::store::postgres::STATISTIC_PLANS
            .into_iter()
            .enumerate()
        {
            let prepare = format!("PREPARE p{number} AS {sql}");
            crate::bed::run(&mut database, prepare).await;
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN EXECUTE p{number} {arguments}"));
            let plan: Vec<String> = sqlx::query_scalar(explain)
                .fetch_all(&mut database)
                .await
                .unwrap();
            let has = |words: &str| plan.iter().any(|step| step.contains(words));
            assert!(has(index) && !has("Seq Scan"), "{plan:#?}");
            // What is asked for with bounds walks no further than they are.
            assert!(!sql.contains('=') || has("Cond:"), "{plan:#?}");
        }
    })
    .await;
}
