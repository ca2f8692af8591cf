//! Sessions that keep the promise of durability, and that never hang.

use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use crate::settings::StoreSettings;
use crate::store::secret_box::SecretBox;
use crate::store::{Result, StoreError};

/// A statement of the relay's own work may take this long.
const STATEMENT: Duration = Duration::from_secs(15);
/// A list or a look-up for the admin routes may take this long.
const READ: Duration = Duration::from_secs(2);
/// A lock may be waited for this long.
const LOCK: Duration = Duration::from_secs(5);
/// The server's timeouts end a statement; this ends the wait for a server that is gone.
const ANSWER: Duration = Duration::from_secs(20);
/// The relay's own statements are few and have one sensible plan each, so they are planned
/// once. Where they join by equality, it is a group's rows with what was found for them: to be
/// hashed, for a nested loop would cost the square of the group. Probes are written as `LATERAL`.
const PLAN_ONCE: &str = "SET plan_cache_mode = force_generic_plan; \
     SET enable_nestloop = off; SET enable_mergejoin = off";
/// Lists are planned for their filters.
const PLAN_EACH: &str = "SET plan_cache_mode = force_custom_plan";
/// A connection idle for longer is asked whether it still lives before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// The relay's own connections, and those of the admin routes: a slow list never makes
/// a commit wait for a connection.
pub(super) struct Pools {
    pub(super) work: PgPool,
    pub(super) reads: PgPool,
    pub(super) secret_box: SecretBox,
}

/// Options without a logger of statements: it would format each one.
fn options(settings: &StoreSettings) -> Result<PgConnectOptions> {
    let url = settings.database_url.as_ref().ok_or_else(|| {
        StoreError::Broken("no DATABASE_URL is set, and the Postgres store needs one".to_owned())
    })?;
    Ok(PgConnectOptions::from_str(url.expose())?
        .application_name("posthaste")
        .disable_statement_logging())
}

/// Opens one connection to say clearly what is wrong, then makes the pools.
pub(super) async fn connect(settings: &StoreSettings) -> Result<Pools> {
    let options = options(settings)?;
    let probe = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        prepare(&mut connection, STATEMENT, PLAN_ONCE).await?;
        connection.close().await
    };
    in_time(settings.acquire_timeout, async { Ok(probe.await?) }).await?;
    let reads = (settings.max_connections / 4).max(1);
    let work = settings.max_connections.saturating_sub(reads).max(1);
    Ok(Pools {
        work: pool(&options, settings, work, STATEMENT, PLAN_ONCE),
        reads: pool(&options, settings, reads, READ, PLAN_EACH),
        secret_box: SecretBox::new(&settings.master_keys),
    })
}

/// A connection of its own, for work that may take long.
pub(super) async fn alone(settings: &StoreSettings, limit: Duration) -> Result<PgConnection> {
    let mut connection = PgConnection::connect_with(&options(settings)?).await?;
    prepare(&mut connection, limit, PLAN_ONCE).await?;
    Ok(connection)
}

fn pool(
    options: &PgConnectOptions,
    settings: &StoreSettings,
    connections: u32,
    statement: Duration,
    plans: &'static str,
) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(settings.acquire_timeout)
        // Asking before every use would double the round trips of a single statement.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move { prepare(connection, statement, plans).await })
        })
        .connect_lazy_with(options.clone())
}

/// Makes a session fit for the relay, or refuses its server.
///
/// No plan without an index: the tables swing between empty and millions of rows, and a plan
/// must not depend on when its statistics were taken.
async fn prepare(
    connection: &mut PgConnection,
    statement: Duration,
    plans: &str,
) -> std::result::Result<(), sqlx::Error> {
    let settings = format!(
        "SET synchronous_commit = on; \
         SET statement_timeout = {}; \
         SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; \
         SET client_min_messages = warning; \
         {plans}; \
         SET enable_seqscan = off; \
         SET enable_bitmapscan = off; \
         SET jit = off",
        statement.as_millis(),
        LOCK.as_millis(),
        STATEMENT.as_millis(),
    );
    connection.execute(AssertSqlSafe(settings)).await?;
    let (fsync, full_page_writes): (String, String) =
        sqlx::query_as("SELECT current_setting('fsync'), current_setting('full_page_writes')")
            .fetch_one(connection)
            .await?;
    check_durability(&fsync, &full_page_writes)
        .map_err(|message| sqlx::Error::Configuration(message.into()))
}

/// A setting as it is in force in a session of this pool.
pub(super) async fn session_setting(pool: &PgPool, name: &str) -> Result<String> {
    Ok(sqlx::query_scalar("SELECT current_setting($1)")
        .bind(name)
        .fetch_one(pool)
        .await?)
}

/// Says what keeps this server from holding the promise that 202 means durable.
fn check_durability(fsync: &str, full_page_writes: &str) -> std::result::Result<(), String> {
    for (name, value) in [("fsync", fsync), ("full_page_writes", full_page_writes)] {
        if value != "on" {
            return Err(format!(
                "the Postgres server runs with {name} = {value}: a power cut could lose or damage \
                 what was acknowledged; set {name} = on in postgresql.conf and reload it"
            ));
        }
    }
    Ok(())
}

/// Ends a wait for a server that does not even time out.
pub(super) async fn answered<T>(work: impl Future<Output = Result<T>> + Send) -> Result<T> {
    in_time(ANSWER, work).await
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(format!(
            "no answer from Postgres within {} s",
            limit.as_secs()
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_may_lose_commits_is_refused_by_the_name_of_its_setting() {
        assert_eq!(check_durability("on", "on"), Ok(()));
        let no_fsync = check_durability("off", "on").unwrap_err();
        assert!(no_fsync.contains("fsync = off"), "{no_fsync}");
        let torn_pages = check_durability("on", "off").unwrap_err();
        assert!(
            torn_pages.contains("full_page_writes = off"),
            "{torn_pages}"
        );
    }
}
