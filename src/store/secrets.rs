//! Secrets of their owners: subscriptions and tenants.
//!
//! Both lie as JSON in one column, sealed ([`super::secret_box`]). A secret of a tenant belongs to
//! a name: no table of tenants is asked.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::secret_box::{Label, SecretBox};
use super::{Result, StoreError, codec};
use crate::domain::Timestamp;
use crate::domain::id::SubscriptionId;
use crate::domain::signature::SigningSecret;
use crate::domain::signing::{LiveSecret, SigningSecrets};

/// A tenant's secrets as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantSecrets {
    /// What its subscriptions may sign with.
    pub secrets: SigningSecrets,
    /// The guard against lost updates.
    pub version: i64,
}

/// What became of secrets that were to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They stand; these subscriptions sign with them.
    By(Vec<SubscriptionId>),
    /// Others stood there than were read.
    Overtaken,
}

/// What sealing all secrets anew came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Values sealed with the first master key just now.
    pub sealed: u64,
    /// Values that were so already.
    pub current: u64,
}

impl Resealed {
    pub(super) fn count(&mut self, values: &[&Option<String>]) {
        for value in values {
            match value {
                Some(_) => self.sealed += 1,
                None => self.current += 1,
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StoredSecret {
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

impl Drop for StoredSecret {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

pub(super) const SECRET: &str = "subscriptions.secret";
pub(super) const HEADERS: &str = "subscriptions.headers";
const TENANT: &str = "tenant_secrets.secrets";

/// Where a tenant's secrets lie.
pub(super) fn of_tenant(tenant: &str) -> Label<'_> {
    Label {
        kind: TENANT,
        owner: tenant,
    }
}

/// Secrets as they are stored.
pub(super) fn sealed(
    secrets: &SigningSecrets,
    label: Label<'_>,
    secret_box: &SecretBox,
) -> Result<String> {
    let stored = secrets.stored().iter().map(|live| StoredSecret {
        secret: live.secret.expose().to_owned(),
        until: live.until.map(Timestamp::as_micros),
    });
    let plain = Zeroizing::new(codec::json(&stored.collect::<Vec<_>>())?);
    secret_box.seal(label, &plain)
}

/// The secrets behind [`sealed`].
pub(super) fn opened(
    stored: &str,
    label: Label<'_>,
    secret_box: &SecretBox,
) -> Result<SigningSecrets> {
    let plain = secret_box.open(label, stored)?;
    let unread = |_| codec::damaged(label);
    if !plain.starts_with('[') {
        // A row of before there could be several.
        let only = SigningSecret::from_stored(&plain).map_err(unread)?;
        return Ok(SigningSecrets::only(only));
    }
    let stored: Vec<StoredSecret> = codec::parsed(&plain)?;
    let secrets = stored.into_iter().map(|stored| {
        Ok(LiveSecret {
            secret: SigningSecret::from_stored(&stored.secret).map_err(unread)?,
            until: stored.until.map(Timestamp::from_micros),
        })
    });
    let secrets = secrets.collect::<Result<Vec<_>>>()?;
    SigningSecrets::from_stored(secrets).ok_or_else(|| codec::damaged(label))
}

/// Sealing anew needs something to seal with.
pub(super) fn check_encrypts(secret_box: &SecretBox) -> Result<()> {
    match secret_box.encrypts() {
        true => Ok(()),
        false => Err(StoreError::Refused(
            "secrets.master_keys is empty: there is nothing to encrypt with".to_owned(),
        )),
    }
}
