//! Searches: walks that end, whatever they look for.
//!
//! What an index serves narrows the walk: an id leads straight to its row, and type, subscription
//! and time to a range. The rest is looked at row by row, newest first, at most [`MAX_WALK`] rows or
//! [`PATIENCE`] a request; a search that ended there says so (`partial`), and its position leads on,
//! also where nothing was found yet. Rows are read in short stretches, and payloads only where the
//! other columns do not decide; new rows have higher ids, so no walk meets them half-way.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use uuid::Uuid;

use super::HttpState;
use super::belonging;
use super::error::Result;
use super::paging::SearchPage;
use super::search_turns::Turns;
use crate::clock;
use crate::domain::access::{Caller, Scope};
use crate::domain::id::{DeliveryId, EventId, SubscriptionId};
use crate::domain::job::EventHead;
use crate::domain::search::{SearchQuery, StatusClass};
use crate::store::read::{MAX_PAGE_BYTES, MAX_WALK};
use crate::store::{
    DeliveryCandidate, DeliveryFilter, EventCandidate, EventFilter, Position, Stretch,
};

/// How long one request goes on at most.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows in one stretch.
const STRETCH: u32 = 500;
/// Bytes of payload that are read at once, at least one payload.
const READ_AT_ONCE: usize = 1 << 20;
/// Stretches that are read at the same time, in this process.
static TURNS: LazyLock<Turns> = LazyLock::new(|| Turns::new(2));

/// What a search came to.
#[derive(Debug, PartialEq)]
pub struct Found<T> {
    /// What matches, newest first.
    pub ids: Vec<T>,
    /// Where to go on; nothing at the end.
    pub next: Option<Position>,
    /// The walk ended at its bounds.
    pub partial: bool,
}

impl<T> Found<T> {
    /// Where there cannot be anything.
    pub fn nothing() -> Self {
        Self {
            ids: Vec::new(),
            next: None,
            partial: false,
        }
    }
}

/// A row under consideration.
trait Candidate {
    type Id: Copy;
    fn id(&self) -> Self::Id;
    fn position(&self) -> Position;
    fn event(&self) -> EventId;
    fn payload_bytes(&self) -> usize;
    /// Bytes of payload that are shown of it.
    fn shown_bytes(&self) -> u64;
    /// What is looked at of it beside the payload; of its event no more than the type where the
    /// caller may not see that.
    fn texts(&self, sees_events: bool) -> Vec<&str>;
}

impl Candidate for EventCandidate {
    type Id = EventId;

    fn id(&self) -> EventId {
        self.id
    }

    fn position(&self) -> Position {
        Position(self.id.0)
    }

    fn event(&self) -> EventId {
        self.id
    }

    fn payload_bytes(&self) -> usize {
        usize::try_from(self.payload_bytes).unwrap_or(0)
    }

    fn shown_bytes(&self) -> u64 {
        self.payload_bytes.unsigned_abs().into()
    }

    fn texts(&self, _: bool) -> Vec<&str> {
        let optional = [
            &self.event_name,
            &self.source,
            &self.ordering_key,
            &self.idempotency_key,
        ];
        let optional = optional.into_iter().filter_map(Option::as_deref);
        std::iter::once(self.event_type.as_str())
            .chain(optional)
            .collect()
    }
}

impl Candidate for DeliveryCandidate {
    type Id = DeliveryId;

    fn id(&self) -> DeliveryId {
        self.id
    }

    fn position(&self) -> Position {
        Position(self.id.0)
    }

    fn event(&self) -> EventId {
        self.event
    }

    fn payload_bytes(&self) -> usize {
        usize::try_from(self.payload_bytes).unwrap_or(0)
    }

    fn shown_bytes(&self) -> u64 {
        0
    }

    fn texts(&self, sees_events: bool) -> Vec<&str> {
        let last = self.last.as_ref();
        let optional = [
            self.event_name.as_deref().filter(|_| sees_events),
            self.source.as_deref().filter(|_| sees_events),
            last.and_then(|last| last.error_kind.as_deref()),
            last.and_then(|last| last.error_message.as_deref()),
        ];
        std::iter::once(self.event_type.as_str())
            .chain(optional.into_iter().flatten())
            .collect()
    }
}

/// Which deliveries a search looks for.
#[derive(Clone, Debug, Default)]
pub struct DeliverySearch {
    /// What lists filter by, too.
    pub filter: DeliveryFilter,
    /// Free text.
    pub query: Option<SearchQuery>,
    /// What became of the last attempt.
    pub class: Option<StatusClass>,
}

/// Events that match. What the caller may not see is left out by the filter.
pub async fn events(
    app: &HttpState,
    caller: &Caller,
    filter: &EventFilter,
    mut query: SearchQuery,
    page: SearchPage,
) -> Result<Found<EventId>> {
    if let Some(id) = query.id()
        && let Some(event) = event_of(app, filter, id).await?
    {
        query = query.without(id);
        return one_event(app, filter, &query, event, page).await;
    }
    let mut walk = Walk::new(app, caller, page, Some(&query));
    loop {
        let rows = walk.rows();
        let turn = TURNS.take(walk.tenant.as_ref()).await?;
        let stretch = app.store.walk_events_back(filter, walk.after, rows).await?;
        drop(turn);
        let wanted = |row: &EventCandidate| is_wanted(filter, row);
        if walk.take(stretch, wanted).await? {
            return Ok(walk.found());
        }
    }
}

/// The event that an id names: its own, or its delivery's. One of another tenant than is looked for
/// is as one that is not there.
async fn event_of(app: &HttpState, filter: &EventFilter, id: Uuid) -> Result<Option<EventId>> {
    let delivery = app.store.delivery_rows(&[DeliveryId(id)]).await?.pop();
    let event = delivery.map_or(EventId(id), |row| row.event_id);
    let heads = app.store.event_heads(&[event]).await?;
    let fits = |head: &EventHead| filter.tenant.is_none() || head.tenant == filter.tenant;
    Ok(heads.into_iter().find(fits).map(|head| head.id))
}

async fn one_event(
    app: &HttpState,
    filter: &EventFilter,
    query: &SearchQuery,
    id: EventId,
    page: SearchPage,
) -> Result<Found<EventId>> {
    let row = app.store.event_rows(&[id]).await?.pop();
    let found = row.filter(|row| {
        let event = &row.event;
        let candidate = EventCandidate {
            id,
            event_type: event.event_type.as_str().to_owned(),
            event_name: event.event_name.clone(),
            source: event.source.clone(),
            tenant: event.tenant.as_deref().map(str::to_owned),
            ordering_key: event.ordering_key.clone(),
            idempotency_key: event.idempotency_key.as_deref().map(str::to_owned),
            received_at: event.received_at,
            payload_bytes: 0,
        };
        page.after.is_none()
            && is_wanted(filter, &candidate)
            && query.matches(&candidate.texts(true), &event.payload)
    });
    Ok(Found {
        ids: found.map(|_| id).into_iter().collect(),
        next: None,
        partial: false,
    })
}

fn is_wanted(filter: &EventFilter, row: &EventCandidate) -> bool {
    let same = |wanted: &Option<String>, is: &Option<String>| {
        wanted.is_none() || wanted.as_deref() == is.as_deref()
    };
    let event_type = |wanted: &String| *wanted == row.event_type;
    filter.event_type.as_ref().is_none_or(event_type)
        && same(&filter.tenant, &row.tenant)
        && same(&filter.source, &row.source)
        && filter.since.is_none_or(|since| row.received_at >= since)
        && filter.until.is_none_or(|until| row.received_at < until)
}

/// Deliveries that match. What the caller may not see is left out by the filter.
pub async fn deliveries(
    app: &HttpState,
    caller: &Caller,
    mut search: DeliverySearch,
    page: SearchPage,
) -> Result<Found<DeliveryId>> {
    let mut only = None;
    if let Some(query) = &search.query
        && let Some(id) = query.id()
        && let Some(named) = named_by(app, caller, id).await?
    {
        let narrowed = match named {
            Named::Delivery(delivery, event) => {
                only = Some(delivery);
                narrow(&mut search.filter.event, event)
            }
            Named::Event(event) => narrow(&mut search.filter.event, event),
            Named::Subscription(subscription) => {
                narrow(&mut search.filter.subscription, subscription)
            }
        };
        if !narrowed {
            return Ok(Found::nothing());
        }
        search.query = search.query.map(|query| query.without(id));
    }
    let mut walk = Walk::new(app, caller, page, search.query.as_ref());
    loop {
        let rows = walk.rows();
        let turn = TURNS.take(walk.tenant.as_ref()).await?;
        let walked = app
            .store
            .walk_deliveries_back(&search.filter, walk.after, rows);
        let stretch = walked.await?;
        drop(turn);
        let wanted =
            |row: &DeliveryCandidate| only.is_none_or(|only| only == row.id) && search.wants(row);
        if walk.take(stretch, wanted).await? {
            return Ok(walk.found());
        }
    }
}

enum Named {
    Delivery(DeliveryId, EventId),
    Event(EventId),
    Subscription(SubscriptionId),
}

/// What an id names that deliveries are found by. What is there for others alone names nothing: the
/// search goes on as for any text.
async fn named_by(app: &HttpState, caller: &Caller, id: Uuid) -> Result<Option<Named>> {
    if let Some(row) = belonging::delivery_seen(app, caller, DeliveryId(id)).await? {
        return Ok(Some(Named::Delivery(row.id, row.event_id)));
    }
    if let [head] = app.store.event_heads(&[EventId(id)]).await?.as_slice()
        && belonging::event_is_known(app, caller, head.id, head.tenant.as_deref()).await?
    {
        return Ok(Some(Named::Event(head.id)));
    }
    let subscription = app.store.subscription(SubscriptionId(id)).await?;
    let seen = subscription.filter(|found| caller.sees(found.tenant.as_deref()));
    Ok(seen.map(|found| Named::Subscription(found.id)))
}

/// Sets what is to be walked. False where something else was asked for: nothing is both.
fn narrow<T: PartialEq>(filter: &mut Option<T>, to: T) -> bool {
    let fits = filter.as_ref().is_none_or(|asked| *asked == to);
    *filter = Some(to);
    fits
}

impl DeliverySearch {
    fn wants(&self, row: &DeliveryCandidate) -> bool {
        let last = row.last.as_ref();
        let filter = &self.filter;
        let class = |class: &StatusClass| {
            let status = last.and_then(|last| last.status);
            let kind = last.and_then(|last| last.error_kind.as_deref());
            class.is_met_by(last.is_some(), status, kind)
        };
        let event_type = |wanted: &String| row.event_type == *wanted;
        filter.event.is_none_or(|event| event == row.event)
            && filter.state.is_none_or(|state| state == row.state)
            && filter.event_type.as_ref().is_none_or(event_type)
            && self.class.as_ref().is_none_or(class)
    }
}

/// How far a search has come.
struct Walk<'a, T> {
    app: &'a HttpState,
    tenant: Option<Arc<str>>,
    /// Whether the caller may see events and payloads, and so look for what stands in them.
    sees_events: bool,
    query: Option<&'a SearchQuery>,
    limit: usize,
    after: Option<Position>,
    rows_left: u32,
    deadline: Instant,
    ids: Vec<T>,
    shown_bytes: u64,
    complete: bool,
    partial: bool,
}

impl<'a, T: Copy> Walk<'a, T> {
    fn new(
        app: &'a HttpState,
        caller: &Caller,
        page: SearchPage,
        query: Option<&'a SearchQuery>,
    ) -> Self {
        Self {
            app,
            tenant: caller.tenant.clone(),
            sees_events: caller.scopes.allow(Scope::EventsRead),
            query,
            limit: page.limit as usize,
            after: page.after,
            rows_left: MAX_WALK,
            deadline: clock::instant() + PATIENCE,
            ids: Vec::new(),
            shown_bytes: 0,
            complete: false,
            partial: false,
        }
    }

    /// Rows to look at next.
    fn rows(&self) -> u32 {
        STRETCH.min(self.rows_left)
    }

    /// Looks at a stretch. True where the search has come to its end.
    async fn take<C: Candidate<Id = T>>(
        &mut self,
        stretch: Stretch<C>,
        wanted: impl Fn(&C) -> bool,
    ) -> Result<bool> {
        let mut rest = stretch.rows.as_slice();
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(self.chunk(rest, &wanted));
            rest = behind;
            let payloads = self.payloads(chunk, &wanted).await?;
            for row in chunk {
                self.after = Some(row.position());
                self.rows_left = self.rows_left.saturating_sub(1);
                if wanted(row) && self.matches(row, &payloads) {
                    self.ids.push(row.id());
                    self.shown_bytes += row.shown_bytes();
                }
                if self.ids.len() == self.limit {
                    return Ok(true);
                }
                // By one payload more than a page holds at most.
                if self.shown_bytes > MAX_PAGE_BYTES {
                    self.partial = true;
                    return Ok(true);
                }
            }
            if clock::instant() >= self.deadline && !(rest.is_empty() && stretch.complete) {
                self.partial = true;
                return Ok(true);
            }
            // What was looked at in memory took its time as well.
            tokio::task::yield_now().await;
        }
        // Also past rows that went meanwhile.
        self.after = stretch.end.or(self.after);
        self.complete = stretch.complete;
        self.partial = !self.complete && self.rows_left == 0;
        Ok(self.complete || self.partial)
    }

    /// How many of these rows are looked at together: as many as have little payload to be read.
    fn chunk<C: Candidate>(&self, rows: &[C], wanted: impl Fn(&C) -> bool) -> usize {
        let mut bytes = 0;
        for (index, row) in rows.iter().enumerate() {
            if wanted(row) && self.is_undecided(row) {
                bytes += row.payload_bytes();
            }
            if bytes > READ_AT_ONCE {
                return index.max(1);
            }
        }
        rows.len()
    }

    fn is_met_by_texts<C: Candidate>(&self, row: &C) -> bool {
        let texts = || row.texts(self.sees_events);
        self.query.is_none_or(|query| query.is_met_by(&texts()))
    }

    /// Whether its payload decides.
    fn is_undecided<C: Candidate>(&self, row: &C) -> bool {
        self.sees_events && !self.is_met_by_texts(row)
    }

    /// The payloads that decide, of the events of these rows.
    async fn payloads<C: Candidate>(
        &self,
        rows: &[C],
        wanted: impl Fn(&C) -> bool,
    ) -> Result<HashMap<EventId, Bytes>> {
        let undecided = rows
            .iter()
            .filter(|row| wanted(row) && self.is_undecided(*row));
        let events: BTreeSet<EventId> = undecided.map(Candidate::event).collect();
        if events.is_empty() {
            return Ok(HashMap::new());
        }
        let events: Vec<EventId> = events.into_iter().collect();
        let turn = TURNS.take(self.tenant.as_ref()).await?;
        let rows = self.app.store.event_rows(&events).await?;
        drop(turn);
        let payloads = rows
            .into_iter()
            .map(|row| (row.event.id, row.event.payload));
        Ok(payloads.collect())
    }

    fn matches<C: Candidate>(&self, row: &C, payloads: &HashMap<EventId, Bytes>) -> bool {
        self.query.is_none_or(|query| {
            let texts = row.texts(self.sees_events);
            let payload = payloads.get(&row.event());
            query.is_met_by(&texts) || payload.is_some_and(|bytes| query.matches(&texts, bytes))
        })
    }

    fn found(self) -> Found<T> {
        Found {
            next: self.after.filter(|_| !self.complete),
            ids: self.ids,
            partial: self.partial,
        }
    }
}
