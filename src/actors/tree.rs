//! The supervision tree as it is at this moment, for people: who lives, who died and why, and what
//! stands before each.
//!
//! The root notes lives and deaths here; everything else is read when somebody asks. A note that
//! is lost would cost a picture, never a delivery.

use std::sync::{Mutex, PoisonError};

use super::handle::Relay;
use super::root::Singleton;
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::id::SubscriptionId;

/// Subscriptions named at most whose actors died.
const MOST_NAMED: usize = 20;

/// Lives and deaths of the root's children.
#[derive(Debug, Default)]
pub(super) struct Lives(Mutex<[Life; Singleton::ALL.len()]>);

#[derive(Clone, Debug, Default)]
struct Life {
    since: Option<Timestamp>,
    restarts: u64,
    last_death: Option<Death>,
}

/// How an actor died.
#[derive(Clone, Debug)]
pub struct Death {
    /// When.
    pub at: Timestamp,
    /// What it said.
    pub reason: String,
}

impl Lives {
    fn change(&self, of: Singleton, change: impl FnOnce(&mut Life)) {
        let mut lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut lives[of as usize]);
    }

    fn of(&self, of: Singleton) -> Life {
        let lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lives[of as usize].clone()
    }

    /// It was started.
    pub(super) fn begin(&self, of: Singleton) {
        self.change(of, |life| {
            life.since = Some(clock::now());
            life.restarts += u64::from(life.last_death.is_some());
        });
    }

    /// It died.
    pub(super) fn end(&self, of: Singleton, reason: &str) {
        let (at, reason) = (clock::now(), reason.to_owned());
        self.change(of, |life| {
            life.since = None;
            life.last_death = Some(Death { at, reason });
        });
    }
}

/// An actor of the tree.
#[derive(Debug)]
pub struct ActorPicture {
    /// Which.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Since when it lives; none between two lives.
    pub since: Option<Timestamp>,
    /// How often it was started again since the process began.
    pub restarts: u64,
    /// How it died last.
    pub last_death: Option<Death>,
    /// What stands before it; none where it only tells itself what to do.
    pub waiting: Option<Queue>,
}

/// What stands before an actor.
#[derive(Debug)]
pub struct Queue {
    /// `events`, `outcomes` or `messages`.
    pub of: &'static str,
    /// How many.
    pub count: usize,
    /// How many there may be, where that is a number.
    pub most: Option<usize>,
}

/// The actors of subscriptions.
#[derive(Debug)]
pub struct Children {
    /// How many live, or have something in flight.
    pub live: usize,
    /// How often any of these was started again.
    pub restarts: u64,
    /// Those that were started again most often, and how often.
    pub restarted: Vec<(SubscriptionId, u32)>,
}

/// The tree and who owns the deliveries.
#[derive(Debug)]
pub struct Tree {
    /// Who this process is, as it calls itself to others.
    pub holder: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Whether deliveries are its own, and in which epoch of the lease.
    pub delivers: bool,
    /// See `delivers`.
    pub epoch: Option<i64>,
    /// Whose they are instead, where that is known.
    pub owner: Option<String>,
    /// The root's children, as far as this role has them.
    pub actors: Vec<ActorPicture>,
    /// The dispatcher's.
    pub subscriptions: Children,
}

impl Relay {
    /// The supervision tree at this moment.
    pub fn tree(&self) -> Tree {
        let deps = &self.deps;
        let role = deps.settings.engine.role;
        let actors = Singleton::ALL.into_iter().filter(|one| {
            // Where nobody else can own the deliveries, nobody looks after the lease.
            one.serves(role) && !(*one == Singleton::Leases && deps.ownership.is_for_good())
        });
        Tree {
            holder: deps.holder.clone(),
            started_at: deps.started_at,
            delivers: deps.ownership.may_deliver(),
            epoch: deps.ownership.epoch(),
            owner: deps.ownership.other().map(|other| other.to_string()),
            actors: actors.map(|one| self.picture(one)).collect(),
            subscriptions: self.children(),
        }
    }

    fn picture(&self, of: Singleton) -> ActorPicture {
        let Life {
            since,
            restarts,
            last_death,
        } = self.deps.lives.of(of);
        ActorPicture {
            name: of.name(),
            purpose: of.purpose(),
            since,
            restarts,
            last_death,
            waiting: self.waiting_for(of),
        }
    }

    fn waiting_for(&self, of: Singleton) -> Option<Queue> {
        let deps = &self.deps;
        let (of, count, most) = match of {
            Singleton::Ingest => {
                let (waiting, most) = deps.ingest.usage();
                ("events", waiting, Some(most))
            }
            Singleton::Recorder => ("outcomes", deps.recorder.waiting(), None),
            Singleton::Dispatcher => ("messages", deps.dispatcher.unread(), None),
            Singleton::Sweeper => ("messages", deps.sweeper.unread(), None),
            Singleton::Outbox
            | Singleton::Janitor
            | Singleton::Jobs
            | Singleton::Keys
            | Singleton::Listener
            | Singleton::Leases
            | Singleton::Presence => return None,
        };
        Some(Queue { of, count, most })
    }

    fn children(&self) -> Children {
        let lanes = self.deps.lanes.all();
        let died = lanes
            .iter()
            .map(|lane| (lane.subscription(), lane.restarts()));
        let mut restarted: Vec<_> = died.filter(|(_, restarts)| *restarts > 0).collect();
        restarted.sort_by_key(|(id, restarts)| (std::cmp::Reverse(*restarts), *id));
        let restarts = restarted.iter().map(|(_, count)| u64::from(*count)).sum();
        restarted.truncate(MOST_NAMED);
        Children {
            live: lanes.len(),
            restarts,
            restarted,
        }
    }
}
