//! The OpenAPI document: what it says is what a real relay does.
//!
//! Every answer of a walk through the API fits its schema, which may lack no field; every example
//! is accepted; and the readers know the fields and parameters that the document names, and no
//! others.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::document::Document;
use crate::support::browser::{Browser, PASSWORD};
use crate::support::receiver::status;
use crate::support::relay::{KEY, Subscribed, text};
use crate::support::{Profile, Receiver, Relay};

crate::stories!(
    every_answer_fits_its_schema,
    every_example_is_accepted,
    the_readers_know_what_the_document_names,
);

const NOTHING: &str = "0190b5a0-0000-7000-8000-000000000000";

/// A walk through the API, each answer of which is held to the document.
struct Walk<'a> {
    relay: &'a Relay,
    document: &'a Document,
    seen: BTreeSet<String>,
}

impl Walk<'_> {
    /// `path` as the document has it; `id` and `query` go into it. Two ids stand with a blank between.
    async fn go(&mut self, expected: u16, name: &str, id: &str, query: &str, body: Value) -> Value {
        let (method, path) = name.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let operation = self.document.operation(&method, path);
        let (one, other) = id.split_once(' ').unwrap_or((id, ""));
        let filled = path.replace("{id}", one).replace("{event}", other);
        let reached = format!("{}{query}", filled.replace("{name}", one));
        let mut request = self.relay.api.request(method, &reached);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let media = answer.headers().get("content-type").cloned();
        let text = answer.text().await.unwrap();
        assert_eq!(status, expected, "{name}: {text}");
        self.seen.insert(name.to_owned());
        let Some(media) = media else {
            let described = &operation["responses"][status.to_string()];
            assert!(
                described.is_object() && text.is_empty(),
                "{name} {status}: {text}"
            );
            return Value::Null;
        };
        let body: Value = serde_json::from_str(&text).unwrap();
        let differences =
            self.document
                .differences(operation, status, media.to_str().unwrap(), &body);
        assert!(
            differences.is_empty(),
            "{name} {status}: {differences:#?}\n{text}"
        );
        body
    }
}

async fn every_answer_fits_its_schema(profile: Profile) {
    let relay = Relay::start(profile).await;
    let document = Document::of(&relay).await;
    let (good, bad) = (
        Receiver::answering(|_, _| status(200)).await,
        Receiver::answering(|_, _| status(500)).await,
    );
    let mut walk = Walk {
        relay: &relay,
        document: &document,
        seen: BTreeSet::new(),
    };
    let nothing = Value::Null;

    let new = json!({
        "name": "walk", "url": good.url(), "eventTypes": ["a", "b.*"], "clientId": "t",
        "headers": {"x-own": "1"}, "retryPolicy": {"attempts": 2}, "timeoutMs": 900,
        "maxInFlight": 3, "rateLimit": {"limit": 100}, "breaker": {"probes": 1},
        "ordering": "key", "orderingFailure": "block", "deactivation": {"failingForMs": 0},
        "payloadFormat": "standard", "signature": ["github", {"header": "x-own-signature"}],
        "secret": "made-elsewhere-1",
    });
    let made = walk
        .go(201, "POST /api/v1/subscriptions", "", "", new)
        .await;
    let first = text(&made, "id").to_owned();
    let failing = json!({
        "name": "bad", "url": bad.url(), "eventTypes": ["a"], "retryPolicy": {"attempts": 1},
        "ordering": "key", "orderingFailure": "block", "clientId": "t",
    });
    let failing = walk
        .go(201, "POST /api/v1/subscriptions", "", "", failing)
        .await;
    let failing = text(&failing, "id").to_owned();

    let event = json!({
        "eventType": "a", "eventName": "A", "payload": {"n": 1}, "source": "walk", "tenant": "t",
        "idempotencyKey": "k", "orderingKey": "o", "occurredAt": "2025-10-26T10:00:00Z",
    });
    let sent = walk
        .go(202, "POST /api/v1/events", "", "", event.clone())
        .await;
    let event_id = text(&sent, "eventId").to_owned();
    walk.go(202, "POST /api/v1/events", "", "", json!([event]))
        .await;
    let mixed = json!([{"eventType": "c", "data": 1}, {"eventType": "c"}]);
    walk.go(
        207,
        "POST /api/v1/events",
        "",
        "?atomic=false",
        mixed.clone(),
    )
    .await;
    walk.go(400, "POST /api/v1/events", "", "", mixed).await;
    let other = json!({"eventType": "a", "data": 2, "idempotencyKey": "k", "tenant": "t"});
    walk.go(422, "POST /api/v1/events", "", "", other).await;
    relay.nothing_pending().await;

    walk.go(200, "GET /api/v1/events", "", "?limit=1", nothing.clone())
        .await;
    walk.go(400, "GET /api/v1/events", "", "?limit=x", nothing.clone())
        .await;
    walk.go(
        200,
        "GET /api/v1/events/{id}",
        &event_id,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(404, "GET /api/v1/events/{id}", NOTHING, "", nothing.clone())
        .await;
    for query in [
        format!("?subscription={failing}"),
        "?explain=true&limit=5".to_owned(),
    ] {
        let name = "GET /api/v1/events/{id}";
        walk.go(200, name, &event_id, &query, nothing.clone()).await;
    }
    erased(&mut walk).await;
    tried_out(&mut walk, &first, &good.url()).await;
    let both = format!("{first} {event_id}");
    let again = "POST /api/v1/subscriptions/{id}/retry/{event}";
    walk.go(202, again, &both, "", nothing.clone()).await;
    relay.nothing_pending().await;

    let of_failing = format!("?subscriptionId={failing}");
    let page = walk
        .go(
            200,
            "GET /api/v1/deliveries",
            "",
            &of_failing,
            nothing.clone(),
        )
        .await;
    let delivery = text(&page["data"][0], "id").to_owned();
    walk.go(
        200,
        "GET /api/v1/deliveries/{id}",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    let name = "GET /api/v1/subscriptions/{id}/blocked-keys";
    walk.go(200, name, &failing, "", nothing.clone()).await;
    walk.go(
        200,
        "POST /api/v1/deliveries/{id}/skip",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        409,
        "POST /api/v1/deliveries/{id}/skip",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        409,
        "POST /api/v1/deliveries/{id}/cancel",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        200,
        "GET /api/v1/deliveries/{id}/body",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        202,
        "POST /api/v1/deliveries/{id}/retry",
        &delivery,
        "",
        nothing.clone(),
    )
    .await;
    relay.nothing_pending().await;

    for (name, body) in [
        ("POST /api/v1/subscriptions/{id}/pause", json!({})),
        ("GET /api/v1/subscriptions/{id}/history", nothing.clone()),
        ("POST /api/v1/subscriptions/{id}/resume", nothing.clone()),
        ("GET /api/v1/subscriptions/{id}", nothing.clone()),
        ("GET /api/v1/subscriptions/{id}/runtime", nothing.clone()),
        ("GET /api/v1/subscriptions/{id}/secret", nothing.clone()),
        (
            "POST /api/v1/subscriptions/{id}/rotate-secret",
            json!({"overlapSeconds": 60}),
        ),
        ("GET /api/v1/subscriptions/{id}/stats", nothing.clone()),
        ("GET /api/v1/subscriptions/{id}/deliveries", nothing.clone()),
        (
            "PUT /api/v1/subscriptions/{id}",
            json!({"isActive": false, "breaker": null}),
        ),
        (
            "POST /api/v1/subscriptions/{id}/cancel-pending",
            nothing.clone(),
        ),
        (
            "PATCH /api/v1/subscriptions/{id}",
            json!({"isActive": true, "name": "walked"}),
        ),
    ] {
        walk.go(200, name, &first, "", body).await;
    }
    walk.go(
        200,
        "GET /api/v1/subscriptions",
        "",
        "?clientId=t",
        nothing.clone(),
    )
    .await;
    let reactivate = "POST /api/v1/subscriptions/{id}/reactivate";
    walk.go(409, reactivate, &first, "", json!({"held": "send"}))
        .await;
    let gone = Receiver::answering(|_, _| status(410)).await;
    let held = json!({"name": "gone", "url": gone.url(), "eventTypes": ["gone"]});
    let held = walk
        .go(201, "POST /api/v1/subscriptions", "", "", held)
        .await;
    let held = Subscribed {
        id: text(&held, "id").into(),
        secret: String::new(),
    };
    relay.api.send("gone", json!(1)).await;
    relay
        .look_until("the deactivation", async || {
            let shown = relay.api.subscription(&held).await;
            (shown["state"] == "deactivated").then_some(())
        })
        .await;
    walk.go(
        200,
        "GET /api/v1/subscriptions/{id}",
        &held.id,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(200, reactivate, &held.id, "", json!({"held": "skip"}))
        .await;

    let since = json!({"since": "2025-01-01T00:00:00Z", "dryRun": true});
    for name in ["retry-failed", "replay"] {
        let name = format!("POST /api/v1/subscriptions/{{id}}/{name}");
        walk.go(200, &name, &first, "", since.clone()).await;
        walk.go(400, &name, &first, "", json!({"rate": 0})).await;
    }
    let named = json!({"eventIds": [event_id], "rate": 5});
    let job = walk
        .go(
            202,
            "POST /api/v1/subscriptions/{id}/replay",
            &first,
            "",
            named,
        )
        .await;
    let job = text(&job, "id").to_owned();
    walk.go(200, "GET /api/v1/jobs/{id}", &job, "", nothing.clone())
        .await;
    relay
        .look_until("the job's end", async || {
            let shown = relay.api.get(&format!("/api/v1/jobs/{job}")).await;
            (shown["state"] == "completed").then_some(())
        })
        .await;
    walk.go(
        409,
        "POST /api/v1/jobs/{id}/cancel",
        &job,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(200, "GET /api/v1/jobs", "", "", nothing.clone())
        .await;
    counted(&mut walk, &first).await;
    catalogued(&mut walk).await;
    with_tenants_and_keys(&mut walk).await;
    with_users(&mut walk).await;
    walk.go(
        200,
        "GET /api/v1/audit",
        "",
        "?thing=tenant",
        nothing.clone(),
    )
    .await;
    for name in [
        "GET /api/v1/dashboard/health",
        "GET /health",
        "GET /health/live",
        "GET /health/ready",
        "GET /api/v1/openapi.json",
    ] {
        walk.go(200, name, "", "", nothing.clone()).await;
    }
    walk.go(
        204,
        "DELETE /api/v1/subscriptions/{id}",
        &first,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        404,
        "DELETE /api/v1/subscriptions/{id}",
        &first,
        "",
        nothing,
    )
    .await;

    // What is no JSON is looked at in `reference.rs` and `measured.rs`.
    let all = document.operations();
    let all = all.iter().filter(|(_, _, operation)| {
        let good = &operation["responses"]["200"]["content"];
        let other = good.as_object().and_then(|content| content.keys().next());
        operation["responses"].get("308").is_none()
            && other.is_none_or(|media| media == "application/json")
    });
    let all = all.map(|(method, path, _)| format!("{method} {path}"));
    let left: Vec<String> = all.filter(|name| !walk.seen.contains(name)).collect();
    assert!(left.is_empty(), "the walk leaves out {left:?}");
}

async fn tried_out(walk: &mut Walk<'_>, subscription: &str, url: &str) {
    let name = "POST /api/v1/subscriptions/{id}/test";
    walk.go(200, name, subscription, "", Value::Null).await;
    let body = json!({"eventType": "a", "payload": {"n": 1}});
    walk.go(200, name, subscription, "", body).await;
    walk.go(400, name, subscription, "", json!({"more": 1}))
        .await;
    let name = "POST /api/v1/subscriptions/test";
    let unsaved = |url: &str| json!({"name": "n", "url": url, "eventTypes": ["a"]});
    walk.go(200, name, "", "", unsaved(url)).await;
    // Nobody answers there.
    walk.go(200, name, "", "", unsaved("http://127.0.0.1:9/"))
        .await;
}

async fn erased(walk: &mut Walk<'_>) {
    let nothing = Value::Null;
    let event = json!({"eventType": "c", "data": {"person": "somebody"}});
    let sent = walk.go(202, "POST /api/v1/events", "", "", event).await;
    let id = text(&sent, "eventId").to_owned();
    let search = "?q=payload.person%3Dsomebody&limit=5";
    let found = walk
        .go(200, "GET /api/v1/events", "", search, nothing.clone())
        .await;
    assert_eq!(found["data"][0]["id"], *id);
    let name = "DELETE /api/v1/events/{id}/payload";
    walk.go(200, name, &id, "?cancelPending=true", nothing.clone())
        .await;
    walk.go(200, "GET /api/v1/events/{id}", &id, "", nothing)
        .await;
}

async fn counted(walk: &mut Walk<'_>, subscription: &str) {
    let nothing = Value::Null;
    let ids = format!("?ids={subscription}");
    for (name, query) in [
        ("GET /api/v1/events/stats/summary", ""),
        ("GET /api/v1/deliveries/stats/summary", ""),
        ("GET /api/v1/subscriptions/stats", ids.as_str()),
        ("GET /api/v1/deliveries", "?statusClass=5xx&q=a"),
        ("GET /api/v1/dashboard/overview", ""),
        ("GET /api/v1/system", ""),
        ("GET /api/v1/system/settings", ""),
        ("GET /api/v1/system/nodes", ""),
        ("GET /api/v1/dashboard/metrics", "?window=1h"),
        ("GET /api/v1/dashboard/recent-deliveries", "?limit=3"),
    ] {
        walk.go(200, name, "", query, nothing.clone()).await;
    }
    let name = "GET /api/v1/events/stats/summary";
    walk.go(400, name, "", "?since=x", nothing).await;
}

async fn catalogued(walk: &mut Walk<'_>) {
    let nothing = Value::Null;
    let new = json!({
        "name": "walked.type", "description": "d", "example": {"n": 1}, "schema": {"type": "object"},
    });
    let name = "POST /api/v1/event-types";
    walk.go(201, name, "", "", new.clone()).await;
    walk.go(409, name, "", "", new).await;
    let bad = json!({"name": "b", "schema": {"type": "no"}});
    walk.go(400, name, "", "", bad).await;
    let bad = json!({"eventType": "walked.type", "data": 1});
    walk.go(400, "POST /api/v1/events", "", "", bad).await;
    walk.go(
        200,
        "GET /api/v1/event-types",
        "",
        "?limit=1",
        nothing.clone(),
    )
    .await;
    for (status, name, id, body) in [
        (200, "GET", "walked.type", nothing.clone()),
        (404, "GET", "walked.other", nothing.clone()),
        (
            200,
            "PATCH",
            "walked.type",
            json!({"example": null, "archived": true}),
        ),
        (200, "PUT", "walked.type", json!({})),
        (201, "PUT", "walked.other", json!({"schema": true})),
        (204, "DELETE", "walked.type", nothing.clone()),
        (404, "DELETE", "walked.type", nothing.clone()),
    ] {
        let name = format!("{name} /api/v1/event-types/{{name}}");
        walk.go(status, &name, id, "", body).await;
    }
}

async fn with_tenants_and_keys(walk: &mut Walk<'_>) {
    let nothing = Value::Null;
    let new = json!({
        "id": "walked", "name": "Walked",
        "limits": {"ingestRate": {"perSecond": 5, "burst": 9}, "maxSubscriptions": 1},
    });
    walk.go(201, "POST /api/v1/tenants", "", "", new.clone())
        .await;
    walk.go(409, "POST /api/v1/tenants", "", "", new).await;
    walk.go(200, "GET /api/v1/tenants", "", "?limit=1", nothing.clone())
        .await;
    let one = "/api/v1/tenants/{id}";
    let secret = "/api/v1/tenants/{id}/secret";
    for (status, method, path, body) in [
        (200, "GET", one, nothing.clone()),
        (200, "PUT", one, json!({"limits": null})),
        (200, "PATCH", one, json!({"name": "Other"})),
        (400, "PATCH", one, json!({"id": "other"})),
        (404, "GET", secret, nothing.clone()),
        (201, "POST", secret, json!({})),
        (200, "POST", secret, json!({"overlapSeconds": 60})),
        (200, "GET", secret, nothing.clone()),
    ] {
        walk.go(status, &format!("{method} {path}"), "walked", "", body)
            .await;
    }
    let new = json!({
        "name": "walked", "preset": "admin", "tenant": "walked",
        "expiresAt": "2099-01-01T00:00:00Z",
    });
    let made = walk.go(201, "POST /api/v1/keys", "", "", new).await;
    let own = walk.relay.api.with_key(text(&made, "key"));
    let answer = own
        .expect(
            403,
            Method::PATCH,
            "/api/v1/tenants/walked",
            Some(&json!({})),
        )
        .await;
    assert_eq!(answer["code"], "forbidden");
    let id = text(&made, "id").to_owned();
    let name = "GET /api/v1/keys";
    walk.go(200, name, "", "?tenant=walked", nothing.clone())
        .await;
    walk.go(200, "GET /api/v1/keys/{id}", &id, "", nothing.clone())
        .await;
    walk.go(
        409,
        "DELETE /api/v1/tenants/{id}",
        "walked",
        "",
        nothing.clone(),
    )
    .await;
    walk.go(204, "DELETE /api/v1/keys/{id}", &id, "", nothing.clone())
        .await;
    let answer = own.expect(401, Method::GET, "/api/v1/tenants", None).await;
    assert_eq!(answer["code"], "key-ended");
    walk.go(204, "DELETE /api/v1/tenants/{id}", "walked", "", nothing)
        .await;
}

/// Users are administered with a key; what stands in a session is asked for in one.
async fn with_users(walk: &mut Walk<'_>) {
    let nothing = Value::Null;
    walk.go(200, "GET /api/v1/setup", "", "", nothing.clone())
        .await;
    let token = walk.relay.engine().setup_token().unwrap().to_owned();
    let first = json!({"token": token, "email": "ada@example.com", "password": PASSWORD});
    let wrong = json!({"token": "phl_x", "email": "ada@example.com", "password": PASSWORD});
    for (status, body) in [(403, &wrong), (201, &first), (409, &first)] {
        walk.go(status, "POST /api/v1/setup", "", "", body.clone())
            .await;
    }
    let new = json!({"email": "grace@example.com", "name": "Grace", "role": "admin"});
    let made = walk
        .go(201, "POST /api/v1/users", "", "", new.clone())
        .await;
    walk.go(409, "POST /api/v1/users", "", "", new).await;
    let id = text(&made, "id").to_owned();
    let one = "/api/v1/users/{id}";
    for (status, method, path, body) in [
        (200, "GET", one.to_owned(), nothing.clone()),
        (404, "GET", one.to_owned(), nothing.clone()),
        (
            200,
            "PATCH",
            one.to_owned(),
            json!({"name": "Grace H", "role": "viewer"}),
        ),
        (400, "PATCH", one.to_owned(), json!({"role": "root"})),
        (
            200,
            "POST",
            format!("{one}/password"),
            json!({"password": PASSWORD}),
        ),
    ] {
        let id = if status == 404 { NOTHING } else { &*id };
        walk.go(status, &format!("{method} {path}"), id, "", body)
            .await;
    }
    let again = format!("POST {one}/password");
    let link = walk.go(200, &again, &id, "", json!({})).await;
    let token = text(&link["invitation"], "token");
    let taken = json!({"token": token, "name": "Grace", "password": PASSWORD});
    for (status, body) in [(200, &taken), (403, &taken)] {
        let name = "POST /api/v1/invitation";
        walk.go(status, name, "", "", body.clone()).await;
    }
    walk.go(200, "GET /api/v1/users", "", "?limit=1", nothing.clone())
        .await;
    let sign_in = json!({"email": "ada@example.com", "password": PASSWORD});
    let wrong = json!({"email": "ada@example.com", "password": "wrong"});
    for (status, body) in [(200, &sign_in), (200, &json!({"key": KEY})), (401, &wrong)] {
        walk.go(status, "POST /api/v1/session", "", "", body.clone())
            .await;
    }
    walk.go(404, "GET /api/v1/session", "", "", nothing.clone())
        .await;
    let sessions = walk
        .go(200, "GET /api/v1/sessions", "", "", nothing.clone())
        .await;
    let ended = text(&sessions["data"][0], "id").to_owned();
    walk.go(
        204,
        "DELETE /api/v1/sessions/{id}",
        &ended,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(
        404,
        "DELETE /api/v1/sessions/{id}",
        &ended,
        "",
        nothing.clone(),
    )
    .await;
    walk.go(204, "DELETE /api/v1/users/{id}", &id, "", nothing.clone())
        .await;
    let base = &walk.relay.api.base;
    let browser = Browser::sign_in(base, "ada@example.com", PASSWORD).await;
    let last = format!("/api/v1/users/{}", text(&browser.session["user"], "id"));
    walk.relay
        .api
        .expect(409, Method::DELETE, &last, None)
        .await;
    let change = json!({"current": PASSWORD, "password": "another horse battery"});
    for (status, method, path, body) in [
        (200, Method::GET, "/api/v1/session", None),
        (400, Method::POST, "/api/v1/session/password", Some(&wrong)),
        (204, Method::POST, "/api/v1/session/password", Some(&change)),
        (204, Method::DELETE, "/api/v1/session", None),
    ] {
        let operation = walk.document.operation(&method, path);
        let answered = browser.call(method.clone(), path, body).await;
        assert_eq!(answered.status, status, "{method} {path}: {answered:?}");
        walk.seen.insert(format!("{method} {path}"));
        if status == 200 {
            let media = "application/json";
            let body = &answered.body;
            let differences = walk.document.differences(operation, status, media, body);
            assert!(differences.is_empty(), "{method} {path}: {differences:#?}");
        }
    }
}

/// What stands under an id and a name in a path, so that a body is read: a subscription and a
/// tenant of the same id, and an event type.
async fn named_in_paths(relay: &Relay) -> impl Fn(&str) -> String + use<> {
    let subscribed = relay
        .api
        .subscribe_url("http://127.0.0.1:9/x", json!({"isActive": false}))
        .await;
    let tenant = json!({"id": subscribed.id});
    relay.api.post(201, "/api/v1/tenants", &tenant).await;
    let known = json!({"name": "known.type"});
    relay.api.post(201, "/api/v1/event-types", &known).await;
    let user = json!({"email": "named@example.com", "role": "viewer"});
    let user = relay.api.post(201, "/api/v1/users", &user).await;
    let user = text(&user, "id").to_owned();
    move |path| {
        let id = match path.starts_with("/api/v1/users/") {
            true => &user,
            false => &subscribed.id,
        };
        path.replace("{id}", id).replace("{name}", "known.type")
    }
}

/// The examples of an operation's body.
fn examples(operation: &Value) -> Vec<&Value> {
    let content = &operation["requestBody"]["content"]["application/json"];
    let several = content["examples"].as_object();
    let several = several
        .into_iter()
        .flat_map(Map::values)
        .map(|one| &one["value"]);
    several.chain(content.get("example")).collect()
}

async fn every_example_is_accepted(profile: Profile) {
    let relay = Relay::start(profile).await;
    let document = Document::of(&relay).await;
    let reached = named_in_paths(&relay).await;
    let mut seen = 0;
    for (method, path, operation) in document.operations() {
        // By these somebody comes in who has a token or a password of their own: `with_users`.
        let comes_in = ["/api/v1/setup", "/api/v1/invitation", "/api/v1/session"].contains(&path)
            || path == "/api/v1/session/password";
        if operation.get("requestBody").is_none() || comes_in {
            continue;
        }
        let examples = examples(operation);
        assert!(!examples.is_empty(), "{method} {path} has no example");
        for example in examples {
            let path = reached(path);
            let answer = relay
                .api
                .request(method.clone(), &path)
                .json(example)
                .send()
                .await;
            let answer = answer.unwrap();
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            // In no state for it is no fault of the body's.
            assert!(
                (200..300).contains(&status) || status == 409,
                "{method} {path}: {text}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 16, "{seen}");
}

/// The names that a message lists after "there are".
fn listed(message: &str) -> BTreeSet<String> {
    let names = message
        .split_once("not known here; there are ")
        .map(|(_, rest)| rest);
    let names = names.filter(|names| !names.starts_with("no "));
    names
        .into_iter()
        .flat_map(|names| names.split(", "))
        .map(str::to_owned)
        .collect()
}

fn message_of(answer: &Value, place: &str) -> Option<String> {
    let faults = answer["faults"].as_array()?;
    let fault = faults.iter().find(|fault| fault["path"] == place)?;
    fault["message"].as_str().map(str::to_owned)
}

async fn the_readers_know_what_the_document_names(profile: Profile) {
    let relay = Relay::start(profile).await;
    let document = Document::of(&relay).await;
    let in_path = named_in_paths(&relay).await;
    let (mut queries, mut bodies) = (0, 0);
    for (method, path, operation) in document.operations() {
        let reached = in_path(path);
        let parameters = operation["parameters"].as_array();
        let named: BTreeSet<String> = parameters
            .into_iter()
            .flatten()
            .filter(|one| one["in"] == "query")
            .map(|one| text(one, "name").to_owned())
            .collect();
        let request = relay
            .api
            .request(method.clone(), &format!("{reached}?strange=1"));
        let text = request.send().await.unwrap().text().await.unwrap();
        // Pages and metrics are no JSON, and take no parameters.
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let known = message_of(&answer, "strange").map(|message| listed(&message));
        assert_eq!(
            known.unwrap_or_default(),
            named,
            "{method} {path}: {answer}"
        );
        queries += usize::from(!named.is_empty());

        let content = &operation["requestBody"]["content"]["application/json"];
        let schema = &content["schema"];
        let several = schema["oneOf"].as_array().into_iter().flatten();
        let schema = several
            .chain([schema])
            .map(|one| document.resolved(one))
            .find(|one| one["additionalProperties"] == false);
        let Some(properties) = schema.and_then(|schema| schema["properties"].as_object()) else {
            continue;
        };
        bodies += 1;
        let mut body: Map<String, Value> = properties
            .keys()
            .map(|name| (name.clone(), json!({"odd": 1})))
            .collect();
        body.insert("strange".into(), json!(1));
        let answer = relay
            .api
            .expect(400, method.clone(), &reached, Some(&body.into()))
            .await;
        let message = message_of(&answer, "strange").unwrap();
        for name in listed(&message) {
            if properties.contains_key(&name) {
                continue;
            }
            // A field may be known only to say why it cannot be given.
            let given = json!({ name.as_str(): "x" });
            let answer = relay
                .api
                .expect(400, method.clone(), &reached, Some(&given))
                .await;
            let refused = message_of(&answer, &name);
            assert!(refused.is_some(), "{method} {path} does not name {name}");
        }
        for name in properties.keys() {
            let message = message_of(&answer, name).unwrap_or_default();
            assert!(
                !message.contains("not known"),
                "{method} {path} does not read {name}"
            );
        }
    }
    assert!(queries >= 16 && bodies >= 13, "{queries} {bodies}");
}
