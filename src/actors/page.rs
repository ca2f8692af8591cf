//! Reads a page of what a subscription has due, as a task.

use std::collections::HashMap;
use std::sync::Arc;

use ractor::ActorRef;

use super::deps::Deps;
use super::lane::{Lane, WaitingDelivery};
use super::subscription::{SubscriptionMessage, Wanted};
use crate::clock;
use crate::delivery::payload::{LoadedEvent, weight};
use crate::domain::Timestamp;
use crate::domain::breaker::{BreakerState, StoredBreaker};
use crate::domain::id::EventId;
use crate::domain::window::Ask;
use crate::store::{DuePage, DueRow, Result, Runtime, StoreError};

/// What came back, and for which question.
#[derive(Debug)]
pub struct PageAnswer {
    /// The question.
    pub ask: Ask,
    /// What was asked for.
    pub wanted: Wanted,
    /// The page, or why there is none.
    pub result: Result<LoadedPage>,
}

/// A page with the events that memory has room for.
#[derive(Debug)]
pub struct LoadedPage {
    /// In order.
    pub items: Vec<WaitingDelivery>,
    /// There was no more.
    pub short: bool,
    /// When the next delivery falls due that was not due yet.
    pub next_due: Option<Timestamp>,
    /// What earlier lives learnt, where that was asked for.
    pub runtime: Option<Runtime>,
    /// The epoch in which it was asked.
    pub epoch: Option<i64>,
}

/// Answers the question, whatever happens: a question that is lost would never be asked again.
struct Answering {
    actor: ActorRef<SubscriptionMessage>,
    ask: Ask,
    wanted: Wanted,
    result: Option<Result<LoadedPage>>,
}

impl Answering {
    fn answer(mut self, result: Result<LoadedPage>) {
        self.result = Some(result);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let lost = || Err(StoreError::Broken("the page's task was lost".to_owned()));
        let result = self.result.take().unwrap_or_else(lost);
        // An actor that is gone has left its question to the next one.
        let _ = self.actor.cast(SubscriptionMessage::Page(PageAnswer {
            ask: self.ask,
            wanted: self.wanted,
            result,
        }));
    }
}

/// Starts reading. `first`: also read what earlier lives learnt about the receiver.
pub fn load(
    deps: Arc<Deps>,
    lane: Arc<Lane>,
    ask: Ask,
    wanted: Wanted,
    first: bool,
    actor: ActorRef<SubscriptionMessage>,
) {
    let answering = Answering {
        actor,
        ask,
        wanted,
        result: None,
    };
    tokio::spawn(async move {
        // The semaphore is never closed.
        let _turn = deps.pages.acquire().await;
        answering.answer(read(&deps, &lane, ask, wanted, first).await);
    });
}

async fn read(
    deps: &Deps,
    lane: &Lane,
    ask: Ask,
    wanted: Wanted,
    first: bool,
) -> Result<LoadedPage> {
    let id = lane.subscription();
    let epoch = deps.ownership.epoch();
    let mut runtime = None;
    if first {
        let known = runtime.insert(deps.store.runtime(id).await?);
        let flows = |breaker: StoredBreaker| breaker.state == BreakerState::Closed;
        if !known.breaker.is_none_or(flows) {
            // Nothing is due before the breaker has been asked.
            return Ok(LoadedPage {
                items: Vec::new(),
                short: false,
                next_due: None,
                runtime,
                epoch,
            });
        }
    }
    let (page, mut short) = match wanted {
        Wanted::Due => {
            let page = deps.store.due_page(id, clock::now(), ask.limit).await?;
            let short = page.due.len() < ask.limit;
            (page, short)
        }
        Wanted::Oldest => {
            // One more than is held already: one of them is news, if there is any.
            let limit = lane.window().held() + 1;
            let due = deps.store.oldest_pending(id, limit).await?;
            let short = due.len() < limit;
            let next_due = None;
            (DuePage { due, next_due }, short)
        }
    };
    let mut news: Vec<DueRow> = {
        let window = lane.window();
        page.due
            .into_iter()
            .filter(|row| window.is_news(ask, row.delivery.id))
            .collect()
    };
    if wanted == Wanted::Oldest && news.len() > 1 {
        news.truncate(1);
        short = false;
    }
    let events = events_within_budget(deps, &news).await?;
    let items = news
        .into_iter()
        .map(|row| WaitingDelivery {
            delivery: row.delivery,
            event: events.get(&row.delivery.event_id).cloned(),
        })
        .collect();
    Ok(LoadedPage {
        items,
        short,
        next_due: page.next_due,
        runtime,
        epoch,
    })
}

/// Loads the events, first come first served, as far as the budget goes.
async fn events_within_budget(
    deps: &Deps,
    rows: &[DueRow],
) -> Result<HashMap<EventId, Arc<LoadedEvent>>> {
    let mut room = deps
        .settings
        .delivery
        .window_bytes
        .saturating_sub(deps.budget.used());
    let mut wanted = Vec::new();
    for row in rows {
        let Some(rest) = room.checked_sub(weight(row.payload_bytes)) else {
            break;
        };
        room = rest;
        wanted.push(row.delivery.event_id);
    }
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let events = deps.store.events(&wanted).await?;
    // Others may have taken the room meanwhile; what does not fit now is read at its turn.
    Ok(events
        .into_iter()
        .filter_map(|event| LoadedEvent::within(&deps.budget, &Arc::new(event)))
        .map(|loaded| (loaded.event().id, Arc::new(loaded)))
        .collect())
}
