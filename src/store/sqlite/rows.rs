//! Rows of SQLite read back into domain values.

crate::store::rows::row_readers!(sqlx::sqlite::SqliteRow);
