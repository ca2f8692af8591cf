//! What the stores and those who administer keys say to each other.

use crate::domain::api_key::ApiKey;

/// Which keys. Fields that are set must all match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyFilter {
    /// Of this tenant.
    pub tenant: Option<String>,
}

/// What became of a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyCreated {
    /// It stands.
    Done,
    /// Another key has its public part: make another one.
    Taken,
    /// There are so many as may be.
    TooMany,
}

/// What changed in the keyring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyringChanges {
    /// The keyring's version now.
    pub version: i64,
    /// The keys that changed since the version asked about.
    pub keys: Vec<ApiKey>,
}
