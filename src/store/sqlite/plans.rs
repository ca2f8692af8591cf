//! How SQLite goes about a statement, for tests: what must not grow with the tables is asked for
//! by an index.

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::MIGRATIONS;

/// The steps of its plan, on tables without statistics as the relay's are.
pub(super) async fn of(sql: &str) -> Vec<String> {
    let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    MIGRATIONS.run(&mut database).await.unwrap();
    let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let plan = sqlx::query(explained).fetch_all(&mut database).await;
    plan.unwrap().iter().map(|row| row.get("detail")).collect()
}
