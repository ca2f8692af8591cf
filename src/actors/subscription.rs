//! The actor of one subscription.
//!
//! It decides, with pure code, whether an attempt may be made now, and starts it as a task. It
//! asks for pages when its window runs low, and arms one timer for whatever comes next. All it
//! holds itself may be lost: its lane has the rest, and the store has everything.

mod breaking;
mod leaving;
mod paging;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef};

pub use self::breaking::Wanted;
use super::deps::Deps;
use super::flight::{self, Leave};
use super::lane::{Lane, Shown, Ticket};
use super::onward::Clearance;
use super::operate::Why;
use super::page::PageAnswer;
use super::slots::Refusal;
use super::timer::Timer;
use crate::clock;
use crate::delivery::deliver::Receiver;
use crate::domain::Timestamp;
use crate::domain::admission::{self, Admission, Situation};
use crate::domain::breaker::Gate;
use crate::domain::delivery::Settlement;
use crate::domain::id::{AttemptId, SubscriptionId};
use crate::domain::rate_limit::TokenBucket;
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::events::EngineEvent;
use crate::faults::Point;

/// Where quick receivers are in each other's way, whether there is room is looked at after so long.
const CROWDED: Duration = Duration::from_millis(20);

/// What the actor of a subscription is told.
#[derive(Debug)]
pub enum SubscriptionMessage {
    /// Look at the lane: there is something new, or time has passed.
    Wake,
    /// The store answered.
    Page(Box<PageAnswer>),
}

/// What the actor of a subscription starts with.
pub struct Arguments {
    /// What actors share.
    pub deps: Arc<Deps>,
    /// Its lane.
    pub lane: Arc<Lane>,
    /// It was started before and died: what its predecessor used of the rate is unknown.
    pub restarted: bool,
}

/// What may be lost.
pub struct State {
    deps: Arc<Deps>,
    lane: Arc<Lane>,
    id: SubscriptionId,
    restarted: bool,
    /// The epoch that the window was filled in: what was read in another may have been sent by
    /// another owner since.
    epoch: Option<i64>,
    /// The subscription as it was last seen, and made ready to be called.
    ready: Option<(Arc<Subscription>, Arc<Receiver>)>,
    bucket: Option<TokenBucket>,
    hold_until: Option<Timestamp>,
    /// What earlier lives learnt about the receiver was read from the store.
    runtime_known: bool,
    /// The rule of order that all that is pending stands in line for.
    lined_up: Option<Timestamp>,
    /// The breaker's revision that the window was filled under.
    breaker_seen: Option<u64>,
    /// 410 was answered; nothing is sent while the directory does not know it yet.
    gone: Option<i64>,
    next_due: Option<Timestamp>,
    pages_failed: u32,
    no_page_before: Option<Instant>,
    idle_since: Option<Instant>,
    /// It waits for a slot.
    queued: bool,
    timer: Timer<SubscriptionMessage>,
}

/// What an actor does when it has looked at everything.
enum Next {
    Stay,
    Leave,
}

/// The actor itself has no fields: its state is made anew in each life.
pub struct SubscriptionActor;

impl Actor for SubscriptionActor {
    type Msg = SubscriptionMessage;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<SubscriptionMessage>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments {
            deps,
            lane,
            restarted,
        } = arguments;
        let epoch = deps.ownership.epoch();
        if restarted {
            lane.note_restart();
        }
        lane.adopt(myself);
        Ok(State {
            id: lane.subscription(),
            epoch,
            deps,
            lane,
            restarted,
            ready: None,
            bucket: None,
            hold_until: None,
            runtime_known: false,
            lined_up: None,
            breaker_seen: None,
            gone: None,
            next_due: None,
            pages_failed: 0,
            no_page_before: None,
            idle_since: None,
            queued: false,
            timer: Timer::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SubscriptionMessage>,
        message: SubscriptionMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SubscriptionMessage::Wake => state.lane.looked(),
            SubscriptionMessage::Page(answer) => state.take_page(*answer),
        }
        state.deps.faults.panic_for(Point::Subscription, state.id);
        state.queued = false;
        let next = state.advance(&myself);
        state.show();
        if !state.queued {
            state.deps.slots.pass_on();
        }
        match next {
            Next::Stay => {}
            Next::Leave => myself.stop(None),
        }
        Ok(())
    }
}

impl State {
    /// Lets people and the node's health see what only this actor knows.
    fn show(&self) {
        self.lane.show(Shown {
            hold_until: self.hold_until,
            bucket: self.bucket.clone(),
            bound: self
                .ready
                .as_ref()
                .map_or(0, |(subscription, _)| self.bound(subscription)),
        });
    }

    /// Does all that can be done now.
    fn advance(&mut self, myself: &ActorRef<SubscriptionMessage>) -> Next {
        // First of all: what is seen from here on holds for whoever goes on, too.
        self.lane.clear(None);
        let now = clock::now();
        self.follow_epoch();
        let changed = self.lane.take_change();
        if changed {
            self.lane.window().flush();
        }
        self.listen();
        self.learn(now);
        self.note_due(now);
        let Some((subscription, receiver)) = self.readied() else {
            return self.leave_if_empty();
        };
        if !self.delivers(&subscription) {
            return self.leave_if_empty();
        }
        if !self.lane.window().follow(subscription.ordering.name()) {
            // What left under another rule has to end first; its record wakes this actor.
            return self.rest(myself, None, now);
        }
        let wait = self.launch(&subscription, &receiver, now);
        if wait.is_none() {
            self.clear(&subscription, &receiver);
        }
        self.ask(myself);
        self.rest(myself, wait, now)
    }

    /// Drops what was read in another epoch, a page still to come included.
    fn follow_epoch(&mut self) {
        let epoch = self.deps.ownership.epoch();
        if self.epoch != epoch {
            self.epoch = epoch;
            let mut window = self.lane.window();
            window.abandon_question();
            window.flush();
        }
    }

    /// The subscription as the directory has it now, prepared once per version.
    fn readied(&mut self) -> Option<(Arc<Subscription>, Arc<Receiver>)> {
        let Some(current) = self.deps.directory.get(self.id) else {
            self.ready = None;
            return None;
        };
        if let Some((known, receiver)) = &self.ready
            && known.version == current.version
        {
            return Some((Arc::clone(known), Arc::clone(receiver)));
        }
        self.configure_breaker(&current);
        let settings = &self.deps.settings;
        let receiver = Arc::new(Receiver::prepare(
            &current,
            &settings.delivery,
            &settings.retry,
        ));
        if self.bucket.as_ref().map(TokenBucket::limit) != current.rate_limit {
            let first_life = !self.restarted && self.ready.is_none();
            let make = if first_life {
                TokenBucket::full
            } else {
                TokenBucket::empty
            };
            self.bucket = current
                .rate_limit
                .map(|limit| make(limit, clock::instant()));
        }
        self.ready = Some((Arc::clone(&current), Arc::clone(&receiver)));
        Some((current, receiver))
    }

    fn delivers(&self, subscription: &Subscription) -> bool {
        subscription.state.delivers()
            && self.gone != Some(subscription.version)
            && self.deps.ownership.may_deliver_in(self.epoch)
            && !self.deps.is_draining()
    }

    /// Draws the consequences of what was recorded since.
    fn learn(&mut self, now: Timestamp) {
        for verdict in self.lane.take_verdicts() {
            if let Settlement::RetryAt(at) = verdict.settlement {
                self.next_due = Some(self.next_due.map_or(at, |due| due.min(at)));
                self.note_retry();
            }
            // Heard before, but perhaps by an actor that has died since.
            if let Some(until) = verdict.hold_until {
                self.hold(until);
            }
        }
        if self.hold_until.is_some_and(|until| until <= now) {
            self.hold_until = None;
        }
    }

    /// Draws the consequences of what the receiver said about itself.
    fn listen(&mut self) {
        let heard = self.lane.take_heard();
        if let Some(until) = heard.hold_until {
            self.hold(until);
        }
        if let Some(attempt) = heard.gone {
            self.deactivate(attempt);
        }
    }

    fn hold(&mut self, until: Timestamp) {
        if self.hold_until.is_none_or(|known| known < until) {
            self.hold_until = Some(until);
            let subscription = self.id;
            self.deps.events.tell(|| EngineEvent::SubscriptionHeld {
                subscription,
                until,
            });
        }
    }

    /// The receiver said that it is gone: nothing more is sent to it, from this moment.
    fn deactivate(&mut self, attempt: AttemptId) {
        let version = self.deps.directory.get(self.id).map(|known| known.version);
        if self.gone == version {
            return;
        }
        self.gone = version;
        let deps = Arc::clone(&self.deps);
        let why = Why::Gone(attempt);
        tokio::spawn(deps.hold_subscription(self.id, SubscriptionState::Deactivated, why));
    }

    /// Calls made past the rate limit count against it.
    fn pay_owed(&mut self) {
        let owed = self.lane.take_owed();
        if let Some(bucket) = &mut self.bucket {
            (0..owed).for_each(|_| bucket.owe(clock::instant()));
        }
    }

    /// A retry has fallen due: it is in the store and has to be paged.
    fn note_due(&mut self, now: Timestamp) {
        if self.next_due.is_some_and(|due| due <= now) {
            self.next_due = None;
            self.lane.window().decline();
        }
    }

    /// Lets the attempts under way go on to the next where nothing but their number keeps more
    /// from being started.
    fn clear(&self, subscription: &Arc<Subscription>, receiver: &Arc<Receiver>) {
        // Asked anew: the last answer heard may have said that the receiver is gone.
        let free = self.delivers(subscription)
            && self.runtime_known
            && self.bucket.is_none()
            && self.hold_until.is_none();
        let Some(revision) = self.breaker_seen.filter(|_| free) else {
            return;
        };
        self.lane.clear(Some(Clearance {
            subscription: Arc::clone(subscription),
            receiver: Arc::clone(receiver),
            epoch: self.epoch,
            revision,
            bound: self.bound(subscription),
        }));
    }

    /// Starts attempts while there is something to attempt and nothing against it. Returns how
    /// long to wait for what is against it, where time alone will end it.
    fn launch(
        &mut self,
        subscription: &Subscription,
        receiver: &Arc<Receiver>,
        now: Timestamp,
    ) -> Option<Duration> {
        let bound = self.bound(subscription);
        self.pay_owed();
        loop {
            if !self.runtime_known {
                return None;
            }
            // In this order: what the last call's answer said is heard once the call has ended.
            let in_flight = self.lane.calls();
            self.listen();
            if !self.delivers(subscription) {
                return None;
            }
            let gate = self.gate(now);
            let cut = matches!(gate, Gate::Cut(_));
            if !cut && self.lane.window().waiting() == 0 {
                return None;
            }
            if self.deps.faults.muted(Point::Launch) {
                return None;
            }
            let instant = clock::instant();
            let situation = Situation {
                state: subscription.state,
                gate,
                hold_until: self.hold_until,
                bucket: self.bucket.as_ref(),
                in_flight,
                max_in_flight: bound,
                now,
                instant,
            };
            match admission::admit(&situation) {
                Admission::Go => {}
                Admission::Wait(wait) => return Some(wait),
                Admission::AwaitOwnSlot | Admission::Held => return None,
            }
            let slot = match self.deps.slots.take(&self.lane) {
                Ok(slot) => slot,
                Err(Refusal::Queued) => {
                    self.queued = true;
                    return None;
                }
                // What is under way goes on to what waits; whether that was enough is looked at.
                Err(Refusal::Crowded) => return Some(CROWDED),
            };
            let pass = self.lane.breaker().start();
            // It opened just now.
            let Some(pass) = pass else { continue };
            let (item, call) = self.lane.take_next(bound, pass)?;
            if let Some(bucket) = &mut self.bucket {
                bucket.take(instant);
            }
            if pass.is_probe() {
                // The next probe takes what is the oldest then.
                self.lane.window().flush();
            }
            self.lane.note_move(now);
            let receiver = Arc::clone(receiver);
            let ticket = Ticket::new(&self.lane, item.delivery.id);
            let leave = Leave::Pass(pass);
            flight::launch(&self.deps, ticket, call, slot, item, receiver, leave);
        }
    }
}
