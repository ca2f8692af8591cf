//! Subscriptions looked for by a word, or by their ids: in memory, where this process has all of them.

use std::sync::Arc;

use super::paging::Query;
use crate::domain::id::SubscriptionId;
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::store::{Page, PageRequest, Position};

/// Ids that one question may name.
pub const MOST_IDS: usize = 100;

/// What is looked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Each stands somewhere in the name, the URL, a pattern or the id. In lower case.
    words: Vec<String>,
    state: Option<SubscriptionState>,
    ids: Option<Vec<SubscriptionId>>,
}

impl Wanted {
    /// The names of its parameters.
    pub const NAMES: [&str; 3] = ["q", "state", "ids"];

    /// Nothing where nothing is looked for.
    pub fn read(query: &mut Query) -> Option<Self> {
        let text = query.text(&["q"]).map(|text| text.to_lowercase());
        let words = text.iter().flat_map(|text| text.split_whitespace());
        let words: Vec<String> = words.map(str::to_owned).collect();
        let expected =
            "active, paused, deactivated, suspended or deleted (of which none is listed)";
        let state = query.parsed(&["state"], expected, read_state);
        let expected = format!("1 to {MOST_IDS} ids (UUIDs) with commas between them");
        let ids = query.parsed(&["ids"], &expected, read_ids);
        let wanted = Self { words, state, ids };
        let is_all = wanted.words.is_empty() && state.is_none() && wanted.ids.is_none();
        (!is_all).then_some(wanted)
    }

    fn is_it(&self, one: &Subscription) -> bool {
        self.state.is_none_or(|state| one.state == state)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&one.id))
            && (self.words.is_empty() || self.stand_in(one))
    }

    fn stand_in(&self, one: &Subscription) -> bool {
        let mut text = format!("{}\n{}\n{}", one.name, one.url, one.id).to_lowercase();
        for pattern in &one.event_types {
            text.push('\n');
            text.push_str(&pattern.as_str().to_lowercase());
        }
        self.words.iter().all(|word| text.contains(word))
    }

    /// A page of those that are found, newest first.
    pub fn page_of(
        &self,
        mut all: Vec<Arc<Subscription>>,
        tenant: Option<&str>,
        request: &PageRequest,
    ) -> Page<Arc<Subscription>> {
        let after = request.after.map(|Position(id)| id);
        all.retain(|one| {
            tenant.is_none_or(|tenant| one.tenant.as_deref() == Some(tenant))
                && after.is_none_or(|after| one.id.0 < after)
                && self.is_it(one)
        });
        all.sort_unstable_by_key(|one| std::cmp::Reverse(one.id));
        let (limit, offset) = (request.limit as usize, request.offset as usize);
        let more = all.len() > offset.saturating_add(limit);
        let rows: Vec<_> = all.into_iter().skip(offset).take(limit).collect();
        let last = rows.last().map(|one| Position(one.id.0));
        Page {
            next: last.filter(|_| more),
            rows,
            partial: false,
        }
    }
}

fn read_state(text: &str) -> Option<SubscriptionState> {
    let mut all = SubscriptionState::ALL.into_iter();
    all.find(|state| state.as_str() == text)
}

/// Ids with commas between them, each once; nothing where one is none or there are too many.
pub fn read_ids(text: &str) -> Option<Vec<SubscriptionId>> {
    let mut ids = Vec::new();
    for part in text.split(',') {
        let id = part.trim().parse().ok()?;
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > MOST_IDS {
            return None;
        }
    }
    Some(ids)
}
