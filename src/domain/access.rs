//! Who calls, and what they may do.
//!
//! A caller has scopes, and perhaps a tenant. The scopes say which routes answer at all; the
//! tenant says what of it all is there for them: what belongs to another does not exist.

use std::sync::Arc;

use super::id::{ApiKeyId, SessionId, UserId};

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

    /// Whether it allows to look and to change nothing.
    pub fn only_looks(self) -> bool {
        self.as_str().ends_with(":read")
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

    /// Whether it allows all that those allow.
    pub fn contain(self, others: Self) -> bool {
        others.iter().all(|scope| self.allow(scope))
    }

    /// Whether it allows nothing.
    pub fn is_empty(self) -> bool {
        self.0 == 0
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

/// A name for the scopes that a kind of caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Posts events, and looks at what became of them.
    Service,
    /// Looks after its own subscriptions and deliveries.
    Client,
    /// Everything.
    Admin,
}

impl Preset {
    /// Every preset, for parsers.
    pub const ALL: [Self; 3] = [Self::Service, Self::Client, Self::Admin];

    /// The word used in requests and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Client => "client",
            Self::Admin => "admin",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == word)
    }

    /// What it stands for.
    pub fn scopes(self) -> Scopes {
        let scopes: &[Scope] = match self {
            Self::Service => &[Scope::EventsWrite, Scope::EventsRead],
            Self::Client => &[
                Scope::EventsRead,
                Scope::SubscriptionsRead,
                Scope::SubscriptionsWrite,
                Scope::DeliveriesRead,
                Scope::DeliveriesWrite,
            ],
            Self::Admin => &[Scope::Admin],
        };
        scopes.iter().copied().collect()
    }
}

/// Whoever made a request, as its key or its session says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Which key; none for a user, and for the admin key of the settings.
    pub key: Option<ApiKeyId>,
    /// Which user; none for a key.
    pub user: Option<UserId>,
    /// In which session; none where the key itself was shown.
    pub session: Option<SessionId>,
    /// The key's name or the user's e-mail address, for people and the audit log.
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
            key: None,
            user: None,
            session: None,
            name: "admin".into(),
            scopes: [Scope::Admin].into_iter().collect(),
            tenant: None,
        }
    }

    /// Whether what belongs to this tenant, or to none, exists for them.
    pub fn sees(&self, tenant: Option<&str>) -> bool {
        self.tenant.is_none() || self.tenant.as_deref() == tenant
    }

    /// Whether they administer the relay itself, and not one tenant's part of it.
    pub fn administers_all(&self) -> bool {
        self.scopes.allow(Scope::Admin) && self.tenant.is_none()
    }

    /// Whether they may make a key with these scopes and this tenant: nobody gives more than they
    /// have, and what a tenant's caller gives is that tenant's.
    pub fn may_grant(&self, scopes: Scopes, tenant: Option<&str>) -> bool {
        self.scopes.contain(scopes) && self.sees(tenant)
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

    #[test]
    fn nobody_grants_more_than_they_have() {
        let (service, client) = (Preset::Service.scopes(), Preset::Client.scopes());
        let admin = Caller::admin();
        for preset in Preset::ALL {
            assert_eq!(Preset::parse(preset.as_str()), Some(preset));
            assert!(admin.may_grant(preset.scopes(), None));
            assert!(admin.may_grant(preset.scopes(), Some("a")));
        }
        let tenants = Caller {
            tenant: Some("a".into()),
            ..Caller::admin()
        };
        assert!(admin.administers_all() && !tenants.administers_all());
        assert!(tenants.may_grant(client, Some("a")));
        assert!(!tenants.may_grant(client, None) && !tenants.may_grant(client, Some("b")));
        let small = Caller {
            scopes: service,
            ..Caller::admin()
        };
        assert!(small.may_grant([Scope::EventsRead].into_iter().collect(), None));
        assert!(!small.may_grant(client, None) && !small.administers_all());
        assert!(!small.may_grant(Preset::Admin.scopes(), None));
    }
}
