use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::domain::retry::Schedule;
use crate::domain::signature::SigningSecret;
use crate::http::own_headers::MASK;
use crate::http::subscription_view::{Defaults, SubscriptionView};

/// Refuses one host.
struct Guard;

impl UrlGuard for Guard {
    fn check(&self, url: &Url) -> Result<(), String> {
        match url.host_str() {
            Some("10.0.0.1") => Err("is in a private network".to_owned()),
            _ => Ok(()),
        }
    }
}

fn retry() -> RetryPolicy {
    RetryPolicy::new(Schedule::Delays(vec![Duration::from_secs(1)]), 0.1, None).unwrap()
}

fn with_rules<T>(run: impl FnOnce(Rules<'_>) -> T) -> T {
    run(Rules {
        tenant: None,
        breaker: &BreakerPolicy::STANDARD,
        deactivation: &DeactivationPolicy::STANDARD,
        retry: &retry(),
        max_in_flight: 500,
        retention: Retention::of_days(2, 0),
        allow_http: false,
        guard: &Guard,
    })
}

fn parse_bytes(body: &[u8]) -> Result<Subscription, Vec<Fault>> {
    let seed = Seed {
        id: SubscriptionId(Uuid::from_u128(1)),
        random: [7; 32],
        now: Timestamp::from_micros(1_000),
    };
    with_rules(|rules| parse_new(body, rules, seed))?.with_tenants(None)
}

fn new(body: Value) -> Result<Subscription, Vec<Fault>> {
    parse_bytes(body.to_string().as_bytes())
}

/// A plain subscription with further fields.
fn body_with(more: Value) -> Value {
    let mut body = json!({
        "name": "HRMS Integration",
        "url": "https://hrms.example.com/webhooks",
        "eventTypes": ["candidate.created", "job.*"],
    });
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

fn stored(more: Value) -> Subscription {
    new(body_with(more)).unwrap()
}

fn changed(stored: &Subscription, change: Value) -> Result<Subscription, Vec<Fault>> {
    let body = change.to_string();
    let input = with_rules(|rules| parse_change(body.as_bytes(), rules))?;
    input.merged_into(stored, None, Timestamp::from_micros(2_000))
}

fn shown(subscription: &Subscription) -> Value {
    let retry = retry();
    let defaults = Defaults {
        breaker: &BreakerPolicy::STANDARD,
        deactivation: &DeactivationPolicy::STANDARD,
        retry: &retry,
        timeout: Duration::from_secs(15),
        max_in_flight: 64,
    };
    serde_json::to_value(SubscriptionView::new(subscription, defaults)).unwrap()
}

fn lines(faults: Vec<Fault>) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

#[test]
fn no_delivery_is_tried_for_longer_than_its_event_is_kept() {
    let days = |days: u64| json!({"retryPolicy": {"maxAgeMs": days * 86_400_000}});
    stored(days(2));
    let faults = new(body_with(days(3))).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].path, "retryPolicy.maxAgeMs");
    assert!(faults[0].message.contains("172800000"), "{faults:?}");
}

#[test]
fn every_field_is_read() {
    let full = stored(json!({
        "headers": {"X-Tenant": "acme"},
        "retryPolicy": {"delaysMs": [1000, 2000], "maxAgeMs": 60000, "jitter": null},
        "timeoutMs": 5000,
        "maxInFlight": 10,
        "rateLimit": {"limit": 5},
        "isActive": false,
        "clientId": "default-client",
    }));
    assert_eq!(full.headers, [("x-tenant".to_owned(), "acme".to_owned())]);
    assert_eq!(full.policy(&retry()).attempts(), 3);
    assert_eq!(full.timeout, Some(Duration::from_secs(5)));
    assert_eq!(full.max_in_flight, Some(10));
    assert_eq!(full.rate_limit.map(|limit| limit.period_ms), Some(1_000));
    assert_eq!(full.state, SubscriptionState::Paused);
    assert_eq!(full.tenant.as_deref(), Some("default-client"));
    let plain = stored(json!({"eventTypes": "*", "tenant": "t", "retryPolicy": null}));
    assert_eq!(plain.event_types.len(), 1);
    assert_eq!(plain.state, SubscriptionState::Active);
    assert_eq!(plain.tenant.as_deref(), Some("t"));
    let twice = stored(json!({"eventTypes": ["a", "b", "a"]}));
    assert_eq!(twice.event_types.len(), 2);
}

#[test]
fn every_fault_is_named_with_its_path() {
    let long_url = format!("https://example.com/{}", "x".repeat(2_048));
    let cases = [
        (json!({"name": ""}), "name must be 1 to 255"),
        (json!({"name": 1}), "name must be a text"),
        (json!({"name": null}), "name must be a text"),
        (json!({"name": "a\nb"}), "name must not hold control"),
        (
            json!({"url": "http://example.com"}),
            "url must begin with https://",
        ),
        (
            json!({"url": "ftp://example.com"}),
            "url must begin with https://",
        ),
        (json!({"url": "example.com"}), "url is not a URL"),
        (json!({"url": "https://"}), "url is not a URL"),
        (
            json!({"url": "https://exa\tmple.com"}),
            "url must not hold spaces",
        ),
        (
            json!({"url": "https://u:p@example.com"}),
            "url must not hold a user name",
        ),
        (
            json!({"url": "https://10.0.0.1/"}),
            "url is in a private network",
        ),
        (json!({"url": long_url}), "url must be 1 to 2048"),
        (json!({"eventTypes": []}), "eventTypes must be 1 to 100"),
        (
            json!({"eventTypes": vec!["a"; 101]}),
            "eventTypes must be 1 to 100",
        ),
        (json!({"eventTypes": 1}), "eventTypes must be a list"),
        (
            json!({"eventTypes": ["a", "a*"]}),
            "eventTypes[1] must be segments",
        ),
        (json!({"eventTypes": [1]}), "eventTypes[0] must be a text"),
        (
            json!({"eventTypes": ["*", "posthaste.breaker.open"]}),
            "eventTypes[1] matches no event that Posthaste raises: posthaste.subscription.deact",
        ),
        (
            json!({"eventTypes": ["posthaste.*"], "clientId": "acme"}),
            "eventTypes names events that Posthaste itself raises",
        ),
        (json!({"headers": []}), "headers must be an object"),
        (json!({"headers": {"Host": "x"}}), "headers.Host cannot be"),
        (json!({"headers": {"a": MASK}}), "headers.a is masked"),
        (
            json!({"timeoutMs": 99}),
            "timeoutMs must be a whole number from 100 to 60000",
        ),
        (json!({"timeoutMs": 60001}), "timeoutMs must be"),
        (json!({"timeoutMs": "5000"}), "timeoutMs must be"),
        (json!({"timeoutMs": 5000.5}), "timeoutMs must be"),
        (json!({"maxInFlight": 0}), "maxInFlight must be"),
        (
            json!({"maxInFlight": 501}),
            "maxInFlight must be a whole number from 1 to 500",
        ),
        (json!({"rateLimit": {}}), "rateLimit.limit is required"),
        (
            json!({"rateLimit": {"limit": 0}}),
            "rateLimit.limit must be 1 to",
        ),
        (
            json!({"rateLimit": {"limit": 1, "periodMs": 1}}),
            "rateLimit.periodMs must be",
        ),
        (
            json!({"rateLimit": {"limit": 1, "burts": 1}}),
            "rateLimit.burts is not known here",
        ),
        (json!({"rateLimit": 5}), "rateLimit must be an object"),
        (
            json!({"rateLimit": {"limit": -1}}),
            "rateLimit.limit must be a whole number, 0 or more",
        ),
        (
            json!({"breaker": {"windowMs": 5_000_000_000_u64}}),
            "breaker.windowMs must be 1000 to 3600000",
        ),
        (
            json!({"breaker": {"probes": 5_000_000_000_u64}}),
            "breaker.probes must be 1 to 100",
        ),
        (
            json!({"deactivation": {"exhaustedDeliveries": 1.5}}),
            "deactivation.exhaustedDeliveries must be a whole number, 0 or more",
        ),
        (
            json!({"retryPolicy": {"attempts": 0}}),
            "retryPolicy.attempts must be",
        ),
        (
            json!({"retryPolicy": {"attempts": "3"}}),
            "retryPolicy.attempts must be",
        ),
        (
            json!({"retryPolicy": {"delaysMs": [1], "factor": 2}}),
            "retryPolicy.factor cannot",
        ),
        (
            json!({"retryPolicy": {"delaysMs": [-1]}}),
            "retryPolicy.delaysMs must be a list",
        ),
        (
            json!({"retryPolicy": {"tries": 1}}),
            "retryPolicy.tries is not known here",
        ),
        (
            json!({"isActive": "false"}),
            "isActive must be true or false",
        ),
        (json!({"clientId": ""}), "clientId must be 1 to 255"),
        (
            json!({"clientId": "a", "tenant": "b"}),
            "tenant contradicts clientId",
        ),
        (json!({"secret": "whsec_x"}), "secret must be 'whsec_'"),
        (json!({"secret": "short"}), "secret must be 8 to 512 bytes"),
        (
            json!({"signing": "rsa"}),
            "signing must be one of hmac-sha256, ed25519",
        ),
        (
            json!({"signing": "ed25519", "secret": "long enough"}),
            "secret cannot be given",
        ),
        (
            json!({"signing": "ed25519", "signature": "algohire"}),
            "signature needs a secret that the receiver shares",
        ),
        (
            json!({"secretFrom": "tenant"}),
            "secretFrom is the tenant, and there is none",
        ),
        (
            json!({"secretFrom": "tenant", "clientId": "c", "secret": "long enough"}),
            "secretFrom contradicts secret or signing",
        ),
        (
            json!({"secretFrom": "nobody"}),
            "secretFrom must be one of subscription, tenant",
        ),
        (
            json!({"payloadFormat": "xml"}),
            "payloadFormat must be one of relay, standard, raw, cloudevents",
        ),
        (json!({"format": "cloudevents"}), "format is not known here"),
        (json!({"signature": 7}), "signature must be a preset's name"),
        (
            json!({"signature": "acme"}),
            "signature.headers[0] is not known; there are algohire, recart",
        ),
        (
            json!({"signature": {}}),
            "signature.headers[0].header is required, or preset",
        ),
        (
            json!({"signature": {"preset": "acme"}}),
            "signature.headers[0].preset is not known",
        ),
        (
            json!({"signature": {"mode": "beside", "headers": [], "prefix": "x"}}),
            "signature.prefix is not known here; there are mode, headers",
        ),
        (
            json!({"signature": {"mode": "instead", "headers": []}}),
            "signature.headers must name one at least",
        ),
        (
            json!({"signature": {"mode": "never", "header": "x-a"}}),
            "signature.mode must be beside or instead",
        ),
        (
            json!({"signature": vec!["algohire"; 5]}),
            "signature must be at most 4 headers",
        ),
        (
            json!({"signature": ["algohire", {"header": "X-AlgoHire-Signature"}]}),
            "signature.headers[1].header is given twice",
        ),
        (
            json!({"signature": {"header": "x-a", "timestampHeader": "X-A"}}),
            "signature.headers[0].header is a timestampHeader too",
        ),
        (
            json!({"signature": {"header": "Webhook-Signature"}}),
            "signature.headers[0].header cannot be",
        ),
        (
            json!({"signature": {"header": "x-a", "timestampHeader": "Host"}}),
            "signature.headers[0].timestampHeader cannot be",
        ),
        (
            json!({"signature": {"header": "X-Webhook-Signature"}}),
            "signature.headers[0].header is one of the standard headers",
        ),
        (
            json!({"signature": {"header": "x-a", "prefix": "a b"}}),
            "signature.headers[0].prefix must be up to 64 visible",
        ),
        (
            json!({"signature": {"header": "x-a", "encoding": "base58"}}),
            "signature.headers[0].encoding must be one of hex, base64",
        ),
        (
            json!({"signature": {"header": "x-a", "signs": "url"}}),
            "signature.headers[0].signs must be one of body, timestamp.body",
        ),
        (
            json!({"signature": {"header": "x-a", "algorithm": "md5"}}),
            "signature.headers[0].algorithm is not known here",
        ),
        (
            json!({"signature": {"header": "x-a"}, "headers": {"X-A": "1"}}),
            "headers.x-a is a header of signature too",
        ),
    ];
    for (more, expected) in cases {
        let found = lines(new(body_with(more.clone())).unwrap_err());
        assert_eq!(found.len(), 1, "{more}: {found:?}");
        assert!(found[0].starts_with(expected), "{more}: {found:?}");
    }
    assert_eq!(
        lines(new(json!({"timeoutMs": 1, "x": 1})).unwrap_err())
            .iter()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>(),
        ["name", "url", "eventTypes", "timeoutMs", "x"]
    );
    assert_eq!(
        lines(new(json!([])).unwrap_err()),
        ["body must be an object"]
    );
    assert!(lines(parse_bytes(b"{").unwrap_err())[0].starts_with("body is not JSON: EOF"));
}

#[test]
fn what_is_given_is_merged_in_and_null_returns_to_the_default() {
    let before = stored(json!({"timeoutMs": 5000, "clientId": "c", "headers": {"a": "1"}}));
    let paused = changed(&before, json!({"isActive": false})).unwrap();
    assert_eq!(paused.state, SubscriptionState::Paused);
    assert_eq!(paused.timeout, before.timeout);
    assert_eq!(paused.version, before.version);
    let bare = json!({"timeoutMs": null, "clientId": null, "headers": null, "name": "n"});
    let bare = changed(&before, bare).unwrap();
    assert_eq!((bare.timeout, bare.tenant.as_deref()), (None, None));
    assert_eq!(bare.headers, []);
    assert_eq!(bare.name, "n");
    assert_eq!(changed(&before, json!({})).unwrap().url, before.url);
    assert!(changed(&before, json!({"url": null})).is_err());
}

#[test]
fn is_active_takes_back_a_deactivation() {
    let now = Timestamp::from_micros(1_500);
    let gone = stored(json!({}))
        .moved_to(SubscriptionState::Deactivated, Some("gone"), now)
        .unwrap();
    let held = changed(&gone, json!({"isActive": false})).unwrap();
    assert_eq!(held.state, SubscriptionState::Deactivated);
    let back = changed(&gone, json!({"isActive": true})).unwrap();
    assert_eq!(back.state, SubscriptionState::Active);
    assert_eq!(back.state_change.reason, None);
}

#[test]
fn what_was_shown_can_be_sent_back() {
    let before = stored(json!({
        "headers": {"Authorization": "Bearer hidden"},
        "retryPolicy": {"attempts": 4, "baseMs": 500, "factor": 1.5, "capMs": 9000},
        "rateLimit": {"limit": 5, "periodMs": 60000, "burst": 2},
        "timeoutMs": 700,
        "clientId": "c",
        "payloadFormat": "cloudevents",
        "signature": {"mode": "instead", "headers": [
            "recart",
            {"preset": "algohire", "prefix": "v0=", "encoding": "base64"},
            {"header": "X-Webhook-Signature", "signs": "timestamp.body",
                "timestampHeader": "X-Webhook-Timestamp"},
        ]},
        "secret": "an imported secret",
    }));
    assert_eq!(
        before.signing.headers.headers[1].header,
        "x-algohire-signature"
    );
    let mut after = changed(&before, shown(&before)).unwrap();
    after.updated_at = before.updated_at;
    assert_eq!(after, before);
    let plain = stored(json!({}));
    let mut after = changed(&plain, shown(&plain)).unwrap();
    after.updated_at = plain.updated_at;
    assert_eq!(after, plain);
}

#[test]
fn the_secret_may_come_back_but_not_change() {
    let before = stored(json!({}));
    let same = json!({"secret": before.signing.own.newest().expose(), "signing": "hmac-sha256"});
    assert!(changed(&before, same).is_ok());
    let other = changed(&before, json!({"secret": "whsec_other"})).unwrap_err();
    assert!(lines(other)[0].starts_with("secret cannot be changed here"));
    let other = changed(&before, json!({"signing": "ed25519"})).unwrap_err();
    assert!(lines(other)[0].starts_with("signing cannot be changed here"));
}

#[test]
fn a_tenants_secret_signs_where_nothing_was_said_or_it_was_asked_for() {
    let tenants = SigningSecrets::only(SigningSecret::import("the tenant's own").unwrap());
    let made = |more: Value| {
        let body = body_with(more).to_string();
        let seed = Seed {
            id: SubscriptionId(Uuid::from_u128(1)),
            random: [7; 32],
            now: Timestamp::from_micros(1_000),
        };
        let new = with_rules(|rules| parse_new(body.as_bytes(), rules, seed)).unwrap();
        let known = new.tenant_asked().map(|_| tenants.clone());
        new.with_tenants(known).unwrap()
    };
    let signs_with_tenants = |made: &Subscription| *made.signing.secrets() == tenants;
    assert!(signs_with_tenants(&made(json!({"clientId": "c"}))));
    let own = made(json!({"clientId": "c", "secretFrom": "subscription"}));
    assert!(!signs_with_tenants(&own));
    assert!(!signs_with_tenants(&made(
        json!({"clientId": "c", "secret": "its very own"})
    )));
    assert!(!signs_with_tenants(&made(
        json!({"clientId": "c", "signing": "ed25519"})
    )));
    assert!(!signs_with_tenants(&made(json!({}))));

    // A change takes it up, and loses it with the tenant.
    let change = |stored: &Subscription, change: Value, known: Option<&OfTenant>| {
        let body = change.to_string();
        let input = with_rules(|rules| parse_change(body.as_bytes(), rules)).unwrap();
        let asked = input.tenant_asked(stored);
        let known = known.filter(|_| asked.is_some());
        input.merged_into(stored, known, Timestamp::from_micros(2_000))
    };
    let known: OfTenant = ("c".into(), tenants.clone());
    let taken = change(&own, json!({"secretFrom": "tenant"}), Some(&known)).unwrap();
    assert!(signs_with_tenants(&taken));
    let back = change(&taken, json!({"secretFrom": null}), None).unwrap();
    assert_eq!(back.signing.secrets(), own.signing.secrets());
    for elsewhere in [json!({"clientId": "d"}), json!({"clientId": null})] {
        let faults = change(&taken, elsewhere, Some(&known)).unwrap_err();
        assert_eq!(faults[0].path, "secretFrom");
    }
}

#[test]
fn neither_secrets_nor_header_values_are_shown() {
    let hidden = stored(json!({"headers": {"Authorization": "Bearer hidden"}}));
    let text = shown(&hidden).to_string();
    assert!(!text.contains("hidden"), "{text}");
    assert!(!text.contains("whsec_"), "{text}");
    assert_eq!(shown(&hidden)["headers"], json!({"authorization": MASK}));
    let body = json!({"headers": {"a": "hidden"}, "secret": "hidden"}).to_string();
    let input = with_rules(|rules| parse_change(body.as_bytes(), rules)).unwrap();
    assert!(!format!("{input:?}").contains("hidden"));
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in any::<Vec<u8>>(), text in any::<String>(), number in any::<f64>()) {
        let _ = parse_bytes(&bytes);
        let _ = new(body_with(json!({"url": text, "headers": {text.clone(): text}})));
        let _ = new(body_with(json!({"url": format!("https://{text}")})));
        let _ = new(body_with(json!({"timeoutMs": number, "retryPolicy": {"factor": number}})));
        let _ = new(body_with(json!({"signature": {"header": text, "prefix": text}})));
        let _ = new(body_with(json!({"signature": text, "secret": text})));
        let _ = new(body_with(json!({"rateLimit": {"limit": number}, text: number})));
    }
}

#[test]
fn operational_events_are_named_only_without_a_tenant() {
    let own = json!(["*", "posthaste.delivery.failed", "posthaste.*.closed"]);
    let admin = stored(json!({"eventTypes": own}));
    assert!(admin.names_operational_events());
    let tenants = stored(json!({"clientId": "acme"}));
    for (before, change) in [
        (&admin, json!({"clientId": "acme"})),
        (&tenants, json!({"eventTypes": own})),
    ] {
        let faults = changed(before, change).unwrap_err();
        assert_eq!(faults[0].path, "eventTypes", "{faults:?}");
    }
    let both = json!({"eventTypes": own, "clientId": null});
    assert!(changed(&tenants, both).is_ok());
}
