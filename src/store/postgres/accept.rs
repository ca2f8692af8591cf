//! Events, keys and deliveries in one statement.

use std::collections::HashMap;

use sqlx::postgres::{PgPool, Postgres};
use sqlx::{Executor, Row};
use uuid::Uuid;

use super::rows;
use crate::domain::Timestamp;
use crate::domain::id::EventId;
use crate::domain::idempotency::{KeyName, KnownKey};
use crate::store::rows::At;
use crate::store::{AcceptGroup, Accepted, Result, codec};

/// Everything of a group, in the order it came, or nothing where the directory has moved or
/// a key is somebody else's.
///
/// The row lock on `directory` makes a change of a subscription and the acceptance of events
/// take turns, and reads the version that is committed by then, not the one of the snapshot.
/// The advisory lock in front of it is there for its queue: holders of a shared row lock
/// would otherwise pass a waiting change by for as long as they overlap.
///
/// Of the deliveries, those from place `$23` on are skipped.
///
/// `taken` also returns keys that this very group took in an earlier run of unknown fate.
const ACCEPT: &str = "
WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(1886352244, 1)),
known AS MATERIALIZED (
    SELECT directory.version FROM gate, directory WHERE directory.one FOR SHARE OF directory
),
taken AS (
    INSERT INTO idempotency_keys AS old (tenant, key, event_id, content, taken_at)
    SELECT k.tenant, k.key, k.event_id, k.content, $2
    FROM unnest($4::text[], $5::text[], $6::uuid[], $7::bytea[])
        AS k (tenant, key, event_id, content)
    WHERE (SELECT version FROM known) = $1
    ON CONFLICT (tenant, key) DO UPDATE
        SET event_id = excluded.event_id, content = excluded.content, taken_at = excluded.taken_at
        WHERE old.taken_at < $3 OR old.event_id = excluded.event_id
    RETURNING 1
),
clear AS MATERIALIZED (
    SELECT (SELECT version FROM known) = $1 AS current,
           (SELECT count(*) FROM taken) = cardinality($4::text[]) AS free
),
new_events AS (
    INSERT INTO events (id, tenant, event_type, event_name, source, idempotency_key,
        ordering_key, occurred_at, received_at, payload)
    SELECT e.id, e.tenant, e.event_type, e.event_name, e.source, e.idempotency_key,
        e.ordering_key, e.occurred_at, e.received_at, e.payload
    FROM unnest($8::uuid[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
            $14::text[], $15::timestamptz[], $16::timestamptz[], $17::bytea[])
        WITH ORDINALITY AS e (id, tenant, event_type, event_name, source, idempotency_key,
            ordering_key, occurred_at, received_at, payload, place)
    WHERE (SELECT current AND free FROM clear)
    ORDER BY e.place
    ON CONFLICT (id) DO NOTHING
),
new_deliveries AS (
    INSERT INTO deliveries (id, event_id, subscription_id, due_at, created_at, payload_bytes,
        state, finished_at)
    SELECT d.id, d.event_id, d.subscription_id, d.due_at, $2, d.payload_bytes,
        CASE WHEN d.place > $23 THEN 'skipped' ELSE 'pending' END,
        CASE WHEN d.place > $23 THEN $2 END
    FROM unnest($18::uuid[], $19::uuid[], $20::uuid[], $21::timestamptz[], $22::int[])
        WITH ORDINALITY AS d (id, event_id, subscription_id, due_at, payload_bytes, place)
    WHERE (SELECT current AND free FROM clear)
    ORDER BY d.place
    ON CONFLICT DO NOTHING
)
SELECT current, free FROM clear";

/// One round trip where the group has no keys: the statement is its own transaction. Keys that
/// turn out to be taken must be able to take the others back, so they need a transaction around.
pub(super) async fn accept(pool: &PgPool, group: &AcceptGroup) -> Result<Accepted> {
    let accepted = if group.keys.is_empty() {
        insert(pool, group).await?
    } else {
        let mut transaction = pool.begin().await?;
        let accepted = insert(&mut *transaction, group).await?;
        if accepted == Accepted::Committed {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        accepted
    };
    // Seen from here a run of unknown fate may have been committed before the directory moved:
    // a group is committed whole, so its first event tells. A change of the directory waits
    // for such a run to end, so asking after it cannot be too early.
    if let (Accepted::DirectoryMoved | Accepted::KeyTaken, Some(first)) =
        (accepted, group.events.first())
        && event_exists(pool, first.id).await?
    {
        return Ok(Accepted::Committed);
    }
    Ok(accepted)
}

async fn insert<'e>(
    executor: impl Executor<'e, Database = Postgres>,
    group: &AcceptGroup,
) -> Result<Accepted> {
    let events = &group.events;
    let deliveries: Vec<_> = group.deliveries.iter().chain(&group.skipped).collect();
    let bytes: HashMap<EventId, i32> = events
        .iter()
        .map(|event| (event.id, codec::size(event.payload.len())))
        .collect();
    // In the order of their names, so that two groups never wait for each other's keys.
    let mut keys: Vec<&KnownKey> = group.keys.iter().collect();
    keys.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let tenants: Vec<String> = keys
        .iter()
        .map(|key| codec::tenant_key(key.name.tenant.as_deref()))
        .collect();

    macro_rules! column {
        ($rows:expr, $row:ident => $value:expr) => {
            $rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }
    let row = sqlx::query(ACCEPT)
        .bind(group.directory_version)
        .bind(At(group.now))
        .bind(At(group.keys_expired_before))
        .bind(tenants)
        .bind(column!(keys, key => &*key.name.key))
        .bind(column!(keys, key => key.event_id.0))
        .bind(column!(keys, key => key.content.as_slice()))
        .bind(column!(events, event => event.id.0))
        .bind(column!(events, event => event.tenant.as_deref()))
        .bind(column!(events, event => event.event_type.as_str()))
        .bind(column!(events, event => event.event_name.as_deref()))
        .bind(column!(events, event => event.source.as_deref()))
        .bind(column!(events, event => event.idempotency_key.as_deref()))
        .bind(column!(events, event => event.ordering_key.as_deref()))
        .bind(column!(events, event => event.occurred_at.map(At)))
        .bind(column!(events, event => At(event.received_at)))
        .bind(column!(events, event => &event.payload[..]))
        .bind(column!(deliveries, delivery => delivery.id.0))
        .bind(column!(deliveries, delivery => delivery.event_id.0))
        .bind(column!(deliveries, delivery => delivery.subscription_id.0))
        .bind(column!(deliveries, delivery => At(delivery.due_at)))
        .bind(column!(deliveries, delivery =>
            bytes.get(&delivery.event_id).copied().unwrap_or(0)))
        .bind(i64::try_from(group.deliveries.len()).unwrap_or(i64::MAX))
        .fetch_one(executor)
        .await?;
    let (current, free): (bool, bool) = (row.try_get("current")?, row.try_get("free")?);
    Ok(match (current, free) {
        (false, _) => Accepted::DirectoryMoved,
        (true, false) => Accepted::KeyTaken,
        (true, true) => Accepted::Committed,
    })
}

/// Which of these keys are taken. One probe each, whatever the plan: a join could come to walk
/// all keys that are not expired.
pub(super) async fn known_keys(
    pool: &PgPool,
    names: &[KeyName],
    expired_before: Timestamp,
) -> Result<Vec<KnownKey>> {
    let tenants: Vec<String> = names
        .iter()
        .map(|name| codec::tenant_key(name.tenant.as_deref()))
        .collect();
    let keys: Vec<&str> = names.iter().map(|name| &*name.key).collect();
    let found = sqlx::query(
        "SELECT k.tenant, k.key, k.event_id, k.content
         FROM unnest($1::text[], $2::text[]) AS n (tenant, key)
         CROSS JOIN LATERAL (
             SELECT * FROM idempotency_keys WHERE tenant = n.tenant AND key = n.key LIMIT 1
         ) AS k
         WHERE k.taken_at >= $3",
    )
    .bind(tenants)
    .bind(keys)
    .bind(At(expired_before))
    .fetch_all(pool)
    .await?;
    found.iter().map(rows::known_key).collect()
}

/// Whether this event is stored.
async fn event_exists(pool: &PgPool, id: EventId) -> Result<bool> {
    let found: Option<Uuid> = sqlx::query_scalar("SELECT id FROM events WHERE id = $1")
        .bind(id.0)
        .fetch_optional(pool)
        .await?;
    Ok(found.is_some())
}
