//! What the stores know of the processes that run, and of themselves.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::node::{NodeReport, Registry};
use crate::store::{Result, Storage};

/// Processes that are known at most.
pub const MOST_NODES: u32 = 1_000;

/// The part of the store by which processes know each other, and people how much lies in it.
#[async_trait]
pub trait NodeStore: Send + Sync {
    /// Notes what a process tells of itself, and that it is there now: it is lost where it does not
    /// tell again within `patience`. Its age counts where it is not known yet. All times are the
    /// store's own. On SQLite, which has one process at a time, whoever was there before is lost.
    async fn beat(&self, node: &NodeReport, age: Duration, patience: Duration) -> Result<()>;

    /// The processes that are known, [`MOST_NODES`] at most, and who owns the deliveries.
    async fn registry(&self) -> Result<Registry>;

    /// Forgets a process that ends.
    async fn remove_node(&self, name: &str) -> Result<()>;

    /// Forgets processes that were not seen for so long, and of more than `most` those that were not
    /// seen for longest. Says how many.
    async fn forget_nodes(&self, unseen: Duration, most: u32) -> Result<u64>;

    /// Where everything lies and how much of it there is, as far as that costs no look at the rows.
    async fn storage(&self) -> Result<Storage>;
}
