//! Rows of Postgres read back into domain values.

crate::store::rows::row_readers!(sqlx::postgres::PgRow);
