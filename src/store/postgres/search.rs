//! Stretches of a search, each from one snapshot: the ids along an index, then their rows.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::connect::answered;
use super::read::{SNAPSHOT, query, reach};
use super::rows;
use crate::domain::id::{DeliveryId, EventId};
use crate::store::paging::{Dialect, IdsOfStretch, Listing, behind};
use crate::store::{
    DeliveryCandidate, DeliveryFilter, DeliveryRow, EventCandidate, EventFilter, EventRow,
    Position, Result, SearchStore, Stretch,
};

const EVENTS: &str = "
SELECT id, event_type, event_name, source, tenant, ordering_key, idempotency_key, received_at,
    octet_length(payload) AS payload_bytes
FROM events WHERE id = ANY($1) ORDER BY id DESC";

const DELIVERIES: &str = "
SELECT d.id, d.event_id, d.subscription_id, d.state, e.event_type, e.event_name, e.source,
    octet_length(e.payload) AS payload_bytes
FROM deliveries d JOIN events e ON e.id = d.event_id
WHERE d.id = ANY($1) ORDER BY d.id DESC";

const LAST_ATTEMPTS: &str = "
SELECT last.* FROM unnest($1::uuid[]) AS d (id)
CROSS JOIN LATERAL (
    SELECT delivery_id, status, error_kind, error_message FROM attempts a
    WHERE a.delivery_id = d.id ORDER BY a.number DESC, a.id DESC LIMIT 1
) AS last";

#[async_trait]
impl SearchStore for super::PostgresStore {
    async fn walk_events_back(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        rows: u32,
    ) -> Result<Stretch<EventCandidate>> {
        answered(events(&self.pools.reads, filter, after, rows)).await
    }

    async fn walk_deliveries_back(
        &self,
        filter: &DeliveryFilter,
        after: Option<Position>,
        rows: u32,
    ) -> Result<Stretch<DeliveryCandidate>> {
        answered(deliveries(&self.pools.reads, filter, after, rows)).await
    }

    async fn event_rows(&self, ids: &[EventId]) -> Result<Vec<EventRow>> {
        answered(super::read::event_rows(&self.pools.reads, ids)).await
    }

    async fn delivery_rows(&self, ids: &[DeliveryId]) -> Result<Vec<DeliveryRow>> {
        answered(super::read::delivery_rows(&self.pools.reads, ids)).await
    }
}

/// A stretch of events.
async fn events(
    pool: &PgPool,
    filter: &EventFilter,
    after: Option<Position>,
    rows: u32,
) -> Result<Stretch<EventCandidate>> {
    let listing = Listing::events(filter, &behind(after));
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    let walked = walk(&mut snapshot, &listing, rows).await?;
    let found = sqlx::query(EVENTS)
        .bind(&walked.ids)
        .fetch_all(&mut *snapshot)
        .await?;
    let found = found.iter().map(rows::event_candidate);
    Ok(walked.with(found.collect::<Result<_>>()?))
}

/// A stretch of deliveries.
async fn deliveries(
    pool: &PgPool,
    filter: &DeliveryFilter,
    after: Option<Position>,
    rows: u32,
) -> Result<Stretch<DeliveryCandidate>> {
    let listing = Listing::deliveries(filter, &behind(after));
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    let walked = walk(&mut snapshot, &listing, rows).await?;
    let mut last = HashMap::new();
    for row in sqlx::query(LAST_ATTEMPTS)
        .bind(&walked.ids)
        .fetch_all(&mut *snapshot)
        .await?
    {
        let delivery: Uuid = row.try_get("delivery_id")?;
        last.insert(delivery, rows::last_attempt(&row)?);
    }
    let found = sqlx::query(DELIVERIES)
        .bind(&walked.ids)
        .fetch_all(&mut *snapshot)
        .await?;
    let found = found.iter().map(|row| {
        let mut candidate = rows::delivery_candidate(row)?;
        candidate.last = last.remove(&candidate.id.0);
        Ok(candidate)
    });
    Ok(walked.with(found.collect::<Result<_>>()?))
}

async fn walk(connection: &mut PgConnection, listing: &Listing, rows: u32) -> Result<IdsOfStretch> {
    let mut cut = false;
    let asked = match listing.subscriptions_sql() {
        None => Some(listing.stretch_sql(rows)),
        Some(own) => {
            let (share, frontier) = reach(connection, listing, own, rows).await?;
            cut = frontier.is_some();
            listing.stretch_of_tenant_sql(rows, share, frontier, Dialect::Postgres)
        }
    };
    let mut ids = Vec::new();
    if let Some(asked) = asked {
        for row in query(asked).fetch_all(connection).await? {
            ids.push(row.try_get("id")?);
        }
    }
    Ok(IdsOfStretch::new(ids, rows, cut))
}
