//! Pages on their way from the store into the window.

use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tracing::warn;

use super::{State, SubscriptionMessage};
use crate::actors::lane::WaitingDelivery;
use crate::actors::page::{self, PageAnswer};
use crate::actors::streaks;
use crate::clock;

/// After a page that failed, the next is asked for after this long, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two pages that fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl State {
    /// Asks for a page where the window runs low.
    pub(super) fn ask(&mut self, myself: &ActorRef<SubscriptionMessage>) {
        if self.no_page_before.is_some_and(|at| clock::instant() < at) {
            return;
        }
        // Over: it must not go on ringing while the next page is under way.
        self.no_page_before = None;
        let Some(wanted) = self.wanted_page() else {
            return;
        };
        let ask = self.lane.window().ask();
        if let Some(ask) = ask {
            let (deps, lane) = (Arc::clone(&self.deps), Arc::clone(&self.lane));
            let first = !self.runtime_known;
            page::load(deps, lane, ask, wanted, first, myself.clone());
        }
    }

    /// Takes in what the store answered, where it still is wanted.
    pub(super) fn take_page(&mut self, answer: PageAnswer) {
        match answer.result {
            Ok(page) => {
                self.pages_failed = 0;
                self.no_page_before = None;
                if let Some(runtime) = page.runtime {
                    self.runtime_known = true;
                    self.lane.restore_breaker(runtime.breaker);
                    if let Some(epoch) = page.epoch {
                        streaks::judge(&self.deps, &self.lane, &runtime.streak);
                        self.lane.know_streak(epoch, runtime.streak);
                    }
                    if let Some(until) = runtime.hold_until {
                        self.hold(until);
                    }
                }
                if !self.wants(answer.wanted) {
                    self.lane.window().abandon_question();
                    return;
                }
                let items: Vec<WaitingDelivery> = page.items;
                if !self.lane.window().answer(answer.ask, items, page.short) {
                    return;
                }
                if let Some(due) = page.next_due {
                    self.next_due = Some(self.next_due.map_or(due, |known| known.min(due)));
                }
            }
            Err(problem) => {
                self.lane.window().abandon_question();
                if self.pages_failed == 0 {
                    warn!(subscription = %self.id, %problem, "a page cannot be read; trying on");
                }
                let pause = FIRST_PAUSE * (1 << self.pages_failed.min(10));
                self.pages_failed = self.pages_failed.saturating_add(1);
                self.no_page_before = Some(clock::instant() + pause.min(LONGEST_PAUSE));
            }
        }
    }
}
