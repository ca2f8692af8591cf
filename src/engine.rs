//! Composition root (placeholder: the signatures the command line calls).

use std::net::SocketAddr;
use std::sync::Arc;

use crate::settings::{Secret, Settings};

/// A running relay.
pub struct Engine {
    listen: SocketAddr,
}

impl Engine {
    /// Starts everything and returns once it listens.
    pub async fn start(settings: Arc<Settings>, _admin_key: Secret) -> anyhow::Result<Self> {
        anyhow::bail!(
            "the engine is not built yet (it would listen on {})",
            settings.server.listen
        )
    }

    /// The address really bound.
    pub fn listen_addr(&self) -> SocketAddr {
        self.listen
    }

    /// Whether another process owns the deliveries.
    pub fn standing_by(&self) -> bool {
        false
    }

    /// Resolves, with the reason, only where the actor tree cannot heal itself.
    pub async fn failed(&self) -> String {
        std::future::pending().await
    }

    /// Stops gracefully within `server.shutdown_grace`.
    pub async fn stop(self) -> anyhow::Result<()> {
        anyhow::bail!("the engine is not built yet")
    }
}

/// Applies what is missing of the store's schema and returns the names of what was applied.
pub async fn migrate(_settings: &Settings) -> anyhow::Result<Vec<String>> {
    anyhow::bail!("the stores are not built yet")
}
