//! What only Postgres can get wrong: the session, and errors on the way to it.

use std::path::PathBuf;

use posthaste::store::{PostgresStore, StoreError};
use sqlx::{Connection, PgConnection};

use crate::bed::{in_new_database, run, settings};

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
