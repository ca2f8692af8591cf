//! The whole installation as this process sees it, for people: who runs, who delivers, how the feed
//! is, and how much lies in the store.
//!
//! Each part is asked for by itself, with a bound on its time: one that is away costs its own part
//! and no other.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::handle::Relay;
use crate::clock;
use crate::domain::node::Registry;
use crate::feed::{FeedDepth, FeedStanding};
use crate::store::Storage;

/// How long a part may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a look at the storage stands, however many want to see it.
const STORAGE_STANDS: Duration = Duration::from_secs(10);

/// A part, or why it could not be asked.
pub type Asked<T> = Result<T, String>;

/// See the module's documentation.
#[derive(Debug)]
pub struct Installation {
    /// The process that tells, as it calls itself to others.
    pub told_by: String,
    /// Who runs, and who delivers.
    pub registry: Asked<Registry>,
    /// How much lies in the store.
    pub storage: Asked<Storage>,
    /// How the feed is, in a sentence.
    pub feed_health: Result<String, String>,
    /// The same in figures.
    pub feed: FeedStanding,
    /// How much the feed keeps; nothing where it keeps nothing.
    pub feed_depth: Asked<Option<FeedDepth>>,
}

/// The last look at the storage, and when it was.
#[derive(Debug, Default)]
pub(super) struct LastStorage(Mutex<Option<(Instant, Storage)>>);

impl Relay {
    /// All of it.
    pub async fn installation(&self) -> Installation {
        let deps = &self.deps;
        let registry = async { deps.store.registry().await.map_err(|why| why.to_string()) };
        let (registry, storage, feed_depth) = tokio::join!(
            in_time(registry),
            in_time(self.storage()),
            in_time(deps.feed.depth()),
        );
        Installation {
            told_by: deps.holder.clone(),
            registry,
            storage,
            feed_health: deps.feed.health(),
            feed: deps.feed.standing(),
            feed_depth,
        }
    }

    /// The look of late, or a new one. Of several who ask at once one looks.
    async fn storage(&self) -> Asked<Storage> {
        let mut last = self.deps.last_storage.0.lock().await;
        if let Some((at, seen)) = &*last
            && clock::instant().saturating_duration_since(*at) < STORAGE_STANDS
        {
            return Ok(seen.clone());
        }
        let seen = self.deps.store.storage().await;
        let seen = seen.map_err(|problem| problem.to_string())?;
        Ok(last.insert((clock::instant(), seen)).1.clone())
    }
}

async fn in_time<T>(asked: impl Future<Output = Asked<T>>) -> Asked<T> {
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}
