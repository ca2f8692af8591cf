//! Streaks and trials, what is held and how it ends, and the history of states.

use posthaste::clock;
use posthaste::domain::breaker::{BreakerState, StoredBreaker};
use posthaste::domain::deactivation::Streak;
use posthaste::domain::delivery::{DeliveryState, PendingDelivery, Trigger};
use posthaste::domain::id::{AttemptId, DeliveryId, SubscriptionId};
use posthaste::domain::outcome::CallResult;
use posthaste::domain::subscription::{
    ChangedBy, HistoryEntry, StateChange, Subscription, SubscriptionState,
};
use posthaste::store::{Accepted, Changed, Ending, PageRequest, Store, StoreError};

use crate::bed::Bed;
use crate::sample::{
    accepted, answer, answered, at, events, group, move_to, outcome, record_group, record_of,
    recorded, subscribe,
};

on_both_stores!(
    streaks_are_kept_with_the_records_that_make_them,
    whoever_does_not_own_keeps_no_streak,
    what_is_skipped_at_acceptance_is_final,
    trials_are_for_those_who_may_be_tried_now,
    a_backlog_is_counted_up_to_a_bound,
    what_was_held_too_long_expires_and_nothing_else,
    what_stands_up_to_the_mark_is_skipped,
    every_change_of_a_state_is_kept,
    a_full_hold_is_kept_in_the_history,
    a_reactivated_breaker_may_probe_at_once,
);

async fn changed(store: &dyn Store, next: &Subscription) -> Subscription {
    match store.update_subscription(next).await.unwrap() {
        Changed::At(version) => Subscription {
            version,
            ..next.clone()
        },
        Changed::Overtaken => panic!("nobody else changes it"),
    }
}

async fn deactivated(store: &dyn Store, old: &Subscription, second: i64) -> Subscription {
    let state = SubscriptionState::Deactivated;
    let next = old.moved_to(state, Some("failing"), at(second)).unwrap();
    changed(store, &next).await
}

async fn history(store: &dyn Store, id: SubscriptionId) -> Vec<HistoryEntry> {
    let all = PageRequest {
        limit: 100,
        after: None,
        offset: 0,
    };
    store.history(id, &all).await.unwrap().rows
}

async fn states(store: &dyn Store, deliveries: &[PendingDelivery]) -> Vec<DeliveryState> {
    let mut states = Vec::new();
    for delivery in deliveries {
        states.push(store.delivery(delivery.id).await.unwrap().unwrap().state);
    }
    states
}

fn streak(exhausted: u32) -> Streak {
    Streak {
        counted_from: at(0),
        failing_since: Some(at(1)),
        failed_at: Some(at(5)),
        exhausted,
        evidence: vec![AttemptId(clock::uuid()), AttemptId(clock::uuid())],
    }
}

async fn streaks_are_kept_with_the_records_that_make_them(bed: Bed) {
    let store = &*bed.store;
    let (to, other) = (
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    );
    let deliveries = accepted(store, 4, to).await;
    let mut failing = record_group(bed.epoch, vec![answered(deliveries[0], 500)]);
    failing.streaks = vec![(to, streak(3))];
    store.record(&failing).await.unwrap();
    let runtime = store.runtime(to).await.unwrap();
    assert_eq!(runtime.streak, failing.streaks[0].1);
    assert_eq!((runtime.hold_until, runtime.tried_at), (None, None));
    assert_eq!(
        store.runtime(other).await.unwrap().streak,
        Streak::default()
    );

    // A hold beside it, then one without, which leaves the streak alone.
    let held = outcome(CallResult::Answer(answer(503, Some(90))));
    let mut both = record_group(bed.epoch, vec![record_of(deliveries[1], held)]);
    both.streaks = vec![(to, streak(4))];
    store.record(&both).await.unwrap();
    let held = outcome(CallResult::Answer(answer(503, Some(20))));
    recorded(store, bed.epoch, record_of(deliveries[2], held)).await;
    let runtime = store.runtime(to).await.unwrap();
    assert_eq!(runtime.streak, both.streaks[0].1);
    assert_eq!(runtime.hold_until, Some(at(92)));

    // Ended by a success.
    let mut ended = record_group(bed.epoch, vec![answered(deliveries[3], 200)]);
    ended.streaks = vec![(to, Streak::begin(at(7)))];
    store.record(&ended).await.unwrap();
    let runtime = store.runtime(to).await.unwrap();
    assert_eq!(runtime.streak, Streak::begin(at(7)));
    assert_eq!(runtime.hold_until, Some(at(92)));
}

async fn whoever_does_not_own_keeps_no_streak(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let delivery = accepted(store, 1, to).await[0];
    let mut late = record_group(bed.epoch - 1, vec![answered(delivery, 500)]);
    late.streaks = vec![(to, streak(3))];
    let fenced = store.record(&late).await;
    assert!(matches!(fenced, Err(StoreError::Fenced)), "{fenced:?}");
    assert_eq!(store.runtime(to).await.unwrap().streak, Streak::default());
}

async fn what_is_skipped_at_acceptance_is_final(bed: Bed) {
    let store = &*bed.store;
    let (held, full) = (
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    );
    let mut group = group(store, events(3), &[held, full]).await;
    (group.deliveries, group.skipped) = group
        .deliveries
        .iter()
        .partition(|delivery| delivery.subscription_id == held);
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    assert_eq!(
        states(store, &group.deliveries).await,
        [DeliveryState::Pending; 3]
    );
    assert_eq!(
        states(store, &group.skipped).await,
        [DeliveryState::Skipped; 3]
    );
    let row = store.delivery(group.skipped[0].id).await.unwrap().unwrap();
    assert_eq!(row.finished_at, Some(group.now));
    assert_eq!(store.due_page(full, at(9), 10).await.unwrap().due, []);
    // A retry brings it back.
    store.retry_delivery(row.id, 0, at(5)).await.unwrap();
    let page = store.due_page(full, at(9), 10).await.unwrap();
    assert_eq!(page.due[0].delivery.id, row.id);
    // Run again, it is as it was.
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    assert_eq!(store.backlog(held, 100).await.unwrap(), 3);
}

async fn trials_are_for_those_who_may_be_tried_now(bed: Bed) {
    let store = &*bed.store;
    let mut all = Vec::new();
    for name in [
        "never tried",
        "tried long ago",
        "just tried",
        "held",
        "nothing pending",
    ] {
        let id = subscribe(store, name).await.id;
        if name == "nothing pending" {
            all.push(id);
            continue;
        }
        let delivery = accepted(store, 2, id).await[0];
        let status = match name {
            "held" => answer(503, Some(3_600)),
            _ => answer(500, None),
        };
        let mut record = record_of(delivery, outcome(CallResult::Answer(status)));
        if name.contains("tried ") || name == "just tried" {
            record.trigger = Trigger::Trial;
        }
        record.outcome.started_at = at(if name == "just tried" { 500 } else { 100 });
        if name != "never tried" {
            recorded(store, bed.epoch, record).await;
        }
        all.push(id);
    }
    let tried = store.runtime(all[2]).await.unwrap().tried_at;
    assert_eq!(tried, Some(at(500)));
    let candidates: Vec<_> = all.iter().map(|id| (*id, at(200))).collect();
    let mut expected = vec![all[0], all[1]];
    expected.sort_unstable();
    assert_eq!(store.trials(&candidates, at(600)).await.unwrap(), expected);
    assert_eq!(store.trials(&[], at(600)).await.unwrap(), []);
    let later: Vec<_> = all.iter().map(|id| (*id, at(500))).collect();
    let found = store.trials(&later, at(4_000)).await.unwrap();
    assert_eq!(found.len(), 4, "the hold is over, and the interval");
}

async fn a_backlog_is_counted_up_to_a_bound(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    assert_eq!(store.newest_pending(to).await.unwrap(), None);
    let first = accepted(store, 5, to).await;
    let place = store.newest_pending(to).await.unwrap().unwrap();
    recorded(store, bed.epoch, answered(first[0], 200)).await;
    for (most, expected) in [(0, 0), (3, 3), (4, 4), (100, 4)] {
        assert_eq!(store.backlog(to, most).await.unwrap(), expected, "{most}");
    }
    accepted(store, 1, to).await;
    assert!(store.newest_pending(to).await.unwrap().unwrap() > place);
}

async fn what_was_held_too_long_expires_and_nothing_else(bed: Bed) {
    let store = &*bed.store;
    let held = subscribe(store, "held").await;
    let paused = subscribe(store, "paused").await;
    let young = subscribe(store, "held since yesterday").await;
    let mut of = Vec::new();
    for one in [&held, &paused, &young] {
        let old = accepted(store, 4, one.id).await;
        let mut late = group(store, events(1), &[one.id]).await;
        late.now = at(1_000);
        assert_eq!(store.accept(&late).await.unwrap(), Accepted::Committed);
        of.push([&old[..], &late.deliveries[..]].concat());
    }
    deactivated(store, &held, 10).await;
    move_to(store, &paused, SubscriptionState::Paused).await;
    deactivated(store, &young, 900).await;
    let spared = [of[0][1].id];
    let end = async |id, limit| {
        let ending = Ending::Expired(at(500));
        store
            .end_held(id, ending, &spared, at(2_000), limit)
            .await
            .unwrap()
    };
    for one in [&paused, &young] {
        assert_eq!(end(one.id, 100).await, 0, "{}", one.name);
    }
    assert_eq!(end(held.id, 2).await, 2);
    assert_eq!(end(held.id, 2).await, 1);
    assert_eq!(end(held.id, 2).await, 0);
    let (expired, pending) = (DeliveryState::Expired, DeliveryState::Pending);
    let after = states(store, &of[0]).await;
    assert_eq!(after, [expired, pending, expired, expired, pending]);
    let row = store.delivery(of[0][0].id).await.unwrap().unwrap();
    assert_eq!(
        (row.finished_at, row.progress.version),
        (Some(at(2_000)), 1)
    );
    assert_eq!(states(store, &of[1]).await, [pending; 5]);
}

async fn what_stands_up_to_the_mark_is_skipped(bed: Bed) {
    let store = &*bed.store;
    let to = deactivated(store, &subscribe(store, "a").await, 1).await;
    let before = accepted(store, 3, to.id).await;
    let through = store.newest_pending(to.id).await.unwrap().unwrap();
    let after = accepted(store, 2, to.id).await;
    let skip = async |spared: &[DeliveryId]| {
        let ending = Ending::Skipped(through);
        store
            .end_held(to.id, ending, spared, at(9), 100)
            .await
            .unwrap()
    };
    assert_eq!(skip(&[]).await, 0, "there is no mark");
    let mut marked = to.clone();
    marked.hold.skip_through = Some(through);
    let marked = changed(store, &marked).await;
    assert_eq!(
        store.subscription(to.id).await.unwrap(),
        Some(marked.clone())
    );
    assert_eq!(skip(&[before[1].id]).await, 2);
    let (skipped, pending) = (DeliveryState::Skipped, DeliveryState::Pending);
    assert_eq!(states(store, &before).await, [skipped, pending, skipped]);
    assert_eq!(states(store, &after).await, [pending; 2]);
    // Reactivated meanwhile, what is left is to be sent.
    move_to(store, &marked, SubscriptionState::Active).await;
    assert_eq!(skip(&[]).await, 0);
}

async fn every_change_of_a_state_is_kept(bed: Bed) {
    let store = &*bed.store;
    let made = subscribe(store, "a").await;
    let mut named = made.clone();
    named.name = "b".to_owned();
    let named = changed(store, &named).await;
    let change = StateChange {
        at: at(5),
        reason: Some("exhausted".to_owned()),
        by: ChangedBy::Rule,
        evidence: vec![AttemptId(clock::uuid()), AttemptId(clock::uuid())],
    };
    let rule = named.moved_by(SubscriptionState::Deactivated, change.clone());
    let held = changed(store, &rule.unwrap()).await;
    assert_eq!(
        store.subscription(made.id).await.unwrap(),
        Some(held.clone())
    );
    let active = move_to(store, &held, SubscriptionState::Active).await;
    // Overtaken, it changes nothing.
    let late = held
        .moved_to(SubscriptionState::Deleted, None, at(6))
        .unwrap();
    assert_eq!(
        store.update_subscription(&late).await.unwrap(),
        Changed::Overtaken
    );
    let deleted = move_to(store, &active, SubscriptionState::Deleted).await;

    let all = history(store, made.id).await;
    let steps: Vec<_> = all
        .iter()
        .map(|entry| (entry.from, entry.to, entry.version))
        .collect();
    use SubscriptionState::{Active, Deactivated, Deleted};
    assert_eq!(
        steps,
        [
            (Some(Active), Deleted, deleted.version),
            (Some(Deactivated), Active, active.version),
            (Some(Active), Deactivated, held.version),
            (None, Active, made.version),
        ]
    );
    assert_eq!(all[2].change, change);
    assert_eq!(all[1].change.by, ChangedBy::Operator);

    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let request = PageRequest {
            limit: 1,
            after,
            offset: 0,
        };
        let page = store.history(made.id, &request).await.unwrap();
        walked.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(walked, all);
    let behind = PageRequest {
        limit: 100,
        after: None,
        offset: 3,
    };
    let page = store.history(made.id, &behind).await.unwrap();
    assert_eq!(page.rows, all[3..]);
}

async fn a_full_hold_is_kept_in_the_history(bed: Bed) {
    let store = &*bed.store;
    let held = deactivated(store, &subscribe(store, "a").await, 1).await;
    let mut full = held.clone();
    full.hold.full_since = Some(at(7));
    let full = changed(store, &full).await;
    assert_eq!(
        store.subscription(held.id).await.unwrap(),
        Some(full.clone())
    );
    let mut named = full.clone();
    named.name = "b".to_owned();
    let named = changed(store, &named).await;
    let active = move_to(store, &named, SubscriptionState::Active).await;
    assert_eq!(active.hold.full_since, None);
    let all = history(store, held.id).await;
    let reasons: Vec<_> = all
        .iter()
        .map(|entry| entry.change.reason.as_deref())
        .collect();
    assert_eq!(reasons, [None, Some("backlog_full"), Some("failing"), None]);
    assert_eq!(all[1].change.at, at(7));
    assert_eq!(all[1].from, Some(all[1].to));
}

async fn a_reactivated_breaker_may_probe_at_once(bed: Bed) {
    let store = &*bed.store;
    let open = StoredBreaker {
        state: BreakerState::Open,
        until: Some(at(9_000)),
        opened_in_a_row: 3,
    };
    let paused = subscribe(store, "paused").await;
    let held = subscribe(store, "held").await;
    for one in [&paused, &held] {
        store.keep_breaker(bed.epoch, one.id, &open).await.unwrap();
    }
    let held = deactivated(store, &held, 1).await;
    let paused = move_to(store, &paused, SubscriptionState::Paused).await;
    let breaker = async |id| store.runtime(id).await.unwrap().breaker.unwrap();
    assert_eq!(breaker(held.id).await, open);
    for one in [&paused, &held] {
        move_to(store, one, SubscriptionState::Active).await;
    }
    assert_eq!(breaker(paused.id).await, open);
    let probing = StoredBreaker {
        state: BreakerState::HalfOpen,
        until: None,
        opened_in_a_row: 3,
    };
    assert_eq!(breaker(held.id).await, probing);
}
