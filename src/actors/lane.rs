//! What a subscription's actor shares with those who feed it and report to it.
//!
//! A lane belongs to the engine and outlives the actor: its window keeps the ids of what is in
//! flight, and the outcomes that were recorded meanwhile. So an actor that dies and comes back
//! neither sends twice what still flies nor misses what was learnt. Mailboxes stay bounded,
//! because all that is ever sent to the actor about a lane is one wake at a time.

mod all;
mod breaking;
mod call;
mod held;
mod showing;
mod streak;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ractor::ActorRef;

pub use self::all::Lanes;
use self::breaking::Keeping;
pub use self::breaking::Step;
pub use self::call::{Call, Onward};
pub use self::held::{Reservation, Ticket};
use self::showing::Showing;
pub use self::showing::{Shown, Snapshot};
use self::streak::Failures;
use super::address::Address;
use super::dispatcher::DispatcherMessage;
use super::onward::Clearance;
use super::subscription::SubscriptionMessage;
use crate::delivery::payload::{ByteBudget, LoadedEvent};
use crate::domain::Timestamp;
use crate::domain::breaker::{Breaker, BreakerPolicy, Pass};
use crate::domain::crowd::Answering;
use crate::domain::delivery::{PendingDelivery, Verdict};
use crate::domain::id::{AttemptId, DeliveryId, SubscriptionId};
use crate::domain::ordering::Line;
use crate::domain::window::{Taking, Waiting, Window};

/// A delivery that waits for its attempt, with its event where memory allowed.
#[derive(Clone, Debug)]
pub struct WaitingDelivery {
    /// The delivery as it was taken.
    pub delivery: PendingDelivery,
    /// Its event; read again where it is absent.
    pub event: Option<Arc<LoadedEvent>>,
    /// The line it stands in.
    pub line: Option<Line>,
}

impl Waiting for WaitingDelivery {
    fn id(&self) -> DeliveryId {
        self.delivery.id
    }

    fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }
}

/// What a receiver said about itself, whatever became of the delivery that it answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// It asked to be left alone until then.
    pub hold_until: Option<Timestamp>,
    /// It said that it is gone, to this attempt.
    pub gone: Option<AttemptId>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Lane {
    subscription: SubscriptionId,
    budget: Arc<ByteBudget>,
    window: Mutex<Window<WaitingDelivery>>,
    /// What was recorded since the actor last looked, as far as it has to know. Bounded by the
    /// window.
    verdicts: Mutex<Vec<Verdict>>,
    /// What was heard since the actor last listened.
    heard: Mutex<Heard>,
    /// Lets attempts through; fed from answers on.
    breaker: Mutex<Breaker>,
    /// How far the breaker is kept in the store.
    keeping: Mutex<Keeping>,
    /// What people and the node's health are shown.
    showing: Mutex<Showing>,
    /// Lives that its actor has begun after a death.
    restarts: AtomicU32,
    /// What failed since the last success.
    failures: Mutex<Failures>,
    /// HTTP calls under way, their recording not counted. Raised under the window's lock only,
    /// so that nobody exceeds a bound that somebody else reaches just now.
    calls: AtomicU32,
    /// As many as there may be, as the actor last looked; 0 where it has not.
    bound: AtomicU32,
    /// How long its receiver's answers took of late.
    answering: Mutex<Answering>,
    /// Calls made past the rate limit since the actor last counted them.
    owed: AtomicU32,
    actor: Mutex<Option<ActorRef<SubscriptionMessage>>>,
    /// A wake is in the actor's mailbox.
    woken: AtomicBool,
    /// The subscription or its deliveries changed since the actor last looked.
    changed: AtomicBool,
    /// What lets attempts go on without the actor, where nothing is against them.
    cleared: Mutex<Option<Clearance>>,
    /// The lane's actor has left; wakes go to the dispatcher.
    retired: AtomicBool,
    dispatcher: Address<DispatcherMessage>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane {
    fn new(
        subscription: SubscriptionId,
        bound: usize,
        budget: Arc<ByteBudget>,
        dispatcher: Address<DispatcherMessage>,
    ) -> Self {
        Self {
            subscription,
            budget,
            window: Mutex::new(Window::new(bound)),
            verdicts: Mutex::default(),
            heard: Mutex::default(),
            // Its rules come with the actor, before it lets anything through.
            breaker: Mutex::new(Breaker::new(BreakerPolicy::STANDARD, 1)),
            keeping: Mutex::default(),
            showing: Mutex::default(),
            restarts: AtomicU32::new(0),
            failures: Mutex::default(),
            calls: AtomicU32::new(0),
            bound: AtomicU32::new(0),
            answering: Mutex::default(),
            owed: AtomicU32::new(0),
            actor: Mutex::default(),
            woken: AtomicBool::new(false),
            changed: AtomicBool::new(false),
            cleared: Mutex::default(),
            retired: AtomicBool::new(false),
            dispatcher,
        }
    }

    /// Whose lane it is.
    pub fn subscription(&self) -> SubscriptionId {
        self.subscription
    }

    /// The window, for one short look or step.
    pub fn window(&self) -> MutexGuard<'_, Window<WaitingDelivery>> {
        locked(&self.window)
    }

    /// Sees to it that an actor looks at the lane again: its own, or where that one is dead or
    /// leaving the next one, which the dispatcher spawns. Any number of wakes before one looks
    /// count as one.
    pub fn wake(&self) {
        if self.retired.load(Ordering::Acquire) {
            self.wake_next();
            return;
        }
        if self.woken.swap(true, Ordering::AcqRel) {
            return;
        }
        let told = locked(&self.actor)
            .as_ref()
            .is_some_and(|actor| actor.cast(SubscriptionMessage::Wake).is_ok());
        // Between two dispatchers: the next one wakes all lanes at its start.
        if !told && !self.wake_next() {
            self.woken.store(false, Ordering::Release);
        }
    }

    fn wake_next(&self) -> bool {
        let ids = vec![self.subscription];
        self.dispatcher.cast(DispatcherMessage::Wake(ids))
    }

    /// The actor starts to look, or none is to be spawned now: what happens from here on wakes
    /// again.
    pub fn looked(&self) {
        self.woken.store(false, Ordering::Release);
    }

    /// A new actor takes the lane over. What its predecessor asked is asked again; what it had
    /// queued is dropped and paged again, in case that was what killed it.
    pub fn adopt(&self, actor: ActorRef<SubscriptionMessage>) {
        self.clear(None);
        {
            let mut window = self.window();
            window.abandon_question();
            window.flush();
        }
        *locked(&self.actor) = Some(actor);
        self.woken.store(false, Ordering::Release);
        self.wake();
    }

    /// The subscription or its deliveries changed: what was not sent yet is paged anew.
    pub fn note_change(&self) {
        self.changed.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether there was a change since this was last asked.
    pub fn take_change(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    /// Deliveries were moved in the store by somebody else, and are due.
    pub fn unsettle(&self) {
        self.window().unsettle();
        self.wake();
    }

    /// Something due was committed that the window does not hold.
    pub fn decline(&self) {
        let news = self.window().decline();
        // No news to a lane that nobody has looked at yet, but somebody has to.
        if news || locked(&self.actor).is_none() {
            self.wake();
        }
    }

    /// What was recorded since this was last asked.
    pub fn take_verdicts(&self) -> Vec<Verdict> {
        std::mem::take(&mut locked(&self.verdicts))
    }

    /// Takes note of what a receiver said about itself. It counts from its answer on, not from
    /// the answer's record: told before the call ends, it stops the call that would follow.
    pub fn hear(&self, attempt: AttemptId, verdict: &Verdict) {
        let mut heard = locked(&self.heard);
        heard.hold_until = heard.hold_until.max(verdict.hold_until);
        heard.gone = heard.gone.or(verdict.gone.then_some(attempt));
    }

    /// What was heard since this was last asked.
    pub fn take_heard(&self) -> Heard {
        std::mem::take(&mut locked(&self.heard))
    }

    /// Whether the actor has a change or something heard to look at.
    pub fn has_news(&self) -> bool {
        let heard = || {
            let heard = locked(&self.heard);
            heard.hold_until.is_some() || heard.gone.is_some()
        };
        self.changed.load(Ordering::Acquire) || heard()
    }

    /// Lets attempts go on without the actor, or lets them no more.
    pub fn clear(&self, clearance: Option<Clearance>) {
        *locked(&self.cleared) = clearance;
    }

    /// What lets them, for as long as they are looked at.
    pub fn cleared(&self) -> MutexGuard<'_, Option<Clearance>> {
        locked(&self.cleared)
    }

    /// Whether an attempt of that delivery is being made or recorded.
    pub fn is_flying(&self, id: DeliveryId) -> bool {
        self.window().is_flying(id)
    }

    /// HTTP calls under way.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Acquire)
    }

    /// Whether each delivery that waits has a call under way that sees to it when it ends: it
    /// goes on to it, or wakes the actor. Asked under the window's lock.
    fn is_busy(&self) -> bool {
        let bound = self.bound.load(Ordering::Acquire);
        bound > 0 && self.calls() >= bound
    }

    /// The next delivery of the window and the call that takes it, where fewer than `most` are
    /// under way.
    pub fn take_next(self: &Arc<Self>, most: u32, pass: Pass) -> Option<(WaitingDelivery, Call)> {
        let taken = {
            let mut window = self.window();
            let free = self.calls() < most;
            let item = free.then(|| window.take_next()).flatten();
            item.map(|item| (item, Call::start(self, Some(pass))))
        };
        if taken.is_none() {
            self.breaker().abandon(pass);
        }
        taken
    }

    /// Takes one delivery out of its turn, past breaker and rate limit, where fewer than `most`
    /// calls are under way.
    pub fn take_manually(self: &Arc<Self>, id: DeliveryId, most: u32) -> ManualTaking {
        let pass = self.breaker().pass_by();
        let mut window = self.window();
        if window.is_flying(id) {
            return ManualTaking::Not(Taking::Flying);
        }
        if self.calls() >= most {
            return ManualTaking::AtBound;
        }
        match window.take(id) {
            Taking::Taken => {
                let call = Call::start(self, Some(pass));
                ManualTaking::Taken(Ticket::new(self, id), call)
            }
            not => ManualTaking::Not(not),
        }
    }

    /// Its receiver took so long to answer.
    pub fn note_answer(&self, took: Duration) {
        locked(&self.answering).note(took);
    }

    /// Whether its receiver answers quickly, as far as is known.
    pub fn is_quick(&self) -> bool {
        locked(&self.answering).is_quick()
    }

    /// A call was made past the rate limit: what follows waits for its token.
    pub fn note_owed(&self) {
        self.owed.fetch_add(1, Ordering::AcqRel);
    }

    /// Calls made past the rate limit since this was last asked.
    pub fn take_owed(&self) -> u32 {
        self.owed.swap(0, Ordering::AcqRel)
    }

    /// Ends the lane if its window is idle; the actor leaves then.
    pub fn retire(&self) -> bool {
        self.leave(Window::retire)
    }

    /// Ends the lane of a subscription that is not delivered to, if nothing flies.
    pub fn retire_empty(&self) -> bool {
        self.leave(Window::retire_empty)
    }

    /// Whether its actor has left, or is leaving.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    fn leave(&self, retire: impl FnOnce(&mut Window<WaitingDelivery>) -> bool) -> bool {
        let mut window = self.window();
        if !retire(&mut window) {
            return false;
        }
        // Under the window's lock: whoever finds the window declining finds the lane retired,
        // and wakes the dispatcher.
        self.retired.store(true, Ordering::Release);
        drop(window);
        *locked(&self.actor) = None;
        // A wake that came before that ends with the leaving actor's mailbox.
        if self.woken.load(Ordering::Acquire) {
            self.wake_next();
        }
        true
    }
}

/// What became of taking one delivery out of its turn.
#[derive(Debug)]
pub enum ManualTaking {
    /// It is held, and its call counts.
    Taken(Ticket, Call),
    /// So many calls are under way as may be.
    AtBound,
    /// The window does not give it; never [`Taking::Taken`].
    Not(Taking),
}
