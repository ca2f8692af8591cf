//! What an error of the database means for the caller.
//!
//! `Unavailable` is run again, `Refused` is halved until the culprit stands alone, `Broken` is
//! reported. Messages are the database's own words without its details, which may quote data.

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

use super::StoreError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error::{
            BeginFailed, Configuration, Database, Encode, Io, PoolClosed, PoolTimedOut, Protocol,
            Tls, WorkerCrashed,
        };
        match error {
            Database(error) => of_database(error.as_ref()),
            Io(_) | Tls(_) | PoolTimedOut | PoolClosed | WorkerCrashed | Protocol(_)
            | BeginFailed => Self::Unavailable(error.to_string()),
            // Ours (`connect.rs`), or a URL that cannot be read; never quotes it.
            Configuration(reason) => Self::Broken(reason.to_string()),
            // A value that the protocol cannot carry.
            Encode(_) => Self::Refused(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => error.into(),
            MigrateError::ExecuteMigration(error, version) => match Self::from(error) {
                Self::Unavailable(message) => Self::Unavailable(message),
                other => Self::Broken(format!("migration {version}: {other}")),
            },
            other => Self::Broken(other.to_string()),
        }
    }
}

/// An error that SQLite gave this code to.
pub(super) fn of_sqlite_code(code: i32, message: &str) -> StoreError {
    of_sqlite(code).with(format!("{message} ({code})"))
}

fn of_database(error: &(dyn DatabaseError + 'static)) -> StoreError {
    let code = error.code().unwrap_or_default();
    let message = format!("{} ({code})", error.message());
    let meaning = if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        of_postgres(&code)
    } else {
        of_sqlite(code.parse().unwrap_or(0))
    };
    meaning.with(message)
}

#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Unavailable,
    Refused,
    Broken,
}

impl Meaning {
    fn with(self, message: String) -> StoreError {
        match self {
            Self::Unavailable => StoreError::Unavailable(message),
            Self::Refused => StoreError::Refused(message),
            Self::Broken => StoreError::Broken(message),
        }
    }
}

/// By SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn of_postgres(code: &str) -> Meaning {
    match code {
        // Idle in transaction too long; read-only (a standby after a failover); no lock in time; the
        // database takes no connections.
        "25P03" | "25006" | "55P03" | "55000" => Meaning::Unavailable,
        // Connection; serialisation and deadlock; out of disk, memory or connections;
        // shutdown, statement timeout; I/O.
        _ if ["08", "40", "53", "57", "58"].contains(&class(code)) => Meaning::Unavailable,
        // Data; integrity; too large for an index or a row.
        _ if ["22", "23", "54"].contains(&class(code)) => Meaning::Refused,
        _ => Meaning::Broken,
    }
}

fn class(code: &str) -> &str {
    code.get(..2).unwrap_or_default()
}

/// By primary result code (<https://www.sqlite.org/rescode.html>).
fn of_sqlite(code: i32) -> Meaning {
    match code & 0xff {
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL
        5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15 => Meaning::Unavailable,
        // TOOBIG, CONSTRAINT, MISMATCH
        18..=20 => Meaning::Refused,
        _ => Meaning::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        for code in [
            "08006", "40001", "40P01", "53100", "53300", "55000", "55P03", "57014", "57P01",
            "57P03",
        ] {
            assert_eq!(of_postgres(code), Meaning::Unavailable, "{code}");
        }
        for code in ["22021", "22P05", "23505", "23514", "54000"] {
            assert_eq!(of_postgres(code), Meaning::Refused, "{code}");
        }
        for code in ["42P01", "28P01", "XX001", "21000", ""] {
            assert_eq!(of_postgres(code), Meaning::Broken, "{code}");
        }
        // SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_FSYNC, SQLITE_FULL
        for code in [5 | 2 << 8, 10 | 4 << 8, 13] {
            assert_eq!(of_sqlite(code), Meaning::Unavailable, "{code}");
        }
        assert_eq!(of_sqlite(19 | 8 << 8), Meaning::Refused);
        assert_eq!(of_sqlite(11), Meaning::Broken);
    }
}
