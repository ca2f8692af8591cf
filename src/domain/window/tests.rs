use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Item {
    id: DeliveryId,
    version: u32,
}

impl Waiting for Item {
    fn id(&self) -> DeliveryId {
        self.id
    }
}

fn id(number: usize) -> DeliveryId {
    DeliveryId(Uuid::from_u128(number as u128 + 1))
}

/// A delivery as the store has it.
#[derive(Clone, Copy, Debug)]
struct Row {
    version: u32,
    delivered: bool,
}

/// A store, a window and all that may be under way between them. Each step is one thing
/// that can happen next; which one does is chance's choice.
struct Model {
    window: Window<Item>,
    rows: BTreeMap<DeliveryId, Row>,
    made: usize,
    /// Reserved or not, not yet committed.
    committing: Vec<(DeliveryId, bool)>,
    /// Committed, the window not told yet.
    committed: Vec<(DeliveryId, bool)>,
    /// Asked, the store has not looked yet.
    asked: Option<Ask>,
    /// What the store saw when it looked.
    seen: Option<(Ask, Vec<Item>, bool)>,
    /// Attempts on their way to the receiver.
    flying: Vec<Item>,
    /// Sent, not recorded.
    sent: Vec<Item>,
    /// Recorded, the window not told yet.
    recorded: Vec<(DeliveryId, bool)>,
    receipts: BTreeMap<DeliveryId, u32>,
    /// Sends that a move from outside made necessary.
    excused: BTreeMap<DeliveryId, u32>,
    /// Operators at work who closed the window.
    closings: usize,
    /// Taken back, and not retried since.
    cancelled: BTreeSet<DeliveryId>,
}

impl Model {
    fn new(bound: usize) -> Self {
        Self {
            window: Window::new(bound),
            rows: BTreeMap::new(),
            made: 0,
            committing: Vec::new(),
            committed: Vec::new(),
            asked: None,
            seen: None,
            flying: Vec::new(),
            sent: Vec::new(),
            recorded: Vec::new(),
            receipts: BTreeMap::new(),
            excused: BTreeMap::new(),
            closings: 0,
            cancelled: BTreeSet::new(),
        }
    }

    fn step(&mut self, kind: u8, pick: usize) {
        match kind {
            0 => {
                let id = id(self.made);
                self.made += 1;
                let reserved = self.window.reserve(id, pick.is_multiple_of(4));
                self.committing.push((id, reserved));
            }
            1 if !self.committing.is_empty() => {
                let (id, reserved) = self.committing.remove(pick % self.committing.len());
                self.rows.insert(
                    id,
                    Row {
                        version: 0,
                        delivered: false,
                    },
                );
                self.committed.push((id, reserved));
            }
            2 if !self.committing.is_empty() => {
                // The commit failed for good.
                let (id, reserved) = self.committing.remove(pick % self.committing.len());
                if reserved {
                    self.window.withdraw(id);
                }
            }
            3 if !self.committed.is_empty() => {
                let (id, reserved) = self.committed.remove(pick % self.committed.len());
                if !reserved {
                    self.window.decline();
                } else {
                    self.window.offer(Item { id, version: 0 });
                }
            }
            4 if self.asked.is_none() && self.seen.is_none() => self.asked = self.window.ask(),
            5 => {
                if let Some(ask) = self.asked.take() {
                    let due: Vec<Item> = self
                        .rows
                        .iter()
                        .filter(|(_, row)| !row.delivered)
                        .map(|(id, row)| Item {
                            id: *id,
                            version: row.version,
                        })
                        .take(ask.limit)
                        .collect();
                    let short = due.len() < ask.limit;
                    self.seen = Some((ask, due, short));
                }
            }
            6 => {
                if let Some((ask, due, short)) = self.seen.take() {
                    let news = due
                        .into_iter()
                        .filter(|item| self.window.is_news(ask, item.id))
                        .collect();
                    self.window.answer(ask, news, short);
                }
            }
            7 => self.flying.extend(self.window.take_next()),
            8 if !self.flying.is_empty() => {
                let item = self.flying.remove(pick % self.flying.len());
                assert!(!self.cancelled.contains(&item.id), "sent what is cancelled");
                *self.receipts.entry(item.id).or_default() += 1;
                self.sent.push(item);
            }
            9 if !self.flying.is_empty() => {
                // The attempt's task is lost before it sent.
                let item = self.flying.remove(pick % self.flying.len());
                self.window.release(item.id, true);
            }
            10 if !self.sent.is_empty() => {
                let item = self.sent.remove(pick % self.sent.len());
                let row = self.rows.get_mut(&item.id).unwrap();
                let moved = row.version == item.version;
                if moved {
                    *row = Row {
                        version: row.version + 1,
                        delivered: true,
                    };
                }
                self.recorded.push((item.id, moved));
            }
            11 if !self.recorded.is_empty() => {
                let (id, moved) = self.recorded.remove(pick % self.recorded.len());
                self.window.release(id, !moved);
            }
            12 => {
                // The actor dies: its question is lost, the window stays.
                self.window.abandon_question();
                self.asked = None;
                // An answer to the dead actor may still come in.
            }
            13 => self.window.flush(),
            14 if !self.rows.is_empty() => {
                // A retry from outside moves a row, then tells the window.
                let index = pick % self.rows.len();
                let (id, row) = self.rows.iter_mut().nth(index).unwrap();
                *row = Row {
                    version: row.version + 1,
                    delivered: false,
                };
                *self.excused.entry(*id).or_default() += 1;
                self.cancelled.remove(id);
                self.window.flush();
            }
            19 if !self.rows.is_empty() => {
                // Bulk work brings back what is final, wherever its outcome is, and tells.
                let index = pick % self.rows.len();
                let (id, row) = self.rows.iter_mut().nth(index).unwrap();
                if row.delivered {
                    row.version += 1;
                    row.delivered = false;
                    *self.excused.entry(*id).or_default() += 1;
                    self.cancelled.remove(id);
                }
                self.window.unsettle();
            }
            15 if self.closings < 2 => {
                self.window.close();
                self.closings += 1;
            }
            16 if self.closings > 0 && !self.rows.is_empty() => {
                // While it is closed, what does not fly may be cancelled.
                let index = pick % self.rows.len();
                let (id, row) = self.rows.iter_mut().nth(index).unwrap();
                if !row.delivered && !self.window.is_flying(*id) {
                    assert!(!self.window.all_flying().contains(id));
                    *row = Row {
                        version: row.version + 1,
                        delivered: true,
                    };
                    self.cancelled.insert(*id);
                }
            }
            17 if self.closings > 0 => {
                self.window.reopen();
                self.closings -= 1;
            }
            18 if !self.rows.is_empty() => {
                // A retry by the owner: out of its turn, the row moved while it is held.
                let index = pick % self.rows.len();
                let (id, row) = self.rows.iter_mut().nth(index).unwrap();
                if self.window.take(*id) == Taking::Taken {
                    row.version += 1;
                    row.delivered = false;
                    *self.excused.entry(*id).or_default() += 1;
                    self.cancelled.remove(id);
                    let version = row.version;
                    self.flying.push(Item { id: *id, version });
                }
            }
            _ => {}
        }
        assert!(
            self.window.held() <= self.window.bound,
            "holds more than its bound"
        );
        assert!(self.window.flying() <= self.window.held());
    }

    fn settle_down(&mut self) {
        for _ in 0..10_000 {
            for kind in [1, 3, 4, 5, 6, 7, 8, 10, 11] {
                self.step(kind, 0);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_is_sent_twice(
        bound in 1usize..12,
        steps in prop::collection::vec((0u8..23, 0usize..64), 0..400),
    ) {
        let mut model = Model::new(bound);
        for (kind, pick) in steps {
            // Kinds past the last make what moves things along more likely.
            let kind = match kind { 20 => 7, 21 => 8, 22 => 0, kind => kind };
            model.step(kind, pick);
        }
        while model.closings > 0 { model.step(17, 0); }
        // Enough rounds for all that was made, without any sweeper's help.
        for _ in 0..(model.made + 4) {
            for kind in [1, 3, 4, 5, 6, 7, 8, 10, 11] {
                for _ in 0..3 { model.step(kind, 0); }
            }
            if model.rows.values().all(|row| row.delivered) && model.committing.is_empty() { break; }
        }
        if model.rows.values().any(|row| !row.delivered) { model.settle_down(); }
        for (id, row) in &model.rows {
            prop_assert!(row.delivered, "{id} was lost: {:?}", model.window);
            let receipts = model.receipts.get(id).copied().unwrap_or(0);
            let excused = model.excused.get(id).copied().unwrap_or(0);
            prop_assert!(receipts >= 1 || model.cancelled.contains(id));
            prop_assert!(receipts <= 1 + excused, "{id} was sent {receipts} times");
        }
        prop_assert!(model.receipts.keys().all(|id| model.rows.contains_key(id)));
    }
}

#[test]
fn a_row_recorded_while_a_page_was_under_way_is_not_taken_from_it() {
    let mut window = Window::new(4);
    let first = window.ask().unwrap();
    assert!(window.answer(first, Vec::new(), true));
    assert!(window.reserve(id(1), false));
    assert!(window.offer(Item {
        id: id(1),
        version: 0
    }));
    window.decline();
    let ask = window.ask().unwrap();
    let taken = window.take_next().unwrap();
    window.release(taken.id, false);
    assert!(window.answer(ask, vec![taken], true));
    assert_eq!(window.waiting(), 0, "the page was older than the outcome");
    assert!(window.is_idle());
}

#[test]
fn a_decline_while_a_page_is_under_way_keeps_the_window_behind() {
    let mut window: Window<Item> = Window::new(4);
    let ask = window.ask().unwrap();
    assert!(!window.reserve(id(1), false));
    assert!(window.decline());
    assert!(!window.decline(), "told once is enough");
    window.answer(ask, Vec::new(), true);
    assert!(!window.is_caught_up());
    assert!(window.ask().is_some());
}

#[test]
fn a_stream_of_commits_does_not_keep_a_window_from_catching_up() {
    let mut window = Window::new(4);
    let item = |number| Item {
        id: id(number),
        version: 0,
    };
    let ask = window.ask().unwrap();
    assert!(!window.reserve(id(1), false));
    window.decline();
    // Too early for the page that is under way, but no more so for what is committed from here.
    window.answer(ask, Vec::new(), true);
    assert!(window.reserve(id(2), false));
    let ask = window.ask().unwrap();
    assert!(window.offer(item(2)));
    assert!(window.reserve(id(3), false));
    window.answer(ask, vec![item(1), item(2)], true);
    assert!(window.offer(item(3)));
    assert!(window.is_caught_up());
    assert_eq!(window.waiting(), 3);
}

#[test]
fn a_window_takes_less_while_memory_is_scarce() {
    let mut window: Window<Item> = Window::new(8);
    let ask = window.ask().unwrap();
    window.answer(ask, Vec::new(), true);
    assert!(window.reserve(id(1), true) && window.reserve(id(2), true));
    assert!(!window.reserve(id(3), true));
    assert!(!window.reserve(id(3), false), "it is behind from then on");
}

#[test]
fn a_page_is_bounded_however_much_the_window_may_hold() {
    let mut window: Window<Item> = Window::new(100 * PAGE);
    let ask = window.ask().unwrap();
    assert_eq!(ask.limit, PAGE);
    window.answer(ask, Vec::new(), true);
    assert!(window.reserve(id(1), false));
    window.decline();
    assert_eq!(window.ask().unwrap().limit, 1 + PAGE, "past what is held");
}

#[test]
fn a_retired_window_takes_nothing() {
    let mut window: Window<Item> = Window::new(4);
    assert!(!window.retire(), "it has everything to learn");
    let ask = window.ask().unwrap();
    window.answer(ask, Vec::new(), true);
    assert!(window.retire());
    assert!(!window.reserve(id(1), false));
}

#[test]
fn a_window_that_holds_anything_never_retires() {
    let mut window = Window::new(4);
    let ask = window.ask().unwrap();
    window.answer(ask, Vec::new(), true);
    assert!(window.reserve(id(1), false));
    assert!(
        !window.retire() && !window.retire_empty(),
        "being committed"
    );
    assert!(window.offer(Item {
        id: id(1),
        version: 0
    }));
    assert!(!window.retire() && !window.retire_empty(), "waiting");
    let taken = window.take_next().unwrap();
    window.flush();
    assert!(!window.retire() && !window.retire_empty(), "flying");
    window.release(taken.id, false);
    assert!(!window.retire(), "the flush left something to learn");
    assert!(window.retire_empty());
}

#[test]
fn what_is_being_committed_while_the_window_is_flushed_is_paged() {
    let mut window = Window::new(4);
    let ask = window.ask().unwrap();
    window.answer(ask, Vec::new(), true);
    assert!(window.reserve(id(1), false));
    window.flush();
    assert!(!window.offer(Item {
        id: id(1),
        version: 0
    }));
    assert_eq!((window.held(), window.waiting()), (0, 0));
    assert!(window.ask().is_some());
}

#[test]
fn one_taken_out_of_its_turn_is_held_once_and_makes_room() {
    let mut window = Window::new(2);
    let ask = window.ask().unwrap();
    let item = |number| Item {
        id: id(number),
        version: 0,
    };
    window.answer(ask, vec![item(1), item(2)], true);
    assert_eq!(window.take(id(2)), Taking::Taken, "from the queue");
    assert_eq!(window.take(id(2)), Taking::Flying);
    assert_eq!(window.take(id(3)), Taking::Taken, "from the store");
    assert_eq!(
        (window.held(), window.flying(), window.waiting()),
        (2, 2, 0)
    );
    assert_eq!(window.take(id(1)), Taking::Full);
    window.release(id(2), false);
    window.close();
    assert_eq!(
        window.take(id(1)),
        Taking::Busy,
        "what is pending is being taken back"
    );
    window.reopen();
    assert_eq!(window.take(id(1)), Taking::Taken);
    window.release(id(1), false);
    window.release(id(3), false);
    assert!(window.retire_empty());
    assert_eq!(window.take(id(1)), Taking::Retired);

    let mut window = Window::new(2);
    let ask = window.ask().unwrap();
    window.answer(ask, Vec::new(), true);
    assert!(window.reserve(id(1), false));
    assert_eq!(window.take(id(1)), Taking::Busy, "it is being committed");
    assert!(window.offer(item(1)));
}
