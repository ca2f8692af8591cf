use super::*;
use crate::domain::access::Preset;
use crate::domain::api_key::{ApiKey, IssuedKey};
use crate::domain::id::ApiKeyId;
use crate::settings::Settings;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A gate with the admin key `right`.
fn gate(more: &[(&str, &str)]) -> Gate {
    let settings = Settings::load(None, more.iter().copied(), false).unwrap();
    Gate::new(
        AdminKey::new("right"),
        Arc::default(),
        Arc::new(Sessions::new(settings.sessions.idle)),
        Arc::new(Limits::new(&settings.limits, None)),
        &settings,
    )
}

fn headers(headers: &[(&str, &str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn issue(gate: &Gate, number: u8, change: impl FnOnce(&mut ApiKey)) -> IssuedKey {
    let issued = IssuedKey::from_random([number; 5], [number; 32]);
    let mut key = ApiKey {
        id: ApiKeyId(uuid::Uuid::from_u128(number.into())),
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
    change(&mut key);
    gate.keyring
        .apply(number.into(), &[key], Timestamp::default());
    issued
}

/// How keys are shown, `right` standing for one.
const GOOD: [&[(&str, &str)]; 7] = [
    &[("authorization", "Bearer right")],
    &[("authorization", "bearer  right")],
    &[("x-api-key", "right")],
    &[("X-Api-Key", "right")],
    &[("x-service-token", "right")],
    &[("x-api-key", "wrong"), ("x-service-token", "right")],
    &[("authorization", "Basic cmlnaHQ="), ("x-api-key", "right")],
];
const BAD: [&[(&str, &str)]; 12] = [
    &[],
    &[("authorization", "Bearer wrong")],
    &[("authorization", "Bearer")],
    &[("authorization", "Bearer ")],
    &[("authorization", "right")],
    &[("authorization", "Basic right")],
    &[("x-api-key", "")],
    &[("x-api-key", "righ")],
    &[("x-api-key", "rightt")],
    &[("x-api-key", "RIGHT")],
    &[("x-service-token", "Bearer right")],
    &[("cookie", "right")],
];

#[test]
fn a_key_is_taken_from_three_headers_and_no_other() {
    let gate = gate(&[]);
    let issued = issue(&gate, 1, |_| {});
    for right in ["right", issued.expose()] {
        let shown = |shown: &[(&'static str, &'static str)]| {
            let shown: Vec<(&str, String)> = shown
                .iter()
                .map(|(name, value)| (*name, value.replace("right", right)))
                .collect();
            let shown: Vec<_> = shown
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            gate.admit(&headers(&shown), PEER)
        };
        for good in GOOD {
            assert!(shown(good).is_ok(), "{good:?}");
        }
        for bad in BAD {
            if bad.iter().any(|(_, value)| *value == "RIGHT") && right != "right" {
                continue;
            }
            let error = shown(bad).unwrap_err();
            assert_eq!(error.problem(), Problem::NoKey, "{bad:?}");
            assert!(format!("{error:?}").contains("A valid key is required"));
        }
    }
}

#[test]
fn the_caller_is_whoever_the_key_says() {
    let gate = gate(&[]);
    let issued = issue(&gate, 1, |_| {});
    let admin = gate
        .admit(&headers(&[("x-api-key", "right")]), PEER)
        .unwrap();
    assert_eq!(*admin, Caller::admin());
    let caller = gate
        .admit(&headers(&[("x-api-key", issued.expose())]), PEER)
        .unwrap();
    assert_eq!(
        (caller.tenant.as_deref(), &*caller.name),
        (Some("t"), "a key")
    );
    assert_eq!(caller.scopes, Preset::Client.scopes());
    let again = gate
        .admit(&headers(&[("x-api-key", issued.expose())]), PEER)
        .unwrap();
    assert!(Arc::ptr_eq(&caller, &again), "nothing is made per request");
}

#[test]
fn only_its_holder_is_told_that_a_key_ended() {
    let gate = gate(&[]);
    let at = Timestamp::from_micros(1_761_472_800_000_000);
    let revoked = issue(&gate, 1, |key| key.revoked_at = Some(at));
    let expired = issue(&gate, 2, |key| key.expires_at = Some(at));
    for (issued, how) in [(revoked, "revoked"), (expired, "expired")] {
        let shown = |key: &str| format!("{:?}", gate.admit(&headers(&[("x-api-key", key)]), PEER));
        let told = shown(issued.expose());
        assert!(
            told.contains(&format!("{how} at 2025-10-26T10:00:00.000Z")),
            "{told}"
        );
        let forged = format!("{}_{}", issued.public, "A".repeat(43));
        assert_eq!(shown(&forged), shown("wrong"));
    }
}

#[test]
fn who_tries_too_many_keys_tries_no_more_and_made_keys_go_on_working() {
    let gate = gate(&[
        ("POSTHASTE_LIMITS__FAILED_AUTH_PER_ADDRESS", "3/hour"),
        ("POSTHASTE_SERVER__TRUSTED_PROXIES", "127.0.0.0/8"),
    ]);
    let issued = issue(&gate, 1, |_| {});
    let status = |key: &str, from: &str| {
        let shown = headers(&[("x-api-key", key), ("x-forwarded-for", from)]);
        gate.admit(&shown, PEER)
            .map_err(|error| error.status().as_u16())
    };
    let (bad, good) = ("1.1.1.1", "2.2.2.2");
    // No key at all is no trial.
    for _ in 0..9 {
        assert_eq!(status("", bad), Err(401));
    }
    for _ in 0..3 {
        assert!(status("right", bad).is_ok());
        assert_eq!(status("wrong", bad), Err(401));
    }
    assert_eq!(status("wrong", bad), Err(429));
    assert_eq!(
        status("right", bad),
        Err(429),
        "else it could be told from a wrong one"
    );
    assert!(status(issued.expose(), bad).is_ok());
    assert!(status("right", good).is_ok());
    let both = [
        ("x-api-key", "wrong"),
        ("x-service-token", issued.expose()),
        ("x-forwarded-for", bad),
    ];
    assert!(gate.admit(&headers(&both), PEER).is_ok());
}

#[test]
fn a_request_shows_a_few_keys_and_no_more() {
    let gate = gate(&[]);
    let mut many = vec![("x-api-key", "wrong"); MOST_SHOWN];
    many.push(("x-service-token", "right"));
    assert!(gate.admit(&headers(&many), PEER).is_err());
    assert!(gate.admit(&headers(&many[1..]), PEER).is_ok());
}

#[test]
fn the_key_is_not_shown() {
    assert_eq!(format!("{:?}", AdminKey::new("x")), "AdminKey(********)");
}
