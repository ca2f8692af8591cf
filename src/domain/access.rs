//! Who calls, and what they may do.
//!
//! A caller has scopes, and perhaps a tenant. The scopes say which routes answer at all; the
//! tenant says what of it all is there for them: what belongs to another does not exist.

use std::sync::Arc;

/// What a key may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Post events.
    EventsWrite,
    /// Look at events.
    EventsRead,
    /// Look at subscriptions.
    SubscriptionsRead,
    /// Make, change and delete subscriptions, and see their secrets.
    SubscriptionsWrite,
    /// Look at deliveries and attempts.
    DeliveriesRead,
    /// Send deliveries again, or end them.
    DeliveriesWrite,
    /// Everything, and the administration of the relay itself.
    Admin,
}

impl Scope {
    /// Every scope, for parsers and exhaustive tests.
    pub const ALL: [Self; 7] = [
        Self::EventsWrite,
        Self::EventsRead,
        Self::SubscriptionsRead,
        Self::SubscriptionsWrite,
        Self::DeliveriesRead,
        Self::DeliveriesWrite,
        Self::Admin,
    ];

    /// The word used in tables, requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::EventsRead => "events:read",
            Self::SubscriptionsRead => "subscriptions:read",
            Self::SubscriptionsWrite => "subscriptions:write",
            Self::DeliveriesRead => "deliveries:read",
            Self::DeliveriesWrite => "deliveries:write",
            Self::Admin => "admin",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes. `admin` contains all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether it allows this.
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// The scopes that were given, in their order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        let given = move |scope: &Scope| self.0 & scope.bit() != 0;
        Scope::ALL.into_iter().filter(given)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// Whoever made a request, as its key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key's name, for people and the audit log.
    pub name: Arc<str>,
    /// What they may do.
    pub scopes: Scopes,
    /// Whose things they see; all things where there is none.
    pub tenant: Option<Arc<str>>,
}

impl Caller {
    /// Whoever has the admin key of the settings.
    pub fn admin() -> Self {
        Self {
            name: "admin".into(),
            scopes: [Scope::Admin].into_iter().collect(),
            tenant: None,
        }
    }

    /// Whether what belongs to this tenant, or to none, exists for them.
    pub fn sees(&self, tenant: Option<&str>) -> bool {
        self.tenant.is_none() || self.tenant.as_deref() == tenant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_contains_every_other_scope_and_no_other_does() {
        for given in Scope::ALL {
            let scopes: Scopes = [given].into_iter().collect();
            for asked in Scope::ALL {
                let expected = given == asked || given == Scope::Admin;
                assert_eq!(scopes.allow(asked), expected, "{given:?} {asked:?}");
            }
            assert_eq!(scopes.iter().collect::<Vec<_>>(), [given]);
            assert_eq!(Scope::parse(given.as_str()), Some(given));
        }
        assert!(!Scopes::default().allow(Scope::EventsRead));
    }

    #[test]
    fn a_tenants_caller_sees_its_own_alone() {
        let mut caller = Caller::admin();
        assert!(caller.sees(None) && caller.sees(Some("a")));
        caller.tenant = Some("a".into());
        assert!(caller.sees(Some("a")));
        assert!(!caller.sees(Some("b")) && !caller.sees(None));
    }
}
