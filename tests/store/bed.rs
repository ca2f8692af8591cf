//! A store for one case: made before it, gone after it, whatever the case did.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use posthaste::clock;
use posthaste::settings::{Secret, StoreSettings};
use posthaste::store::{LeaseState, PostgresStore, SqliteStore, Store};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// What a case works on.
#[derive(Clone)]
pub struct Bed {
    /// The store, migrated, its lease held.
    pub store: Arc<dyn Store>,
    /// The epoch of that lease.
    pub epoch: i64,
    /// How to open the same store once more.
    pub settings: StoreSettings,
}

impl Bed {
    /// Whether this is Postgres.
    pub fn is_postgres(&self) -> bool {
        self.settings.database_url.is_some()
    }

    async fn on(store: Arc<dyn Store>, settings: StoreSettings) -> Self {
        let lease = store.lease("bed", Duration::from_secs(3600)).await.unwrap();
        let LeaseState::Held { epoch } = lease else {
            panic!("a new store's lease is free, not {lease:?}");
        };
        Self {
            store,
            epoch,
            settings,
        }
    }
}

/// Settings of a store.
pub fn settings(database_url: Option<String>, data_dir: PathBuf) -> StoreSettings {
    StoreSettings {
        database_url: database_url.map(Secret::new),
        data_dir,
        max_connections: 8,
        acquire_timeout: Duration::from_secs(10),
        master_keys: Vec::new(),
    }
}

/// Runs a case on a new SQLite file.
pub async fn on_sqlite<F: Future<Output = ()>>(case: impl FnOnce(Bed) -> F) {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(None, directory.path().join("data"));
    let store = SqliteStore::open(&settings).await.unwrap();
    store.migrate().await.unwrap();
    let bed = Bed::on(Arc::new(store), settings).await;
    let store = bed.store.clone();
    case(bed).await;
    store.close().await;
}

/// Runs a case on a new Postgres database.
pub async fn on_postgres<F: Future<Output = ()>>(case: impl FnOnce(Bed) -> F) {
    in_new_database(async |url| {
        let settings = settings(Some(url), PathBuf::new());
        let store = PostgresStore::connect(&settings).await.unwrap();
        store.migrate().await.unwrap();
        let bed = Bed::on(Arc::new(store), settings).await;
        let store = bed.store.clone();
        case(bed).await;
        store.close().await;
    })
    .await;
}

/// Runs a case with the URL of a new, empty database.
pub async fn in_new_database(case: impl AsyncFnOnce(String)) {
    let server = std::env::var("TEST_DATABASE_URL").expect(
        "TEST_DATABASE_URL is not set: these tests need a Postgres server; `make test` starts one",
    );
    let mut url = url::Url::parse(&server).expect("TEST_DATABASE_URL must be a URL");
    let name = format!("posthaste_{}", clock::uuid().simple());
    let mut admin = PgConnection::connect(&server).await.unwrap();
    run(&mut admin, format!("CREATE DATABASE {name}")).await;
    url.set_path(&name);
    let outcome = AssertUnwindSafe(case(url.into())).catch_unwind().await;
    run(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    admin.close().await.unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a statement on a connection of the test's own.
pub async fn run(connection: &mut PgConnection, sql: String) {
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
}

/// Makes a test of each case on each store.
macro_rules! on_both_stores {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::bed::on_sqlite(super::$case).await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::bed::on_postgres(super::$case).await;
            })+
        }
    };
}
