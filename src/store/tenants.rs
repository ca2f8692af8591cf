//! Tenants and what they own, as the stores keep them.

use async_trait::async_trait;

use crate::domain::Timestamp;
use crate::domain::signing::SigningSecrets;
use crate::domain::tenant::Tenant;
use crate::store::{Changed, Kept, Page, PageRequest, Result, TenantDeleted, TenantSecrets};

/// The part of the store that knows tenants.
#[async_trait]
pub trait TenantStore: Send + Sync {
    /// Stores a new tenant; its `version` is drawn here. Nothing where one stands with this id,
    /// unless that is deleted.
    async fn create_tenant(&self, tenant: &Tenant) -> Result<Option<i64>>;

    /// Replaces name, status and limits of a tenant where its stored version still is
    /// `tenant.version`, and draws it a new one.
    async fn update_tenant(&self, tenant: &Tenant) -> Result<Changed>;

    /// Tombstones a tenant of which nothing is left, where its version still is `version`. Its
    /// secrets and its statistics go with it.
    async fn delete_tenant(&self, id: &str, version: i64, now: Timestamp) -> Result<TenantDeleted>;

    /// One tenant that is not deleted.
    async fn tenant(&self, id: &str) -> Result<Option<Tenant>>;

    /// The secrets that this tenant holds for its subscriptions.
    async fn tenant_secrets(&self, tenant: &str) -> Result<Option<TenantSecrets>>;

    /// Keeps a tenant's secrets where the stored version still is `replaced`, 0 where there are
    /// none. Raises the version of the directory and of each subscription that signs with them.
    async fn keep_tenant_secrets(
        &self,
        tenant: &str,
        secrets: &SigningSecrets,
        replaced: i64,
        now: Timestamp,
    ) -> Result<Kept>;

    /// Tenants that are not deleted, newest first.
    async fn list_tenants(&self, page: &PageRequest) -> Result<Page<Tenant>>;
}
