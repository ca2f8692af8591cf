//! How nodes talk about what happens right now, for those who look on.
//!
//! Other than a notice of the [`Feed`](super::Feed) nothing hangs on what is said here: whoever does
//! not listen at that moment never hears it, and whoever misses something is told so by who
//! counts. So it goes by publish and subscribe, and leaves nothing behind.

use async_trait::async_trait;
use tokio::sync::mpsc;

/// What is talked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Somebody looks on and wants to hear what happens.
    Wanted,
    /// What happens.
    Facts,
}

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// From here on everything is.
    Listening,
    /// Something that a node said, this one included.
    Said(Vec<u8>),
}

/// The way to the other nodes.
#[async_trait]
pub trait Talk: Send + Sync + 'static {
    /// Whether there is a way at all.
    fn reaches_others(&self) -> bool;

    /// Says something to all who listen now. `Err` says why perhaps nobody heard it.
    async fn say(&self, channel: Channel, message: Vec<u8>) -> Result<(), String>;

    /// Listens until the connection fails or nobody takes what is heard, and says why.
    async fn listen(&self, channel: Channel, heard: mpsc::Sender<Heard>) -> String;
}

/// Where there is no way to any other node.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTalk;

#[async_trait]
impl Talk for NoTalk {
    fn reaches_others(&self) -> bool {
        false
    }

    async fn say(&self, _: Channel, _: Vec<u8>) -> Result<(), String> {
        Ok(())
    }

    async fn listen(&self, _: Channel, _: mpsc::Sender<Heard>) -> String {
        std::future::pending().await
    }
}
