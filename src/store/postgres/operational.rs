//! Operational events between what raised them and their acceptance.

use sqlx::postgres::{PgArguments, PgPool, Postgres};
use sqlx::query::Query;
use uuid::Uuid;

use super::rows;
use crate::domain::operational::OperationalEvent;
use crate::store::rows::At;
use crate::store::{Result, WaitingEvent, codec};

/// An event and the row whose change raises it.
pub(super) type Raised<'a> = (Uuid, &'a OperationalEvent);

/// The part of a statement that lets events wait where somebody named their kind, and where the
/// part called `changed` returns the id of the row that raises them. Its eight parameters are
/// those from `first` on, bound by [`bind`].
pub(super) fn waits(first: usize, changed: &str) -> String {
    let [id, event_type, about, at, payload, cause, kind, any] =
        std::array::from_fn(|place| first + place);
    format!(
        "waits AS (
    INSERT INTO operational_events (id, event_type, subscription_id, occurred_at, payload)
    SELECT w.id, w.event_type, w.subscription_id, w.occurred_at, w.payload
    FROM unnest(${id}::uuid[], ${event_type}::text[], ${about}::uuid[], ${at}::timestamptz[],
            ${payload}::bytea[], ${cause}::uuid[], ${kind}::text[])
        WITH ORDINALITY AS w (id, event_type, subscription_id, occurred_at, payload, cause,
            kind, place)
    WHERE w.cause IN (SELECT id FROM {changed}) AND EXISTS (
        SELECT FROM subscriptions s
        WHERE s.tenant IS NULL AND s.state <> 'deleted' AND s.event_types LIKE '%\"posthaste.%'
            AND (position(w.kind IN s.event_types) > 0 OR position(${any} IN s.event_types) > 0)
    )
    ORDER BY w.place
    ON CONFLICT (id) DO NOTHING
)"
    )
}

/// Binds the parameters of [`waits`].
pub(super) fn bind<'q>(
    query: Query<'q, Postgres, PgArguments>,
    raised: &[Raised<'_>],
) -> Query<'q, Postgres, PgArguments> {
    macro_rules! column {
        ($row:pat => $value:expr) => {
            raised.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    query
        .bind(column!((_, event) => event.id.0))
        .bind(column!((_, event) => event.event_type.as_str().to_owned()))
        .bind(column!((_, event) => event.subscription_id.0))
        .bind(column!((_, event) => At(event.occurred_at)))
        .bind(column!((_, event) => event.payload.to_vec()))
        .bind(column!((cause, _) => *cause))
        .bind(column!((_, event) => codec::kind_named(event)))
        .bind(codec::any_kind_named())
}

/// A page of what waits.
pub(super) async fn waiting(pool: &PgPool, after: i64, limit: u32) -> Result<Vec<WaitingEvent>> {
    let found = sqlx::query(
        "SELECT seq, id, event_type, subscription_id, occurred_at, payload
         FROM operational_events WHERE seq > $1 ORDER BY seq LIMIT $2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    found.iter().map(rows::waiting_event).collect()
}
