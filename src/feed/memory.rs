//! The feed of a single process: there is nobody to tell.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{Feed, FeedDepth, FeedKind, FeedStanding, Notice};

/// Hands nothing over: in one process, whoever commits hands over directly.
#[derive(Debug, Default)]
pub struct MemoryFeed;

#[async_trait]
impl Feed for MemoryFeed {
    fn announce(&self, _notice: Notice) {}

    async fn listen(&self, _heard: mpsc::Sender<Notice>) -> String {
        std::future::pending().await
    }

    fn health(&self) -> Result<String, String> {
        Ok("in process".to_owned())
    }

    fn standing(&self) -> FeedStanding {
        FeedStanding {
            kind: FeedKind::Memory,
            since: None,
            reconnects: 0,
        }
    }

    async fn depth(&self) -> Result<Option<FeedDepth>, String> {
        Ok(None)
    }
}
