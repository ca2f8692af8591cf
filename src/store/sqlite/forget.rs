//! What is too old to be kept: in batches, children first.
//!
//! The pages that this frees are filled by the rows that follow, so a file stops growing once
//! the oldest of it goes; it is never made smaller (`auto_vacuum`, see the first migration).

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::connect::Pools;
use super::writer::Written;
use crate::domain::Timestamp;
use crate::domain::id::{DeliveryId, EventId, first_id};
use crate::store::rows::At;
use crate::store::{Forgotten, ForgottenAnswers, Result};

const NEEDED: &str = "
SELECT EXISTS (
    SELECT 1 FROM pending_deliveries WHERE id BETWEEN ?1 AND ?2 AND event_id = ?3
) OR EXISTS (
    SELECT 1 FROM final_deliveries AS d
    WHERE d.id BETWEEN ?1 AND ?2 AND d.event_id = ?3 AND d.blocks IS NOT NULL AND EXISTS (
        SELECT 1 FROM subscriptions AS s
        WHERE s.id = d.subscription_id AND s.ordering_since = d.blocks AND s.state <> 'deleted'
    )
)";

const FORGET_ATTEMPTS: &str = "
DELETE FROM attempts WHERE rowid IN (
    SELECT a.rowid FROM final_deliveries d CROSS JOIN attempts a ON a.delivery_id = d.id
    WHERE d.id BETWEEN ? AND ? AND d.event_id = ? LIMIT ?
)";

const FORGET_DELIVERIES: &str = "
DELETE FROM final_deliveries WHERE id IN (
    SELECT id FROM final_deliveries WHERE id BETWEEN ? AND ? AND event_id = ? LIMIT ?
)";

/// One batch: events in the order of their ids, each wholly or, where it has more children than
/// the batch takes, as far as that.
pub(super) async fn events(
    pools: &Pools,
    before: Timestamp,
    after: Option<EventId>,
    limit: u32,
) -> Result<Forgotten> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM events WHERE id > ? AND id < ? ORDER BY id LIMIT ?")
            .bind(after.map_or(Uuid::nil(), |id| id.0))
            .bind(first_id(before))
            .bind(limit)
            .fetch_all(&pools.readers)
            .await?;
    let mut forgotten = Forgotten::default();
    if ids.is_empty() {
        return Ok(forgotten);
    }
    let batch = move |connection: &Connection| {
        let mut room = u64::from(limit);
        let mut last = after;
        let mut all = true;
        for id in ids.iter().copied().map(EventId) {
            let whole = room > 0 && forget_one(connection, id, &mut room, &mut forgotten)?;
            if !whole {
                all = false;
                break;
            }
            last = Some(id);
        }
        if !all || ids.len() == limit as usize {
            forgotten.next = Some(last.unwrap_or(EventId(Uuid::nil())));
        }
        Ok(Written::Kept(forgotten))
    };
    pools.write_hot(batch).await
}

/// Removes an event unless something needs it. False where there was no room for all of it. One
/// that stays takes room too: it was looked at.
fn forget_one(
    connection: &Connection,
    id: EventId,
    room: &mut u64,
    forgotten: &mut Forgotten,
) -> Result<bool> {
    let (first, last) = DeliveryId::range_of(id);
    let [first, last] = [first.0.as_bytes(), last.0.as_bytes()];
    let event = id.0.as_bytes();
    // Pending, or keeping others from being sent.
    let needed: bool = connection
        .prepare_cached(NEEDED)?
        .query_row(params![first, last, event], |row| row.get(0))?;
    if needed {
        *room -= 1;
        return Ok(true);
    }
    for (children, count) in [
        (FORGET_ATTEMPTS, &mut forgotten.attempts),
        (FORGET_DELIVERIES, &mut forgotten.deliveries),
    ] {
        let most = i64::try_from(*room).unwrap_or(i64::MAX);
        let done = connection
            .prepare_cached(children)?
            .execute(params![first, last, event, most])? as u64;
        *count += done;
        *room -= done.min(*room);
        if *room == 0 {
            return Ok(false);
        }
    }
    let done = connection
        .prepare_cached("DELETE FROM events WHERE id = ?")?
        .execute(params![event])?;
    forgotten.events += done as u64;
    *room -= 1;
    Ok(true)
}

/// One batch of answers.
pub(super) async fn answers(
    pools: &Pools,
    before: Timestamp,
    after: Option<DeliveryId>,
    limit: u32,
) -> Result<ForgottenAnswers> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM deliveries WHERE id > ? AND id < ? ORDER BY id LIMIT ?")
            .bind(after.map_or(Uuid::nil(), |id| id.0))
            .bind(first_id(before))
            .bind(limit)
            .fetch_all(&pools.readers)
            .await?;
    let (Some(first), Some(last)) = (ids.first().copied(), ids.last().copied()) else {
        return Ok(ForgottenAnswers::default());
    };
    let mut transaction = pools.write().await?;
    let done = sqlx::query(
        "UPDATE attempts SET answer_body = x'', answer_headers = x''
         WHERE delivery_id BETWEEN ? AND ? AND started_at < ?
             AND (length(answer_body) > 0 OR length(answer_headers) > 0)",
    )
    .bind(first)
    .bind(last)
    .bind(At(before))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(ForgottenAnswers {
        attempts: done.rows_affected(),
        next: (ids.len() == limit as usize).then_some(DeliveryId(last)),
    })
}
