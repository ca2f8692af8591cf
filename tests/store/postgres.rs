//! What only Postgres can get wrong: the session, and errors on the way to it.

use std::path::PathBuf;
use std::time::Duration;

use posthaste::store::{LeaseState, PostgresStore, Recorded, StoreError};
use sqlx::{Connection, PgConnection};

use crate::bed::{Bed, in_new_database, on_postgres, run, settings};
use crate::sample::{accepted, answered, recorded, subscribe};

#[tokio::test]
async fn a_commit_is_synchronous_whatever_the_defaults_are() {
    in_new_database(async |url| {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let name = url.rsplit('/').next().unwrap().to_owned();
        for setting in [
            "synchronous_commit = off",
            "statement_timeout = 0",
            "lock_timeout = 0",
        ] {
            run(
                &mut connection,
                format!("ALTER DATABASE {name} SET {setting}"),
            )
            .await;
        }
        let store = PostgresStore::connect(&settings(Some(url), PathBuf::new()))
            .await
            .unwrap();
        let setting = async |name| store.session_setting(name).await.unwrap();
        assert_eq!(setting("synchronous_commit").await, "on");
        assert_eq!(setting("statement_timeout").await, "15s");
        assert_eq!(setting("lock_timeout").await, "5s");
        assert_eq!(setting("idle_in_transaction_session_timeout").await, "15s");
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_said_without_the_password() {
    let connect = async |url: &str| match PostgresStore::connect(&settings(
        Some(url.to_owned()),
        PathBuf::new(),
    ))
    .await
    {
        Ok(_) => panic!("nothing listens there"),
        Err(error) => error,
    };
    let away = connect("postgres://user:hunter2@127.0.0.1:1/x").await;
    assert!(matches!(away, StoreError::Unavailable(_)), "{away:?}");
    assert!(!away.to_string().contains("hunter2"), "{away}");
    let wrong = connect("postgres://user:hunter2@:nonsense/x").await;
    assert!(matches!(wrong, StoreError::Broken(_)), "{wrong:?}");
    assert!(!wrong.to_string().contains("hunter2"), "{wrong}");
}

/// Waits until so many sessions of this database wait for a lock, or `unless` holds.
async fn lock_waits(connection: &mut PgConnection, count: i64, unless: impl Fn() -> bool) {
    let mut waiting = 0;
    while waiting < count {
        assert!(!unless(), "what should wait for a lock went through");
        waiting = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    }
}

/// A recorder is stopped in the middle of its commit, behind a row that somebody else holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_waits_for_what_is_being_recorded_and_a_renewal_does_not() {
    on_postgres(async |bed: Bed| {
        let url = bed.settings.database_url.as_ref().unwrap().expose();
        let mut other = PgConnection::connect(url).await.unwrap();
        let mut watch = PgConnection::connect(url).await.unwrap();
        let to = subscribe(&*bed.store, "a").await.id;
        let delivery = accepted(&*bed.store, 1, to).await[0];
        run(&mut other, "BEGIN".to_owned()).await;
        let held = format!(
            "SELECT id FROM pending_deliveries WHERE id = '{}' FOR UPDATE",
            delivery.id
        );
        run(&mut other, held).await;

        let store = bed.store.clone();
        let recorder =
            tokio::spawn(async move { recorded(&*store, 1, answered(delivery, 200)).await });
        lock_waits(&mut watch, 1, || recorder.is_finished()).await;
        let renewed = bed.store.lease("bed", Duration::ZERO).await.unwrap();
        assert_eq!(renewed, LeaseState::Held { epoch: 1 });
        let store = bed.store.clone();
        let takeover =
            tokio::spawn(async move { store.lease("b", Duration::from_secs(60)).await.unwrap() });
        lock_waits(&mut watch, 2, || takeover.is_finished()).await;

        run(&mut other, "ROLLBACK".to_owned()).await;
        assert_eq!(recorder.await.unwrap(), Recorded::Moved);
        assert_eq!(takeover.await.unwrap(), LeaseState::Held { epoch: 2 });
    })
    .await;
}

/// A tenant's list is walked along the index of each of its subscriptions, never over others' rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_a_tenant_walk_its_own_rows_by_index() {
    on_postgres(async |bed: Bed| {
        let url = bed.settings.database_url.as_ref().unwrap().expose();
        let mut database = PgConnection::connect(url).await.unwrap();
        for setting in ["enable_seqscan = off", "enable_bitmapscan = off"] {
            run(&mut database, format!("SET {setting}")).await;
        }
        let id = "00000000-0000-7000-8000-000000000001";
        let walked = |of_one: &str| {
            format!(
                "EXPLAIN SELECT one.* FROM (SELECT id FROM subscriptions WHERE tenant = 'a' OFFSET 0)
                     AS own
                 CROSS JOIN LATERAL (
                     SELECT id, state FROM deliveries WHERE subscription_id = own.id AND {of_one}
                     ORDER BY id DESC LIMIT 100
                 ) AS one"
            )
        };
        let end = format!(
            "EXPLAIN SELECT (
                 SELECT id FROM deliveries WHERE subscription_id = own.id AND id < '{id}'
                 ORDER BY id DESC LIMIT 1 OFFSET 99
             ) FROM subscriptions AS own WHERE tenant = 'a'"
        );
        let events = format!(
            "EXPLAIN SELECT id FROM events WHERE tenant = 'a' AND id < '{id}' ORDER BY id DESC LIMIT 9"
        );
        let lower = "00000000-0000-7000-8000-000000000000";
        let below = walked(&format!("id < '{id}' AND id >= '{lower}'"));
        let steps = async |database: &mut PgConnection, sql: String| -> Vec<String> {
            let plan = sqlx::query_scalar(sqlx::AssertSqlSafe(sql));
            plan.fetch_all(database).await.unwrap()
        };
        for sql in [below, end] {
            let plan = steps(&mut database, sql).await;
            let count = |words: &str| plan.iter().filter(|step| step.contains(words)).count();
            assert_eq!(count("Seq Scan") + count("Sort  ("), 0, "{plan:?}");
            assert_eq!(count("subscriptions_of_tenant"), 1, "{plan:?}");
            // In pending deliveries, and in at least one partition of final ones.
            assert!(count("(subscription_id = own.id)") + count("(subscription_id = subscriptions.id)")
                + count("((subscription_id = ") >= 2, "{plan:?}");
        }
        let plan = steps(&mut database, events).await;
        assert!(plan.iter().any(|step| step.contains("Index Cond: ((tenant = 'a'")), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("Sort  (")), "{plan:?}");
    })
    .await;
}

/// Whatever reads pending and final deliveries together begins at the end of an index of each, and
/// sorts nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_both_tables_are_merged_from_their_indexes() {
    on_postgres(async |bed: Bed| {
        let url = bed.settings.database_url.as_ref().unwrap().expose();
        let mut database = PgConnection::connect(url).await.unwrap();
        for setting in ["enable_seqscan = off", "enable_bitmapscan = off"] {
            run(&mut database, format!("SET {setting}")).await;
        }
        let id = "00000000-0000-7000-8000-000000000001";
        for condition in [
            String::new(),
            format!("WHERE subscription_id = '{id}' AND id < '{id}'"),
            format!("WHERE id >= '{id}' AND id <= '{id}'"),
        ] {
            let sql = format!(
                "EXPLAIN SELECT id FROM (
                     SELECT id, event_id, state FROM deliveries {condition}
                     ORDER BY id DESC LIMIT 100
                 ) AS walked WHERE state = 'failed' ORDER BY id DESC LIMIT 10"
            );
            let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .fetch_all(&mut database)
                .await
                .unwrap();
            let has = |words: &str| plan.iter().any(|step| step.contains(words));
            assert!(has("Merge Append"), "{plan:?}");
            assert!(!has("Sort  (") && !has("Seq Scan"), "{plan:?}");
        }
    })
    .await;
}
