//! The databases of a run: made fresh, looked into, and filled with rows by cloning.
//!
//! This is the only file of the benches that names the relay's tables. Rows are cloned from one
//! that the relay itself wrote, column by column as the database has them, so that a new column
//! needs no change here.

use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};
use url::Url;

use crate::wire::{self, Latencies, Spread};

/// Rows of one statement: keeps the log of the database from growing with the whole seed.
const CHUNK: u64 = 100_000;

/// Where a relay or a floor keeps its data. What it made is removed with it.
pub enum Store {
    /// A directory for a SQLite file.
    Embedded(Directory),
    /// A Postgres database of its own, and the Redis beside it.
    Distributed { database: Url, redis: Url },
}

/// One row, and the columns in which its clones differ, as SQL over the clone's number `n`.
pub struct Copied<'a> {
    pub table: &'a str,
    /// Which row, as a condition.
    pub row: String,
    pub differ: Vec<(&'a str, String)>,
}

/// A directory that is removed in the end.
pub struct Directory(pub PathBuf);

impl Directory {
    /// A fresh one; `number` tells those of one process apart.
    pub fn new(number: u32) -> Self {
        let name = format!("posthaste-bench-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Store {
    /// A fresh database on a Postgres server.
    pub async fn distributed(server: &Url, redis: &Url, name: &str) -> Self {
        let mut connection = postgres(server).await;
        let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        run(&mut connection, sql).await;
        run(&mut connection, format!("CREATE DATABASE {name}")).await;
        let mut database = server.clone();
        database.set_path(name);
        Self::Distributed {
            database,
            redis: redis.clone(),
        }
    }

    /// The file of the embedded profile.
    pub fn directory(&self) -> Option<PathBuf> {
        match self {
            Self::Embedded(directory) => Some(directory.0.join("data")),
            Self::Distributed { .. } => None,
        }
    }

    /// Whether anything of these subscriptions is still to be delivered or recorded.
    pub async fn has_pending(&self, subscriptions: &[String]) -> bool {
        for subscription in subscriptions {
            let id = self.id(subscription);
            let sql =
                format!("SELECT 1 FROM pending_deliveries WHERE subscription_id = {id} LIMIT 1");
            if self.number(sql).await.is_some() {
                return true;
            }
        }
        false
    }

    /// How many deliveries are pending.
    pub async fn pending(&self) -> i64 {
        let sql = "SELECT count(*) FROM pending_deliveries";
        self.number(sql.to_owned()).await.unwrap_or(0)
    }

    /// How many events there are.
    pub async fn events(&self) -> i64 {
        let sql = "SELECT count(*) FROM events";
        self.number(sql.to_owned()).await.unwrap_or(0)
    }

    /// What committing one row takes on this store, at the pace of 300 a second.
    pub async fn one_row_commit(&self) -> Spread {
        let mut latencies = Latencies::default();
        let create = "CREATE TABLE bench_one_row (n bigint PRIMARY KEY, bytes text)";
        let insert = |n| format!("INSERT INTO bench_one_row VALUES ({n}, '{:x<200}')", "");
        self.execute(vec![create.to_owned()]).await;
        match self {
            Self::Embedded(_) => {
                let mut connection = self.sqlite(true).await;
                for n in 0..600 {
                    tokio::time::sleep(std::time::Duration::from_micros(2_300)).await;
                    let began = wire::now();
                    run(&mut connection, insert(n)).await;
                    latencies.record(began, wire::now());
                }
            }
            Self::Distributed { database, .. } => {
                let mut connection = postgres(database).await;
                for n in 0..600 {
                    tokio::time::sleep(std::time::Duration::from_micros(2_300)).await;
                    let began = wire::now();
                    run(&mut connection, insert(n)).await;
                    latencies.record(began, wire::now());
                }
            }
        }
        self.execute(vec!["DROP TABLE bench_one_row".to_owned()])
            .await;
        latencies.spread()
    }

    /// An id as this database writes it.
    pub fn id(&self, id: &str) -> String {
        match self {
            Self::Embedded(_) => format!("unhex('{}')", id.replace('-', "")),
            Self::Distributed { .. } => format!("'{id}'::uuid"),
        }
    }

    /// Ids of clones, as if twenty thousand had been made in a second, up to a minute ago. Ids
    /// of version 8, which deliveries have, share their first half with their events' (7).
    pub fn clone_id(&self, version: u8, rows: u64) -> String {
        self.old_id(version, rows, 0)
    }

    /// As [`Store::clone_id`], so many days ago.
    pub fn old_id(&self, version: u8, rows: u64, days: u64) -> String {
        let newest = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("a time after 1970")
            .as_millis();
        let first =
            u64::try_from(newest).expect("milliseconds") - 60_000 - rows / 20 - days * 86_400_000;
        let time = format!("{first} + n / 20");
        match self {
            Self::Embedded(_) => {
                format!("unhex(printf('%012x{version}%03x8%015x', {time}, n % 20, n))")
            }
            Self::Distributed { .. } => format!(
                "(lpad(to_hex({time}), 12, '0') || '{version}' || lpad(to_hex(n % 20), 3, '0') \
                 || '8' || lpad(to_hex(n), 15, '0'))::uuid"
            ),
        }
    }

    /// Adds `rows` clones of a row. The relay must not be running on a SQLite file meanwhile.
    pub async fn clone_rows(&self, rows: u64, clones: &[Copied<'_>]) {
        let mut statements = Vec::new();
        for clone in clones {
            let table = clone.table;
            // The sequence is drawn by the database, as for any other row; on SQLite the relay
            // draws that of deliveries, and the clones are older than all it has.
            let columns: Vec<String> = self.columns(table).await;
            let given = self.directory().is_some() && table.ends_with("_deliveries");
            let columns: Vec<&String> = columns
                .iter()
                .filter(|name| given || *name != "seq")
                .collect();
            let values: Vec<String> = columns
                .iter()
                .map(|name| {
                    let differs = clone.differ.iter().find(|(column, _)| column == name);
                    match differs {
                        Some((_, sql)) => sql.clone(),
                        None if *name == "seq" => "-1 - n".to_owned(),
                        None => format!("model.{name}"),
                    }
                })
                .collect();
            let columns: Vec<&str> = columns.iter().map(|name| name.as_str()).collect();
            let (columns, values, row) = (columns.join(", "), values.join(", "), &clone.row);
            for first in (0..rows).step_by(usize::try_from(CHUNK).expect("a small number")) {
                let last = (first + CHUNK).min(rows) - 1;
                let numbers = match self {
                    Self::Embedded(_) => format!(
                        "(WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL \
                         SELECT n + 1 FROM numbers WHERE n < {last}) SELECT n FROM numbers) AS numbers"
                    ),
                    Self::Distributed { .. } => {
                        format!("generate_series({first}::bigint, {last}) AS numbers (n)")
                    }
                };
                statements.push(format!(
                    "INSERT INTO {table} ({columns}) SELECT {values} FROM {numbers}, \
                     (SELECT * FROM {table} WHERE {row} LIMIT 1) AS model"
                ));
            }
        }
        self.execute(statements).await;
    }

    /// Brings the database to rest after a seed: statistics, the log moved into the tables.
    pub async fn rest(&self) {
        let statements: &[&str] = match self {
            Self::Embedded(_) => &["PRAGMA wal_checkpoint(TRUNCATE)"],
            Self::Distributed { .. } => &["VACUUM ANALYZE", "CHECKPOINT"],
        };
        let statements = statements.iter().map(|sql| (*sql).to_owned());
        self.execute(statements.collect()).await;
        // A seed need not be durable, so the system may hold a gigabyte of it back and write it
        // out under the measurement.
        let synced = std::process::Command::new("sync").status();
        assert!(synced.expect("sync").success(), "sync failed");
    }

    async fn columns(&self, table: &str) -> Vec<String> {
        match self {
            Self::Embedded(_) => {
                let sql = format!("SELECT name FROM pragma_table_info('{table}')");
                let mut connection = self.sqlite(true).await;
                let rows = connection.fetch_all(AssertSqlSafe(sql)).await;
                let rows = rows.expect("the columns of a table");
                rows.iter().map(|row| row.get(0)).collect()
            }
            Self::Distributed { database, .. } => {
                let sql = format!(
                    "SELECT attname::text FROM pg_attribute WHERE attrelid = '{table}'::regclass \
                     AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
                );
                let mut connection = postgres(database).await;
                let rows = connection.fetch_all(AssertSqlSafe(sql)).await;
                let rows = rows.expect("the columns of a table");
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    async fn number(&self, sql: String) -> Option<i64> {
        match self {
            Self::Embedded(_) => {
                let mut connection = self.sqlite(true).await;
                let row = connection.fetch_optional(AssertSqlSafe(sql)).await;
                row.expect("an answer").map(|row| row.get(0))
            }
            Self::Distributed { database, .. } => {
                let mut connection = postgres(database).await;
                let sql = format!("SELECT number::bigint FROM ({sql}) AS found (number)");
                let row = connection.fetch_optional(AssertSqlSafe(sql)).await;
                row.expect("an answer").map(|row| row.get(0))
            }
        }
    }

    async fn execute(&self, statements: Vec<String>) {
        match self {
            Self::Embedded(_) => {
                let mut connection = self.sqlite(false).await;
                for sql in statements {
                    run(&mut connection, sql).await;
                }
                connection.close().await.expect("a closed file");
            }
            Self::Distributed { database, .. } => {
                let mut connection = postgres(database).await;
                for sql in statements {
                    run(&mut connection, sql).await;
                }
            }
        }
    }

    /// `durable` as the relay writes; a seed need not survive a power cut.
    async fn sqlite(&self, durable: bool) -> SqliteConnection {
        let directory = self.directory().expect("the embedded profile");
        let synchronous = if durable { "FULL" } else { "OFF" };
        SqliteConnectOptions::new()
            .filename(directory.join("posthaste.db"))
            .pragma("synchronous", synchronous)
            .pragma("cache_size", "-262144")
            .busy_timeout(std::time::Duration::from_secs(30))
            .disable_statement_logging()
            .connect()
            .await
            .expect("the relay's file")
    }
}

async fn postgres(url: &Url) -> PgConnection {
    let options = PgConnectOptions::from_str(url.as_str()).expect("a URL of Postgres");
    let connection = options.disable_statement_logging().connect().await;
    connection.expect("Postgres")
}

async fn run<'c, C: Executor<'c>>(connection: C, sql: String)
where
    AssertSqlSafe<String>: sqlx::Execute<'c, C::Database>,
{
    let shown = sql.clone();
    let done = connection.execute(AssertSqlSafe(sql)).await;
    done.unwrap_or_else(|error| panic!("{error}: {shown}"));
}
