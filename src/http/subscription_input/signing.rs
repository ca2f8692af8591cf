//! Reading how deliveries are signed: own signature headers, secrets and whose they are.

use serde_json::Value;

use super::Fields;
use crate::domain::own_signature::{
    Encoding, LONGEST_PREFIX, MOST_OWN, Mode, OwnSignature, OwnSignatures, Signed,
};
use crate::domain::signature::{Scheme, SigningSecret};
use crate::domain::signing::SecretOwner;
use crate::http::own_headers::{BODY_SIGNATURE, BODY_TIMESTAMP, check_signature_name};
use crate::http::text;

/// What a body says about secrets.
#[derive(Clone, Debug, Default)]
pub struct SecretInput {
    /// The secret itself, made elsewhere.
    pub secret: Option<SigningSecret>,
    /// Of which kind it is to be.
    pub scheme: Option<Scheme>,
    /// Whose secrets sign.
    pub owner: Option<SecretOwner>,
}

impl SecretInput {
    /// Reads the fields of a new subscription or of a rotation that are about the secret.
    pub fn read(fields: &mut Fields) -> Self {
        let secret = fields.nullable("secret", read_secret).flatten();
        let scheme = fields.nullable("signing", read_scheme).flatten();
        if secret.is_some() && scheme == Some(Scheme::Ed25519) {
            fields.fault("secret", "cannot be given: key pairs are made here");
        }
        Self {
            secret,
            scheme,
            owner: None,
        }
    }

    /// The secret that it asks for; one of the `usual` kind where it does not say.
    pub fn secret(&self, usual: Scheme, random: [u8; 32]) -> SigningSecret {
        match &self.secret {
            Some(secret) => secret.clone(),
            None => SigningSecret::made(self.scheme.unwrap_or(usual), random),
        }
    }

    /// Whether nothing is said.
    pub fn is_open(&self) -> bool {
        self.secret.is_none() && self.scheme.is_none() && self.owner.is_none()
    }
}

fn read_secret(fields: &mut Fields, name: &'static str) -> Option<SigningSecret> {
    let given = zeroize::Zeroizing::new(fields.any_text(name)?);
    match SigningSecret::import(&given) {
        Ok(secret) => Some(secret),
        Err(problem) => {
            fields.fault(name, problem.to_string());
            None
        }
    }
}

pub(super) fn read_scheme(fields: &mut Fields, name: &'static str) -> Option<Scheme> {
    one_of(fields, name, &Scheme::ALL, Scheme::as_str)
}

/// One of a few words.
fn one_of<T: Copy>(
    fields: &mut Fields,
    name: &'static str,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Option<T> {
    let given = fields.take(name)?;
    let known = all.iter().find(|one| given == word(**one)).copied();
    if known.is_none() {
        let words: Vec<&str> = all.iter().map(|one| word(*one)).collect();
        fields.fault(name, format!("must be one of {}", words.join(", ")));
    }
    known
}

/// A preset's name, one header, several, or `{"mode": …, "headers": […]}`.
pub(super) fn read(fields: &mut Fields, name: &'static str) -> Option<OwnSignatures> {
    let (mode, given) = match fields.take(name)? {
        Value::Object(mut object) => {
            let mode = object.remove("mode");
            let given = match object.remove("headers") {
                None => vec![Value::Object(object)],
                Some(Value::Array(given)) if object.is_empty() => given,
                Some(Value::Array(_)) => {
                    let other = object.keys().next().map(|key| text::cut(key));
                    let other = other.unwrap_or_default();
                    fields.fault(
                        &format!("{name}.{other}"),
                        "is not known here; there are mode, headers",
                    );
                    return None;
                }
                Some(_) => {
                    fields.fault(&format!("{name}.headers"), "must be a list");
                    return None;
                }
            };
            (mode, given)
        }
        Value::Array(given) => (None, given),
        one @ Value::String(_) => (None, vec![one]),
        _ => {
            fields.fault(name, "must be a preset's name, an object or a list of them");
            return None;
        }
    };
    let mode = match mode {
        None | Some(Value::Null) => Some(Mode::default()),
        Some(given) => Mode::ALL.into_iter().find(|mode| given == mode.as_str()),
    };
    let Some(mode) = mode else {
        fields.fault(&format!("{name}.mode"), "must be beside or instead");
        return None;
    };
    if given.len() > MOST_OWN {
        let count = given.len();
        fields.fault(
            name,
            format!("must be at most {MOST_OWN} headers, not {count}"),
        );
        return None;
    }
    if mode == Mode::Instead && given.is_empty() {
        let problem = "must name one at least: with mode instead nothing else signs";
        fields.fault(&format!("{name}.headers"), problem);
        return None;
    }
    let all = given.len();
    let mut headers = Vec::with_capacity(all);
    for (place, one) in given.into_iter().enumerate() {
        let path = format!("{name}.headers[{place}]");
        headers.extend(read_one(fields, &path, one));
    }
    let own = OwnSignatures { mode, headers };
    let complete = own.headers.len() == all;
    (complete && check(fields, name, &own)).then_some(own)
}

fn read_one(fields: &mut Fields, path: &str, given: Value) -> Option<OwnSignature> {
    let object = match given {
        Value::String(preset) => return read_preset(fields, path, &preset),
        Value::Object(object) => object,
        _ => {
            fields.fault(path, "must be an object, or a preset's name");
            return None;
        }
    };
    let mut one = Fields::at(path.to_owned(), object);
    let preset = match one.any_text("preset") {
        Some(preset) => read_preset(&mut one, "preset", &preset),
        None => None,
    };
    let header = match (one.any_text("header"), &preset) {
        (Some(given), _) => read_name(&mut one, "header", &given),
        (None, Some(preset)) => Some(preset.header.clone()),
        (None, None) => {
            // What is said about it already is not said twice.
            if one.has_no_fault() {
                one.fault("header", "is required, or preset");
            }
            None
        }
    };
    let base = preset.unwrap_or_else(|| OwnSignature::of_body(""));
    let encoding = one.nullable("encoding", |one, name| {
        one_of(one, name, &Encoding::ALL, Encoding::as_str)
    });
    let signs = one.nullable("signs", |one, name| {
        one_of(one, name, &Signed::ALL, Signed::as_str)
    });
    let prefix = one.nullable("prefix", |one, name| {
        let prefix = one.any_text(name)?;
        let sound =
            prefix.len() <= LONGEST_PREFIX && prefix.bytes().all(|byte| byte.is_ascii_graphic());
        if !sound {
            let wanted = format!("must be up to {LONGEST_PREFIX} visible ASCII characters");
            one.fault(name, wanted);
        }
        sound.then_some(prefix)
    });
    let timestamp = one.nullable("timestampHeader", |one, name| {
        let given = one.any_text(name)?;
        read_name(one, name, &given)
    });
    if !fields.adopt(one) {
        return None;
    }
    Some(OwnSignature {
        header: header?,
        encoding: encoding.flatten().unwrap_or(base.encoding),
        prefix: prefix.flatten().unwrap_or(base.prefix),
        signs: signs.flatten().unwrap_or(base.signs),
        timestamp_header: timestamp.flatten().or(base.timestamp_header),
    })
}

fn read_preset(fields: &mut Fields, place: &str, given: &str) -> Option<OwnSignature> {
    let preset = OwnSignature::preset(given);
    if preset.is_none() {
        let known = OwnSignature::PRESETS.map(|(name, ..)| name).join(", ");
        fields.fault(place, format!("is not known; there are {known}"));
    }
    preset
}

fn read_name(fields: &mut Fields, name: &'static str, given: &str) -> Option<String> {
    match check_signature_name(given) {
        Ok(name) => Some(name),
        Err(problem) => {
            fields.fault(name, problem);
            None
        }
    }
}

/// No name means two things.
fn check(fields: &mut Fields, name: &'static str, own: &OwnSignatures) -> bool {
    let mut sound = true;
    for (place, one) in own.headers.iter().enumerate() {
        let mut fault = |part: &str, problem: &str| {
            sound = false;
            fields.fault(&format!("{name}.headers[{place}].{part}"), problem);
        };
        if own.headers[..place]
            .iter()
            .any(|other| other.header == one.header)
        {
            fault("header", "is given twice (names ignore case)");
        }
        let stamps = |header: &str| {
            let mut all = own.headers.iter();
            all.any(|other| other.timestamp_header.as_deref() == Some(header))
        };
        if stamps(&one.header) {
            fault("header", "is a timestampHeader too");
        }
        let taken = |header: &str| [BODY_SIGNATURE, BODY_TIMESTAMP].contains(&header);
        let problem = "is one of the standard headers: name another, or set mode to instead";
        if own.mode == Mode::Beside && taken(&one.header) {
            fault("header", problem);
        }
        if own.mode == Mode::Beside && one.timestamp_header.as_deref().is_some_and(taken) {
            fault("timestampHeader", problem);
        }
    }
    sound
}
