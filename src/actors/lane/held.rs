//! What holds a delivery's id in a window: a reservation until it is offered, a ticket from its
//! attempt until its outcome is committed. Neither can be lost: dropped too early, it lets the id
//! go in a way that has the delivery paged.

use std::sync::Arc;

use super::{Lane, WaitingDelivery, locked};
use crate::clock;
use crate::domain::delivery::{AttemptRecord, Settlement};
use crate::domain::id::DeliveryId;

/// The proof that this process holds a delivery in memory. It ends with the commit of the
/// outcome ([`Ticket::settled`], [`Ticket::overtaken`]); dropped anywhere else, it frees the
/// id to be paged again.
#[derive(Debug)]
pub struct Ticket {
    lane: Arc<Lane>,
    delivery: DeliveryId,
    ended: bool,
}

impl Ticket {
    /// For a delivery that was just taken from the window.
    pub fn new(lane: &Arc<Lane>, delivery: DeliveryId) -> Self {
        Self {
            lane: Arc::clone(lane),
            delivery,
            ended: false,
        }
    }

    /// The outcome is committed and moved the delivery.
    pub fn settled(mut self, record: &AttemptRecord) {
        self.ended = true;
        self.lane.note_move(clock::now());
        if !matches!(record.verdict.settlement, Settlement::RetryAt(_)) {
            self.lane.note_end(clock::instant());
        }
        let concerns_actor = {
            // Under the window's lock: whoever hears when the retry is due finds the id released.
            let mut window = self.lane.window();
            let verdict = &record.verdict;
            if verdict.bears_on_more() {
                locked(&self.lane.verdicts).push(*verdict);
            }
            match record.passes_on() {
                true => window.pass_on(self.delivery),
                false => window.release(self.delivery, false),
            }
            let may_start = window.waiting() > 0 && !self.lane.is_busy();
            // With nothing in flight it may leave, or follow another rule.
            let rests = window.flying() == 0;
            verdict.bears_on_more() || may_start || rests || window.wants_page()
        };
        if concerns_actor {
            self.lane.wake();
        }
    }

    /// The outcome is committed as stale: the delivery had moved on and may be due.
    pub fn overtaken(mut self) {
        self.end();
    }

    /// The lane of its subscription.
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    fn end(&mut self) {
        self.ended = true;
        self.lane.window().release(self.delivery, true);
        self.lane.wake();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
        }
    }
}

/// A delivery's id held in a window while its event is committed. Dropped before it is offered
/// or withdrawn, it counts as perhaps committed.
#[derive(Debug)]
pub struct Reservation {
    lane: Arc<Lane>,
    delivery: DeliveryId,
    ended: bool,
}

impl Reservation {
    /// Holds the id, where the window takes it.
    pub fn make(lane: &Arc<Lane>, delivery: DeliveryId) -> Option<Self> {
        let scarce = lane.budget.is_half_used();
        let reserved = lane.window().reserve(delivery, scarce);
        reserved.then(|| Self {
            lane: Arc::clone(lane),
            delivery,
            ended: false,
        })
    }

    /// The commit is done: here is the delivery.
    pub fn offer(mut self, item: WaitingDelivery) {
        self.ended = true;
        let seen_to = {
            let mut window = self.lane.window();
            window.offer(item) && self.lane.is_busy()
        };
        if !seen_to {
            self.lane.wake();
        }
    }

    /// Nothing was committed.
    pub fn withdraw(mut self) {
        self.ended = true;
        self.lane.window().withdraw(self.delivery);
        // It may have been all that kept the actor from leaving.
        self.lane.wake();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.ended {
            self.lane.window().release(self.delivery, true);
            self.lane.wake();
        }
    }
}
