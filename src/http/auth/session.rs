//! Who is signed in: the cookie, where no key is shown.
//!
//! What a session may is looked up with each request: of a user in the sessions, of a key in the
//! keyring, so that whatever ends a key ends its sessions at the same moment. Whoever changes
//! something has to show the session's second token as well, which only the relay's own pages can.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{Gate, ended};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::api_key::KeyHash;
use crate::domain::session::{AdminKeyProof, SessionOwner, csrf_token, is_csrf_token};
use crate::http::cookie;
use crate::http::error::{ApiError, Problem, Result};
use crate::keyring::Admission;
use crate::limits::Verdict;
use crate::sessions::{Open, Sessions};

const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

impl Gate {
    /// Who calls: whoever the keys say or, where none is shown, the cookie.
    pub fn let_in(
        &self,
        method: &Method,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Arc<Caller>> {
        match self.admit(headers, peer) {
            Err(refusal) if refusal.problem() == Problem::NoKey && !super::shows_key(headers) => {
                let signed_in = self.admit_session(method, headers, peer)?;
                signed_in.ok_or(refusal)
            }
            admitted => admitted,
        }
    }

    /// Who looks, whether they have to be somebody or not: nothing where neither a key nor a cookie says.
    pub fn signed_in(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Option<Arc<Caller>>> {
        match self.let_in(&Method::GET, headers, peer) {
            Err(refusal) if refusal.problem() == Problem::NoKey && !super::shows_key(headers) => {
                Ok(None)
            }
            answered => answered.map(Some),
        }
    }

    /// Nothing where there is no cookie, or it comes with a request to look from elsewhere.
    fn admit_session(
        &self,
        method: &Method,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Option<Arc<Caller>>> {
        let secure = self.is_secure(headers, peer);
        let Some(token) = cookie::token(headers, secure) else {
            return Ok(None);
        };
        let changes = !method.is_safe();
        let is_foreign = cookie::is_foreign(headers, secure, !changes);
        if is_foreign && !changes {
            return Ok(None);
        }
        let now = clock::now();
        let open = self.sessions.find(&KeyHash::of(token), now);
        let open = open.ok_or_else(session_ended)?;
        let caller = self.caller_of(&open, token, now)?;
        if changes {
            let csrf = headers.get(CSRF).map_or(&b""[..], HeaderValue::as_bytes);
            check_page(is_foreign)?;
            if !is_csrf_token(token, csrf) {
                return Err(ApiError::new(
                    Problem::CrossSite,
                    "With a session's cookie, changes take the header X-CSRF-Token with the \
                     csrfToken that GET /api/v1/session tells",
                ));
            }
        }
        open.note_use(now);
        Ok(Some(caller))
    }

    fn caller_of(&self, open: &Open, token: &[u8], now: Timestamp) -> Result<Arc<Caller>> {
        let in_session = |caller: &Caller| Caller {
            session: Some(open.session.id),
            ..caller.clone()
        };
        match (&open.session.owner, &open.caller) {
            (SessionOwner::User(_), Some(caller)) => Ok(Arc::clone(caller)),
            (SessionOwner::User(_), None) => Err(session_ended()),
            (SessionOwner::Key(id), _) => match self.keyring.admit_again(*id, now) {
                Admission::Admitted(caller) => Ok(Arc::new(in_session(&caller))),
                Admission::Revoked(at) => Err(ended("was revoked", at)),
                Admission::Expired(at) => Err(ended("expired", at)),
                Admission::Unknown => Err(session_ended()),
            },
            (SessionOwner::AdminKey(proof), _) => match *proof == self.prove_admin_key(token) {
                true => Ok(Arc::new(in_session(&self.admin))),
                false => Err(session_ended()),
            },
        }
    }

    /// Ties a session with that token to the admin key in force.
    pub fn prove_admin_key(&self, token: &[u8]) -> AdminKeyProof {
        AdminKeyProof::new(token, &self.admin_key.0)
    }

    /// Who is signed in.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Whether the browser came by https, or is to be treated so.
    pub fn is_secure(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        self.secure_cookies || self.proxies.says_https(peer, headers)
    }

    /// Where a request comes from.
    pub fn origin(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        self.proxies.origin(peer, headers)
    }

    /// What `X-CSRF-Token` has to say with this request's cookie.
    pub fn csrf_token(&self, headers: &HeaderMap, peer: IpAddr) -> Option<String> {
        cookie::token(headers, self.is_secure(headers, peer)).map(csrf_token)
    }

    /// Refuses what a page of another site makes a browser do.
    pub fn check_page(&self, headers: &HeaderMap, peer: IpAddr) -> Result<()> {
        check_page(cookie::is_foreign(
            headers,
            self.is_secure(headers, peer),
            false,
        ))
    }

    /// Takes one try to sign in, or to use a link, from where the request comes from.
    pub async fn take_sign_in(&self, headers: &HeaderMap, peer: IpAddr) -> Verdict {
        self.limits.take_sign_in(self.origin(headers, peer)).await
    }

    /// Takes one try to sign in as that user; `known` is where they are known to come from.
    pub async fn take_account(&self, email: &str, known: Option<IpAddr>) -> Verdict {
        self.limits.take_account(email, known).await
    }
}

fn check_page(is_foreign: bool) -> Result<()> {
    match is_foreign {
        false => Ok(()),
        true => Err(ApiError::new(
            Problem::CrossSite,
            "The browser says that this request comes from a page of another origin \
             (Origin, Sec-Fetch-Site); a proxy in front has to pass Host on as it came",
        )),
    }
}

fn session_ended() -> ApiError {
    ApiError::new(
        Problem::SessionEnded,
        "The session has ended, or there never was one: sign in again",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::AdminKey;
    use super::*;
    use crate::domain::access::Preset;
    use crate::domain::api_key::{ApiKey, IssuedKey};
    use crate::domain::id::{ApiKeyId, SessionId, UserId};
    use crate::domain::session::{Session, SessionUser};
    use crate::domain::token::{IssuedToken, TokenKind};
    use crate::domain::user::Role;
    use crate::limits::Limits;
    use crate::settings::Settings;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn gate(more: &[(&str, &str)]) -> Gate {
        let settings = Settings::load(None, more.iter().copied(), false).unwrap();
        Gate::new(
            AdminKey::new("right"),
            Arc::default(),
            Arc::new(Sessions::new(Duration::from_secs(3_600))),
            Arc::new(Limits::new(&settings.limits, None)),
            &settings,
        )
    }

    fn signed_in(gate: &Gate, number: u8, owner: SessionOwner) -> IssuedToken {
        let token = IssuedToken::from_random(TokenKind::Session, [number; 32]);
        let owner = match owner {
            SessionOwner::AdminKey(_) => {
                SessionOwner::AdminKey(gate.prove_admin_key(token.expose().as_bytes()))
            }
            owner => owner,
        };
        let now = clock::now();
        gate.sessions.add(&Session {
            id: SessionId(uuid::Uuid::from_u128(number.into())),
            hash: token.hash(),
            owner,
            created_at: now,
            expires_at: now.plus(Duration::from_secs(3_600)),
            last_used_at: now,
            address: String::new(),
            user_agent: None,
            version: 1,
        });
        token
    }

    fn user(role: Role) -> SessionOwner {
        SessionOwner::User(SessionUser {
            id: UserId(uuid::Uuid::from_u128(7)),
            email: "a@b.c".into(),
            name: "A".into(),
            role,
        })
    }

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        };
        given.iter().map(pair).collect()
    }

    fn ask(
        gate: &Gate,
        method: &Method,
        given: &[(&'static str, &str)],
    ) -> std::result::Result<Arc<Caller>, &'static str> {
        let caller = gate.let_in(method, &headers(given), PEER);
        caller.map_err(|error| error.problem().code())
    }

    #[test]
    fn the_cookie_lets_its_user_look_and_the_second_token_lets_them_change() {
        let gate = gate(&[]);
        let token = signed_in(&gate, 1, user(Role::Viewer));
        let cookie = format!("posthaste_session={}", token.expose());
        let csrf = csrf_token(token.expose().as_bytes());
        let caller = ask(&gate, &Method::GET, &[("cookie", &cookie)]).unwrap();
        assert_eq!(&*caller.name, "a@b.c");
        let host = ("host", "relay");
        for (csrf, origin, code) in [
            (Some(&*csrf), None, None),
            (Some(&*csrf), Some("http://relay"), None),
            (Some(&*csrf), Some("http://other"), Some("cross-site")),
            (Some(&csrf[1..]), None, Some("cross-site")),
            (Some(token.expose()), None, Some("cross-site")),
            (None, None, Some("cross-site")),
        ] {
            let mut given = vec![("cookie", &*cookie), host];
            given.extend(csrf.map(|csrf| ("x-csrf-token", csrf)));
            given.extend(origin.map(|origin| ("origin", origin)));
            let answered = ask(&gate, &Method::POST, &given).err();
            assert_eq!(answered, code, "{given:?}");
        }
        let foreign = [("cookie", &*cookie), host, ("origin", "http://other")];
        assert_eq!(ask(&gate, &Method::GET, &foreign), Err("key-required"));
        let forged = [("cookie", "posthaste_session=phs_x")];
        assert_eq!(ask(&gate, &Method::GET, &forged), Err("session-ended"));
    }

    #[test]
    fn that_nobody_is_signed_in_is_no_refusal_where_nothing_is_shown() {
        let gate = gate(&[]);
        let token = signed_in(&gate, 1, user(Role::Viewer));
        let cookie = format!("posthaste_session={}", token.expose());
        let ask = |given: &[(&'static str, &str)]| {
            let caller = gate.signed_in(&headers(given), PEER);
            let name = caller.map(|caller| caller.map(|caller| caller.name.to_string()));
            name.map_err(|error| error.problem().code())
        };
        assert_eq!(ask(&[]), Ok(None));
        let own = ("cookie", &*cookie);
        assert_eq!(ask(&[own]), Ok(Some("a@b.c".to_owned())));
        let from_elsewhere = [own, ("host", "relay"), ("origin", "http://other")];
        assert_eq!(
            ask(&from_elsewhere),
            Ok(None),
            "another page learns nothing"
        );
        let forged = [("cookie", "posthaste_session=phs_x")];
        assert_eq!(ask(&forged), Err("session-ended"));
        for (name, value, code) in [
            ("x-api-key", "wrong", "key-required"),
            ("x-api-key", "", "key-required"),
            ("authorization", "Bearer wrong", "key-required"),
        ] {
            assert_eq!(ask(&[own, (name, value)]), Err(code), "{name}: {value}");
        }
    }

    #[test]
    fn a_request_that_shows_a_key_is_never_let_in_by_its_cookie() {
        let gate = gate(&[]);
        let token = signed_in(&gate, 1, user(Role::Admin));
        let cookie = format!("posthaste_session={}", token.expose());
        for key in [
            ("authorization", "Bearer wrong"),
            ("authorization", "Bearer "),
            ("x-api-key", ""),
            ("x-service-token", "wrong"),
        ] {
            let given = [("cookie", &*cookie), key];
            assert_eq!(
                ask(&gate, &Method::GET, &given),
                Err("key-required"),
                "{key:?}"
            );
        }
        // A proxy's own sign-in is none of ours.
        let basic = [("cookie", &*cookie), ("authorization", "Basic x")];
        assert!(ask(&gate, &Method::GET, &basic).is_ok());
        let right = [("cookie", &*cookie), ("x-api-key", "right")];
        let caller = ask(&gate, &Method::POST, &right).unwrap();
        assert_eq!(caller.session, None, "no second token is asked for");
    }

    #[test]
    fn a_keys_session_may_what_the_key_may_and_ends_with_it() {
        let gate = gate(&[]);
        let issued = IssuedKey::from_random([1; 5], [2; 32]);
        let id = ApiKeyId(uuid::Uuid::from_u128(4));
        let mut key = ApiKey {
            id,
            name: "a key".into(),
            public: issued.public,
            hash: issued.hash(),
            scopes: Preset::Client.scopes(),
            tenant: Some("t".into()),
            created_at: Timestamp::default(),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            version: 1,
        };
        gate.keyring
            .apply(1, std::slice::from_ref(&key), Timestamp::default());
        let token = signed_in(&gate, 1, SessionOwner::Key(id));
        let cookie = format!("posthaste_session={}", token.expose());
        let given = [("cookie", &*cookie)];
        let caller = ask(&gate, &Method::GET, &given).unwrap();
        assert_eq!(
            (caller.key, caller.tenant.as_deref()),
            (Some(id), Some("t"))
        );
        assert_eq!(caller.scopes, key.scopes);
        let staying = gate.stays(&caller, None);
        assert!(staying.is_some() && gate.stays(&caller, staying).is_some());
        key.revoked_at = Some(clock::now());
        key.version = 2;
        gate.keyring.apply(2, &[key], Timestamp::default());
        assert_eq!(ask(&gate, &Method::GET, &given), Err("key-ended"));
        assert!(gate.stays(&caller, staying).is_none());
    }

    #[test]
    fn an_admin_keys_session_is_good_as_long_as_the_admin_key_is_the_same() {
        let first = gate(&[]);
        let owner = SessionOwner::AdminKey(first.prove_admin_key(b""));
        let token = signed_in(&first, 1, owner);
        let cookie = format!("posthaste_session={}", token.expose());
        let given = [("cookie", &*cookie)];
        let caller = ask(&first, &Method::GET, &given).unwrap();
        assert!(caller.administers_all() && caller.session.is_some());
        let open = first.sessions.find(&token.hash(), clock::now()).unwrap();
        let second = Gate {
            admin_key: AdminKey::new("other"),
            ..gate(&[])
        };
        second.sessions.add(&open.session);
        assert_eq!(ask(&second, &Method::GET, &given), Err("session-ended"));
    }

    #[test]
    fn by_https_the_cookie_has_a_name_that_no_other_host_can_plant() {
        let gate = gate(&[("POSTHASTE_SERVER__TRUSTED_PROXIES", "127.0.0.0/8")]);
        let token = signed_in(&gate, 1, user(Role::Viewer));
        let plain = format!("posthaste_session={}", token.expose());
        let secure = format!("__Host-posthaste_session={}", token.expose());
        let by = |proto, cookie: &str| {
            let given = [("cookie", cookie), ("x-forwarded-proto", proto)];
            ask(&gate, &Method::GET, &given).is_ok()
        };
        assert!(by("https", &secure) && !by("https", &plain));
        assert!(by("http", &plain) && !by("http", &secure));
    }

    #[test]
    fn who_stays_long_is_looked_at_again_when_their_session_changes() {
        let gate = gate(&[]);
        signed_in(&gate, 1, user(Role::Operator));
        let open = gate.sessions.all(clock::now()).remove(0);
        let caller = open.caller.clone().unwrap();
        let staying = gate.stays(&caller, None);
        assert!(staying.is_some());
        let session = Session {
            owner: user(Role::Viewer),
            version: 2,
            ..(*open.session).clone()
        };
        gate.sessions.apply(2, &[session], &[], clock::now());
        assert!(
            gate.stays(&caller, staying).is_none(),
            "the role is another"
        );
        let caller = gate.sessions.all(clock::now()).remove(0).caller.unwrap();
        let staying = gate.stays(&caller, None);
        assert!(staying.is_some());
        gate.sessions
            .apply(3, &[], &[open.session.id], clock::now());
        assert!(gate.stays(&caller, staying).is_none());
    }
}
