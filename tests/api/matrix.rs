//! Every route of the description × every kind of key and of session: who is let in, and who is not.
//! The routes come from the document, so a new one is in here by itself.

use std::collections::{BTreeMap, BTreeSet};

use posthaste::clock;
use reqwest::Method;
use serde_json::{Value, json};

use crate::document::Document;
use crate::support::browser::{Browser, ask as ask_with};
use crate::support::relay::{KEY, rows, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    each_kind_of_key_reaches_what_its_scopes_allow,
    each_kind_of_session_reaches_what_its_role_allows,
    what_is_anothers_is_not_there,
);

const NOTHING: &str = "0190b5a0-0000-7000-8000-000000000000";

/// Nobody is kept out for trying: this is about keys, not about how often.
const UNLIMITED: [(&str, &str); 1] = [("POSTHASTE_LIMITS__FAILED_AUTH_PER_ADDRESS", "0")];

struct Key {
    id: String,
    key: String,
    scopes: BTreeSet<String>,
}

async fn key(relay: &Relay, body: Value) -> Key {
    let made = relay.api.post(201, "/api/v1/keys", &body).await;
    let scopes = made["scopes"].as_array().unwrap();
    Key {
        id: text(&made, "id").to_owned(),
        key: text(&made, "key").to_owned(),
        scopes: scopes
            .iter()
            .map(|scope| scope.as_str().unwrap().to_owned())
            .collect(),
    }
}

/// The status and the problem's code.
async fn ask(relay: &Relay, key: Option<&str>, method: &Method, path: &str) -> (u16, String) {
    let url = format!("{}{path}", relay.api.base);
    let request = reqwest::Client::new().request(method.clone(), url);
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    if status < 400 {
        // A stream would never end.
        return (status, String::new());
    }
    let body: Value = answer.json().await.unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// The scopes of which one is needed; none where anyone may call.
fn needed(operation: &Value) -> BTreeSet<&str> {
    let ways = operation["security"].as_array().unwrap();
    let scopes = ways
        .iter()
        .flat_map(|way| way.as_object().unwrap().values());
    scopes
        .flat_map(|scopes| scopes.as_array().unwrap())
        .map(|scope| scope.as_str().unwrap())
        .collect()
}

fn filled(path: &str, id: &str) -> String {
    path.replace("{id}", id)
        .replace("{event}", NOTHING)
        .replace("{name}", "a.b")
        .replace("{file}", "nothing.js")
        .replace("{path}", "events/1")
}

async fn each_kind_of_key_reaches_what_its_scopes_allow(profile: Profile) {
    let relay = Relay::start_with(profile, &UNLIMITED).await;
    let document = Document::of(&relay).await;
    let mut presets = BTreeMap::new();
    for preset in ["service", "client", "admin"] {
        presets.insert(
            preset,
            key(&relay, json!({"name": preset, "preset": preset})).await,
        );
    }
    let revoked = key(&relay, json!({"name": "revoked", "preset": "admin"})).await;
    let path = format!("/api/v1/keys/{}", revoked.id);
    relay.api.expect(204, Method::DELETE, &path, None).await;
    let end = clock::now().plus(std::time::Duration::from_secs(2));
    let expiring = json!({"name": "expiring", "preset": "admin", "expiresAt": end.to_string()});
    let expired = key(&relay, expiring).await;
    while ask(&relay, Some(&expired.key), &Method::GET, "/api/v1/keys")
        .await
        .0
        != 401
    {
        assert!(
            clock::now() < end.plus(std::time::Duration::from_secs(30)),
            "it goes on for ever"
        );
    }
    let strangers = [
        (None, "key-required"),
        (Some("wrong"), "key-required"),
        (Some(revoked.key.as_str()), "key-ended"),
        (Some(expired.key.as_str()), "key-ended"),
    ];
    let mut guarded = 0;
    for (method, path, operation) in document.operations() {
        let at = filled(path, NOTHING);
        let needed = needed(operation);
        if needed.is_empty() {
            let (status, _) = ask(&relay, None, &method, &at).await;
            assert!(![401, 403].contains(&status), "{method} {path}: {status}");
            continue;
        }
        guarded += 1;
        for (stranger, code) in strangers {
            let refused = ask(&relay, stranger, &method, &at).await;
            assert_eq!(refused, (401, code.to_owned()), "{method} {path}");
        }
        for (preset, key) in &presets {
            let allowed = key.scopes.contains("admin")
                || needed.iter().any(|scope| key.scopes.contains(*scope));
            let (status, code) = ask(&relay, Some(&key.key), &method, &at).await;
            let refused = (status, code.as_str()) == (403, "missing-scope");
            assert_eq!(
                refused, !allowed,
                "{preset}: {method} {path}: {status} {code}"
            );
            assert!(
                status != 401 && status < 500,
                "{preset}: {method} {path}: {status}"
            );
        }
    }
    assert!(guarded > 50, "{guarded} routes take a key");
}

/// What would end a session that the rest still needs.
const ENDING: [&str; 2] = ["DELETE /api/v1/session", "DELETE /api/v1/sessions/{id}"];

async fn each_kind_of_session_reaches_what_its_role_allows(profile: Profile) {
    let relay = Relay::start_with(profile, &UNLIMITED).await;
    let document = Document::of(&relay).await;
    let mut kinds = Vec::new();
    for role in ["viewer", "operator", "admin"] {
        kinds.push((role, Browser::of_role(&relay, role).await));
    }
    let client = key(&relay, json!({"name": "client", "preset": "client"})).await;
    kinds.push(("key", Browser::with_key(&relay.api.base, &client.key).await));
    let admin_key = Browser::with_key(&relay.api.base, KEY).await;
    kinds.push(("admin key", admin_key));
    let (mut guarded, mut allowed_to) = (0, BTreeMap::new());
    for (method, path, operation) in document.operations() {
        let at = filled(path, NOTHING);
        let needed = needed(operation);
        if needed.is_empty() {
            continue;
        }
        guarded += 1;
        let forged = [("cookie", "posthaste_session=phs_forged")];
        let refused = ask_with(&relay.api.base, method.clone(), &at, &forged, None).await;
        assert_eq!(
            (refused.status, refused.code()),
            (401, "session-ended"),
            "{method} {path}"
        );
        for (kind, browser) in &kinds {
            let ends = ENDING.contains(&&*format!("{method} {path}"));
            let scopes = browser.session["scopes"].as_array().unwrap();
            let has = |scope: &str| scopes.iter().any(|one| one == scope);
            let allowed = has("admin") || needed.iter().any(|scope| has(scope));
            if !method.is_safe() {
                // Whatever it may: without the second token it changes nothing.
                let bare = browser.bare(method.clone(), &at, &[]).await;
                assert_eq!(
                    (bare.status, bare.code()),
                    (403, "cross-site"),
                    "{kind}: {method} {path}"
                );
            }
            if ends {
                continue;
            }
            let answered = browser.call(method.clone(), &at, None).await;
            let refused = (answered.status, answered.code()) == (403, "missing-scope");
            assert_eq!(refused, !allowed, "{kind}: {method} {path}: {answered:?}");
            assert!(
                answered.status != 401 && answered.status < 500,
                "{kind}: {method} {path}: {answered:?}"
            );
            *allowed_to.entry(*kind).or_insert(0) += usize::from(allowed);
            if *kind == "viewer" && !method.is_safe() && allowed {
                // One's own session and password is all that a viewer changes.
                assert!(path.starts_with("/api/v1/session"), "{method} {path}");
            }
        }
    }
    assert!(guarded > 60, "{guarded} routes take a session");
    assert!(allowed_to["viewer"] < allowed_to["operator"]);
    assert!(allowed_to["operator"] < allowed_to["admin"]);
    assert_eq!(allowed_to["admin"], allowed_to["admin key"]);
}

async fn what_is_anothers_is_not_there(profile: Profile) {
    let relay = Relay::start_with(profile, &UNLIMITED).await;
    let document = Document::of(&relay).await;
    let receiver = Receiver::ok().await;
    let made = relay
        .api
        .subscribe(&receiver, json!({"clientId": "a"}))
        .await;
    let event = json!({"eventType": "job.created", "payload": {}, "clientId": "a"});
    let event = relay.api.post(202, "/api/v1/events", &event).await;
    let event = text(&event, "eventId");
    let delivery = relay.final_delivery(event).await;
    let job = json!({"eventIds": [event]});
    let job = relay
        .api
        .post(202, &format!("{}/replay", made.path()), &job)
        .await;
    for tenant in ["a", "b"] {
        let tenant = json!({"id": tenant, "name": tenant});
        relay.api.post(201, "/api/v1/tenants", &tenant).await;
    }
    let scopes = [
        "events:read",
        "subscriptions:read",
        "subscriptions:write",
        "deliveries:read",
        "deliveries:write",
    ];
    let own = json!({"name": "a", "tenant": "a", "scopes": scopes});
    let other = json!({"name": "b", "tenant": "b", "scopes": scopes});
    let (own, other) = (key(&relay, own).await, key(&relay, other).await);
    let things = [
        ("/api/v1/subscriptions/{id}", made.id.as_str()),
        ("/api/v1/events/{id}", event),
        ("/api/v1/deliveries/{id}", text(&delivery, "id")),
        ("/api/v1/jobs/{id}", text(&job, "id")),
    ];
    let mut looked = 0;
    for (method, path, operation) in document.operations() {
        let thing = things.iter().find(|(thing, _)| path.starts_with(thing));
        let Some((_, id)) = thing else { continue };
        let allowed = needed(operation).iter().any(|scope| scopes.contains(scope));
        if !allowed {
            continue;
        }
        looked += 1;
        let at = filled(path, id);
        let (status, _) = ask(&relay, Some(&other.key), &method, &at).await;
        // Without the body that some take it may be that, and not the id, which is refused.
        let expected: &[u16] = match operation.get("requestBody") {
            Some(_) => &[404, 400],
            None => &[404],
        };
        assert!(expected.contains(&status), "{method} {path}: {status}");
        if method == Method::GET {
            let (status, _) = ask(&relay, Some(&own.key), &method, &at).await;
            assert_eq!(status, 200, "{method} {path}");
        }
    }
    assert!(looked > 20, "{looked} routes were looked at");
    for list in ["subscriptions", "events", "deliveries", "jobs"] {
        let url = format!("{}/api/v1/{list}", relay.api.base);
        for (key, count) in [(&own.key, true), (&other.key, false)] {
            let answer = reqwest::Client::new().get(&url).bearer_auth(key).send();
            let page: Value = answer.await.unwrap().json().await.unwrap();
            assert_eq!(!rows(&page).is_empty(), count, "{list}");
        }
    }
}
