//! What a window holds of lines: deliveries that go one after the other.
//!
//! Of each line that is held, one delivery is in the window's queue or flies; what is known
//! to follow it waits *behind*. Only where the first is final, and its outcome committed, the next
//! one comes into the queue. Whatever else becomes of it, the rest of the line is let go:
//! it is in the store, behind a head that waits there.
//!
//! A page tells of the store as it was. So a line is taken from a page only where nothing of it
//! was held at any time between question and answer; and of a line that is held, it is noted that
//! the store may have more, which is asked for when the line has come to its end here.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Ask, PAGE, Stage, Waiting, Window};
use crate::domain::Timestamp;
use crate::domain::id::DeliveryId;
use crate::domain::ordering::Line;

/// What is held of one line.
#[derive(Debug)]
pub(super) struct Run<T> {
    pub(super) behind: VecDeque<T>,
    /// The store may have more of it.
    more: bool,
}

/// All lines of which something is held.
#[derive(Debug)]
pub(super) struct Lines<T> {
    /// The name of the rule by which these lines were made; none where nothing has an order.
    rule: Option<Timestamp>,
    pub(super) runs: HashMap<Line, Run<T>>,
    /// The line of each delivery that is first in one.
    of: HashMap<DeliveryId, Line>,
    /// Taken out of their turn and flying: in which line they stand is not known here.
    pub(super) aside: HashSet<DeliveryId>,
    /// Deliveries that wait behind others.
    behind: usize,
    /// The walk over the lines goes on behind this one.
    position: Option<Line>,
}

impl<T> Lines<T> {
    pub(super) fn none() -> Self {
        Self {
            rule: None,
            runs: HashMap::new(),
            of: HashMap::new(),
            aside: HashSet::new(),
            behind: 0,
            position: None,
        }
    }

    /// Whether anything has an order.
    pub(super) fn exist(&self) -> bool {
        self.rule.is_some()
    }

    /// Whether a walk over all lines begins with the next page.
    pub(super) fn at_start(&self) -> bool {
        self.position.is_none()
    }
}

/// The head of a line, as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its line.
    pub line: Line,
    /// When it is or was due.
    pub due_at: Timestamp,
    /// A delivery before it has failed and keeps the line from going on.
    pub blocked: bool,
}

/// How much of the lines a page may bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Go on behind this line.
    pub after: Option<Line>,
    /// Heads to look at.
    pub heads: usize,
    /// Lines to take.
    pub lines: usize,
    /// Deliveries to take that follow those heads.
    pub behind: usize,
    /// Deliveries to take that stand in no line.
    pub free: usize,
}

/// What a page is to bring of the heads that were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    /// Which of them, by their places.
    pub heads: Vec<usize>,
    /// When the first of those falls due that are not yet.
    pub next_due: Option<Timestamp>,
    /// The walk goes on behind this line; none where it came to the end.
    pub to: Option<Line>,
}

/// A page of a subscription that has an order.
#[derive(Debug)]
pub struct LinePage<T> {
    /// Lines that may go on, each with its head first, and what goes free.
    pub items: Vec<T>,
    /// Lines of which the store has more.
    pub cut: HashSet<Line>,
    /// The walk goes on behind this line; none where it came to the end.
    pub to: Option<Line>,
    /// There is more that goes free.
    pub more_free: bool,
}

impl<T: Waiting> Window<T> {
    /// Goes over to that rule of order, once nothing flies any more that left under another one:
    /// what flies in no order has no line that could wait for it. False until then.
    pub fn follow(&mut self, rule: Option<Timestamp>) -> bool {
        if self.lines.rule == rule {
            return true;
        }
        self.abandon_question();
        self.flush();
        if self.flying > 0 {
            return false;
        }
        self.lines.rule = rule;
        self.lines.position = None;
        true
    }

    /// How much an answer to the open question may bring. Half of the room is for heads at
    /// least, so that no line that is slow can fill the window with what stands behind it.
    pub fn walk(&self) -> Walk {
        let room = self.room().min(PAGE);
        let behind = (self.bound / 2).saturating_sub(self.lines.behind);
        let behind = behind.min(room / 2);
        let rest = room - behind;
        Walk {
            after: self.lines.position.clone(),
            heads: self.bound.min(PAGE).saturating_mul(2).max(256),
            lines: rest.div_ceil(2).max(1),
            behind,
            free: (rest / 2).max(1),
        }
    }

    /// Chooses among the heads that the store showed: those due, of lines that nothing keeps and
    /// of which nothing is held.
    pub fn pick(&mut self, ask: Ask, walk: &Walk, heads: &[Head], now: Timestamp) -> Picked {
        let mut picked = Picked::default();
        for (place, head) in heads.iter().enumerate() {
            if picked.heads.len() >= walk.lines {
                picked.to = place.checked_sub(1).map(|last| heads[last].line.clone());
                return picked;
            }
            if !self.may_bring(ask, &head.line) || head.blocked {
                continue;
            }
            if head.due_at <= now {
                picked.heads.push(place);
            } else {
                let due = picked.next_due.unwrap_or(head.due_at);
                picked.next_due = Some(due.min(head.due_at));
            }
        }
        if heads.len() >= walk.heads {
            picked.to = heads.last().map(|head| head.line.clone());
        }
        picked
    }

    /// Whether an answer to `ask` may bring that line. Where not, it is asked for again.
    pub fn may_bring(&mut self, ask: Ask, line: &Line) -> bool {
        if let Some(run) = self.lines.runs.get_mut(line) {
            run.more = true;
            return false;
        }
        let untouched = self.question.as_ref().is_some_and(|question| {
            question.number == ask.number && !question.overtaken && !question.touched.contains(line)
        });
        self.missed |= !untouched;
        untouched
    }

    /// Takes in a page of lines. True where the answer was to the question that is open, and the
    /// window has not ended meanwhile.
    pub fn answer_lines(&mut self, ask: Ask, page: LinePage<T>) -> bool {
        let open = self.question.as_ref();
        if self.retired || open.is_none_or(|question| question.number != ask.number) {
            return false;
        }
        let mut all_taken = true;
        let mut taken: HashSet<Line> = HashSet::new();
        let mut left: HashSet<Line> = HashSet::new();
        for item in page.items {
            let full = self.held.len() >= self.bound;
            let Some(line) = item.line().cloned() else {
                if self.is_news(ask, item.id()) {
                    all_taken &= !full;
                    if !full {
                        self.enqueue(item);
                    }
                }
                continue;
            };
            if left.contains(&line) {
                continue;
            }
            let follows = taken.contains(&line);
            if !follows && !self.may_bring(ask, &line) {
                left.insert(line);
            } else if !follows && self.is_flying(item.id()) {
                // Taken out of its turn, it is the head all the same: its line waits for it.
                let run = Run {
                    behind: VecDeque::new(),
                    more: true,
                };
                self.lines.runs.insert(line.clone(), run);
                self.lines.of.insert(item.id(), line.clone());
                left.insert(line);
            } else if !self.is_news(ask, item.id()) {
                // Its own commit holds it still.
                self.missed = true;
                left.insert(line);
            } else if full {
                match self.lines.runs.get_mut(&line) {
                    Some(run) => run.more = true,
                    None => all_taken = false,
                }
                left.insert(line);
            } else if follows {
                self.held.insert(item.id(), Stage::Waiting);
                self.lines.behind += 1;
                if let Some(run) = self.lines.runs.get_mut(&line) {
                    run.behind.push_back(item);
                }
            } else {
                let run = Run {
                    behind: VecDeque::new(),
                    more: page.cut.contains(&line),
                };
                self.lines.runs.insert(line.clone(), run);
                self.lines.of.insert(item.id(), line.clone());
                taken.insert(line);
                self.enqueue(item);
            }
        }
        self.question = None;
        if all_taken {
            self.lines.position = page.to;
        }
        let ended = all_taken && self.lines.at_start() && !page.more_free;
        self.takes_offers = ended;
        true
    }

    /// Lets the id of a delivery go that is final and keeps nobody: what stands behind it is next.
    pub fn pass_on(&mut self, id: DeliveryId) {
        let line = self.lines.of.remove(&id);
        self.release(id, false);
        let Some(line) = line else { return };
        self.touch(&line);
        let Some(run) = self.lines.runs.get_mut(&line) else {
            return;
        };
        match run.behind.pop_front() {
            Some(next) => {
                self.lines.behind -= 1;
                self.lines.of.insert(next.id(), line);
                self.waiting.push_back(next);
            }
            None => {
                self.missed |= run.more;
                self.lines.runs.remove(&line);
            }
        }
    }

    fn enqueue(&mut self, item: T) {
        self.held.insert(item.id(), Stage::Waiting);
        self.waiting.push_back(item);
    }

    /// From here on an answer to the open question is older than what became of that line.
    fn touch(&mut self, line: &Line) {
        if let Some(question) = &mut self.question {
            question.touched.insert(line.clone());
        }
    }

    /// The first of a line is let go, and is not known to be final: so is all that stands behind.
    pub(super) fn break_line(&mut self, first: DeliveryId) {
        let Some(line) = self.lines.of.remove(&first) else {
            return;
        };
        self.touch(&line);
        self.drop_behind(&line);
        self.lines.runs.remove(&line);
    }

    /// Something is taken out of its turn. What follows it in its line comes after it as long as
    /// it is pending, so that is let go and paged anew.
    pub(super) fn take_from_behind(&mut self, id: DeliveryId) {
        for run in self.lines.runs.values_mut() {
            let Some(place) = run.behind.iter().position(|item| item.id() == id) else {
                continue;
            };
            run.more = true;
            let cut = run.behind.split_off(place);
            self.lines.behind -= cut.len();
            for item in cut.iter().skip(1) {
                self.held.remove(&item.id());
                if let Some(question) = &mut self.question {
                    question.released.insert(item.id());
                }
            }
            return;
        }
    }

    /// Lets go of all that stands behind something that flies.
    pub(super) fn drop_all_behind(&mut self) {
        let lines: Vec<Line> = self.lines.runs.keys().cloned().collect();
        for line in lines {
            self.drop_behind(&line);
        }
    }

    fn drop_behind(&mut self, line: &Line) {
        let Some(run) = self.lines.runs.get_mut(line) else {
            return;
        };
        run.more |= !run.behind.is_empty();
        for item in std::mem::take(&mut run.behind) {
            self.lines.behind -= 1;
            self.held.remove(&item.id());
            if let Some(question) = &mut self.question {
                question.released.insert(item.id());
            }
        }
    }
}
