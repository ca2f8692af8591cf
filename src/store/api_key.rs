//! What the stores and those who administer keys say to each other.

use async_trait::async_trait;

use crate::domain::Timestamp;
use crate::domain::api_key::ApiKey;
use crate::domain::id::ApiKeyId;
use crate::store::{Moved, Page, PageRequest, Result};

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

/// The part of the store that keeps the keyring.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Stores a new key, unless there are `most` already, or its tenant has its share of them
    /// ([`share_of`](crate::domain::tenant::share_of)); its `version` is drawn here. Safe to run
    /// again: a key that stands is left as it is.
    async fn create_api_key(&self, key: &ApiKey, most: u32) -> Result<ApiKeyCreated>;

    /// One key, whatever its state.
    async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>>;

    /// Keys, newest first, whatever their state.
    async fn list_api_keys(
        &self,
        filter: &ApiKeyFilter,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>>;

    /// Takes a key back at `now`. `Overtaken` where that was done before, or there is no such key.
    async fn revoke_api_key(&self, id: ApiKeyId, now: Timestamp) -> Result<Moved>;

    /// The keys that changed after `version`; 0 asks for all. A use is no change.
    async fn keyring_since(&self, version: i64) -> Result<KeyringChanges>;

    /// The keyring's version, raised by every change: one cheap read.
    async fn keyring_version(&self) -> Result<i64>;

    /// Notes when these keys were used, where that is later than what is noted. Keys that are gone
    /// are passed over.
    async fn note_key_uses(&self, uses: &[(ApiKeyId, Timestamp)]) -> Result<()>;

    /// Forgets up to `limit` keys that expired or were revoked before `before`, and says how many.
    async fn forget_api_keys(&self, before: Timestamp, limit: u32) -> Result<u64>;
}
