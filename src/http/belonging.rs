//! What exists for a caller: everything, or what is its tenant's.
//!
//! What is another's is answered as what is not there: single things with 404, lists without
//! them. A filter that names another tenant finds nothing.

use super::HttpState;
use super::error::{ApiError, Result};
use crate::domain::access::Caller;
use crate::domain::id::{DeliveryId, EventId, JobId, SubscriptionId};
use crate::domain::job::Job;
use crate::domain::subscription::{Subscription, SubscriptionState};
use crate::store::{DeliveryFilter, DeliveryRow, Page, PageRequest};

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
    let seen = delivery_seen(app, caller, id).await?;
    seen.ok_or_else(|| ApiError::not_found("delivery"))
}

/// The same where it need not be there.
pub async fn delivery_seen(
    app: &HttpState,
    caller: &Caller,
    id: DeliveryId,
) -> Result<Option<DeliveryRow>> {
    match app.store.delivery(id).await? {
        Some(row) if is_of(app, caller, row.subscription_id).await? => Ok(Some(row)),
        _ => Ok(None),
    }
}

/// Whether this caller may know that an event of that tenant, or of none, is there: it is its own,
/// or has no tenant and was, or will be, sent to the caller's.
pub async fn event_is_known(
    app: &HttpState,
    caller: &Caller,
    id: EventId,
    tenant: Option<&str>,
) -> Result<bool> {
    if tenant.is_some() || caller.sees(None) {
        return Ok(caller.sees(tenant));
    }
    let filter = DeliveryFilter {
        event: Some(id),
        tenant: caller.tenant.as_deref().map(str::to_owned),
        ..DeliveryFilter::default()
    };
    let first = PageRequest {
        limit: 1,
        after: None,
        offset: 0,
    };
    let found = app.store.list_deliveries(&filter, &first).await?;
    Ok(!found.rows.is_empty())
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
