//! The supervision tree.
//!
//! ```text
//! Root                     one-for-one; restart budget spent → the engine fails, the process exits
//! ├ Ingest                 group commit of events            (a Pump over the ingest queue)
//! ├ Recorder               group commit of outcomes          (a Pump over the record queue)
//! ├ Outbox                 hands operational events to Ingest (a Pump, the owner's)
//! ├ Dispatcher             finds or spawns the subscriptions' actors, restarts or suspends them
//! │  └ Subscription × N    admission, window, timer; spawned on demand, retired when idle
//! ├ Sweeper · Janitor      self-timed
//! ├ Jobs                   bulk work, batch by batch         (a Pump over the open jobs)
//! ├ Listener               hears other nodes                 (silent in a single process)
//! ├ Presence               tells the store that this process lives
//! └ Leases                 owns, renews, loses the deliveries (a formality in a single process)
//! ```
//!
//! Role `ingest` starts Ingest, Keys, Listener and Presence only, the others all of them: one that only delivers
//! accepts no sender's events, but its own.
//!
//! Actors hold nothing that a restart may not lose. What must survive them belongs to the
//! engine: the queues of ingest and recorder, and the subscriptions' lanes ([`lane`]).
//! `handle` never waits for a receiver or a database: it starts a task and hears from it.

mod address;
mod backlog;
mod breaking;
mod cancel;
pub mod deps;
mod dispatcher;
mod erase;
mod flight;
mod gauges;
pub mod handle;
mod ingest;
mod installation;
mod janitor;
mod jobs;
mod keys;
mod lane;
mod leases;
mod listener;
mod live;
mod onward;
mod operate;
mod outbox;
mod page;
mod presence;
mod progress;
mod pulse;
mod pump;
mod recorder;
mod retry;
pub mod root;
mod skip;
mod slots;
mod streaks;
mod subscription;
mod sweeper;
mod test_send;
mod timer;
mod tree;
mod trial;

pub use cancel::{CancelAnswer, CancelledPending};
pub use deps::Deps;
pub use erase::EraseAnswer;
pub use handle::{AcceptAnswer, Component, Health, NewEvent, Relay};
pub use installation::Installation;
pub use jobs::{JobAnswer, Preview};
pub use live::{Live, LiveBreaker, LiveWindow, Owner};
pub use retry::RetryAnswer;
pub use root::Root;
pub use skip::SkippedHeld;
pub use test_send::TestAnswer;
pub use tree::{ActorPicture, Queue, Tree};
