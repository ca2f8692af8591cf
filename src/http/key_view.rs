//! What is shown of keys: never the key, but in the answer that makes it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Timestamp;
use crate::domain::access::Scope;
use crate::domain::api_key::{ApiKey, KeyState};
use crate::domain::id::ApiKeyId;
use crate::keyring::Keyring;

/// A key as listed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
pub struct KeyView {
    id: ApiKeyId,
    name: String,
    /// What the key begins with, to recognise it by.
    prefix: String,
    #[schema(value_type = Vec<Scope>)]
    scopes: Vec<&'static str>,
    tenant: Option<String>,
    client_id: Option<String>,
    #[schema(value_type = KeyState)]
    state: &'static str,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// To about a minute.
    last_used_at: Option<Timestamp>,
}

impl KeyView {
    /// A key as it is now. What this node knows of its use may be newer than what is stored.
    pub fn new(key: &ApiKey, keyring: &Keyring, now: Timestamp) -> Self {
        let tenant = key.tenant.as_deref().map(str::to_owned);
        Self {
            id: key.id,
            name: key.name.to_string(),
            prefix: key.public.to_string(),
            scopes: key.scopes.iter().map(Scope::as_str).collect(),
            client_id: tenant.clone(),
            tenant,
            state: key.state(now).as_str(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at.max(keyring.last_use(key.public)),
        }
    }
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedKey)]
pub struct NewKeyView<'a> {
    /// Shown here and never again.
    pub key: &'a str,
    /// All that is shown later.
    #[serde(flatten)]
    pub view: KeyView,
}
