//! Reads a page of a subscription that has an order: from line to line, and what goes free.
//!
//! Before the first one under a rule of order, all that is pending is lined up for it. What is
//! accepted from then on is lined up as it comes, because no event is matched against an older
//! rule any more.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Paged, Request};
use crate::actors::deps::Deps;
use crate::actors::lane::Lane;
use crate::actors::subscription::Wanted;
use crate::clock;
use crate::domain::id::SubscriptionId;
use crate::domain::ordering::{Line, Ordering, OrderingRule};
use crate::domain::window::{Head, Walk};
use crate::events::EngineEvent;
use crate::store::{DueRow, HeadRow, Result, StoreError};

/// Deliveries lined up by one statement.
const BATCH: u32 = 1_000;
/// Later than any retry.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// How a page of lines goes on.
#[derive(Debug, Default)]
pub struct Beyond {
    /// Lines of which the store has more.
    pub cut: HashSet<Line>,
    /// The walk over the lines goes on behind this one.
    pub to: Option<Line>,
    /// There is more that goes free.
    pub more_free: bool,
}

/// Lines up all that is pending, unless that was done for this rule.
pub(super) async fn line_up(deps: &Deps, id: SubscriptionId, request: &Request) -> Result<()> {
    let rule = &request.ordering;
    if rule.ordering == Ordering::None || request.lined_up == rule.name() {
        return Ok(());
    }
    if deps.store.runtime(id).await?.lined_up == rule.name() {
        return Ok(());
    }
    let mut last = Some(0);
    while let Some(after) = last {
        if !deps.ownership.may_deliver() || deps.is_draining() {
            return Err(StoreError::Fenced);
        }
        // A long backlog takes many turns, with others in between.
        let _turn = deps.pages.acquire().await;
        let store = &deps.store;
        last = store.line_up(id, rule.ordering, after, BATCH).await?;
    }
    deps.store.note_lined_up(id, rule.since).await?;
    deps.events
        .tell(|| EngineEvent::LinedUp { subscription: id });
    Ok(())
}

/// Reads it.
pub(super) async fn read(
    deps: &Deps,
    lane: &Lane,
    request: &Request,
    rule: &OrderingRule,
) -> Result<Paged> {
    match request.wanted {
        Wanted::Due => due(deps, lane, request, rule).await,
        Wanted::Oldest => oldest(deps, lane, request, rule).await,
    }
}

async fn due(deps: &Deps, lane: &Lane, request: &Request, rule: &OrderingRule) -> Result<Paged> {
    let (id, ask, store) = (lane.subscription(), request.ask, &deps.store);
    let now = clock::now();
    let walk = lane.window().walk();
    let found = heads(deps, id, rule, &walk).await?;
    let free = store.free_page(id, now, ask.limit).await?;
    let (picked, mut all) = {
        let mut window = lane.window();
        let picked = window.pick(ask, &walk, &heads_of(&found), now);
        let news = |row: &DueRow| window.is_news(ask, row.delivery.id);
        let all: Vec<(DueRow, Option<Line>)> = free
            .due
            .iter()
            .filter(|row| news(row))
            .map(|row| (*row, None))
            .collect();
        (picked, all)
    };
    let mut beyond = Beyond {
        cut: HashSet::new(),
        to: picked.to,
        more_free: free.due.len() >= ask.limit || all.len() > walk.free,
    };
    all.truncate(walk.free);
    let places: Vec<(Line, i64)> = picked
        .heads
        .iter()
        .map(|place| (found[*place].line.clone(), found[*place].seq))
        .collect();
    for place in picked.heads {
        all.push((found[place].row, Some(found[place].line.clone())));
    }
    all.sort_by_key(|(row, _)| row.delivery.due_at);
    let run = walk.behind / places.len().max(1);
    if run == 0 {
        beyond.cut = places.into_iter().map(|(line, _)| line).collect();
    } else if !places.is_empty() {
        let mut lengths: HashMap<Line, usize> = HashMap::new();
        for (line, row) in store.lines_after(id, &places, run).await? {
            let length = lengths.entry(line.clone()).or_default();
            *length += 1;
            if *length == run {
                beyond.cut.insert(line.clone());
            }
            all.push((row, Some(line)));
        }
    }
    let next_due = [picked.next_due, free.next_due];
    Ok(Paged {
        rows: all,
        next_due: next_due.into_iter().flatten().min(),
        short: false,
        beyond: Some(beyond),
    })
}

/// The oldest that may go: the head that was accepted first among those of one page, or what
/// goes free, if that is or was due before it.
async fn oldest(deps: &Deps, lane: &Lane, request: &Request, rule: &OrderingRule) -> Result<Paged> {
    let (id, ask) = (lane.subscription(), request.ask);
    let far = clock::now().plus(FAR);
    let (mut walk, held) = {
        let window = lane.window();
        (window.walk(), window.held())
    };
    walk.lines = usize::MAX;
    let found = heads(deps, id, rule, &walk).await?;
    let free = deps.store.free_page(id, far, held + 1).await?;
    let mut window = lane.window();
    let picked = window.pick(ask, &walk, &heads_of(&found), far);
    let first = picked.heads.iter().map(|place| &found[*place]);
    let first = first.min_by_key(|head| head.seq);
    let free_news = free
        .due
        .iter()
        .find(|row| window.is_news(ask, row.delivery.id));
    let takes_free = match (first, free_news) {
        (Some(head), Some(free)) => free.delivery.due_at < head.row.delivery.due_at,
        (first, _) => first.is_none(),
    };
    let line = first.filter(|_| !takes_free);
    let row = line.map(|head| head.row);
    let row = row.or_else(|| free_news.copied());
    let line = line.map(|head| head.line.clone());
    Ok(Paged {
        rows: row.map(|row| (row, line.clone())).into_iter().collect(),
        next_due: None,
        short: false,
        beyond: Some(Beyond {
            cut: line.into_iter().collect(),
            to: picked.to,
            more_free: picked.heads.len() > 1 || free_news.is_some(),
        }),
    })
}

async fn heads(
    deps: &Deps,
    id: SubscriptionId,
    rule: &OrderingRule,
    walk: &Walk,
) -> Result<Vec<HeadRow>> {
    let after = walk.after.as_ref();
    let store = &deps.store;
    store.line_heads(id, rule.since, after, walk.heads).await
}

fn heads_of(rows: &[HeadRow]) -> Vec<Head> {
    let head = |row: &HeadRow| Head {
        line: row.line.clone(),
        due_at: row.row.delivery.due_at,
        blocked: row.blocked,
    };
    rows.iter().map(head).collect()
}
