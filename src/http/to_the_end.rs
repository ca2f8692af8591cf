//! Changes that must not stop half-way.

use tracing::Instrument;

use super::error::{ApiError, Result};

/// Runs a change to its end even where the caller hangs up or the time limit passes: what was
/// stored must also be told to the actors, or a paused subscription would go on being called.
pub async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(change.in_current_span())
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%error, "a change did not end");
            Err(ApiError::internal())
        })
}
