//! Payloads erased for good: the rows are written anew without them, and vacuum gives the room of
//! the old versions back.
//!
//! The event's row is locked first. Whoever makes a delivery of it pending again touches a row that
//! is changed here, or asks for the event under a lock, and looks at it again afterwards: so either
//! the erasure sees what is pending, or the other sees that there is nothing to send any more.

use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::audit;
use crate::domain::Timestamp;
use crate::domain::audit::AuditEntry;
use crate::domain::id::{DeliveryId, EventId};
use crate::store::rows::At;
use crate::store::{Erased, Result};

const LOCK: &str = "SELECT payload_erased_at FROM events WHERE id = $1 FOR UPDATE";

/// A final delivery of an event without payload is never brought back.
const SEAL: &str = "
UPDATE final_deliveries SET payload_bytes = 0 WHERE id >= $1 AND id <= $2 AND event_id = $3";

const PENDING: &str =
    "SELECT count(*) FROM pending_deliveries WHERE id >= $1 AND id <= $2 AND event_id = $3";

const ERASE: &str = "
UPDATE events SET payload = '', event_name = NULL, payload_erased_at = $2 WHERE id = $1";

const ANSWERS: &str = "
UPDATE attempts SET answer_body = '', answer_headers = ''
WHERE delivery_id >= $1 AND delivery_id <= $2 AND (delivery_id, number, id) IN (
    SELECT a.delivery_id, a.number, a.id FROM attempts a
    WHERE a.delivery_id >= $1 AND a.delivery_id <= $2
        AND (a.answer_body <> '' OR a.answer_headers <> '')
        AND (SELECT d.event_id FROM deliveries d WHERE d.id = a.delivery_id) = $3
    LIMIT $4
)";

/// Erases a payload, where nothing of the event is pending.
pub(super) async fn payload(
    pool: &PgPool,
    id: EventId,
    now: Timestamp,
    entry: &AuditEntry,
) -> Result<Erased> {
    let mut transaction = pool.begin().await?;
    let found: Option<Option<At>> = sqlx::query_scalar(LOCK)
        .bind(id.0)
        .fetch_optional(&mut *transaction)
        .await?;
    match found {
        None => return Ok(Erased::Missing),
        Some(Some(at)) => return Ok(Erased::At(at.0)),
        Some(None) => {}
    }
    let (first, last) = DeliveryId::range_of(id);
    sqlx::query(SEAL)
        .bind(first.0)
        .bind(last.0)
        .bind(id.0)
        .execute(&mut *transaction)
        .await?;
    // With a snapshot of its own: it sees what the statement before it had to wait for.
    let pending: i64 = sqlx::query_scalar(PENDING)
        .bind(first.0)
        .bind(last.0)
        .bind(id.0)
        .fetch_one(&mut *transaction)
        .await?;
    if pending > 0 {
        return Ok(Erased::Pending(pending.unsigned_abs()));
    }
    sqlx::query(ERASE)
        .bind(id.0)
        .bind(At(now))
        .execute(&mut *transaction)
        .await?;
    audit::note(&mut transaction, entry).await?;
    transaction.commit().await?;
    Ok(Erased::At(now))
}

/// Events erased since then.
pub(super) async fn since(pool: &PgPool, since: Timestamp, limit: u32) -> Result<Vec<EventId>> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM events WHERE payload_erased_at >= $1 AND payload_erased_at IS NOT NULL
         ORDER BY payload_erased_at LIMIT $2",
    )
    .bind(At(since))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    Ok(found.into_iter().map(EventId).collect())
}

/// Empties a batch of an event's answers.
pub(super) async fn answers(pool: &PgPool, id: EventId, limit: u32) -> Result<u64> {
    let (first, last) = DeliveryId::range_of(id);
    let done = sqlx::query(ANSWERS)
        .bind(first.0)
        .bind(last.0)
        .bind(id.0)
        .bind(i64::from(limit))
        .execute(pool)
        .await?;
    Ok(done.rows_affected())
}
