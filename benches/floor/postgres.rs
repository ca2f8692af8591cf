//! The two commits on Postgres: one statement and one round trip each.

use std::str::FromStr;
use std::sync::Arc;

use posthaste::domain::event::Event;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Executor};

use super::{Job, Outcome};

const TABLES: &str = "
CREATE TABLE floor_events (
    id uuid PRIMARY KEY, received_at bigint NOT NULL, event_type text NOT NULL, payload bytea NOT NULL
);
CREATE TABLE floor_deliveries (
    id uuid PRIMARY KEY, event_id uuid NOT NULL, lane integer NOT NULL
);
CREATE TABLE floor_outcomes (
    delivery_id uuid PRIMARY KEY, at bigint NOT NULL, duration_us bigint NOT NULL, status smallint NOT NULL
)";

const ACCEPT: &str = "
WITH new_events AS (
    INSERT INTO floor_events (id, received_at, event_type, payload)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bytea[])
)
INSERT INTO floor_deliveries (id, event_id, lane)
SELECT * FROM unnest($5::uuid[], $6::uuid[], $7::integer[])";

const RECORD: &str = "
INSERT INTO floor_outcomes (delivery_id, at, duration_us, status)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::smallint[])";

/// The first session, with the tables made.
pub(super) async fn open(url: &str) -> sqlx::Result<PgConnection> {
    let mut connection = session(url).await?;
    connection.execute(TABLES).await?;
    Ok(connection)
}

/// A session as durable as the relay's.
pub(super) async fn session(url: &str) -> sqlx::Result<PgConnection> {
    let options = PgConnectOptions::from_str(url)?.disable_statement_logging();
    let mut connection = options.connect().await?;
    let settings =
        "SET synchronous_commit = on; SET plan_cache_mode = force_generic_plan; SET jit = off";
    connection.execute(settings).await?;
    Ok(connection)
}

pub(super) async fn accept(
    connection: &mut PgConnection,
    events: &[Arc<Event>],
    jobs: &[Job],
) -> sqlx::Result<()> {
    sqlx::query(ACCEPT)
        .bind(events.iter().map(|event| event.id.0).collect::<Vec<_>>())
        .bind(
            events
                .iter()
                .map(|event| event.received_at.as_micros())
                .collect::<Vec<_>>(),
        )
        .bind(
            events
                .iter()
                .map(|event| event.event_type.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            events
                .iter()
                .map(|event| &event.payload[..])
                .collect::<Vec<_>>(),
        )
        .bind(jobs.iter().map(|job| job.delivery.0).collect::<Vec<_>>())
        .bind(jobs.iter().map(|job| job.event.0).collect::<Vec<_>>())
        .bind(jobs.iter().map(lane).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn record(
    connection: &mut PgConnection,
    outcomes: &[Outcome],
) -> sqlx::Result<()> {
    sqlx::query(RECORD)
        .bind(
            outcomes
                .iter()
                .map(|outcome| outcome.delivery.0)
                .collect::<Vec<_>>(),
        )
        .bind(
            outcomes
                .iter()
                .map(|outcome| outcome.at)
                .collect::<Vec<_>>(),
        )
        .bind(
            outcomes
                .iter()
                .map(|outcome| outcome.duration)
                .collect::<Vec<_>>(),
        )
        .bind(
            outcomes
                .iter()
                .map(|outcome| outcome.status)
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}

fn lane(job: &Job) -> i32 {
    i32::try_from(job.lane).expect("few lanes")
}
