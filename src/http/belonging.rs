//! What exists for a caller: everything, or what is its tenant's.
//!
//! What is another's is answered as what is not there: single things with 404, lists without
//! them. A filter that names another tenant finds nothing.

use super::HttpState;
use super::error::{ApiError, Result};
use crate::domain::access::Caller;
use crate::domain::id::{DeliveryId, JobId, SubscriptionId};
use crate::domain::job::Job;
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::store::{DeliveryRow, Page};

/// What a list holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// What is of this tenant; everything where there is none.
    Of(Option<String>),
    /// Nothing: another tenant was named.
    Nothing,
}

impl Listed {
    /// For a caller who named that tenant, or none.
    pub fn for_caller(caller: &Caller, named: Option<String>) -> Self {
        match &caller.tenant {
            None => Self::Of(named),
            Some(own) if named.is_none_or(|named| *named == **own) => {
                Self::Of(Some(own.to_string()))
            }
            Some(_) => Self::Nothing,
        }
    }
}

/// A page of nothing.
pub fn empty<T>() -> Page<T> {
    Page {
        rows: Vec::new(),
        next: None,
        partial: false,
    }
}

/// A subscription that exists for this caller and is not deleted.
pub async fn subscription(
    app: &HttpState,
    caller: &Caller,
    id: SubscriptionId,
) -> Result<Subscription> {
    let found = subscription_or_tombstone(app, caller, id).await?;
    match found.state {
        SubscriptionState::Deleted => Err(ApiError::not_found("subscription")),
        _ => Ok(found),
    }
}

/// A subscription that exists for this caller, or did.
pub async fn subscription_or_tombstone(
    app: &HttpState,
    caller: &Caller,
    id: SubscriptionId,
) -> Result<Subscription> {
    let found = app.store.subscription(id).await?;
    found
        .filter(|found| caller.sees(found.tenant.as_deref()))
        .ok_or_else(|| ApiError::not_found("subscription"))
}

/// A delivery that exists for this caller: it belongs where its subscription does.
pub async fn delivery(app: &HttpState, caller: &Caller, id: DeliveryId) -> Result<DeliveryRow> {
    let row = app.store.delivery(id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("delivery"))?;
    match is_of(app, caller, row.subscription_id).await? {
        true => Ok(row),
        false => Err(ApiError::not_found("delivery")),
    }
}

/// A job that exists for this caller: it belongs where its subscription does.
pub async fn job(app: &HttpState, caller: &Caller, id: JobId) -> Result<Job> {
    let job = app.store.job(id).await?;
    let job = job.ok_or_else(|| ApiError::not_found("job"))?;
    match is_of(app, caller, job.subscription_id).await? {
        true => Ok(job),
        false => Err(ApiError::not_found("job")),
    }
}

async fn is_of(app: &HttpState, caller: &Caller, id: SubscriptionId) -> Result<bool> {
    if caller.tenant.is_none() {
        return Ok(true);
    }
    let subscription = app.store.subscription(id).await?;
    Ok(subscription.is_some_and(|found| caller.sees(found.tenant.as_deref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_lists_hold_its_own() {
        let named = |text: &str| Some(text.to_owned());
        let mut caller = Caller::admin();
        assert_eq!(Listed::for_caller(&caller, None), Listed::Of(None));
        let of_a = Listed::Of(named("a"));
        assert_eq!(Listed::for_caller(&caller, named("a")), of_a);
        caller.tenant = Some("a".into());
        assert_eq!(Listed::for_caller(&caller, None), of_a);
        assert_eq!(Listed::for_caller(&caller, named("a")), of_a);
        assert_eq!(Listed::for_caller(&caller, named("b")), Listed::Nothing);
    }
}
