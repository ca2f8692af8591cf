//! Who did what, for the log of administrative actions.

use uuid::Uuid;

use super::Timestamp;

/// Bytes of an entry's changes at most: past it the names of the fields alone are kept.
pub const MAX_CHANGES: usize = 4_096;

/// One action, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its identity; begins with the time, and the log is walked by it.
    pub id: Uuid,
    /// When it was done.
    pub at: Timestamp,
    /// The name of the key that did it, or the e-mail address of the user.
    pub caller: String,
    /// The id of that key, where it has one.
    pub key_id: Option<String>,
    /// The id of that user.
    pub user_id: Option<String>,
    /// The tenant of that key.
    pub tenant: Option<String>,
    /// What was done: `subscription.pause`.
    pub action: String,
    /// The kind of the thing that it was done to: `subscription`.
    pub thing: String,
    /// Which one.
    pub thing_id: Option<String>,
    /// What changed, as a JSON object; secrets are not in it.
    pub changes: Option<String>,
    /// The request that asked for it.
    pub request_id: String,
}
