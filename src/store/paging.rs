//! Keyset pages with a bounded walk: the SQL of the lists, the same for both stores.
//!
//! A list walks newest first. Conditions that an index serves bound the walk itself. The others
//! are looked at row by row, over at most [`MAX_WALK`] rows a page; a page that ends there says
//! so and leads on from the last row walked.
//!
//! Time filters become a range of ids, since ids begin with the time they were made. Of events
//! the row's own time decides; ids are made just before it is noted, hence the slack. Deliveries
//! are looked for by when their event came, and that is what their ids say.

mod of_tenant;

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

pub(super) use self::of_tenant::Dialect;
use self::of_tenant::Owner;

use super::read::{MAX_OFFSET, MAX_PAGE, MAX_PAGE_BYTES, MAX_WALK};
use super::{
    ApiKeyFilter, AuditFilter, DeliveryFilter, EventFilter, JobFilter, Page, PageRequest, Position,
    Stretch,
};
use crate::domain::Timestamp;
use crate::domain::id::{DeliveryId, SubscriptionId, first_id};

/// How much older than its row an id may be: events wait for their commit.
pub(super) const OLDER: Duration = Duration::from_secs(60);
/// How much younger: nothing but clocks that were set.
pub(super) const YOUNGER: Duration = Duration::from_secs(1);

/// A value to bind.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Id(Uuid),
    Text(String),
    At(Timestamp),
}

/// A list under construction.
pub(super) struct Listing {
    table: &'static str,
    /// Columns that the filters look at.
    looked_at: &'static str,
    served: Vec<(String, Value)>,
    /// Only what belongs to subscriptions of this tenant.
    owner: Option<Owner>,
    filters: Vec<(String, Value)>,
    limit: u32,
    offset: u32,
}

impl Listing {
    fn new(table: &'static str, looked_at: &'static str, page: &PageRequest) -> Self {
        let mut listing = Self {
            table,
            looked_at,
            served: Vec::new(),
            owner: None,
            filters: Vec::new(),
            limit: page.limit.clamp(1, MAX_PAGE),
            offset: page.offset.min(MAX_OFFSET),
        };
        if let Some(Position(after)) = page.after {
            listing.serve("id < ", Value::Id(after));
        }
        listing
    }

    /// Adds a condition that bounds the walk: an index must serve it.
    fn serve(&mut self, condition: impl Into<String>, value: Value) {
        self.served.push((condition.into(), value));
    }

    /// Adds a condition that each row walked is looked at for.
    fn filter(&mut self, condition: impl Into<String>, value: Value) {
        self.filters.push((condition.into(), value));
    }

    /// Of that tenant's subscriptions, of that subscription, or of that one where it is that tenant's.
    fn belong(&mut self, tenant: Option<&str>, subscription: Option<SubscriptionId>) {
        let subscription = subscription.map(|id| Value::Id(id.0));
        match (tenant, subscription) {
            (Some(tenant), one) => self.owner = Some(Owner::new(tenant.to_owned(), one)),
            (None, Some(one)) => self.serve("subscription_id = ", one),
            (None, None) => {}
        }
    }

    /// Made between these, as the ids tell.
    fn between(&mut self, since: Option<Timestamp>, until: Option<Timestamp>) {
        if let Some(since) = since {
            self.serve("id >= ", Value::Id(first_id(since)));
        }
        if let Some(until) = until {
            self.serve("id < ", Value::Id(first_id(until)));
        }
    }

    /// Subscriptions that are not deleted; `subscriptions_of_tenant` serves the tenant.
    pub(super) fn subscriptions(tenant: Option<&str>, page: &PageRequest) -> Self {
        let mut listing = Self::new("subscriptions", "state", page);
        listing.filter("state <> ", Value::Text("deleted".to_owned()));
        if let Some(tenant) = tenant {
            listing.serve("tenant = ", Value::Text(tenant.to_owned()));
        }
        listing
    }

    /// Events; `events_of_tenant` serves the tenant, `events_type` the type where there is none: what
    /// a tenant looks at never leads over others' events.
    pub(super) fn events(filter: &EventFilter, page: &PageRequest) -> Self {
        let mut listing = Self::new("events", "event_type, source, received_at", page);
        if let Some(tenant) = &filter.tenant {
            listing.serve("tenant = ", Value::Text(tenant.clone()));
        }
        match &filter.event_type {
            Some(event_type) if filter.tenant.is_some() => {
                listing.filter("event_type = ", Value::Text(event_type.clone()));
            }
            Some(event_type) => listing.serve("event_type = ", Value::Text(event_type.clone())),
            None => {}
        }
        listing.between(
            filter.since.map(|since| since.minus(OLDER)),
            filter.until.map(|until| until.plus(YOUNGER)),
        );
        if let Some(since) = filter.since {
            listing.filter("received_at >= ", Value::At(since));
        }
        if let Some(until) = filter.until {
            listing.filter("received_at < ", Value::At(until));
        }
        if let Some(source) = &filter.source {
            listing.filter("source = ", Value::Text(source.clone()));
        }
        listing
    }

    /// Deliveries; `deliveries_of_subscription` serves the subscription, and an event's lie
    /// together.
    pub(super) fn deliveries(filter: &DeliveryFilter, page: &PageRequest) -> Self {
        let mut listing = Self::new("deliveries", "event_id, state", page);
        listing.belong(filter.tenant.as_deref(), filter.subscription);
        if let Some(event) = filter.event {
            let (first, last) = DeliveryId::range_of(event);
            listing.serve("id >= ", Value::Id(first.0));
            listing.serve("id <= ", Value::Id(last.0));
            listing.filter("event_id = ", Value::Id(event.0));
        }
        listing.between(filter.since, filter.until);
        if let Some(state) = filter.state {
            listing.filter("state = ", Value::Text(state.as_str().to_owned()));
        }
        if let Some(event_type) = &filter.event_type {
            // A scalar look-up, so that no planner turns it into a join over all such events.
            listing.filter(
                "(SELECT event_type FROM events WHERE events.id = walked.event_id) = ",
                Value::Text(event_type.clone()),
            );
        }
        listing
    }

    /// Jobs; `jobs_of_subscription` serves the subscription.
    pub(super) fn jobs(filter: &JobFilter, page: &PageRequest) -> Self {
        let mut listing = Self::new("jobs", "state", page);
        listing.belong(filter.tenant.as_deref(), filter.subscription);
        if let Some(state) = filter.state {
            listing.filter("state = ", Value::Text(state.as_str().to_owned()));
        }
        listing
    }

    /// Keys; `api_keys_of_tenant` serves the tenant.
    pub(super) fn api_keys(filter: &ApiKeyFilter, page: &PageRequest) -> Self {
        let mut listing = Self::new("api_keys", "id", page);
        if let Some(tenant) = &filter.tenant {
            listing.serve("tenant = ", Value::Text(tenant.clone()));
        }
        listing
    }

    /// The audit log; its ids begin with the time, and `audit_log_of_tenant` serves the tenant.
    pub(super) fn audit(filter: &AuditFilter, page: &PageRequest) -> Self {
        let looked_at = "action, thing, thing_id, caller";
        let mut listing = Self::new("audit_log", looked_at, page);
        if let Some(tenant) = &filter.tenant {
            listing.serve("tenant = ", Value::Text(tenant.clone()));
        }
        listing.between(filter.since, filter.until);
        for (condition, value) in [
            ("action = ", &filter.action),
            ("thing = ", &filter.thing),
            ("thing_id = ", &filter.thing_id),
            ("caller = ", &filter.caller),
        ] {
            if let Some(value) = value {
                listing.filter(condition, Value::Text(value.clone()));
            }
        }
        listing
    }

    /// The ids of so many rows of the walk itself, whatever its rows are looked at for; and what to
    /// bind.
    pub(super) fn stretch_sql(&self, rows: u32) -> (String, Vec<Value>) {
        let mut values = Vec::new();
        let served = conditions(&self.served, &mut values);
        let table = self.table;
        let sql = format!("SELECT id FROM {table}{served} ORDER BY id DESC LIMIT {rows}");
        (sql, values)
    }

    /// The ids of the page's rows and of one more, newest first; and what to bind.
    pub(super) fn ids_sql(&self) -> (String, Vec<Value>) {
        let Self { table, offset, .. } = self;
        let limit = self.limit + 1;
        let mut values = Vec::new();
        let served = conditions(&self.served, &mut values);
        if self.filters.is_empty() {
            let sql = format!(
                "SELECT id FROM {table}{served} ORDER BY id DESC LIMIT {limit} OFFSET {offset}"
            );
            return (sql, values);
        }
        let filters = conditions(&self.filters, &mut values);
        let sql = format!(
            "SELECT id FROM (SELECT id, {} FROM {table}{served} ORDER BY id DESC LIMIT {MAX_WALK}) \
             AS walked{filters} ORDER BY id DESC LIMIT {limit} OFFSET {offset}",
            self.looked_at,
        );
        (sql, values)
    }

    /// The id of the last row that the walk looked at, asked for where `found` rows are too
    /// few and a walk's bound may be the reason.
    pub(super) fn walk_end_sql(&self, found: usize) -> Option<(String, Vec<Value>)> {
        if self.filters.is_empty() || found > self.limit as usize {
            return None;
        }
        let mut values = Vec::new();
        let served = conditions(&self.served, &mut values);
        let sql = format!(
            "SELECT id FROM {}{served} ORDER BY id DESC LIMIT 1 OFFSET {}",
            self.table,
            MAX_WALK - 1
        );
        Some((sql, values))
    }

    /// Cuts the one row more off and says how to go on.
    pub(super) fn cut(&self, mut ids: Vec<Uuid>, walk_end: Option<Uuid>) -> PageOfIds {
        let limit = self.limit as usize;
        let more = ids.len() > limit;
        ids.truncate(limit);
        PageOfIds {
            next: if more { ids.last().copied() } else { walk_end },
            partial: !more && walk_end.is_some(),
            ids,
        }
    }
}

/// A page that begins behind that row, for a walk that is cut by its caller.
pub(super) fn behind(after: Option<Position>) -> PageRequest {
    PageRequest {
        limit: MAX_PAGE,
        after,
        offset: 0,
    }
}

/// The ids of a stretch, before its rows are read.
pub(super) struct IdsOfStretch {
    pub(super) ids: Vec<Uuid>,
    complete: bool,
}

impl IdsOfStretch {
    /// Ids of which so many were `asked` for; `cut` where the walk was cut at a frontier, which is
    /// the last of them then.
    pub(super) fn new(ids: Vec<Uuid>, asked: u32, cut: bool) -> Self {
        Self {
            complete: !cut && ids.len() < asked as usize,
            ids,
        }
    }

    /// The stretch with its rows.
    pub(super) fn with<T>(self, rows: Vec<T>) -> Stretch<T> {
        Stretch {
            rows,
            end: self.ids.last().copied().map(Position),
            complete: self.complete,
        }
    }
}

/// A `WHERE` over these conditions; their values join those to bind.
fn conditions(conditions: &[(String, Value)], values: &mut Vec<Value>) -> String {
    let mut sql = String::new();
    for (index, (condition, value)) in conditions.iter().enumerate() {
        values.push(value.clone());
        sql.push_str(if index == 0 { " WHERE " } else { " AND " });
        sql.push_str(condition);
        sql.push('$');
        sql.push_str(&values.len().to_string());
    }
    sql
}

/// A page before its rows are read.
pub(super) struct PageOfIds {
    pub(super) ids: Vec<Uuid>,
    next: Option<Uuid>,
    partial: bool,
}

impl PageOfIds {
    /// The page cut where its rows, of these sizes in bytes, are more than a page may hold.
    pub(super) fn within_bytes(mut self, sizes: &HashMap<Uuid, i64>) -> Self {
        let mut bytes = 0;
        let mut fits = |id: &Uuid| {
            bytes += sizes.get(id).map_or(0, |size| size.unsigned_abs());
            bytes <= MAX_PAGE_BYTES
        };
        let fitting = self.ids.iter().take_while(|id| fits(id)).count().max(1);
        if fitting < self.ids.len() {
            self.ids.truncate(fitting);
            self.next = self.ids.last().copied();
            self.partial = true;
        }
        self
    }

    /// The page with its rows.
    pub(super) fn with<T>(self, rows: Vec<T>) -> Page<T> {
        Page {
            rows,
            next: self.next.map(Position),
            partial: self.partial,
        }
    }
}
