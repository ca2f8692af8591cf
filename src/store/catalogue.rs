//! The catalogue of event types, as the stores keep it.

use async_trait::async_trait;

use crate::domain::audit::AuditEntry;
use crate::domain::catalogue::EventTypeEntry;
use crate::store::{CatalogueChange, Result, StoredCatalogue};

/// The part of the store that knows event types.
#[async_trait]
pub trait CatalogueStore: Send + Sync {
    /// The catalogue, with its types where it changed after `version` of the directory.
    async fn catalogue_since(&self, version: i64) -> Result<StoredCatalogue>;

    /// One type.
    async fn event_type(&self, name: &str) -> Result<Option<EventTypeEntry>>;

    /// Up to `limit` types behind `after`, in the order of their names.
    async fn list_event_types(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<EventTypeEntry>>;

    /// Adds a type (its version is 0), unless there are `most` already, or replaces one whose
    /// stored version still is `entry.version`. Draws a new version of the directory, and is
    /// noted in the audit log, in the same transaction.
    async fn keep_event_type(
        &self,
        entry: &EventTypeEntry,
        most: u32,
        audit: &AuditEntry,
    ) -> Result<CatalogueChange>;

    /// Removes a type whose stored version still is that one, in the same way.
    async fn remove_event_type(
        &self,
        name: &str,
        version: i64,
        audit: &AuditEntry,
    ) -> Result<CatalogueChange>;
}
