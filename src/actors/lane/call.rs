//! An HTTP call under way, as its lane counts it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Lane, WaitingDelivery};
use crate::domain::Timestamp;
use crate::domain::breaker::{Breaker, Change, Gate, Pass, Signal};
use crate::domain::delivery::Verdict;
use crate::domain::id::AttemptId;

/// A call under way: counts against the subscription's bound until it is dropped.
#[derive(Debug)]
pub struct Call {
    lane: Arc<Lane>,
    /// Until the breaker has heard what came of it.
    pass: Option<Pass>,
    ended: bool,
}

impl Call {
    /// Counts one more call; one without a pass tells the breaker nothing. Where others may take
    /// deliveries too, the caller holds the window's lock.
    pub fn start(lane: &Arc<Lane>, pass: Option<Pass>) -> Self {
        lane.calls.fetch_add(1, Ordering::AcqRel);
        Self {
            lane: Arc::clone(lane),
            pass,
            ended: false,
        }
    }

    /// Whose call it is.
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// See [`Lane::hear`].
    pub fn hear(&self, attempt: AttemptId, verdict: &Verdict) {
        self.lane.hear(attempt, verdict);
    }

    /// Tells the breaker what the call says about the receiver.
    pub fn judge(&mut self, signal: Signal, now: Timestamp, chance: f64) -> Option<Change> {
        let pass = self.pass.take()?;
        let step = |breaker: &mut Breaker| (breaker.note(pass, signal, now, chance), ());
        self.lane.step(step).0
    }
}

/// What follows a call that has ended.
#[derive(Debug)]
pub enum Onward {
    /// The next one, in its place.
    Taken {
        /// What it delivers.
        item: WaitingDelivery,
        /// The call.
        call: Call,
    },
    /// None; where the actor may have something to do about that, it is woken.
    Ended,
}

impl Lane {
    /// Goes on from a call that has ended to the window's next delivery, where no more than
    /// `most` are under way, that one counted.
    pub fn go_on(&self, mut call: Call, most: u32, pass: Pass) -> Onward {
        let mut window = self.window();
        let taken = if self.calls() <= most {
            window.take_next()
        } else {
            None
        };
        let pages = window.wants_page();
        if let Some(item) = taken {
            drop(window);
            if pages {
                self.wake();
            }
            // The one before has told what it had to.
            if let Some(untold) = call.pass.replace(pass) {
                self.breaker().abandon(untold);
            }
            return Onward::Taken { item, call };
        }
        // Under the window's lock: what is offered after this finds the call ended, and wakes.
        let nothing_waits = window.waiting() == 0 && !pages;
        if nothing_waits {
            call.end();
        }
        drop(window);
        drop(call);
        self.breaker().abandon(pass);
        Onward::Ended
    }

    /// Lets one attempt through while the breaker is closed, and as it was at that revision.
    pub fn pass_closed(&self, revision: u64) -> Option<Pass> {
        let mut breaker = self.breaker();
        let flows = breaker.revision() == revision && breaker.gate() == Gate::Flow(None);
        flows.then(|| breaker.start()).flatten()
    }
}

impl Call {
    /// Counts no more, and nobody needs to know.
    fn end(&mut self) {
        self.ended = true;
        self.lane.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.lane.breaker().abandon(pass);
        }
        if !self.ended {
            self.end();
            self.lane.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::actors::address::Address;
    use crate::actors::lane::Lanes;
    use crate::delivery::payload::ByteBudget;
    use crate::domain::delivery::{PendingDelivery, Progress};
    use crate::domain::id::{DeliveryId, EventId, SubscriptionId};

    /// A lane whose window holds so many deliveries, and everything that is due.
    fn lane(waiting: u128) -> Arc<Lane> {
        let lanes = Lanes::new(8, Arc::new(ByteBudget::new(0)), Address::vacant());
        let lane = lanes.open(SubscriptionId(Uuid::from_u128(1)));
        let items = (1..=waiting).map(|number| WaitingDelivery {
            delivery: PendingDelivery {
                id: DeliveryId(Uuid::from_u128(number)),
                event_id: EventId(Uuid::from_u128(number)),
                subscription_id: lane.subscription(),
                due_at: Timestamp::default(),
                progress: Progress::default(),
            },
            event: None,
            line: None,
        });
        let ask = lane.window().ask().unwrap();
        assert!(lane.window().answer(ask, items.collect(), true));
        lane
    }

    fn first(lane: &Arc<Lane>, most: u32) -> Call {
        let pass = lane.breaker().start().unwrap();
        lane.take_next(most, pass).unwrap().1
    }

    fn go_on(lane: &Arc<Lane>, call: Call, most: u32) -> Option<Call> {
        let revision = lane.breaker().revision();
        let pass = lane.pass_closed(revision).unwrap();
        match lane.go_on(call, most, pass) {
            Onward::Taken { call, .. } => Some(call),
            Onward::Ended => None,
        }
    }

    #[test]
    fn a_call_goes_on_within_its_bound_and_counts_once() {
        let lane = lane(4);
        let (one, other) = (first(&lane, 2), first(&lane, 2));
        assert_eq!(lane.calls(), 2);
        let one = go_on(&lane, one, 2).expect("in the place of the one before");
        assert_eq!((lane.calls(), lane.window().waiting()), (2, 1));
        assert!(
            go_on(&lane, one, 1).is_none(),
            "the bound is lower by now, and another call is under way"
        );
        assert_eq!((lane.calls(), lane.window().waiting()), (1, 1));
        let other = go_on(&lane, other, 1).expect("the last one");
        assert!(go_on(&lane, other, 1).is_none(), "nothing waits");
        assert_eq!(lane.calls(), 0);
    }

    #[test]
    fn nothing_passes_a_breaker_that_has_moved() {
        let lane = lane(0);
        let revision = lane.breaker().revision();
        assert!(lane.pass_closed(revision).is_some());
        assert!(lane.pass_closed(revision + 1).is_none());
    }
}
