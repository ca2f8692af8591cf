//! The two commits on SQLite: one transaction each, rows in statements that stay prepared.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use posthaste::domain::event::Event;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor};

use super::{Job, Outcome};

/// The relay's own way of many rows by few statements.
#[path = "../../src/store/sqlite/bulk.rs"]
#[allow(dead_code, reason = "its tests run where it belongs")]
mod bulk;
use bulk::Bulk;

const TABLES: &str = "
CREATE TABLE floor_events (
    id BLOB PRIMARY KEY, received_at INTEGER NOT NULL, event_type TEXT NOT NULL, payload BLOB NOT NULL
);
CREATE TABLE floor_deliveries (
    id BLOB PRIMARY KEY, event_id BLOB NOT NULL, lane INTEGER NOT NULL
);
CREATE TABLE floor_outcomes (
    delivery_id BLOB PRIMARY KEY, at INTEGER NOT NULL, duration_us INTEGER NOT NULL, status INTEGER NOT NULL
)";

static EVENTS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT INTO floor_events (id, received_at, event_type, payload) VALUES",
        4,
        "",
    )
});
static DELIVERIES: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT INTO floor_deliveries (id, event_id, lane) VALUES",
        3,
        "",
    )
});
static OUTCOMES: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT INTO floor_outcomes (delivery_id, at, duration_us, status) VALUES",
        4,
        "",
    )
});

/// The file with its tables, as durable as the relay's.
pub(super) async fn open(path: &Path) -> sqlx::Result<SqliteConnection> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", "4096")
        .disable_statement_logging()
        .connect()
        .await?;
    connection.execute(TABLES).await?;
    Ok(connection)
}

pub(super) async fn accept(
    connection: &mut SqliteConnection,
    events: &[Arc<Event>],
    jobs: &[Job],
) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (sql, events) in EVENTS.chunks(events) {
        let mut query = sqlx::query(sql);
        for event in events {
            query = query
                .bind(event.id.0)
                .bind(event.received_at.as_micros())
                .bind(event.event_type.as_str())
                .bind(&event.payload[..]);
        }
        query.execute(&mut *transaction).await?;
    }
    for (sql, jobs) in DELIVERIES.chunks(jobs) {
        let mut query = sqlx::query(sql);
        for job in jobs {
            query = query.bind(job.delivery.0).bind(job.event.0).bind(job.lane);
        }
        query.execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

pub(super) async fn record(
    connection: &mut SqliteConnection,
    outcomes: &[Outcome],
) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (sql, outcomes) in OUTCOMES.chunks(outcomes) {
        let mut query = sqlx::query(sql);
        for outcome in outcomes {
            query = query
                .bind(outcome.delivery.0)
                .bind(outcome.at)
                .bind(outcome.duration)
                .bind(outcome.status);
        }
        query.execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
