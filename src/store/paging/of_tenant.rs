//! Lists of what belongs to subscriptions, for one tenant: whose it is stands with the
//! subscription alone.
//!
//! Walked subscription by subscription, along the index by subscription and id, and merged. Each is
//! walked for its share of [`MAX_WALK`], at least a page. The last row of the first share that
//! ends is the frontier: above it the walk has seen every row of every subscription, below it
//! not, so a page ends there and leads on from it. No row of another tenant is ever looked at: a
//! cursor tells nothing about them, and neither does the time that a page takes.

use uuid::Uuid;

use super::{Listing, Value, conditions};
use crate::store::read::MAX_WALK;

/// What the databases write in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    Postgres,
    Sqlite,
}

/// Whose rows.
pub(super) struct Owner {
    tenant: String,
    /// Of this one among its subscriptions.
    subscription: Option<Value>,
}

impl Owner {
    pub(super) fn new(tenant: String, subscription: Option<Value>) -> Self {
        Self {
            tenant,
            subscription,
        }
    }

    /// Its subscriptions, deleted ones included; binds what it needs.
    fn conditions(&self, values: &mut Vec<Value>) -> String {
        let mut own = vec![("tenant = ".to_owned(), Value::Text(self.tenant.clone()))];
        if let Some(subscription) = &self.subscription {
            own.push(("id = ".to_owned(), subscription.clone()));
        }
        conditions(&own, values)
    }
}

impl Listing {
    /// How many subscriptions there are to walk, where the list is one tenant's.
    pub(in crate::store) fn subscriptions_sql(&self) -> Option<(String, Vec<Value>)> {
        let mut values = Vec::new();
        let own = self.owner.as_ref()?.conditions(&mut values);
        let sql = format!("SELECT count(*) AS subscriptions FROM subscriptions{own}");
        Some((sql, values))
    }

    /// Rows that are walked of each of so many.
    pub(in crate::store) fn share(&self, subscriptions: i64) -> u32 {
        let subscriptions = u32::try_from(subscriptions.max(1)).unwrap_or(u32::MAX);
        (MAX_WALK / subscriptions).clamp(self.limit + 1, MAX_WALK)
    }

    /// The id of the frontier; no row where all shares together have all there is.
    pub(in crate::store) fn frontier_sql(&self, share: u32) -> Option<(String, Vec<Value>)> {
        let mut values = Vec::new();
        let own = self.owner.as_ref()?.conditions(&mut values);
        let of_one = self.of_one("own.id", &mut values);
        let sql = format!(
            "WITH own AS MATERIALIZED (SELECT id FROM subscriptions{own}),
             ends AS MATERIALIZED (
                 SELECT (SELECT id{of_one} ORDER BY id DESC LIMIT 1 OFFSET {}) AS id FROM own
             )
             SELECT id FROM ends WHERE id IS NOT NULL ORDER BY id DESC LIMIT 1",
            share - 1
        );
        Some((sql, values))
    }

    /// The ids of the page's rows and of one more, newest first, down to the frontier.
    pub(in crate::store) fn ids_of_tenant_sql(
        &self,
        share: u32,
        frontier: Option<Uuid>,
        dialect: Dialect,
    ) -> Option<(String, Vec<Value>)> {
        let mut values = Vec::new();
        let walked = self.walked_of_tenant(share, frontier, dialect, &mut values)?;
        let filters = conditions(&self.filters, &mut values);
        let (limit, offset) = (self.limit + 1, self.offset);
        let sql = format!(
            "SELECT id FROM ({walked}) AS walked{filters} ORDER BY id DESC \
             LIMIT {limit} OFFSET {offset}"
        );
        Some((sql, values))
    }

    /// The ids of so many rows of the walk itself, down to the frontier, whatever its rows are
    /// looked at for.
    pub(in crate::store) fn stretch_of_tenant_sql(
        &self,
        rows: u32,
        share: u32,
        frontier: Option<Uuid>,
        dialect: Dialect,
    ) -> Option<(String, Vec<Value>)> {
        let mut values = Vec::new();
        let walked = self.walked_of_tenant(share, frontier, dialect, &mut values)?;
        let sql = format!("SELECT id FROM ({walked}) AS walked ORDER BY id DESC LIMIT {rows}");
        Some((sql, values))
    }

    /// The rows of the walk down to the frontier; binds what it needs.
    fn walked_of_tenant(
        &self,
        share: u32,
        frontier: Option<Uuid>,
        dialect: Dialect,
        values: &mut Vec<Value>,
    ) -> Option<String> {
        let looked_at = self.looked_at;
        let own = self.owner.as_ref()?.conditions(values);
        let subscription = match dialect {
            Dialect::Postgres => "own.id".to_owned(),
            Dialect::Sqlite => format!("(SELECT id FROM subscriptions{own})"),
        };
        let mut of_one = self.of_one(&subscription, values);
        if let Some(frontier) = frontier {
            values.push(Value::Id(frontier));
            of_one.push_str(&format!(" AND id >= ${}", values.len()));
        }
        Some(match dialect {
            // Joined so that no plan comes to walk everybody's rows between two ids.
            Dialect::Postgres => format!(
                "SELECT one.* FROM (SELECT id FROM subscriptions{own} OFFSET 0) AS own
                 CROSS JOIN LATERAL (
                     SELECT id, {looked_at}{of_one} ORDER BY id DESC LIMIT {share}
                 ) AS one"
            ),
            Dialect::Sqlite => {
                let of_all = of_one.replace("subscription_id = ", "subscription_id IN ");
                format!("SELECT id, {looked_at}{of_all}")
            }
        })
    }

    /// The rows of one subscription that the walk may look at.
    fn of_one(&self, subscription: &str, values: &mut Vec<Value>) -> String {
        let mut sql = format!(
            " FROM {} WHERE subscription_id = {subscription}",
            self.table
        );
        for (condition, value) in &self.served {
            values.push(value.clone());
            sql.push_str(&format!(" AND {condition}${}", values.len()));
        }
        sql
    }
}
