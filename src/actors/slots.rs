//! The node's own bound of attempts, shared fairly.
//!
//! A slot is held for the length of an HTTP call. What was sent and waits to be recorded is
//! bounded too: where the database is away, sending stops before memory fills with outcomes.
//! Quick receivers share a part of the slots (`domain/crowd.rs`): beyond it more of their calls
//! at once would only cost more.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lane::Lane;
use crate::clock;
use crate::domain::admission::fair_share;
use crate::domain::crowd::{Crowd, Place};
use crate::domain::id::SubscriptionId;

/// Outcomes waiting to be recorded, for each slot there is.
const UNRECORDED_PER_SLOT: usize = 4;

/// Calls of quick receivers at once, for each core: as many as keep one busy.
const CROWD_PER_CORE: usize = 32;
/// What each of them may have under way however large the crowd is.
const PAST_THE_CROWD: u32 = 4;

/// All slots of this engine.
#[derive(Debug)]
pub struct Slots {
    total: usize,
    /// Calls of quick receivers at once, but for a few of each.
    crowd: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    crowd: Crowd,
    unrecorded: usize,
    /// Lanes that were refused a slot, first come first woken.
    queue: VecDeque<Arc<Lane>>,
    queued: HashSet<SubscriptionId>,
}

impl Slots {
    /// `total` calls at once, on so many cores.
    pub fn new(total: usize, cores: usize) -> Self {
        Self {
            total,
            crowd: cores * CROWD_PER_CORE,
            state: Mutex::default(),
        }
    }

    /// A slot for this lane.
    pub fn take(self: &Arc<Self>, lane: &Arc<Lane>) -> Result<Slot, Refusal> {
        let mut state = self.lock();
        if self.is_crowded(&mut state, lane, lane.calls()) {
            return Err(Refusal::Crowded);
        }
        let free = self.total - state.taken;
        if self.has_room(&state) && (lane.calls() as usize) < fair_share(free) {
            state.taken += 1;
            let place = state.place(lane);
            return Ok(self.slot(place));
        }
        if state.queued.insert(lane.subscription()) {
            state.queue.push_back(Arc::clone(lane));
        }
        Err(Refusal::Queued)
    }

    /// A slot past everybody's share, if there is one: for what somebody asked for by hand.
    pub fn take_one(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.lock();
        let free = state.taken < self.total && self.has_room(&state);
        free.then(|| {
            state.taken += 1;
            self.slot(None)
        })
    }

    /// Whether a lane may keep this slot for its next call: nobody waits for one, and it would be
    /// given another.
    pub fn may_keep(&self, slot: &mut Slot, lane: &Lane) -> bool {
        let mut state = self.lock();
        // Its call counts among the lane's as its slot does among those taken.
        let others = lane.calls().saturating_sub(1);
        if let Some(place) = slot.place.take() {
            state.crowd.leave(place);
        }
        let free = self.total - state.taken + 1;
        let kept = state.queue.is_empty()
            && self.has_room(&state)
            && (others as usize) < fair_share(free)
            && !self.is_crowded(&mut state, lane, others);
        if kept {
            slot.place = state.place(lane);
        }
        kept
    }

    /// Whether this lane, with so many calls under way, has to leave room to other quick ones.
    fn is_crowded(&self, state: &mut State, lane: &Lane, calls: u32) -> bool {
        calls >= PAST_THE_CROWD
            && lane.is_quick()
            && state.crowd.size(clock::instant()) >= self.crowd
    }

    fn slot(self: &Arc<Self>, place: Option<Place>) -> Slot {
        Slot {
            slots: Arc::clone(self),
            place,
        }
    }

    /// Whoever looked and needs no slot passes on the wake that it may have had for one: else
    /// a free slot would wait for the next one to come free.
    pub fn pass_on(&self) {
        let woken = {
            let mut state = self.lock();
            match state.taken < self.total && self.has_room(&state) {
                true => state.next_in_queue(1),
                false => Vec::new(),
            }
        };
        wake(woken);
    }

    /// An outcome waits to be recorded.
    pub fn note_unrecorded(&self) {
        self.lock().unrecorded += 1;
    }

    /// Outcomes have been recorded, or given up.
    pub fn note_recorded(&self, count: usize) {
        let woken = {
            let mut state = self.lock();
            state.unrecorded = state.unrecorded.saturating_sub(count);
            state.next_in_queue(count)
        };
        wake(woken);
    }

    /// Slots taken and slots there are.
    pub fn usage(&self) -> (usize, usize) {
        (self.lock().taken, self.total)
    }

    fn has_room(&self, state: &State) -> bool {
        state.unrecorded < self.total * UNRECORDED_PER_SLOT
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Slots {
    fn waiting(&self) -> usize {
        self.lock().queue.len()
    }
}

impl State {
    /// Where a call of this lane that begins now counts.
    fn place(&mut self, lane: &Lane) -> Option<Place> {
        lane.is_quick().then(|| self.crowd.enter(clock::instant()))
    }

    fn next_in_queue(&mut self, count: usize) -> Vec<Arc<Lane>> {
        let count = count.min(self.queue.len());
        let lanes: Vec<_> = self.queue.drain(..count).collect();
        for lane in &lanes {
            self.queued.remove(&lane.subscription());
        }
        lanes
    }
}

/// Outside of the lock: a lane that is woken may ask for a slot at once.
fn wake(lanes: Vec<Arc<Lane>>) {
    for lane in lanes {
        lane.wake();
    }
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// None is free; the lane is woken when one may be.
    Queued,
    /// More calls of quick receivers would only be in each other's way. Nobody wakes the lane:
    /// its own calls go on to what waits.
    Crowded,
}

/// The right to make one HTTP call.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    /// Where it counts as a call of a quick receiver.
    place: Option<Place>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let woken = {
            let mut state = self.slots.lock();
            state.taken -= 1;
            if let Some(place) = self.place.take() {
                state.crowd.leave(place);
            }
            state.next_in_queue(1)
        };
        wake(woken);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::actors::address::Address;
    use crate::actors::lane::{Call, Lanes, ManualTaking, Ticket};
    use crate::delivery::payload::ByteBudget;
    use crate::domain::id::DeliveryId;

    fn lanes(bound: usize) -> Lanes {
        Lanes::new(bound, Arc::new(ByteBudget::new(0)), Address::vacant())
    }

    /// A call under way, of a delivery of its own.
    fn call(lane: &Arc<Lane>) -> (Ticket, Call) {
        let id = DeliveryId(crate::clock::uuid());
        match lane.take_manually(id, u32::MAX) {
            ManualTaking::Taken(ticket, call) => (ticket, call),
            not => panic!("{not:?}"),
        }
    }

    #[test]
    fn a_free_slot_finds_the_next_in_line_where_the_first_does_not_need_it() {
        let lanes = lanes(1);
        let lane = |number| lanes.open(SubscriptionId(Uuid::from_u128(number)));
        let [busy, first, second] = [1, 2, 3].map(lane);
        let slots = Arc::new(Slots::new(1, 8));
        let slot = slots.take(&busy).unwrap();
        for lane in [&first, &second] {
            assert_eq!(slots.take(lane).unwrap_err(), Refusal::Queued);
        }
        slots.pass_on();
        assert_eq!(slots.waiting(), 2, "nothing is free");
        drop(slot);
        assert_eq!(slots.waiting(), 1, "the first is woken");
        slots.pass_on();
        assert_eq!(
            slots.waiting(),
            0,
            "and the second, as the first was held meanwhile"
        );
    }

    #[test]
    fn nobody_gets_more_than_a_quarter_of_what_is_free_and_everybody_gets_one() {
        let lanes = lanes(64);
        let slots = Arc::new(Slots::new(32, 8));
        let greedy = lanes.open(SubscriptionId(Uuid::from_u128(1)));
        let mut held = Vec::new();
        while let Ok(slot) = slots.take(&greedy) {
            held.push((slot, call(&greedy)));
        }
        assert!((2..=8).contains(&held.len()), "{}", held.len());
        for number in 2..(34 - held.len() as u128) {
            let newcomer = lanes.open(SubscriptionId(Uuid::from_u128(number)));
            let slot = slots.take(&newcomer).expect("a slot for a newcomer");
            held.push((slot, call(&newcomer)));
        }
        assert_eq!(slots.usage(), (32, 32));
    }

    #[test]
    fn what_waits_to_be_recorded_is_bounded() {
        let lanes = lanes(1);
        let lane = lanes.open(SubscriptionId(Uuid::from_u128(1)));
        let slots = Arc::new(Slots::new(1, 8));
        for _ in 0..UNRECORDED_PER_SLOT {
            assert!(slots.take(&lane).is_ok());
            slots.note_unrecorded();
        }
        assert!(slots.take(&lane).is_err());
        slots.note_recorded(1);
        assert!(slots.take(&lane).is_ok());
    }

    #[test]
    fn a_slot_is_kept_only_where_another_would_be_given() {
        let lanes = lanes(64);
        let lane = |number| lanes.open(SubscriptionId(Uuid::from_u128(number)));
        let [holder, other] = [1, 2].map(lane);
        let slots = Arc::new(Slots::new(4, 8));
        let mut slot = slots.take(&holder).unwrap();
        let first = call(&holder);
        assert!(slots.may_keep(&mut slot, &holder));

        // As others take theirs, its share becomes one, and then somebody waits.
        let second = (slots.take_one().unwrap(), call(&holder));
        assert!(!slots.may_keep(&mut slot, &holder), "past its share");
        drop(second);
        let taken: Vec<_> = std::iter::from_fn(|| slots.take_one()).collect();
        assert!(
            slots.may_keep(&mut slot, &holder),
            "the last one is its own"
        );
        assert!(slots.take(&other).is_err());
        assert!(!slots.may_keep(&mut slot, &holder), "another waits");
        drop(taken);
        slots.pass_on();
        assert!(slots.may_keep(&mut slot, &holder));

        for _ in 0..4 * UNRECORDED_PER_SLOT {
            slots.note_unrecorded();
        }
        assert!(
            !slots.may_keep(&mut slot, &holder),
            "too much is not recorded"
        );
        drop(first);
    }

    #[test]
    fn quick_receivers_share_a_crowd_and_slow_ones_are_not_in_it() {
        let lanes = lanes(1_000);
        let slots = Arc::new(Slots::new(10_000, 1));
        let fill = |number| {
            let lane = lanes.open(SubscriptionId(Uuid::from_u128(number)));
            let mut held = Vec::new();
            while held.len() < 200 {
                match slots.take(&lane) {
                    Ok(slot) => held.push((slot, call(&lane))),
                    Err(refusal) => {
                        assert_eq!(refusal, Refusal::Crowded);
                        break;
                    }
                }
            }
            (lane, held)
        };
        let slow = lanes.open(SubscriptionId(Uuid::from_u128(9)));
        slow.note_answer(Duration::from_secs(1));
        // All of this happens within one turn, or the sizes would say nothing.
        loop {
            let began = clock::instant();
            let (first, mut of_first) = fill(1);
            let (_second, of_second) = fill(2);
            let (_, of_slow) = fill(9);
            let (mut slot, its_call) = of_first.pop().unwrap();
            let sizes = (of_first.len() + 1, of_second.len(), of_slow.len());
            let past = slots.may_keep(&mut slot, &first);
            drop((of_second, of_slow));
            let within = slots.may_keep(&mut slot, &first);
            drop((slot, its_call, of_first));
            if clock::instant() - began < Duration::from_millis(40) {
                assert_eq!(sizes, (32, 4, 200));
                assert!(!past, "there are more than the crowd has room for");
                assert!(within, "it is one of the crowd");
                return;
            }
        }
    }
}
