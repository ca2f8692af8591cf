//! The words of a move between the two tables of deliveries.
//!
//! In any snapshot a delivery is in exactly one of them. Whatever moves one deletes it from where
//! it is and inserts what `RETURNING` gave into the other, in one statement. `DELETE` waits for a
//! row that another transaction holds and then looks at its conditions again, or passes over the
//! row where that is gone: so one that was overtaken is neither moved twice nor lost.
//!
//! What is looked for by id is looked for in `pending_deliveries` by the primary key whatever the
//! statistics were when the plan was made: every other index lacks the id, or has a condition that
//! a search by id alone does not meet. Several are locked in the order of their ids, because an
//! index scan over an array sorts that.

/// What a delivery takes along unchanged.
pub(super) const CARRIED: &str = "id, event_id, subscription_id, seq, created_at, payload_bytes";

/// The part of a statement that makes what the part `gone` deleted from what is pending final.
/// State and moment are SQL.
pub(super) fn ended(state: &str, now: &str) -> String {
    format!(
        "ended AS (
    INSERT INTO final_deliveries ({CARRIED}, line, due_at, attempts, round, round_attempts,
        aged_us, version, state, finished_at)
    SELECT {CARRIED}, line, due_at, attempts, round, round_attempts, aged_us, version + 1,
        {state}, {now}
    FROM gone RETURNING 1
),
{}",
        counted("", "'pending'", state, now)
    )
}

/// The part that begins the next round of what the part `gone` deleted from what is final. It
/// keeps its place in a line that waits for it; otherwise it goes free. The moment is SQL.
pub(super) fn begun_again(now: &str) -> String {
    format!(
        "begun_again AS (
    INSERT INTO pending_deliveries ({CARRIED}, line, due_at, attempts, round, version)
    SELECT {CARRIED}, CASE WHEN blocks = (
            SELECT ordering_since FROM subscriptions WHERE id = gone.subscription_id
        ) THEN line ELSE '' END, {now}, attempts, round + 1, version + 1
    FROM gone RETURNING 1
),
{}",
        counted(", state", "state", "'pending'", now)
    )
}

/// The part that counts what the part `gone` deleted, from one state or `by` what it had. All is SQL.
fn counted(by: &str, from: &str, to: &str, now: &str) -> String {
    format!(
        "counted AS (
    INSERT INTO statistic_deltas (at, subscription_id, from_state, to_state, moved)
    SELECT {now}, subscription_id, {from}, {to}, count(*) FROM gone
    GROUP BY subscription_id{by}
)"
    )
}
