//! Events, keys and deliveries in one transaction.

use std::collections::HashMap;
use std::sync::LazyLock;

use sqlx::SqliteConnection;

use super::bulk::Bulk;
use super::connect::Pools;
use super::rows;
use crate::domain::Timestamp;
use crate::domain::delivery::{DeliveryState, PendingDelivery};
use crate::domain::id::EventId;
use crate::domain::idempotency::{KeyName, KnownKey};
use crate::store::rows::At;
use crate::store::{AcceptGroup, Accepted, Result, codec};

static INSERT_EVENTS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT INTO events (id, tenant, event_type, event_name, source, idempotency_key, \
         ordering_key, occurred_at, received_at, payload) VALUES",
        10,
        "ON CONFLICT DO NOTHING",
    )
});

static INSERT_DELIVERIES: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT INTO deliveries (id, event_id, subscription_id, due_at, created_at, \
         payload_bytes, state, finished_at) VALUES",
        8,
        "ON CONFLICT DO NOTHING",
    )
});

/// Takes a key that is free, expired, or this very event's from an earlier run.
const TAKE_KEY: &str = "
INSERT INTO idempotency_keys (tenant, key, event_id, content, taken_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (tenant, key) DO UPDATE
    SET event_id = excluded.event_id, content = excluded.content, taken_at = excluded.taken_at
    WHERE taken_at < ? OR event_id = excluded.event_id";

/// Commits a group; whatever ends the transaction early takes all of it back.
pub(super) async fn accept(pools: &Pools, group: &AcceptGroup) -> Result<Accepted> {
    let mut transaction = pools.write().await?;
    let version: i64 = sqlx::query_scalar("SELECT version FROM directory")
        .fetch_one(&mut *transaction)
        .await?;
    let accepted = if version != group.directory_version {
        Accepted::DirectoryMoved
    } else if !take_keys(&mut transaction, group).await? {
        Accepted::KeyTaken
    } else {
        Accepted::Committed
    };
    if accepted == Accepted::Committed {
        insert(&mut transaction, group).await?;
        transaction.commit().await?;
        return Ok(accepted);
    }
    transaction.rollback().await?;
    // A run of unknown fate may have been committed before the directory moved: a group is
    // committed whole, so its first event tells.
    match group.events.first() {
        Some(first) if event_exists(pools, first.id).await? => Ok(Accepted::Committed),
        _ => Ok(accepted),
    }
}

async fn take_keys(connection: &mut SqliteConnection, group: &AcceptGroup) -> Result<bool> {
    for known in &group.keys {
        let taken = sqlx::query(TAKE_KEY)
            .bind(codec::tenant_key(known.name.tenant.as_deref()))
            .bind(&*known.name.key)
            .bind(known.event_id.0)
            .bind(known.content.as_slice())
            .bind(At(group.now))
            .bind(At(group.keys_expired_before))
            .execute(&mut *connection)
            .await?;
        if taken.rows_affected() == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn insert(connection: &mut SqliteConnection, group: &AcceptGroup) -> Result<()> {
    for (sql, events) in INSERT_EVENTS.chunks(&group.events) {
        let mut query = sqlx::query(sql);
        for event in events {
            query = query
                .bind(event.id.0)
                .bind(event.tenant.as_deref())
                .bind(event.event_type.as_str())
                .bind(event.event_name.as_deref())
                .bind(event.source.as_deref())
                .bind(event.idempotency_key.as_deref())
                .bind(event.ordering_key.as_deref())
                .bind(event.occurred_at.map(At))
                .bind(At(event.received_at))
                .bind(&event.payload[..]);
        }
        query.execute(&mut *connection).await?;
    }
    let bytes: HashMap<EventId, i32> = group
        .events
        .iter()
        .map(|event| (event.id, codec::size(event.payload.len())))
        .collect();
    let state_of = |state: DeliveryState| move |one| (one, state);
    let pending = group
        .deliveries
        .iter()
        .map(state_of(DeliveryState::Pending));
    let skipped = group.skipped.iter().map(state_of(DeliveryState::Skipped));
    let deliveries: Vec<(&PendingDelivery, DeliveryState)> = pending.chain(skipped).collect();
    for (sql, deliveries) in INSERT_DELIVERIES.chunks(&deliveries) {
        let mut query = sqlx::query(sql);
        for (delivery, state) in deliveries {
            query = query
                .bind(delivery.id.0)
                .bind(delivery.event_id.0)
                .bind(delivery.subscription_id.0)
                .bind(At(delivery.due_at))
                .bind(At(group.now))
                .bind(bytes.get(&delivery.event_id).copied().unwrap_or(0))
                .bind(state.as_str())
                .bind(state.is_final().then_some(At(group.now)));
        }
        query.execute(&mut *connection).await?;
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
