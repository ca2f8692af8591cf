//! Record: compare and set, never a group failed for one row.

use std::time::Duration;

use futures_util::future::join_all;
use posthaste::domain::delivery::{DeliveryState, Settlement, Trigger};
use posthaste::domain::outcome::{
    Answer, CallResult, Failure, FailureKind, Header, Outcome, Timing,
};
use posthaste::store::{Moved, Recorded, StoreError};

use crate::bed::Bed;
use crate::sample::{
    accepted, answer, answered, at, outcome, record_group, record_of, recorded, subscribe,
};

on_both_stores!(
    a_failure_waits_for_its_next_attempt_and_the_last_one_ends_it,
    an_expired_delivery_is_final,
    a_stale_record_is_logged_and_fails_no_group,
    what_is_cancelled_stays_cancelled,
    a_group_run_again_keeps_its_first_fate,
    a_fenced_group_moves_nothing,
    an_attempt_is_of_its_round,
    of_many_recorders_one_moves_a_delivery,
    the_longest_hold_stands,
    bytes_of_receivers_are_kept_as_they_came,
    every_part_of_an_attempt_is_kept,
    attempts_come_in_order_and_the_newest_where_cut,
    large_groups_are_answered_in_order,
);

async fn a_failure_waits_for_its_next_attempt_and_the_last_one_ends_it(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let delivery = accepted(store, 1, to).await[0];
    let first = answered(delivery, 500);
    assert_eq!(first.verdict.settlement, Settlement::RetryAt(at(12)));
    let progress = first.verdict.progress;
    assert_eq!(recorded(store, bed.epoch, first).await, Recorded::Moved);
    assert_eq!(
        store.due_page(to, at(11), 10).await.unwrap().next_due,
        Some(at(12))
    );
    let again = store.due_page(to, at(12), 10).await.unwrap().due[0].delivery;
    assert_eq!(again.progress, progress);
    assert_eq!(again.due_at, at(12));
    let row = store.delivery(delivery.id).await.unwrap().unwrap();
    assert_eq!((row.state, row.finished_at), (DeliveryState::Pending, None));

    assert_eq!(
        recorded(store, bed.epoch, answered(again, 500)).await,
        Recorded::Moved
    );
    let row = store.delivery(delivery.id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.finished_at),
        (DeliveryState::Failed, Some(at(3)))
    );
    assert_eq!(row.progress.attempts, 2);
    assert_eq!(row.due_at, at(12));
    assert_eq!(
        store.due_page(to, at(99), 10).await.unwrap(),
        Default::default()
    );
}

async fn an_expired_delivery_is_final(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let delivery = accepted(store, 1, to).await[0];
    let mut record = answered(delivery, 500);
    record.verdict.settlement = Settlement::Expired;
    assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Moved);
    let row = store.delivery(delivery.id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.finished_at),
        (DeliveryState::Expired, Some(at(3)))
    );
}

async fn a_stale_record_is_logged_and_fails_no_group(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let deliveries = accepted(store, 3, to).await;
    let early = answered(deliveries[1], 500);
    assert_eq!(
        recorded(store, bed.epoch, early.clone()).await,
        Recorded::Moved
    );

    let records = deliveries
        .iter()
        .rev()
        .map(|delivery| answered(*delivery, 200));
    let group = record_group(bed.epoch, records.collect());
    let fates = store.record(&group).await.unwrap();
    assert_eq!(fates, [Recorded::Moved, Recorded::Stale, Recorded::Moved]);
    let row = store.delivery(deliveries[1].id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.progress),
        (DeliveryState::Pending, early.verdict.progress)
    );
    let log = store.attempts(deliveries[1].id, 10).await.unwrap();
    let stale: Vec<_> = log
        .iter()
        .map(|attempt| (attempt.status, attempt.stale))
        .collect();
    assert_eq!(stale, [(Some(500), false), (Some(200), true)]);
}

async fn what_is_cancelled_stays_cancelled(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let delivery = accepted(store, 1, to).await[0];
    assert_eq!(store.cancel_pending(to, &[], at(5), 10).await.unwrap(), 1);
    let mut record = answered(delivery, 200);
    assert_eq!(
        recorded(store, bed.epoch, record.clone()).await,
        Recorded::Stale
    );
    // Not even with the version it has now: a final delivery moves by a retry alone.
    record.id.0 = posthaste::clock::uuid();
    record.delivery.progress.version = 1;
    assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Stale);
    let row = store.delivery(delivery.id).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.finished_at),
        (DeliveryState::Cancelled, Some(at(5)))
    );
    assert_eq!(row.progress.version, 1);
}

async fn a_group_run_again_keeps_its_first_fate(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let deliveries = accepted(store, 3, to).await;
    recorded(store, bed.epoch, answered(deliveries[0], 500)).await;
    let records = deliveries.iter().map(|delivery| answered(*delivery, 200));
    let mut group = record_group(bed.epoch, records.collect());
    let expected = [Recorded::Stale, Recorded::Moved, Recorded::Moved];
    assert_eq!(store.record(&group).await.unwrap(), expected);
    group.rerun = true;
    assert_eq!(store.record(&group).await.unwrap(), expected);
    // Where the first run never arrived, the second does the work.
    let late = accepted(store, 1, to).await[0];
    let mut group = record_group(bed.epoch, vec![answered(late, 200)]);
    group.rerun = true;
    assert_eq!(store.record(&group).await.unwrap(), [Recorded::Moved]);
    for delivery in deliveries.iter().skip(1).chain([&late]) {
        assert_eq!(store.attempts(delivery.id, 10).await.unwrap().len(), 1);
        let row = store.delivery(delivery.id).await.unwrap().unwrap();
        assert_eq!(row.progress.version, 1);
    }
}

async fn a_fenced_group_moves_nothing(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let delivery = accepted(store, 1, to).await[0];
    let record = record_of(delivery, outcome(CallResult::Answer(answer(503, Some(60)))));
    let group = record_group(bed.epoch - 1, vec![record]);
    let fate = store.record(&group).await;
    assert!(matches!(fate, Err(StoreError::Fenced)), "{fate:?}");
    let page = store.due_page(to, at(0), 10).await.unwrap();
    assert_eq!(page.due[0].delivery, delivery);
    assert_eq!(store.runtime(to).await.unwrap().hold_until, None);
    let log = store.attempts(delivery.id, 10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert!(log[0].stale);
}

async fn an_attempt_is_of_its_round(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut delivery = accepted(store, 1, to).await[0];
    for round in [1, 2] {
        for status in [500, 410] {
            let record = answered(delivery, status);
            let next = record.verdict.progress;
            assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Moved);
            delivery.progress = next;
        }
        let version = delivery.progress.version;
        let again = store.retry_delivery(delivery.id, version, at(round)).await;
        assert_eq!(again.unwrap(), Moved::Done);
        delivery.progress = store.delivery(delivery.id).await.unwrap().unwrap().progress;
    }
    let log = store.attempts(delivery.id, 10).await.unwrap();
    let rounds: Vec<_> = log.iter().map(|one| (one.number, one.round)).collect();
    assert_eq!(
        rounds,
        [(1, Some(1)), (2, Some(1)), (3, Some(2)), (4, Some(2))]
    );
}

async fn of_many_recorders_one_moves_a_delivery(bed: Bed) {
    let to = subscribe(&*bed.store, "a").await.id;
    let deliveries = accepted(&*bed.store, 20, to).await;
    let runs = (0..10).map(|n| {
        let (store, epoch, mut deliveries) = (bed.store.clone(), bed.epoch, deliveries.clone());
        // In either order: two groups must not wait for each other.
        if n % 2 == 0 {
            deliveries.reverse();
        }
        tokio::spawn(async move {
            let records = deliveries.iter().map(|delivery| answered(*delivery, 200));
            store
                .record(&record_group(epoch, records.collect()))
                .await
                .unwrap()
        })
    });
    let fates: Vec<_> = join_all(runs)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    let moved = fates
        .iter()
        .filter(|fate| **fate == Recorded::Moved)
        .count();
    assert_eq!((fates.len(), moved), (200, 20));
    for delivery in deliveries {
        let log = bed.store.attempts(delivery.id, 100).await.unwrap();
        assert_eq!(log.len(), 10);
        assert_eq!(log.iter().filter(|attempt| !attempt.stale).count(), 1);
    }
}

async fn the_longest_hold_stands(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let other = subscribe(store, "b").await.id;
    let deliveries = accepted(store, 4, to).await;
    let held = |index: usize, seconds| {
        record_of(
            deliveries[index],
            outcome(CallResult::Answer(answer(429, Some(seconds)))),
        )
    };
    let group = record_group(bed.epoch, vec![held(0, 30), held(1, 90), held(2, 60)]);
    store.record(&group).await.unwrap();
    assert_eq!(store.runtime(to).await.unwrap().hold_until, Some(at(92)));
    store
        .record(&record_group(bed.epoch, vec![held(3, 10)]))
        .await
        .unwrap();
    assert_eq!(store.runtime(to).await.unwrap().hold_until, Some(at(92)));
    assert_eq!(store.runtime(other).await.unwrap().hold_until, None);
}

async fn bytes_of_receivers_are_kept_as_they_came(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let delivery = accepted(store, 1, to).await[0];
    let bytes: Vec<u8> = (0..=255).collect();
    let value: Vec<u8> = (0..=255)
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    let header = |name: &str, value: &[u8]| Header {
        name: name.to_owned(),
        value: value.to_vec(),
    };
    let headers = [header("x-bytes", &value), header("x-empty", b"")];
    let answer = Answer {
        status: 999,
        headers: headers.iter().collect(),
        body: bytes.repeat(16),
        body_cut: true,
        retry_after: None,
    };
    let record = record_of(delivery, outcome(CallResult::Answer(answer.clone())));
    assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Moved);
    let log = store.attempts(delivery.id, 10).await.unwrap();
    assert_eq!(log[0].answer_headers, headers);
    assert_eq!(log[0].answer_body, answer.body);
    assert!(log[0].answer_cut);
    assert_eq!(log[0].status, Some(999));

    let delivery = accepted(store, 1, to).await[0];
    let failure = Failure {
        kind: FailureKind::Protocol,
        message: "got \0 instead of HTTP".to_owned(),
        status: None,
    };
    let record = record_of(delivery, outcome(CallResult::Failure(failure)));
    assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Moved);
    let log = store.attempts(delivery.id, 10).await.unwrap();
    assert_eq!(
        log[0].error_message.as_deref(),
        Some("got \u{fffd} instead of HTTP")
    );
}

async fn every_part_of_an_attempt_is_kept(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let delivery = accepted(store, 1, to).await[0];
    let timing = Timing {
        name: Some(Duration::from_micros(1)),
        connect: Some(Duration::from_micros(2)),
        tls: None,
        first_byte: Some(Duration::from_micros(4)),
        body: Some(Duration::ZERO),
    };
    let sent = vec![Header {
        name: "webhook-id".to_owned(),
        value: b"x".to_vec(),
    }];
    let outcome = Outcome {
        timing,
        request_headers: sent.iter().collect(),
        ..outcome(CallResult::Failure(Failure {
            kind: FailureKind::Reset,
            message: "the connection was reset".to_owned(),
            status: Some(200),
        }))
    };
    let mut record = record_of(delivery, outcome);
    record.trigger = Trigger::Manual;
    let id = record.id;
    assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Moved);
    let attempt = store.attempts(delivery.id, 1).await.unwrap().remove(0);
    assert_eq!(
        (attempt.id, attempt.number, attempt.trigger.as_str()),
        (id, 1, "manual")
    );
    assert_eq!(
        (attempt.started_at, attempt.duration),
        (at(1), Duration::from_micros(1_500))
    );
    assert_eq!(
        (attempt.timing, attempt.request_headers.clone()),
        (timing, sent)
    );
    assert_eq!(
        (attempt.status, attempt.error_kind.as_deref()),
        (Some(200), Some("reset"))
    );
    assert_eq!(
        attempt.error_message.as_deref(),
        Some("the connection was reset")
    );
    assert!(!attempt.stale && !attempt.answer_cut && attempt.answer_body.is_empty());
    let row = store.delivery(delivery.id).await.unwrap().unwrap();
    assert_eq!(row.last_attempt, Some(attempt));
}

async fn attempts_come_in_order_and_the_newest_where_cut(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let mut delivery = accepted(store, 1, to).await[0];
    for round in 0..4i64 {
        for _ in 0..2 {
            let record = answered(delivery, 500);
            delivery.progress = record.verdict.progress;
            assert_eq!(recorded(store, bed.epoch, record).await, Recorded::Moved);
        }
        store
            .retry_delivery(delivery.id, delivery.progress.version, at(round))
            .await
            .unwrap();
        delivery.progress = delivery.progress.next_round();
    }
    let numbers = |log: Vec<posthaste::store::AttemptRow>| -> Vec<u32> {
        log.iter().map(|attempt| attempt.number).collect()
    };
    let log = store.attempts(delivery.id, 100).await.unwrap();
    assert_eq!(numbers(log), (1..=8).collect::<Vec<_>>());
    assert_eq!(
        numbers(store.attempts(delivery.id, 3).await.unwrap()),
        [6, 7, 8]
    );
}

async fn large_groups_are_answered_in_order(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let deliveries = accepted(store, 230, to).await;
    let early = deliveries
        .iter()
        .step_by(3)
        .map(|delivery| answered(*delivery, 200));
    store
        .record(&record_group(bed.epoch, early.collect()))
        .await
        .unwrap();
    let all = deliveries.iter().map(|delivery| answered(*delivery, 200));
    let fates = store
        .record(&record_group(bed.epoch, all.collect()))
        .await
        .unwrap();
    for (index, fate) in fates.iter().enumerate() {
        let expected = if index % 3 == 0 {
            Recorded::Stale
        } else {
            Recorded::Moved
        };
        assert_eq!(*fate, expected, "{index}");
    }
    assert_eq!(
        store
            .record(&record_group(bed.epoch, Vec::new()))
            .await
            .unwrap(),
        []
    );
}
