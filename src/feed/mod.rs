//! How nodes of one installation tell each other what they did.
//!
//! A feed only makes things fast: whatever it loses, the sweeper and the fence on the
//! directory's version make good. So nobody waits for it and nothing is stored in it.

pub mod memory;
pub mod ownership;
pub mod redis;
pub mod redis_talk;
pub mod shared_limits;
pub mod talk;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::domain::Timestamp;
use crate::domain::id::{DeliveryId, SubscriptionId};

/// Something another node said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// These subscriptions have new deliveries in the store.
    Due(Vec<SubscriptionId>),
    /// This subscription changed, or deliveries of it were moved from outside of its actor.
    Changed(SubscriptionId),
    /// Somebody asked for an attempt of this delivery, now and past its schedule.
    Retry {
        /// Whose.
        subscription: SubscriptionId,
        /// Which.
        delivery: DeliveryId,
        /// The round that was asked for.
        round: u32,
    },
    /// A tenant changed.
    Tenants,
    /// The catalogue of event types changed.
    Catalogue,
    /// There is a job to work at.
    Jobs,
    /// A key was made or revoked, a user changed, or a session was opened or ended.
    Keys,
    /// Something may have been missed: look everything over.
    Gap,
}

/// What a feed goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedKind {
    /// Nothing: nobody else is told.
    Memory,
    /// A Redis stream.
    Redis,
}

/// How the connection that hears the others is, and how it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedStanding {
    /// What it goes by.
    pub kind: FeedKind,
    /// Since when it is as it is; none where it was never otherwise.
    pub since: Option<Timestamp>,
    /// How often it was made again after it had been lost.
    pub reconnects: u64,
}

/// How much a feed keeps, and how much of it was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedDepth {
    /// Entries kept.
    pub entries: u64,
    /// How much later the newest entry came than the one that was read last.
    pub behind: Duration,
}

/// The way to the other nodes.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// Tells the others, sooner or later or never. Does not wait.
    fn announce(&self, notice: Notice);

    /// Hears the others until the connection fails, and says why it did. Begins with
    /// [`Notice::Gap`], once it is sure to hear all that follows.
    async fn listen(&self, heard: mpsc::Sender<Notice>) -> String;

    /// How it is: one sentence, `Err` where it does not work.
    fn health(&self) -> Result<String, String>;

    /// The same in figures.
    fn standing(&self) -> FeedStanding;

    /// How much it keeps; nothing where it keeps nothing. `Err` says why nobody can tell.
    async fn depth(&self) -> Result<Option<FeedDepth>, String>;
}
