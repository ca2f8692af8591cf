//! Lines, as the stores keep them: deliveries of a subscription that go one after the other.

use async_trait::async_trait;

use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::{DeliveryId, SubscriptionId};
use crate::domain::ordering::{Line, Ordering};
use crate::store::{BlockingRow, DuePage, DueRow, HeadRow, Moved, Result};

/// The part of the store that keeps deliveries in line.
#[async_trait]
pub trait LineStore: Send + Sync {
    /// Up to `limit` heads of a subscription's lines, due or not, in the order of the lines'
    /// names, after `after`. Costs a few steps into an index for each, however long the lines.
    async fn line_heads(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: usize,
    ) -> Result<Vec<HeadRow>>;

    /// Of each line, up to `limit` pending deliveries after that place, in order; the lines in
    /// the order given. Costs an index range each.
    async fn lines_after(
        &self,
        id: SubscriptionId,
        heads: &[(Line, i64)],
        limit: usize,
    ) -> Result<Vec<(Line, DueRow)>>;

    /// As [`due_page`](super::Store::due_page), of what stands in no line in a subscription that has an order.
    async fn free_page(&self, id: SubscriptionId, now: Timestamp, limit: usize) -> Result<DuePage>;

    /// Lines up to `limit` pending deliveries after that place up, anew. Answers the last place
    /// looked at, and nothing where there was none. Costs an index range of `limit` rows.
    async fn line_up(
        &self,
        id: SubscriptionId,
        ordering: Ordering,
        after: i64,
        limit: u32,
    ) -> Result<Option<i64>>;

    /// Notes that all that was pending stands in line for that rule.
    async fn note_lined_up(&self, id: SubscriptionId, rule: Timestamp) -> Result<()>;

    /// A failed delivery blocks its line no more and is `to` now, where its version still is
    /// `version`.
    async fn release_line(
        &self,
        id: DeliveryId,
        version: i64,
        to: DeliveryState,
        now: Timestamp,
    ) -> Result<Moved>;

    /// Up to `limit` deliveries that block a line by that rule, in the order of the lines' names,
    /// after `after`.
    async fn blocking(
        &self,
        id: SubscriptionId,
        rule: Timestamp,
        after: Option<&Line>,
        limit: u32,
    ) -> Result<Vec<BlockingRow>>;
}
