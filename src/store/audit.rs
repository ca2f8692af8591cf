//! What the stores note of who did what, and what they erase for good.

use async_trait::async_trait;

use crate::domain::Timestamp;
use crate::domain::audit::AuditEntry;
use crate::domain::id::EventId;
use crate::store::{AuditFilter, Erased, Page, PageRequest, Result};

/// The part of the store that erases, and says who did what.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Erases an event's payload and its name for people, unless any of its deliveries is pending;
    /// nothing brings one of them back after that, nor makes one. Is noted in the audit log in the
    /// same transaction, the first time. What receivers answered goes after that.
    async fn erase_payload(
        &self,
        id: EventId,
        now: Timestamp,
        audit: &AuditEntry,
    ) -> Result<Erased>;

    /// Events whose payload was erased at or after `since`, at most `limit`, by an index of what was
    /// erased.
    async fn erased_since(&self, since: Timestamp, limit: u32) -> Result<Vec<EventId>>;

    /// Empties what receivers answered to an event's deliveries, of up to `limit` attempts, and says
    /// of how many.
    async fn erase_answers(&self, id: EventId, limit: u32) -> Result<u64>;

    /// Writes an entry of the audit log. Safe to run again.
    async fn audit(&self, entry: &AuditEntry) -> Result<()>;

    /// The audit log, newest first.
    async fn list_audit(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>>;

    /// Forgets up to `limit` entries made before `before`, and says how many.
    async fn forget_audit(&self, before: Timestamp, limit: u32) -> Result<u64>;
}
