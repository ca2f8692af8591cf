//! Reading users, and changes of them, from a request's body.

use zeroize::Zeroizing;

use super::error::Fault;
use super::json_fields::Fields;
use super::sign_in_input::{email, secret};
use crate::domain::Timestamp;
use crate::domain::user::{Role, User};

/// Shown by our answers, set by nobody.
const READ_ONLY: [&str; 5] = ["id", "state", "lastSignInAt", "createdAt", "updatedAt"];

/// A new user.
pub struct NewUser {
    /// By which they sign in.
    pub email: String,
    /// For people.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// None: they are invited.
    pub password: Option<Zeroizing<String>>,
}

impl NewUser {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Vec<Fault>> {
        let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
        for name in ["email", "role"] {
            if fields.lacks(name) {
                fields.fault(name, "is required");
            }
        }
        let email = email(&mut fields);
        let name = fields.nullable("name", Fields::text).flatten();
        let role = read_role(&mut fields);
        let password = fields.nullable("password", secret).flatten();
        match (fields.finish(), email, role) {
            (faults, Some(email), Some(role)) if faults.is_empty() => Ok(Self {
                name: name.unwrap_or_else(|| email.clone()),
                email,
                role,
                password,
            }),
            (faults, ..) => Err(faults),
        }
    }
}

/// A change of a user; absent means "leave as it is".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserChange {
    name: Option<String>,
    role: Option<Role>,
    disabled: Option<bool>,
}

impl UserChange {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Vec<Fault>> {
        let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
        if fields.take("email").is_some() {
            fields.fault("email", "cannot be changed: make another user");
        }
        let change = Self {
            name: fields.text("name"),
            role: read_role(&mut fields),
            disabled: fields.flag("disabled"),
        };
        fields.pass_over(&READ_ONLY);
        match fields.finish() {
            faults if faults.is_empty() => Ok(change),
            faults => Err(faults),
        }
    }

    /// `stored` with this merged in.
    pub fn merged_into(&self, stored: &User, now: Timestamp) -> User {
        let name = self.name.as_deref();
        let disabled_at = match self.disabled {
            None => stored.disabled_at,
            Some(false) => None,
            Some(true) => stored.disabled_at.or(Some(now)),
        };
        let next = User {
            name: name.map_or_else(|| stored.name.clone(), Into::into),
            role: self.role.unwrap_or(stored.role),
            disabled_at,
            ..stored.clone()
        };
        match next == *stored {
            true => next,
            false => User {
                updated_at: now,
                ..next
            },
        }
    }
}

/// A password, or none: then a link is made.
pub fn password(body: &[u8]) -> Result<Option<Zeroizing<String>>, Vec<Fault>> {
    let mut fields = Fields::of_body_or_none(body).map_err(|fault| vec![fault])?;
    let password = fields.nullable("password", secret).flatten();
    match fields.finish() {
        faults if faults.is_empty() => Ok(password),
        faults => Err(faults),
    }
}

fn read_role(fields: &mut Fields) -> Option<Role> {
    let given = fields.take("role")?;
    let role = given.as_str().and_then(Role::parse);
    if role.is_none() {
        let words = Role::ALL.map(Role::as_str).join(", ");
        fields.fault("role", format!("must be one of {words}"));
    }
    role
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::id::UserId;

    fn user() -> User {
        User {
            id: UserId(uuid::Uuid::nil()),
            email: "a@b".into(),
            name: "A".into(),
            role: Role::Viewer,
            disabled_at: None,
            password: None,
            places: Vec::new(),
            signed_in_at: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            version: 3,
        }
    }

    #[test]
    fn a_new_user_has_an_address_and_a_role() {
        let read = |body: Value| NewUser::parse(body.to_string().as_bytes());
        let bare = read(json!({"email": "A@b", "role": "viewer", "name": null}))
            .ok()
            .unwrap();
        assert_eq!((&*bare.email, &*bare.name), ("a@b", "a@b"));
        assert!(bare.password.is_none());
        for (body, named) in [
            (json!({}), "email is required; role is required"),
            (json!({"email": "x", "role": "viewer"}), "e-mail address"),
            (
                json!({"email": "a@b", "role": "root"}),
                "admin, operator, viewer",
            ),
            (
                json!({"email": "a@b", "role": "viewer", "name": ""}),
                "name must be",
            ),
            (
                json!({"email": "a@b", "role": "viewer", "password": 7}),
                "password must be a text",
            ),
            (
                json!({"email": "a@b", "role": "viewer", "more": 7}),
                "email, name, role, password",
            ),
        ] {
            let faults = super::super::error::in_one_line(&read(body.clone()).err().unwrap());
            assert!(faults.contains(named), "{body}: {faults}");
        }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let read = |body: Value| UserChange::parse(body.to_string().as_bytes());
        let now = Timestamp::from_micros(5);
        let stored = user();
        let same = read(json!({"id": "x", "state": "y", "disabled": false})).unwrap();
        assert_eq!(same.merged_into(&stored, now), stored);
        let change = read(json!({"role": "admin", "disabled": true})).unwrap();
        let changed = change.merged_into(&stored, now);
        assert_eq!(
            (changed.role, changed.disabled_at),
            (Role::Admin, Some(now))
        );
        assert_eq!((changed.updated_at, changed.version), (now, 3));
        let later = Timestamp::from_micros(9);
        assert_eq!(change.merged_into(&changed, later).disabled_at, Some(now));
        let refused = read(json!({"email": "c@d"})).unwrap_err();
        assert!(refused[0].message.contains("cannot be changed"));
    }

    #[test]
    fn a_password_is_given_or_a_link_is_made() {
        for nothing in ["", "null", "{}", r#"{"password": null}"#] {
            assert!(
                matches!(password(nothing.as_bytes()), Ok(None)),
                "{nothing}"
            );
        }
        let given = password(br#"{"password": "p"}"#).unwrap();
        assert_eq!(given.as_deref().map(String::as_str), Some("p"));
        assert!(password(br#"{"pasword": "p"}"#).is_err());
    }
}
