//! Retention: what is old goes whole, and nothing that is still to be delivered.

use std::path::PathBuf;
use std::time::Duration;

use posthaste::domain::delivery::{DeliveryState, PendingDelivery};
use posthaste::domain::event::Event;
use posthaste::domain::id::{EventId, SubscriptionId};
use posthaste::domain::ordering::Ordering;
use posthaste::store::{
    Accepted, DeliveryFilter, Forgotten, ForgottenAnswers, Moved, PageRequest, PostgresStore,
    Recorded, Store,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::bed::{Bed, in_new_database, on_postgres, run, settings};
use crate::ordering;
use crate::sample::{
    answered, at, event_at, group, outcome, record_group, record_of, recorded, subscribe,
};

on_both_stores!(
    what_is_old_goes_with_all_that_belongs_to_it,
    an_event_with_something_pending_stays_until_it_is_done,
    what_blocks_a_line_stays_until_it_does_so_no_more,
    what_lies_in_no_partition_goes_in_batches,
    an_event_may_have_more_deliveries_than_a_batch,
    answers_go_sooner_than_their_attempts,
);

const HOUR: i64 = 3_600;
const SPAN: Duration = Duration::from_secs(3_600);

/// Accepts events that came at these seconds for these subscriptions.
async fn accept(
    store: &dyn Store,
    seconds: &[i64],
    to: &[SubscriptionId],
) -> (Vec<Event>, Vec<PendingDelivery>) {
    let events: Vec<Event> = seconds.iter().map(|second| event_at(at(*second))).collect();
    let group = group(store, events.clone(), to).await;
    assert_eq!(store.accept(&group).await.unwrap(), Accepted::Committed);
    (events, group.deliveries)
}

async fn deliver(bed: &Bed, deliveries: &[PendingDelivery]) {
    for delivery in deliveries {
        let fate = recorded(&*bed.store, bed.epoch, answered(*delivery, 200)).await;
        assert_eq!(fate, Recorded::Moved);
    }
}

/// Forgets until there is nothing left to look at; sums up.
async fn forget(store: &dyn Store, before: i64, limit: u32) -> Forgotten {
    let mut sum = Forgotten::default();
    loop {
        let batch = store
            .forget_events(at(before), sum.next, limit)
            .await
            .unwrap();
        sum.events += batch.events;
        sum.deliveries += batch.deliveries;
        sum.attempts += batch.attempts;
        sum.partitions += batch.partitions;
        sum.next = batch.next;
        if batch.next.is_none() {
            return sum;
        }
    }
}

async fn stands(store: &dyn Store, id: EventId) -> bool {
    store.event(id).await.unwrap().is_some()
}

async fn what_is_old_goes_with_all_that_belongs_to_it(bed: Bed) {
    let store = &*bed.store;
    store.make_room(at(0), SPAN).await.unwrap();
    let to = [
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    ];
    let (old, gone) = accept(store, &[0, 60, HOUR - 1], &to).await;
    let (young, kept) = accept(store, &[HOUR, 2 * HOUR], &to).await;
    deliver(&bed, &gone).await;
    deliver(&bed, &kept).await;
    assert_eq!(forget(store, 0, 100).await, Forgotten::default());
    let forgotten = forget(store, HOUR, 100).await;
    if bed.is_postgres() {
        assert_eq!(forgotten.partitions, 1);
    } else {
        let counts = (forgotten.events, forgotten.deliveries, forgotten.attempts);
        assert_eq!(counts, (3, 6, 6));
    }
    for event in old {
        assert!(!stands(store, event.id).await);
    }
    for delivery in gone {
        assert_eq!(store.delivery(delivery.id).await.unwrap(), None);
        assert!(store.attempts(delivery.id, 10).await.unwrap().is_empty());
    }
    for event in young {
        assert!(stands(store, event.id).await);
    }
    for delivery in kept {
        assert!(store.delivery(delivery.id).await.unwrap().is_some());
        assert_eq!(store.attempts(delivery.id, 10).await.unwrap().len(), 1);
    }
    assert_eq!(forget(store, HOUR, 100).await, Forgotten::default());
}

async fn an_event_with_something_pending_stays_until_it_is_done(bed: Bed) {
    let store = &*bed.store;
    store.make_room(at(0), SPAN).await.unwrap();
    let to = [
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    ];
    let (events, deliveries) = accept(store, &[60], &to).await;
    deliver(&bed, &deliveries[..1]).await;
    assert_eq!(forget(store, HOUR, 100).await, Forgotten::default());
    assert!(stands(store, events[0].id).await);
    assert_eq!(store.attempts(deliveries[0].id, 9).await.unwrap().len(), 1);
    // Done, and brought back by hand: it stays once more.
    deliver(&bed, &deliveries[1..]).await;
    let retried = store.retry_delivery(deliveries[1].id, 1, at(5)).await;
    assert_eq!(retried.unwrap(), Moved::Done);
    assert_eq!(forget(store, HOUR, 100).await, Forgotten::default());
    let cancelled = store.cancel_delivery(deliveries[1].id, 2, at(6)).await;
    assert_eq!(cancelled.unwrap(), Moved::Done);
    assert_ne!(forget(store, HOUR, 100).await, Forgotten::default());
    assert!(!stands(store, events[0].id).await);
    assert_eq!(store.delivery(deliveries[1].id).await.unwrap(), None);
}

/// In a partition of time, and on Postgres in none as well.
async fn what_blocks_a_line_stays_until_it_does_so_no_more(bed: Bed) {
    let store = &*bed.store;
    store.make_room(at(0), SPAN).await.unwrap();
    let (ordered, rule) = ordering::subscribe(store, Ordering::All).await;
    for second in [60, -400 * 24 * HOUR] {
        let (events, deliveries) = accept(store, &[second], &[ordered]).await;
        let version = ordering::fails(&bed, deliveries[0], &rule).await;
        assert_eq!(forget(store, HOUR, 100).await, Forgotten::default());
        let released = store
            .release_line(deliveries[0].id, version, DeliveryState::Skipped, at(9))
            .await;
        assert_eq!(released.unwrap(), Moved::Done);
        assert_ne!(forget(store, HOUR, 100).await, Forgotten::default());
        assert!(!stands(store, events[0].id).await);
    }
}

async fn what_lies_in_no_partition_goes_in_batches(bed: Bed) {
    let store = &*bed.store;
    let to = [
        subscribe(store, "a").await.id,
        subscribe(store, "b").await.id,
    ];
    let seconds: Vec<i64> = (0..25).collect();
    let (events, deliveries) = accept(store, &seconds, &to).await;
    // Everything is done but one delivery of the twelfth.
    let pending = 23;
    deliver(&bed, &deliveries[..pending]).await;
    deliver(&bed, &deliveries[pending + 1..]).await;
    let first = store.forget_events(at(HOUR), None, 10).await.unwrap();
    assert!(first.events < 25 && first.next.is_some());
    let rest = forget(store, HOUR, 10).await;
    assert_eq!(first.events + rest.events, 24);
    assert_eq!(first.deliveries + rest.deliveries, 48);
    assert_eq!(first.attempts + rest.attempts, 48);
    for (index, event) in events.iter().enumerate() {
        assert_eq!(stands(store, event.id).await, index == 11, "{index}");
    }
    for delivery in &deliveries[22..24] {
        assert!(store.delivery(delivery.id).await.unwrap().is_some());
    }
    deliver(&bed, &deliveries[pending..=pending]).await;
    assert_eq!(forget(store, HOUR, 10).await.events, 1);
    let all = PageRequest {
        limit: 100,
        after: None,
        offset: 0,
    };
    let left = store
        .list_deliveries(&DeliveryFilter::default(), &all)
        .await;
    assert!(left.unwrap().rows.is_empty());
}

async fn an_event_may_have_more_deliveries_than_a_batch(bed: Bed) {
    let store = &*bed.store;
    let mut to = Vec::new();
    for n in 0..35 {
        to.push(subscribe(store, &n.to_string()).await.id);
    }
    let (events, deliveries) = accept(store, &[0, 1], &to).await;
    deliver(&bed, &deliveries).await;
    let forgotten = forget(store, HOUR, 10).await;
    let counts = (forgotten.events, forgotten.deliveries, forgotten.attempts);
    assert_eq!(counts, (2, 70, 70));
    assert!(!stands(store, events[0].id).await);
    assert_eq!(store.delivery(deliveries[69].id).await.unwrap(), None);
}

async fn answers_go_sooner_than_their_attempts(bed: Bed) {
    let store = &*bed.store;
    let to = subscribe(store, "a").await.id;
    let (_, deliveries) = accept(store, &[0, 1, 2, HOUR], &[to]).await;
    let answer = || crate::sample::answer(500, None);
    let early = |delivery| {
        let result = posthaste::domain::outcome::CallResult::Answer(answer());
        record_of(delivery, outcome(result))
    };
    let records = deliveries.iter().copied().map(early).collect();
    let group = record_group(bed.epoch, records);
    store.record(&group).await.unwrap();
    // The first one was tried again, long after.
    let mut late = early(deliveries[0]);
    late.delivery.progress = group.records[0].verdict.progress;
    late.verdict.progress.attempts = 2;
    late.outcome.started_at = at(HOUR);
    assert_eq!(recorded(store, bed.epoch, late).await, Recorded::Moved);

    let first = store.forget_answers(at(10), None, 2).await.unwrap();
    assert_eq!((first.attempts, first.next), (2, Some(deliveries[1].id)));
    let second = store.forget_answers(at(10), first.next, 2).await.unwrap();
    assert_eq!((second.attempts, second.next), (1, None));
    let bodies = async |index: usize| -> Vec<Vec<u8>> {
        let attempts = store.attempts(deliveries[index].id, 9).await.unwrap();
        attempts
            .into_iter()
            .map(|attempt| attempt.answer_body)
            .collect()
    };
    assert_eq!(bodies(0).await, [b"".to_vec(), b"ok".to_vec()]);
    assert_eq!(bodies(2).await, [b""]);
    assert_eq!(bodies(3).await, [b"ok"]);
    let again = store.forget_answers(at(10), None, 100).await.unwrap();
    assert_eq!(again, ForgottenAnswers::default());
}

/// Which partitions of the deliveries there are.
async fn partitions(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid
         WHERE inhparent = 'final_deliveries'::regclass ORDER BY relname",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

async fn rows_in(connection: &mut PgConnection, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_finds_its_partition_and_what_is_odd_is_kept_all_the_same() {
    on_postgres(async |bed: Bed| {
        let store = &*bed.store;
        let url = bed.settings.database_url.as_ref().unwrap().expose();
        let mut look = PgConnection::connect(url).await.unwrap();
        assert_eq!(store.make_room(at(0), SPAN).await.unwrap(), 3);
        assert_eq!(
            partitions(&mut look).await,
            [
                "final_deliveries_2025102610_2025102611",
                "final_deliveries_2025102611_2025102612",
                "final_deliveries_2025102612_2025102613",
                "final_deliveries_default",
            ]
        );
        let to = subscribe(store, "a").await.id;
        // Across a bound within one group, before all of them, and long after.
        let seconds = [-5, HOUR - 1, HOUR, 2 * HOUR, 99 * HOUR];
        let (events, deliveries) = accept(store, &seconds, &[to]).await;
        let due = store.due_page(to, at(0), 10).await.unwrap().due;
        let due: Vec<_> = due.iter().map(|row| row.delivery).collect();
        assert_eq!(due, deliveries, "the order of acceptance");
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        assert_eq!(store.events(&ids).await.unwrap().len(), 5);
        // One group over all of them.
        let records = deliveries.iter().map(|one| answered(*one, 200)).collect();
        let fates = store.record(&record_group(bed.epoch, records)).await;
        assert_eq!(fates.unwrap(), [Recorded::Moved; 5]);
        for (suffix, rows) in [
            ("2025102610_2025102611", 1),
            ("2025102611_2025102612", 1),
            ("2025102612_2025102613", 1),
            ("default", 2),
        ] {
            for table in ["events", "final_deliveries", "attempts"] {
                let table = format!("{table}_{suffix}");
                assert_eq!(rows_in(&mut look, &table).await, rows, "{table}");
            }
        }
        // The same group once more changes nothing, wherever its rows lie.
        let again = crate::sample::group(store, events, &[to]).await;
        assert_eq!(store.accept(&again).await.unwrap(), Accepted::Committed);
        assert_eq!(rows_in(&mut look, "deliveries").await, 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_is_made_around_what_lies_in_the_default_partition() {
    on_postgres(async |bed: Bed| {
        let store = &*bed.store;
        let url = bed.settings.database_url.as_ref().unwrap().expose();
        let mut look = PgConnection::connect(url).await.unwrap();
        let to = subscribe(store, "a").await.id;
        // Now, and from a clock that runs ahead.
        let day = Duration::from_secs(24 * 3_600);
        let (events, _) = accept(store, &[60, 40 * HOUR], &[to]).await;
        store.make_room(at(0), day).await.unwrap();
        assert_eq!(
            partitions(&mut look).await,
            [
                "final_deliveries_2025102611_2025102710",
                "final_deliveries_2025102710_2025102802",
                "final_deliveries_2025102803_2025102810",
                "final_deliveries_2025102810_2025102910",
                "final_deliveries_default",
            ]
        );
        assert_eq!(store.make_room(at(0), day).await.unwrap(), 0);
        for event in events {
            assert!(stands(store, event.id).await);
        }
        accept(store, &[120, 39 * HOUR, 40 * HOUR, 41 * HOUR], &[to]).await;
        assert_eq!(rows_in(&mut look, "events_default").await, 4);
        assert_eq!(rows_in(&mut look, "deliveries").await, 6);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_make_room_once() {
    in_new_database(async |url| {
        let settings = settings(Some(url.clone()), PathBuf::new());
        let first = PostgresStore::connect(&settings).await.unwrap();
        first.migrate().await.unwrap();
        let makers = (0..6).map(|_| async {
            let store = PostgresStore::connect(&settings).await.unwrap();
            // Whoever finds the locks taken asks again.
            loop {
                if let Ok(made) = store.make_room(at(0), SPAN).await {
                    store.close().await;
                    return made;
                }
            }
        });
        let made = futures_util::future::join_all(makers).await;
        assert_eq!(made.iter().sum::<u32>(), 3, "{made:?}");
        first.close().await;
    })
    .await;
}

/// Somebody reads for long: the partition stays, and nobody waits for its going.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_in_use_goes_later_and_blocks_nobody() {
    on_postgres(async |bed: Bed| {
        let store = &*bed.store;
        let url = bed.settings.database_url.as_ref().unwrap().expose();
        let mut reader = PgConnection::connect(url).await.unwrap();
        store.make_room(at(0), SPAN).await.unwrap();
        let to = subscribe(store, "a").await.id;
        let (events, deliveries) = accept(store, &[0], &[to]).await;
        deliver(&bed, &deliveries).await;
        run(&mut reader, "BEGIN".to_owned()).await;
        rows_in(&mut reader, "deliveries").await;

        assert_eq!(forget(store, HOUR, 100).await, Forgotten::default());
        assert!(stands(store, events[0].id).await);
        let (_, more) = accept(store, &[HOUR], &[to]).await;
        deliver(&bed, &more).await;
        assert_eq!(rows_in(&mut reader, "deliveries").await, 2);

        run(&mut reader, "ROLLBACK".to_owned()).await;
        assert_eq!(forget(store, HOUR, 100).await.partitions, 1);
        assert!(!stands(store, events[0].id).await);
    })
    .await;
}

/// A partition that was empty when its statistics were taken: all of its indexes look alike then,
/// and the plan outlives that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_looked_for_in_primary_keys_even_where_a_table_was_empty() {
    on_postgres(async |bed: Bed| {
        bed.store.make_room(at(0), SPAN).await.unwrap();
        let url = bed.settings.database_url.as_ref().unwrap().expose();
        let mut database = PgConnection::connect(url).await.unwrap();
        for sql in [
            "ANALYZE events, pending_deliveries, final_deliveries, attempts",
            "SET plan_cache_mode = force_generic_plan",
            "SET enable_seqscan = off",
            "SET enable_bitmapscan = off",
            "SET enable_nestloop = off",
            "SET enable_mergejoin = off",
        ] {
            run(&mut database, sql.to_owned()).await;
        }
        for (number, statement) in [
            "DELETE FROM pending_deliveries d
             USING (SELECT unnest($1) AS id, unnest($4::bigint[]) AS version) AS r
             WHERE d.id = ANY($1) AND d.id = r.id AND d.version = r.version",
            "DELETE FROM pending_deliveries WHERE id = ANY(ARRAY(SELECT unnest($1)))",
            "DELETE FROM final_deliveries WHERE id = ANY($1)",
            "SELECT (SELECT id FROM final_deliveries WHERE id = $2)",
            "SELECT id FROM pending_deliveries WHERE id >= $2 AND id < $3 ORDER BY id LIMIT 1",
            "SELECT payload FROM events WHERE id BETWEEN $2 AND $3 AND id = ANY($1)",
            "SELECT (SELECT ordering_key FROM events WHERE id = $2)",
        ]
        .into_iter()
        .enumerate()
        {
            let sql = format!("PREPARE p{number} (uuid[], uuid, uuid, bigint[]) AS {statement}");
            run(&mut database, sql).await;
            let [first, last] = ["0", "f"].map(|digit| digit.repeat(32));
            let sql = format!(
                "EXPLAIN EXECUTE p{number} (ARRAY['{first}', '{last}']::uuid[], '{first}', '{last}', '{{1,2}}')"
            );
            let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
                .persistent(false)
                .fetch_all(&mut database)
                .await
                .unwrap();
            let scans: Vec<&String> = plan.iter().filter(|step| step.contains("Index")).collect();
            assert!(scans.iter().any(|step| step.contains("Scan using")), "{plan:?}");
            for step in scans.iter().filter(|step| step.contains("Scan using")) {
                assert!(step.contains("_pkey on"), "{statement}: {step}");
            }
        }
    })
    .await;
}
