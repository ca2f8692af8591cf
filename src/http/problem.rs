//! Every way in which a request can be refused, each under a code that never changes.
//!
//! Callers decide by the code; titles and details are for people and may be reworded.
//! `docs/errors.md` says of each what to do.

use axum::http::StatusCode;

/// What is in front of a code in a problem's `type`.
const TYPE_PREFIX: &str = "urn:posthaste:problem:";

macro_rules! problems {
    ($($name:ident: $status:ident, $code:literal, $title:literal, $meaning:literal;)*) => {
        /// One way to be refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Problem {
            $(#[doc = $meaning] $name,)*
        }

        impl Problem {
            /// Every one, the general one of each status first.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The status that it is answered with.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)*
                }
            }

            /// The short word for programs.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The short phrase for people.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }
        }
    };
}

problems! {
    InvalidBody: BAD_REQUEST, "invalid-body", "Invalid body",
        "The body is not what this route takes; `faults` names every place.";
    InvalidQuery: BAD_REQUEST, "invalid-query", "Invalid query",
        "A parameter of the query is not known here or has no such value; `faults` names each.";
    IncompleteBody: BAD_REQUEST, "incomplete-body", "Incomplete body",
        "The body broke off before its announced end.";
    NoKey: UNAUTHORIZED, "key-required", "Key required",
        "The request carries no key that is valid.";
    KeyEnded: UNAUTHORIZED, "key-ended", "Key ended",
        "The key was revoked, or its time is over.";
    SessionEnded: UNAUTHORIZED, "session-ended", "Session ended",
        "The session of the cookie has ended, or there never was one.";
    SignInRefused: UNAUTHORIZED, "sign-in-refused", "Sign-in refused",
        "The e-mail address or the password is wrong.";
    Forbidden: FORBIDDEN, "forbidden", "Forbidden",
        "The key is valid but may not do this.";
    MissingScope: FORBIDDEN, "missing-scope", "Missing scope",
        "The key lacks the scope that this route takes.";
    InactiveTenant: FORBIDDEN, "inactive-tenant", "Inactive tenant",
        "The key is of a tenant that is inactive.";
    CrossSite: FORBIDDEN, "cross-site", "Cross-site request",
        "A cookie came with a change, but not its token in `X-CSRF-Token`; or a page of another origin asks.";
    LinkEnded: FORBIDDEN, "link-ended", "Link ended",
        "The link was used, was replaced, is too old, or is none.";
    NotFound: NOT_FOUND, "not-found", "Not found",
        "There is nothing with this id, or not for this key.";
    NoSuchRoute: NOT_FOUND, "no-such-route", "No such route",
        "No route has this path.";
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed",
        "The route does not take this method; `Allow` names those that it takes.";
    SlowBody: REQUEST_TIMEOUT, "slow-body", "Body too slow",
        "The body did not arrive in time.";
    Conflict: CONFLICT, "conflict", "Conflict",
        "What is there is in no state for this.";
    LimitReached: CONFLICT, "limit-reached", "Limit reached",
        "There are as many of these as there may be.";
    BodyTooLarge: PAYLOAD_TOO_LARGE, "too-large", "Too large",
        "The body, or a payload in it, is larger than allowed.";
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type",
        "The body is compressed; bodies are read as plain JSON.";
    IdempotencyConflict: UNPROCESSABLE_ENTITY, "idempotency-conflict", "Idempotency key conflict",
        "The idempotency key was used before for other content.";
    TooManyRequests: TOO_MANY_REQUESTS, "too-many-requests", "Too many requests",
        "The caller's own rate is used up.";
    TooManyKeys: TOO_MANY_REQUESTS, "too-many-keys", "Too many keys",
        "Too many keys that are none were tried from this address.";
    TooManySignIns: TOO_MANY_REQUESTS, "too-many-sign-ins", "Too many sign-ins",
        "Too many tries to sign in, or to use a link, from this address or as this user.";
    Internal: INTERNAL_SERVER_ERROR, "internal", "Internal server error",
        "A fault of the relay's own; its log says more, under the request's id.";
    Unavailable: SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable",
        "The database does not answer, or not in time; nothing was acknowledged.";
    Overloaded: SERVICE_UNAVAILABLE, "overloaded", "Overloaded",
        "A bound of this node is reached; nothing was acknowledged.";
    Stopping: SERVICE_UNAVAILABLE, "stopping", "Stopping",
        "This node is stopping.";
    WrongRole: SERVICE_UNAVAILABLE, "wrong-role", "Wrong role",
        "This process does not accept events.";
}

impl Problem {
    /// The URI that names it.
    pub fn uri(self) -> String {
        format!("{TYPE_PREFIX}{}", self.code())
    }
}

/// The general problem of a status; of one that is never answered, a fault of our own.
impl From<StatusCode> for Problem {
    fn from(status: StatusCode) -> Self {
        let general = Self::ALL.iter().find(|one| one.status() == status);
        general.copied().unwrap_or(Self::Internal)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_one_of_its_own() {
        let codes: HashSet<&str> = Problem::ALL.iter().map(|one| one.code()).collect();
        assert_eq!(codes.len(), Problem::ALL.len());
        let is_plain = |code: &&str| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(codes.iter().all(is_plain), "{codes:?}");
    }

    #[test]
    fn the_page_of_errors_has_every_code_with_its_status_and_no_other() {
        let page = include_str!("../../docs/errors.md");
        let rows = page.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let code = cells.next()?.trim_end_matches('`').to_owned();
            let status: u16 = cells.next()?.parse().ok()?;
            let told = cells.all(|cell| cell.trim_end_matches(" |").trim().len() > 10);
            assert!(told, "{code} says too little");
            Some((code, status))
        });
        let known = Problem::ALL
            .iter()
            .map(|one| (one.code().to_owned(), one.status().as_u16()));
        assert_eq!(rows.collect::<HashSet<_>>(), known.collect());
    }
}
