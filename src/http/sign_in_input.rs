//! Reading what somebody signs in with from a request's body. Secrets are wiped once they are used.

use serde_json::Value;
use zeroize::Zeroizing;

use super::error::Fault;
use super::json_fields::Fields;
use crate::domain::user;

/// What somebody signs in with.
pub enum SignIn {
    /// An e-mail address and a password.
    Password(String, Zeroizing<String>),
    /// A key.
    Key(Zeroizing<String>),
}

/// A link that somebody uses, and what they say of themselves.
pub struct Link {
    /// The token in the link.
    pub token: Zeroizing<String>,
    /// Who they are, where nobody knows yet.
    pub email: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// From now on.
    pub password: Zeroizing<String>,
}

/// A change of one's own password.
pub struct NewPassword {
    /// The one until now.
    pub current: Zeroizing<String>,
    /// From now on.
    pub password: Zeroizing<String>,
}

impl SignIn {
    /// Reads a body: an address and a password, or a key.
    pub fn parse(body: &[u8]) -> Result<Self, Vec<Fault>> {
        let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
        let by_key = !fields.lacks("key");
        for name in ["email", "password"] {
            match (by_key, fields.lacks(name)) {
                (true, false) => fields.fault(name, "cannot stand beside key"),
                (false, true) => fields.fault(name, "is required where there is no key"),
                (true, true) | (false, false) => {}
            }
        }
        let email = fields.text("email");
        let password = secret(&mut fields, "password");
        let key = secret(&mut fields, "key");
        match (fields.finish(), key, email, password) {
            (faults, Some(key), ..) if faults.is_empty() => Ok(Self::Key(key)),
            (faults, None, Some(email), Some(password)) if faults.is_empty() => {
                Ok(Self::Password(email, password))
            }
            (faults, ..) => Err(faults),
        }
    }
}

impl Link {
    /// Reads a body; who sets the relay up says who they are.
    pub fn parse(body: &[u8], of_first_user: bool) -> Result<Self, Vec<Fault>> {
        let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
        let token = required(&mut fields, "token");
        let email = match of_first_user {
            true => {
                if fields.lacks("email") {
                    fields.fault("email", "is required");
                }
                email(&mut fields)
            }
            false => None,
        };
        let name = fields.nullable("name", Fields::text).flatten();
        let password = required(&mut fields, "password");
        match (fields.finish(), token, password) {
            (faults, Some(token), Some(password)) if faults.is_empty() => Ok(Self {
                token,
                email,
                name,
                password,
            }),
            (faults, ..) => Err(faults),
        }
    }
}

impl NewPassword {
    /// Reads a body.
    pub fn parse(body: &[u8]) -> Result<Self, Vec<Fault>> {
        let mut fields = Fields::of_body(body).map_err(|fault| vec![fault])?;
        let current = required(&mut fields, "current");
        let password = required(&mut fields, "password");
        match (fields.finish(), current, password) {
            (faults, Some(current), Some(password)) if faults.is_empty() => {
                Ok(Self { current, password })
            }
            (faults, ..) => Err(faults),
        }
    }
}

/// An e-mail address, as users are kept by.
pub fn email(fields: &mut Fields) -> Option<String> {
    let given = fields.any_text("email")?;
    match user::email(&given) {
        Ok(email) => Some(email),
        Err(problem) => {
            fields.fault("email", problem);
            None
        }
    }
}

fn required(fields: &mut Fields, name: &'static str) -> Option<Zeroizing<String>> {
    if fields.lacks(name) {
        fields.fault(name, "is required");
    }
    secret(fields, name)
}

/// A text that is not repeated, whatever is wrong with it.
pub fn secret(fields: &mut Fields, name: &'static str) -> Option<Zeroizing<String>> {
    match fields.take(name)? {
        Value::String(text) => Some(Zeroizing::new(text)),
        _ => {
            fields.fault(name, "must be a text");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(faults: &[Fault]) -> String {
        super::super::error::in_one_line(faults)
    }

    #[test]
    fn somebody_signs_in_with_one_or_the_other() {
        let read = |body: Value| SignIn::parse(body.to_string().as_bytes());
        let Ok(SignIn::Password(email, password)) = read(json!({"email": "a@b", "password": "p"}))
        else {
            panic!("an address and a password");
        };
        assert_eq!((&*email, &**password), ("a@b", "p"));
        assert!(matches!(read(json!({"key": "k"})), Ok(SignIn::Key(key)) if &**key == "k"));
        for (body, named) in [
            (json!({}), "email is required"),
            (json!({"email": "a@b"}), "password is required"),
            (
                json!({"email": "a@b", "password": 7}),
                "password must be a text",
            ),
            (
                json!({"key": "k", "email": "a@b"}),
                "email cannot stand beside",
            ),
            (json!({"key": null}), "key must be a text"),
            (json!({"key": "k", "more": 1}), "email, password, key"),
            (json!([]), "must be an object"),
        ] {
            let faults = shown(&read(body.clone()).err().unwrap());
            assert!(faults.contains(named), "{body}: {faults}");
        }
    }

    #[test]
    fn a_link_is_used_by_whom_it_is_for() {
        let read = |body: Value, first| Link::parse(body.to_string().as_bytes(), first);
        let setup = json!({"token": "t", "email": " A@B ", "name": "A", "password": "p"});
        let link = read(setup.clone(), true).ok().unwrap();
        assert_eq!(link.email.as_deref(), Some("a@b"));
        let faults = shown(&read(setup, false).err().unwrap());
        assert!(faults.contains("email is not known here"), "{faults}");
        let bare = json!({"token": "t", "password": "p", "name": null});
        assert!(read(bare.clone(), false).is_ok());
        let faults = shown(&read(bare, true).err().unwrap());
        assert_eq!(faults, "email is required");
    }

    #[test]
    fn no_fault_repeats_a_secret() {
        let body = json!({"current": ["hunter2"], "password": {"hunter2": 1}});
        let faults = NewPassword::parse(body.to_string().as_bytes());
        let faults = shown(&faults.err().unwrap());
        assert!(
            !faults.contains("hunter2") && faults.contains("current must be"),
            "{faults}"
        );
    }
}
