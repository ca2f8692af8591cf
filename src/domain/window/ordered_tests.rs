//! The window of a subscription that has an order, through random interleavings of commits,
//! pages, outcomes, crashes and changes from outside.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::Timestamp;
use crate::domain::ordering::Ordering;

#[derive(Clone, Debug, PartialEq)]
struct Item {
    id: DeliveryId,
    version: u32,
    line: Option<Line>,
}

impl Waiting for Item {
    fn id(&self) -> DeliveryId {
        self.id
    }

    fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }
}

/// Keys of the deliveries in turn: one of them has many, the last is none.
const KEYS: [Option<&str>; 5] = [Some("a"), Some("b"), Some("a"), Some("c"), None];

fn key(number: usize) -> Option<&'static str> {
    KEYS[number * 7 % 11 % KEYS.len()]
}

fn id(number: usize) -> DeliveryId {
    DeliveryId(Uuid::from_u128(number as u128 + 1))
}

fn number(id: DeliveryId) -> usize {
    usize::try_from(id.0.as_u128()).unwrap() - 1
}

fn moment(name: i64) -> Timestamp {
    Timestamp::from_micros(name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Due,
    /// Tried again when its time has come.
    Later,
    Delivered,
    Failed,
    /// Failed, and its line does not go on.
    Blocks,
    Cancelled,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    version: u32,
    fate: Fate,
    /// It stands outside of the order.
    aside: bool,
}

impl Row {
    fn pending(&self) -> bool {
        matches!(self.fate, Fate::Due | Fate::Later)
    }
}

/// A page as the store saw it.
type Seen = (Ask, Walk, Vec<Head>, Vec<Item>, Vec<Item>);

/// A store, a window and all that may be under way between them.
struct Model {
    window: Window<Item>,
    rows: BTreeMap<DeliveryId, Row>,
    made: usize,
    block: bool,
    committing: Vec<DeliveryId>,
    committed: Vec<DeliveryId>,
    asked: Option<(Ask, Walk)>,
    seen: Option<Seen>,
    chosen: Option<(Ask, LinePage<Item>)>,
    flying: Vec<Item>,
    /// Answered with success or not, not recorded.
    sent: Vec<(Item, bool)>,
    recorded: Vec<(DeliveryId, Option<bool>)>,
    /// Taken by hand as of that version, not yet moved in the store.
    taken: Vec<(DeliveryId, u32)>,
    /// Sent by hand, and held.
    by_hand: BTreeSet<DeliveryId>,
    /// First successful receipts.
    first: Vec<DeliveryId>,
    /// Somebody moved them by hand, or skipped them: their place is no promise any more.
    excused: BTreeSet<DeliveryId>,
    failures: BTreeMap<DeliveryId, u32>,
}

impl Model {
    fn new(bound: usize, block: bool) -> Self {
        let mut window = Window::new(bound);
        assert!(window.follow(Some(moment(1))));
        Self {
            window,
            rows: BTreeMap::new(),
            made: 0,
            block,
            committing: Vec::new(),
            committed: Vec::new(),
            asked: None,
            seen: None,
            chosen: None,
            flying: Vec::new(),
            sent: Vec::new(),
            recorded: Vec::new(),
            taken: Vec::new(),
            by_hand: BTreeSet::new(),
            first: Vec::new(),
            excused: BTreeSet::new(),
            failures: BTreeMap::new(),
        }
    }

    fn line(&self, id: DeliveryId) -> Option<Line> {
        let line = Ordering::Key.line(key(number(id))).unwrap();
        let aside = self.rows.get(&id).is_some_and(|row| row.aside);
        (line != Line::free() && !aside).then_some(line)
    }

    fn item(&self, id: DeliveryId) -> Item {
        Item {
            id,
            version: self.rows[&id].version,
            line: self.line(id),
        }
    }

    /// What is pending, in the order of acceptance, and the line of each.
    fn pending(&self) -> Vec<(DeliveryId, Option<Line>)> {
        let pending = self.rows.iter().filter(|(_, row)| row.pending());
        pending.map(|(id, _)| (*id, self.line(*id))).collect()
    }

    fn blocked(&self, line: &Line) -> bool {
        self.block
            && self
                .rows
                .iter()
                .any(|(id, row)| row.fate == Fate::Blocks && self.line(*id).as_ref() == Some(line))
    }

    /// The store's part: heads behind a position, what follows them, and what goes free.
    fn look(&self, ask: Ask, walk: Walk) -> Seen {
        let mut heads: BTreeMap<Line, DeliveryId> = BTreeMap::new();
        let mut free = Vec::new();
        for (id, line) in self.pending() {
            match line {
                Some(line) => {
                    heads.entry(line).or_insert(id);
                }
                None if self.rows[&id].fate == Fate::Due => free.push(self.item(id)),
                None => {}
            }
        }
        free.truncate(ask.limit);
        let due = |id: &DeliveryId| match self.rows[id].fate {
            Fate::Due => moment(0),
            _ => moment(10),
        };
        let heads: Vec<Head> = heads
            .iter()
            .filter(|(line, _)| walk.after.as_ref().is_none_or(|after| *line > after))
            .take(walk.heads)
            .map(|(line, id)| Head {
                line: line.clone(),
                due_at: due(id),
                blocked: self.blocked(line),
            })
            .collect();
        let all = self.pending();
        let lined = all.iter().filter(|(_, line)| line.is_some());
        let items = lined.map(|(id, _)| self.item(*id)).collect();
        (ask, walk, heads, items, free)
    }

    fn choose(&mut self, seen: Seen) {
        let (ask, walk, heads, items, free) = seen;
        let picked = self.window.pick(ask, &walk, &heads, moment(5));
        let full = free.len() >= ask.limit;
        let mut news: Vec<Item> = free
            .into_iter()
            .filter(|item| self.window.is_news(ask, item.id))
            .collect();
        let more_free = full || news.len() > walk.free;
        news.truncate(walk.free);
        let mut cut = HashSet::new();
        let run = walk.behind / picked.heads.len().max(1);
        let mut runs = Vec::new();
        for place in &picked.heads {
            let line = &heads[*place].line;
            let mut of = items.iter().filter(|item| item.line.as_ref() == Some(line));
            news.extend(of.next().cloned());
            let rest: Vec<Item> = of.cloned().collect();
            if rest.len() > run || run == 0 {
                cut.insert(line.clone());
            }
            runs.extend(rest.into_iter().take(run));
        }
        news.extend(runs);
        let page = LinePage {
            items: news,
            cut,
            to: picked.to,
            more_free,
        };
        self.chosen = Some((ask, page));
    }

    /// Nothing before it in its line may still be to come, and nothing of it may fly.
    fn check_turn(&self, item: &Item) {
        let Some(line) = &item.line else { return };
        let same = |other: &DeliveryId| self.line(*other).as_ref() == Some(line);
        let flies = self
            .flying
            .iter()
            .chain(self.sent.iter().map(|sent| &sent.0));
        for other in flies.filter(|other| !self.by_hand.contains(&other.id)) {
            assert!(!same(&other.id), "two of {line} are in flight");
        }
        for (other, row) in self.rows.range(..item.id) {
            let is_before = same(other) && row.pending();
            assert!(!is_before, "{} goes before {other}", item.id);
        }
        // What was paged before an operator moved it is refused when it is recorded.
        if self.rows[&item.id].version == item.version {
            let blocks = |(other, row): (&DeliveryId, &Row)| {
                row.fate == Fate::Blocks && self.line(*other).as_ref() == Some(line)
            };
            let blocked = self.block && self.rows.range(..item.id).any(blocks);
            assert!(!blocked, "{line} is blocked");
        }
    }

    fn step(&mut self, kind: u8, pick: usize) {
        match kind {
            0 if self.made < 60 => {
                let id = id(self.made);
                self.made += 1;
                assert!(!self.window.reserve(id, false), "nothing is offered");
                self.committing.push(id);
            }
            1 if !self.committing.is_empty() => {
                // Commits of one subscription take turns.
                let id = self.committing.remove(0);
                let row = Row {
                    version: 0,
                    fate: Fate::Due,
                    aside: false,
                };
                self.rows.insert(id, row);
                self.committed.push(id);
            }
            2 if !self.committed.is_empty() => {
                self.committed.remove(pick % self.committed.len());
                self.window.decline();
            }
            3 if self.asked.is_none() && self.seen.is_none() && self.chosen.is_none() => {
                if let Some(ask) = self.window.ask() {
                    self.asked = Some((ask, self.window.walk()));
                }
            }
            4 => {
                if let Some((ask, walk)) = self.asked.take() {
                    self.seen = Some(self.look(ask, walk));
                }
            }
            5 => {
                if let Some(seen) = self.seen.take() {
                    self.choose(seen);
                }
            }
            6 => {
                if let Some((ask, page)) = self.chosen.take() {
                    self.window.answer_lines(ask, page);
                }
            }
            7 => {
                if let Some(item) = self.window.take_next() {
                    self.check_turn(&item);
                    self.flying.push(item);
                }
            }
            8 | 9 if !self.flying.is_empty() => {
                let item = self.flying.remove(pick % self.flying.len());
                let succeeds = kind == 8;
                if succeeds && !self.first.contains(&item.id) {
                    self.first.push(item.id);
                }
                self.sent.push((item, succeeds));
            }
            10 if !self.sent.is_empty() => {
                let (item, succeeded) = self.sent.remove(pick % self.sent.len());
                let tries = self.failures.entry(item.id).or_default();
                *tries += u32::from(!succeeded);
                let fate = match (succeeded, tries.is_multiple_of(2)) {
                    (true, _) => Fate::Delivered,
                    (false, false) => Fate::Later,
                    (false, true) if self.block && item.line.is_some() => Fate::Blocks,
                    (false, true) => {
                        self.excused.insert(item.id);
                        Fate::Failed
                    }
                };
                let row = self.rows.get_mut(&item.id).unwrap();
                let moved = row.version == item.version && row.pending();
                if moved {
                    row.version += 1;
                    row.fate = fate;
                }
                let goes_on = matches!(fate, Fate::Delivered | Fate::Failed);
                self.recorded.push((item.id, moved.then_some(goes_on)));
            }
            11 if !self.recorded.is_empty() => {
                let (id, goes_on) = self.recorded.remove(pick % self.recorded.len());
                self.by_hand.remove(&id);
                match goes_on {
                    Some(true) => self.window.pass_on(id),
                    Some(false) => self.window.release(id, false),
                    None => self.window.release(id, true),
                }
            }
            12 if !self.flying.is_empty() => {
                // The attempt's task is lost before it sent.
                let item = self.flying.remove(pick % self.flying.len());
                self.by_hand.remove(&item.id);
                self.window.release(item.id, true);
            }
            13 => {
                // The actor dies: its question is lost, the window stays.
                self.window.abandon_question();
                self.asked = None;
                self.window.flush();
            }
            14 => self.window.flush(),
            15 => {
                // A retry has fallen due.
                // Whose record is told already: both are told under one lock.
                let told = |id: &DeliveryId| self.recorded.iter().all(|(other, _)| other != id);
                let mut rows = self.rows.iter_mut();
                let later = rows.find(|(id, row)| row.fate == Fate::Later && told(id));
                if let Some((_, row)) = later {
                    row.fate = Fate::Due;
                    self.window.decline();
                }
            }
            16 if !self.rows.is_empty() => {
                // An operator retries what does not fly.
                let id = *self.rows.keys().nth(pick % self.rows.len()).unwrap();
                if self.window.is_flying(id) {
                    return;
                }
                let row = self.rows.get_mut(&id).unwrap();
                let stays = row.pending() || row.fate == Fate::Blocks;
                *row = Row {
                    version: row.version + 1,
                    fate: Fate::Due,
                    aside: row.aside || !stays,
                };
                if !stays {
                    self.excused.insert(id);
                }
                self.window.flush();
            }
            17 if !self.rows.is_empty() => {
                // An operator cancels a pending delivery, or skips one that blocks.
                let id = *self.rows.keys().nth(pick % self.rows.len()).unwrap();
                self.window.close();
                let row = self.rows.get_mut(&id).unwrap();
                let may = row.pending() || row.fate == Fate::Blocks;
                if may && !self.window.is_flying(id) {
                    row.version += 1;
                    row.fate = Fate::Cancelled;
                    self.excused.insert(id);
                }
                self.window.reopen();
            }
            18 => {
                // The process dies, and another one begins with what is stored.
                self.window = Window::new(self.window.bound);
                assert!(self.window.follow(Some(moment(1))));
                (self.asked, self.seen, self.chosen) = (None, None, None);
                self.committing.clear();
                self.committed.clear();
                self.flying.clear();
                self.sent.clear();
                self.recorded.clear();
                self.taken.clear();
                self.by_hand.clear();
            }
            31 if !self.rows.is_empty() => {
                // An operator has one sent at once: it is held first, and moved then. Of those
                // that stand behind others as often as of all.
                let runs = self.window.lines.runs.values();
                let behind: BTreeSet<DeliveryId> =
                    runs.flat_map(|run| &run.behind).map(Item::id).collect();
                let id = match behind.iter().nth(pick / 2 % behind.len().max(1)) {
                    Some(id) if pick.is_multiple_of(2) => *id,
                    _ => *self.rows.keys().nth(pick % self.rows.len()).unwrap(),
                };
                let flew = self.window.is_flying(id);
                let taking = self.window.take(id);
                assert_eq!(taking == Taking::Flying, flew);
                if taking == Taking::Taken {
                    self.taken.push((id, self.rows[&id].version));
                }
            }
            32 if !self.taken.is_empty() => {
                let (id, version) = self.taken.remove(pick % self.taken.len());
                let row = self.rows[&id];
                if row.version != version {
                    self.window.release(id, true);
                    return;
                }
                let stays = row.pending() || row.fate == Fate::Blocks;
                let line = self.line(id);
                let waits = |(other, row): (&DeliveryId, &Row)| {
                    let waits = row.pending() || row.fate == Fate::Blocks;
                    waits && self.line(*other) == line
                };
                if !stays || self.rows.range(..id).any(waits) {
                    // Out of its turn; what its line waits for keeps its place.
                    self.excused.insert(id);
                }
                let moved = Row {
                    version: version + 1,
                    fate: Fate::Due,
                    aside: row.aside || !stays,
                };
                self.rows.insert(id, moved);
                self.by_hand.insert(id);
                self.flying.push(self.item(id));
            }
            _ => {}
        }
        let (held, bound) = (self.window.held(), self.window.bound);
        assert!(held <= bound, "holds {held} of {bound}");
        assert!(self.window.flying() <= held);
    }

    fn all_final(&self) -> bool {
        self.rows.values().all(|row| !row.pending())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn first_successes_of_a_key_never_go_back_and_nothing_is_lost(
        bound in 1usize..12,
        block in any::<bool>(),
        steps in prop::collection::vec((0u8..36, 0usize..64), 0..500),
    ) {
        let mut model = Model::new(bound, block);
        for (kind, pick) in steps {
            // Kinds past the last make what moves things along more likely.
            let kind = match kind {
                19 | 25 => 7,
                20 | 26 => 8,
                21 => 0,
                22 => 1,
                23 | 27 => 3,
                24 | 28 => 11,
                29 => 4,
                30 => 6,
                33 | 34 => 32,
                35 => 31,
                kind => kind,
            };
            model.step(kind, pick);
        }
        // From here on nothing fails, and an operator lets every blocked line go on.
        for round in 0..20_000 {
            if model.all_final() && model.committing.is_empty() { break; }
            for kind in [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 15, 32] { model.step(kind, 0); }
            if round % 50 == 49 {
                let blocks = model.rows.iter().position(|(_, row)| row.fate == Fate::Blocks);
                if let Some(place) = blocks { model.step(16, place); }
            }
        }
        prop_assert!(model.all_final(), "not all was sent: {:?}", model.window);
        let mut last: BTreeMap<Option<&str>, DeliveryId> = BTreeMap::new();
        for id in &model.first {
            let key = key(number(*id));
            if key.is_none() || model.excused.contains(id) { continue; }
            if let Some(before) = last.insert(key, *id) {
                prop_assert!(before < *id, "{id} came after {before}");
            }
        }
    }
}

fn lined(of: usize, line: &str) -> Item {
    Item {
        id: id(of),
        version: 0,
        line: Ordering::Key.line(Some(line)),
    }
}

fn page(items: Vec<Item>) -> LinePage<Item> {
    LinePage {
        items,
        cut: HashSet::new(),
        to: None,
        more_free: false,
    }
}

fn ordered(bound: usize) -> Window<Item> {
    let mut window = Window::new(bound);
    assert!(window.follow(Some(moment(1))));
    window
}

#[test]
fn the_next_of_a_line_leaves_when_the_one_before_is_recorded() {
    let mut window = ordered(8);
    let ask = window.ask().unwrap();
    let items = vec![lined(0, "a"), lined(2, "b"), lined(1, "a")];
    assert!(window.answer_lines(ask, page(items)));
    assert!(window.is_caught_up());
    assert_eq!(window.take_next().unwrap().id, id(0));
    assert_eq!(window.take_next().unwrap().id, id(2));
    assert_eq!(window.take_next(), None);
    window.pass_on(id(0));
    assert_eq!(window.take_next().unwrap().id, id(1));
    window.pass_on(id(1));
    window.pass_on(id(2));
    assert!(window.is_idle());
}

#[test]
fn what_follows_a_head_that_is_tried_again_is_let_go() {
    let mut window = ordered(8);
    let ask = window.ask().unwrap();
    window.answer_lines(ask, page(vec![lined(0, "a"), lined(1, "a")]));
    window.take_next().unwrap();
    window.release(id(0), false);
    assert_eq!((window.held(), window.waiting()), (0, 0));
}

#[test]
fn a_page_older_than_an_outcome_brings_nothing_of_that_line() {
    let mut window = ordered(8);
    let ask = window.ask().unwrap();
    window.answer_lines(ask, page(vec![lined(0, "a")]));
    window.take_next().unwrap();
    window.decline();
    let ask = window.ask().unwrap();
    // The head is to be tried again; the page knows it as flying, and what follows it.
    window.release(id(0), false);
    window.answer_lines(ask, page(vec![lined(0, "a"), lined(1, "a"), lined(2, "b")]));
    assert_eq!(window.take_next().unwrap().id, id(2));
    assert_eq!(window.take_next(), None);
    assert!(window.ask().is_some(), "the rest is asked for again");
}

#[test]
fn a_line_held_is_asked_for_again_when_it_ends() {
    let mut window = ordered(8);
    let ask = window.ask().unwrap();
    window.answer_lines(ask, page(vec![lined(0, "a")]));
    window.take_next().unwrap();
    window.decline();
    let ask = window.ask().unwrap();
    window.answer_lines(ask, page(vec![lined(1, "a")]));
    assert!(window.is_caught_up() && window.waiting() == 0);
    window.pass_on(id(0));
    assert!(window.ask().is_some());
}

#[test]
fn another_rule_waits_for_what_flies() {
    let mut window = ordered(8);
    let ask = window.ask().unwrap();
    window.answer_lines(ask, page(vec![lined(0, "a"), lined(1, "a"), lined(2, "b")]));
    window.take_next().unwrap();
    assert!(!window.follow(Some(moment(2))));
    assert_eq!((window.held(), window.waiting()), (1, 0));
    window.pass_on(id(0));
    assert!(window.follow(Some(moment(2))));
    assert!(window.follow(None));
    let ask = window.ask().unwrap();
    assert!(window.answer(ask, Vec::new(), true));
    assert!(
        window.reserve(id(5), false),
        "without an order, offers are taken"
    );
}

#[test]
fn a_slow_line_leaves_room_for_others() {
    let mut window = ordered(8);
    let ask = window.ask().unwrap();
    let walk = window.walk();
    assert!(walk.behind <= 4 && walk.lines + walk.behind + walk.free <= 8);
    let run = (0..=walk.behind).map(|of| lined(of, "a")).collect();
    window.answer_lines(ask, page(run));
    window.take_next().unwrap();
    window.decline();
    assert!(window.ask().is_some());
    let walk = window.walk();
    assert_eq!(walk.behind, 0);
    assert!(walk.lines >= 1);
}

#[test]
fn a_walk_goes_round_before_all_is_known() {
    let mut window = ordered(8);
    let ask = window.ask().unwrap();
    let first = LinePage {
        to: Ordering::Key.line(Some("b")),
        ..page(Vec::new())
    };
    window.answer_lines(ask, first);
    assert!(!window.is_caught_up());
    // Perhaps in a line that the walk has passed.
    window.decline();
    let ask = window.ask().unwrap();
    assert_eq!(window.walk().after, Ordering::Key.line(Some("b")));
    window.answer_lines(ask, page(Vec::new()));
    assert!(!window.is_caught_up());
    let ask = window.ask().unwrap();
    assert_eq!(window.walk().after, None);
    window.answer_lines(ask, page(Vec::new()));
    assert!(window.is_caught_up());
}

#[test]
fn what_follows_one_that_is_taken_out_of_its_turn_waits_for_it() {
    let mut window = ordered(8);
    let ask = window.ask().unwrap();
    let run = |of: std::ops::Range<usize>| of.map(|of| lined(of, "a")).collect();
    window.answer_lines(ask, page(run(0..3)));
    assert_eq!(window.take_next().unwrap().id, id(0));
    assert_eq!(window.take(id(1)), Taking::Taken);
    window.pass_on(id(0));
    assert_eq!(window.take_next(), None, "one before it flies");
    // The page finds what flies at the head of the line, and what follows waits for it.
    let ask = window.ask().unwrap();
    window.answer_lines(ask, page(run(1..3)));
    assert_eq!(window.take_next(), None);
    window.pass_on(id(1));
    let ask = window.ask().unwrap();
    window.answer_lines(ask, page(run(2..3)));
    assert_eq!(window.take_next().unwrap().id, id(2));
}

#[test]
fn a_page_brings_nothing_behind_one_sent_by_hand_that_failed_meanwhile() {
    let mut window = ordered(8);
    assert_eq!(window.take(id(1)), Taking::Taken);
    let ask = window.ask().unwrap();
    // The heads were read while it was pending, what follows them when it blocked already.
    window.release(id(1), false);
    window.answer_lines(ask, page(vec![lined(0, "a"), lined(2, "a")]));
    assert_eq!(window.take_next(), None);
    assert!(window.ask().is_some(), "it is asked again");
}

#[test]
fn a_window_that_has_ended_takes_nothing_in() {
    let mut window = ordered(8);
    let ask = window.ask().unwrap();
    assert!(window.retire_empty(), "it is not delivered to any more");
    assert!(!window.answer_lines(ask, page(vec![lined(0, "a"), lined(1, "b")])));
    assert_eq!((window.held(), window.take_next()), (0, None));
}
