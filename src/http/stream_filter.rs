//! What a stream shows to whom.

use std::sync::Arc;

use axum::http::StatusCode;

use super::HttpState;
use super::belonging;
use super::error::{ApiError, Result};
use super::paging::Query;
use crate::domain::access::{Caller, Scope};
use crate::domain::id::SubscriptionId;
use crate::stream::{Fact, Kind};

/// What one caller asked to be shown, as far as they may see it.
pub struct Filter {
    caller: Arc<Caller>,
    kinds: Vec<Kind>,
    subscription: Option<SubscriptionId>,
}

impl Filter {
    /// Reads `types` and `subscriptionId`.
    pub async fn read(app: &HttpState, caller: Arc<Caller>, raw: Option<&str>) -> Result<Self> {
        let mut query = Query::of(raw, &["types", "subscriptionId", "webhookId"]);
        let all = Kind::ALL.map(Kind::as_str).join(", ");
        let asked = query.parsed(&["types"], &format!("one or more of {all}"), |list| {
            list.split(',')
                .map(|word| Kind::parse(word.trim()))
                .collect()
        });
        let subscription = query.id(&["subscriptionId", "webhookId"]);
        query.done()?;
        let kinds = kinds(&caller, asked, subscription.is_some())?;
        if let Some(id) = subscription {
            belonging::subscription(app, &caller, id).await?;
        }
        Ok(Self {
            caller,
            kinds,
            subscription,
        })
    }

    /// Whether a fact is shown.
    pub fn shows(&self, fact: &Fact) -> bool {
        if fact.kind.scope().is_none() {
            return true;
        }
        self.kinds.contains(&fact.kind)
            && self.caller.sees(fact.tenant.as_deref())
            && self
                .subscription
                .is_none_or(|wanted| fact.subscription == Some(wanted))
    }
}

/// What is shown of what was asked for. What was named and may not be seen is refused; a stream on
/// which nothing would ever be shown as well.
fn kinds(caller: &Caller, asked: Option<Vec<Kind>>, of_one: bool) -> Result<Vec<Kind>> {
    let lacks = |scope: &Scope| !caller.scopes.allow(*scope);
    let is_named = asked.is_some();
    let mut kinds = asked.unwrap_or_else(|| Kind::ALL.to_vec());
    if is_named && let Some(lacking) = kinds.iter().filter_map(|kind| kind.scope()).find(lacks) {
        return Err(forbidden(format!(
            "This key lacks the scope {}, which it takes to be shown these types",
            lacking.as_str()
        )));
    }
    // Events are of no subscription.
    kinds.retain(|kind| {
        let is_of_one = *kind != Kind::EventAccepted;
        kind.scope().is_some_and(|scope| !lacks(&scope)) && (is_of_one || !of_one)
    });
    match kinds.is_empty() {
        false => Ok(kinds),
        true => Err(forbidden(
            "Nothing of one subscription can be shown to this key: it lacks the scopes \
             deliveries:read and subscriptions:read, or only event.accepted was asked for, which \
             is of no subscription",
        )),
    }
}

fn forbidden(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(scopes: &[Scope]) -> Caller {
        Caller {
            scopes: scopes.iter().copied().collect(),
            ..Caller::admin()
        }
    }

    #[test]
    fn what_is_shown_follows_from_the_scopes_and_from_what_is_asked_for() {
        let events = caller(&[Scope::EventsRead]);
        assert_eq!(kinds(&events, None, false).unwrap(), [Kind::EventAccepted]);
        let all = kinds(&Caller::admin(), None, false).unwrap();
        assert_eq!(all, Kind::ALL);
        let of_one = kinds(&Caller::admin(), None, true).unwrap();
        assert_eq!(of_one, Kind::ALL[1..]);
        let both = caller(&[Scope::EventsRead, Scope::SubscriptionsRead]);
        let states = [
            Kind::EventAccepted,
            Kind::SubscriptionChanged,
            Kind::SubscriptionHeld,
            Kind::BreakerChanged,
        ];
        assert_eq!(kinds(&both, None, false).unwrap(), states);
        let asked = Some(vec![Kind::BreakerChanged]);
        assert_eq!(kinds(&both, asked, true).unwrap(), [Kind::BreakerChanged]);
        for (asked, of_one) in [
            (
                Some(vec![Kind::EventAccepted, Kind::AttemptRecorded]),
                false,
            ),
            (Some(vec![Kind::EventAccepted]), true),
            (None, true),
        ] {
            let refused = kinds(&events, asked, of_one).unwrap_err();
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        }
    }
}
