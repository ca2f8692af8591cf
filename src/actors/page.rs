//! Reads a page of what a subscription has due, as a task.

mod lines;

use std::collections::HashMap;
use std::sync::Arc;

use ractor::ActorRef;

pub use self::lines::Beyond;
use super::deps::Deps;
use super::lane::{Lane, WaitingDelivery};
use super::subscription::{SubscriptionMessage, Wanted};
use crate::clock;
use crate::delivery::payload::{LoadedEvent, weight};
use crate::domain::Timestamp;
use crate::domain::breaker::{BreakerState, StoredBreaker};
use crate::domain::id::EventId;
use crate::domain::ordering::{Line, Ordering, OrderingRule};
use crate::domain::window::{Ask, LinePage, Window};
use crate::store::{DueRow, Result, Runtime, StoreError};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The window's question.
    pub ask: Ask,
    /// What to bring.
    pub wanted: Wanted,
    /// Also read what earlier lives learnt about the receiver.
    pub first: bool,
    /// In which order it is to go.
    pub ordering: OrderingRule,
    /// The rule of order that all that is pending is known to stand in line for.
    pub lined_up: Option<Timestamp>,
}

/// What came back, and for which question.
#[derive(Debug)]
pub struct PageAnswer {
    /// The question.
    pub request: Request,
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
    pub runtime: Option<Box<Runtime>>,
    /// Where it has an order: how it goes on.
    pub beyond: Option<Beyond>,
    /// The epoch in which it was asked.
    pub epoch: Option<i64>,
}

impl LoadedPage {
    /// Puts it into the window. True where the answer was to the question that is open.
    pub fn take_in(self, window: &mut Window<WaitingDelivery>, ask: Ask) -> bool {
        match self.beyond {
            None => window.answer(ask, self.items, self.short),
            Some(beyond) => {
                let lines = LinePage {
                    items: self.items,
                    cut: beyond.cut,
                    to: beyond.to,
                    more_free: beyond.more_free,
                };
                window.answer_lines(ask, lines)
            }
        }
    }
}

/// Rows of a page, with the lines they stand in.
struct Paged {
    rows: Vec<(DueRow, Option<Line>)>,
    next_due: Option<Timestamp>,
    short: bool,
    beyond: Option<Beyond>,
}

/// Answers the question, whatever happens: a question that is lost would never be asked again.
struct Answering {
    actor: ActorRef<SubscriptionMessage>,
    request: Request,
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
        let _ = self
            .actor
            .cast(SubscriptionMessage::Page(Box::new(PageAnswer {
                request: self.request,
                result,
            })));
    }
}

/// Starts reading.
pub fn load(
    deps: Arc<Deps>,
    lane: Arc<Lane>,
    request: Request,
    actor: ActorRef<SubscriptionMessage>,
) {
    let answering = Answering {
        actor,
        request,
        result: None,
    };
    tokio::spawn(async move {
        let id = lane.subscription();
        if let Err(problem) = lines::line_up(&deps, id, &request).await {
            answering.answer(Err(problem));
            return;
        }
        // The semaphore is never closed.
        let _turn = deps.pages.acquire().await;
        answering.answer(read(&deps, &lane, &request).await);
    });
}

/// The oldest delivery that may go, due or not, and no more: for a trial.
pub async fn oldest(
    deps: &Deps,
    lane: &Lane,
    ask: Ask,
    ordering: OrderingRule,
) -> Result<LoadedPage> {
    let request = Request {
        ask,
        wanted: Wanted::Oldest,
        first: false,
        ordering,
        lined_up: None,
    };
    lines::line_up(deps, lane.subscription(), &request).await?;
    let mut page = read(deps, lane, &request).await?;
    page.short = false;
    Ok(page)
}

async fn read(deps: &Deps, lane: &Lane, request: &Request) -> Result<LoadedPage> {
    let id = lane.subscription();
    let epoch = deps.ownership.epoch();
    let mut runtime = None;
    if request.first {
        let known = runtime.insert(Box::new(deps.store.runtime(id).await?));
        let flows = |breaker: StoredBreaker| breaker.state == BreakerState::Closed;
        if !known.breaker.is_none_or(flows) {
            // Nothing is due before the breaker has been asked.
            return Ok(LoadedPage {
                items: Vec::new(),
                short: false,
                next_due: None,
                runtime,
                beyond: None,
                epoch,
            });
        }
    }
    let rule = &request.ordering;
    let page = if rule.ordering == Ordering::None {
        without_order(deps, lane, request).await?
    } else {
        lines::read(deps, lane, request, rule).await?
    };
    let events = events_within_budget(deps, &page.rows).await?;
    let items = page
        .rows
        .into_iter()
        .map(|(row, line)| WaitingDelivery {
            delivery: row.delivery,
            event: events.get(&row.delivery.event_id).cloned(),
            line,
        })
        .collect();
    Ok(LoadedPage {
        items,
        short: page.short,
        next_due: page.next_due,
        runtime,
        beyond: page.beyond,
        epoch,
    })
}

async fn without_order(deps: &Deps, lane: &Lane, request: &Request) -> Result<Paged> {
    let (id, ask) = (lane.subscription(), request.ask);
    let (due, next_due, mut short) = match request.wanted {
        Wanted::Due => {
            let page = deps.store.due_page(id, clock::now(), ask.limit).await?;
            let short = page.due.len() < ask.limit;
            (page.due, page.next_due, short)
        }
        Wanted::Oldest => {
            // One more than is held already: one of them is news, if there is any.
            let limit = lane.window().held() + 1;
            let due = deps.store.oldest_pending(id, limit).await?;
            let short = due.len() < limit;
            (due, None, short)
        }
    };
    let mut rows: Vec<(DueRow, Option<Line>)> = {
        let window = lane.window();
        due.into_iter()
            .filter(|row| window.is_news(ask, row.delivery.id))
            .map(|row| (row, None))
            .collect()
    };
    if request.wanted == Wanted::Oldest && rows.len() > 1 {
        rows.truncate(1);
        short = false;
    }
    Ok(Paged {
        rows,
        next_due,
        short,
        beyond: None,
    })
}

/// Loads the events, first come first served, as far as the budget goes.
async fn events_within_budget(
    deps: &Deps,
    rows: &[(DueRow, Option<Line>)],
) -> Result<HashMap<EventId, Arc<LoadedEvent>>> {
    let mut room = deps
        .settings
        .delivery
        .window_bytes
        .saturating_sub(deps.budget.used());
    let mut wanted = Vec::new();
    for (row, _) in rows {
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
