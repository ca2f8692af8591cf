//! What the admin routes read, each from one snapshot: page, end of its walk, rows.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::connect::Pools;
use super::{id_list, rows};
use crate::domain::id::{DeliveryId, EventId, SubscriptionId};
use crate::domain::subscription::{HistoryEntry, Subscription};
use crate::store::paging::{Dialect, Listing, PageOfIds, Value};
use crate::store::read::MAX_WALK;
use crate::store::rows::{ATTEMPT_COLUMNS, At, EVENT_COLUMNS, SUBSCRIPTION};
use crate::store::{
    AttemptRow, DeliveryFilter, DeliveryRow, EventFilter, EventRow, Page, PageRequest, ReadStore,
    Result,
};

const DELIVERY: &str =
    "SELECT d.*, e.event_type FROM deliveries d JOIN events e ON e.id = d.event_id";

#[async_trait]
impl ReadStore for super::SqliteStore {
    async fn list_subscriptions(
        &self,
        tenant: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Subscription>> {
        list_subscriptions(&self.pools, tenant, page).await
    }

    async fn history(&self, id: SubscriptionId, page: &PageRequest) -> Result<Page<HistoryEntry>> {
        super::hold::history(&self.pools, id, page).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRow>> {
        event(&self.pools, id).await
    }

    async fn list_events(
        &self,
        filter: &EventFilter,
        page: &PageRequest,
    ) -> Result<Page<EventRow>> {
        list_events(&self.pools, filter, page).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        delivery(&self.pools, id).await
    }

    async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Page<DeliveryRow>> {
        list_deliveries(&self.pools, filter, page).await
    }

    async fn attempts(&self, id: DeliveryId, limit: u32) -> Result<Vec<AttemptRow>> {
        attempts(&self.pools, id, limit).await
    }
}

pub(super) fn query(
    (sql, values): (String, Vec<Value>),
) -> Query<'static, Sqlite, SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    values.into_iter().fold(query, |query, value| match value {
        Value::Id(id) => query.bind(id),
        Value::Text(text) => query.bind(text),
        Value::At(at) => query.bind(At(at)),
    })
}

pub(super) async fn page_of_ids(
    connection: &mut SqliteConnection,
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
    connection: &mut SqliteConnection,
    listing: &Listing,
    subscriptions: (String, Vec<Value>),
) -> Result<PageOfIds> {
    let (share, frontier) = reach(connection, listing, subscriptions, MAX_WALK).await?;
    let mut ids = Vec::new();
    if let Some(asked) = listing.ids_of_tenant_sql(share, frontier, Dialect::Sqlite) {
        for row in query(asked).fetch_all(connection).await? {
            ids.push(row.try_get("id")?);
        }
    }
    Ok(listing.cut(ids, frontier))
}

/// How many rows of each of a tenant's subscriptions are walked, `most` at most, and where the first
/// such share ends.
pub(super) async fn reach(
    connection: &mut SqliteConnection,
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
    let mut snapshot = pools.read().await?;
    let page = page_of_ids(&mut snapshot, &Listing::subscriptions(tenant, page)).await?;
    let sql = format!(
        "SELECT {SUBSCRIPTION} WHERE s.id IN (SELECT unhex(value) FROM json_each($1))
         ORDER BY s.id DESC"
    );
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(id_list(page.ids.iter().copied()))
        .fetch_all(&mut *snapshot)
        .await?;
    let rows = found
        .iter()
        .map(|row| rows::subscription(row, &pools.secret_box))
        .collect::<Result<_>>()?;
    Ok(page.with(rows))
}

/// One event.
async fn event(pools: &Pools, id: EventId) -> Result<Option<EventRow>> {
    Ok(event_rows(pools, &[id]).await?.pop())
}

/// These events, newest first.
pub(super) async fn event_rows(pools: &Pools, ids: &[EventId]) -> Result<Vec<EventRow>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut snapshot = pools.read().await?;
    events(&mut snapshot, &ids).await
}

async fn events(connection: &mut SqliteConnection, ids: &[Uuid]) -> Result<Vec<EventRow>> {
    let sql = format!(
        "SELECT {EVENT_COLUMNS}, payload_erased_at FROM events WHERE id IN (SELECT unhex(value) FROM json_each($1)) ORDER BY id DESC"
    );
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(id_list(ids.iter().copied()))
        .fetch_all(connection)
        .await?;
    found.iter().map(rows::event_row).collect()
}

/// Events, newest first.
async fn list_events(
    pools: &Pools,
    filter: &EventFilter,
    page: &PageRequest,
) -> Result<Page<EventRow>> {
    let mut snapshot = pools.read().await?;
    let page = page_of_ids(&mut snapshot, &Listing::events(filter, page)).await?;
    let sizes = sqlx::query_as::<_, (Uuid, i64)>(
        "SELECT id, length(payload) FROM events
         WHERE id IN (SELECT unhex(value) FROM json_each($1))",
    )
    .bind(id_list(page.ids.iter().copied()))
    .fetch_all(&mut *snapshot)
    .await?;
    let page = page.within_bytes(&sizes.into_iter().collect());
    let rows = events(&mut snapshot, &page.ids).await?;
    Ok(page.with(rows))
}

/// One delivery with its last attempt.
async fn delivery(pools: &Pools, id: DeliveryId) -> Result<Option<DeliveryRow>> {
    let mut snapshot = pools.read().await?;
    Ok(deliveries(&mut snapshot, &[id.0]).await?.pop())
}

/// Deliveries with their last attempts, newest first.
async fn list_deliveries(
    pools: &Pools,
    filter: &DeliveryFilter,
    page: &PageRequest,
) -> Result<Page<DeliveryRow>> {
    let mut snapshot = pools.read().await?;
    let page = page_of_ids(&mut snapshot, &Listing::deliveries(filter, page)).await?;
    let rows = deliveries(&mut snapshot, &page.ids).await?;
    Ok(page.with(rows))
}

/// These deliveries with their last attempts, newest first.
pub(super) async fn delivery_rows(pools: &Pools, ids: &[DeliveryId]) -> Result<Vec<DeliveryRow>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut snapshot = pools.read().await?;
    deliveries(&mut snapshot, &ids).await
}

async fn deliveries(connection: &mut SqliteConnection, ids: &[Uuid]) -> Result<Vec<DeliveryRow>> {
    let sql = format!(
        "{DELIVERY} WHERE d.id IN (SELECT unhex(value) FROM json_each($1)) ORDER BY d.id DESC"
    );
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(id_list(ids.iter().copied()))
        .fetch_all(&mut *connection)
        .await?;
    let sql = format!(
        "SELECT delivery_id, {ATTEMPT_COLUMNS} FROM attempts WHERE rowid IN (
             SELECT (
                 SELECT a.rowid FROM attempts a WHERE a.delivery_id = unhex(wanted.value)
                 ORDER BY a.number DESC, a.id DESC LIMIT 1
             )
             FROM json_each($1) AS wanted
         )"
    );
    let mut last = HashMap::new();
    for row in sqlx::query(AssertSqlSafe(sql))
        .bind(id_list(ids.iter().copied()))
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
async fn attempts(pools: &Pools, id: DeliveryId, limit: u32) -> Result<Vec<AttemptRow>> {
    let sql = format!(
        "SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE delivery_id = $1
         ORDER BY number DESC, id DESC LIMIT $2"
    );
    let found = sqlx::query(AssertSqlSafe(sql))
        .bind(id.0)
        .bind(i64::from(limit))
        .fetch_all(&pools.readers)
        .await?;
    found.iter().rev().map(rows::attempt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::delivery::DeliveryState;
    use crate::domain::id::SubscriptionId;
    use crate::store::sqlite::plans;
    use crate::store::{AuditFilter, JobFilter};

    #[tokio::test]
    async fn lists_of_deliveries_walk_both_tables_by_index_and_sort_nothing() {
        let (id, at) = (Uuid::nil(), Timestamp::from_micros(0));
        let all = DeliveryFilter::default();
        let of_subscription = DeliveryFilter {
            subscription: Some(SubscriptionId(id)),
            ..all.clone()
        };
        let filters = [
            (false, all.clone()),
            (true, of_subscription.clone()),
            (
                true,
                DeliveryFilter {
                    state: Some(DeliveryState::Pending),
                    since: Some(at),
                    ..of_subscription
                },
            ),
            (
                true,
                DeliveryFilter {
                    event: Some(EventId(id)),
                    ..all.clone()
                },
            ),
            (
                false,
                DeliveryFilter {
                    state: Some(DeliveryState::Failed),
                    event_type: Some("job.created".to_owned()),
                    ..all
                },
            ),
        ];
        let page = PageRequest {
            limit: 10,
            after: None,
            offset: 0,
        };
        for (narrow, filter) in filters {
            let listing = Listing::deliveries(&filter, &page);
            let asked = [Some(listing.ids_sql()), listing.walk_end_sql(0)];
            for (sql, _) in asked.into_iter().flatten() {
                let steps = plans::of(&sql).await;
                let has = |text: &str| steps.iter().any(|step| step.contains(text));
                assert!(has("MERGE (UNION ALL)"), "{sql}: {steps:?}");
                assert!(!has("TEMP B-TREE"), "{sql}: {steps:?}");
                for table in ["pending_deliveries", "final_deliveries"] {
                    assert!(
                        !narrow || has(&format!("SEARCH {table}")),
                        "{sql}: {steps:?}"
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn lists_of_a_tenant_walk_its_own_rows_by_index() {
        let tenant = || Some("a".to_owned());
        let page = PageRequest {
            limit: 10,
            after: Some(crate::store::Position(Uuid::nil())),
            offset: 0,
        };
        let of_deliveries = DeliveryFilter {
            tenant: tenant(),
            state: Some(DeliveryState::Failed),
            ..DeliveryFilter::default()
        };
        let deliveries = Listing::deliveries(&of_deliveries, &page);
        let of_jobs = JobFilter {
            tenant: tenant(),
            ..JobFilter::default()
        };
        let jobs = Listing::jobs(&of_jobs, &page);
        for (listing, tables) in [
            (
                deliveries,
                ["pending_deliveries", "final_deliveries"].as_slice(),
            ),
            (jobs, &["jobs"]),
        ] {
            let asked = [
                listing.subscriptions_sql(),
                listing.frontier_sql(100),
                listing.ids_of_tenant_sql(100, Some(Uuid::nil()), Dialect::Sqlite),
                listing.stretch_of_tenant_sql(500, 100, Some(Uuid::nil()), Dialect::Sqlite),
            ];
            for (number, (sql, _)) in asked.into_iter().flatten().enumerate() {
                let steps = plans::of(&sql).await;
                let has = |text: &str| steps.iter().any(|step| step.contains(text));
                assert!(has("subscriptions_of_tenant (tenant=?"), "{sql}: {steps:?}");
                for table in tables.iter().filter(|_| number > 0) {
                    let by_index = |step: &String| {
                        step.starts_with(&format!("SEARCH {table} "))
                            && step.contains("(subscription_id=? AND id")
                    };
                    assert!(steps.iter().any(by_index), "{sql}: {steps:?}");
                }
            }
        }
        let of_events = EventFilter {
            tenant: tenant(),
            event_type: Some("job.created".to_owned()),
            ..EventFilter::default()
        };
        let (sql, _) = Listing::events(&of_events, &page).ids_sql();
        let steps = plans::of(&sql).await;
        assert!(
            steps
                .iter()
                .any(|step| step.contains("events_of_tenant (tenant=?")),
            "{steps:?}"
        );
        let (sql, _) = Listing::subscriptions(Some("a"), &page).ids_sql();
        let steps = plans::of(&sql).await;
        assert!(
            steps
                .iter()
                .any(|step| step.contains("subscriptions_of_tenant (tenant=?")),
            "{steps:?}"
        );
        let of_audit = AuditFilter {
            tenant: tenant(),
            action: Some("job.cancel".to_owned()),
            ..AuditFilter::default()
        };
        let listing = Listing::audit(&of_audit, &page);
        for (sql, _) in [Some(listing.ids_sql()), listing.walk_end_sql(0)]
            .into_iter()
            .flatten()
        {
            let steps = plans::of(&sql).await;
            let by_index = |step: &String| step.contains("audit_log_of_tenant (tenant=? AND id");
            assert!(steps.iter().any(by_index), "{sql}: {steps:?}");
        }
    }

    #[tokio::test]
    async fn deliveries_are_found_by_their_ids_in_both_tables() {
        let sql = format!("{DELIVERY} WHERE d.id IN (SELECT unhex(value) FROM json_each($1))");
        let steps = plans::of(&sql).await;
        for table in ["pending_deliveries", "final_deliveries"] {
            let found = |step: &&String| step.contains(table) && step.ends_with("(id=?)");
            assert_eq!(steps.iter().filter(found).count(), 1, "{steps:?}");
        }
    }
}
