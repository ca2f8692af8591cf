//! What the admin routes read, on connections of their own.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnection, PgPool, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::connect::{Pools, answered};
use super::rows;
use crate::domain::id::{DeliveryId, EventId, SubscriptionId};
use crate::domain::subscription::{HistoryEntry, Subscription};
use crate::store::paging::{Dialect, Listing, PageOfIds, Value};
use crate::store::read::MAX_WALK;
use crate::store::rows::{ATTEMPT_COLUMNS, At, EVENT_COLUMNS, SUBSCRIPTION};
use crate::store::{
    AttemptRow, DeliveryFilter, DeliveryRow, EventFilter, EventRow, Page, PageRequest, ReadStore,
    Result,
};

/// One snapshot for the page, the end of its walk and its rows.
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

const DELIVERY: &str =
    "SELECT d.*, e.event_type FROM deliveries d JOIN events e ON e.id = d.event_id";

#[async_trait]
impl ReadStore for super::PostgresStore {
    async fn list_subscriptions(
        &self,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Subscription>> {
        answered(list_subscriptions(&self.pools, tenant, page)).await
    }

    async fn history(&self, id: SubscriptionId, page: &PageRequest) -> Result<Page<HistoryEntry>> {
        answered(super::hold::history(&self.pools.reads, id, page)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRow>> {
        answered(event(&self.pools.reads, id)).await
    }

    async fn list_events(
        &self,
        filter: &EventFilter,
        page: &PageRequest,
    ) -> Result<Page<EventRow>> {
        answered(list_events(&self.pools.reads, filter, page)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        answered(delivery(&self.pools.reads, id)).await
    }

    async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<DeliveryRow>> {
        answered(list_deliveries(&self.pools.reads, filter, page)).await
    }

    async fn attempts(&self, id: DeliveryId, limit: u32) -> Result<Vec<AttemptRow>> {
        answered(attempts(&self.pools.reads, id, limit)).await
    }
}

pub(super) fn query((sql, values): (String, Vec<Value>)) -> Query<'static, Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    values.into_iter().fold(query, |query, value| match value {
        Value::Id(id) => query.bind(id),
        Value::Text(text) => query.bind(text),
        Value::At(at) => query.bind(At(at)),
    })
}

pub(super) async fn page_of_ids(
    connection: &mut PgConnection,
    listing: &Listing,
) -> Result<PageOfIds> {
    if let Some(asked) = listing.subscriptions_sql() {
        return page_of_tenant(connection, listing, asked).await;
    }
    let found = query(listing.ids_sql()).fetch_all(&mut *connection).await?;
    let ids = found
        .iter()
        .map(|row| row.try_get("id"))
        .collect::<std::result::Result<Vec<Uuid>, _>>()?;
    let walk_end = match listing.walk_end_sql(ids.len()) {
        Some(asked) => query(asked).fetch_optional(connection).await?,
        None => None,
    };
    let walk_end = walk_end.map(|row| row.try_get("id")).transpose()?;
    Ok(listing.cut(ids, walk_end))
}

/// The same where the list is one tenant's (`paging/of_tenant.rs`).
async fn page_of_tenant(
    connection: &mut PgConnection,
    listing: &Listing,
    subscriptions: (String, Vec<Value>),
) -> Result<PageOfIds> {
    let (share, frontier) = reach(connection, listing, subscriptions, MAX_WALK).await?;
    let mut ids = Vec::new();
    if let Some(asked) = listing.ids_of_tenant_sql(share, frontier, Dialect::Postgres) {
        for row in query(asked).fetch_all(connection).await? {
            ids.push(row.try_get("id")?);
        }
    }
    Ok(listing.cut(ids, frontier))
}

/// How many rows of each of a tenant's subscriptions are walked, `most` at most, and where the first
/// such share ends.
pub(super) async fn reach(
    connection: &mut PgConnection,
    listing: &Listing,
    subscriptions: (String, Vec<Value>),
    most: u32,
) -> Result<(u32, Option<Uuid>)> {
    let count = query(subscriptions).fetch_one(&mut *connection).await?;
    let share = listing.share(count.try_get("subscriptions")?).min(most);
    let frontier = match listing.frontier_sql(share) {
        Some(asked) => {
            let end = query(asked).fetch_optional(&mut *connection).await?;
            end.map(|row| row.try_get("id")).transpose()?
        }
        None => None,
    };
    Ok((share, frontier))
}

/// Subscriptions that are not deleted, newest first.
async fn list_subscriptions(
    pools: &Pools,
    tenant: Option<&str>,
    page: &PageRequest,
) -> Result<Page<Subscription>> {
    let mut snapshot = pools.reads.begin_with(SNAPSHOT).await?;
    let page = page_of_ids(&mut snapshot, &Listing::subscriptions(tenant, page)).await?;
    let sql = format!("SELECT {SUBSCRIPTION} WHERE s.id = ANY($1) ORDER BY s.id DESC");
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(&page.ids)
        .fetch_all(&mut *snapshot)
        .await?;
    let rows = found
        .iter()
        .map(|row| rows::subscription(row, &pools.secret_box))
        .collect::<Result<_>>()?;
    Ok(page.with(rows))
}

/// One event.
async fn event(pool: &PgPool, id: EventId) -> Result<Option<EventRow>> {
    Ok(event_rows(pool, &[id]).await?.pop())
}

/// These events, newest first.
pub(super) async fn event_rows(pool: &PgPool, ids: &[EventId]) -> Result<Vec<EventRow>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    events(&mut snapshot, &ids).await
}

async fn events(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<EventRow>> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, payload_erased_at FROM events WHERE id = ANY($1) ORDER BY id DESC"
    );
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .fetch_all(connection)
        .await?;
    found.iter().map(rows::event_row).collect()
}

/// Events, newest first.
async fn list_events(
    pool: &PgPool,
    filter: &EventFilter,
    page: &PageRequest,
) -> Result<Page<EventRow>> {
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    let page = page_of_ids(&mut snapshot, &Listing::events(filter, page)).await?;
    let sizes = sqlx::query_as::<_, (Uuid, i64)>(
        "SELECT id, octet_length(payload)::bigint FROM events WHERE id = ANY($1)",
    )
    .bind(&page.ids)
    .fetch_all(&mut *snapshot)
    .await?;
    let page = page.within_bytes(&sizes.into_iter().collect());
    let rows = events(&mut snapshot, &page.ids).await?;
    Ok(page.with(rows))
}

/// One delivery with its last attempt.
async fn delivery(pool: &PgPool, id: DeliveryId) -> Result<Option<DeliveryRow>> {
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    Ok(deliveries(&mut snapshot, &[id.0]).await?.pop())
}

/// Deliveries with their last attempts, newest first.
async fn list_deliveries(
    pool: &PgPool,
    filter: &DeliveryFilter,
    page: &PageRequest,
) -> Result<Page<DeliveryRow>> {
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    let page = page_of_ids(&mut snapshot, &Listing::deliveries(filter, page)).await?;
    let rows = deliveries(&mut snapshot, &page.ids).await?;
    Ok(page.with(rows))
}

/// These deliveries with their last attempts, newest first.
pub(super) async fn delivery_rows(pool: &PgPool, ids: &[DeliveryId]) -> Result<Vec<DeliveryRow>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut snapshot = pool.begin_with(SNAPSHOT).await?;
    deliveries(&mut snapshot, &ids).await
}

async fn deliveries(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<DeliveryRow>> {
    let sql = format!("{DELIVERY} WHERE d.id = ANY($1) ORDER BY d.id DESC");
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
    let sql = format!(
        "SELECT last.* FROM unnest($1::uuid[]) AS d (id)
         CROSS JOIN LATERAL (
             SELECT delivery_id, {ATTEMPT_COLUMNS} FROM attempts a WHERE a.delivery_id = d.id
             ORDER BY a.number DESC, a.id DESC LIMIT 1
         ) AS last"
    );
    let mut last = HashMap::new();
    for row in sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .fetch_all(connection)
        .await?
    {
        let delivery: Uuid = row.try_get("delivery_id")?;
        last.insert(delivery, rows::attempt(&row)?);
    }
    found
        .iter()
        .map(|row| {
            let mut delivery = rows::delivery(row)?;
            delivery.last_attempt = last.remove(&delivery.id.0);
            Ok(delivery)
        })
        .collect()
}

/// The newest `limit` attempts, in the order of their numbers.
async fn attempts(pool: &PgPool, id: DeliveryId, limit: u32) -> Result<Vec<AttemptRow>> {
    let sql = format!(
        "SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE delivery_id = $1
         ORDER BY number DESC, id DESC LIMIT $2"
    );
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(id.0)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    found.iter().rev().map(rows::attempt).collect()
}
