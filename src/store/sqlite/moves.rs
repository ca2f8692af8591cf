//! Between the tables of what is pending and of what is final, for all but recorded outcomes.
//!
//! A delivery is in exactly one of them. Each function here is a step within the caller's
//! transaction, and takes its rows out of one table as it puts them into the other.

use sqlx::SqliteConnection;
use uuid::Uuid;

use super::id_list;
use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::store::Result;
use crate::store::rows::At;

const END: &str = "
INSERT INTO final_deliveries (seq, id, event_id, subscription_id, due_at, created_at, aged_us,
    attempts, round, round_attempts, payload_bytes, line, version, state, finished_at)
SELECT seq, id, event_id, subscription_id, due_at, created_at, aged_us, attempts, round,
    round_attempts, payload_bytes, line, version + 1, $2, $3
FROM pending_deliveries WHERE id IN (SELECT unhex(value) FROM json_each($1))";

const ENDED: &str = "
DELETE FROM pending_deliveries WHERE id IN (SELECT unhex(value) FROM json_each($1))";

/// A delivery keeps its place in a line that waits for it; otherwise it goes free.
const RETRY: &str = "
INSERT INTO pending_deliveries (seq, id, event_id, subscription_id, due_at, created_at, attempts,
    round, payload_bytes, line, version)
SELECT seq, id, event_id, subscription_id, $2, created_at, attempts, round + 1, payload_bytes,
    CASE WHEN blocks = (
        SELECT ordering_since FROM subscriptions
        WHERE subscriptions.id = final_deliveries.subscription_id
    ) THEN line ELSE '' END,
    version + 1
FROM final_deliveries WHERE id IN (SELECT unhex(value) FROM json_each($1))";

const RETRIED: &str = "
DELETE FROM final_deliveries WHERE id IN (SELECT unhex(value) FROM json_each($1))";

/// What a move comes to, counted before it is made.
const COUNT_ENDS: &str = "
INSERT INTO statistic_deltas (at, subscription_id, from_state, to_state, moved)
SELECT $3, subscription_id, 'pending', $2, count(*)
FROM pending_deliveries WHERE id IN (SELECT unhex(value) FROM json_each($1))
GROUP BY subscription_id";

const COUNT_RETRIES: &str = "
INSERT INTO statistic_deltas (at, subscription_id, from_state, to_state, moved)
SELECT $2, subscription_id, state, 'pending', count(*)
FROM final_deliveries WHERE id IN (SELECT unhex(value) FROM json_each($1))
GROUP BY subscription_id, state";

/// Ends what is pending of these, and says how many.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    ids: impl Iterator<Item = Uuid>,
    state: DeliveryState,
    now: Timestamp,
) -> Result<u64> {
    let ids = id_list(ids);
    let mut moved = 0;
    for sql in [COUNT_ENDS, END] {
        let done = sqlx::query(sql)
            .bind(&ids)
            .bind(state.as_str())
            .bind(At(now))
            .execute(&mut *connection)
            .await?;
        moved = done.rows_affected();
    }
    sqlx::query(ENDED).bind(ids).execute(connection).await?;
    Ok(moved)
}

/// Begins the next round of what is final of these, and says how many.
pub(super) async fn retry(
    connection: &mut SqliteConnection,
    ids: impl Iterator<Item = Uuid>,
    now: Timestamp,
) -> Result<u64> {
    let ids = id_list(ids);
    let mut moved = 0;
    for sql in [COUNT_RETRIES, RETRY] {
        let done = sqlx::query(sql)
            .bind(&ids)
            .bind(At(now))
            .execute(&mut *connection)
            .await?;
        moved = done.rows_affected();
    }
    sqlx::query(RETRIED).bind(ids).execute(connection).await?;
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::plans;

    #[tokio::test]
    async fn what_moves_is_found_by_its_id_whatever_else_there_is() {
        for sql in [COUNT_ENDS, END, ENDED, COUNT_RETRIES, RETRY, RETRIED] {
            let steps = plans::of(sql).await;
            let found: Vec<_> = steps
                .iter()
                .filter(|step| step.contains("deliveries"))
                .collect();
            assert_eq!(found.len(), 1, "{steps:?}");
            assert!(found[0].ends_with("(id=?)"), "{steps:?}");
        }
    }
}
