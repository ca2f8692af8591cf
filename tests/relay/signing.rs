//! Receivers of other webhook systems verify what they get, without a change; secrets are
//! replaced without a delivery that fails to verify.
//!
//! What verifies here is written from the description of the receivers alone.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use posthaste::domain::id::{DeliveryId, EventId, SubscriptionId};
use posthaste::engine::Engine;
use posthaste::settings::Secret;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::backend::Backend;
use crate::support::process::command;
use crate::support::receiver::{Received, status};
use crate::support::relay::{KEY, Subscribed, rows, settings, text};
use crate::support::{Process, Profile, Receiver, Relay};

crate::stories!(
    a_receiver_of_the_recruitment_platform_verifies,
    a_receiver_of_jobs_and_candidates_verifies,
    a_partner_verifies_with_the_secret_of_its_tenant,
    own_headers_stand_beside_or_instead,
    a_receiver_takes_up_a_new_secret_without_a_gap,
    without_an_overlap_the_old_secret_ends_at_once,
    a_key_pair_signs_and_its_private_half_is_shown_to_nobody,
    each_format_arrives_as_it_is_described,
    a_format_changed_between_two_attempts_counts_for_the_later,
    secrets_are_encrypted_and_their_key_replaced,
);

/// Whatever is logged, and of what goes wrong too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged() {
    let key = STANDARD.encode([77; 32]);
    let backend = Arc::new(Backend::new(Profile::Embedded).await);
    let keys = format!("k1:{key}");
    let more = [
        ("POSTHASTE_SECRETS__MASTER_KEYS", keys.as_str()),
        ("POSTHASTE_LOG__FILTER", "debug,posthaste=trace"),
    ];
    let mut command = command(&backend, &more);
    let log = tempfile::NamedTempFile::new().unwrap();
    command.stderr(log.reopen().unwrap());
    let process = Process::serving(command).await;
    let receiver = Receiver::ok().await;
    let own = json!({"secret": "imported-findme-1", "headers": {"x-a": "findme-2"},
        "signature": "algohire", "clientId": "c"});
    let subscribed = process.api.subscribe(&receiver, own).await;
    let rotation = format!("{}/rotate-secret", subscribed.path());
    let made = process.api.post(200, &rotation, &json!({})).await;
    process
        .api
        .post(
            201,
            "/api/v1/tenants/c/secret",
            &json!({"secret": "findme-3"}),
        )
        .await;
    // Refused: too short behind its prefix, in use already, not at its place.
    process
        .api
        .post(400, &rotation, &json!({"secret": "whsec_findme4="}))
        .await;
    process
        .api
        .post(409, &rotation, &json!({"secret": "imported-findme-1"}))
        .await;
    let wrong = json!({"secret": "findme-5-is-wrong"});
    process
        .api
        .expect(400, Method::PATCH, &subscribed.path(), Some(&wrong))
        .await;
    process.api.send("a.b", json!(1)).await;
    receiver.received(1).await;
    assert_eq!(process.terminate().await, Some(0));
    let logged = std::fs::read_to_string(log.path()).unwrap();
    assert!(logged.contains(&subscribed.id), "{logged}");
    for secret in ["findme", text(&made, "secret"), &key, KEY] {
        assert!(!logged.contains(secret), "{secret}: {logged}");
    }
}

fn hex_mac(key: &str, signed: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(signed);
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `X-AlgoHire-Signature`: hex HMAC-SHA256 of the body with the subscription's own secret.
fn algohire_verifies(secret: &str, received: &Received) -> bool {
    received.header("X-AlgoHire-Signature") == hex_mac(secret, &received.body)
}

/// `X-Recart-Signature-256`: HMAC-SHA256 of the body with the partner's secret.
fn recart_verifies(secret: &str, received: &Received) -> bool {
    received.header("X-Recart-Signature-256") == hex_mac(secret, &received.body)
}

/// A standard library's verdict.
fn standard_verifies(secret: &str, received: &Received) -> bool {
    let webhook = standardwebhooks::Webhook::new(secret).unwrap();
    webhook.verify(&received.body, &received.headers).is_ok()
}

async fn one(relay: &Relay, receiver: &Receiver) -> Received {
    let before = receiver.count();
    relay.api.send("order.created", json!({"n": before})).await;
    receiver.received(before + 1).await.remove(before)
}

async fn rotated(relay: &Relay, subscribed: &Subscribed, body: Value) -> Value {
    let path = format!("{}/rotate-secret", subscribed.path());
    relay.api.post(200, &path, &body).await
}

async fn a_receiver_of_the_recruitment_platform_verifies(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    // The receiver has had this secret for years.
    let secret = "algohire-subscriber-7-secret";
    let own = json!({"signature": "algohire", "secret": secret});
    let subscribed = relay.api.subscribe(&receiver, own).await;
    assert_eq!(subscribed.secret, secret);
    let received = one(&relay, &receiver).await;
    assert!(algohire_verifies(secret, &received));
    assert!(!algohire_verifies("another-secret", &received));
    // Beside it stand the standard ones, keyed with the same bytes.
    let webhook = standardwebhooks::Webhook::from_bytes(secret.as_bytes().to_vec()).unwrap();
    webhook.verify(&received.body, &received.headers).unwrap();
    // One made here serves as well, prefix included.
    let made = relay
        .api
        .subscribe(&receiver, json!({"signature": ["algohire"]}))
        .await;
    relay.api.delete(&subscribed).await;
    let received = one(&relay, &receiver).await;
    assert!(algohire_verifies(&made.secret, &received));
}

async fn a_receiver_of_jobs_and_candidates_verifies(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    // Its names for a hex signature header and a unix timestamp header.
    let own = json!({"signature": {
        "header": "X-Relay-Signature", "timestampHeader": "X-Relay-Timestamp", "mode": "instead",
    }});
    let subscribed = relay.api.subscribe(&receiver, own).await;
    let event = json!({
        "eventType": "candidate.created", "eventName": "Candidate John Doe Created",
        "payload": {"name": "John Doe"}, "source": "candidates-service",
    });
    let answer = relay.api.post(202, "/api/events", &event).await;
    let received = receiver.received(1).await.remove(0);
    let signature = hex_mac(&subscribed.secret, &received.body);
    assert_eq!(received.header("x-relay-signature"), signature);
    let stamp: i64 = received.header("x-relay-timestamp").parse().unwrap();
    let now = posthaste::clock::now().as_unix_seconds();
    assert!((now - 300..=now).contains(&stamp), "{stamp} {now}");
    assert_eq!(received.header("content-type"), "application/json");
    assert!(!received.header("user-agent").is_empty());
    let body = received.json();
    assert_eq!(body["eventId"], answer["eventId"]);
    assert_eq!(body["eventType"], "candidate.created");
    assert_eq!(body["eventName"], "Candidate John Doe Created");
    assert_eq!(body["data"], json!({"name": "John Doe"}));
    assert_eq!(
        text(&body, "timestamp").len(),
        "2025-10-26T10:00:00.000Z".len()
    );
}

async fn a_partner_verifies_with_the_secret_of_its_tenant(profile: Profile) {
    let relay = Relay::start(profile).await;
    let path = "/api/v1/tenants/partner-1/secret";
    relay.api.expect(404, Method::GET, path, None).await;
    let secret = "partner-1-has-one-secret";
    let made = relay.api.post(201, path, &json!({"secret": secret})).await;
    assert_eq!(
        (&made["secret"], &made["clientId"]),
        (&json!(secret), &json!("partner-1"))
    );

    let receiver = Receiver::ok().await;
    let own = json!({"clientId": "partner-1", "signature": "recart"});
    let subscribed = relay.api.subscribe(&receiver, own).await;
    assert_eq!(subscribed.secret, secret);
    assert_eq!(
        relay.api.subscription(&subscribed).await["secretFrom"],
        "tenant"
    );
    assert!(recart_verifies(secret, &one(&relay, &receiver).await));

    // Replaced at once for all of its subscriptions; the way to a rotation of its own is said.
    let next = "partner-1-has-another-one";
    let swap = json!({"secret": next, "overlapSeconds": 0});
    relay.api.post(200, path, &swap).await;
    assert!(recart_verifies(next, &one(&relay, &receiver).await));
    let refused = format!("{}/rotate-secret", subscribed.path());
    let refused = relay.api.post(409, &refused, &json!({})).await;
    assert!(
        text(&refused, "error").contains("/tenants/{id}/secret"),
        "{refused}"
    );

    // It may have one of its own, and go back.
    let own = json!({"secretFrom": "subscription"});
    relay.api.put(&subscribed.path(), &own).await;
    let shown = relay
        .api
        .get(&format!("{}/secret", subscribed.path()))
        .await;
    let received = one(&relay, &receiver).await;
    assert!(
        recart_verifies(text(&shown, "secret"), &received) && !recart_verifies(next, &received)
    );
    relay
        .api
        .put(&subscribed.path(), &json!({"secretFrom": "tenant"}))
        .await;
    assert!(recart_verifies(next, &one(&relay, &receiver).await));
    // Another tenant's is never taken.
    let elsewhere = json!({"clientId": "partner-2"});
    let refused = relay
        .api
        .expect(400, Method::PUT, &subscribed.path(), Some(&elsewhere))
        .await;
    assert!(text(&refused, "error").contains("secretFrom"), "{refused}");
}

async fn own_headers_stand_beside_or_instead(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let own = json!({"secret": "shared by both", "signature": {"mode": "instead", "headers": [
        {"preset": "recart", "prefix": "sha256="},
        {"header": "X-Webhook-Signature", "encoding": "base64", "signs": "timestamp.body",
            "timestampHeader": "X-Webhook-Timestamp", "prefix": "t0,"},
    ]}});
    let subscribed = relay.api.subscribe(&receiver, own).await;
    let received = one(&relay, &receiver).await;
    let expected = format!("sha256={}", hex_mac("shared by both", &received.body));
    assert_eq!(received.header("x-recart-signature-256"), expected);
    let stamp = received.header("x-webhook-timestamp");
    let signed = [stamp.as_bytes(), b".", &received.body].concat();
    let expected = STANDARD.encode(hex::decode(hex_mac("shared by both", &signed)).unwrap());
    assert_eq!(
        received.header("x-webhook-signature"),
        format!("t0,{expected}")
    );
    assert!(!received.headers.contains_key("webhook-signature"));
    // By these duplicates are told, so they are sent always.
    assert_eq!(received.header("webhook-id").len(), 36);
    assert_eq!(received.header("webhook-timestamp"), stamp);

    let path = subscribed.path();
    let beside = json!({"signature": {"preset": "recart"}});
    let changed = relay.api.put(&path, &beside).await;
    assert_eq!(
        changed["signature"],
        json!({"mode": "beside", "headers": [{"header": "x-recart-signature-256",
            "encoding": "hex", "prefix": "", "signs": "body", "timestampHeader": null}]})
    );
    let received = one(&relay, &receiver).await;
    assert!(recart_verifies("shared by both", &received));
    assert!(received.headers.contains_key("webhook-signature"));
    let plain = relay.api.put(&path, &json!({"signature": null})).await;
    assert_eq!(plain["signature"], Value::Null);
    let received = one(&relay, &receiver).await;
    assert!(!received.headers.contains_key("x-recart-signature-256"));
}

async fn a_receiver_takes_up_a_new_secret_without_a_gap(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay
        .api
        .subscribe(&receiver, json!({"signature": "algohire"}))
        .await;
    let old = subscribed.secret.clone();
    // Without a body, by the other name of the route: as the scripts of before ask for it.
    let path = format!("/api/webhooks/{}/rotate-secret", subscribed.id);
    let answer = relay.api.expect(200, Method::POST, &path, None).await;
    let new = text(&answer, "secret").to_owned();
    assert!(new.starts_with("whsec_") && new != old);

    let received = one(&relay, &receiver).await;
    assert_eq!(received.header("webhook-signature").split(' ').count(), 2);
    assert!(standard_verifies(&old, &received) && standard_verifies(&new, &received));
    assert!(!standard_verifies(
        "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &received
    ));
    // A header with one value goes on with what its receiver knows.
    assert!(algohire_verifies(&old, &received));
    assert_eq!(
        received.header("x-webhook-signature"),
        hex_mac(&old, &received.body)
    );

    let shown = relay
        .api
        .get(&format!("{}/secret", subscribed.path()))
        .await;
    let secrets = shown["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 2);
    assert_eq!(
        (&secrets[0]["secret"], &secrets[0]["until"]),
        (&json!(new), &Value::Null)
    );
    assert_eq!(secrets[1]["secret"], json!(old));
    let day = posthaste::clock::now().plus(std::time::Duration::from_secs(86_400));
    assert!(text(&secrets[1], "until") <= day.to_string().as_str());

    // A third, and no fourth.
    let third = rotated(&relay, &subscribed, json!({"overlapSeconds": 60})).await;
    let received = one(&relay, &receiver).await;
    for secret in [&old, &new, text(&third, "secret")] {
        assert!(standard_verifies(secret, &received));
    }
    assert!(algohire_verifies(&old, &received));
    let path = format!("{}/rotate-secret", subscribed.path());
    let refused = relay.api.post(409, &path, &json!({})).await;
    assert!(
        text(&refused, "error").contains("overlapSeconds"),
        "{refused}"
    );
    let again = json!({"secret": old});
    relay.api.post(409, &path, &again).await;

    // Nowhere else are they shown.
    for page in [subscribed.path(), "/api/v1/subscriptions".to_owned()] {
        let shown = relay.api.get_text(&page).await;
        assert!(!shown.contains("whsec_"), "{page}: {shown}");
    }
}

async fn without_an_overlap_the_old_secret_ends_at_once(profile: Profile) {
    let relay = Relay::start_with(profile, &[("POSTHASTE_SECRETS__OVERLAP_MS", "0")]).await;
    let receiver = Receiver::ok().await;
    let subscribed = relay
        .api
        .subscribe(&receiver, json!({"signature": "algohire"}))
        .await;
    let import = format!("whsec_{}", STANDARD.encode([5; 24]));
    let answer = rotated(&relay, &subscribed, json!({"secret": import})).await;
    assert_eq!(answer["secret"], json!(import));
    let received = one(&relay, &receiver).await;
    assert!(standard_verifies(&import, &received) && algohire_verifies(&import, &received));
    assert!(!standard_verifies(&subscribed.secret, &received));
    // What the caller says wins over the setting.
    rotated(&relay, &subscribed, json!({"overlapSeconds": 60})).await;
    assert!(standard_verifies(&import, &one(&relay, &receiver).await));
    rotated(&relay, &subscribed, json!({"overlapSeconds": 0})).await;
    assert!(!standard_verifies(&import, &one(&relay, &receiver).await));
}

/// Standard Webhooks: `v1a,` + base64 of Ed25519 over `id.timestamp.body`.
fn key_pair_verifies(public: &str, received: &Received) -> bool {
    use ed25519_dalek::{Signature, Verifier, VerifyingKey};
    let public = STANDARD
        .decode(public.strip_prefix("whpk_").unwrap())
        .unwrap();
    let public = VerifyingKey::from_bytes(&public.try_into().unwrap()).unwrap();
    let (id, stamp) = (
        received.header("webhook-id"),
        received.header("webhook-timestamp"),
    );
    let signed = [id.as_bytes(), b".", stamp.as_bytes(), b".", &received.body].concat();
    let signatures = received.header("webhook-signature").split(' ');
    let mut asymmetric = signatures.filter_map(|one| one.strip_prefix("v1a,"));
    asymmetric.any(|one| {
        let signature = Signature::from_slice(&STANDARD.decode(one).unwrap()).unwrap();
        public.verify(&signed, &signature).is_ok()
    })
}

async fn a_key_pair_signs_and_its_private_half_is_shown_to_nobody(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let body =
        json!({"name": "s", "url": receiver.url(), "eventTypes": ["*"], "signing": "ed25519"});
    let made = relay.api.post(201, "/api/v1/subscriptions", &body).await;
    assert_eq!(made.get("secret"), None);
    let public = text(&made, "publicKey").to_owned();
    let received = one(&relay, &receiver).await;
    assert!(key_pair_verifies(&public, &received));
    assert!(!received.headers.contains_key("x-webhook-signature"));
    let id = text(&made, "id").to_owned();
    let subscribed = Subscribed {
        id,
        secret: String::new(),
    };
    for page in ["", "/secret"] {
        let shown = relay
            .api
            .get_text(&format!("{}{page}", subscribed.path()))
            .await;
        assert!(
            shown.contains(&public) && !shown.contains("whsk_"),
            "{shown}"
        );
    }
    let signature = json!({"signature": "algohire"});
    relay
        .api
        .expect(400, Method::PUT, &subscribed.path(), Some(&signature))
        .await;

    // From a pair to a shared secret, with both for a while.
    let shared = rotated(&relay, &subscribed, json!({"signing": "hmac-sha256"})).await;
    let received = one(&relay, &receiver).await;
    assert!(key_pair_verifies(&public, &received));
    assert!(standard_verifies(text(&shared, "secret"), &received));
    // What is not said stays as it is.
    let next = rotated(&relay, &subscribed, json!({"overlapSeconds": 0})).await;
    assert_eq!(next["signing"], "hmac-sha256");
}

async fn each_format_arrives_as_it_is_described(profile: Profile) {
    let relay = Relay::start(profile).await;
    let payload =
        r#"{ "orderId" : "ord_12345","value":99.90, "n":123456789012345678901234567890 }"#;
    let mut receivers = Vec::new();
    for format in ["relay", "standard", "raw", "cloudevents"] {
        let receiver = Receiver::ok().await;
        let own = json!({"payloadFormat": format});
        let subscribed = relay.api.subscribe(&receiver, own).await;
        receivers.push((format, receiver, subscribed));
    }
    let body = format!(r#"{{"eventType":"order.created","source":"shop 1","data":{payload}}}"#);
    let (code, answer) = relay.api.post_raw("/api/v1/events", body).await;
    assert_eq!(code, 202);
    for (format, receiver, subscribed) in &receivers {
        let received = receiver.received(1).await.remove(0);
        assert!(standard_verifies(&subscribed.secret, &received), "{format}");
        let sent = std::str::from_utf8(&received.body).unwrap();
        assert!(sent.contains(payload), "{format}: {sent}");
        let plain = *format != "cloudevents";
        let kind = if plain {
            "application/json"
        } else {
            "application/cloudevents+json"
        };
        assert_eq!(received.header("content-type"), kind);
        let delivery = DeliveryId::of(
            EventId(text(&answer, "eventId").parse().unwrap()),
            SubscriptionId(subscribed.id.parse().unwrap()),
        );
        let shown = format!("/api/v1/deliveries/{delivery}/body");
        let shown = relay.api.request(Method::GET, &shown).send().await.unwrap();
        assert_eq!(shown.headers()["content-type"], kind);
        assert_eq!(shown.text().await.unwrap(), sent, "shown as it is sent");
        let read = received.json();
        match *format {
            "relay" => assert_eq!(read["eventId"], answer["eventId"]),
            "raw" => assert_eq!(sent, payload),
            "standard" => {
                let names: Vec<_> = read.as_object().unwrap().keys().collect();
                assert_eq!(names, ["data", "timestamp", "type"]);
                assert_eq!(read["type"], "order.created");
            }
            _ => {
                assert_eq!(read["specversion"], "1.0");
                assert_eq!(read["id"], answer["eventId"]);
                assert_eq!(read["type"], "order.created");
                assert_eq!(read["source"], "shop%201");
                assert_eq!(read["datacontenttype"], "application/json");
                assert!(text(&read, "time").ends_with('Z'));
            }
        }
    }
    let list = relay.api.get("/api/v1/subscriptions").await;
    let shown: Vec<_> = rows(&list)
        .iter()
        .map(|row| text(row, "payloadFormat"))
        .collect();
    assert_eq!(shown, ["cloudevents", "raw", "standard", "relay"]);
}

async fn a_format_changed_between_two_attempts_counts_for_the_later(profile: Profile) {
    let relay = Relay::start(profile).await;
    let receiver =
        Receiver::answering(|number, _| status(if number < 2 { 500 } else { 200 })).await;
    let own = json!({"retryPolicy": {"delaysMs": [100, 3_600_000]}, "payloadFormat": "raw"});
    let subscribed = relay.api.subscribe(&receiver, own).await;
    let event = relay.api.send("order.created", json!({"a": 1})).await;
    let waiting = relay
        .delivery_when(&event, |delivery| delivery["attemptCount"] == 2)
        .await;
    let format = json!({"payloadFormat": "standard"});
    relay.api.put(&subscribed.path(), &format).await;
    relay.api.retry(202, &waiting).await;
    let received = receiver.received(3).await;
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(received[2].json()["data"], json!({"a": 1}));
    for one in &received {
        assert_eq!(one.event_id(), event);
        assert!(standard_verifies(&subscribed.secret, one));
    }
}

async fn secrets_are_encrypted_and_their_key_replaced(profile: Profile) {
    const NAME: &str = "POSTHASTE_SECRETS__MASTER_KEYS";
    let key = |id: &str, byte: u8| format!("{id}:{}", STANDARD.encode([byte; 32]));
    let (first, second) = (key("2025", 1), key("2026", 2));
    let relay = Relay::start(profile).await;
    let receiver = Receiver::ok().await;
    let plain = relay.api.subscribe(&receiver, json!({})).await;
    let backend = relay.stop().await;

    let relay = Relay::start_on(Arc::clone(&backend), &[(NAME, &first)]).await;
    let sealed = relay.api.subscribe(&receiver, json!({})).await;
    relay.api.send("order.created", json!({})).await;
    let received = receiver.received(2).await;
    for secret in [&plain.secret, &sealed.secret] {
        assert!(received.iter().any(|one| standard_verifies(secret, one)));
    }
    relay.stop().await;

    // Without the key nothing starts, and the message says which is missing.
    for keys in ["", &second] {
        let settings = settings(&backend, &[(NAME, keys)]);
        let failed = Engine::start(Arc::new(settings), Secret::new(KEY)).await;
        let message = format!("{:#}", failed.err().unwrap());
        assert!(
            message.contains("\"2025\"") && message.contains(NAME),
            "{message}"
        );
        assert!(!message.contains("whsec_"), "{message}");
    }

    // The new one first, then the command, then the old one is not needed any more.
    let both = format!("{second},{first}");
    let rotating = settings(&backend, &[(NAME, &both)]);
    let done = posthaste::engine::reseal_secrets(&rotating).await.unwrap();
    assert_eq!((done.sealed, done.current), (4, 0));
    let done = posthaste::engine::reseal_secrets(&rotating).await.unwrap();
    assert_eq!((done.sealed, done.current), (0, 4));
    let relay = Relay::start_on(Arc::clone(&backend), &[(NAME, &second)]).await;
    for subscribed in [&plain, &sealed] {
        let shown = relay
            .api
            .get(&format!("{}/secret", subscribed.path()))
            .await;
        assert_eq!(shown["secret"], json!(subscribed.secret));
    }
    let received = one(&relay, &receiver).await;
    assert!(
        [&plain, &sealed]
            .iter()
            .any(|one| standard_verifies(&one.secret, &received))
    );
}
