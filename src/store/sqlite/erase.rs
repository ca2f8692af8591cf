//! Payloads erased for good.
//!
//! The pages and the log that held one are overwritten (`secure_delete`) as far as SQLite can: the
//! log keeps older copies of a page until it is written over, at the latest when the file is closed.

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::audit;
use super::connect::Pools;
use crate::domain::Timestamp;
use crate::domain::audit::AuditEntry;
use crate::domain::id::{DeliveryId, EventId};
use crate::store::rows::At;
use crate::store::{Erased, Result};

const PENDING: &str =
    "SELECT count(*) FROM pending_deliveries WHERE id BETWEEN $1 AND $2 AND event_id = $3";

/// A final delivery of an event without payload is never brought back (`moves.rs`).
const SEAL: &str = "
UPDATE final_deliveries SET payload_bytes = 0 WHERE id BETWEEN $1 AND $2 AND event_id = $3";

const ERASE: &str = "
UPDATE events SET payload = x'', event_name = NULL, payload_erased_at = $2 WHERE id = $1";

const ANSWERS: &str = "
UPDATE attempts SET answer_body = x'', answer_headers = x'' WHERE rowid IN (
    SELECT a.rowid FROM deliveries d CROSS JOIN attempts a ON a.delivery_id = d.id
    WHERE d.id BETWEEN $1 AND $2 AND d.event_id = $3
        AND (length(a.answer_body) > 0 OR length(a.answer_headers) > 0)
    LIMIT $4
)";

/// What is freed on this connection is overwritten, or is not any more.
async fn overwrite(connection: &mut SqliteConnection, on: bool) -> Result<()> {
    let sql = match on {
        true => "PRAGMA secure_delete = ON",
        false => "PRAGMA secure_delete = OFF",
    };
    sqlx::query(sql).fetch_optional(connection).await?;
    Ok(())
}

/// Erases a payload, where nothing of the event is pending.
pub(super) async fn payload(
    pools: &Pools,
    id: EventId,
    now: Timestamp,
    entry: &AuditEntry,
) -> Result<Erased> {
    let mut transaction = pools.write().await?;
    let found: Option<Option<At>> =
        sqlx::query_scalar("SELECT payload_erased_at FROM events WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&mut *transaction)
            .await?;
    match found {
        None => return Ok(Erased::Missing),
        Some(Some(at)) => return Ok(Erased::At(at.0)),
        Some(None) => {}
    }
    let (first, last) = DeliveryId::range_of(id);
    let pending: i64 = sqlx::query_scalar(PENDING)
        .bind(first.0)
        .bind(last.0)
        .bind(id.0)
        .fetch_one(&mut *transaction)
        .await?;
    if pending > 0 {
        return Ok(Erased::Pending(pending.unsigned_abs()));
    }
    sqlx::query(SEAL)
        .bind(first.0)
        .bind(last.0)
        .bind(id.0)
        .execute(&mut *transaction)
        .await?;
    overwrite(&mut transaction, true).await?;
    let erased = sqlx::query(ERASE)
        .bind(id.0)
        .bind(At(now))
        .execute(&mut *transaction)
        .await;
    overwrite(&mut transaction, false).await?;
    erased?;
    audit::note(&mut transaction, entry).await?;
    transaction.commit().await?;
    Ok(Erased::At(now))
}

/// Events erased since then.
pub(super) async fn since(pools: &Pools, since: Timestamp, limit: u32) -> Result<Vec<EventId>> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM events INDEXED BY events_erased
         WHERE payload_erased_at >= $1 AND payload_erased_at IS NOT NULL
         ORDER BY payload_erased_at LIMIT $2",
    )
    .bind(At(since))
    .bind(i64::from(limit))
    .fetch_all(&pools.readers)
    .await?;
    Ok(found.into_iter().map(EventId).collect())
}

/// Empties a batch of an event's answers.
pub(super) async fn answers(pools: &Pools, id: EventId, limit: u32) -> Result<u64> {
    let (first, last) = DeliveryId::range_of(id);
    let mut transaction = pools.write().await?;
    overwrite(&mut transaction, true).await?;
    let done = sqlx::query(ANSWERS)
        .bind(first.0)
        .bind(last.0)
        .bind(id.0)
        .bind(i64::from(limit))
        .execute(&mut *transaction)
        .await;
    overwrite(&mut transaction, false).await?;
    let done = done?.rows_affected();
    match done {
        0 => transaction.rollback().await?,
        _ => transaction.commit().await?,
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::plans;

    #[tokio::test]
    async fn an_events_rows_are_found_by_the_range_of_their_ids() {
        for sql in [PENDING, SEAL, ANSWERS] {
            let steps = plans::of(sql).await;
            let scans = steps.iter().any(|step| {
                step.starts_with("SCAN") && step.contains("deliver") && !step.contains("USING")
            });
            assert!(!scans, "{sql}: {steps:?}");
            assert!(
                steps.iter().any(|step| step.contains("id>? AND id<?")),
                "{sql}: {steps:?}"
            );
        }
    }
}
