//! What one subscription holds in memory of its backlog: bounded, however long that grows.
//!
//! The window outlives the subscription's actor, because attempts do too: a delivery's id is
//! held from the moment it is taken until its outcome is committed, so a restarted actor never
//! sends twice what still flies. Two ways lead in:
//!
//! - **Offers.** Whoever commits a delivery *reserves* its id before the commit and offers it
//!   after. Reserving first means that a page which sees the committed row finds it held.
//! - **Pages** from the store. A page leaves out every id that was held at any time between
//!   question and answer, since the row that it shows may be older than what became of it.
//!
//! A window *takes offers* from a page that came back short until one does not fit; otherwise
//! the committer *declines* after its commit, which sets `missed`. `missed` is cleared before a
//! question, so a page that comes back short with `missed` still clear has seen everything there
//! was: the window is *caught up*, every delivery that is due is held. Where something was missed
//! meanwhile, it is asked for again while offers are taken already: else a stream of commits,
//! each declined, would keep a window from ever catching up. The property test below runs these
//! rules through random interleavings of commits, pages, outcomes, crashes and edits.
//!
//! Whoever takes deliveries back in the store *closes* the window meanwhile: it holds only what
//! flies then, and takes nothing up. So what does not fly is not sent once it is taken back.

//!
//! Where a subscription has an order, nothing is offered: all comes by pages, and what stands in a
//! line leaves one by one (`lines.rs`).

mod lines;

use std::collections::{HashMap, HashSet, VecDeque};

use self::lines::Lines;
pub use self::lines::{Head, LinePage, Picked, Walk};
use super::id::DeliveryId;
use super::ordering::Line;

/// Deliveries that one page brings at most, however many the window may hold.
const PAGE: usize = 512;

/// Something that waits in a window for its attempt.
pub trait Waiting {
    /// The delivery it is about.
    fn id(&self) -> DeliveryId;

    /// The line it stands in.
    fn line(&self) -> Option<&Line> {
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Being committed; its offer follows.
    Reserved,
    /// As `Reserved`, but what is being committed was overtaken by a change: page it instead.
    Revoked,
    /// In the queue.
    Waiting,
    /// Its attempt is being made or recorded.
    Flying,
    /// As `Flying`, but it may have been moved from outside since: page it when it ends.
    Unsettled,
}

impl Stage {
    fn flies(self) -> bool {
        matches!(self, Self::Flying | Self::Unsettled)
    }
}

/// A question to the store that is not answered yet.
#[derive(Debug)]
struct Question {
    number: u64,
    /// Ids let go since it was asked.
    released: HashSet<DeliveryId>,
    /// Lines of which something was let go since.
    touched: HashSet<Line>,
    /// Something of a line that is not known was let go since, and may keep that line now.
    overtaken: bool,
}

/// The right to answer one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    number: u64,
    /// Rows to read: fewer than this many back means that there are no more.
    pub limit: usize,
}

/// What became of taking one delivery out of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// It flies.
    Taken,
    /// It flew before.
    Flying,
    /// It, or all that is pending, is being moved just now.
    Busy,
    /// All that the window may hold flies.
    Full,
    /// The window has ended.
    Retired,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Window<T> {
    bound: usize,
    held: HashMap<DeliveryId, Stage>,
    flying: usize,
    waiting: VecDeque<T>,
    lines: Lines<T>,
    /// All that is due is held or known to be missed.
    takes_offers: bool,
    missed: bool,
    question: Option<Question>,
    questions: u64,
    /// How many have it closed.
    closed: usize,
    retired: bool,
}

impl<T: Waiting> Window<T> {
    /// An empty window that knows nothing of the store yet.
    pub fn new(bound: usize) -> Self {
        Self {
            bound: bound.max(1),
            held: HashMap::new(),
            flying: 0,
            waiting: VecDeque::new(),
            lines: Lines::none(),
            takes_offers: false,
            missed: true,
            question: None,
            questions: 0,
            closed: 0,
            retired: false,
        }
    }

    /// Holds an id that is about to be committed. False where the window is behind, full or
    /// retired: then decline once the commit is done. Where memory is `scarce`, a quarter of the
    /// bound is full: a slow receiver's backlog must not take what the others need.
    pub fn reserve(&mut self, id: DeliveryId, scarce: bool) -> bool {
        if self.held.contains_key(&id) {
            // A commit of unknown fate is run again, and a page saw its first run.
            return false;
        }
        if self.lines.exist() {
            // What is before it in its line the store alone knows.
            return false;
        }
        let most = if scarce {
            self.bound.div_ceil(4)
        } else {
            self.bound
        };
        let room = self.held.len() < most;
        let takes = self.takes_offers && self.closed == 0 && !self.retired && room;
        if takes {
            self.held.insert(id, Stage::Reserved);
        } else {
            // From here on the window cannot claim to hold all that is due.
            self.takes_offers = false;
        }
        takes
    }

    /// Brings what was reserved, after its commit. False where the reservation was revoked.
    pub fn offer(&mut self, item: T) -> bool {
        match self.held.get_mut(&item.id()) {
            Some(stage @ Stage::Reserved) => {
                *stage = Stage::Waiting;
                self.waiting.push_back(item);
                true
            }
            _ => {
                self.release(item.id(), true);
                false
            }
        }
    }

    /// Takes a reservation back: nothing was committed.
    pub fn withdraw(&mut self, id: DeliveryId) {
        self.release(id, false);
    }

    /// Something due was committed, or may have been, that this window does not hold. True
    /// where that is news.
    pub fn decline(&mut self) -> bool {
        !std::mem::replace(&mut self.missed, true)
    }

    /// Whether the store should be asked now; if so, the question counts as asked.
    pub fn ask(&mut self) -> Option<Ask> {
        if !self.wants_page() {
            return None;
        }
        // A walk over lines may take several pages: what is missed after its first one is
        // perhaps in a line that it has passed.
        self.missed &= self.lines.exist() && !self.lines.at_start();
        self.questions += 1;
        self.question = Some(Question {
            number: self.questions,
            released: HashSet::new(),
            touched: HashSet::new(),
            overtaken: false,
        });
        Some(Ask {
            number: self.questions,
            // What is held may stand before what is news.
            limit: self.held.len() + self.room().clamp(1, PAGE),
        })
    }

    /// Whether there is something to ask the store, and room for an answer.
    pub fn wants_page(&self) -> bool {
        let open = !self.retired && self.closed == 0 && self.question.is_none();
        open && !self.is_caught_up() && self.has_room()
    }

    /// Room worth a question: what waits is running out and a fair part of the bound is free.
    /// Behind, a backlog is read as it is sent; caught up but for a few, those need not wait for
    /// all that was offered meanwhile.
    fn has_room(&self) -> bool {
        let few = match self.takes_offers {
            true => self.bound / 4,
            false => self.bound.min(PAGE) / 2,
        };
        self.held.is_empty() || (self.waiting.len() <= few && self.room() > self.bound / 8)
    }

    fn room(&self) -> usize {
        self.bound.saturating_sub(self.held.len())
    }

    /// Whether an answer to `ask` may bring this id: it was held at no time since the question.
    pub fn is_news(&self, ask: Ask, id: DeliveryId) -> bool {
        self.question.as_ref().is_some_and(|question| {
            question.number == ask.number && !question.released.contains(&id)
        }) && !self.held.contains_key(&id)
    }

    /// Takes in what the store answered: the due deliveries in order, and whether the page came
    /// back short. True where the answer was to the question that is open, and the window has not
    /// ended meanwhile.
    pub fn answer(&mut self, ask: Ask, page: Vec<T>, short: bool) -> bool {
        let open = self
            .question
            .as_ref()
            .is_some_and(|question| question.number == ask.number);
        if !open || self.retired {
            return false;
        }
        let mut all_taken = true;
        for item in page {
            let id = item.id();
            if !self.is_news(ask, id) {
                continue;
            }
            if self.held.len() >= self.bound {
                all_taken = false;
                break;
            }
            self.held.insert(id, Stage::Waiting);
            self.waiting.push_back(item);
        }
        self.question = None;
        self.takes_offers = short && all_taken;
        true
    }

    /// Gives a question up: it failed, or whoever asked is gone. What it would have told is
    /// still to be learnt.
    pub fn abandon_question(&mut self) {
        if self.question.take().is_some() {
            self.missed = true;
        }
    }

    /// The next delivery to attempt; from here it flies until it is released.
    pub fn take_next(&mut self) -> Option<T> {
        let item = self.waiting.pop_front()?;
        self.held.insert(item.id(), Stage::Flying);
        self.flying += 1;
        Some(item)
    }

    /// Takes one delivery out of its turn, whether it waits here or not; from here it flies until
    /// it is released. Where the window is full, what waits last makes room and is paged again.
    pub fn take(&mut self, id: DeliveryId) -> Taking {
        let held = self.held.get(&id).copied();
        match held {
            _ if self.retired => return Taking::Retired,
            Some(stage) if stage.flies() => return Taking::Flying,
            // Its commit has not been told yet, or what is pending is being taken back.
            Some(Stage::Reserved | Stage::Revoked) => return Taking::Busy,
            _ if self.closed > 0 => return Taking::Busy,
            Some(_) => {
                self.waiting.retain(|item| item.id() != id);
                self.take_from_behind(id);
            }
            None => {
                if self.held.len() >= self.bound {
                    let Some(last) = self.waiting.pop_back() else {
                        return Taking::Full;
                    };
                    self.release(last.id(), true);
                }
            }
        }
        // What stands behind it in its line may be held by nobody: it is paged when this ends.
        let stage = match self.lines.exist() {
            true => {
                self.lines.aside.insert(id);
                Stage::Unsettled
            }
            false => Stage::Flying,
        };
        self.held.insert(id, stage);
        self.flying += 1;
        Taking::Taken
    }

    /// Lets an id go. `missed` where the delivery may be due and nobody holds it then: its
    /// attempt was lost, or what it did was overtaken.
    pub fn release(&mut self, id: DeliveryId, missed: bool) {
        match self.held.remove(&id) {
            Some(Stage::Flying) => self.flying -= 1,
            Some(Stage::Unsettled) => {
                self.flying -= 1;
                self.missed = true;
            }
            Some(Stage::Waiting) => self.waiting.retain(|item| item.id() != id),
            Some(Stage::Reserved | Stage::Revoked) | None => {}
        }
        let aside = self.lines.aside.remove(&id);
        if let Some(question) = &mut self.question {
            question.released.insert(id);
            question.overtaken |= aside;
        }
        self.missed |= missed;
        self.break_line(id);
    }

    /// Deliveries were moved in the store from outside. A page that follows leaves out what still
    /// is held, and its outcome may be recorded already: so that is paged when it ends.
    pub fn unsettle(&mut self) {
        for stage in self.held.values_mut().filter(|stage| stage.flies()) {
            *stage = Stage::Unsettled;
        }
        self.missed = true;
    }

    /// The subscription or many of its deliveries changed: drops what was not sent yet and pages
    /// anew. What flies goes on flying.
    pub fn flush(&mut self) {
        self.unsettle();
        for item in std::mem::take(&mut self.waiting) {
            self.release(item.id(), true);
        }
        self.drop_all_behind();
        for stage in self.held.values_mut() {
            if *stage == Stage::Reserved {
                *stage = Stage::Revoked;
            }
        }
        self.takes_offers = false;
    }

    /// Drops what was not sent yet and takes nothing up until it is opened again. Several may
    /// have it closed at once. False where it has ended: then it keeps nobody from anything.
    pub fn close(&mut self) -> bool {
        self.closed += 1;
        // What the store answers now may be older than what is about to be done there.
        self.abandon_question();
        self.flush();
        !self.retired
    }

    /// Takes one closing back.
    pub fn reopen(&mut self) {
        self.closed = self.closed.saturating_sub(1);
        self.missed = true;
    }

    /// Ends the window for good, if it holds nothing and has nothing to learn. Whoever still
    /// knows it finds it declining.
    pub fn retire(&mut self) -> bool {
        self.retired = self.retired || self.is_idle();
        self.retired
    }

    /// Ends the window for good, if it holds nothing: of a subscription that is not delivered
    /// to, there is nothing to learn.
    pub fn retire_empty(&mut self) -> bool {
        self.retired = self.retired || (self.held.is_empty() && self.closed == 0);
        self.retired
    }

    /// Whether it holds nothing and has nothing to learn.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.is_caught_up() && self.closed == 0 && self.question.is_none()
    }

    /// Ids held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Deliveries in the queue.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Attempts being made or recorded.
    pub fn flying(&self) -> usize {
        self.flying
    }

    /// Whether an attempt of that delivery is being made or recorded.
    pub fn is_flying(&self, id: DeliveryId) -> bool {
        self.held.get(&id).is_some_and(|stage| stage.flies())
    }

    /// The deliveries of which an attempt is being made or recorded.
    pub fn all_flying(&self) -> Vec<DeliveryId> {
        let flying = self.held.iter().filter(|(_, stage)| stage.flies());
        flying.map(|(id, _)| *id).collect()
    }

    /// Whether everything due is held.
    pub fn is_caught_up(&self) -> bool {
        self.takes_offers && !self.missed
    }
}

#[cfg(test)]
mod ordered_tests;
#[cfg(test)]
mod tests;
