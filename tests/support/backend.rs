//! A database and a Redis of a test's own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

/// What a story runs on: one of the two profiles, or the second in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// SQLite, in process.
    Embedded,
    /// Postgres and Redis.
    Distributed,
    /// Postgres and Redis, one relay that accepts and another that delivers.
    Split,
}

/// Where a relay under test keeps its things. Several relays may share one.
pub struct Backend {
    pub profile: Profile,
    directory: TempDir,
    database: Option<Database>,
}

struct Database {
    admin_url: String,
    name: String,
}

fn required(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests with `make test`"))
}

impl Backend {
    pub async fn new(profile: Profile) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = match profile {
            Profile::Embedded => None,
            Profile::Distributed | Profile::Split => Some(Database::create().await),
        };
        Self {
            profile,
            directory,
            database,
        }
    }

    /// The settings that lead here, as environment variables.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::from([(
            "POSTHASTE_DATA_DIR".to_owned(),
            self.data_dir().display().to_string(),
        )]);
        if let Some(database) = &self.database {
            environment.insert("DATABASE_URL".to_owned(), database.url());
            environment.insert("REDIS_URL".to_owned(), required("TEST_REDIS_URL"));
        }
        environment
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The Postgres of this test.
    pub fn database_url(&self) -> Option<String> {
        self.database.as_ref().map(Database::url)
    }
}

impl Database {
    async fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let admin_url = required("TEST_DATABASE_URL");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("posthaste_test_{}_{number}", std::process::id());
        let mut admin = PgConnection::connect(&admin_url).await.unwrap();
        let create = format!("CREATE DATABASE {name}");
        admin.execute(sqlx::AssertSqlSafe(create)).await.unwrap();
        Self { admin_url, name }
    }

    fn url(&self) -> String {
        let mut url = url::Url::parse(&self.admin_url).unwrap();
        url.set_path(&self.name);
        url.to_string()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A runtime of its own: the test's may be gone, and drop cannot wait on it.
        let (url, name) = (self.admin_url.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                if let Ok(mut admin) = PgConnection::connect(&url).await {
                    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    let _ = admin.execute(sqlx::AssertSqlSafe(drop)).await;
                }
            });
        });
        let _ = dropping.join();
    }
}
