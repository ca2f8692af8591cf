//! From one attempt of a subscription straight on to the next.
//!
//! Each attempt that ends makes room for another. Waking the actor for each would cost a message,
//! a look at everything and a new task, for a decision that it has taken already: so while nothing
//! is against the next attempt it leaves a [`Clearance`], and the attempt's task goes on by itself.
//!
//! The invariant: no attempt begins here that the actor would not have begun. The clearance's
//! lock is held from the first look to the delivery taken, and the actor withdraws the clearance
//! before it looks at anything itself; so whatever it takes note of, it either was seen here or
//! comes after. What can move without the actor is looked at each time: a change, what a receiver
//! said, the directory's version, the epoch, the breaker, the node's slots, the window. Whatever
//! is in doubt is the actor's to decide.

use std::sync::Arc;

use super::deps::Deps;
use super::lane::{Call, Lane, Onward, WaitingDelivery};
use super::slots::Slot;
use crate::clock;
use crate::delivery::deliver::Receiver;
use crate::domain::breaker::Pass;
use crate::domain::subscription::Subscription;
use crate::faults::Point;

/// What an actor found when it last looked, neither a rate limit nor a hold being against an
/// attempt.
#[derive(Debug)]
pub struct Clearance {
    /// The subscription as it was then.
    pub subscription: Arc<Subscription>,
    /// Made ready to be called.
    pub receiver: Arc<Receiver>,
    /// The epoch that the window was filled in.
    pub epoch: Option<i64>,
    /// The breaker's, which the window was filled under.
    pub revision: u64,
    /// Its bound of attempts in flight.
    pub bound: u32,
}

/// The next attempt.
pub struct Next {
    /// What to attempt.
    pub item: WaitingDelivery,
    /// Its call.
    pub call: Call,
    /// Its slot.
    pub slot: Slot,
    /// What lets it through.
    pub pass: Pass,
    /// Whom to call.
    pub receiver: Arc<Receiver>,
}

/// The attempt that follows one which has ended, in its place. Without one, call and slot end.
pub fn next(deps: &Deps, lane: &Arc<Lane>, call: Call, mut slot: Slot) -> Option<Next> {
    let cleared = lane.cleared();
    let clearance = cleared.as_ref().filter(|it| holds(deps, lane, it));
    let pass = clearance.and_then(|clearance| {
        let kept = deps.slots.may_keep(&mut slot, lane);
        kept.then(|| lane.pass_closed(clearance.revision)).flatten()
    });
    let (Some(clearance), Some(pass)) = (clearance, pass) else {
        drop(cleared);
        return None;
    };
    let receiver = Arc::clone(&clearance.receiver);
    let onward = lane.go_on(call, clearance.bound, pass);
    drop(cleared);
    match onward {
        Onward::Taken { item, call } => {
            lane.note_move(clock::now());
            Some(Next {
                item,
                call,
                slot,
                pass,
                receiver,
            })
        }
        Onward::Ended => None,
    }
}

fn holds(deps: &Deps, lane: &Lane, clearance: &Clearance) -> bool {
    let known = deps.directory.get(lane.subscription());
    !lane.has_news()
        && known.is_some_and(|known| known.version == clearance.subscription.version)
        && deps.ownership.may_deliver_in(clearance.epoch)
        && !deps.is_draining()
        && !deps.faults.muted(Point::Launch)
}
