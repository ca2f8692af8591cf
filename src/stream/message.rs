//! What nodes say to each other about what happens.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fact::Fact;

/// Facts of one node, numbered so that whoever misses some knows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub from: Uuid,
    /// Since when it tells without a break: another number, another beginning.
    pub run: u64,
    /// The number of the first of the facts, or of the next one where there is none.
    pub first: u64,
    /// What happened.
    pub facts: Vec<Fact>,
}

/// Somebody looks on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Want {
    /// Where.
    pub from: Uuid,
}

/// As it goes over the wire.
pub fn written(message: &impl Serialize) -> Vec<u8> {
    // Ids, numbers and texts are always written.
    serde_json::to_vec(message).unwrap_or_default()
}
