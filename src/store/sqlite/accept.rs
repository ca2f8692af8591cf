//! Events, keys and deliveries in one transaction.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, params};

use super::connect::Pools;
use super::writer::Written;
use super::{operational, rows, statistics};
use crate::domain::Timestamp;
use crate::domain::delivery::{DeliveryState, PendingDelivery};
use crate::domain::id::EventId;
use crate::domain::idempotency::{KeyName, KnownKey};
use crate::domain::ordering::Line;
use crate::store::rows::At;
use crate::store::statistics::of_group;
use crate::store::{AcceptGroup, Accepted, Result, codec};

const INSERT_EVENT: &str = "
INSERT INTO events (id, tenant, event_type, event_name, source, idempotency_key, ordering_key,
    occurred_at, received_at, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING";

const INSERT_PENDING: &str = "
INSERT INTO pending_deliveries (seq, id, event_id, subscription_id, due_at, created_at,
    payload_bytes, line)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

/// Never pending, so never in the other table.
const INSERT_SKIPPED: &str = "
INSERT INTO final_deliveries (seq, id, event_id, subscription_id, due_at, created_at,
    finished_at, payload_bytes, line, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Draws so many places in the order of acceptance and answers the last of them. Writers take
/// turns, so the order is that of commits.
pub(super) const DRAW: &str = "UPDATE deliveries_seq SET last = last + ? RETURNING last";

/// Takes a key that is free, expired, or this very event's from an earlier run.
const TAKE_KEY: &str = "
INSERT INTO idempotency_keys (tenant, key, event_id, content, taken_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (tenant, key) DO UPDATE
    SET event_id = excluded.event_id, content = excluded.content, taken_at = excluded.taken_at
    WHERE taken_at < ? OR event_id = excluded.event_id";

/// Commits a group, or leaves nothing behind.
pub(super) async fn accept(pools: &Pools, group: &AcceptGroup) -> Result<Accepted> {
    let asked = group.clone();
    let accepted = pools
        .write_hot(move |connection| accept_in(connection, &asked))
        .await?;
    if accepted == Accepted::Committed {
        return Ok(accepted);
    }
    // A run of unknown fate may have been committed before the directory moved: a group is
    // committed whole, so its first event tells: of a sender's, because an operational one may
    // have been accepted by somebody else.
    match group.first_of_senders() {
        Some(first) if event_exists(pools, first.id).await? => Ok(Accepted::Committed),
        _ => Ok(accepted),
    }
}

fn accept_in(connection: &Connection, group: &AcceptGroup) -> Result<Written<Accepted>> {
    let version: i64 = connection
        .prepare_cached("SELECT version FROM directory")?
        .query_row([], |row| row.get(0))?;
    if version != group.directory_version {
        return Ok(Written::Undone(Accepted::DirectoryMoved));
    }
    if !take_keys(connection, group)? {
        return Ok(Written::Undone(Accepted::KeyTaken));
    }
    let stored = insert_events(connection, group)?;
    insert_deliveries(connection, group, &stored)?;
    let delta = of_group(group, |event| !stored.contains(&event));
    statistics::note(connection, &delta, group.now)?;
    let own = group
        .events
        .iter()
        .filter(|event| event.event_type.is_own());
    operational::wait_no_more(connection, own.map(AsRef::as_ref))?;
    Ok(Written::Kept(Accepted::Committed))
}

fn take_keys(connection: &Connection, group: &AcceptGroup) -> Result<bool> {
    let mut take = connection.prepare_cached(TAKE_KEY)?;
    for known in &group.keys {
        let taken = take.execute(params![
            codec::tenant_key(known.name.tenant.as_deref()),
            &*known.name.key,
            known.event_id.0.as_bytes(),
            known.content,
            group.now.as_micros(),
            group.keys_expired_before.as_micros(),
        ])?;
        if taken == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Answers those that stand already, from a run of unknown fate or because somebody else accepted
/// an operational one: their deliveries were stored with them, and may be final by now.
fn insert_events(connection: &Connection, group: &AcceptGroup) -> Result<HashSet<EventId>> {
    let mut stored = HashSet::new();
    let mut insert = connection.prepare_cached(INSERT_EVENT)?;
    for event in &group.events {
        let inserted = insert.execute(params![
            event.id.0.as_bytes(),
            event.tenant.as_deref(),
            event.event_type.as_str(),
            event.event_name.as_deref(),
            event.source.as_deref(),
            event.idempotency_key.as_deref(),
            event.ordering_key.as_deref(),
            event.occurred_at.map(Timestamp::as_micros),
            event.received_at.as_micros(),
            &event.payload[..],
        ])?;
        if inserted == 0 {
            stored.insert(event.id);
        }
    }
    Ok(stored)
}

fn insert_deliveries(
    connection: &Connection,
    group: &AcceptGroup,
    stored: &HashSet<EventId>,
) -> Result<()> {
    let count = group.deliveries.len() + group.skipped.len();
    if count == 0 {
        return Ok(());
    }
    let last: i64 = connection
        .prepare_cached(DRAW)?
        .query_row(params![i64::try_from(count).unwrap_or(i64::MAX)], |row| {
            row.get(0)
        })?;
    let mut seq = last - i64::try_from(count).unwrap_or(i64::MAX);
    let bytes: HashMap<EventId, i32> = group
        .events
        .iter()
        .map(|event| (event.id, codec::size(event.payload.len())))
        .collect();
    let bytes_of = |delivery: &PendingDelivery| bytes.get(&delivery.event_id).copied().unwrap_or(0);
    let mut lines = codec::lines(group).into_iter();
    let now = group.now.as_micros();
    let mut insert = connection.prepare_cached(INSERT_PENDING)?;
    for delivery in &group.deliveries {
        seq += 1;
        let line = lines.next().flatten();
        if stored.contains(&delivery.event_id) {
            continue;
        }
        insert.execute(params![
            seq,
            delivery.id.0.as_bytes(),
            delivery.event_id.0.as_bytes(),
            delivery.subscription_id.0.as_bytes(),
            delivery.due_at.as_micros(),
            now,
            bytes_of(delivery),
            line.as_ref().map(Line::as_str),
        ])?;
    }
    if group.skipped.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(INSERT_SKIPPED)?;
    for delivery in &group.skipped {
        seq += 1;
        let line = lines.next().flatten();
        if stored.contains(&delivery.event_id) {
            continue;
        }
        insert.execute(params![
            seq,
            delivery.id.0.as_bytes(),
            delivery.event_id.0.as_bytes(),
            delivery.subscription_id.0.as_bytes(),
            delivery.due_at.as_micros(),
            now,
            now,
            bytes_of(delivery),
            line.as_ref().map(Line::as_str),
            DeliveryState::Skipped.as_str(),
        ])?;
    }
    Ok(())
}

/// Which of these keys are taken.
pub(super) async fn known_keys(
    pools: &Pools,
    names: &[KeyName],
    expired_before: Timestamp,
) -> Result<Vec<KnownKey>> {
    let wanted: Vec<(String, &str)> = names
        .iter()
        .map(|name| (codec::tenant_key(name.tenant.as_deref()), &*name.key))
        .collect();
    let wanted = serde_json::to_string(&wanted).unwrap_or_default();
    let found = sqlx::query(
        "SELECT k.tenant, k.key, k.event_id, k.content
         FROM json_each(?) AS n
         JOIN idempotency_keys k
             ON k.tenant = n.value ->> 0 AND k.key = n.value ->> 1
         WHERE k.taken_at >= ?",
    )
    .bind(wanted)
    .bind(At(expired_before))
    .fetch_all(&pools.readers)
    .await?;
    found.iter().map(rows::known_key).collect()
}

/// Whether this event is stored.
async fn event_exists(pools: &Pools, id: EventId) -> Result<bool> {
    let found: Option<i64> = sqlx::query_scalar("SELECT seq FROM events WHERE id = ?")
        .bind(id.0)
        .fetch_optional(&pools.readers)
        .await?;
    Ok(found.is_some())
}
