//! Operational events between what raised them and their acceptance.

use rusqlite::{Connection, params};
use sqlx::SqliteConnection;

use super::connect::Pools;
use super::rows;
use crate::domain::event::Event;
use crate::domain::operational::OperationalEvent;
use crate::store::rows::At;
use crate::store::{Result, WaitingEvent, codec};

/// Where somebody named the event's kind.
const WAIT: &str = "
INSERT INTO operational_events (id, event_type, subscription_id, occurred_at, payload)
SELECT $1, $2, $3, $4, $5
WHERE EXISTS (
    SELECT 1 FROM subscriptions s INDEXED BY subscriptions_told
    WHERE s.tenant IS NULL AND s.state <> 'deleted' AND s.event_types LIKE '%\"posthaste.%'
        AND (instr(s.event_types, $6) > 0 OR instr(s.event_types, $7) > 0)
)
ON CONFLICT DO NOTHING";

/// Lets an event wait; what raises it is part of the same transaction.
pub(super) async fn wait(
    connection: &mut SqliteConnection,
    event: &OperationalEvent,
) -> Result<()> {
    sqlx::query(WAIT)
        .bind(event.id.0)
        .bind(event.event_type.as_str())
        .bind(event.subscription_id.0)
        .bind(At(event.occurred_at))
        .bind(&event.payload[..])
        .bind(codec::kind_named(event))
        .bind(codec::any_kind_named())
        .execute(connection)
        .await?;
    Ok(())
}

/// As [`wait`], where outcomes are recorded.
pub(super) fn wait_hot(connection: &Connection, event: &OperationalEvent) -> Result<()> {
    connection.prepare_cached(WAIT)?.execute(params![
        event.id.0.as_bytes(),
        event.event_type.as_str(),
        event.subscription_id.0.as_bytes(),
        event.occurred_at.as_micros(),
        &event.payload[..],
        codec::kind_named(event),
        codec::any_kind_named(),
    ])?;
    Ok(())
}

/// These are being accepted in the same transaction.
pub(super) fn wait_no_more<'a>(
    connection: &Connection,
    accepted: impl Iterator<Item = &'a Event>,
) -> Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM operational_events WHERE id = ?")?;
    for event in accepted {
        delete.execute(params![event.id.0.as_bytes()])?;
    }
    Ok(())
}

/// A page of what waits.
pub(super) async fn waiting(pools: &Pools, after: i64, limit: u32) -> Result<Vec<WaitingEvent>> {
    let found = sqlx::query(
        "SELECT seq, id, event_type, subscription_id, occurred_at, payload
         FROM operational_events WHERE seq > ? ORDER BY seq LIMIT ?",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(&pools.readers)
    .await?;
    found.iter().map(rows::waiting_event).collect()
}
