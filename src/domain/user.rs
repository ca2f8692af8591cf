//! Users: people who sign in. A role is a name for a set of the scopes that keys have.
//!
//! Passwords follow NIST SP 800-63B: long, whatever they are made of, and neither the address nor
//! the name of their owner.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Timestamp;
use super::access::{Scope, Scopes};
use super::id::UserId;

/// Characters of an address at most (RFC 5321, with what delimits it taken off).
pub const MAX_EMAIL: usize = 254;
/// Characters that a password may have.
pub const PASSWORD_LENGTHS: RangeInclusive<usize> = 12..=256;
/// Places that a user is known to sign in from; older ones are forgotten.
pub const MOST_PLACES: usize = 8;

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything.
    Admin,
    /// Everything but the administration of the relay itself.
    Operator,
    /// Look, and change nothing.
    Viewer,
}

impl Role {
    /// Every role, for parsers and exhaustive tests.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Operator, Self::Viewer];

    /// The word used in tables, requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// What it stands for.
    pub fn scopes(self) -> Scopes {
        let has = |scope: &Scope| match self {
            Self::Admin => true,
            Self::Operator => *scope != Scope::Admin,
            Self::Viewer => scope.only_looks(),
        };
        Scope::ALL.into_iter().filter(has).collect()
    }
}

/// A password as it is kept: in the form that PHC describes, with how it was hashed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// As it is stored.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// For who stores or checks it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(********)")
    }
}

/// A user as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// By which it is administered.
    pub id: UserId,
    /// By which they sign in, in small letters: two that differ in them alone are one.
    pub email: Arc<str>,
    /// For people.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// Since when they may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// None where they were invited and have not come yet.
    pub password: Option<PasswordHash>,
    /// Networks that they signed in from, the latest first.
    pub places: Vec<IpAddr>,
    /// When they signed in last.
    pub signed_in_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When name, role or state changed last.
    pub updated_at: Timestamp,
    /// Of the accounts, when it was changed last; also the guard against lost updates.
    pub version: i64,
}

/// Whether a user can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserState {
    /// They can.
    Active,
    /// They have no password yet.
    Invited,
    /// An administrator keeps them out.
    Disabled,
}

impl UserState {
    /// Every state, for parsers.
    pub const ALL: [Self; 3] = [Self::Active, Self::Invited, Self::Disabled];

    /// The word used in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Invited => "invited",
            Self::Disabled => "disabled",
        }
    }
}

impl User {
    /// Whether they can sign in.
    pub fn state(&self) -> UserState {
        match (self.disabled_at, &self.password) {
            (Some(_), _) => UserState::Disabled,
            (None, None) => UserState::Invited,
            (None, Some(_)) => UserState::Active,
        }
    }

    /// Whether they signed in from there before.
    pub fn knows(&self, place: IpAddr) -> bool {
        self.places.contains(&place)
    }

    /// The places with this one as the latest.
    pub fn places_with(&self, place: IpAddr) -> Vec<IpAddr> {
        let others = self.places.iter().copied().filter(|one| *one != place);
        std::iter::once(place)
            .chain(others)
            .take(MOST_PLACES)
            .collect()
    }
}

/// An address as it is kept. `Err` says what is wrong with it.
pub fn email(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
    let parts = text.split_once('@');
    let is_address = parts.is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    });
    if !is_address || !text.chars().all(is_plain) {
        return Err("must be an e-mail address, such as ada@example.com".to_owned());
    }
    if text.chars().count() > MAX_EMAIL {
        return Err(format!("must have at most {MAX_EMAIL} characters"));
    }
    Ok(text.to_lowercase())
}

/// Says what is wrong with a password of that user, if anything.
pub fn check_password(password: &str, email: &str, name: &str) -> Result<(), String> {
    let length = password.chars().count();
    if !PASSWORD_LENGTHS.contains(&length) {
        let (low, high) = (PASSWORD_LENGTHS.start(), PASSWORD_LENGTHS.end());
        return Err(format!(
            "must have {low} to {high} characters, whichever they are"
        ));
    }
    let plain = password.trim().to_lowercase();
    let local = email.split_once('@').map_or(email, |(local, _)| local);
    let own = [
        email.to_lowercase(),
        local.to_lowercase(),
        name.trim().to_lowercase(),
    ];
    if own.contains(&plain) {
        return Err("must be more than the e-mail address or the name".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> User {
        User {
            id: UserId(uuid::Uuid::nil()),
            email: "ada@example.com".into(),
            name: "Ada".into(),
            role: Role::Admin,
            disabled_at: None,
            password: Some(PasswordHash::from_stored("hunter2".to_owned())),
            places: Vec::new(),
            signed_in_at: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            version: 1,
        }
    }

    #[test]
    fn roles_are_sets_of_scopes_each_within_the_one_above() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        let [admin, operator, viewer] = Role::ALL.map(Role::scopes);
        assert_eq!(admin.iter().count(), Scope::ALL.len());
        assert!(!operator.allow(Scope::Admin) && operator.allow(Scope::DeliveriesWrite));
        assert_eq!(operator.iter().count(), Scope::ALL.len() - 1);
        assert!(admin.contain(operator) && operator.contain(viewer));
        assert!(viewer.iter().all(|scope| scope.as_str().ends_with(":read")));
        assert_eq!(viewer.iter().count(), 3);
    }

    #[test]
    fn an_address_is_one_whatever_the_case() {
        assert_eq!(email(" Ada@Example.COM ").unwrap(), "ada@example.com");
        let long = format!("{}@x", "a".repeat(253));
        for bad in ["", "ada", "@x", "ada@", "a@b@c", "a b@c", "a\n@c", &long] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn passwords_are_long_and_not_their_owner() {
        let check = |password| check_password(password, "ada@example.com", "Ada Lovelace I");
        let longest = "x".repeat(256);
        for good in ["correct horse", "            ", "ééééééééééééé", &longest] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, named) in [
            ("elevenchars", "12 to 256"),
            ("éééééé", "12 to 256"),
            (&*"x".repeat(257), "12 to 256"),
            ("ADA@example.com", "more than"),
            (" ada lovelace i ", "more than"),
        ] {
            assert!(check(bad).unwrap_err().contains(named), "{bad}");
        }
        let local = check_password("a.long.local.part", "a.long.local.part@x", "n");
        assert!(local.is_err());
    }

    #[test]
    fn a_user_is_invited_then_active_and_may_be_disabled() {
        let mut user = user();
        assert_eq!(user.state(), UserState::Active);
        assert!(!format!("{user:?}").contains("hunter2"));
        user.password = None;
        assert_eq!(user.state(), UserState::Invited);
        user.disabled_at = Some(Timestamp::default());
        assert_eq!(user.state(), UserState::Disabled);
    }

    #[test]
    fn the_latest_places_are_known() {
        let mut user = user();
        let place = |number: u8| IpAddr::from([10, 0, 0, number]);
        for number in 0..=8 {
            user.places = user.places_with(place(number));
        }
        assert_eq!(user.places.len(), MOST_PLACES);
        assert!(user.knows(place(8)) && user.knows(place(1)) && !user.knows(place(0)));
        assert_eq!(user.places_with(place(3))[..2], [place(3), place(8)]);
    }
}
